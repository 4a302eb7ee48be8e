"""Names of items, labels and parts of a data set, the same for all kinds of data."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from latentviz.errors import DataError, did_you_mean


class MissingColumnError(DataError):
    """A setting names a column that the table lacks."""

    columns: Sequence[str] = ()  # what it has, where that is known


# The column with the part of a data set (its own train/test division) that an item belongs to.
PART = "part"

PARTS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
}

# Names of columns that hold labels, all used on the Hugging Face hub; the first that exists is used.
LABEL_NAMES = ("label", "labels", "class", "category", "target", "targets", "y", "fine_label")


@dataclass(frozen=True)
class BadItem:
    """An item that was left out: its `source`, as in the item table, and the reason in one line."""

    source: str
    reason: str


def natural(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """Returns a sort key that orders numbers by value: "2.png" before "10.png".

    >>> sorted(["10.png", "2.png", "b", "a"], key=natural)
    ['2.png', '10.png', 'a', 'b']
    """
    pieces = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in pieces], text


def printable(text: str) -> str:
    r"""Escapes control characters, line ends and undecodable bytes, so that the text is one safe line.

    >>> printable("a\nb.png"), printable("🐈.png"), printable("\udcff.png")
    ('a\\nb.png', '🐈.png', '\\udcff.png')
    """
    if text.isprintable():
        return text
    # Cf characters are invisible and may reorder what follows, except the joiners, which emoji are built with.
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if character not in "\u200c\u200d" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else character
        for character in text
    )


def part_of(name: str) -> str | None:
    """Returns "train", "test" or "validation" if a file's or folder's name begins with such a word.

    >>> part_of("t10k-images-idx3-ubyte"), part_of("train"), part_of("trainers")
    ('test', 'train', None)
    """
    return PARTS.get(re.split(r"[-_. ]", name.lower(), maxsplit=1)[0])


def by_name(names: Sequence[str], candidates: Sequence[str]) -> str | None:
    """Returns the first candidate that is among the names, ignoring case, as it is spelt there.

    >>> by_name(["vector", "Title", "text"], ("text", "title"))
    'text'
    """
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[candidate] for candidate in candidates if candidate in lower), None)


def index_name(value: Any) -> str:
    """Returns a value of an index or a column's name as text; of several levels, joined by points."""
    return ".".join(map(str, value)) if isinstance(value, tuple) else str(value)


def as_label(value: Any) -> str | None:
    """Returns a label as text: 3 and 3.0 give "3"; None, NaN and "" give None.

    >>> as_label(3.0), as_label(b"cat"), as_label(float("nan")), as_label("")
    ('3', 'cat', None, None)
    """
    if value is None or value != value:  # NaN is the only value that differs from itself  # noqa: PLR0124
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) or None


def folder_labels(paths: Sequence[str]) -> tuple[list[str | None], list[str | None] | None, list[str]]:
    """Derives labels from folders; returns them with the part (train, test) of each path, if any, and notes.

    Folders that all paths share, and folders named train or test, are not classes. If all items lie equally deep, the
    class is their own folder, as in `datasets`; otherwise the topmost one.

    >>> folder_labels(["train/cat/1.png", "train/cat/2.png", "test/dog/3.png", "test/dog/4.png"])[:2]
    (['cat', 'cat', 'dog', 'dog'], ['train', 'train', 'test', 'test'])
    >>> folder_labels(["cat/1.png", "cat/young/2.png", "dog/3.png", "4.png"])[0]
    ['cat', 'cat', 'dog', None]
    >>> folder_labels(["all/1.png", "all/2.png"])[0]
    [None, None]
    """
    folders = _strip_shared([path.split("/")[:-1] for path in paths])
    parts: list[str | None] | None = None
    if folders and all(f and f[0].lower() in PARTS for f in folders):
        parts = [PARTS[f[0].lower()] for f in folders]
        folders = _strip_shared([f[1:] for f in folders])
    deepest = len({len(f) for f in folders}) == 1
    labels = [printable(f[-1 if deepest else 0]) if f else None for f in folders]
    classes = len(set(labels) - {None})
    if classes < 2:
        return [None] * len(paths), parts, []
    if classes > len(paths) / 2:
        return [None] * len(paths), parts, ["labels: none; hardly two items share a folder"]
    return labels, parts, [f"labels are the names of {classes:,} folders"]


def _strip_shared(folders: list[list[str]]) -> list[list[str]]:
    """Removes the leading folders that all paths share, up to one that names a part."""
    shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))]
    keep = next((i for i, name in enumerate(shared) if name.lower() in PARTS), len(shared))
    return [f[keep:] for f in folders]


def choose_column(
    names: Sequence[str], setting: str, wanted: str, candidates: Sequence[str] = (), what: str = "column"
) -> str | None:
    """Returns the column that the setting `data.<setting>` names; "auto": the first candidate, if any; "none": None.

    Raises:
        MissingColumnError: there is no such column.
    """
    if wanted in {"auto", "none"}:
        return by_name(names, candidates) if wanted == "auto" else None
    if wanted not in names:
        raise MissingColumnError(
            f"data.{setting}: no {what} {wanted!r}; there are "
            f"{', '.join(map(printable, names)) or 'none'}.{did_you_mean(wanted, names)}"
        )
    return wanted
