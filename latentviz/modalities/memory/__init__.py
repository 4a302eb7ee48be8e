"""Data in memory: converts objects of NumPy, PyTorch, pandas, Arrow and others to what the readers take.

An object's library is recognised by the module of its type; no library is imported to find out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from latentviz.config import MEMORY
from latentviz.errors import DataError, ObjectError
from latentviz.modalities.io.memory import holding

# What a user gives to `lv.fit`: a path or a name, or an object.
Given: TypeAlias = Any


@contextmanager
def words_of(x: Given, kind: str) -> Iterator[Sequence[str | int]]:
    """Yields the words for what a user wants to compare: names and row numbers as they are, or an object's path.

    Args:
        x: an id, a row number, a file, several of these, or one item or several in memory.
        kind: of the run's data.

    Raises:
        ObjectError: as `source_of`.
    """
    from latentviz.modalities.memory.convert import as_items, is_object

    if is_object(x):
        with source_of(as_items(x, kind), kind=kind) as path:
            yield [path]
    else:
        yield [x] if isinstance(x, (str, int)) or not hasattr(x, "__iter__") else x


@contextmanager
def source_of(
    x: Given,
    *,
    kind: str | None = None,
    ids: Sequence[object] | None = None,
    labels: Sequence[object] | None = None,
    captions: Sequence[object] | None = None,
    columns: Mapping[str, Sequence[object]] | None = None,
) -> Iterator[str]:
    """Yields what stands for `x` in `data.path`: a path as it is, or for an object a path that the readers know.

    Args:
        x: a path, a recipe, or an object.
        kind: the data kind, if the user says it.
        ids: of the items.
        labels: of the items.
        captions: texts to show with images or vectors.
        columns: further columns, by name.

    Raises:
        ObjectError: the object, or what is given along with it, cannot be read; also for errors of the readers.
    """
    from latentviz.modalities.memory.convert import convert, is_path

    extra = {"ids": ids, "labels": labels, "captions": captions, "columns": columns}
    if is_path(x):
        if given := [name for name, value in extra.items() if value is not None]:
            raise ObjectError(
                f"{given[0]}: goes with an object in memory (got the path {x}); a file holds its own: in a table, "
                "name the columns with data.label_column=NAME and the like"
            )
        import os

        yield os.fspath(x)
        return
    try:
        with holding(convert(x, kind, **extra)) as path:
            yield path
    except ObjectError:
        raise
    except DataError as error:
        raise ObjectError(str(error.args[0]).replace(MEMORY, "")) from None
