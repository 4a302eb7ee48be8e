"""Parquet files with a column of images, through `datasets` → a `Source`."""

import io
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.config import METADATA_NAMES, ImageData
from latentviz.modalities.image.pixels import Unreadable, formats
from latentviz.modalities.image.source import Source
from latentviz.modalities.io.hub import first_line, quiet
from latentviz.modalities.io.limits import check_rows
from latentviz.modalities.io.names import PART, as_label, find_label, natural, part_of, printable, require

# What columns of plain bytes are called when they are images.
_IMAGE_NAMES = ("image", "images", "img", "picture", "photo", "jpg", "jpeg", "png", "pixel_values")


def parquet_files(folder: Path) -> list[Path]:
    """Returns the Parquet files of a folder and its subfolders in natural order, but no hidden or metadata ones."""
    files = [
        p
        for p in folder.rglob("*.parquet")
        if p.is_file()
        and p.name not in METADATA_NAMES
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    ]
    return sorted(files, key=lambda p: natural(p.relative_to(folder).as_posix()))


def parquet_has_images(file: Path) -> bool:
    """Returns whether a Parquet file has a column of images.

    Raises:
        DataError: it is damaged.
    """
    return find_images(_schema(file)) is not None


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"{printable(str(file))}: not a whole Parquet file ({text[:200]}); fetch or make it again"
        ) from None


def find_images(schema: pa.Schema) -> str | None:
    """Returns the column of encoded images: a struct with `bytes`, or bytes under a name that says so."""
    for name in schema.names:
        kind = schema.field(name).type
        if pa.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}:
            return str(name)
    binary = [
        n
        for n in schema.names
        if pa.types.is_binary(schema.field(n).type) or pa.types.is_large_binary(schema.field(n).type)
    ]
    named = [n for n in binary if n.lower() in _IMAGE_NAMES]
    return str(named[0]) if named else str(binary[0]) if len(binary) == 1 else None


def read_parquet(path: Path, data: ImageData) -> Source:
    """Returns the images in a Parquet file, or in all those of a folder, joined.

    Raises:
        DataError: a file is damaged, or there is no column of images.
    """
    files = [path] if path.is_file() else parquet_files(path)
    counts = []
    for file in files:
        _schema(file)
        counts.append(pq.read_metadata(file).num_rows)
        check_rows(file, counts[-1])
    files, counts = [f for f, n in zip(files, counts, strict=True) if n], [n for n in counts if n]
    if not files:
        raise DataError(f"{printable(str(path))}: holds no images (the tables have no rows); check how it was made")
    import datasets  # two seconds to import

    # `datasets` turns Parquet into a memory-mapped Arrow file; it goes when the images have been decoded.
    folder = tempfile.mkdtemp(prefix="latentviz-")
    try:
        with quiet():
            table = datasets.load_dataset(
                "parquet", data_files=[_literal(f) for f in files], split="train", cache_dir=folder
            )
        source = _joined(table, path, files, counts, data)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, (datasets.exceptions.DatasetsError, OSError, ValueError, pa.ArrowException)):
            raise DataError(
                f"{printable(str(path))}: cannot be read ({first_line(error)}); the files of a folder must "
                "have the same columns, and the temporary folder room for a copy"
            ) from None
        raise
    weakref.finalize(source, shutil.rmtree, folder, ignore_errors=True)
    return source


def _joined(table: Any, path: Path, files: Sequence[Path], counts: Sequence[int], data: ImageData) -> Source:
    """Returns the rows of several files, which `table` holds one after the other, as one source."""
    rows = [(file, row) for file, count in zip(files, counts, strict=True) for row in range(count)]
    names = {f: f.stem if f == path else f.relative_to(path).with_suffix("").as_posix() for f in files}
    parts = [part_of(file.name) for file, _ in rows]
    return table_source(
        table,
        [printable(f"{names[file]}/{row}") for file, row in rows],
        [printable(f"{file}#{row}") for file, row in rows],
        data,
        root=path if path.is_dir() else path.parent,
        parts=None if None in parts else parts,
    )


def _literal(path: Path) -> str:
    """Returns a path in which `datasets` sees no pattern: it takes [, * and ? for a glob's."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in str(path.absolute()))


def table_source(
    table: Any,
    ids: Sequence[str],
    origins: Sequence[str],
    data: ImageData,
    *,
    root: Path | None = None,
    parts: Sequence[str | None] | None = None,
) -> Source:
    """Returns the images in a `datasets.Dataset`.

    Args:
        table: a memory-mapped data set.
        ids: what to call its rows.
        origins: where its rows come from.
        data: which columns hold images and labels.
        root: folder in which images lie that the table only names; None: there is none.
        parts: "train" or "test" for each row, if it is known.

    Raises:
        DataError: a column is missing.
    """
    import datasets  # two seconds to import

    columns, name = table.column_names, data.image_column
    require(columns, "image_column", name)
    if name == "auto":
        images = [c for c, f in table.features.items() if isinstance(f, datasets.Image)]
        found = images[0] if images else find_images(table.features.arrow_schema)
        if found is None:
            raise DataError(
                f"{printable(data.path)}: no column of images found; it has "
                f"{', '.join(map(printable, columns))}; say which with data.image_column=…"
            )
        name = found
    label = _label_column(table, data)
    plain = [
        c
        for c, f in table.features.items()
        if c != name
        and (isinstance(f, datasets.ClassLabel) or (isinstance(f, datasets.Value) and "binary" not in f.dtype))
    ]
    values = {c: _named(table.features[c], table.select_columns([c])[:][c]) for c in plain}
    labels = [as_label(v) for v in values.pop(label)] if label else [None] * len(table)
    said = f"column {printable(label)}" if label else "none found"
    return Source(
        ids=ids,
        origins=origins,
        labels=labels,
        open=_opener(table, name, root),
        columns={**({PART: list(parts)} if parts is not None else {}), **values},
        notes=[f"images: column {printable(name)}; labels: {said}"],
    )


def _label_column(table: Any, data: ImageData) -> str | None:
    import datasets  # two seconds to import

    require(table.column_names, "label_column", data.label_column)
    if data.label_column != "auto":
        return None if data.label_column == "none" else data.label_column
    classes = [c for c, f in table.features.items() if isinstance(f, datasets.ClassLabel)]
    plain = [c for c, f in table.features.items() if isinstance(f, (datasets.ClassLabel, datasets.Value))]
    return find_label(classes) or (classes[0] if len(classes) == 1 else find_label(plain))


def _named(feature: Any, values: list[Any]) -> list[Any]:
    """Returns class numbers as class names; −1 is how unlabelled test sets say None."""
    if hasattr(feature, "names"):
        return [feature.names[v] if v is not None and 0 <= v < len(feature.names) else None for v in values]
    return values


def _opener(table: Any, name: str, root: Path | None) -> Callable[[int], Image.Image]:
    import datasets  # two seconds to import

    column = table.select_columns([name])
    if isinstance(column.features[name], datasets.Image):
        column = column.cast_column(name, datasets.Image(decode=False))

    def open_row(i: int) -> Image.Image:
        value = column[i][name]
        content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        if isinstance(content, str):
            content, path = None, content
        if content:
            return Image.open(io.BytesIO(content), formats=formats())
        if path and root is not None:
            file = (root / path).resolve()
            if file.is_relative_to(root.resolve()) and file.is_file():
                return Image.open(file, formats=formats())
        raise Unreadable(
            f"the table only names a file that is not there: {printable(path)}" if path else "no image here"
        )

    return open_row
