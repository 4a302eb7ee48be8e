"""Lists: of strings, of paths, of images, of arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from latentviz.errors import ObjectError
from latentviz.modalities.io.columns import as_column
from latentviz.modalities.io.files import suffix_of
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.roles import IMAGE_SUFFIXES
from latentviz.modalities.memory.arrays import numbers, numpy_of
from latentviz.modalities.memory.columns import of_columns
from latentviz.progress import plural

if TYPE_CHECKING:
    from PIL import Image

_LOOKED_AT = 20  # strings that tell whether they are paths
_TEXTS = {".txt", ".text", ".md", ".rst"}


def sequence(values: Sequence[Any], kind: str | None, said: str = "") -> InMemory:
    """Converts a list: the type of its items says of what.

    Raises:
        ObjectError: it is empty, mixes types, or holds something that cannot be learnt from.
    """
    said = said or f"{type(values).__name__} ({len(values)})"
    if not len(values):
        raise ObjectError(f"{said}: is empty; give some items")
    types = Counter(map(type, values))
    present = {kind_of_type: _what(kind_of_type) for kind_of_type in types if kind_of_type is not type(None)}
    whats = set(present.values())
    if len(whats) > 1:
        found = ", ".join(f"{types[t]:,} of type {t.__name__}" for t in list(present)[:4])
        raise ObjectError(f"{said}: mixes items of different kinds ({found}); give a list of one kind")
    what = next(iter(whats), "nothing")
    if what in _MAKERS:
        return _MAKERS[what](values, kind, said)
    name = next((t.__name__ for t in present), "None")
    raise ObjectError(
        f"{said}: holds objects of type {name}, which cannot be learnt from; give a list of strings, images, paths, "
        "or arrays of one shape"
    )


def _what(kind: type) -> str:
    names = {c.__name__ for c in kind.__mro__}
    if issubclass(kind, str):
        return "strings"
    if hasattr(kind, "__fspath__"):
        return "paths"
    if "Image" in names and hasattr(kind, "getexif"):
        return "images"
    if issubclass(kind, (np.ndarray, list, tuple)) or "Tensor" in names:
        return "arrays"
    if issubclass(kind, dict):
        return "rows"
    return "numbers" if issubclass(kind, (int, float, np.number)) else "others"


def _strings(values: Sequence[Any], kind: str | None, said: str) -> InMemory:
    """Strings are texts, unless the first of them name files."""
    first = [value for value in values[:_LOOKED_AT] if value]
    if kind != "text" and first:
        files = [_is_file(value) for value in first]
        named = all(len(value) < 4096 and suffix_of(value) in IMAGE_SUFFIXES for value in first)
        if all(files) or ((named or kind == "image") and any(files)):
            return _paths(values, kind, said)
        if named or kind == "image":
            raise ObjectError(
                f"{said}: paths of images that do not exist, such as {printable(first[0])}; correct them, or learn "
                "from the strings as texts with data.kind=text"
            )
    try:
        texts = pa.array(values, pa.string())
    except (UnicodeEncodeError, pa.ArrowException):  # halves of surrogate pairs, or more than 2 GB
        texts = as_column(list(values))
    return InMemory(shown=said, n=len(values), kind="text", texts=texts)


def _is_file(text: str) -> bool:
    try:
        return len(text) < 4096 and "\n" not in text and Path(text).expanduser().is_file()
    except (OSError, ValueError):
        return False


def _paths(values: Sequence[Any], kind: str | None, said: str) -> InMemory:
    """Paths are files of images or of texts."""
    files = [Path(value).expanduser().absolute() for value in values if value is not None and str(value).strip()]
    if len(files) < len(values):
        raise ObjectError(f"{said}: {len(values) - len(files):,} of its paths are None or empty; leave them out")
    suffixes = {suffix_of(file.name) for file in files}
    found = {"image" if suffix in IMAGE_SUFFIXES else "text" if suffix in _TEXTS else suffix for suffix in suffixes}
    what = kind or (next(iter(found)) if len(found) == 1 else "")
    if what not in {"image", "text"}:
        raise ObjectError(
            f"{said}: paths of files that are not all images or all texts (got {', '.join(sorted(suffixes))}); give "
            "paths of one kind, or say the kind with data.kind=image or data.kind=text"
        )
    note = f"{said}: {plural(len(files), 'path')} of files; data.kind=text takes strings as the texts themselves"
    return InMemory(shown=said, n=len(files), kind=what, files=files, notes=[note])


def _images(values: Sequence[Any], kind: str | None, said: str) -> InMemory:
    """Images of Pillow, each copied when it is read, so that the user's stay open."""
    del kind
    if missing := sum(value is None for value in values):
        raise ObjectError(f"{said}: {missing:,} of its images are None; leave them out")
    return InMemory(shown=said, n=len(values), kind="image", images=opener(values))


def opener(images: Sequence[Any]) -> Callable[[int], Image.Image]:
    """Returns what opens image i of a list."""

    def open_image(i: int) -> Image.Image:
        copy: Image.Image = images[i].copy()
        return copy

    return open_image


def _arrays(values: Sequence[Any], kind: str | None, said: str) -> InMemory:
    """Arrays, tensors or lists of numbers, all of one shape."""
    rows = [numpy_of(value) if hasattr(value, "detach") else value for value in values]
    try:
        shapes = [np.shape(row) for row in rows]
    except ValueError:  # NumPy says so of lists of lists of different lengths
        shapes = [(-1,)]
    other = next((row for row, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None or shapes[0] == (-1,):
        got = "" if other is None else f"; row {other} has the shape {shapes[other]}, and row 0 {shapes[0]}"
        raise ObjectError(f"{said}: its items differ in shape{got}; give every item the same shape")
    stacked = np.asarray(rows)
    if stacked.dtype.kind not in "buif":
        raise ObjectError(
            f"{said}: its items hold values that are not numbers ({stacked.dtype}); correct or remove them"
        )
    del kind
    return numbers(stacked, said)


def _rows(values: Sequence[Any], kind: str | None, said: str) -> InMemory:
    """Dicts are the rows of a table."""
    del kind
    names = list(dict.fromkeys(name for row in values for name in row or ()))
    return of_columns({str(name): [(row or {}).get(name) for row in values] for name in names}, said)


_MAKERS: dict[str, Callable[[Sequence[Any], str | None, str], InMemory]] = {
    "strings": _strings,
    "paths": _paths,
    "images": _images,
    "arrays": _arrays,
    "rows": _rows,
}
