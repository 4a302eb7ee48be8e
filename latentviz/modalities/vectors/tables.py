"""Vectors in tables → a `Source`: a column of lists in Parquet and Arrow files, or the numbers of a .csv or .tsv."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.io.limits import check_rows
from latentviz.modalities.io.names import as_label, find_label, printable
from latentviz.modalities.vectors.config import SEPARATORS, VectorData, is_number
from latentviz.modalities.vectors.source import ID_NAMES, TEXT_NAMES, Source, by_name, check_shape

# What columns of lists are called when they are vectors, the likeliest first.
_VECTOR_NAMES = ("vector", "vectors", "embedding", "embeddings", "emb", "features", "feature")
_SLIPS = 0.1  # share of a column's cells that are no numbers by mistake, at most
_SHARED = 2  # items that a label of numbers with a fraction must have on average
_BATCH_ROWS = 8_192


def _is_vectors(kind: pa.DataType) -> bool:
    """Returns whether a column's type is a list of numbers."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def has_vectors(file: Path) -> bool:
    """Returns whether a Parquet or Arrow file has a column of lists of numbers.

    Raises:
        DataError: the file is damaged.
    """
    return any(_is_vectors(column.type) for column in _open(file).schema)


def _open(file: Path) -> Any:
    kind = "parquet" if file.suffix.lower() == ".parquet" else "ipc"
    try:
        return pa.dataset.dataset(file, format=kind)
    except (pa.ArrowException, OSError) as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"{printable(str(file))}: not a whole {file.suffix.lower()} file ({text[:200]}); fetch or make it again"
        ) from None


def read_table(path: Path, data: VectorData) -> Source:
    """Returns the vectors in a column of a Parquet or Arrow file, and the other columns.

    Raises:
        DataError: the file is damaged, has no such column, or its rows differ in length.
    """
    table = _open(path)
    name = _vector_column(path, table.schema, data)
    origin = printable(f"{path}/{name}")
    n = int(table.count_rows())
    check_rows(path, n)
    if n == 0:
        raise DataError(f"{origin}: the table has no rows; check how it was made")
    d = _first_length(table, name)
    plain = [
        field.name
        for field in table.schema
        if field.name != name
        and not pa.types.is_nested(field.type)
        and not pa.types.is_binary(field.type)
        and not pa.types.is_large_binary(field.type)
    ]
    left = [printable(field) for field in table.schema.names if field not in {name, *plain}]
    columns = {field: table.to_table(columns=[field]).column(0).to_pylist() for field in plain}
    notes = [f"columns without plain values are left out: {', '.join(left)}"] if left else []
    shape = check_shape((n, d), origin)
    return _named(
        path,
        Source(origin, shape, lambda: _lists(table, name, d, origin), notes=notes),
        columns,
        data,
        f"vectors: column {printable(name)}",
    )


def _vector_column(path: Path, schema: pa.Schema, data: VectorData) -> str:
    """Returns the name of the column with the vectors."""
    shown, there = printable(str(path)), ", ".join(printable(f"{field.name} ({field.type})") for field in schema)
    wanted = data.vector_column
    if wanted != "auto":
        if wanted not in schema.names:
            raise DataError(
                f"data.vector_column: {shown} has no column {wanted!r}; it has {there}."
                f"{did_you_mean(wanted, schema.names)}"
            )
        if not _is_vectors(schema.field(wanted).type):
            raise DataError(
                f"data.vector_column: {wanted} of {shown} holds {schema.field(wanted).type}; vectors are "
                "lists of numbers"
            )
        return wanted
    fitting = [field.name for field in schema if _is_vectors(field.type)]
    found = fitting[0] if len(fitting) == 1 else by_name(fitting, _VECTOR_NAMES)
    if found is None:
        what = "several columns can be vectors" if fitting else "no column holds lists of numbers"
        raise DataError(f"{shown}: {what}; it has {there}; say which with data.vector_column=…")
    return found


def _first_length(table: Any, name: str) -> int:
    """Returns how many numbers the first row that is not empty has."""
    for batch in table.to_batches(columns=[name], batch_size=_BATCH_ROWS):
        lengths = batch.column(0).drop_null()
        if len(lengths):
            return len(lengths[0])
    return 0


def _lists(table: Any, name: str, d: int, origin: str) -> Iterator[np.ndarray]:
    """Yields a column's lists as numbers (b, d).

    Raises:
        DataError: a row has another length than d, or misses a number.
    """
    start = 0
    for batch in table.to_batches(columns=[name], batch_size=_BATCH_ROWS):
        column = batch.column(0)
        lengths = pa.compute.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(lengths != d)
        if len(wrong):
            raise DataError(
                f"{origin}: row {start + wrong[0]} has {lengths[wrong[0]]} numbers, and the first has {d}; "
                "every row needs as many"
            )
        flat = column.flatten()
        if flat.null_count:  # a missing number is no number: told with the others of its kind
            flat = flat.cast(pa.float64()).fill_null(float("nan"))
        yield flat.to_numpy(zero_copy_only=False).reshape(-1, d)
        start += len(column)


def read_numbers(path: Path, data: VectorData) -> Source:
    """Returns the rows of a .csv or .tsv file: its columns of numbers, without those that are ids or labels by name.

    Raises:
        DataError: the file cannot be read as a table, or has no columns of numbers.
    """
    shown, separator = printable(str(path)), SEPARATORS[path.suffix.lower()]
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        first = lines.readline().rstrip("\r\n").split(separator)
    headless = sum(map(is_number, first)) >= max(1, len(first) - 2)
    try:
        table = pa.csv.read_csv(
            path,
            read_options=pa.csv.ReadOptions(autogenerate_column_names=headless),
            parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"{shown}: cannot be read as a table ({text[:200]}); give every row as many cells") from None
    kinds = {field.name: field.type for field in table.schema}
    own = {by_name(list(kinds), ID_NAMES), data.label_column, data.text_column}
    if data.label_column == "auto":
        own.add(_label_by_name(table))
    for name, kind in kinds.items():
        if name not in own and pa.types.is_string(kind):
            _check_cells(table.column(name), f"{shown}: column {printable(name)}", lines_before=1 if headless else 2)
    numbers = [
        name
        for name, kind in kinds.items()
        if (pa.types.is_floating(kind) or pa.types.is_integer(kind)) and name not in own
    ]
    if not numbers or table.num_rows == 0:
        raise DataError(
            f"{shown}: has no columns of numbers; it has "
            f"{', '.join(f'{printable(name)} ({kind})' for name, kind in kinds.items())}"
        )
    columns = {name: table.column(name).to_pylist() for name in kinds if name not in numbers}
    vectors = np.column_stack(
        [table.column(name).cast(pa.float64()).fill_null(float("nan")).to_numpy() for name in numbers]
    )
    source = Source(shown, check_shape(vectors.shape, shown), lambda: iter([vectors]))
    return _named(path, source, columns, data, f"vectors: {len(numbers)} columns of numbers")


def _label_by_name(table: Any) -> str | None:
    """Returns the column that is called like labels; one whose values hardly ever repeat may hold coordinates."""
    name = find_label(table.column_names)
    if name is None or pa.types.is_integer(table.schema.field(name).type):
        return name
    return name if _SHARED * len(table.column(name).unique()) <= table.num_rows else None


def _check_cells(column: Any, where: str, lines_before: int) -> None:
    """Refuses a column of numbers in which a few cells are none, which would not count as numbers as a whole.

    Raises:
        DataError: it is one; the message says where the first such cell is.
    """
    wrong = [(row, cell) for row, cell in enumerate(column.to_pylist()) if cell is not None and not is_number(cell)]
    if 0 < len(wrong) <= _SLIPS * len(column):
        row, cell = wrong[0]
        raise DataError(
            f"{where}: {len(wrong):,} of {len(column):,} cells are no numbers; the first is "
            f"{printable(cell)[:40]!r} in line {row + lines_before:,}; mend them, or take the column out"
        )


def _named(path: Path, source: Source, columns: dict[str, list[Any]], data: VectorData, note: str) -> Source:
    """Returns the source with ids, labels and texts taken from its columns."""
    for setting, wanted in (("label_column", data.label_column), ("text_column", data.text_column)):
        if wanted not in {"auto", "none"} and wanted not in columns:
            raise DataError(
                f"data.{setting}: {printable(str(path))} has no column {wanted!r}; it has "
                f"{', '.join(map(printable, columns)) or 'no others'}.{did_you_mean(wanted, columns)}"
            )
    label = find_label(list(columns)) if data.label_column == "auto" else data.label_column
    labels = [as_label(value) for value in columns.pop(label)] if label in columns else None
    name = by_name(list(columns), ID_NAMES)
    ids = [printable(str(value)) for value in columns.pop(name)] if name else None
    text = by_name(list(columns), TEXT_NAMES) if data.text_column == "auto" else data.text_column
    said = [("labels", label if labels else None), ("ids", name), ("texts", text)]
    found = "; ".join(f"{what}: {printable(key) if key else 'none found'}" for what, key in said)
    return Source(
        source.origin,
        source.shape,
        source.blocks,
        ids,
        labels,
        columns,
        text if text in columns else None,
        [f"{note}; {found}", *source.notes],
    )
