"""A folder of image files, with class-named subfolders and the metadata files of `datasets`' imagefolder.

This does not use `datasets`, because it decodes whole columns (so one damaged file would end the reading), knows fewer
formats, and follows links out of the folder.
"""

import os
import posixpath
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentviz.errors import DataError
from latentviz.modalities.image.config import IMAGE_SUFFIXES, METADATA_NAMES, ImageData
from latentviz.modalities.image.pixels import open_image
from latentviz.modalities.image.source import Source
from latentviz.modalities.io.columns import is_plain, is_text, left_out, plain_values
from latentviz.modalities.io.names import (
    LABEL_NAMES,
    PART,
    BadItem,
    as_label,
    find_label,
    folder_labels,
    natural,
    printable,
    require,
)
from latentviz.modalities.io.tables import Table, read_table


@dataclass
class Scan:
    """What a folder and its subfolders hold; paths are relative to it, with "/" as separator."""

    images: list[str] = field(default_factory=list)  # regular files with the suffix of an image
    metadata: list[str] = field(default_factory=list)  # files that describe the images
    others: Counter[str] = field(default_factory=Counter)  # number of files by any other suffix
    links: int = 0  # symbolic links that lead out of the folder or nowhere; not followed
    closed: list[str] = field(default_factory=list)  # subfolders without read permission

    @property
    def notes(self) -> list[str]:
        """Lines for the user about what is not read."""
        closed = ", ".join(map(printable, self.closed[:5]))
        notes = {
            f"ignored files: {listing(self.others)}": self.others,
            f"symbolic links out of the folder, not followed: {self.links:,}": self.links,
            f"subfolders without read permission: {closed}": self.closed,
        }
        return [note for note, present in notes.items() if present]


def scan(root: Path) -> Scan:
    """Lists a folder in natural order, without hidden files. Never opens FIFOs or devices."""
    found, real_root = Scan(), os.path.realpath(root)
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = posixpath.join(folder, entry.name)
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(real_root):
                        found.links += 1
                    elif Path(entry).is_file():  # follows a link only inside the folder, because of the line above
                        _add(found, path)
        except OSError as error:
            if not folder:
                raise DataError(f"{printable(str(root))}: cannot be read ({error.strerror})") from None
            found.closed.append(folder)
    found.images.sort(key=natural)
    found.metadata.sort(key=natural)
    return found


def _add(found: Scan, path: str) -> None:
    name = posixpath.basename(path)
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in IMAGE_SUFFIXES:
        found.images.append(path)
    elif name in METADATA_NAMES:
        found.metadata.append(path)
    else:
        found.others[suffix] += 1


def read_folder(root: Path, data: ImageData, found: Scan) -> Source:
    """Finds the images of a folder.

    With metadata files, each of their rows is an item, as in `datasets`' imagefolder; otherwise each image file is. The
    label is the value in the column `label`, `class` or `category`, otherwise the name of the subfolder.
    """
    notes = found.notes
    paths = found.images
    columns: dict[str, list[Any]] = {}
    bad: list[BadItem] = []
    if found.metadata:
        paths, columns, bad = _join_metadata(root, found, notes)
    labels, parts, label_notes = folder_labels(paths)
    require(list(columns), "label_column", data.label_column)
    column = find_label(list(columns)) if data.label_column == "auto" else data.label_column
    if column == "none":
        labels = [None] * len(paths)
    elif column is not None:
        labels = [as_label(value) for value in columns.pop(column)]
    else:
        notes += label_notes
    if parts is not None and PART not in columns:
        columns = {PART: parts, **columns}
    return Source(
        ids=[printable(path) for path in paths],
        origins=[printable(str(root / path)) for path in paths],
        labels=labels,
        open=lambda i: open_image(root / paths[i]),
        columns=columns,
        notes=notes,
        bad=bad,
    )


def listing(suffixes: Counter[str]) -> str:
    """Describes the most common kinds of files.

    >>> listing(Counter({".txt": 12, "": 1}))
    '12 .txt files, 1 file without a suffix'
    """
    words = []
    for suffix, count in suffixes.most_common(5):
        files = "file" if count == 1 else "files"
        words.append(f"{count:,} {printable(suffix)} {files}" if suffix else f"{count:,} {files} without a suffix")
    return ", ".join(words)


def _join_metadata(root: Path, found: Scan, notes: list[str]) -> tuple[list[str], dict[str, list[Any]], list[BadItem]]:
    """Joins the metadata: path and columns of each row with an image, and the other rows as bad."""
    existing = set(found.images)
    paths: list[str] = []
    rows: list[dict[str, Any]] = []
    bad: list[BadItem] = []
    for file in found.metadata:
        table = _read_metadata(root / file)
        plain = [field.name for field in table.schema if is_plain(field.type)]
        notes += [*table.notes, *left_out([name for name in table.schema.names if name not in plain])]
        values = [plain_values(table.column(name), name, file, ("file_name", *LABEL_NAMES)) for name in plain]
        for cells in zip(*values, strict=True):
            row = dict(zip(plain, cells, strict=True))
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file), row.pop("file_name") or "(no name)"))
            if path in existing:
                paths.append(path)
                rows.append(row)
            else:
                bad.append(BadItem(printable(str(root / path)), f"listed in {printable(file)}, but does not exist"))
    if unlisted := len(existing - set(paths)):
        notes.append(f"ignored images that no metadata file lists: {unlisted:,}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return paths, {name: [row.get(name) for row in rows] for name in names}, bad


def _read_metadata(file: Path) -> Table:
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
