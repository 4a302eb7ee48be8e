"""Vectors in NumPy's .npy and .npz files → a `Source`; labels, ids and texts of an .npz beside them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.io.names import as_label, find_label, printable
from latentviz.modalities.io.numpy_files import Header, listing, read_array, read_headers
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.source import BLOCK_BYTES, ID_NAMES, TEXT_NAMES, Source, by_name, check_shape

# What arrays of vectors are called in .npz files, the likeliest first.
_VECTOR_NAMES = ("vectors", "embeddings", "embedding", "emb", "features", "x", "data", "arr_0")


def _fits(header: Header) -> bool:
    return header.dtype.kind in "buif" and len(header.shape) == 2


def read_arrays(path: Path, data: VectorData) -> Source:
    """Returns the vectors of a .npy or .npz file.

    Raises:
        DataError: the file is damaged, or has no array of vectors, or what lies beside them has not as many rows.
    """
    headers = read_headers(path)
    key = "" if path.suffix.lower() == ".npy" else _choose(path, headers, data)
    origin = printable(f"{path}/{key}" if key else str(path))
    header = headers[key]
    if header.dtype.hasobject:
        raise DataError(
            f"{origin}: holds Python objects, which can run code and are never loaded, as arrays of rows "
            "of different lengths do; give every row as many numbers and save them with "
            "numpy.stack(rows).astype('float32')"
        )
    if header.dtype.kind not in "buif":
        raise DataError(
            f"{origin}: an array of {header.dtype}; vectors are of integers or real floats; save them as float32"
        )
    shape = check_shape(header.shape, origin)
    array = read_array(path, key, header)
    others = {name: other for name, other in headers.items() if name != key}
    return _with_names(path, data, others, Source(origin, shape, lambda: blocks(array)))


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yields an array (n, d) in blocks of some megabytes."""
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield np.asarray(array[start : start + rows])


def _choose(path: Path, headers: Mapping[str, Header], data: VectorData) -> str:
    """Returns the key of the vectors."""
    name = printable(str(path))
    if data.array != "auto":
        if data.array not in headers:
            raise DataError(
                f"data.array: {name} has no array {data.array!r}; it has {listing(headers)}."
                f"{did_you_mean(data.array, headers)}"
            )
        return data.array
    fitting = [key for key, header in headers.items() if _fits(header)]
    key = fitting[0] if len(fitting) == 1 else by_name(fitting, _VECTOR_NAMES)
    if key is None:
        what = "several of its arrays can be vectors" if fitting else "none of its arrays has the shape (n, d)"
        raise DataError(f"{name}: {what}; it has {listing(headers)}; say which with data.array=…")
    return key


def _with_names(path: Path, data: VectorData, others: Mapping[str, Header], source: Source) -> Source:
    """Returns the source with labels, ids, texts and columns from an .npz file's further arrays of n entries."""
    n = len(source)
    flat = {
        key: header
        for key, header in others.items()
        if header.shape in {(n,), (n, 1)} and header.dtype.kind in "buifSU"
    }
    label = _label(path, data, others, flat, n)
    columns: dict[str, list[Any]] = {}
    for key, header in flat.items():
        values = read_array(path, key, header).reshape(-1).tolist()
        columns[printable(key)] = [
            value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values
        ]
    labels = [as_label(value) for value in columns.pop(printable(label))] if label else None
    name = by_name(list(columns), ID_NAMES)
    ids = [printable(str(value)) for value in columns.pop(name)] if name else None
    text = by_name(list(columns), TEXT_NAMES) if data.text_column == "auto" else data.text_column
    notes = []
    if others:
        said = [("labels", label), ("ids", name), ("texts", text)]
        notes = [f"vectors: {source.origin}; " + "; ".join(f"{what}: {key or 'none found'}" for what, key in said)]
    left = [printable(key) for key in others if key not in flat]
    if left:
        notes.append(f"arrays without one value an item are left out: {', '.join(left)}")
    return Source(
        source.origin, source.shape, source.blocks, ids, labels, columns, text if text in columns else None, notes
    )


def _label(
    path: Path, data: VectorData, others: Mapping[str, Header], flat: Mapping[str, Header], n: int
) -> str | None:
    """Returns the key of the labels, or None."""
    if data.label_column == "none":
        return None
    wanted = find_label(list(others)) if data.label_column == "auto" else data.label_column
    if wanted is None or wanted in flat:
        return wanted
    name = printable(str(path))
    if wanted not in others:
        raise DataError(
            f"data.label_column: {name} has no array {wanted!r}; it has {listing(others)}."
            f"{did_you_mean(wanted, others)}"
        )
    header = others[wanted]
    why = (
        "pickled objects, which are never loaded"
        if header.dtype.hasobject
        else f"an array of {header.dtype}{header.shape} for {n:,} vectors"
    )
    raise DataError(
        f"{name}: {printable(wanted)} is {why}; one label a vector is needed; choose another array with "
        "data.label_column=…, or none"
    )
