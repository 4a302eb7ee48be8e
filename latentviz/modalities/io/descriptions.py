"""Tables that lie next to files and describe them, such as labels.csv next to images, joined to the files."""

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from latentviz.errors import DataError
from latentviz.modalities.io.columns import is_text, plain_values
from latentviz.modalities.io.file_index import FileIndex, Match, find_files
from latentviz.modalities.io.files import TABLE_SUFFIXES, Listing
from latentviz.modalities.io.names import LABEL_NAMES, choose_column, printable
from latentviz.modalities.io.plain import plain_columns
from latentviz.modalities.io.tables import Table, read_table
from latentviz.progress import plural

_TABLES = tuple(TABLE_SUFFIXES)
_MOST_TABLES = 16  # a folder with more tables holds one per file, or data of another kind


@dataclass
class Description:
    """What tables say about files."""

    columns: dict[str, list[Any]] = field(default_factory=dict)  # in the order of the files
    notes: list[str] = field(default_factory=list)  # lines for the user
    used: list[str] = field(default_factory=list)  # the tables that were joined

    def label(self, wanted: str) -> str | None:
        """Returns the column of labels: by name, or the only one (of text) whose values repeat: "breed"."""
        found = choose_column(list(self.columns), "label_column", wanted, LABEL_NAMES)
        return only_classes(self.columns) if found is None and wanted == "auto" else found


def only_classes(columns: Mapping[str, Sequence[Any]]) -> str | None:
    """Returns the only column, or the only one of text, if its values repeat: "breed" next to "id"."""
    texts = [name for name, values in columns.items() if any(isinstance(value, str) for value in values)]
    only = texts if len(columns) > 1 else list(columns)
    present = [value for value in columns[only[0]] if value is not None] if len(only) == 1 else []
    return only[0] if 2 <= len(set(present)) <= len(present) / 2 else None


def describe(
    root: Path, files: Sequence[str], found: Listing, suffixes: frozenset[str], *, what: str, wanted: str = "auto"
) -> Description:
    """Joins the tables of a folder to the files that their rows name; other tables are left to the caller.

    A file with several rows, such as five captions, has their different values in one cell, separated by " | ".

    Args:
        root: the folder.
        files: below it, which the tables may describe.
        found: all files below it.
        suffixes: of the files.
        what: what a file is: "image", which is also the beginning of the setting that names the column.
        wanted: the column with the names; "auto": found.

    Raises:
        DataError: two tables contradict each other, or two columns of a table name different files.
    """
    said = Description()
    tables = [file for file in found.files if file.lower().removesuffix(".gz").endswith(_TABLES)]
    if tables:
        stems = {posixpath.splitext(file)[0] for file in files}
        tables = [file for file in tables if posixpath.splitext(file)[0] not in stems]
    if not tables or len(tables) > _MOST_TABLES:  # so many are data of their own
        return said
    index = FileIndex(files, root.resolve().name)
    source: dict[str, str] = {}
    for table in tables:
        try:
            columns, notes = values_of(read_table(str(root / table)), table, LABEL_NAMES)
        except DataError as error:
            said.notes.append(f"passed over: {error}")
            continue
        own = columns if wanted == "auto" else {name: values for name, values in columns.items() if name == wanted}
        if match := find_files(own, index, table, suffixes, f"{what}_column"):
            said.used.append(table)
            said.notes += notes
            said.notes.append(_join(said.columns, source, files, columns, match, table, what))
    return said


def values_of(table: Table, file: str, names: Collection[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """Returns the values of each column of a table, and notes; tags and fields of objects as `plain_columns` has them.

    Args:
        table: of `file`.
        file: its name.
        names: columns that stay strings, since "007" is a name.
    """
    plain, notes = plain_columns(table)
    strings = {field.name for field in table.schema if is_text(field.type)}
    return {
        name: plain_values(table.column(name), name, file, names)
        if name in strings and is_text(column.type) and not pc.any(pc.match_substring_regex(column, r"^[\[{]")).as_py()
        else column.to_pylist()
        for name, column in plain.items()
    }, notes


def _join(
    joined: dict[str, list[Any]],
    source: dict[str, str],
    files: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    match: Match,
    table: str,
    what: str,
) -> str:
    """Adds the columns of one table to those `joined` before; `source` keeps the table of each. Returns a note."""
    place = {file: i for i, file in enumerate(files)}
    rows: list[list[int]] = [[] for _ in files]
    lost = [row for row, file in enumerate(match.files) if file is None]
    for row, file in enumerate(match.files):
        if file is not None:
            rows[place[file]].append(row)
    renamed: list[str] = []
    for name, values in columns.items():
        if name == match.column:
            continue
        cells = [_merged([values[row] for row in numbers]) for numbers in rows]
        before = joined.get(name, [None] * len(files))
        clash = [i for i, (a, b) in enumerate(zip(before, cells, strict=True)) if a is not None is not b and a != b]
        if clash and name.lower() in LABEL_NAMES:
            i = clash[0]
            raise DataError(
                f"{printable(source[name])} and {printable(table)}: their column {printable(name)} says "
                f"{printable(str(before[i]))[:40]!r} and {printable(str(cells[i]))[:40]!r} of {printable(files[i])}; "
                f"rename the column in one of them, or give one of the tables in place of the folder"
            )
        if clash:
            own_name = f"{name} ({printable(posixpath.splitext(table)[0])})"
            renamed.append(f"{printable(name)} as {printable(own_name)}")
            joined[own_name] = cells
        else:
            joined[name] = [b if a is None else a for a, b in zip(before, cells, strict=True)]
            source.setdefault(name, table)
    own, several = sum(map(bool, rows)), sum(len(numbers) > 1 for numbers in rows)
    note = f"{printable(table)}: column {printable(match.column)} names {own:,} of {plural(len(files), what)}"
    note += f", {several:,} of them in several rows" if several else ""
    if lost:
        example = printable(str(columns[match.column][lost[0]]))
        note += f"; {len(lost):,} of its {len(match.files):,} rows name no {what}, such as {example!r}"
    if renamed:
        note += f"; differs from another table, so it is kept apart: {', '.join(renamed)}"
    return note


def _merged(cells: Sequence[Any]) -> Any:
    present = list(dict.fromkeys(cell for cell in cells if cell is not None and cell == cell))  # noqa: PLR0124 - NaN
    if len(present) > 1:
        return " | ".join(map(str, present))
    return present[0] if present else None
