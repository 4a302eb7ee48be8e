"""A folder of image files, with class-named subfolders and the metadata files of `datasets`' imagefolder.

This does not use `datasets`, because it decodes whole columns (so one damaged file would end the reading), knows fewer
formats, and follows links out of the folder.
"""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentviz.errors import DataError
from latentviz.modalities.image.config import IMAGE_SUFFIXES, METADATA_NAMES, ImageData
from latentviz.modalities.image.frames import expand
from latentviz.modalities.image.pixels import open_image
from latentviz.modalities.io.columns import is_text
from latentviz.modalities.io.descriptions import Description, describe, values_of
from latentviz.modalities.io.file_index import FileIndex
from latentviz.modalities.io.files import Listing, contents
from latentviz.modalities.io.names import (
    LABEL_NAMES,
    PART,
    BadItem,
    as_label,
    choose_column,
    folder_labels,
    printable,
)
from latentviz.modalities.io.source import ImageSource
from latentviz.modalities.io.tables import Table, read_table


def image_files(found: Listing) -> list[str]:
    """Returns the files of a folder with the suffix of an image."""
    return [file for file in found.files if posixpath.splitext(file)[1].lower() in IMAGE_SUFFIXES]


def metadata_files(found: Listing) -> list[str]:
    """Returns the files of a folder that describe its images."""
    return [file for file in found.files if posixpath.basename(file) in METADATA_NAMES]


def read_folder(root: Path, data: ImageData, found: Listing) -> ImageSource:
    """Finds the images of a folder.

    With metadata files, each of their rows is an item, as in `datasets`' imagefolder; otherwise each image file is, and
    other tables in the folder add columns to those that they name. The label is the value in the column `label`,
    `class` or `category`, otherwise in the only column of a table, otherwise the name of the subfolder.
    """
    paths, metadata = image_files(found), metadata_files(found)
    said = Description()
    if not metadata:
        said = describe(root, paths, found, IMAGE_SUFFIXES, what="image", wanted=data.image_column)
    used = {*paths, *metadata, *said.used}
    ignored = [path for path in found.files if path not in used]
    notes = [f"ignored files: {contents(ignored)}"] if ignored else []
    if found.links:
        notes.append(f"symbolic links out of the folder, not followed: {found.links:,}")
    if found.closed:
        notes.append(f"subfolders without read permission: {', '.join(map(printable, found.closed[:5]))}")
    notes += said.notes
    columns = said.columns
    bad: list[BadItem] = []
    if metadata:
        paths, columns, bad = _join_metadata(root, paths, metadata, notes)
    labels, parts, label_notes = folder_labels(paths)
    if said.used:
        column = said.label(data.label_column)
        notes.append(f"labels: column {printable(column)}" if column else "labels: none found in the tables")
    else:
        column = choose_column(list(columns), "label_column", data.label_column, LABEL_NAMES)
    if column is not None:
        labels = [as_label(value) for value in columns.pop(column)]
    elif data.label_column == "none":
        labels = [None] * len(paths)
    else:
        notes += label_notes
    if parts is not None and PART not in columns:
        columns = {PART: parts, **columns}
    source = ImageSource(
        ids=[printable(path) for path in paths],
        origins=[printable(str(root / path)) for path in paths],
        labels=labels,
        open=lambda i: open_image(root / paths[i]),
        columns=columns,
        notes=notes,
        bad=bad,
    )
    return expand(source, root, paths, data.frames)


def read_files(files: Sequence[Path], root: Path, data: ImageData) -> ImageSource:
    """Finds the images that a list of paths below `root` names; labels are the names of folders, as of a folder."""
    paths = [file.relative_to(root).as_posix() for file in files]
    labels, _, notes = folder_labels(paths)
    source = ImageSource(
        ids=[printable(path) for path in paths],
        origins=[printable(str(file)) for file in files],
        labels=labels,
        open=lambda i: open_image(files[i]),
        notes=notes,
    )
    return expand(source, root, paths, data.frames)


def _join_metadata(
    root: Path, images: list[str], metadata: list[str], notes: list[str]
) -> tuple[list[str], dict[str, list[Any]], list[BadItem]]:
    """Joins the metadata: path and columns of each row with an image, and the other rows as bad."""
    existing, index = set(images), FileIndex(images, root.resolve().name)
    paths: list[str] = []
    rows: list[dict[str, Any]] = []
    bad: list[BadItem] = []
    for file in metadata:
        table = read_metadata(root / file)
        values, left = values_of(table, file, ("file_name", *LABEL_NAMES))
        values["file_name"] = table.column("file_name").to_pylist()
        notes += [*table.notes, *left]
        meant = index.find_all(values["file_name"], file)
        for path, cells in zip(meant, zip(*values.values(), strict=True), strict=True):
            row = dict(zip(values, cells, strict=True))
            name = row.pop("file_name") or "(no name)"
            if path is not None:
                paths.append(path)
                rows.append(row)
            else:
                place = posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
                bad.append(BadItem(printable(str(root / place)), f"listed in {printable(file)}, but does not exist"))
    if unlisted := len(existing - set(paths)):
        notes.append(f"ignored images that no metadata file lists: {unlisted:,}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return paths, {name: [row.get(name) for row in rows] for name in names}, bad


def read_metadata(file: Path) -> Table:
    """Reads one metadata file; raises a DataError if it is damaged or has no text column `file_name`."""
    shown = printable(str(file))
    try:
        table = read_table(str(file))
    except DataError as error:
        raise DataError(f"{error}; or rename {shown} to read the images without it") from None
    if table.bad:
        row = table.bad[0]
        raise DataError(
            f"{shown}: cannot be read ({row.source}: {row.reason}); repair the row, or rename the file to ignore it"
        )
    names = table.schema.names
    if "file_name" not in names or not is_text(table.schema.field("file_name").type):
        raise DataError(
            f"{shown}: no text column file_name with the image of each row; it has {', '.join(map(printable, names))}; "
            "add it, or rename the file to ignore it"
        )
    return table
