"""Finds what a table is to be learnt from: its images, vectors, texts or numbers; stops where two readings are near."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from latentviz.errors import DataError
from latentviz.modalities.io import memory
from latentviz.modalities.io.file_index import FILE_NAMES, FileIndex, find_files, index_near
from latentviz.modalities.io.files import ARROW_SUFFIXES, TABLE_SUFFIXES, marked_encoding, suffix_of, text_of
from latentviz.modalities.io.header import first_rows, headless
from latentviz.modalities.io.names import LABEL_NAMES, by_name, printable
from latentviz.modalities.io.roles import (
    IMAGE_SUFFIXES,
    SAMPLED,
    TEXT_NAMES,
    VECTOR_NAMES,
    Column,
    Role,
    is_id_name,
    judge,
)

_JSON_PREFIX = 2**22  # characters of a .json file that are looked at
LONG = 16  # a list of so many numbers is a vector whatever its name; a box or a position has fewer
_MANY_NUMBERS = 6  # columns of numbers from which a table with texts may be meant as vectors
_SEVERAL_NUMBERS = 3  # columns of numbers from which a table that names images may be meant as vectors
_LOOKED_FOR = 20  # image files of which one must exist


class NearReadingsError(DataError):
    """A table can be read in two ways; the user has to choose."""


def is_table(path: str) -> bool:
    """Return whether `path` is one file with a table, or an object with columns."""
    if (content := memory.find(path)) is not None:
        return content.table is not None
    return suffix_of(Path(path).name) in TABLE_SUFFIXES and Path(path).is_file()


def table_kind(path: str) -> str:
    """Find the data kind of a file with a table: "image", "vectors" or "text".

    Raises:
        NearReadingsError: two kinds are likely.
        DataError: nothing in it can be learnt from, or it is damaged.
    """
    columns = sample(Path(path))
    return kind_of(judge(columns), printable(memory.named(path)), image_finder(columns, Path(path)))


def image_finder(columns: Mapping[str, Sequence[Any]], table: Path) -> Callable[[str], bool]:
    """Return a function that says whether the files exist that the column of a name lists.

    Args:
        columns: the first values of each column.
        table: the file of the table; images are looked for below its folder.
    """
    root = table.parent
    near_by = not memory.is_in_memory(str(table))

    @cache
    def near() -> FileIndex:
        return index_near(root, IMAGE_SUFFIXES)[1]

    def exists(name: str) -> bool:
        paths = [str(value) for value in columns[name] if value][:_LOOKED_FOR]
        if any((root / value).is_file() for value in paths):
            return True
        return near_by and find_files({name: columns[name]}, near(), table.name, IMAGE_SUFFIXES) is not None

    return exists


def kind_of(found: Mapping[str, Column], shown: str, exists: Callable[[str], bool]) -> str:  # noqa: PLR0911 - per kind
    """Find the data kind of judged columns.

    Args:
        found: the columns.
        shown: the path, for messages.
        exists: whether the files that the column of this name lists exist.
    """
    of = _Roles(found)
    texts = [name for name in of(Role.TEXT) if found[name].strong]
    if of(Role.IMAGES) or len(of(Role.BYTES)) == 1 or any(map(exists, of(Role.IMAGE_PATHS))):
        return "image"
    keys = [name for name in of(Role.ID, Role.NAMES, Role.PATHS) if by_name([name], FILE_NAMES) or is_id_name(name)]
    numbers = [name for name in of(Role.NUMBERS, Role.FORMATTED) if name.lower() not in LABEL_NAMES]
    if not vectors(found, alone=False) and (named := [name for name in keys if exists(name)]):
        other = f"texts in {printable(texts[0])}" if texts else f"vectors of {len(numbers)} columns of numbers"
        if texts or len(numbers) >= _SEVERAL_NUMBERS:
            raise NearReadingsError(
                f"{shown}: images that column {printable(named[0])} names, or {other}; say which with data.kind=image "
                f"or data.kind={'text' if texts else 'vectors'}"
            )
        return "image"
    if vectors(found, alone=not texts):
        return "vectors"
    if cut := of(Role.CUT_VECTORS):
        raise cut_vectors(shown, cut[0])
    if texts and len(numbers) >= _MANY_NUMBERS:
        raise NearReadingsError(
            f"{shown}: texts in {printable(texts[0])}, or vectors of {len(numbers)} columns of numbers "
            f"({listed(numbers)}); say which with data.kind=text or data.kind=vectors"
        )
    empty = all(column.role is Role.EMPTY for column in found.values())
    if texts or empty:
        return "text"
    if len(numbers) > 1:
        return "vectors"
    _refuse_missing_images(of, shown)
    only = len(found) == 1 and of(Role.CATEGORY)
    if of(Role.NAMES, Role.TEXT) or only:
        return "text"
    if numbers:
        return "vectors"
    raise DataError(
        f"{shown}: no column of texts, numbers, vectors or images; it has "
        f"{', '.join(column.shown for column in found.values())}; to learn from one of them as texts, name it with "
        "data.kind=text data.text_column=NAME, or from truth values as numbers with data.kind=vectors "
        "data.columns=A,B,…"
    )


class _Roles:
    """Finds the columns with one of some roles."""

    def __init__(self, found: Mapping[str, Column]) -> None:
        self.found = found

    def __call__(self, *roles: Role) -> list[str]:
        return [column.name for column in self.found.values() if column.role in roles]


def _refuse_missing_images(of: _Roles, shown: str) -> None:
    """Raises a DataError if a table only points to images that are not there."""
    if urls := of(Role.IMAGE_URLS):
        raise urls_of_images(shown, urls[0])
    if paths := of(Role.IMAGE_PATHS):
        raise DataError(
            f"{shown}: column {printable(paths[0])} lists images, but none of the first {_LOOKED_FOR} exists below "
            "the folder of the table; move the table next to the images, or name a column of texts with "
            "data.kind=text data.text_column=NAME"
        )


def urls_of_images(shown: str, name: str) -> DataError:
    """Make the error about a table that only points to images on the web."""
    return DataError(
        f"{shown}: column {printable(name)} holds URLs of images, which are not fetched; download them, write the "
        "file names into a column, and keep the table next to the files"
    )


def cut_vectors(shown: str, name: str) -> DataError:
    """Make the error about vectors that were printed instead of written."""
    return DataError(
        f"{shown}: column {printable(name)} holds vectors cut by '...', as NumPy prints long ones, so most of their "
        "numbers are lost; write the table again with vector.tolist(), or as .parquet"
    )


def vectors(found: Mapping[str, Column], *, alone: bool) -> list[str]:
    """Return the columns that can be vectors: by name, by length, or as the only thing to learn from (`alone`)."""
    lists = [c for c in found.values() if c.role in {Role.VECTORS, Role.VECTOR_TEXTS}]
    likely = [c.name for c in lists if c.name.lower() in VECTOR_NAMES or c.length >= LONG]
    return likely or ([c.name for c in lists] if alone else [])


def choose_text(found: Mapping[str, Column], shown: str, without: str | None) -> str:
    """Choose the column of texts: by its name, otherwise the wordiest one.

    Args:
        found: the judged columns.
        shown: the path, for messages.
        without: the column of labels, which is only taken if there is no other.

    Raises:
        NearReadingsError: two columns hold texts of about the same length.
        DataError: there is none.
    """
    texts = [c for c in found.values() if c.role is Role.TEXT]
    if named := by_name([c.name for c in texts], TEXT_NAMES):
        return named
    texts = [c for c in found.values() if c.role in {Role.TEXT, Role.NAMES} and c.name != without]
    texts.sort(key=lambda c: -c.words)
    if len(texts) > 1 and texts[0].strong and texts[1].strong and texts[0].words < _NEAR * texts[1].words:
        raise NearReadingsError(
            f"{shown}: texts in {printable(texts[0].name)} or in {printable(texts[1].name)}, which are about as long; "
            "say which with data.text_column=NAME"
        )
    if texts:
        return texts[0].name
    urls = [c.name for c in found.values() if c.role is Role.IMAGE_URLS]
    if urls:
        raise urls_of_images(shown, urls[0])
    if empty := by_name([c.name for c in found.values() if c.role is Role.EMPTY], TEXT_NAMES):
        return empty  # the reader says that it holds no texts
    only = [c.name for c in found.values() if c.role in {Role.CATEGORY, Role.NAMES, Role.TEXT}]
    if len(only) == 1:
        return only[0]
    columns = ", ".join(column.shown for column in found.values()) or "no columns at all"
    raise DataError(f"{shown}: no column of text; it has {columns}; name one with data.text_column=NAME")


_NEAR = 1.25  # the wordier of two columns of texts is the texts if its values have so many times more words


def listed(names: Sequence[str], most: int = 8) -> str:
    """Join names for a message.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(printable, names[:most])) + more


def sample(file: Path) -> dict[str, list[Any]]:
    """Read the first rows of a table, once for all kinds; see `_sample`."""
    if memory.is_in_memory(str(file)):
        from latentviz.modalities.io.tables import read_table  # needs pyarrow

        return read_table(str(file)).sample()
    status = file.stat()
    return _sample(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _sample(file: Path, changed: int, size: int) -> dict[str, list[Any]]:
    """Read the first rows of a table, and nothing else; numbers in CSV files are strings.

    Raises:
        DataError: the file is damaged.
    """
    del changed, size  # only tell whether it is the same content
    suffix = suffix_of(file.name)
    if suffix in {".parquet", *ARROW_SUFFIXES}:
        from latentviz.modalities.io.tables import read_table  # needs pyarrow

        return read_table(str(file)).sample()
    encoding = marked_encoding(file)
    if suffix in {".csv", ".tsv"}:
        rows = [row[: len(row)] for row in first_rows(file, encoding, "replace")[0]]
        if not rows or not rows[0]:
            return {}
        names, rows = (rows[0], rows[1:]) if not headless(rows) else ([f"f{i}" for i in range(len(rows[0]))], rows)
        whole = [row for row in rows if len(row) == len(names)][:SAMPLED]
        return {name or f"column {i}": [row[i - 1] for row in whole] for i, name in enumerate(names, 1)}
    return _objects(_json_rows(file, encoding, suffix))


def _json_rows(file: Path, encoding: str, suffix: str) -> list[Any]:
    with text_of(file, encoding, "replace") as stream:
        if suffix != ".json":
            return _parsed(islice((line for line in stream if line.strip()), SAMPLED))
        prefix = stream.read(_JSON_PREFIX)
    coco = re.search(r"\"images\"\s*:\s*\[\s*(?=\{)", prefix) if '"annotations"' in prefix else None
    begin = coco or re.search(r"\[\s*(?=[{\"])", prefix)
    if begin is None:
        return _parsed(prefix.splitlines()[:SAMPLED])
    decoder, place = json.JSONDecoder(), begin.end()
    rows: list[Any] = []
    try:
        while len(rows) < SAMPLED:
            row, place = decoder.raw_decode(prefix, place)
            rows.append(row)
            place = re.compile(r"[\s,]*").match(prefix, place).end()  # type: ignore[union-attr]
    except (ValueError, RecursionError):
        pass  # the end of the list or of the prefix
    return rows


def _parsed(lines: Any) -> list[Any]:
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return rows


def _objects(rows: Sequence[Any]) -> dict[str, list[Any]]:
    objects = [{"text": row} if isinstance(row, str) else row for row in rows if isinstance(row, str | dict)]
    names = dict.fromkeys(name for row in objects for name in row)
    return {name: [row.get(name) for row in objects] for name in names}
