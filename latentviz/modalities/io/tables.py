"""One reader for tables: CSV, TSV, JSON, JSON lines, Parquet and Arrow files, each also gzipped, and `hf:NAME`."""

import json
import mmap
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from latentviz.errors import DataError
from latentviz.modalities.io.files import (
    ARROW_SUFFIXES,
    TABLE_SUFFIXES,
    check_rows,
    in_order,
    opened,
    stem_of,
    suffix_of,
    walk,
)
from latentviz.modalities.io.names import PARTS, BadItem, part_of, printable
from latentviz.modalities.io.text_tables import Rows, one_line, read_text_table

_COPIED_ROWS = 512  # at a time, when a column is copied to disk
_STREAMED_ROWS = 8_192
_BINARY = frozenset({".parquet"}) | ARROW_SUFFIXES  # formats with typed columns


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
    """Rows of one or several files with the same columns; a column of Parquet or Arrow is read when it is asked for.

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
        if pa.types.is_string_view(values.type):
            return values.cast(pa.string())  # Arrow can hardly compute on views
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
    if not {suffix_of(file.name) for file in files} <= _BINARY:
        reads = [read_text_table(file, encoding, numbers=numbers) for file in files]
    else:
        packed = any(file.suffix.lower() == ".gz" for file in files)
        reads = [_read_packed(file) if packed else _open(file) for file in files]
    pieces, bad = [], []
    for file, read in zip(files, reads, strict=True):
        name = file.relative_to(root).as_posix()
        pieces.append(Piece(name, printable(stem_of(name)), part_of(file.name), read.mark, read.numbers))
        bad += [BadItem(printable(f"{name}{read.mark}{number}"), reason) for number, reason in read.bad]
    notes = list(dict.fromkeys(note for read in reads for note in read.notes))
    return Table(printable(path), _joined(path, files, [read.data for read in reads]), pieces, root, bad, notes)


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
            f"{printable(path)}: the columns of its {len(files):,} tables do not fit together ({one_line(error)}); "
            "files read as one must have the same columns; give one of them"
        ) from None


def read_schema(file: Path) -> pa.Schema:
    """Returns the columns of a Parquet or Arrow file.

    Raises:
        DataError: it is damaged.
    """
    return _open(file).data.schema


def _open(file: Path) -> Rows:
    """Opens a Parquet or Arrow file, of which columns are read when they are asked for."""
    from pyarrow import dataset  # imports pandas, half a second

    try:
        suffix = "parquet" if suffix_of(file.name) == ".parquet" else "ipc"
        data = dataset.dataset([str(file)], format=suffix, filesystem=pa.fs.LocalFileSystem())
        rows = data.count_rows()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from None
    check_rows(file, rows)
    return Rows(data, range(rows))


def _damaged(file: Path, error: Exception) -> DataError:
    kind = "Parquet" if suffix_of(file.name) == ".parquet" else "Arrow"
    return DataError(f"{printable(str(file))}: not a whole {kind} file ({one_line(error)}); fetch or make it again")


def _read_packed(file: Path) -> Rows:
    """Reads a gzipped Parquet or Arrow file, of which no column can be read alone."""
    try:
        with opened(file) as stream:
            content = pa.BufferReader(stream.read())
        if suffix_of(file.name) in ARROW_SUFFIXES:
            table = pa.ipc.open_file(content).read_all()
        else:
            parquet = pq.ParquetFile(content)
            check_rows(file, parquet.metadata.num_rows)
            table = parquet.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from None
    return Rows(table, range(len(table)))
