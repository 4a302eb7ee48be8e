"""One reader for tables: CSV, TSV, JSON, JSON lines, Parquet and Arrow files, each also gzipped, and `hf:NAME`."""

import codecs
import csv
import json
import mmap
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet as pq

from latentviz.errors import DataError
from latentviz.modalities.io.columns import as_column, left_out, typed
from latentviz.modalities.io.files import (
    ARROW_SUFFIXES,
    TABLE_SUFFIXES,
    check_rows,
    examine,
    in_order,
    opened,
    stem_of,
    suffix_of,
    text_of,
    walk,
)
from latentviz.modalities.io.header import read_header
from latentviz.modalities.io.names import PARTS, BadItem, part_of, printable

_CSV_BLOCKS = (2**24, 2**27, 2**31 - 1)  # bytes parsed at a time: a row must fit into one; Arrow counts in 32 bits
_COPIED_ROWS = 512  # at a time, when a column is copied to disk
_STREAMED_ROWS = 8_192
_LAZY = frozenset({".parquet"}) | ARROW_SUFFIXES  # formats of which single columns can be read
_UTF8 = {"utf-8": "utf8", "utf-8-sig": "utf8"}  # the encoding that Arrow reads itself, by its name for it


@dataclass(frozen=True)
class Piece:
    """The rows of one file, or of one split of a hub data set.

    Attributes:
        name: the file below the folder that was read, or `hf:NAME/split`.
        stem: the beginning of its rows' ids.
        part: "train", "test" or "validation" if the name says so.
        mark: ":" if rows are counted in lines, "#" if in rows.
        numbers: the line or row of each row.
    """

    name: str
    stem: str
    part: str | None
    mark: str
    numbers: Sequence[int]


@dataclass(frozen=True)
class Table:
    """Rows of one or several files with the same columns; a column is read when it is asked for.

    Attributes:
        shown: the path, for messages.
        data: the columns; a Dataset reads them from disk.
        pieces: where the rows come from, in order.
        root: folder that the files lie in; None for hub data sets.
        bad: rows that could not be read.
        notes: lines for the user.
    """

    shown: str
    data: "pa.Table | pa.dataset.Dataset"
    pieces: Sequence[Piece]
    root: Path | None
    bad: Sequence[BadItem] = ()
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        """Returns the number of rows."""
        return sum(len(piece.numbers) for piece in self.pieces)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns as they are stored."""
        return self.data.schema

    def column(self, name: str) -> pa.ChunkedArray:
        """Reads one column; class numbers of Hugging Face data sets become class names."""
        table = self.data if isinstance(self.data, pa.Table) else self.data.to_table(columns=[name])
        values = table.column(name)
        classes = class_names(self.schema).get(name)
        if classes is None:
            return values
        # −1 marks the rows of test sets that have no label.
        named = [classes[v] if v is not None and 0 <= v < len(classes) else None for v in values.to_pylist()]
        return pa.chunked_array([pa.array(named, pa.string())])

    def batches(self, name: str, rows: int = _STREAMED_ROWS) -> Iterator[pa.Array]:
        """Yields one column in order, at most `rows` rows at a time."""
        if isinstance(self.data, pa.Table):
            found = self.data.select([name]).to_batches(max_chunksize=rows)
        else:
            found = self.data.to_batches(columns=[name], batch_size=rows)
        for batch in found:
            yield batch.column(0)

    def mapped(self, name: str) -> pa.ChunkedArray:
        """Returns one column for access in any order, copied from a compressed file to a memory-mapped one.

        The copy is a temporary file without a name, which disappears with the array.

        Raises:
            DataError: the disk is full.
        """
        if isinstance(self.data, pa.Table):
            return self.data.column(name)
        schema = pa.schema([self.schema.field(name)])
        try:
            with tempfile.TemporaryFile(prefix="latentviz-") as file:
                with pa.ipc.new_stream(pa.PythonFile(file, "w"), schema) as writer:
                    for values in self.batches(name, _COPIED_ROWS):
                        writer.write_batch(pa.record_batch([values], schema=schema))
                file.flush()
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DataError(
                f"{tempfile.gettempdir()}: cannot hold a copy of the column {printable(name)} of {self.shown} "
                f"({error.strerror or error}); free space, or set TMPDIR to another folder"
            ) from None
        return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(content))).read_all().column(0)

    def ids(self) -> list[str]:
        """Returns a default id for each row: file and line or row, as in "train/12"."""
        return [f"{piece.stem}/{number}" for piece in self.pieces for number in piece.numbers]

    def origins(self, *, full: bool = False) -> list[str]:
        """Returns file and line or row of each row, as in "x.csv:12"; `full`: with the folder."""
        names = [self.root / piece.name if full and self.root else piece.name for piece in self.pieces]
        return [
            f"{name}{piece.mark}{number}"
            for name, piece in zip((printable(str(name)) for name in names), self.pieces, strict=True)
            for number in piece.numbers
        ]

    def parts(self) -> list[str] | None:
        """Returns train, test or validation for each row, or None unless all files are named so."""
        if not all(piece.part for piece in self.pieces):
            return None
        return [str(piece.part) for piece in self.pieces for _ in piece.numbers]


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Returns the class names of each column of class numbers, from the metadata that `datasets` writes."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(label) for label in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):
        return {}


def table_files(folder: Path, *, links: bool = False, without: Collection[str] = ()) -> list[Path]:
    """Returns the tables of a folder and its subfolders in natural order: those of the commonest format.

    Args:
        folder: where to look.
        links: whether to include links to files outside the folder.
        without: names of files that are not data.
    """
    files = [f for f in walk(folder, links=links) if suffix_of(f.name) in TABLE_SUFFIXES and f.name not in without]
    suffixes = [suffix_of(file.name) for file in files]
    most = max(suffixes, key=lambda suffix: (suffixes.count(suffix), suffix), default="")
    return in_order([file for file in files if suffix_of(file.name) == most], folder)


def read_table(
    path: str, *, files: Sequence[Path] = (), encoding: str = "utf-8", split: str = "all", numbers: bool = False
) -> Table:
    """Reads a table, several files with the same columns as one, or a data set on the Hugging Face hub.

    Args:
        path: a file, a folder of tables, hf:NAME or hf:NAME:CONFIG.
        files: which files of the folder to read; none: those of the commonest format.
        encoding: of text files without a byte order mark.
        split: of a hub data set; "all": every one, joined.
        numbers: of text files with numbers: types are those that Arrow finds, and a first line of numbers is a row.

    Raises:
        DataError: it cannot be read, or the files do not fit together.
    """
    if path.startswith("hf:"):
        from latentviz.modalities.io.hub import read_splits  # imports `datasets`, two seconds

        data, counts = read_splits(path, split)
        several = len(counts) > 1
        pieces = [
            Piece(f"{path}/{s}", printable(s), PARTS.get(s, s) if several else None, "#", range(n)) for s, n in counts
        ]
        return Table(printable(path), data, pieces, None)
    place = Path(path)
    root = place if place.is_dir() else place.parent
    files = files or (table_files(place) if place.is_dir() else [place])
    if {suffix_of(file.name) for file in files} <= _LAZY and not any(file.suffix.lower() == ".gz" for file in files):
        reads = [_Read(*_open(file)) for file in files]
    else:
        reads = [_read_whole(file, encoding, numbers=numbers) for file in files]
    names = [file.relative_to(root).as_posix() for file in files]
    pieces = [
        Piece(name, printable(stem_of(name)), part_of(file.name), read.mark, read.numbers)
        for name, file, read in zip(names, files, reads, strict=True)
    ]
    return Table(
        printable(path),
        _joined(path, files, [read.data for read in reads]),
        pieces,
        root,
        [
            BadItem(printable(f"{name}{read.mark}{number}"), reason)
            for name, read in zip(names, reads, strict=True)
            for number, reason in read.bad
        ],
        list(dict.fromkeys(note for read in reads for note in read.notes)),
    )


@dataclass(frozen=True)
class _Read:
    """The rows of one file; see `Table` and `Piece`."""

    data: "pa.Table | pa.dataset.Dataset"
    numbers: Sequence[int]
    mark: str = "#"
    bad: Sequence[tuple[int, str]] = ()
    notes: Sequence[str] = ()


def _joined(path: str, files: Sequence[Path], reads: Sequence[Any]) -> "pa.Table | pa.dataset.Dataset":
    if len(reads) == 1:
        return reads[0]
    try:
        if all(isinstance(data, pa.Table) for data in reads):
            return pa.concat_tables(reads, promote_options="permissive")
        schema = pa.unify_schemas([data.schema for data in reads], promote_options="permissive")
        return pa.dataset.dataset([str(f) for f in files], schema, reads[0].format, pa.fs.LocalFileSystem())
    except pa.ArrowException as error:
        raise DataError(
            f"{printable(path)}: the columns of its {len(files):,} tables do not fit together ({_line(error)}); "
            "files read as one must have the same columns; give one of them"
        ) from None


def _line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:200]


def read_schema(file: Path) -> pa.Schema:
    """Returns the columns of a Parquet or Arrow file.

    Raises:
        DataError: it is damaged.
    """
    return _open(file)[0].schema


def _open(file: Path) -> tuple["pa.dataset.Dataset", range]:
    """Opens a Parquet or Arrow file; returns it with its rows."""
    from pyarrow import dataset  # imports pandas, half a second

    try:
        suffix = "parquet" if suffix_of(file.name) == ".parquet" else "ipc"
        data = dataset.dataset([str(file)], format=suffix, filesystem=pa.fs.LocalFileSystem())
        rows = data.count_rows()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from None
    check_rows(file, rows)
    return data, range(rows)


def _damaged(file: Path, error: Exception) -> DataError:
    kind = "Parquet" if suffix_of(file.name) == ".parquet" else "Arrow"
    return DataError(f"{printable(str(file))}: not a whole {kind} file ({_line(error)}); fetch or make it again")


def _read_whole(file: Path, encoding: str, *, numbers: bool) -> _Read:
    suffix = suffix_of(file.name)
    if suffix in {".json", ".jsonl", ".ndjson"}:
        return (_read_json if suffix == ".json" else _read_json_lines)(file, examine(file, encoding))
    if suffix not in _LAZY:
        found = _read_numbers(file) if numbers else None
        return found or _read_csv(file, examine(file, encoding), headless=numbers)
    try:
        with opened(file) as stream:
            content = pa.BufferReader(stream.read())
        if suffix in ARROW_SUFFIXES:
            table = pa.ipc.open_file(content).read_all()
        else:
            parquet = pq.ParquetFile(content)
            check_rows(file, parquet.metadata.num_rows)
            table = parquet.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from None
    return _Read(table, range(len(table)))


def _read_numbers(file: Path) -> _Read | None:
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
    return _Read(table, range(above + 1, above + 1 + len(table)), ":")


def _read_csv(file: Path, encoding: str, *, headless: bool) -> _Read:
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
            f"{shown}: cannot be read as a table ({_line(error)}); repair it, or save it as .jsonl"
        ) from None
    columns = [_plain_ends(column) for column in table.columns]
    lines, bad_lines = _lines(above, columns, bad)
    empty = np.logical_and.reduce([column.is_null().to_numpy() for column in columns])
    kept = pa.array(~empty)
    reasons = [f"{row.actual_columns} fields, and the table has {len(names)} columns" for row in bad]
    return _Read(
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


def _read_json_lines(file: Path, encoding: str) -> _Read:
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
    return _Read(table, numbers, ":", bad, notes)


_NO_ROW = "neither an object nor a text"


def _read_json(file: Path, encoding: str) -> _Read:
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
    return _Read(table, kept, "#", [(i, _NO_ROW) for i, row in enumerate(found) if row is None], notes)


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
