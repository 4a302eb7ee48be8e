"""What a reader of vectors returns, and the column names by which it finds ids and texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.io.names import as_label, by_name, printable

# Names of columns and arrays that hold ids; the first that exists is used.
ID_NAMES = ("id", "ids", "key", "keys", "name", "names", "filename", "filenames", "file_name", "path")
# And of those that hold the texts that were embedded.
TEXT_NAMES = (
    *("text", "texts", "sentence", "sentences", "document", "documents", "content", "caption", "captions"),
    *("title", "titles", "gloss", "word", "words", "token", "tokens"),
)


@dataclass(frozen=True)
class Source:
    """n vectors of d numbers; row i of every field is item i.

    Attributes:
        origin: the file, or the file and the array or column in it.
        shape: (n, d).
        blocks: yields the vectors in order, blocks (b, d) of bounded size and any dtype; can be called again.
        ids: of the items; None: by row.
        labels: class names, None where an item has none; None if no item has one.
        columns: other data on the items, including texts.
        text: the column with the texts to show; None: no texts.
        notes: lines for the user about what was found.
    """

    origin: str
    shape: tuple[int, int]
    blocks: Callable[[], Iterator[np.ndarray]]
    ids: Sequence[str] | None = None
    labels: Sequence[str | None] | None = None
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    text: str | None = None
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        """The number of vectors."""
        return self.shape[0]


class Names(NamedTuple):
    """Ids, labels and the text column of a table, and a line for the user that names their columns."""

    ids: list[str] | None
    labels: list[str | None] | None
    text: str | None
    note: str


def take_names(columns: dict[str, list[Any]], label: str | None, text: str | None) -> Names:
    """Takes ids and labels out of `columns`.

    Args:
        columns: loses the columns of ids and labels.
        label: the label column, if there is one.
        text: the text column, if there is one; it stays in `columns`.
    """
    labels = [as_label(value) for value in columns.pop(label)] if label in columns else None
    text = text if text in columns else None
    name = by_name([column for column in columns if column != text], ID_NAMES)
    ids = [printable(str(value)) for value in columns.pop(name)] if name else None
    found = {"labels": label if labels else None, "ids": name, "texts": text}
    note = "; ".join(f"{what}: {printable(key) if key else 'none found'}" for what, key in found.items())
    return Names(ids, labels, text, note)


def check_shape(shape: Sequence[int], origin: str) -> tuple[int, int]:
    """Checks for the shape (n, d), d > 0; raises a DataError otherwise."""
    wanted = "vectors have the shape (n, d), one row per item"
    if len(shape) == 1:
        raise DataError(
            f"{origin}: an array of shape ({shape[0]},), one number per item; {wanted}; combine arrays with "
            "numpy.stack, or use .reshape(-1, d)"
        )
    if len(shape) != 2:
        raise DataError(f"{origin}: an array of shape {tuple(shape)}; {wanted}; convert it with numpy.reshape")
    if shape[1] == 0:
        raise DataError(
            f"{origin}: an array of shape {tuple(shape)}, rows without numbers; {wanted}; check how it was made"
        )
    return int(shape[0]), int(shape[1])
