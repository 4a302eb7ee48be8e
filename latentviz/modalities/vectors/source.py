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
    """n vectors of d numbers; row i of every field is item i."""

    origin: str  # the file, or the file and the array or column in it
    shape: tuple[int, int]  # (n, d)
    blocks: Callable[[], Iterator[np.ndarray]]  # yields blocks (b, d) of bounded size, any dtype, in order; reusable
    ids: Sequence[str] | None = None  # None: by row
    labels: Sequence[str | None] | None = None  # class names; None if no item has one
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # other data on the items, including texts
    text: str | None = None  # the column with the texts to show
    notes: Sequence[str] = ()  # lines for the user about what was found

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
    """Takes ids and labels out of `columns`, given the label and text columns if they exist; the texts stay."""
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
