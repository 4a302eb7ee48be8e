"""Tables with a column of texts: CSV, TSV, JSON, JSON lines and Parquet, each also gzipped."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from latentviz.errors import DataError
from latentviz.modalities.io.limits import check_rows
from latentviz.modalities.io.names import PART, BadItem, natural, part_of, printable
from latentviz.modalities.io.prepared import as_column
from latentviz.modalities.text.columns import table_source
from latentviz.modalities.text.config import TABLE_SUFFIXES, TextData, suffix_of
from latentviz.modalities.text.encoding import examine, opened, text_of
from latentviz.modalities.text.lines import walk
from latentviz.modalities.text.source import Source

_BLOCK = 65_536  # rows that are Python's at a time
_DELIMITERS = "\t,;|"
_NONE = "\x1f"  # a delimiter that no table has, for those of one column
Quoting = Literal[0, 3]
QUOTINGS: tuple[Quoting, ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)
_SNIFFED = 100  # rows that tell the delimiter


@dataclass
class Read:
    """What a file holds.

    Attributes:
        table: its columns.
        places: of each row: line or row of the file.
        bad: rows that could not be read, by place, with the reason.
        notes: for the user.
    """

    table: pa.Table
    places: list[str]
    bad: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def table_files(folder: Path) -> list[Path]:
    """Returns the tables of a folder and its subfolders, of the kind that it has most of, in natural order."""
    files = [file for file in walk(folder) if suffix_of(file.name) in TABLE_SUFFIXES]
    kinds = [suffix_of(file.name) for file in files]
    most = max(kinds, key=lambda kind: (kinds.count(kind), kind), default="")
    return sorted(
        (file for file in files if suffix_of(file.name) == most),
        key=lambda file: natural(file.relative_to(folder).as_posix()),
    )


def read_tables(files: list[Path], data: TextData, root: Path) -> Source:
    """Returns the texts of a table, or of several with the same columns, joined.

    Args:
        files: in order.
        data: which columns hold texts, labels and ids, and the encoding.
        root: folder that the files lie in, left out of the ids.

    Raises:
        DataError: a file cannot be read, or there is no column of text.
    """
    reads = {file: READERS[suffix_of(file.name)](file, data) for file in files}
    names = {file: printable(file.relative_to(root).as_posix()) for file in files}
    stems = {file: Path(name.removesuffix(".gz")).with_suffix("").as_posix() for file, name in names.items()}
    try:
        table = pa.concat_tables([read.table for read in reads.values()], promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"{printable(data.path)}: its {len(files):,} tables do not fit together "
            f"({' '.join(str(error).split())[:200]}); give one of them"
        ) from None
    parts = [part_of(file.name) for file, read in reads.items() for _ in read.places]
    if len(files) > 1 and None not in parts and PART not in table.column_names:
        table = table.append_column(PART, pa.array(parts, pa.string()))
    return table_source(
        table,
        [f"{stems[file]}/{place[1:]}" for file, read in reads.items() for place in read.places],
        [f"{names[file]}{place}" for file, read in reads.items() for place in read.places],
        data,
        notes=list(dict.fromkeys(note for read in reads.values() for note in read.notes)),
        bad=[BadItem(f"{names[file]}{place}", reason) for file, read in reads.items() for place, reason in read.bad],
    )


def read_csv(file: Path, data: TextData) -> Read:
    """Returns a table with a row of names above it; the delimiter is found.

    Rows with more or fewer fields than there are names are bad.

    Raises:
        DataError: the file is no text, or no table.
    """
    encoding, shown = examine(file, data.encoding), printable(str(file))
    bad: list[tuple[str, str]] = []
    places: list[str] = []
    with _long_fields(), text_of(file, encoding) as stream:
        head = list(islice(stream, _SNIFFED))
        delimiter, quoting = sniff(head, suffix_of(file.name))
        rows = csv.reader(_chained(head, stream), delimiter=delimiter, quoting=quoting)
        names: list[str] = []
        chunks: list[list[pa.Array]] = []
        try:
            names = _unique(next((row for row in rows if any(cell.strip() for cell in row)), []))
            if not names:
                raise DataError(f"{shown}: only blank lines; give a table whose first line names its columns")
            while True:
                block: list[list[str]] = []
                before = rows.line_num
                for row in islice(rows, _BLOCK):
                    line, before = before + 1, rows.line_num
                    if len(row) == len(names):
                        block.append(row)
                        places.append(f":{line}")
                    elif row:
                        bad.append((f":{line}", f"{len(row)} fields, and the table has {len(names)} columns"))
                if not block and rows.line_num == before:
                    break
                chunks.append([pa.array(column, pa.string()) for column in zip(*block, strict=True)] if block else [])
        except csv.Error as error:
            raise DataError(f"{shown}: line {rows.line_num:,}: {error}; repair it, or save it as .jsonl") from None
    kept = [chunk for chunk in chunks if chunk]
    table = pa.table(
        {name: _numbers(pa.chunked_array([chunk[i] for chunk in kept], pa.string())) for i, name in enumerate(names)}
    )
    return Read(table, places, bad)


def sniff(head: list[str], suffix: str) -> tuple[str, Quoting]:
    """Returns the delimiter of a table and how it quotes: that by which most rows have as many fields as the first.

    >>> sniff(["a;b", "1,5;2", "2;3"], ".csv") == (";", csv.QUOTE_MINIMAL)
    True
    """
    best, found = (0.0, 0, False, 0), (_NONE, QUOTINGS[0])
    for quoting in QUOTINGS:
        for delimiter in _DELIMITERS:
            rows = [row for row in csv.reader(head, delimiter=delimiter, quoting=quoting) if row]
            n = len(rows[0]) if rows else 0
            if n < 2:
                continue
            # The last row may go on in lines that are not here; a quote that is never closed swallows the others.
            alike = sum(len(row) == n for row in rows) / max(1, len(rows) if quoting else len(rows) - 1)
            lines = sum("\n" in cell for row in rows for cell in row)  # many, where quotes mean nothing
            score = (round(min(1.0, alike), 2), -lines, (delimiter == "\t") == (suffix == ".tsv"), n)
            if score > best:
                best, found = score, (delimiter, quoting)
    return found


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lets `csv` read fields of any length inside."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _chained(head: list[str], rest: Iterable[str]) -> Iterator[str]:
    yield from head
    yield from rest


def _unique(names: list[str]) -> list[str]:
    """Returns names of columns, those without a name or with another's numbered.

    >>> _unique(["a", "", "a"])
    ['a', 'column 2', 'a 3']
    """
    seen: set[str] = set()
    unique = []
    for i, name in enumerate(names, 1):
        clean = printable(name.strip())
        free = f"column {i}" if not clean else f"{clean} {i}" if clean in seen else clean
        seen.add(free)
        unique.append(free)
    return unique


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a column of numbers as numbers, and any other as it is; "007" is a name, and an empty cell is none."""
    column = pc.if_else(pc.equal(column, ""), None, column)
    if column.null_count == len(column) or pc.any(pc.match_substring_regex(column, r"^\s*-?0\d")).as_py():
        return column
    for kind in (pa.int64(), pa.float64()):
        try:
            return column.cast(kind)
        except pa.ArrowException:
            continue
    return column


def read_json_lines(file: Path, data: TextData) -> Read:
    """Returns a table of JSON lines: objects, or texts alone.

    Raises:
        DataError: the file is no text.
    """
    encoding = examine(file, data.encoding)
    rows: list[Mapping[str, Any]] = []
    places: list[str] = []
    bad: list[tuple[str, str]] = []
    with text_of(file, encoding) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = _as_row(json.loads(line))
            except (ValueError, RecursionError) as error:
                bad.append((f":{number}", f"no JSON ({error})"))
                continue
            if row is None:
                bad.append((f":{number}", "neither an object nor a text"))
                continue
            rows.append(row)
            places.append(f":{number}")
    if bad and not rows:
        raise DataError(
            f"{printable(str(file))}: holds no texts: line {bad[0][0][1:]} is {bad[0][1]}; give a line "
            "of JSON for each, a text or an object with a text"
        )
    table, notes = _of_rows(rows)
    return Read(table, places, bad, notes)


def read_json(file: Path, data: TextData) -> Read:
    """Returns a table in JSON: a list of texts or of objects, alone or as the one list of an object.

    Raises:
        DataError: the file is no JSON, or holds no such list.
    """
    encoding, shown = examine(file, data.encoding), printable(str(file))
    with text_of(file, encoding) as stream:
        try:
            content = json.load(stream)
        except ValueError as error:
            if str(error).startswith("Extra data"):  # JSON lines by the name of JSON
                return read_json_lines(file, data)
            raise DataError(f"{shown}: no JSON ({error}); repair it, or give a .jsonl, .csv or .txt file") from None
        except RecursionError:
            raise DataError(f"{shown}: nested too deeply; give a list of texts, or of objects with a text") from None
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 else content
    found = [(f"#{i}", _as_row(row)) for i, row in enumerate(content)] if isinstance(content, list) else []
    if not any(row for _, row in found):
        raise DataError(f"{shown}: holds no list of texts; give a list of texts, or of objects with a text each")
    rows = [(place, row) for place, row in found if row is not None]
    table, notes = _of_rows([row for _, row in rows])
    bad = [(place, "neither an object nor a text") for place, row in found if row is None]
    return Read(table, [place for place, _ in rows], bad, notes)


def _as_row(value: Any) -> Mapping[str, Any] | None:
    return {"text": value} if isinstance(value, str) else value if isinstance(value, dict) else None


def _of_rows(rows: list[Mapping[str, Any]]) -> tuple[pa.Table, list[str]]:
    """Returns a table of objects, and a note on columns that hold more than plain values, which are left out."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    nested = {name for row in rows for name, value in row.items() if isinstance(value, list | dict)}
    plain = [name for name in names if name not in nested]
    table = pa.table({printable(name): as_column([row.get(name) for row in rows]) for name in plain})
    return table, _left_out([name for name in names if name in nested])


def _left_out(nested: list[str]) -> list[str]:
    return [f"columns without plain values left out: {', '.join(map(printable, nested))}"] if nested else []


def read_parquet(file: Path, data: TextData) -> Read:
    """Returns the plain columns of a Parquet file.

    Raises:
        DataError: the file is damaged.
    """
    del data
    try:
        with opened(file) as stream:
            packed = file.name.lower().endswith(".gz")
            whole = pq.ParquetFile(pa.BufferReader(stream.read()) if packed else stream)
            check_rows(file, whole.metadata.num_rows)
            schema = whole.schema_arrow
            plain = [field.name for field in schema if _is_plain(field.type)]
            table = whole.read(columns=plain)
    except (pa.ArrowException, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{printable(str(file))}: not a whole Parquet file ({said}); fetch or make it again") from None
    places = [f"#{row}" for row in range(len(table))]
    return Read(table, places, notes=_left_out([name for name in schema.names if name not in plain]))


def _is_plain(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


READERS: Mapping[str, Callable[[Path, TextData], Read]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
}
