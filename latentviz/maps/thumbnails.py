"""Thumbnails: WebP sheets of 256 tiles in drawing order, so that the page decodes only the sheets it shows."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

PER_SHEET = 256
_COLUMNS = 16
# Tile sides and WebP qualities to try; 100 is lossless.
_CHOICES = [(128, 100), (96, 100), (64, 100), (96, 85), (64, 85), (64, 75), (48, 75)]
_CHOICES += [(48, 60), (48, 45), (32, 60), (32, 45), (32, 30), (24, 30), (16, 20)]
_SMALL = 128  # pixels; images up to this side are also tried at their own size, in these qualities:
_QUALITIES = (100, 85, 75, 65, 60, 55, 50, 40, 30)


@dataclass(frozen=True)
class Sheets:
    """The thumbnails of a map.

    Attributes:
        places: int (m,), ascending: which of the given rows have a thumbnail, in sheet order.
        width: pixels of a tile.
        height: pixels of a tile.
        quality: WebP quality; 100 is lossless.
        webp: one file per sheet.
    """

    places: np.ndarray
    width: int
    height: int
    quality: int
    webp: list[bytes]


def make_sheets(images: np.ndarray, rows: np.ndarray, budget: int) -> Sheets:
    """Makes the sharpest thumbnails that fit the budget; if none do, those of evenly spread items.

    Args:
        images: uint8 (n, c, h, w), possibly memory-mapped.
        rows: int (m,), items in drawing order.
        budget: bytes of all sheets together.
    """
    trial = rows[np.linspace(0, len(rows) - 1, min(len(rows), 2 * PER_SHEET)).astype(int)]
    for side, quality in _choices(max(images.shape[2:])):
        size = tile_size(images.shape[2], images.shape[3], side)
        tile_bytes = sum(map(len, _encode(images, trial, size, quality))) / len(trial)
        if tile_bytes * len(rows) <= budget:
            places = np.arange(len(rows))
            break
    else:
        places = np.linspace(0, len(rows) - 1, max(1, int(budget / tile_bytes))).astype(int)
    return Sheets(places, size[1], size[0], quality, list(_encode(images, rows[places], size, quality)))


def _choices(longest: int) -> list[tuple[int, int]]:
    """Lists the (side, quality) to try, sharpest first; none is larger than the images' longer side."""
    choices = [(longest, quality) for quality in (_QUALITIES if longest <= _SMALL else ())]
    choices += [(side, quality) for side, quality in _CHOICES if side < longest]
    return sorted(choices, key=lambda choice: -(choice[0] ** 2) * (0.35 + choice[1] / 100))


def tile_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Computes (height, width) in pixels of a tile with a longer side of at most `side`.

    >>> tile_size(28, 28, 28), tile_size(100, 50, 64)
    ((28, 28), (64, 32))
    """
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _encode(images: np.ndarray, rows: np.ndarray, size: tuple[int, int], quality: int) -> Iterator[bytes]:
    """Yields one WebP file per 256 rows."""

    def sheet(start: int) -> bytes:
        return webp(_compose(images, rows[start : start + PER_SHEET], size), quality)

    with ThreadPoolExecutor(max_workers=2) as workers:
        yield from workers.map(sheet, range(0, len(rows), PER_SHEET))


def _compose(images: np.ndarray, rows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Composes the sheet, uint8 (k · h, 16 · w, c), of up to 256 items."""
    height, width = size
    sheet = np.zeros((-(-len(rows) // _COLUMNS) * height, min(_COLUMNS, len(rows)) * width, images.shape[1]), np.uint8)
    for place, row in enumerate(rows):
        y, x = divmod(place, _COLUMNS)
        tile = np.moveaxis(np.asarray(images[row]), 0, -1)
        if tile.shape[:2] != size:
            tile = np.asarray(_image(tile).resize((width, height), Image.Resampling.LANCZOS)).reshape(*size, -1)
        sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = tile
    return sheet


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def webp(pixels: np.ndarray, quality: int) -> bytes:
    """Encodes pixels, uint8 (h, w, c) with c 1 or 3, as WebP; quality 100 is lossless."""
    buffer = io.BytesIO()
    _image(pixels).save(buffer, "WEBP", quality=quality, lossless=quality >= 100, method=4)
    return buffer.getvalue()
