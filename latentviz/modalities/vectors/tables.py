"""Vectors in tables → a `Source`: a column of lists of numbers, or else the columns of numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.io.columns import as_numbers, described, is_numeric, is_text
from latentviz.modalities.io.header import is_number
from latentviz.modalities.io.names import LABEL_NAMES, MissingColumnError, by_name, choose_column, printable
from latentviz.modalities.io.plain import plain_columns
from latentviz.modalities.io.roles import VECTOR_NAMES, Column, Role, judge, unformatted
from latentviz.modalities.io.table_kind import NearReadingsError, cut_vectors, listed, vectors
from latentviz.modalities.io.tables import Table, read_table, sampled
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.source import (
    ID_NAMES,
    TEXT_NAMES,
    About,
    Source,
    about_items,
    check_shape,
    choose_scale,
)
from latentviz.progress import plural

_SLIPS = 0.1  # a column with at most this share of cells that are not numbers is one of numbers with mistakes
_SHARED = 2  # items that a label of numbers with a fraction has on average, at least
_BRACKETS = r"^[\s\[(]+|[\s\]),;]+$"  # around a list written as text
_BETWEEN = r"[,;\s]+"  # its numbers


def read_vectors(path: str, data: VectorData) -> Source:
    """Returns the vectors in a table, and its other columns."""
    table = read_table(path, numbers=True)
    if table.bad:
        bad = table.bad[0]
        raise DataError(
            f"{table.shown}: cannot be read as a table ({bad.source}: {bad.reason}); repair or remove the row"
        )
    found = judge(table.sample())
    if is_of_lists(data, found):
        return _lists_source(table, data, found)
    if data.columns == "auto" and (cut := [c.name for c in found.values() if c.role is Role.CUT_VECTORS]):
        raise cut_vectors(table.shown, cut[0])
    return _numbers_source(table, data)


def is_of_lists(data: VectorData, found: Mapping[str, Column]) -> bool:
    """Whether the vectors are in one column of lists, not in columns of numbers."""
    alone = len(_numeric(found)) < 2
    return data.vector_column != "auto" or (data.columns == "auto" and bool(vectors(found, alone=alone)))


def _numeric(found: Mapping[str, Column]) -> list[str]:
    return [column.name for column in found.values() if column.role in {Role.NUMBERS, Role.FORMATTED}]


def _lists_source(table: Table, data: VectorData, found: Mapping[str, Column]) -> Source:
    """Returns the vectors in a column of lists, or of lists written as text."""
    name = choose_list(data.vector_column, found, table.shown)
    origin = printable(f"{table.shown}/{name}")
    for key, asked, idle in (("exclude", data.exclude, "none"), ("columns", data.columns, "auto")):
        if asked != idle:
            raise DataError(
                f"data.{key}: has no effect on {origin}, a column of vectors (got {asked}); it acts in tables with "
                "columns of numbers; leave it out, or choose some with data.columns and without data.vector_column"
            )
    if not len(table):
        raise DataError(f"{origin}: the table has no rows; check how it was made")
    d = next((len(lists[0]) for batch in _batches(table, name, origin) if len(lists := batch.drop_null())), 0)
    plain, notes = plain_columns(table, {name})
    columns = {other: column.to_pylist() for other, column in plain.items()}
    shape = check_shape((len(table), d), origin)
    about = _about(columns, data, f"vectors: column {printable(name)}", [*table.notes, *notes])
    return Source(origin, shape, lambda: _lists(table, name, d, origin), about)


def choose_list(wanted: str, found: Mapping[str, Column], shown: str) -> str:
    """Choose the column of lists: the one that `wanted` names, the only one, or one with a usual name.

    Raises:
        MissingColumnError: there is no column `wanted`.
        NearReadingsError: several columns can be vectors.
        DataError: the column `wanted` does not hold lists of numbers.
    """
    name = choose_column(list(found), "vector_column", wanted)
    kinds = {Role.VECTORS, Role.VECTOR_TEXTS}
    if name is not None:
        if found[name].role is Role.CUT_VECTORS:
            raise cut_vectors(shown, name)
        if found[name].role not in {*kinds, Role.EMPTY}:
            raise DataError(
                f"data.vector_column: {printable(name)} of {shown} holds {found[name].role}; vectors are lists of "
                "numbers; columns of numbers are chosen with data.columns=A,B,…"
            )
        return name
    fitting = [column.name for column in found.values() if column.role in kinds]
    only = fitting[0] if len(fitting) == 1 else by_name(fitting, VECTOR_NAMES)
    if only is None:
        raise NearReadingsError(
            f"{shown}: several columns can be vectors ({listed(fitting)}); name one with data.vector_column=…"
        )
    return only


def _batches(table: Table, name: str, origin: str) -> Iterator[pa.Array]:
    """Yields a column of lists of numbers; lists written as text are parsed."""
    start = 0
    for column in table.batches(name):
        yield _parsed(column, origin, start) if is_text(column.type) else column
        start += len(column)


def _parsed(column: pa.Array, origin: str, start: int) -> pa.Array:
    """Parses lists written as text: as JSON, as Python or NumPy print them, or numbers with blanks between."""
    bare = pc.replace_substring_regex(column.cast(pa.string()), pattern=_BRACKETS, replacement="")
    bare = pc.if_else(pc.equal(bare, ""), None, bare)
    cells = pc.split_pattern_regex(bare, pattern=_BETWEEN)
    flat = cells.flatten()
    flat = pc.if_else(pc.is_in(flat, pa.array(["null", "None", "NULL"])), "nan", flat)
    try:
        numbers = flat.cast(pa.float64())
    except pa.ArrowInvalid:
        row = next(i for i, value in enumerate(cells.to_pylist()) if value and not all(map(is_number, value)))
        shown = printable(str(column[row].as_py()))[:40]
        raise DataError(
            f"{origin}: row {start + row} is not a list of numbers (got {shown!r}); correct the row or remove it"
        ) from None
    lengths = pc.list_value_length(cells).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), numbers)


def _lists(table: Table, name: str, d: int, origin: str) -> Iterator[np.ndarray]:
    """Yields a column's lists as numbers (b, d), NaN for an empty cell; a DataError names a row of another length."""
    start = 0
    for column in _batches(table, name, origin):
        lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero((lengths != d) & (lengths > 0))
        if len(wrong):
            raise DataError(
                f"{origin}: row {start + wrong[0]} has {plural(lengths[wrong[0]], 'number')}, and the first has {d}; "
                "every row needs as many"
            )
        flat = column.flatten()
        if flat.null_count:  # counted later with the values that are NaN
            flat = flat.cast(pa.float64()).fill_null(float("nan"))
        numbers = flat.to_numpy(zero_copy_only=False).reshape(-1, d)
        if len(numbers) < len(lengths):
            found = np.full((len(lengths), d), np.nan, numbers.dtype if numbers.dtype.kind == "f" else np.float64)
            found[lengths > 0] = numbers
            numbers = found
        yield numbers
        start += len(column)


@dataclass(frozen=True)
class Chosen:
    """Which columns of a table of numbers are learnt from, and why the others are not."""

    names: list[str]
    left: list[Column]

    def scaling(self, columns: Mapping[str, Sequence[Any]], found: Mapping[str, Column], data: VectorData) -> str:
        """Say how the columns would be scaled, by the values of their first rows."""
        marks = {"point": ".", "comma": ","}
        values = [
            [
                unformatted(str(float(v) if isinstance(v, bool) else v), marks.get(data.decimal, found[name].decimal))
                for v in columns[name]
                if v not in {None, ""}
            ]
            for name in self.names
        ]
        deviations = np.array([np.std(column) for column in values if column])
        scale = choose_scale(data.scale, deviations, named=True)
        ways = {
            "standard": "each column is divided by its own deviation",
            "global": "all columns are divided by the same number",
            "none": "values stay as they are",
        }
        varying = deviations[deviations > 0]
        spread = f"deviations {varying.min():.3g} to {varying.max():.3g} in the first rows; " if len(varying) else ""
        return spread + ways[scale]

    def lines(self) -> list[str]:
        """Two lines for the user."""
        said = [f"vectors: {plural(len(self.names), 'column')} of numbers: {listed(self.names, 20)}"]
        if self.left:
            shown = ", ".join(column.shown for column in self.left[:12])
            more = f" and {len(self.left) - 12:,} more" if len(self.left) > 12 else ""
            said.append(f"not learnt from: {shown}{more}; data.columns=A,B,… and data.exclude=A,B,… choose others")
        return said


def choose_numbers(found: Mapping[str, Column], data: VectorData, label: str | None) -> Chosen:
    """Choose the columns of numbers to learn from.

    Args:
        found: the judged columns.
        data: with `columns` and `exclude`, comma-separated names or patterns.
        label: the column of labels.

    Raises:
        MissingColumnError: a setting names a column that is not there.
        NearReadingsError: the decimal mark of a column can be read in two ways.
    """
    excluded = _matching(found, "exclude", data.exclude)
    if data.columns != "auto":
        wanted = [name for name in _matching(found, "columns", data.columns) if name not in excluded]
    else:
        own = {by_name(list(found), ID_NAMES), label, data.text_column, *excluded}
        wanted = [name for name in _numeric(found) if name not in own]
    for name in wanted:
        if found[name].role is Role.FORMATTED and found[name].decimal == "?" and data.decimal == "auto":
            raise NearReadingsError(
                f"data.decimal: the cells of column {printable(name)} can be read in two ways, as in 1,234: with a "
                "decimal comma or with a separator of thousands; say which with data.decimal=comma or "
                "data.decimal=point"
            )
    return Chosen(wanted, [column for name, column in found.items() if name not in wanted])


def _matching(found: Mapping[str, Column], setting: str, value: str | Sequence[str]) -> list[str]:
    """Returns the columns that comma-separated names or patterns stand for, in the order of the table."""
    if isinstance(value, str) and value in {"auto", "none", ""}:
        return []
    patterns = [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value)
    for pattern in patterns:
        if not any(name == pattern or fnmatchcase(name, pattern) for name in found):
            error = MissingColumnError(
                f"data.{setting}: no column {pattern!r}; there are {', '.join(map(printable, found)) or 'none'}."
                f"{did_you_mean(pattern, list(found))}"
            )
            error.columns = list(found)
            raise error
    return [name for name in found if any(name == p or fnmatchcase(name, p) for p in patterns)]


def _numbers_source(table: Table, data: VectorData) -> Source:
    """Returns the columns of numbers as vectors, without those that are ids, dates or labels."""
    columns, nested = plain_columns(table)
    found = judge(sampled(pa.table(columns)))
    label = label_of(columns, data)
    chosen = choose_numbers(found, data, label)
    if not len(table):
        raise DataError(f"{table.shown}: has no columns of numbers; it has {described(table.schema)}")
    numbers = {name: _as_numbers(columns[name], found[name], data, table) for name in chosen.names}
    for column in chosen.left:  # a column of numbers with a few other cells would be left out without a word
        if column.role in {Role.NAMES, Role.CATEGORY, Role.TEXT, Role.ID} and is_text(columns[column.name].type):
            _check_cells(columns[column.name], f"{table.shown}: column {printable(column.name)}", table)
    if not numbers:
        shown = ", ".join(column.shown for column in found.values()) or "no columns at all"
        raise DataError(
            f"{table.shown}: has no columns of numbers to learn from; it has {shown}; choose with data.columns=A,B,…"
        )
    empty = {name: column.null_count for name, column in numbers.items() if column.null_count}
    if empty:
        name = next(iter(empty))
        raise DataError(
            f"{table.shown}: {empty[name]:,} of {len(table):,} cells of column {printable(name)} are empty"
            + (f", and cells of {plural(len(empty) - 1, 'more column')}" if len(empty) > 1 else "")
            + "; every vector needs all its numbers; fill them"
            + (f", or leave the columns out with data.exclude={','.join(empty)}" if len(empty) < len(numbers) else "")
        )
    block = np.column_stack([column.to_numpy() for column in numbers.values()])
    others = {name: column.to_pylist() for name, column in columns.items() if name not in numbers}
    shape = check_shape(block.shape, table.shown)
    first, *more = chosen.lines()
    about = _about(others, data, first, [*more, *table.notes, *nested])
    marks = [found[name].decimal for name in numbers if found[name].role is Role.FORMATTED]
    certain = next((mark for mark in marks if mark != "?"), ".")
    decimal = data.decimal if data.decimal != "auto" else {".": "point", ",": "comma"}[certain]
    return Source(table.shown, shape, lambda: iter([block]), about, tuple(numbers), decimal)


def label_of(columns: Mapping[str, pa.ChunkedArray], data: VectorData) -> str | None:
    """Returns the column of labels; fractions that hardly ever repeat are coordinates, not labels."""
    if data.label_column != "auto":
        return data.label_column
    name = by_name(list(columns), LABEL_NAMES)
    if name is None or not is_numeric(columns[name].type) or pa.types.is_integer(columns[name].type):
        return name
    return name if _SHARED * len(columns[name].unique()) <= len(columns[name]) else None


def _as_numbers(column: pa.ChunkedArray, judged: Column, data: VectorData, table: Table) -> pa.ChunkedArray:
    """Converts a column to float64; a DataError names the first cell that is no number."""
    if is_text(column.type):
        numbers = as_numbers(column)
        if numbers is None and judged.role is Role.FORMATTED:
            mark = {"auto": judged.decimal, "point": ".", "comma": ","}[data.decimal]
            numbers = _unformatted(column, mark)
        if numbers is None:
            where = f"{table.shown}: column {printable(judged.name)}"
            _check_cells(column, where, table, most=1.0)
            raise DataError(f"{where}: holds {judged.role}, not numbers; choose others with data.columns=A,B,…")
        column = numbers
    if not (is_numeric(column.type) or pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type)):
        raise DataError(
            f"data.columns: column {printable(judged.name)} of {table.shown} holds {judged.role} ({column.type}), not "
            "numbers; choose others"
        )
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.cast(pa.float64())


def _unformatted(column: pa.ChunkedArray, mark: str) -> pa.ChunkedArray | None:
    try:
        values = [None if not cell or not cell.strip() else unformatted(cell, mark) for cell in column.to_pylist()]
    except ValueError:
        return None
    return pa.chunked_array([pa.array(values, pa.float64())])


def _check_cells(column: pa.ChunkedArray, where: str, table: Table, most: float = _SLIPS) -> None:
    """Raises a DataError if some cells, at most this share, are not numbers."""
    begin = pc.match_substring_regex(column, r"^\s*[-+]?(\.?\d|nan|inf)", ignore_case=True)
    if (pc.sum(pc.invert(begin)).as_py() or 0) > most * len(column):  # far from numbers, which is seen faster so
        return
    wrong = [(row, cell) for row, cell in enumerate(column.to_pylist()) if cell is not None and not is_number(cell)]
    if 0 < len(wrong) <= most * len(column):
        row, cell = wrong[0]
        raise DataError(
            f"{where}: {len(wrong):,} of {len(column):,} cells hold no number; the first is {printable(cell)[:40]!r} "
            f"in {table.origins()[row]}; correct them, or remove the column"
        )


def _about(columns: dict[str, list[Any]], data: VectorData, note: str, notes: Sequence[str]) -> About:
    label = choose_column(list(columns), "label_column", data.label_column, LABEL_NAMES)
    text = choose_column(list(columns), "text_column", data.text_column, TEXT_NAMES)
    about = about_items(columns, label, text, note)
    return replace(about, notes=[*about.notes, *notes])
