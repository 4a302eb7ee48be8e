"""Which files the values of a table's column name, however they are spelt; imports nothing heavy."""

import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from latentviz.errors import DataError
from latentviz.modalities.io.names import PARTS, by_name, natural, part_of, printable
from latentviz.runs.cells import original_cell

# Names of columns that name files, the likeliest first; they decide where several columns could.
FILE_NAMES = (
    *("file_name", "filename", "image_path", "img_path", "file_path", "filepath", "path", "image_file", "file"),
    *("image_name", "img_name", "image", "images", "img", "image_id", "img_id", "document", "doc", "id", "name"),
)
# Folders with tables about files that lie next to the folder.
_TABLE_FOLDERS = frozenset({"annotations", "annotation", "labels", "metadata", "meta", "csv", "tables", "splits"})
_MOST_FILES = 500_000  # that are looked at near a table; more are a disk, not a data set
_SAMPLED = 1_000  # rows that tell whether a column names files
_MOST = 0.5  # share of them that must name one
_UNIQUE = 0.9  # share of different values that a column of names without a suffix has: a count or a class repeats


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _decoded(name: str) -> str:
    return _composed(unquote(name)) if "%" in name else _composed(name)


def _folded(name: str) -> str:
    return _decoded(name).casefold()


def _unpadded(name: str) -> str:
    return name.lstrip("0") if name.isascii() and name.isdigit() else f"/{name}"


# From the strictest to the loosest comparison; the first with a match decides.
_SPELLINGS: tuple[Callable[[str], str], ...] = (_composed, _decoded, _folded, _unpadded, original_cell)


class FileIndex:
    """Finds files by the names that a table has for them.

    A name may lack folders or the suffix, have folders that all names of its column share, be composed differently
    (NFC, NFD), percent-encoded, differ in case, or have the apostrophe that keeps a spreadsheet from running a cell.
    It must mean one file: two that fit equally well are none.

    Args:
        files: paths below a folder, with "/".
        folder: the name of that folder.
    """

    def __init__(self, files: Sequence[str], folder: str = "") -> None:
        self.files = files
        self._exact = set(files)
        self._folder = folder
        self._by_spelling: dict[int, dict[str, list[str]]] = {}

    def find_all(self, names: Sequence[object], table: str = "") -> list[str | None]:
        """Returns the file that each name means, or None.

        Args:
            names: values of a column.
            table: the path of the table below the folder: paths may be relative to it, and if "train.csv" fits the
                files of both "train" and "test", the former are meant.
        """
        words = [_as_path(name) for name in names]
        base, part = posixpath.dirname(table), part_of(posixpath.basename(table))
        found: dict[str, str | None] = {}
        for word in dict.fromkeys(words):
            path = posixpath.normpath(posixpath.join(base, word)) if word else ""
            found[word] = path if path in self._exact else None
        lost = [word for word, file in found.items() if word and file is None]
        if lost:
            drop = self._droppable([word for word in found if word])
            for word in lost:
                found[word] = self._search(word, drop, part)
        return [found[word] for word in words]

    def _droppable(self, words: Sequence[str]) -> int:
        """Counts the leading folders that all names share, without a part that is another than the folder's own."""
        folders = [word.split("/")[:-1] for word in words]
        count = 0
        for level in zip(*folders, strict=False):
            part = PARTS.get(level[0].lower())
            if len(set(level)) > 1 or (part and part != part_of(self._folder)):
                break
            count += 1
        return count

    def _search(self, word: str, drop: int, part: str | None) -> str | None:
        pieces = word.split("/")
        for number, spelling in enumerate(_SPELLINGS):
            index = self._index(number)
            for start in range(drop + 1):
                files = index.get(spelling("/".join(pieces[start:])), [])
                if len(files) > 1 and part:
                    files = [file for file in files if part in map(part_of, file.split("/")[:-1])]
                if len(files) == 1:
                    return files[0]
                if files:
                    return None
        return None

    def _index(self, number: int) -> dict[str, list[str]]:
        """Returns the files by every end of their paths, with and without the suffix, in one spelling."""
        if number not in self._by_spelling:
            index: dict[str, list[str]] = {}
            spelling = _SPELLINGS[number]
            for file in self.files:
                pieces = file.split("/")
                for start in range(len(pieces)):
                    end = "/".join(pieces[start:])
                    for key in {spelling(end), spelling(posixpath.splitext(end)[0])}:
                        index.setdefault(key, []).append(file)
            self._by_spelling[number] = index
        return self._by_spelling[number]


def _as_path(name: object) -> str:
    if name is None or isinstance(name, float | bool):
        return ""
    word = str(name).strip().replace("\\", "/")
    return word.lstrip("/").removeprefix("./")


def index_near(folder: Path, suffixes: Collection[str]) -> tuple[Path, FileIndex]:
    """Returns the files with these suffixes below a table's folder, or next to it if the folder is one of tables."""
    found = _below(folder, suffixes)
    if not found and folder.resolve().name.lower() in _TABLE_FOLDERS:
        folder = folder.resolve().parent
        found = _below(folder, suffixes)
    return folder, FileIndex(found, folder.resolve().name)


def _below(folder: Path, suffixes: Collection[str]) -> list[str]:
    found: list[str] = []
    seen = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = os.path.relpath(parent, folder)
        found += [
            name if base == "." else f"{base}/{name}"
            for name in names
            if not name.startswith(".") and posixpath.splitext(name)[1].lower() in suffixes
        ]
        seen += len(names)
        if seen > _MOST_FILES:
            break
    return sorted(found, key=natural)


@dataclass(frozen=True)
class Match:
    """The column of a table that names files."""

    column: str
    files: Sequence[str | None]  # of each row


def find_files(
    columns: Mapping[str, Sequence[Any]], index: FileIndex, table: str, suffixes: frozenset[str], setting: str = ""
) -> Match | None:
    """Finds the column whose values name files; None if no column does for half of its rows.

    Args:
        columns: strings and integers.
        index: of the files.
        table: the path of the table below the folder of the files.
        suffixes: of the files.
        setting: that names the column, for the error.

    Raises:
        DataError: two columns name different files equally well.
    """
    ranked: list[tuple[bool, str]] = []  # whether the names have suffixes, and the column
    for name, values in columns.items():
        sample = [value for value in values[:_SAMPLED] if value is not None]
        if not sample or not isinstance(sample[0], str | int):
            continue
        whole = sum(posixpath.splitext(str(value))[1].lower() in suffixes for value in sample) >= _MOST * len(sample)
        if not whole and (len(set(sample)) < _UNIQUE * len(sample) or not _may_be_key(name, sample)):
            continue
        found = index.find_all(sample, table)
        if sum(file is not None for file in found) >= _MOST * len(sample):
            ranked.append((whole, name))
    best = [name for whole, name in ranked if whole] or [name for _, name in ranked]
    if not best:
        return None
    chosen = by_name(best, FILE_NAMES) or best[0]
    match = Match(chosen, index.find_all(columns[chosen], table))
    for other in best:
        if other != chosen and by_name([other], FILE_NAMES) == by_name([chosen], FILE_NAMES) is None:
            files = index.find_all(columns[other], table)
            if any(a and b and a != b for a, b in zip(match.files, files, strict=True)):
                raise DataError(
                    f"{printable(table)}: the columns {printable(chosen)} and {printable(other)} name different files; "
                    f"choose one with data.{setting}={printable(chosen)} or data.{setting}={printable(other)}"
                )
    return match


def _may_be_key(name: str, sample: Sequence[object]) -> bool:
    """Returns whether a column can be of names without a suffix: numbers only if it is called like one of ids."""
    numbers = all(str(value).isdigit() for value in sample)
    return (
        not numbers
        or by_name([name], FILE_NAMES) is not None
        or re.search(r"(^|[\W_])id$|[a-z]I[dD]$", name) is not None
    )
