"""Thumbnails: WebP sheets of 256 tiles, in the order of the points, so that the page decodes what it shows."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

PER_SHEET = 256
_COLUMNS = 16
# Tile sides and WebP qualities from best to smallest; 100 stands for lossless.
_CHOICES = [
    (128, 100),
    (96, 100),
    (64, 100),
    (96, 85),
    (64, 85),
    (64, 75),
    (48, 75),
    (48, 60),
    (48, 45),
    (32, 60),
    (32, 45),
    (32, 30),
    (24, 30),
    (16, 20),
]


@dataclass(frozen=True)
class Sheets:
    """The thumbnails of a map.

    Attributes:
        places: int (m,), ascending: which of the rows asked for have a thumbnail, in sheet order.
        width: pixels of a tile.
        height: pixels of a tile.
        quality: WebP quality; 100 is lossless.
        webp: one file a sheet.
    """

    places: np.ndarray
    width: int
    height: int
    quality: int
    webp: list[bytes]


def make_sheets(images: np.ndarray, rows: np.ndarray, budget: int) -> Sheets:
    """Returns the sharpest thumbnails that fit; if none do, those of evenly spread items.

    Args:
        images: uint8 (n, c, h, w), possibly memory-mapped.
        rows: int (m,), items in the order of the points.
        budget: bytes that all sheets together may take.
    """
    trial = rows[np.linspace(0, len(rows) - 1, min(len(rows), 2 * PER_SHEET)).astype(int)]
    for side, quality in _choices(images.shape[2], images.shape[3]):
        size = tile_size(images.shape[2], images.shape[3], side)
        bytes_a_tile = sum(map(len, _encode(images, trial, size, quality))) / len(trial)
        if bytes_a_tile * len(rows) <= budget:
            places = np.arange(len(rows))
            break
    else:
        places = np.linspace(0, len(rows) - 1, max(1, int(budget / bytes_a_tile))).astype(int)
    return Sheets(places, size[1], size[0], quality, list(_encode(images, rows[places], size, quality)))


def _choices(height: int, width: int) -> list[tuple[int, int]]:
    """Returns the (side, quality) worth trying for images of this size: none larger than the image itself."""
    longest = max(height, width)
    sides = [side for side, _ in _CHOICES if side < longest]
    qualities = (100, 85, 75, 65, 60, 55, 50, 40, 30) if longest <= 128 else ()
    exact = [(longest, quality) for quality in qualities]
    return sorted([*exact, *((s, q) for s, q in _CHOICES if s in sides)], key=lambda choice: -_worth(choice))


def _worth(choice: tuple[int, int]) -> float:
    """Returns how good a thumbnail looks: its pixels, times what its quality leaves of them."""
    side, quality = choice
    return float(side * side * (0.35 + quality / 100))


def tile_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Returns (height, width) in pixels of a tile whose longer side is at most `side`.

    >>> tile_size(28, 28, 28), tile_size(100, 50, 64)
    ((28, 28), (64, 32))
    """
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _encode(images: np.ndarray, rows: np.ndarray, size: tuple[int, int], quality: int) -> Iterator[bytes]:
    """Yields one WebP file for every 256 rows."""

    def sheet(start: int) -> bytes:
        return webp(_compose(images, rows[start : start + PER_SHEET], size), quality)

    with ThreadPoolExecutor(max_workers=2) as workers:
        yield from workers.map(sheet, range(0, len(rows), PER_SHEET))


def _compose(images: np.ndarray, rows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns the sheet, uint8 (rows · h, 16 · w, c), of the given items; the last one may be shorter."""
    height, width = size
    lines = -(-len(rows) // _COLUMNS)
    sheet = np.zeros((lines * height, min(_COLUMNS, len(rows)) * width, images.shape[1]), np.uint8)
    for place, row in enumerate(rows):
        y, x = divmod(place, _COLUMNS)
        tile = np.moveaxis(np.asarray(images[row]), 0, -1)
        sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = _shrink(tile, size)
    return sheet


def _shrink(tile: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns an image (h, w, c) at the size of a tile."""
    if tile.shape[:2] == size:
        return tile
    small = _picture(tile).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(small).reshape(*size, -1)


def _picture(pixels: np.ndarray) -> Image.Image:
    """Returns pixels (h, w, c) with c 1 or 3 as a Pillow image."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def webp(pixels: np.ndarray, quality: int) -> bytes:
    """Returns pixels, uint8 (h, w, c) with c 1 or 3, as a WebP file; quality 100 is lossless."""
    buffer = io.BytesIO()
    _picture(pixels).save(buffer, "WEBP", quality=quality, lossless=quality >= 100, method=4)
    return buffer.getvalue()
