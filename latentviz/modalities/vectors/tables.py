"""Vectors in tables → a `Source`: a column of lists of numbers, or else the columns of numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latentviz.errors import DataError
from latentviz.modalities.io.columns import as_numbers, described, is_numeric, is_plain, is_text, is_vectors, left_out
from latentviz.modalities.io.header import is_number
from latentviz.modalities.io.names import LABEL_NAMES, by_name, choose_column, printable
from latentviz.modalities.io.tables import Table, read_table
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.source import ID_NAMES, TEXT_NAMES, About, Source, about_items, check_shape

# Names of columns of lists that are vectors, the likeliest first.
_VECTOR_NAMES = ("vector", "vectors", "embedding", "embeddings", "emb", "features", "feature")
_SLIPS = 0.1  # a column with at most this share of cells that are not numbers is one of numbers with mistakes
_SHARED = 2  # items that a label of numbers with a fraction has on average, at least


def read_vectors(path: str, data: VectorData) -> Source:
    """Returns the vectors in a table, and its other columns."""
    table = read_table(path, numbers=True)
    if table.bad:
        bad = table.bad[0]
        raise DataError(
            f"{table.shown}: cannot be read as a table ({bad.source}: {bad.reason}); repair or remove the row"
        )
    if data.vector_column != "auto" or any(is_vectors(field.type) for field in table.schema):
        return _lists_source(table, data)
    return _numbers_source(table, data)


def _lists_source(table: Table, data: VectorData) -> Source:
    """Returns the vectors in a column of lists."""
    name = _vector_column(table, data.vector_column)
    origin = printable(f"{table.shown}/{name}")
    if not len(table):
        raise DataError(f"{origin}: the table has no rows; check how it was made")
    d = next((len(lists[0]) for batch in table.batches(name) if len(lists := batch.drop_null())), 0)
    others = [field for field in table.schema if field.name != name]
    columns = {field.name: table.column(field.name).to_pylist() for field in others if is_plain(field.type)}
    notes = left_out([field.name for field in others if not is_plain(field.type)])
    shape = check_shape((len(table), d), origin)
    about = _about(columns, data, f"vectors: column {printable(name)}", [*table.notes, *notes])
    return Source(origin, shape, lambda: _lists(table, name, d, origin), about)


def _vector_column(table: Table, wanted: str) -> str:
    fitting = [field.name for field in table.schema if is_vectors(field.type)]
    name = choose_column(table.schema.names, "vector_column", wanted)
    if name is not None and name not in fitting:
        raise DataError(
            f"data.vector_column: {name} of {table.shown} holds {table.schema.field(name).type}; vectors are "
            "lists of numbers"
        )
    found = name or (fitting[0] if len(fitting) == 1 else by_name(fitting, _VECTOR_NAMES))
    if found is None:
        raise DataError(
            f"{table.shown}: several columns can be vectors; it has {described(table.schema)}; name one with "
            "data.vector_column=…"
        )
    return found


def _lists(table: Table, name: str, d: int, origin: str) -> Iterator[np.ndarray]:
    """Yields a column's lists as numbers (b, d); raises a DataError if a row has another length than d."""
    start = 0
    for column in table.batches(name):
        lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(lengths != d)
        if len(wrong):
            raise DataError(
                f"{origin}: row {start + wrong[0]} has {lengths[wrong[0]]} numbers, and the first has {d}; "
                "every row needs as many"
            )
        flat = column.flatten()
        if flat.null_count:  # counted later with the values that are NaN
            flat = flat.cast(pa.float64()).fill_null(float("nan"))
        yield flat.to_numpy(zero_copy_only=False).reshape(-1, d)
        start += len(column)


def _numbers_source(table: Table, data: VectorData) -> Source:
    """Returns the columns of numbers as vectors, without those that are ids or labels by name."""
    columns = {field.name: table.column(field.name) for field in table.schema if is_plain(field.type)}
    own = {by_name(list(columns), ID_NAMES), data.label_column, data.text_column}
    if data.label_column == "auto":
        name = by_name(list(columns), LABEL_NAMES)
        # Fractions that hardly ever repeat are coordinates, not labels.
        if name and (
            pa.types.is_integer(columns[name].type) or _SHARED * len(columns[name].unique()) <= len(columns[name])
        ):
            own.add(name)
    for name, column in columns.items():
        if name not in own and is_text(column.type):
            numbers = as_numbers(column)
            if numbers is None:
                _check_cells(column, f"{table.shown}: column {printable(name)}", table)
            else:
                columns[name] = numbers
    chosen = [name for name, column in columns.items() if is_numeric(column.type) and name not in own]
    if not chosen or not len(table):
        raise DataError(f"{table.shown}: has no columns of numbers; it has {described(table.schema)}")
    vectors = np.column_stack([columns[name].cast(pa.float64()).fill_null(float("nan")).to_numpy() for name in chosen])
    others = {name: column.to_pylist() for name, column in columns.items() if name not in chosen}
    shape = check_shape(vectors.shape, table.shown)
    about = _about(others, data, f"vectors: {len(chosen)} columns of numbers", table.notes)
    return Source(table.shown, shape, lambda: iter([vectors]), about)


def _check_cells(column: pa.ChunkedArray, where: str, table: Table) -> None:
    """Raises a DataError if only a few cells are not numbers: the column would be left out without a word."""
    wrong = [(row, cell) for row, cell in enumerate(column.to_pylist()) if cell is not None and not is_number(cell)]
    if 0 < len(wrong) <= _SLIPS * len(column):
        row, cell = wrong[0]
        raise DataError(
            f"{where}: {len(wrong):,} of {len(column):,} cells are not numbers; the first is {printable(cell)[:40]!r} "
            f"in {table.origins()[row]}; correct them, or remove the column"
        )


def _about(columns: dict[str, list[Any]], data: VectorData, note: str, notes: Sequence[str]) -> About:
    label = choose_column(list(columns), "label_column", data.label_column, LABEL_NAMES)
    text = choose_column(list(columns), "text_column", data.text_column, TEXT_NAMES)
    about = about_items(columns, label, text, note)
    return replace(about, notes=[*about.notes, *notes])
