"""The items of a run."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd

# Names of the columns that latentviz makes in items.parquet, points.parquet, and the table of `encode`.
ITEM_COLUMNS = ("id", "split", "label", "source")
RESERVED = (
    *ITEM_COLUMNS,
    *("x", "y", "cluster", "nearest_cluster", "probability", "outlier_score", "cluster_raw"),
    *("log_likelihood", "kl", "repeats", "distance", "unlike"),
    *("edited_cluster", "tags", "note"),
)


def own_names(names: Iterable[str], taken: Collection[str] = RESERVED) -> dict[str, str]:
    """Returns the name under which each of a user's columns is kept: its own, or `data_…` if that one is taken.

    >>> own_names(["x", "height", "data_x"])
    {'x': 'data_data_x', 'height': 'height', 'data_x': 'data_x'}
    """
    wanted = list(names)
    free: dict[str, str] = {}
    for name in wanted:
        kept = name
        while kept in taken or (kept != name and (kept in wanted or kept in free.values())):
            kept = f"data_{kept}"
        free[name] = kept
    return free


def indexed(table: pa.Table, index: pa.Table | None) -> "pd.DataFrame":
    """Returns a table as a DataFrame, with the index of the pandas object that its rows come from, if any."""
    frame: pd.DataFrame = table.to_pandas()
    return frame if index is None or len(index) != len(frame) else frame.set_index(index.to_pandas().index)


@dataclass(frozen=True)
class Items:
    """The row order of everything: row i of every table and array of a run is item i.

    Attributes:
        table: columns `id` (str, unique), `split` ("train" or "val"), `label` (str, null where there is none),
            `source` (str: the file, or file and row, that the item came from), then the data's own columns.
    """

    table: pa.Table

    def __len__(self) -> int:
        """The number of items."""
        return int(self.table.num_rows)

    def column(self, name: str) -> list[Any]:
        """Returns a column as a list in item order."""
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    @property
    def train(self) -> np.ndarray:
        """The rows (int64) whose split is train."""
        return np.flatnonzero(np.asarray(self.column("split")) == "train")

    @property
    def val(self) -> np.ndarray:
        """The rows (int64) whose split is val."""
        return np.flatnonzero(np.asarray(self.column("split")) == "val")

    @property
    def labels(self) -> list[str | None] | None:
        """The label of each item, or None where no item has one."""
        labels = self.column("label")
        return labels if any(label is not None for label in labels) else None
