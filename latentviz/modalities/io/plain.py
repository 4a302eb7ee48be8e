"""Plain columns: one number, truth value or text per row, the same for one content in every format.

CSV files know only text, JSON has no dates, and Parquet has many types of each. So numbers become int64 or float64,
dates ISO texts, tags one text, and objects one column per field.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from latentviz.modalities.io.columns import holds_bytes, is_numeric, is_text, typed
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.roles import parse_list
from latentviz.modalities.io.tables import Table

TAGS = ", "  # between the tags of a row
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"
_TRUTH = ("True", "False", "true", "false", "TRUE", "FALSE")


def plain_columns(table: Table, without: Collection[str] = ()) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    """Read the columns of a table as plain ones, and a note on those that cannot be.

    Args:
        table: the table.
        without: columns that are not wanted.
    """
    found: dict[str, pa.ChunkedArray] = {}
    left: list[str] = []
    for field in table.schema:
        if field.name in without:
            continue
        if holds_bytes(field.type):
            left.append(field.name)
            continue
        for name, column in _parts(field.name, table.column(field.name)):
            if column is None:
                left.append(name)
            else:
                free = name
                while free in found:
                    free = f"{free} 2"
                found[free] = column
    notes = [f"columns without plain values are left out: {', '.join(map(printable, left))}"] if left else []
    return found, notes


def _parts(name: str, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray | None]]:
    """Yield a column as one or, for objects, several plain ones; None: it cannot be one."""
    if is_text(column.type):
        column = _text(column)
        parsed = _parsed(column)
        if parsed is not None:
            inner = list(_parts(name, parsed))
            if any(part is not None for _, part in inner):
                yield from inner
                return
            if pa.types.is_list(parsed.type) and is_numeric(parsed.type.value_type):
                yield name, None  # a vector
                return
        yield name, _typed_text(column)
    elif pa.types.is_struct(column.type):
        for field in column.type.fields:
            yield from _parts(f"{name}.{field.name}", pc.struct_field(column, field.name))
    else:
        yield name, _plain(column)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | None:  # noqa: PLR0911 - one per type
    """Convert a column that is neither text nor objects."""
    kind, types = column.type, pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _tags(column) if is_text(kind.value_type) or types.is_null(kind.value_type) else None
    if types.is_dictionary(kind):
        return next(_parts("", column.cast(kind.value_type)))[1]
    if types.is_null(kind):
        return column.cast(pa.string())
    if types.is_temporal(kind):
        return _text_of_dates(column)
    if types.is_integer(kind):
        return _cast(column, pa.int64()) or column.cast(pa.float64())
    if types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast(pa.float64())
        return pc.if_else(pc.is_nan(numbers), None, numbers)
    return column if types.is_boolean(kind) else None


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return column.cast(kind)
    except pa.ArrowException:
        return None


def _tags(column: pa.ChunkedArray) -> pa.ChunkedArray:
    joined = [TAGS.join(tag for tag in tags if tag) or None if tags else None for tags in column.to_pylist()]
    return pa.chunked_array([pa.array(joined, pa.string())])


def _text_of_dates(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_duration(column.type):
        return _plain(column.cast(pa.int64()))
    texts = [None if value is None else str(value) for value in column.to_pylist()]
    return _normal_dates(pa.chunked_array([pa.array(texts, pa.string())]))


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert strings of any type to strings with line feeds and without empty ones."""
    column = column.cast(pa.string())
    if pc.any(pc.match_substring(column, "\r")).as_py():
        column = pc.replace_substring(pc.replace_substring(column, "\r\n", "\n"), "\r", "\n")
    empty = pc.equal(column, "")
    return pc.if_else(empty, None, column) if pc.any(empty).as_py() else column


def _typed_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert strings to numbers, truth values or dates if all are."""
    first = next((value for value in column.slice(0, 1_000).drop_null().to_pylist()), None)
    if first is None:
        return column
    if first in _TRUTH and pc.all(pc.is_in(column.drop_null(), pa.array(_TRUTH))).as_py():
        return pc.equal(pc.utf8_lower(column), "true")
    if re.match(_ISO, first) and pc.all(pc.match_substring_regex(column, _ISO)).as_py():
        return _normal_dates(column)
    numbers = typed(column)
    return column if is_text(numbers.type) else _plain(numbers)


def _normal_dates(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write dates as "2024-01-31", or, if any has a time, as "2024-01-31 12:00:00"."""
    for pattern, new in (
        (r"^(\d{4}-\d\d-\d\d)T", r"\1 "),
        (r"Z$", "+00:00"),
        (r"( \d\d:\d\d)($|[+-])", r"\1:00\2"),
        (r"(\.\d*?)0+($|[+-])", r"\1\2"),
        (r"\.($|[+-])", r"\1"),
    ):
        column = pc.replace_substring_regex(column, pattern=pattern, replacement=new)
    midnight = pc.or_kleene(pc.match_substring_regex(column, r" 00:00:00$"), pc.equal(pc.utf8_length(column), 10))
    if pc.all(midnight).as_py():
        return pc.utf8_slice_codeunits(column, 0, 10)
    alone = pc.match_substring_regex(column, r"^\d{4}-\d\d-\d\d$")
    return pc.if_else(alone, pc.binary_join_element_wise(column, "00:00:00", " "), column)


def _parsed(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Parse lists or objects written as text; None unless every cell is one."""
    first = next((value for value in column.slice(0, 1_000).drop_null().to_pylist()), "")
    brackets = first[:1] + first[-1:]
    if brackets not in {"[]", "{}"}:
        return None
    values: list[Any] = []
    for cell in column.to_pylist():
        value = None if cell is None else _value(cell, brackets)
        if cell is not None and value is None:
            return None
        values.append(value)
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        return None


def _value(cell: str, brackets: str) -> Any:
    if brackets == "[]":
        return parse_list(cell) if cell[:1] == "[" else None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
