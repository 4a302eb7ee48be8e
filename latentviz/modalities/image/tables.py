"""Tables with a column of images, encoded or named by their paths → a `Source`."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from latentviz.config import MEMORY
from latentviz.errors import DataError
from latentviz.modalities.image.config import IMAGE_SUFFIXES, METADATA_NAMES, ImageData
from latentviz.modalities.image.pixels import NoImage, Unreadable, open_image
from latentviz.modalities.io.columns import find_images, is_text
from latentviz.modalities.io.descriptions import only_classes
from latentviz.modalities.io.file_index import find_files, index_near
from latentviz.modalities.io.names import LABEL_NAMES, PART, as_label, by_name, choose_column, printable
from latentviz.modalities.io.plain import plain_columns
from latentviz.modalities.io.source import ImageSource
from latentviz.modalities.io.tables import Table, class_names, read_table, table_files

# Columns with these names hold the paths of images, where several could.
_PATH_NAMES = ("image", "image_path", "path", "file_name", "filename", "file", "filepath")
_LOOKED_AT = 100  # values that tell whether a column of text names images


def image_tables(folder: Path) -> list[Path]:
    """Returns the tables of a folder that are not metadata of an image folder; links are followed to files."""
    return table_files(folder, links=True, without=METADATA_NAMES)


def read_images(path: str, data: ImageData) -> ImageSource:
    """Returns the images in a table, in all those of a folder, or in a data set on the Hugging Face hub."""
    files = image_tables(Path(path)) if not path.startswith(("hf:", MEMORY)) and Path(path).is_dir() else ()
    table = read_table(path, files=files, split=data.split)
    if not len(table):
        raise DataError(f"{table.shown}: holds no images (the tables have no rows); check how it was made")
    columns = table.schema.names
    name = choose_column(columns, "image_column", data.image_column) or _image_column(table)
    opener, lost = _opener(table, name)
    columns_read, left = plain_columns(table, {name})
    plain = list(columns_read)
    label = choose_column(columns, "label_column", data.label_column, ())
    if data.label_column == "auto":
        classes = list(class_names(table.schema))
        only = classes[0] if len(classes) == 1 else by_name(plain, LABEL_NAMES)
        label = by_name(classes, LABEL_NAMES) or only
    values = {column: found.to_pylist() for column, found in columns_read.items()}
    if label is None and data.label_column == "auto" and not find_images(table.schema):
        label = only_classes(values)
    labels = [as_label(value) for value in values.pop(label)] if label in values else [None] * len(table)
    parts = table.parts()
    said = f"column {printable(label)}" if label else "none found"
    return ImageSource(
        ids=table.ids(),
        origins=table.origins(full=True),
        labels=labels,
        open=opener,
        columns={**({PART: parts} if parts is not None else {}), **values},
        notes=[*table.notes, *left, f"images: column {printable(name)}; labels: {said}", *lost],
        bad=table.bad,
    )


def _image_column(table: Table) -> str:
    """Returns the column of encoded images, or else of paths of images."""
    found = find_images(table.schema)
    if found is None:
        paths = [field.name for field in table.schema if is_text(field.type) and _names_images(table, field.name)]
        found = by_name(paths, _PATH_NAMES) or (paths[0] if len(paths) == 1 else None)
    if found is None and table.root is not None and not table.anywhere:
        keys = [f.name for f in table.schema if is_text(f.type) or pa.types.is_integer(f.type)]
        values = {name: table.column(name).to_pylist() for name in keys}
        match = find_files(values, index_near(table.root, IMAGE_SUFFIXES)[1], "", IMAGE_SUFFIXES, "image_column")
        found = match.column if match else None
    if found is None:
        raise DataError(
            f"{table.shown}: no column of images found; it has {', '.join(map(printable, table.schema.names))}; name "
            "it with data.image_column=…"
        )
    return found


def _names_images(table: Table, name: str) -> bool:
    first: pa.Array = next(table.batches(name, _LOOKED_AT), pa.array([]))
    values = [value for value in first.to_pylist()[:_LOOKED_AT] if value]
    return bool(values) and all(Path(value).suffix.lower() in IMAGE_SUFFIXES for value in values)


def _find(column: pa.ChunkedArray, table: Table) -> Mapping[str, Path]:
    """Returns the file of each path that is not below the table's folder as it is spelt, but can be found there."""
    if table.root is None or table.anywhere or not (is_text(column.type) or pa.types.is_integer(column.type)):
        return {}
    root = table.root
    names = [str(name) for name in column.unique().drop_null().to_pylist()]
    if all((root / name).is_file() for name in names[:_LOOKED_AT]):
        return {}
    folder, index = index_near(root, IMAGE_SUFFIXES)
    found = index.find_all(names, table.pieces[0].name if folder == root else "")
    return {name: folder / file for name, file in zip(names, found, strict=True) if file}


def _opener(table: Table, name: str) -> tuple[Callable[[int], Image.Image], list[str]]:
    """Returns what opens the image of a row, and a note on paths that were found otherwise than spelt."""
    column, root = table.mapped(name), table.root
    elsewhere = _find(column, table)
    spelt = sum(root is not None and (root / name).is_file() for name in list(elsewhere)[:_LOOKED_AT])
    note = f"{printable(name)}: paths are found by name below {printable(str(root))}, not as they are spelt"

    def open_row(i: int) -> Image.Image:
        value: Any = column[i].as_py()
        content, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        if isinstance(content, str | int):
            content, path = None, str(content)
        if content:
            return open_image(io.BytesIO(content))
        if path and root is not None:
            file = (root / path).resolve()
            if (table.anywhere or file.is_relative_to(root.resolve())) and file.is_file():
                return open_image(file)
            if path in elsewhere:
                return open_image(elsewhere[path])
        if not path:
            raise NoImage("no image here")
        raise Unreadable(f"the table names a file that is not there: {printable(path)}")

    return open_row, [note] if elsewhere and spelt < min(len(elsewhere), _LOOKED_AT) else []
