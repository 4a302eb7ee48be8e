"""What the columns of a table hold: images, vectors, texts, labels, ids; by their types, names and values."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from latentviz.modalities.io.files import suffix_of
from latentviz.modalities.io.header import is_number
from latentviz.modalities.io.names import by_name, printable

# Columns of bytes with these names hold encoded images.
_IMAGE_NAMES = ("image", "images", "img", "picture", "photo", "jpg", "jpeg", "png", "pixel_values")
# How tables spell a missing number; pandas and Arrow read these as missing too.
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None")
PADDED = re.compile(r"^\s*-?0\d")  # "007" is a name


def is_binary(kind: pa.DataType) -> bool:
    """Returns whether a column holds bytes."""
    types = pa.types
    variable = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(variable or types.is_fixed_size_binary(kind))


def holds_bytes(kind: pa.DataType) -> bool:
    """Returns whether a column holds bytes, also inside a struct or list; a row of it may be large."""
    if pa.types.is_struct(kind):
        return any(holds_bytes(field.type) for field in kind.fields)
    return holds_bytes(kind.value_type) if pa.types.is_nested(kind) and hasattr(kind, "value_type") else is_binary(kind)


def is_plain(kind: pa.DataType) -> bool:
    """Returns whether a column holds one number, text or date per row."""
    return not (pa.types.is_nested(kind) or is_binary(kind))


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a column holds strings."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_vectors(kind: pa.DataType) -> bool:
    """Returns whether a column holds lists of numbers."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and is_numeric(kind.value_type))


def is_numeric(kind: pa.DataType) -> bool:
    """Returns whether a column holds numbers."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def find_images(schema: pa.Schema) -> str | None:
    """Returns the column of encoded images: a struct with `bytes` and `path`, or bytes with a name that says so."""
    for field in schema:
        if pa.types.is_struct(field.type) and {"bytes", "path"} <= {inner.name for inner in field.type.fields}:
            return str(field.name)
    binary = [field.name for field in schema if is_binary(field.type)]
    return by_name(binary, _IMAGE_NAMES) or (binary[0] if len(binary) == 1 else None)


def described(schema: pa.Schema) -> str:
    """Returns the columns with their types, for messages."""
    return ", ".join(printable(f"{field.name} ({field.type})") for field in schema) or "no columns at all"


def left_out(names: Sequence[str]) -> list[str]:
    """Returns the note on columns that are not read, or none."""
    return [f"columns without plain values are left out: {', '.join(map(printable, names))}"] if names else []


def typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Converts a column of strings to int64 or float64 if all are numbers; "007" is a name.

    >>> typed(pa.chunked_array([["1", "2"]])).to_pylist(), typed(pa.chunked_array([["007", "1"]])).to_pylist()
    ([1, 2], ['007', '1'])
    """
    first = column.slice(0, 1_000).drop_null()
    if column.null_count == len(column) or (len(first) and not is_number(first[0].as_py())):
        return column
    if pc.any(pc.match_substring_regex(column, PADDED.pattern)).as_py():
        return column
    return _cast(column) or column


def as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Converts a column of strings to numbers if all but the missing ones are, padded with zeros or not; else None."""
    trimmed = pc.utf8_trim_whitespace(column)
    present = pc.if_else(pc.is_in(trimmed, pa.array(_MISSING)), None, trimmed)
    return None if present.null_count == len(present) else _cast(present)


def plain_values(column: pa.ChunkedArray, name: str, file: str, names: Collection[str]) -> list[Any]:
    """Returns the values of a column `name` of a file, in CSV files with the types and missing cells that Arrow finds.

    The columns `names`, such as labels, stay strings, since "007" is a name.
    """
    if not (is_text(column.type) and suffix_of(file) in {".csv", ".tsv"}):
        return column.to_pylist()  # type: ignore[no-any-return]
    present = pc.if_else(pc.is_in(column, pa.array(_MISSING)), None, column)
    if name not in names and present.null_count < len(present):
        present = as_numbers(column) or _cast(present, (pa.bool_(), pa.date32(), pa.timestamp("s"))) or present
    return present.to_pylist()  # type: ignore[no-any-return]


def _cast(column: pa.ChunkedArray, kinds: Sequence[pa.DataType] = (pa.int64(), pa.float64())) -> pa.ChunkedArray | None:
    for kind in kinds:
        try:
            return column.cast(kind)
        except pa.ArrowException:
            continue
    return None


def whole_characters(text: str) -> str:
    r"""Returns a text with halves of surrogate pairs, such as bytes that are not UTF-8 in an argument, as U+FFFD.

    >>> whole_characters("a\udcff") == "a\ufffd"
    True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_column(values: list[Any]) -> pa.Array:
    r"""Returns a column of one type; mixed types become text, and halves of surrogate pairs U+FFFD.

    >>> as_column(["a\ud83d"]).to_pylist() == ["a\ufffd"], as_column([1, "b"]).to_pylist()
    (True, ['1', 'b'])
    """
    try:
        return pa.array(values)
    except UnicodeEncodeError:  # JSON can spell them
        return as_column([whole_characters(value) if isinstance(value, str) else value for value in values])
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else printable(str(value)) for value in values], pa.string())
