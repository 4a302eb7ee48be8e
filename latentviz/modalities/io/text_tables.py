"""CSV, TSV, JSON and JSON lines, each also gzipped, in any encoding: the line of each row, and rows that are bad."""

import codecs
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from latentviz.errors import DataError
from latentviz.modalities.io.columns import as_column, left_out, typed
from latentviz.modalities.io.files import examine, opened, suffix_of, text_of
from latentviz.modalities.io.header import read_header
from latentviz.modalities.io.names import printable

_CSV_BLOCKS = (2**24, 2**27, 2**31 - 1)  # bytes parsed at a time: a row must fit into one; Arrow counts in 32 bits
_UTF8 = {"utf-8": "utf8", "utf-8-sig": "utf8"}  # the encoding that Arrow reads itself, by its name for it
_NO_ROW = "neither an object nor a text"


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Attributes:
        data: the columns; a Dataset reads them from disk.
        numbers: the line or row of each row in the file.
        mark: ":" if these are lines, counted from 1, "#" if rows, from 0.
        bad: rows that could not be read, with the reason.
        notes: lines for the user.
    """

    data: "pa.Table | pa.dataset.Dataset"
    numbers: Sequence[int]
    mark: str = "#"
    bad: Sequence[tuple[int, str]] = ()
    notes: Sequence[str] = ()


def one_line(error: Exception) -> str:
    """Returns an error of Arrow in one line of bounded length."""
    return printable(" ".join(str(error).split()))[:200]


def read_text_table(file: Path, encoding: str, *, numbers: bool) -> Rows:
    """Reads a table of text; for the arguments, see `read_table`."""
    suffix = suffix_of(file.name)
    if suffix in {".json", ".jsonl", ".ndjson"}:
        return (_read_json if suffix == ".json" else _read_json_lines)(file, examine(file, encoding))
    found = _read_numbers(file) if numbers else None
    return found or _read_csv(file, examine(file, encoding), headless=numbers)


def _read_numbers(file: Path) -> Rows | None:
    """Reads a table of text with the types that Arrow finds, which is fastest; None unless all of it is in order."""
    try:
        names, above, delimiter, quoting = read_header(file, "utf-8-sig", headless=True)
        if not names:
            return None
        with opened(file) as stream:
            table = pa.csv.read_csv(
                stream,
                pa.csv.ReadOptions(column_names=names, skip_rows=above),
                pa.csv.ParseOptions(
                    delimiter=delimiter, quote_char=False if quoting else '"', newlines_in_values=not quoting
                ),
            )
    except (pa.ArrowException, UnicodeError, csv.Error):
        return None
    return Rows(table, range(above + 1, above + 1 + len(table)), ":")


def _read_csv(file: Path, encoding: str, *, headless: bool) -> Rows:
    """Reads a table of text; rows with another number of fields than the header are bad."""
    shown = printable(str(file))
    try:
        names, above, delimiter, quoting = read_header(file, encoding, headless=headless)
        if not names:
            raise DataError(f"{shown}: only blank lines; give a table whose first line names its columns")
        bad: list[Any] = []  # pa.csv.InvalidRow

        def skip(row: Any) -> str:
            bad.append(row)
            return "skip"

        parsing = pa.csv.ParseOptions(
            delimiter=delimiter,
            quote_char=False if quoting else '"',
            newlines_in_values=not quoting,
            ignore_empty_lines=False,  # keeps the numbers of lines
            invalid_row_handler=skip,
        )
        strings = pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            check_utf8=False,  # `examine` has decoded the file
        )
        for block in _CSV_BLOCKS:
            bad.clear()
            reading = pa.csv.ReadOptions(
                use_threads=False,  # gives bad rows their numbers
                block_size=block,
                column_names=names,
                skip_rows=above,
                encoding=_UTF8.get(codecs.lookup(encoding).name, encoding),
            )
            try:
                with opened(file) as stream:
                    table = pa.csv.read_csv(stream, reading, parsing, strings)
                break
            except pa.ArrowInvalid as error:
                if "block size" not in str(error) or block == _CSV_BLOCKS[-1]:
                    raise
    except (pa.ArrowException, csv.Error) as error:
        raise DataError(
            f"{shown}: cannot be read as a table ({one_line(error)}); repair it, or save it as .jsonl"
        ) from None
    columns = [_plain_ends(column) for column in table.columns]
    lines, bad_lines = _lines(above, columns, bad)
    empty = np.logical_and.reduce([column.is_null().to_numpy() for column in columns])
    kept = pa.array(~empty)
    reasons = [f"{row.actual_columns} fields, and the table has {len(names)} columns" for row in bad]
    return Rows(
        pa.table([typed(column.filter(kept)) for column in columns], names),
        lines[~empty].tolist(),
        ":",
        list(zip(bad_lines, reasons, strict=True)),
    )


def _lines(above: int, columns: Sequence[pa.ChunkedArray], bad: Sequence[Any]) -> tuple[np.ndarray, list[int]]:
    """Returns the lines in which the rows and the bad rows begin, from 1; cells may hold line ends.

    Args:
        above: how many lines there are above the first row.
        columns: the cells of the rows.
        bad: `InvalidRow`s, numbered as if each row were one line.
    """
    count = len(columns[0]) + len(bad)
    is_bad = np.zeros(count, bool)
    is_bad[[row.number - above - 1 for row in bad]] = True
    ends = np.zeros(count, np.int64)
    ends[~is_bad] = sum(pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy() for column in columns)
    ends[is_bad] = [row.text.replace("\r\n", "\n").replace("\r", "\n").count("\n") for row in bad]
    begin = above + 1 + np.arange(count) + ends.cumsum() - ends
    return begin[~is_bad], begin[is_bad].tolist()


def _plain_ends(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turns the line ends inside cells into line feeds."""
    if not pc.any(pc.match_substring(column, "\r")).as_py():
        return column
    return pc.replace_substring(pc.replace_substring(column, "\r\n", "\n"), "\r", "\n")


def _read_json_lines(file: Path, encoding: str) -> Rows:
    """Reads a line of JSON for each row: an object, or a text."""
    rows: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    bad: list[tuple[int, str]] = []
    with text_of(file, encoding) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = _as_row(json.loads(line))
            except (ValueError, RecursionError) as error:
                bad.append((number, f"not JSON ({error})"))
                continue
            if row is None:
                bad.append((number, _NO_ROW))
                continue
            rows.append(row)
            numbers.append(number)
    if bad and not rows:
        raise DataError(
            f"{printable(str(file))}: holds no rows: line {bad[0][0]} is {bad[0][1]}; give one line of JSON per row"
        )
    table, notes = _of_rows(rows)
    return Rows(table, numbers, ":", bad, notes)


def _read_json(file: Path, encoding: str) -> Rows:
    """Reads a list of objects or texts, alone or as the only list of an object."""
    shown = printable(str(file))
    with text_of(file, encoding) as stream:
        try:
            content = json.load(stream)
        except ValueError as error:
            if str(error).startswith("Extra data"):  # JSON lines with the suffix of JSON
                return _read_json_lines(file, encoding)
            raise DataError(f"{shown}: not JSON ({error}); repair it, or give a .jsonl, .csv or .txt file") from None
        except RecursionError:
            raise DataError(f"{shown}: nested too deeply; give a list of objects or of texts") from None
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else content
    found = [_as_row(row) for row in content] if isinstance(content, list) else []
    if not any(found):
        raise DataError(f"{shown}: holds no list of texts or objects; give a list of texts, or of objects")
    kept = [i for i, row in enumerate(found) if row is not None]
    table, notes = _of_rows([row for row in found if row is not None])
    return Rows(table, kept, "#", [(i, _NO_ROW) for i, row in enumerate(found) if row is None], notes)


def _as_row(value: Any) -> Mapping[str, Any] | None:
    return {"text": value} if isinstance(value, str) else value if isinstance(value, dict) else None


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[pa.Table, list[str]]:
    """Returns the columns of objects, and a note on those that hold lists or objects of no common type."""
    columns: dict[str, pa.Array] = {}
    left = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if not any(isinstance(value, list | dict) for value in values):
            columns[printable(name)] = as_column(values)
            continue
        try:
            columns[printable(name)] = pa.array(values)
        except (pa.ArrowException, UnicodeEncodeError, OverflowError):
            left.append(name)
    return pa.table(columns), left_out(left)
