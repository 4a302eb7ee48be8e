"""Vectors in .npy and .npz files as a `Source`; an .npz file may also hold labels, ids and texts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentviz.errors import DataError
from latentviz.modalities.io.memory import named
from latentviz.modalities.io.names import LABEL_NAMES, by_name, choose_column, printable
from latentviz.modalities.io.numpy_files import Header, listing, read_array, read_headers, row_blocks
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.source import TEXT_NAMES, Source, about_items, check_shape
from latentviz.progress import plural

# Names of arrays of vectors in .npz files, in order of preference.
_VECTOR_NAMES = ("vectors", "embeddings", "embedding", "emb", "features", "x", "data", "arr_0")


def read_arrays(path: Path, data: VectorData) -> Source:
    """Reads the vectors of a .npy or .npz file."""
    headers = read_headers(path)
    key = "" if "" in headers else _choose_array(path, headers, data)
    shown = named(str(path))
    origin = printable(f"{shown}/{key}" if key else shown)
    header = headers.pop(key)
    if header.dtype.hasobject:
        raise DataError(
            f"{origin}: holds Python objects, which can run code and are never loaded; rows of different lengths are "
            "saved like this; give all rows the same length and save numpy.stack(rows).astype('float32')"
        )
    if header.dtype.kind not in "buif":
        raise DataError(f"{origin}: an array of {header.dtype}; vectors are integers or real floats; save as float32")
    shape = check_shape(header.shape, origin)
    array = read_array(path, key, header)
    n = shape[0]
    per_item = {
        name: other for name, other in headers.items() if other.shape in {(n,), (n, 1)} and other.dtype.kind in "buifSU"
    }
    label = choose_column(list(headers), "label_column", data.label_column, LABEL_NAMES, "array")
    if label not in {None, *per_item}:
        other = headers[str(label)]
        what = f"an array of {other.dtype}{other.shape} for {plural(n, 'vector')}"
        raise DataError(
            f"{printable(str(path))}: {printable(str(label))} is "
            f"{'pickled objects, which are never loaded' if other.dtype.hasobject else what}; every vector needs one "
            "label; choose another array with data.label_column=NAME, or none"
        )
    columns = {printable(name): _values(path, name, other) for name, other in per_item.items()}
    wanted = data.text_column if data.text_column in columns else None
    text = by_name(list(columns), TEXT_NAMES) if data.text_column == "auto" else wanted
    about = about_items(columns, printable(label) if label else None, text, f"vectors: {origin}")
    notes = list(about.notes) if headers else []
    if ignored := [printable(name) for name in headers if name not in per_item]:
        notes.append(f"ignored arrays without one value per item: {', '.join(ignored)}")
    blocks = lambda: (block for _, block in row_blocks(array))  # noqa: E731
    return Source(origin, shape, blocks, replace(about, notes=notes))


def _choose_array(path: Path, headers: Mapping[str, Header], data: VectorData) -> str:
    fitting = [key for key, header in headers.items() if header.dtype.kind in "buif" and len(header.shape) == 2]
    only = fitting[0] if len(fitting) == 1 else by_name(fitting, _VECTOR_NAMES)
    key = choose_column(list(headers), "array", data.array, what="array") or only
    if key is None:
        what = "several of its arrays may be vectors" if fitting else "none of its arrays has the shape (n, d)"
        raise DataError(
            f"{printable(str(path))}: {what}; it has {listing(headers)}; name the right one with data.array=NAME"
        )
    return key


def _values(path: Path, key: str, header: Header) -> list[Any]:
    values = read_array(path, key, header).reshape(-1).tolist()
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
