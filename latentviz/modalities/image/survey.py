"""Looks at a sample of the images to decide what all are turned into: size, channels, scale of values."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import numpy as np
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.pixels import (
    DEEP_MODES,
    GREY_MODES,
    Header,
    Unreadable,
    deep_values,
    flatten,
    header,
    is_grey,
    value_range,
)
from latentviz.modalities.image.source import Source

T = TypeVar("T")

LARGEST_KEPT = 128  # pixels: images that all have one size up to this stay as they are
LARGEST_AUTO = 64  # pixels: longer side otherwise, which a CPU still trains on in minutes
SMALLEST, LARGEST = 8, 512  # pixels a side: what the networks are built for

_HEADERS = 4096  # headers read for sizes and modes: the median's error is below 2 %
_DECODED = 512  # images decoded for colour and value range
_GREY_BLOCK = 32


@dataclass(frozen=True)
class Shape:
    """What every image is turned into.

    Attributes:
        channels: 1 or 3.
        height: in pixels.
        width: in pixels.
        scale: the values of black and white in images with more than 8 bits, None if there are none.
        notes: lines for the user: what was decided and why.
    """

    channels: int
    height: int
    width: int
    scale: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def chw(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    def resolve(self, data: ImageData) -> ImageData:
        """Returns the settings with what was decided in the place of `auto`."""
        size = self.height if self.height == self.width else (self.height, self.width)
        return data.model_copy(update={"size": size, "channels": self.channels})


def survey(source: Source, data: ImageData, pool: ThreadPoolExecutor) -> Shape:
    """Returns the shape that `data` asks for, or where it says auto, the one that suits the images.

    Raises:
        DataError: the size asked for is outside what the networks are built for.
    """
    rows = spread(len(source), _HEADERS)
    seen = _look(source, rows, header, pool, decoded=False)
    headers = [head for _, head in seen]
    height, width, notes = choose_size(headers, data)
    deep = [row for row, head in seen if head.mode in DEEP_MODES]
    scale = _deep_scale(source, deep, pool) if deep else None
    if scale is not None and scale != (0, 65535):
        notes.append(f"images with more than 8 bits: {scale[0]:g} is black and {scale[1]:g} is white")
    channels = data.channels
    if channels == "auto":
        coloured = [row for row, head in seen if head.mode not in GREY_MODES]
        channels = 1 if _all_grey(source, coloured, pool) else 3
        if channels == 1 and coloured:
            notes.append("the images are stored in colour, but all that were looked at are grey: 1 channel")
    return Shape(channels, height, width, scale, notes)


def spread(n: int, most: int) -> list[int]:
    """Returns at most `most` of n rows, evenly spread.

    >>> spread(10, 3)
    [0, 4, 9]
    """
    if n <= most:
        return list(range(n))
    return [int(row) for row in np.linspace(0, n - 1, most).astype(np.int64)]


def choose_size(headers: Sequence[Header], data: ImageData) -> tuple[int, int, list[str]]:
    """Returns height, width, and the lines that say why."""
    if data.size != "auto":
        height, width = (data.size, data.size) if isinstance(data.size, int) else data.size
        if min(height, width) < SMALLEST or max(height, width) > LARGEST:
            raise DataError(
                f"data.size: a side must be from {SMALLEST} to {LARGEST} pixels (got {height}×{width}); "
                "leave it out to have it chosen from the images"
            )
        return height, width, []
    if not headers:  # every image that was looked at is damaged: the reading ends with an error that says so
        return SMALLEST, SMALLEST, []
    sizes = {(head.height, head.width) for head in headers}
    high, wide = median(head.height for head in headers), median(head.width for head in headers)
    if len(sizes) == 1 and max(high, wide) <= LARGEST_KEPT:
        height, width = max(int(high), SMALLEST), max(int(wide), SMALLEST)
        return height, width, [f"every image has {high:g}×{wide:g} pixels (height × width)"]
    ratios = [head.width / head.height for head in headers]
    alike = max(ratios) / min(ratios) < 1.02  # the same but for rounding
    if not alike:
        high = wide = min(high, wide)
    factor = min(1.0, LARGEST_AUTO / max(high, wide))
    height, width = (max(SMALLEST, round(side * factor)) for side in (high, wide))
    what = f"{len(sizes)} sizes" if len(sizes) > 1 else "one size"
    shapes = "one aspect ratio" if alike else f"several aspect ratios (made to fit by data.fit={data.fit})"
    note = f"images of {what} and {shapes} become {height}×{width} pixels; data.size={LARGEST_KEPT} shows more"
    return height, width, [note]


def _deep_scale(source: Source, rows: Sequence[int], pool: ThreadPoolExecutor) -> tuple[float, float] | None:
    """Returns the values of black and white for a whole set, so that its images stay comparable."""

    def ends(image: Image.Image) -> tuple[float, float, bool]:
        values = deep_values(image)
        return float(values.min()), float(values.max()), values.dtype.kind in "iu"

    seen = [found for _, found in _look(source, _thin(rows), ends, pool, decoded=True)]
    if not seen:
        return None
    lows, highs, integer = zip(*seen, strict=True)
    return value_range(min(lows), max(highs), integer=all(integer))


def _all_grey(source: Source, rows: Sequence[int], pool: ThreadPoolExecutor) -> bool:
    thin = _thin(rows)
    for start in range(0, len(thin), _GREY_BLOCK):  # where there is colour, the first few show it
        block = thin[start : start + _GREY_BLOCK]
        if not all(grey for _, grey in _look(source, block, _shows_no_colour, pool, decoded=True)):
            return False
    return True


def _shows_no_colour(image: Image.Image) -> bool:
    return is_grey(flatten(image))


def _thin(rows: Sequence[int]) -> list[int]:
    return [rows[place] for place in spread(len(rows), _DECODED)]


def _look(
    source: Source,
    rows: Sequence[int],
    see: Callable[[Image.Image], T],
    pool: ThreadPoolExecutor,
    *,
    decoded: bool,
) -> list[tuple[int, T]]:
    """Returns (row, what `see` made of the image) for the rows that can be read.

    The others are not counted here: they are when all images are decoded.
    """

    def attempt(row: int) -> T | None:
        try:
            image = source.open(row)
            if decoded:
                image.draft(None, (2 * LARGEST_AUTO, 2 * LARGEST_AUTO))  # JPEG's colours and modes need no detail
                image.load()
        except Exception:  # noqa: BLE001 - damaged files make Pillow raise nearly anything
            return None
        try:
            return see(image)
        except Unreadable:
            return None
        finally:
            image.close()

    return [(row, seen) for row, seen in zip(rows, pool.map(attempt, rows), strict=True) if seen is not None]
