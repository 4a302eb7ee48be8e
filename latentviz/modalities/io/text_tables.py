"""CSV, TSV, JSON and JSON lines, each also gzipped, in any encoding: the line of each row, and rows that are bad."""

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from latentviz.errors import DataError, message_of
from latentviz.modalities.io.coco import image_rows
from latentviz.modalities.io.columns import PADDED, as_column, left_out, typed
from latentviz.modalities.io.files import examine, opened, suffix_of, text_of
from latentviz.modalities.io.header import Quoting, first_rows, read_header
from latentviz.modalities.io.names import printable
from latentviz.progress import plural

_CSV_BLOCKS = (2**24, 2**27, 2**31 - 1)  # bytes parsed at a time: a row must fit into one; Arrow counts in 32 bits
_UTF8 = {"utf-8": "utf8", "utf-8-sig": "utf8"}  # the encoding that Arrow reads itself, by its name for it


@dataclass(frozen=True)
class Rows:
    """The rows of one file, or of one split of a hub data set."""

    data: "pa.Table | pa.dataset.Dataset"  # the columns; a Dataset reads them from disk
    numbers: Sequence[int]  # the line or row of each row in the file
    mark: str = "#"  # ":" if these are lines, counted from 1, "#" if rows, from 0
    bad: Sequence[tuple[int, str]] = ()  # rows that could not be read, with the reason
    notes: Sequence[str] = ()  # lines for the user
    name: str = ""  # the file below the folder that was read, or hf:NAME/split
    stem: str = ""  # the beginning of the rows' ids
    part: str | None = None  # train, test or validation if the name says so


def one_line(error: Exception) -> str:
    """Returns an error of Arrow in one line of bounded length."""
    return printable(message_of(error))[:200]


def read_text_table(file: Path, encoding: str, *, numbers: bool) -> Rows:
    """Reads a table of text; for the arguments, see `read_table`."""
    if suffix_of(file.name) in {".json", ".jsonl", ".ndjson"}:
        return _read_json(file, examine(file, encoding))
    found = _read_numbers(file) if numbers else None
    return found or _read_csv(file, examine(file, encoding), numbers=numbers)


def _parsing(delimiter: str, quoting: Quoting, **options: Any) -> pa.csv.ParseOptions:
    quote = False if quoting else '"'
    return pa.csv.ParseOptions(delimiter=delimiter, quote_char=quote, newlines_in_values=not quoting, **options)


def _read_numbers(file: Path) -> Rows | None:
    """Reads a table of text with the types that Arrow finds, which is fastest; None unless all of it is in order."""
    try:
        names, above, delimiter, quoting, notes = read_header(file, "utf-8-sig", numbers=True)
        if not names:
            return None
        with opened(file) as stream:
            reading = pa.csv.ReadOptions(column_names=names, skip_rows=above)
            rows = first_rows(file, "utf-8-sig")[0]
            padded = {name for row in rows[1:] for name, cell in zip(names, row, strict=False) if PADDED.match(cell)}
            kept = pa.csv.ConvertOptions(column_types=dict.fromkeys(padded, pa.string()))  # "007" is a name
            table = pa.csv.read_csv(stream, reading, _parsing(delimiter, quoting), kept)
    except (pa.ArrowException, UnicodeError, csv.Error):
        return None
    return Rows(table, range(above + 1, above + 1 + len(table)), ":", notes=notes)


def _read_csv(file: Path, encoding: str, *, numbers: bool) -> Rows:
    """Reads a table of text; rows with another number of fields than the header are bad."""
    shown = printable(str(file))
    try:
        names, above, delimiter, quoting, notes = read_header(file, encoding, numbers=numbers)
        if not names:
            raise DataError(f"{shown}: only blank lines; give a table whose first line names its columns")
        bad: list[Any] = []  # pa.csv.InvalidRow

        def skip(row: Any) -> str:
            bad.append(row)
            return "skip"

        # Empty lines are not ignored, because that keeps the numbers of lines.
        parsing = _parsing(delimiter, quoting, ignore_empty_lines=False, invalid_row_handler=skip)
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
    reasons = [
        f"{plural(row.actual_columns, 'field')}, and the table has {plural(len(names), 'column')}" for row in bad
    ]
    return Rows(
        pa.table([typed(column.filter(kept)) for column in columns], names),
        lines[~empty].tolist(),
        ":",
        list(zip(bad_lines, reasons, strict=True)),
        notes,
    )


def _lines(above: int, columns: Sequence[pa.ChunkedArray], bad: Sequence[Any]) -> tuple[np.ndarray, list[int]]:
    """Returns the lines in which the rows and the bad rows begin, from 1; cells may hold line ends.

    There are `above` lines above the first row. `bad` are `InvalidRow`s, numbered as if each row were one line.
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


def _read_json(file: Path, encoding: str) -> Rows:
    """Reads objects or texts, one per line, or as a list, alone or as the only list of an object."""
    shown, mark = printable(str(file)), "#"
    with text_of(file, encoding) as stream:
        values: Iterable[tuple[int, Any]] | None = None
        if suffix_of(file.name) == ".json":
            try:
                content = json.load(stream)
                content = image_rows(content) or content
                lists = [v for v in content.values() if isinstance(v, list)] if isinstance(content, dict) else []
                content = lists[0] if len(lists) == 1 else content
                values = enumerate(content if isinstance(content, list) else [])
            except ValueError as error:
                if not str(error).startswith("Extra data"):  # as in JSON lines with the suffix of JSON
                    raise DataError(
                        f"{shown}: not JSON ({error}); repair it, or give a .jsonl, .csv or .txt file"
                    ) from None
                stream.seek(0)
            except RecursionError:
                raise DataError(f"{shown}: nested too deeply; give a list of objects or of texts") from None
        if values is None:
            values, mark = _json_lines(stream), ":"
        rows: list[Mapping[str, Any]] = []
        numbers: list[int] = []
        bad: list[tuple[int, str]] = []
        for number, value in values:
            if isinstance(value, str | dict):
                rows.append({"text": value} if isinstance(value, str) else value)
                numbers.append(number)
            else:
                reason = f"not JSON ({value})" if isinstance(value, Exception) else "neither an object nor a text"
                bad.append((number, reason))
    if mark == "#" and not any(rows):
        raise DataError(f"{shown}: holds no list of texts or objects; give a list of texts, or of objects")
    if bad and not rows:
        raise DataError(f"{shown}: holds no rows: line {bad[0][0]} is {bad[0][1]}; give one line of JSON per row")
    table, notes = _of_rows(rows)
    return Rows(table, numbers, mark, bad, notes)


def _json_lines(stream: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Yields the number and the value of each line that is not blank, or the error."""
    for number, line in enumerate(stream, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error


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
