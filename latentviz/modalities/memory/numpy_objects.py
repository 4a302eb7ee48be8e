"""NumPy's arrays of any dtype, and dicts of arrays or columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from latentviz.errors import ObjectError
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.io.names import printable
from latentviz.modalities.memory.arrays import numbers, numpy_of
from latentviz.modalities.memory.columns import lengths_of, of_columns, shown
from latentviz.modalities.memory.lists import sequence
from latentviz.progress import plural


def array(x: Any, kind: str | None) -> InMemory:
    """Converts a NumPy array, or an object that converts itself to one: images, vectors, or strings."""
    said = shown(x)
    values = np.asarray(x)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ObjectError(f"{said}: has masked values; fill them with x.filled(0), or leave their rows out")
    if values.dtype.names:  # a structured array
        return of_columns({name: values[name] for name in values.dtype.names}, said)
    if values.ndim == 1 and values.dtype.kind in "OUSTV":
        return sequence(values.tolist(), kind, said)
    return numbers(values, said)


def mapping(x: Mapping[Any, Any], kind: str | None) -> InMemory:
    """Converts a dict: of arrays, as an .npz file holds them; of lists, as the columns of a table."""
    names = [printable(str(name)).replace("/", "_") for name in list(x)[:4]]
    said = f"{type(x).__name__} ({', '.join(names)}{', …' if len(x) > 4 else ''})"
    if not x:
        raise ObjectError("a dict without entries: give arrays or columns by name")
    values = {str(name): numpy_of(v) if hasattr(v, "detach") else v for name, v in x.items()}
    objects = [name for name, v in values.items() if isinstance(v, np.ndarray) and v.dtype.hasobject and v.ndim != 1]
    if objects:
        raise ObjectError(f"{said}: {objects[0]} is an array of Python objects; convert it with x.astype('float32')")
    if n := max((len(v) for v in values.values() if isinstance(v, np.ndarray) and v.ndim > 1), default=0):
        given = {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}
        if wrong := [name for name, length in lengths_of(given, said).items() if length != n]:
            raise ObjectError(
                f"{said}: {wrong[0]} has {plural(len(given[wrong[0]]), 'value')} for {plural(n, 'item')}; give each one"
            )
        arrays = {name: _of_plain(value) for name, value in values.items()}
        return InMemory(shown=said, n=n, kind=kind, arrays=arrays)
    return of_columns(values, said)


def _of_plain(values: Any) -> np.ndarray:
    """Returns an array of numbers or strings, as an .npz file holds it; None and NaN in a list of texts are empty."""
    array = np.asarray(values)
    if not array.dtype.hasobject:
        return array
    return np.array(["" if value is None or value != value else str(value) for value in array.tolist()])  # noqa: PLR0124
