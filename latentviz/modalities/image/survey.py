"""Samples the images to choose their common size, channels and scale of values."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import numpy as np
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image import pixels
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.frames import animations
from latentviz.modalities.image.pixels import DEEP_MODES, GREY_MODES, Header
from latentviz.modalities.io.source import ImageSource

T = TypeVar("T")

LARGEST_KEPT = 128  # pixels: images of one common size up to this keep it
LARGEST_AUTO = 64  # pixels: longer side otherwise; a CPU trains on it in minutes
LARGEST_SMALL = 32  # pixels: longer side of small ones; a CPU trains on it in a minute
SMALLEST, LARGEST = 8, 512  # pixels per side that the networks support

_HEADERS = 4096  # headers read for sizes and modes: the error of the median is below 2%
_DECODED = 512  # images decoded for colour and value range
_GREY_BLOCK = 32


@dataclass(frozen=True)
class Shape:
    """What every image is converted to."""

    channels: int  # 1 or 3
    height: int  # in pixels
    width: int  # in pixels
    scale: tuple[float, float] | None = None  # the values of black and white; None without images of over 8 bits
    notes: list[str] = field(default_factory=list)  # lines for the user about these choices

    @property
    def chw(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width


def survey(
    source: ImageSource, data: ImageData, pool: ThreadPoolExecutor, trained: tuple[float, float] | None = None
) -> Shape:
    """Chooses the shape: what `data` asks for, or for `auto` what suits the images.

    `trained`: the values of black and white in images of over 8 bits that a trained model knows, for new images.
    """
    headers = _sample(source, spread(len(source), _HEADERS), pixels.header, pool, decoded=False)
    height, width, notes = choose_size([head for _, head in headers], data)
    if data.frames == "auto":
        notes = [*notes, *animations([head.animated for _, head in headers], len(source))]
    deep = [row for row, head in headers if head.mode in DEEP_MODES]
    scale = _deep_scale(source, deep, pool, trained) if deep else None
    if scale is not None and scale != (0, 65535):
        notes.append(f"images with more than 8 bits: {scale[0]:g} is black and {scale[1]:g} is white")
    channels = data.channels
    if channels == "auto":
        coloured = [row for row, head in headers if head.mode not in GREY_MODES]
        channels = 1 if _all_grey(source, coloured, pool) else 3
        if channels == 1 and coloured:
            notes.append("1 channel: images are stored in colour, but all sampled ones are grey")
    return Shape(channels, height, width, scale, notes)


def spread(n: int, most: int) -> list[int]:
    """Picks at most `most` of n rows, evenly spread.

    >>> spread(10, 3), spread(2, 3)
    ([0, 4, 9], [0, 1])
    """
    rows: list[int] = np.linspace(0, n - 1, min(n, most)).astype(np.int64).tolist()
    return rows


def choose_size(headers: Sequence[Header], data: ImageData) -> tuple[int, int, list[str]]:
    """Chooses height and width in pixels, with lines that give the reason."""
    if not isinstance(data.size, str):
        height, width = (data.size, data.size) if isinstance(data.size, int) else data.size
        if min(height, width) < SMALLEST or max(height, width) > LARGEST:
            raise DataError(
                f"data.size: a side must be from {SMALLEST} to {LARGEST} pixels (got {height}×{width}); "
                "omit it to choose the size from the images"
            )
        return height, width, []
    if not headers:  # no sampled image is readable: decoding will raise an error about that
        return SMALLEST, SMALLEST, []
    sizes = {(head.height, head.width) for head in headers}
    high, wide = median(head.height for head in headers), median(head.width for head in headers)
    kept, largest = (LARGEST_KEPT, LARGEST_AUTO) if data.size == "auto" else (LARGEST_SMALL, LARGEST_SMALL)
    if len(sizes) == 1 and max(high, wide) <= kept:
        height, width = max(int(high), SMALLEST), max(int(wide), SMALLEST)
        return height, width, [f"all images have {high:g}×{wide:g} pixels (height × width)"]
    ratios = [head.width / head.height for head in headers]
    same_ratio = max(ratios) / min(ratios) < 1.02  # up to rounding
    if not same_ratio:
        high = wide = min(high, wide)
    factor = min(1.0, largest / max(high, wide))
    height, width = (max(SMALLEST, round(side * factor)) for side in (high, wide))
    what = f"{len(sizes)} sizes" if len(sizes) > 1 else "one size"
    shapes = "one aspect ratio" if same_ratio else f"several aspect ratios (adapted by data.fit={data.fit})"
    note = f"images of {what} and {shapes} are resized to {height}×{width} pixels; data.size={LARGEST_KEPT} keeps more"
    return height, width, [note]


def _deep_scale(
    source: ImageSource, rows: Sequence[int], pool: ThreadPoolExecutor, trained: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Finds black and white for the whole set, so that its images stay comparable."""

    def extremes(image: Image.Image) -> tuple[float, float, bool]:
        values = pixels.deep_values(image)
        return float(values.min()), float(values.max()), values.dtype.kind in "iu"

    found = [ends for _, ends in _sample(source, _thin(rows), extremes, pool, decoded=True)]
    if not found:
        return None
    lows, highs, integer = zip(*found, strict=True)
    ends, whole = (min(lows), max(highs)), all(integer)
    return pixels.known_range(trained, *ends, integer=whole) or pixels.value_range(*ends, integer=whole)


def _all_grey(source: ImageSource, rows: Sequence[int], pool: ThreadPoolExecutor) -> bool:
    def grey(image: Image.Image) -> bool:
        return pixels.is_grey(pixels.flatten(image))

    thin = _thin(rows)
    for start in range(0, len(thin), _GREY_BLOCK):  # in coloured sets, the first few show it
        if not all(found for _, found in _sample(source, thin[start : start + _GREY_BLOCK], grey, pool, decoded=True)):
            return False
    return True


def _thin(rows: Sequence[int]) -> list[int]:
    return [rows[place] for place in spread(len(rows), _DECODED)]


def _sample(
    source: ImageSource,
    rows: Sequence[int],
    measure: Callable[[Image.Image], T],
    pool: ThreadPoolExecutor,
    *,
    decoded: bool,
) -> list[tuple[int, T]]:
    """Measures the readable images among `rows`; decoding counts and reports the others later."""

    def attempt(row: int) -> T | None:
        with suppress(Exception), source.open(row) as image:  # Pillow raises nearly anything on damaged files
            if decoded:
                image.draft(None, (2 * LARGEST_AUTO, 2 * LARGEST_AUTO))  # colours and modes of a JPEG need no detail
                image.load()
            return measure(image)
        return None

    return [(row, found) for row, found in zip(rows, pool.map(attempt, rows), strict=True) if found is not None]
