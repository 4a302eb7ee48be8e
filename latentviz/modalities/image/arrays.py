"""Images in arrays (n, h, w) or (n, h, w, c), and NumPy's .npy and .npz files, as a `Source`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.pixels import known_range, to_uint8, value_range
from latentviz.modalities.io.memory import named, stem
from latentviz.modalities.io.names import LABEL_NAMES, PART, PARTS, as_label, choose_column, printable
from latentviz.modalities.io.numpy_files import Header, listing, read_array, read_headers, row_blocks
from latentviz.modalities.io.source import ImageSource
from latentviz.progress import plural

# Names of image arrays in .npz files, in order of preference; "" stands for arrays named only "train" or "test".
_IMAGE_NAMES = ("x", "images", "image", "imgs", "img", "data", "arr_0", "")
_PART_ORDER = ("", "train", "validation", "test")
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Part:
    """One array of images of a data set."""

    name: str  # "train", "test" or the file's name; the ids begin with it
    images: np.ndarray  # (n, h, w) or (n, h, w, c) with c 1, 3 or 4, any number type, preferably memory-mapped
    labels: Sequence[str | None] | None  # n class names
    origin: str  # the file


def array_source(
    parts: Sequence[Part],
    notes: Sequence[str] = (),
    ids: Sequence[str] | None = None,
    trained: tuple[float, float] | None = None,
) -> ImageSource:
    """Joins the images of one or more parts, in order; the default ids are part and row, as in "train/12".

    `trained`: the values of black and white that a trained model knows, for new images.
    """
    for part in parts:
        if part.images.size == 0:
            raise DataError(f"{part.origin}: holds no images (got shape {part.images.shape}); check how it was made")
    lows, highs = zip(*map(_extremes, parts), strict=True)
    low, high = min(lows), max(highs)
    integer = all(part.images.dtype.kind in "iub" for part in parts)
    black, white = known_range(trained, low, high, integer=integer) or value_range(low, high, integer=integer)
    starts = [0, *accumulate(len(part.images) for part in parts)]

    def open_row(i: int) -> Image.Image:
        which = int(np.searchsorted(starts, i, side="right")) - 1
        pixels = to_uint8(np.asarray(parts[which].images[i - starts[which]]), black, white)
        return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)

    scale = [f"values range from {low:g} to {high:g}: {black:g} is black and {white:g} is white"]
    rows = [(part, row) for part in parts for row in range(len(part.images))]
    return ImageSource(
        ids=ids or [f"{part.name}/{row}" for part, row in rows],
        origins=[f"{part.origin}#{row}" for part, row in rows],
        labels=[label for part in parts for label in part.labels or [None] * len(part.images)],
        open=open_row,
        columns={PART: [part.name for part, _ in rows]} if len(parts) > 1 else {},
        notes=[*notes, *([] if (black, white) == (0, 255) else scale)],
        values=(black, white),
    )


def _extremes(part: Part) -> tuple[float, float]:
    """Finds the least and the greatest value; raises a DataError if one is NaN or infinite."""
    extremes: list[float] = []
    for start, block in row_blocks(part.images):
        low, high = block.min(), block.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            row = start + int(np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))[0])
            raise DataError(
                f"{part.origin}: row {row} has values that are NaN or infinite; every pixel needs a number; "
                "replace them, for example with numpy.nan_to_num"
            )
        extremes += [float(low), float(high)]
    return min(extremes), max(extremes)


def may_be_images(header: Header) -> bool:
    """Whether an array of a .npy or .npz file may be images."""
    return header.dtype.kind in "buif" and len(header.shape) in (3, 4)


def read_npy(path: Path, data: ImageData, trained: tuple[float, float] | None = None) -> ImageSource:
    """Reads the images in a .npy or .npz file; joins arrays such as x_train and x_test."""
    headers = read_headers(path)
    chosen = [("", "", None)] if "" in headers else _choose_arrays(path, headers, data)
    parts: list[Part] = []
    notes: list[str] = []
    for part, image_key, label_key in chosen:
        shown = named(str(path))
        origin = printable(f"{shown}/{image_key}" if image_key else shown)
        array = read_array(path, image_key, headers[image_key])
        images = as_images(array, origin)
        notes += _ambiguous(array.shape)
        labels = None
        if label_key is not None:
            where = printable(f"{path}/{label_key}")
            labels = as_labels(read_array(path, label_key, headers[label_key]), len(images), where)
        parts.append(Part(part or stem(path), images, labels, origin))
    if image_keys := [key for _, key, _ in chosen if key]:
        label_keys = [key for _, _, key in chosen if key]
        notes += [f"images: {' and '.join(image_keys)}; labels: {' and '.join(label_keys) or 'none found'}"]
    return array_source(parts, notes, trained=trained)


def as_images(array: np.ndarray, origin: str) -> np.ndarray:
    """Views an array as (n, h, w) or (n, h, w, c); its shape shows the layout."""
    wanted = "images have the shape (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1, 3 or 4"
    if array.dtype.kind not in "buif":
        raise DataError(f"{origin}: an array of {array.dtype}; images are of integers or floats; convert it")
    if array.ndim == 3 and array.shape[-1] in CHANNELS:
        raise DataError(f"{origin}: {array.shape} is the shape of one image; {wanted}; stack several with numpy.stack")
    if array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in CHANNELS):
        return array
    if array.ndim == 4 and array.shape[1] in CHANNELS:
        return np.moveaxis(array, 1, -1)
    raise DataError(f"{origin}: an array of shape {array.shape}; {wanted}; convert it with numpy.reshape")


def axes(shape: tuple[int, ...]) -> str:
    """Says which axes of an array `as_images` takes for what.

    >>> axes((9, 8, 8)), axes((9, 8, 8, 3)), axes((9, 3, 8, 8))
    ('(n, h, w)', '(n, h, w, c)', '(n, c, h, w)')
    """
    if len(shape) == 3:
        return "(n, h, w)"
    return "(n, h, w, c)" if shape[-1] in CHANNELS else "(n, c, h, w)"


def _ambiguous(shape: tuple[int, ...]) -> list[str]:
    """Returns the note on images whose second and last axis could both be the channels."""
    if len(shape) != 4 or shape[1] not in CHANNELS or shape[-1] not in CHANNELS or shape[1] == shape[-1] == 1:
        return []
    return [
        (
            f"channels: the second and the last axis of {shape} could both be these; the last one is taken; "
            "numpy.moveaxis(x, 1, -1) makes the second one the last"
        )
    ]


def as_labels(array: np.ndarray, n: int, where: str) -> list[str | None]:
    """Converts an array (n,), (n, 1), or one-hot (n, classes) to n labels."""
    if array.ndim == 2 and array.shape[1] > 1:
        array = array.argmax(axis=1)
    values = [as_label(value) for value in array.reshape(-1).tolist()]
    if len(values) != n:
        raise DataError(
            f"{where}: {plural(len(values), 'label')} for {plural(n, 'image')}; every image needs one label; "
            "correct the labels, or choose others with data.label_column=NAME, or none"
        )
    return values


def _part_and_role(key: str) -> tuple[str, str]:
    """Splits "x_train" into "train" and "x", "images" into "" and "images"."""
    words = re.split(r"[_\-.]", key.lower())
    part = next((PARTS[word] for word in reversed(words) if word in PARTS), "")
    return part, "_".join(word for word in words if word not in PARTS)


def _choose_arrays(path: Path, headers: Mapping[str, Header], data: ImageData) -> list[tuple[str, str, str | None]]:
    """Chooses (part, key of the images, key of the labels) for every part of an .npz file."""
    chosen = choose_column(list(headers), "image_column", data.image_column, what="array")
    label = choose_column(list(headers), "label_column", data.label_column, what="array")
    if chosen:
        found = {_part_and_role(chosen)[0]: chosen}
    else:
        found = _best(headers, _IMAGE_NAMES, may_be_images)
        candidates = [key for key, header in headers.items() if may_be_images(header)]
        if not found and len(candidates) == 1:
            found = {"": candidates[0]}
        if not found:
            raise DataError(
                f"{printable(str(path))}: cannot tell which array holds the images; it has {listing(headers)}; "
                "name it with data.image_column=NAME"
            )
    if "" in found:
        found = {"": found[""]}
    labels = dict.fromkeys(found, label) if label else {}
    if data.label_column == "auto":
        labels = _best(headers, LABEL_NAMES, lambda header: len(header.shape) in (1, 2))
    return [(part, found[part], labels.get(part)) for part in sorted(found, key=_PART_ORDER.index)]


def _best(headers: Mapping[str, Header], names: Sequence[str], fits: Callable[[Header], bool]) -> dict[str, str]:
    """Finds, for every part, the fitting key whose role comes first in `names`."""
    ranked = []
    for key, header in headers.items():
        part, role = _part_and_role(key)
        if role in names and (role or part) and fits(header):
            ranked.append((names.index(role), key, part))
    return {part: key for _, key, part in sorted(ranked, reverse=True)}
