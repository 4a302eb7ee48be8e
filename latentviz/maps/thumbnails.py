"""Thumbnails: WebP sheets of 256 tiles in drawing order, so that the page decodes only the sheets it shows."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from latentviz.maps import blocks
from latentviz.maps.contents import Part, latent_budget, latent_room, thumbnail_budget
from latentviz.maps.data import MapData

PER_SHEET = 256
_COLUMNS = 16
# Tile sides and WebP qualities to try; 100 is lossless.
_CHOICES = [(128, 100), (96, 100), (64, 100), (96, 85), (64, 85), (64, 75), (48, 75)]
_CHOICES += [(48, 60), (48, 45), (32, 60), (32, 45), (32, 30), (24, 30), (16, 20)]
_SMALL = 128  # pixels; images up to this side are also tried at their own size, in these qualities:
_QUALITIES = (100, 85, 75, 65, 60, 55, 50, 40, 30)


def pack_thumbnails(data: MapData) -> Part:
    """Packs the sharpest thumbnails that the file's budget allows; if none do, those of evenly spread items."""
    images, rows, n = data.images, data.order, len(data.order)
    if images is None or not n:
        return Part()
    decodes = data.decoder is not None and data.decoder.texts is None
    latents = min(latent_budget(n), latent_room(n, data.file_limit)) if decodes else 0
    budget = thumbnail_budget(n, latents, data.file_limit) * 3 // 4  # bytes of all sheets together, before base64
    trial = rows[np.linspace(0, n - 1, min(n, 2 * PER_SHEET)).astype(int)]
    height, width = images.shape[2:]
    for side, quality in _choices(max(height, width)):
        size = _within(side, height, width)
        tile_bytes = sum(map(len, _encode(images, trial, size, quality))) / len(trial)
        if tile_bytes * n <= budget:
            places = np.arange(n)
            break
    else:
        places = np.linspace(0, n - 1, max(1, int(budget / tile_bytes))).astype(int)
    sheets = _encode(images, rows[places], size, quality)
    packed = {f"sheet-{i}": blocks.encode(sheet) for i, sheet in enumerate(sheets)}
    notes = []
    if len(places) < n:
        packed["pictured"] = blocks.pack_places(places)
        notes.append(f"Thumbnails of {len(places):,} of {n:,} items, to keep the file small.")
    if size != (height, width):
        notes.append(f"Thumbnails are {size[1]}×{size[0]} pixels; the images, {width}×{height}.")
    described = {"width": size[1], "height": size[0], "count": len(places), "per_sheet": PER_SHEET, "quality": quality}
    return Part(packed, described, notes)


def _choices(longest: int) -> list[tuple[int, int]]:
    """Lists the (side, quality) to try, sharpest first; none is larger than the images' longer side."""
    choices = [(longest, quality) for quality in (_QUALITIES if longest <= _SMALL else ())]
    choices += [(side, quality) for side, quality in _CHOICES if side < longest]
    return sorted(choices, key=lambda choice: -(choice[0] ** 2) * (0.35 + choice[1] / 100))


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


def thumbnail(images: np.ndarray, row: int, side: int) -> bytes:
    """Encodes the image of a row of (n, c, h, w) as WebP, at most `side` pixels wide and high."""
    return webp(_compose(images, np.array([row]), _within(side, *images.shape[2:])), 85)


def _within(side: int, height: int, width: int) -> tuple[int, int]:
    """Returns the height and width of an image scaled down until none is above `side`."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def webp(pixels: np.ndarray, quality: int) -> bytes:
    """Encodes pixels, uint8 (h, w, c) with c 1 or 3, as WebP; quality 100 is lossless."""
    buffer = io.BytesIO()
    _image(pixels).save(buffer, "WEBP", quality=quality, lossless=quality >= 100, method=4)
    return buffer.getvalue()
