"""Images that already are arrays: parts of numbers (n, h, w) or (n, h, w, c) → a `Source`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.pixels import to_uint8, value_range
from latentviz.modalities.image.source import Source
from latentviz.modalities.io.names import PART

_BLOCK_BYTES = 2**25  # what is looked at in one go when a whole array is passed over


@dataclass(frozen=True)
class Part:
    """One array of images of a data set.

    Attributes:
        name: "train", "test", or what the file is called; the ids begin with it.
        images: numbers (n, h, w) or (n, h, w, c) with c 1, 3 or 4, of any type, best memory-mapped.
        labels: n class names, or None.
        origin: the file.
    """

    name: str
    images: np.ndarray
    labels: Sequence[str | None] | None
    origin: str


def array_source(parts: Sequence[Part], notes: Sequence[str] = (), ids: Sequence[str] | None = None) -> Source:
    """Returns the images of all parts in their order.

    Args:
        parts: at least one.
        notes: lines for the user that the reader has already.
        ids: what to call the items; None: part and row, as in "train/12".

    Raises:
        DataError: an array is empty, or has values that are no numbers.
    """
    for part in parts:
        if part.images.size == 0:
            raise DataError(
                f"{part.origin}: holds no images (an array of shape {part.images.shape}); check how it was made"
            )
    low, high = (f(ends) for f, ends in zip((min, max), zip(*map(_ends, parts), strict=True), strict=True))
    integer = all(part.images.dtype.kind in "iub" for part in parts)
    black, white = value_range(low, high, integer=integer)
    starts = [0, *accumulate(len(part.images) for part in parts)]

    def open_row(i: int) -> Image.Image:
        which = int(np.searchsorted(starts, i, side="right")) - 1
        pixels = to_uint8(np.asarray(parts[which].images[i - starts[which]]), black, white)
        return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)

    rows = [(part, row) for part in parts for row in range(len(part.images))]
    labels: list[str | None] = []
    for part in parts:
        labels += part.labels if part.labels is not None else [None] * len(part.images)
    return Source(
        ids=ids or [f"{part.name}/{row}" for part, row in rows],
        origins=[f"{part.origin}#{row}" for part, row in rows],
        labels=labels,
        open=open_row,
        columns={PART: [part.name for part, _ in rows]} if len(parts) > 1 else {},
        notes=[*notes, *_scale_note(low, high, black, white)],
    )


def _scale_note(low: float, high: float, black: float, white: float) -> list[str]:
    if (black, white) == (0, 255):
        return []
    return [f"values lie between {low:g} and {high:g}: {black:g} is black and {white:g} is white"]


def _ends(part: Part) -> tuple[float, float]:
    """Returns the least and the greatest value of a part.

    Raises:
        DataError: a value is NaN or infinite.
    """
    ends = []
    for start, block in blocks(part.images):
        low, high = block.min(), block.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            row = start + int(np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))[0])
            raise DataError(
                f"{part.origin}: row {row} has values that are NaN or infinite; an image needs a number for "
                "every pixel; replace them, with numpy.nan_to_num for instance"
            )
        ends.append((float(low), float(high)))
    return min(low for low, _ in ends), max(high for _, high in ends)


def blocks(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, block) of an array, in blocks of some megabytes."""
    rows = max(1, _BLOCK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), rows):
        yield start, images[start : start + rows]
