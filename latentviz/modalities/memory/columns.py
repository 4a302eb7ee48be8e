"""Columns of any library → one Arrow table."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from latentviz.errors import ObjectError
from latentviz.modalities.io.columns import as_column
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.io.names import printable


def shown(x: Any) -> str:
    """Returns the type and the shape of an object, for messages and the config."""
    shape = tuple(x.shape) if hasattr(x, "shape") else (len(x),)
    return f"{type(x).__name__} {str(tuple(map(int, shape))).replace(',)', ')')}"


def checked(table: pa.Table, said: str) -> pa.Table:
    """Returns a table that has rows and columns; an ObjectError otherwise."""
    if not table.num_columns:
        raise ObjectError(f"{said}: has no columns; give a table with columns of numbers, texts, vectors or images")
    if not len(table):
        raise ObjectError(f"{said}: has no rows; check how it was made")
    return table


def of_columns(columns: Mapping[str, Any], said: str, **given: Any) -> InMemory:
    """Makes a table of columns, which are arrays, lists or Series; a column of images is kept apart.

    Raises:
        ObjectError: the columns differ in length, or one mixes kinds of values.
    """
    lengths = lengths_of(columns, said)
    if len(set(lengths.values())) > 1:
        raise ObjectError(
            f"{said}: its columns differ in length ({', '.join(f'{k}: {v:,}' for k, v in lengths.items())})"
        )
    made: dict[str, Any] = {}
    for name, values in columns.items():
        if isinstance(values, pa.Array | pa.ChunkedArray):
            made[name] = values
            continue
        if getattr(getattr(values, "dtype", None), "kind", "O") != "O" and getattr(values, "ndim", 1) == 1:
            made[name] = as_arrow(values, name, said)
            continue
        made[name] = _objects(list(values), name, said)
    return InMemory(shown=said, n=next(iter(lengths.values()), 0), table=checked(pa.table(made), said), **given)


def lengths_of(columns: Mapping[str, Any], said: str) -> dict[str, int]:
    """Returns the number of values in each column; an ObjectError for one that holds a single value."""
    for name, values in columns.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0:
            raise ObjectError(
                f"{said}: {printable(name)} is of type {type(values).__name__}; give each column as a list or an array "
                "with a value per item"
            )
    return {name: len(values) for name, values in columns.items()}


def as_arrow(values: Any, name: str, said: str) -> Any:
    """Converts an array or a Series with a dtype to Arrow; NaN in a Series is a missing value."""
    try:
        dense = values.sparse.to_dense() if str(values.dtype).startswith("Sparse") else values
        if str(dense.dtype) == "category" and str(dense.cat.categories.dtype).startswith(("interval", "period")):
            dense = dense.cat.rename_categories(str)  # of pandas.cut
        return pa.array(dense, from_pandas=True) if hasattr(dense, "iloc") else pa.array(dense)
    except (pa.ArrowException, TypeError, ValueError):
        raise ObjectError(
            f"{said}: column {printable(name)}: holds values of type {values.dtype}, which a table cannot hold; "
            "convert them to numbers or texts, or leave the column out"
        ) from None


def _objects(values: list[Any], name: str, said: str) -> Any:
    """Converts a column of Python objects: strings, paths, images, or vectors; NaN is a missing value."""
    values = [None if isinstance(value, float) and value != value else value for value in values]  # noqa: PLR0124
    shown_as = f"{said}: column {printable(name)}"
    present = [value for value in values if value is not None]
    if any(hasattr(kind, "getexif") for kind in set(map(type, present))):
        return _encoded_images(values, shown_as)
    first: Any = present[0] if present else None
    if hasattr(first, "__fspath__"):
        values = [None if value is None else str(value) for value in values]
    if isinstance(first, np.ndarray) or hasattr(first, "detach"):
        if len(first.shape) != 1:
            raise ObjectError(
                f"{shown_as}: holds arrays of shape {tuple(first.shape)}; vectors have one axis; give images as one "
                "array, numpy.stack(values), with the other columns as columns="
            )
        values = [None if value is None else np.asarray(value) for value in values]
        return pa.array(values)
    return as_column(values)


def _encoded_images(values: Sequence[Any], said: str) -> pa.Array:
    """Encodes a column of images as Hugging Face data sets hold them, without loss."""
    cells: list[dict[str, bytes | None] | None] = []
    for row, value in enumerate(values):
        if value is not None and not hasattr(value, "getexif"):
            raise ObjectError(
                f"{said}: row {row} is of type {type(value).__name__}, and others are images; keep one kind"
            )
        if value is None:
            cells.append(None)
            continue
        content = io.BytesIO()
        value.save(content, "TIFF" if value.mode in {"F", "I", "I;16", "CMYK", "YCbCr", "LAB"} else "PNG")
        cells.append({"bytes": content.getvalue(), "path": None})
    return pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
