"""One reader for tables: CSV, TSV, JSON, JSON lines, Parquet and Arrow files, each also gzipped, and `hf:NAME`."""

import json
import mmap
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from latentviz.errors import DataError
from latentviz.modalities.io import memory
from latentviz.modalities.io.columns import holds_bytes, is_binary
from latentviz.modalities.io.files import ARROW_SUFFIXES, TABLE_SUFFIXES, check_rows, opened, stem_of, suffix_of, walk
from latentviz.modalities.io.header import said_twice, unique_columns
from latentviz.modalities.io.names import PARTS, BadItem, part_of, printable
from latentviz.modalities.io.roles import SAMPLED
from latentviz.modalities.io.text_tables import Rows, one_line, read_text_table

_COPIED_ROWS = 512  # at a time, when a column is copied to disk
_STREAMED_ROWS = 8_192


@dataclass(frozen=True)
class Table:
    """Rows of one or several files with the same columns; a column of Parquet or Arrow is read when it is asked for."""

    shown: str  # the path, for messages
    data: "pa.Table | pa.dataset.Dataset"  # the columns; a Dataset reads them from disk
    pieces: Sequence[Rows]  # the files, or the splits of a hub data set, in order
    root: Path | None = None  # folder that the files lie in; None for hub data sets
    anywhere: bool = False  # whether paths may lead out of the root: those of an object are the user's own

    def __len__(self) -> int:
        """Returns the number of rows."""
        return sum(len(piece.numbers) for piece in self.pieces)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns as they are stored."""
        return self.data.schema

    @property
    def bad(self) -> list[BadItem]:
        """Rows that could not be read."""
        return [
            BadItem(printable(f"{piece.name}{piece.mark}{number}"), reason)
            for piece in self.pieces
            for number, reason in piece.bad
        ]

    @property
    def notes(self) -> list[str]:
        """Lines for the user, each once."""
        return list(dict.fromkeys(note for piece in self.pieces for note in piece.notes))

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

    def sample(self) -> dict[str, list[Any]]:
        """Returns the first values of each column, to judge it by; of images, a placeholder."""
        return sampled(self.data)

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
        full = full and self.root is not None and not self.anywhere
        names = [printable(str(self.root / p.name if full and self.root else p.name)) + p.mark for p in self.pieces]
        return [f"{name}{number}" for name, piece in zip(names, self.pieces, strict=True) for number in piece.numbers]

    def parts(self) -> list[str] | None:
        """Returns train, test or validation for each row, or None unless all files are named so."""
        if not all(piece.part for piece in self.pieces):
            return None
        return [str(piece.part) for piece in self.pieces for _ in piece.numbers]


def _head(data: "pa.Table | pa.dataset.Dataset", names: list[str]) -> pa.Table:
    """Returns the first rows; of Parquet files without decoding a whole row group, as `Dataset.head` does."""
    if isinstance(data, pa.Table):
        return data.select(names).slice(0, SAMPLED)
    if isinstance(data, pa.dataset.FileSystemDataset) and data.format.default_extname == "parquet":
        with pq.ParquetFile(data.files[0], memory_map=True) as file:
            if file.num_row_groups and set(names) <= set(file.schema_arrow.names):
                schema = pa.schema([file.schema_arrow.field(name) for name in names])
                first = next(file.iter_batches(SAMPLED, row_groups=[0], columns=names), None) if names else None
                return pa.Table.from_batches([] if first is None else [first], None if first is not None else schema)
    return data.head(SAMPLED, columns=names)


def sampled(data: "pa.Table | pa.dataset.Dataset") -> dict[str, list[Any]]:
    """Returns the first values of each column, to judge it by; of images, a placeholder."""
    light = [field.name for field in data.schema if not holds_bytes(field.type)]
    head = _head(data, light)
    classes = class_names(data.schema)
    found: dict[str, list[Any]] = {}
    for field in data.schema:
        if field.name in light:
            values = head.column(field.name).to_pylist()
            found[field.name] = [f"class {v}" for v in values] if field.name in classes else values
        elif pa.types.is_struct(field.type):
            found[field.name] = [dict.fromkeys((inner.name for inner in field.type.fields), b"")]
        else:
            found[field.name] = [b"x" if is_binary(field.type) else {}]
    return found


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

    `links`: links to files outside the folder are followed. Files with a name in `without` are not data.
    """
    files = [file for file in walk(folder, links=links).of(TABLE_SUFFIXES) if Path(file).name not in without]
    counts = Counter(map(suffix_of, files))
    most = max(counts, key=lambda suffix: (counts[suffix], suffix), default="")
    return [folder / file for file in files if suffix_of(file) == most]


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
    if memory.is_in_memory(path):
        data, shown = memory.get(path).table, printable(memory.named(path))
        if data is None:
            what = memory.get(path).kind or "other"
            raise DataError(
                f"{shown}: holds items of the kind {what}, and items of another kind are needed here; give such items"
            )
        rows = Rows(data, range(len(data)), name=shown, stem=memory.ROW)
        return Table(shown, data, [rows], Path.cwd(), anywhere=True)
    if path.startswith("hf:"):
        from latentviz.modalities.io.hub import read_splits  # imports `datasets`, two seconds

        data, counts = read_splits(path, split)
        several = len(counts) > 1
        pieces = [
            Rows(data, range(n), name=f"{path}/{s}", stem=printable(s), part=PARTS.get(s, s) if several else None)
            for s, n in counts
        ]
        return Table(printable(path), data, pieces)
    place = Path(path)
    root = place if place.is_dir() else place.parent
    files = files or (table_files(place) if place.is_dir() else [place])
    binary = {suffix_of(file.name) for file in files} <= {".parquet", *ARROW_SUFFIXES}
    packed = any(file.suffix.lower() == ".gz" for file in files)
    pieces = []
    for file in files:
        rows = _open(file, packed=packed) if binary else read_text_table(file, encoding, numbers=numbers)
        name = file.relative_to(root).as_posix()
        pieces.append(replace(rows, name=name, stem=printable(stem_of(name)), part=part_of(file.name)))
    return Table(printable(path), _joined(path, files, pieces), pieces, root)


def _joined(path: str, files: Sequence[Path], pieces: Sequence[Rows]) -> "pa.Table | pa.dataset.Dataset":
    reads = [piece.data for piece in pieces]
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
    """Returns the columns of a Parquet or Arrow file; raises a DataError if it is damaged."""
    return _open(file, packed=file.suffix.lower() == ".gz").data.schema


def _open(file: Path, *, packed: bool = False) -> Rows:
    """Opens a Parquet or Arrow file: columns are read when they are asked for, but all at once if it is gzipped."""
    from pyarrow import dataset  # imports pandas, half a second

    shown, parquet = printable(str(file)), suffix_of(file.name) == ".parquet"
    try:
        if packed:
            with opened(file) as stream:
                content = pa.BufferReader(stream.read())
        else:
            content = pa.memory_map(str(file))
        reader = pq.ParquetFile(content) if parquet else pa.ipc.open_file(content)
        given = (reader.schema_arrow if parquet else reader.schema).names
        names = unique_columns(given) if len(set(given)) < len(given) else given
        if parquet:
            check_rows(file, reader.metadata.num_rows)
        if packed or names != given:  # data sets know columns by their names
            data = (reader.read() if parquet else reader.read_all()).rename_columns(names)
            rows = len(data)
        else:
            form = "parquet" if parquet else "ipc"
            data = dataset.dataset([str(file)], format=form, filesystem=pa.fs.LocalFileSystem())
            rows = data.count_rows()
    except (pa.ArrowException, OSError, ValueError) as error:
        kind = "Parquet" if parquet else "Arrow"
        raise DataError(f"{shown}: not a whole {kind} file ({one_line(error)}); fetch or make it again") from None
    check_rows(file, rows)
    return Rows(data, range(rows), notes=said_twice(given, names))
