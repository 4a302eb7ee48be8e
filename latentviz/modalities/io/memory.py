"""Data that the user gave as a Python object, which the readers find by its path `memory:…` as they find a file.

Loads nothing heavy: `latentviz.modalities.memory` converts the objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latentviz.config import MEMORY
from latentviz.errors import DataError
from latentviz.modalities.io.names import BadItem, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pyarrow as pa
    from PIL import Image

    from latentviz.modalities.io.source import Source

S = TypeVar("S", bound="Source")
ROW = "row"  # the beginning of the default ids, as in "row/12"


@dataclass(frozen=True, kw_only=True)
class InMemory:
    """The content of one object, in one of five forms, and what the user gave along with it; row i is item i."""

    shown: str  # the object for messages, such as "DataFrame (100, 3)"
    n: int  # rows
    kind: str | None = None  # the data kind, where it follows from the object; None: the columns tell
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)  # as in an .npz file, or one, "", as in a .npy file
    table: pa.Table | None = None  # as in a Parquet file
    texts: pa.Array | None = None  # strings
    images: Callable[[int], Image.Image] | None = None  # opens image i
    files: Sequence[Path] = ()  # images or texts
    ids: Sequence[str] | None = None
    labels: Sequence[str | None] | None = None
    captions: Sequence[str] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    index: pa.Table | None = None  # the index of a pandas object, with pandas' metadata
    index_ids: Sequence[str] | None = None  # ids from it, where the data has none
    notes: Sequence[str] = ()

    @property
    def path(self) -> str:
        """What stands for the object in `data.path`."""
        return f"{MEMORY}{self.shown}"

    @cached_property
    def present(self) -> Sequence[Path]:
        """The files that exist; all of them if none does."""
        return [file for file in self.files if file.is_file()] or self.files

    @cached_property
    def lost(self) -> Sequence[BadItem]:
        """The others, which must not change the ids and labels of those that exist."""
        present = set(self.present)
        return [BadItem(printable(str(file)), "does not exist") for file in self.files if file not in present]

    @cached_property
    def root(self) -> Path:
        """The folder that all present files are in; ids and labels come from their places in it."""
        return Path(os.path.commonpath([file.parent for file in self.present]))


_held: ContextVar[tuple[InMemory, ...]] = ContextVar("in_memory", default=())


@contextmanager
def holding(content: InMemory) -> Iterator[str]:
    """Yields the path under which the readers find the content while the context is open."""
    before = _held.get()
    while any(content.path == other.path for other in before):
        content = replace(content, shown=f"another {content.shown}")
    token = _held.set((*before, content))
    try:
        yield content.path
    finally:
        _held.reset(token)


def is_in_memory(path: str) -> bool:
    """Returns whether a path stands for an object."""
    return path.startswith(MEMORY)


def find(path: str) -> InMemory | None:
    """Returns the object that a path stands for; None if it is none, or is not at hand."""
    return next((content for content in _held.get() if content.path == path), None)


def get(path: str) -> InMemory:
    """Returns the object that a path stands for; a DataError if it is not at hand, as when its config is fitted."""
    content = find(path)
    if content is None:
        raise DataError(
            f"data.path: {printable(named(path))}: the data was a Python object, which a config cannot hold; give it "
            "from Python again, as in lv.fit(x), or save it as a file and give its path with data.path=FILE"
        )
    return content


def named(path: str) -> str:
    """Returns a path for messages: of an object, what it is.

    >>> named("memory:ndarray (100, 8, 8)"), named("photos/")
    ('ndarray (100, 8, 8)', 'photos/')
    """
    return path.removeprefix(MEMORY)


def stem(path: str | Path) -> str:
    """Returns the beginning of default ids: the name of a file without its suffix, or "row"."""
    return ROW if is_in_memory(str(path)) else printable(Path(path).stem)


def rows_of(origins: Sequence[str]) -> list[int]:
    """Returns the row in the object of each item, from its origin, such as "DataFrame (100, 3)#12"."""
    return [int(origin.rpartition("#")[2]) for origin in origins]


def _rows(content: InMemory, origins: Sequence[str]) -> list[int]:
    """Returns the row of each item; of the items of a file, the nth has the nth row with its path, or the last."""
    if not content.files:
        return rows_of(origins)
    places: dict[str, list[int]] = {}
    for row, file in reversed(list(enumerate(content.files))):
        inside = [file.relative_to(content.root).as_posix()] if file.is_relative_to(content.root) else []
        for name in (str(file), *inside):
            places.setdefault(printable(name), []).append(row)
    parts = [(origin, origin.rpartition("#")[0], origin.rpartition(":")[0]) for origin in origins]  # a.tif#2, a.txt:2
    found = [next(places[name] for name in names if name in places) for names in parts]
    return [rows.pop() if len(rows) > 1 else rows[0] for rows in found]


def index_of(path: str, origins: Sequence[str]) -> pa.Table | None:
    """Returns the index of the items that come from a pandas object, by their origins; None for anything else."""
    content = find(path)
    return None if content is None or content.index is None else content.index.take(_rows(content, origins))


def described(source: S, path: str) -> S:
    """Adds the ids, labels, captions and columns that the user gave along with an object to what was read from it."""
    content = find(path)
    if content is None:
        return source
    given = content.ids or content.labels or content.captions or content.columns or content.index_ids
    source = replace(source, notes=[*content.notes, *source.notes], bad=[*source.bad, *content.lost])
    if not given:
        return source
    rows = range(content.n) if len(source) == content.n and not content.files else _rows(content, source.origins)
    ids: Sequence[str] = source.ids
    if content.ids is not None:
        ids = [content.ids[row] for row in rows]
    elif (instead := content.index_ids) is not None:
        ids = [instead[row] if name == f"{ROW}/{row}" else name for row, name in zip(rows, ids, strict=True)]
    labels = source.labels if content.labels is None else [content.labels[row] for row in rows]
    columns = {**source.columns, **{name: [values[row] for row in rows] for name, values in content.columns.items()}}
    if content.captions is not None:
        columns["caption"] = [content.captions[row] for row in rows]
    return replace(source, ids=ids, labels=labels, columns=columns)
