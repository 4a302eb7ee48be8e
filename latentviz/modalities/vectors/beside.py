"""What the vectors stand for, in the same order: texts or images to show on the map, in cards and in answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.io.names import LABEL_NAMES, as_label, find_label, natural, printable
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read_lines
from latentviz.modalities.vectors.source import ID_NAMES, TEXT_NAMES, by_name

SEPARATORS = {".csv": ",", ".tsv": "\t"}
_FILES = "a .txt file with a line a vector, a .csv, .tsv, .jsonl or .parquet file, or a folder of images"


@dataclass(frozen=True)
class Beside:
    """What is known of the items that n vectors stand for.

    Attributes:
        ids: what to call them; None: by their row.
        labels: class names; None: no item has one.
        texts: what to show of them; None: they are no texts.
        images: whether their images lie in the cache.
        columns: what the file says of them besides.
        notes: lines for the user.
    """

    ids: Sequence[str] | None = None
    labels: Sequence[str | None] | None = None
    texts: Sequence[str] | None = None
    images: bool = False
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def read_beside(data: VectorData, n: int, cache: Path, seed: int) -> Beside:
    """Returns what `data.items` says of n vectors; images are decoded into `cache/images.npy`.

    Raises:
        DataError: it cannot be read, or tells of another number of items.
    """
    path, shown = Path(data.items), printable(data.items)
    if not path.exists():
        raise DataError(f"data.items: {shown}: there is no such file or folder; give {_FILES}")
    from latentviz.modalities.image.detect import detect  # the only other kind that vectors know

    suffix = path.suffix.lower()
    if suffix == ".txt":
        lines = read_lines(path, "data.items")
        _same(len(lines), n, shown, "lines")
        return Beside(texts=lines, notes=[f"items: the {n:,} lines of {shown}, line i for vector i"])
    if detect(data.items):
        return _images(data, n, cache, seed)
    if suffix in {*SEPARATORS, ".jsonl", ".parquet"}:
        return _table(path, data, n)
    raise DataError(f"data.items: {shown}: neither texts nor images; give {_FILES}")


def _same(found: int, n: int, shown: str, what: str) -> None:
    if found != n:
        raise DataError(
            f"data.items: {shown} has {found:,} {what} for {n:,} vectors; {what[:-1]} i belongs to vector "
            "i, so there must be as many"
        )


def _images(data: VectorData, n: int, cache: Path, seed: int) -> Beside:
    """Returns the images of a folder or file, which the image kind reads."""
    from latentviz.modalities.image.config import ImageData
    from latentviz.modalities.image.prepare import prepare
    from latentviz.modalities.image.read import read

    settings = ImageData(path=data.items)
    source = read(settings)
    _same(len(source), n, printable(data.items), "images")
    prepared = prepare(settings, cache, seed, source=source, learn=False)
    if prepared.bad:
        bad = prepared.bad[0]
        raise DataError(
            f"data.items: {bad.source}: {bad.reason}; {len(prepared.bad)} of {n:,} images cannot be read, "
            "and image i belongs to vector i; repair it, or take it out together with its vector"
        )
    table = prepared.items.table
    own = {
        name: table.column(name).to_pylist()
        for name in table.column_names
        if name not in {"id", "split", "label", "source"}
    }
    ids = prepared.items.column("id")
    note = f"items: the {n:,} images of {printable(data.items)} in their order, from {ids[0]} to {ids[-1]}"
    return Beside(ids, prepared.items.labels, images=True, columns=own, notes=[note])


def _table(path: Path, data: VectorData, n: int) -> Beside:
    """Returns the rows of a table with a column of texts."""
    shown, table = printable(str(path)), _read(path)
    _same(table.num_rows, n, shown, "rows")
    columns = {
        printable(name): table.column(name).to_pylist()
        for name in table.column_names
        if not pa.types.is_nested(table.schema.field(name).type)
        and not pa.types.is_binary(table.schema.field(name).type)
    }
    if data.text_column not in {"auto", "none", *columns}:
        raise DataError(
            f"data.text_column: {shown} has no column {data.text_column!r}; it has "
            f"{', '.join(columns)}.{did_you_mean(data.text_column, columns)}"
        )
    label = find_label(list(columns)) if data.label_column == "auto" else data.label_column
    labels = [as_label(value) for value in columns.pop(label)] if label in columns else None
    text = _text_column(columns) if data.text_column == "auto" else data.text_column
    texts = ["" if value is None else str(value) for value in columns.pop(text)] if text in columns else None
    name = by_name(list(columns), ID_NAMES)
    ids = [printable(str(value)) for value in columns.pop(name)] if name else None
    said = "; ".join(
        f"{what}: {key or 'none found'}"
        for what, key in (("texts", text if texts else None), ("labels", label if labels else None), ("ids", name))
    )
    return Beside(ids, labels, texts, columns=columns, notes=[f"items: the {n:,} rows of {shown}; {said}"])


def _text_column(columns: Mapping[str, Sequence[Any]]) -> str | None:
    """Returns the column with texts: by its name, or else the one of strings that are longest."""
    named = by_name(list(columns), TEXT_NAMES)
    lengths = {
        name: sum(len(value) for value in values if value)
        for name, values in columns.items()
        if all(value is None or isinstance(value, str) for value in values)
    }
    return named or max(sorted(lengths, key=natural), key=lambda name: lengths[name], default=None)


def _read(path: Path) -> pa.Table:
    as_text = {name: pa.string() for name in (*LABEL_NAMES, *TEXT_NAMES, *ID_NAMES)}  # "007" is a name, not a number
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return pa.parquet.read_table(path)
        if suffix == ".jsonl":
            return pa.json.read_json(path, read_options=pa.json.ReadOptions(block_size=2**25))
        return pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(delimiter=SEPARATORS[suffix], newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(column_types=as_text, strings_can_be_null=True),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"data.items: {printable(str(path))}: cannot be read as a table ({text[:200]}); repair it"
        ) from None
