"""DataFrames, Series, Arrow tables and AnnData → one Arrow table, whose columns are found as in a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from latentviz.errors import ObjectError
from latentviz.modalities.io.columns import is_text
from latentviz.modalities.io.header import unique_columns
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.io.names import index_name, printable
from latentviz.modalities.memory.arrays import numbers, sparse
from latentviz.modalities.memory.columns import as_arrow, checked, of_columns, shown
from latentviz.modalities.memory.lists import sequence

NAMELESS = "text"  # a column without a name that holds strings


def pandas_frame(x: Any, kind: str | None) -> InMemory:
    """Converts a DataFrame; its index comes back with the items."""
    del kind
    said, names = shown(x), unique_columns([index_name(column) for column in x.columns])
    columns = {}
    for place, name in enumerate(names):
        series = x.iloc[:, place]
        columns[name] = series if series.dtype.kind == "O" and series.dtype == object else as_arrow(series, name, said)
    index, index_ids = _index(x.index)
    return of_columns(columns, said, index=index, index_ids=index_ids)


def _index(index: Any) -> tuple[pa.Table, list[str] | None]:
    """Returns an index as a table with pandas' metadata, and ids from it, unless it only counts the rows."""
    import pandas as pd

    try:
        table = pa.Table.from_pandas(pd.DataFrame(index=index), preserve_index=True)
    except (pa.ArrowException, TypeError, ValueError):  # an index of mixed objects
        index = index.map(str)
        table = pa.Table.from_pandas(pd.DataFrame(index=index), preserve_index=True)
    counts = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
    return table, None if counts or not index.is_unique else [printable(index_name(value)) for value in index]


def pandas_series(x: Any, kind: str | None) -> InMemory:
    """Converts a Series, or an Index: strings, paths or images as a list of them, anything else as one column."""
    said = shown(x)
    index, index_ids = _index(x.index) if hasattr(x, "index") and hasattr(x, "iloc") else (None, None)
    if not len(x):
        raise ObjectError(f"{said}: has no rows; check how it was made")
    if x.dtype == object or x.dtype.kind in "OUT" or str(x.dtype) in {"string", "str"}:
        values = [None if np.ndim(value) == 0 and value != value else value for value in x.tolist()]  # noqa: PLR0124
        found = sequence(values, kind, said)
        return InMemory(**{**vars(found), "index": index, "index_ids": index_ids})
    return of_columns({str(x.name or NAMELESS): x}, said, index=index, index_ids=index_ids)


def polars_frame(x: Any, kind: str | None) -> InMemory:
    """Converts a polars frame, without a copy where Arrow and polars agree."""
    del kind
    frame = x.collect() if hasattr(x, "collect") else x
    columns = {
        series.name: series.to_list() if "Object" in str(series.dtype) else _chunked(series.to_arrow())
        for series in frame.get_columns()
    }
    return of_columns(columns, shown(frame))


def _chunked(values: Any) -> Any:
    return pa.chunked_array([values]) if isinstance(values, pa.Array) else values


def polars_series(x: Any, kind: str | None) -> InMemory:
    """Converts a polars Series as one of pandas."""
    if not len(x):
        raise ObjectError(f"{shown(x)}: has no rows; check how it was made")
    if "Object" in str(x.dtype) or str(x.dtype) == "String":
        return sequence(x.to_list(), kind, shown(x))
    return of_columns({str(x.name or NAMELESS): x.to_arrow()}, shown(x))


def arrow_table(x: Any, kind: str | None) -> InMemory:
    """Takes an Arrow table or record batch as it is."""
    del kind
    table = pa.Table.from_batches([x]) if isinstance(x, pa.RecordBatch) else x
    said = f"{type(x).__name__} ({len(x)}, {x.num_columns})"
    if len(set(table.column_names)) < table.num_columns:
        table = table.rename_columns(unique_columns(table.column_names))
    return InMemory(shown=said, n=len(table), table=checked(table, said))


def arrow_column(x: Any, kind: str | None) -> InMemory:
    """Converts an Arrow array: strings as a list of them, anything else as one column."""
    said = f"{type(x).__name__} ({len(x)})"
    if is_text(x.type):
        return sequence(x.to_pylist(), kind, said)
    return of_columns({"vector": x}, said)


def anndata(x: Any, kind: str | None) -> InMemory:
    """Converts an AnnData as a .h5ad file: the matrix X, the columns of obs, and each obsm as a column of vectors."""
    del kind
    n, said = x.n_obs, f"AnnData ({x.n_obs}, {x.n_vars})"
    columns: dict[str, Any] = {"id": [str(name) for name in x.obs_names]}
    columns |= {str(name): as_arrow(x.obs[name], str(name), said) for name in x.obs.columns}
    notes: tuple[str, ...] = ()
    matrices = {"X": x.X} | {str(name): values for name, values in x.obsm.items()}
    for name, values in matrices.items():
        if values is None:
            continue
        made = sparse(values, None) if hasattr(values, "tocsr") else numbers(np.asarray(values), said)
        notes += tuple(made.notes)
        flat = np.ascontiguousarray(made.arrays[""]).reshape(-1)
        place = "embedding" if name == "X" and "embedding" not in columns else name
        columns[place] = pa.FixedSizeListArray.from_arrays(pa.array(flat), made.arrays[""].shape[1])
    index, _ = _index(x.obs_names)
    others = ", ".join(map(printable, x.obsm)) or "none"
    note = f"matrix X, {n:,} × {x.n_vars:,}; obsm: {others}; data.vector_column=NAME learns from one of these"
    return of_columns(columns, said, index=index, notes=[*notes, note])
