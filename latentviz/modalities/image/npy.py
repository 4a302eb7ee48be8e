"""NumPy's .npy and .npz files → a `Source`. Pickled objects are never loaded."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.image.arrays import Part, array_source
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.source import Source
from latentviz.modalities.io.names import LABEL_NAMES, PARTS, as_label, printable
from latentviz.modalities.io.numpy_files import Header, listing, read_array, read_headers

# What arrays of images are called in .npz files, the likeliest first; "" is for those only called "train".
_IMAGE_NAMES = ("x", "images", "image", "imgs", "img", "data", "arr_0", "")
_ORDER = ("", "train", "validation", "test")


def npy_has_images(path: Path) -> bool:
    """Returns whether a .npy or .npz file holds an array that can be images."""
    return any(_images(header) for header in read_headers(path).values())


def _images(header: Header) -> bool:
    """Returns whether this can be an array of images: numbers in 3 or 4 dimensions."""
    return header.dtype.kind in "buif" and len(header.shape) in (3, 4)


def read_npy(path: Path, data: ImageData) -> Source:
    """Returns the images in a .npy or .npz file; x_train and x_test and their like are joined.

    Raises:
        DataError: the file is damaged, or has no array of images, or not as many labels as images.
    """
    headers = read_headers(path)
    pairs = [("", "", None)] if path.suffix.lower() == ".npy" else _choose(path, headers, data)
    parts, notes = [], []
    for part, image_key, label_key in pairs:
        origin = printable(f"{path}/{image_key}" if image_key else str(path))
        images = as_images(read_array(path, image_key, headers[image_key]), origin)
        labels = None
        if label_key is not None:
            labels = _labels(read_array(path, label_key, headers[label_key]), len(images), path, label_key)
        parts.append(Part(part or printable(path.stem), images, labels, origin))
    if image_keys := [key for _, key, _ in pairs if key]:
        label_keys = [key for _, _, key in pairs if key]
        notes = [f"images: {' and '.join(image_keys)}; labels: {' and '.join(label_keys) or 'none found'}"]
    return array_source(parts, notes)


def as_images(array: np.ndarray, origin: str) -> np.ndarray:
    """Returns a view (n, h, w) or (n, h, w, c) of an array whose layout is told by its shape.

    Raises:
        DataError: it is none of these, or holds no numbers.
    """
    if array.dtype.kind not in "buif":
        raise DataError(f"{origin}: an array of {array.dtype}; images are of integers or floats")
    wanted = "images have the shape (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1, 3 or 4"
    if array.ndim == 3 and array.shape[-1] in (1, 3, 4):
        raise DataError(
            f"{origin}: the shape {array.shape} is that of one picture; {wanted}; stack many with numpy.stack"
        )
    if array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3, 4)):
        return array
    if array.ndim == 4 and array.shape[1] in (1, 3, 4):
        return np.moveaxis(array, 1, -1)
    raise DataError(f"{origin}: an array of shape {array.shape}; {wanted}; bring it there with numpy.reshape")


def _labels(array: np.ndarray, n: int, path: Path, key: str) -> list[str | None]:
    """Returns n labels from an array (n,), (n, 1), or one-hot (n, classes)."""
    if array.ndim == 2 and array.shape[1] > 1:
        array = array.argmax(axis=1)
    values = [as_label(value) for value in array.reshape(-1).tolist()]
    if len(values) != n:
        raise DataError(
            f"{printable(str(path))}: {printable(key)} has {len(values)} labels for {n} images; one label an "
            "image is needed; choose another array with data.label_column=…, or none"
        )
    return values


def _split_key(key: str) -> tuple[str, str]:
    """Returns part and role: "x_train" gives "train" and "x", "images" gives "" and "images"."""
    part, rest = "", []
    for word in re.split(r"[_\-.]", key.lower()):
        if word in PARTS:
            part = PARTS[word]
        else:
            rest.append(word)
    return part, "_".join(rest)


def _choose(path: Path, headers: Mapping[str, Header], data: ImageData) -> list[tuple[str, str, str | None]]:
    """Returns (part, key of the images, key of the labels) for every part of an .npz file."""
    name = printable(str(path))
    for setting, key in (("image_column", data.image_column), ("label_column", data.label_column)):
        if key not in {"auto", "none"} and key not in headers:
            raise DataError(
                f"data.{setting}: {name} has no array {key!r}; it has {listing(headers)}.{did_you_mean(key, headers)}"
            )
    if data.image_column != "auto":
        found = {_split_key(data.image_column)[0]: data.image_column}
    else:
        found = _best(headers, _IMAGE_NAMES, _images)
        others = [key for key, header in headers.items() if _images(header)]
        if not found and len(others) == 1:
            found = {"": others[0]}
        if not found:
            raise DataError(
                f"{name}: none of its arrays is known to be images; it has {listing(headers)}; say which "
                "with data.image_column=…"
            )
    if "" in found:
        found = {"": found[""]}
    labels = (
        {} if data.label_column == "none" else _best(headers, LABEL_NAMES, lambda header: len(header.shape) in (1, 2))
    )
    if data.label_column not in {"auto", "none"}:
        labels = dict.fromkeys(found, data.label_column)
    return [(part, found[part], labels.get(part)) for part in sorted(found, key=_ORDER.index)]


def _best(headers: Mapping[str, Header], names: Sequence[str], fits: Any) -> dict[str, str]:
    """Returns for every part the fitting key whose role stands first in `names`."""
    best: dict[str, tuple[int, str]] = {}
    for key, header in headers.items():
        part, role = _split_key(key)
        if role in names and (role or part) and fits(header):
            rank = names.index(role), key
            best[part] = min(best.get(part, rank), rank)
    return {part: key for part, (_, key) in best.items()}
