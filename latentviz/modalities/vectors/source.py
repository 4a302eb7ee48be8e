"""What a reader returns: vectors that were found but not looked at, and the names by which users know them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentviz.errors import DataError

BLOCK_BYTES = 2**25  # of vectors that are looked at in one go
# Columns and arrays of these names hold what the items are called, the first that is there.
ID_NAMES = ("id", "ids", "key", "keys", "name", "names", "filename", "filenames", "file_name", "path")
# And of these, the texts that the vectors stand for.
TEXT_NAMES = (
    "text",
    "texts",
    "sentence",
    "sentences",
    "document",
    "documents",
    "content",
    "caption",
    "captions",
    "title",
    "titles",
    "gloss",
    "word",
    "words",
    "token",
    "tokens",
)


@dataclass(frozen=True)
class Source:
    """n vectors of d numbers; row i of every field is item i.

    Attributes:
        origin: the file, or the file and the array or column in it.
        shape: n and d.
        blocks: yields the vectors in order, numbers (b, d) of any type, a few megabytes at a time; may be asked again.
        ids: what to call the items; None: by their row.
        labels: class names, None where an item has none; None where no item has one.
        columns: what the data says of the items besides, texts too.
        text: which of the columns holds the texts to show; None: none does.
        notes: lines for the user: what was decided and why.
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
        """Returns n."""
        return self.shape[0]


def check_shape(shape: Sequence[int], origin: str) -> tuple[int, int]:
    """Returns n and d.

    Raises:
        DataError: there are not two dimensions, or no numbers in a row.
    """
    wanted = "vectors have the shape (n, d), a row an item"
    if len(shape) == 1:
        raise DataError(
            f"{origin}: an array of shape ({shape[0]},), one number an item; {wanted}; stack them with "
            "numpy.stack, or give .reshape(-1, d)"
        )
    if len(shape) != 2:
        raise DataError(f"{origin}: an array of shape {tuple(shape)}; {wanted}; bring it there with numpy.reshape")
    if shape[1] == 0:
        raise DataError(
            f"{origin}: an array of shape {tuple(shape)}: its rows have no numbers; {wanted}; check how it was made"
        )
    return int(shape[0]), int(shape[1])


def by_name(names: Sequence[str], candidates: Sequence[str]) -> str | None:
    """Returns the name that stands first among the candidates, whatever its case, or None.

    >>> by_name(["vector", "Title", "text"], TEXT_NAMES)
    'text'
    """
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[candidate] for candidate in candidates if candidate in lower), None)
