"""What a reader of vectors returns, and the column names by which it finds ids and texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
class About:
    """What is known of the items of n vectors; row i belongs to vector i."""

    ids: Sequence[str] | None = None  # None: by row
    labels: Sequence[str | None] | None = None  # class names; None if no item has one
    texts: Sequence[str] | None = None  # to show
    columns: Mapping[str, Any] = field(default_factory=dict)  # other columns
    notes: Sequence[str] = ()  # lines for the user about what was found


@dataclass(frozen=True)
class Source:
    """n vectors of d numbers."""

    origin: str  # the file, or the file and the array or column in it
    shape: tuple[int, int]  # (n, d)
    blocks: Callable[[], Iterator[np.ndarray]]  # yields blocks (b, d) of bounded size, any dtype, in order; reusable
    about: About
    names: tuple[str, ...] = ()  # of the d columns, if the vectors are columns of a table
    decimal: str = "point"  # of formatted numbers in these columns

    def __len__(self) -> int:
        """The number of vectors."""
        return self.shape[0]

    def in_order(self, names: Sequence[str]) -> "Source":
        """Returns the columns in the order of `names`, if these are all of them."""
        if sorted(names) != sorted(self.names) or tuple(names) == self.names:
            return self
        places = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), blocks=lambda: (block[:, places] for block in self.blocks()))


def about_items(columns: Mapping[str, list[Any]], label: str | None, text: str | None, note: str) -> About:
    """Takes labels, texts and ids out of columns or arrays with one value per item; `note` says which these are."""
    others = dict(columns)
    labels = [as_label(value) for value in others.pop(label)] if label else None
    texts = ["" if value is None else str(value) for value in others.pop(text)] if text else None
    key = by_name(list(others), ID_NAMES)
    ids = [printable(str(value)) for value in others.pop(key)] if key else None
    found = {"labels": label, "ids": key, "texts": text}
    said = "; ".join(f"{what}: {printable(name) if name else 'none found'}" for what, name in found.items())
    return About(ids, labels, texts, others, [f"{note}; {said}"])


UNLIKE = 10  # ratio of the deviations of two columns from which they are of different units


def choose_scale(wanted: str, deviations: np.ndarray, *, named: bool) -> str:
    """Resolve data.scale.

    Args:
        wanted: the setting; "auto": standard for named columns whose deviations differ by more than `UNLIKE`.
        deviations: float64 (d,), the standard deviation of each column.
        named: whether the vectors are columns of a table.
    """
    if wanted != "auto":
        return wanted
    return "standard" if named and unlike(deviations) else "global"


def unlike(deviations: np.ndarray) -> bool:
    """Whether deviations, float64 (d,), differ by more than `UNLIKE`; constant columns do not count."""
    varying = deviations[deviations > 0]
    return len(varying) > 1 and bool(varying.max() > UNLIKE * varying.min())


def check_shape(shape: Sequence[int], origin: str) -> tuple[int, int]:
    """Checks for the shape (n, d), d > 0; raises a DataError otherwise."""
    if len(shape) == 2 and shape[1]:
        return int(shape[0]), int(shape[1])
    got, advice = f"an array of shape {tuple(shape)}", "convert it with numpy.reshape"
    if len(shape) == 1:
        got += ", one number per item"
        advice = "combine arrays with numpy.stack, or use .reshape(-1, d)"
    elif len(shape) == 2:
        got, advice = f"{got}, rows without numbers", "check how it was made"
    raise DataError(f"{origin}: {got}; vectors have the shape (n, d), one row per item; {advice}")
