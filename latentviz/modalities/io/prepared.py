"""Data that is ready to train on: the items in order, the split, and notes for the user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from latentviz.config import DataSection
from latentviz.errors import DataError
from latentviz.modalities.io.columns import as_column
from latentviz.modalities.io.names import BadItem
from latentviz.runs.files import unique_ids
from latentviz.runs.items import Items

# Fewer items make neither a validation set nor a map with neighbourhoods.
FEWEST = 16


@dataclass(frozen=True)
class Prepared:
    """Data that is ready to train on.

    Attributes:
        items: row i is item i of the cache.
        data: the data section of the config, with its `auto`s resolved.
        bad: items that were left out.
        fingerprint: 32 hex digits that change with any item, id, label, or the order.
        notes: lines for the user: what was decided and why.
    """

    items: Items
    data: Any  # the kind's own DataSection
    bad: list[BadItem]
    fingerprint: str
    notes: list[str]


def load_array(file: Path, what: str) -> np.ndarray:
    """Opens an array of a run's cache, memory-mapped and read-only; pickles are never loaded.

    Args:
        file: in `<run>/cache/`.
        what: its content, for the message.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        array: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("not an array")
    except (OSError, ValueError, EOFError) as error:
        run = file.parent.parent
        raise DataError(
            f"{file}: the {what} are missing or damaged ({error}); `latentviz fit {run / 'config.yaml'} "
            f"--run {run.name} --outputs {run.parent} --force` writes them again"
        ) from None
    return array


def held_out(n: int, data: DataSection, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Chooses the items held out for validation, bool (n,), without regard to labels.

    Args:
        n: number of items, at least 2.
        data: with `val_fraction`.
        seed: of the choice.
        groups: int64 (n,), the group of each item; groups are held out as a whole. None: each item is a group.
    """
    wanted = min(n - 1, max(1, round(n * data.val_fraction)))
    random = np.random.default_rng(seed)
    out = np.zeros(n, bool)
    if groups is None:
        out[random.permutation(n)[:wanted]] = True
        return out
    sizes = np.bincount(groups)
    order = random.permutation(len(sizes))
    order = order[np.argsort(sizes[order] > wanted, kind="stable")]  # groups larger than the share come last
    enough = int(np.searchsorted(sizes[order].cumsum(), wanted)) + 1
    chosen = np.zeros(len(sizes), bool)
    chosen[order[: min(len(order) - 1, enough)]] = True  # never all of them
    return np.asarray(chosen[groups])


def item_table(
    ids: Sequence[str],
    labels: Sequence[str | None],
    sources: Sequence[str],
    out: np.ndarray,
    columns: Mapping[str, Any],
) -> Items:
    """Makes the item table, with unique ids.

    Args:
        ids: of the items.
        labels: class names; None for an item without one.
        sources: the file, or file and line or row, of each item.
        out: bool (n,), True for items held out.
        columns: further columns, Arrow arrays or lists; a column with a reserved name becomes `data_…`.
    """
    table: dict[str, Any] = {
        "id": pa.array(unique_ids(ids), pa.string()),
        "split": pa.array(np.where(out, "val", "train").tolist(), pa.string()),
        "label": pa.array(labels, pa.string()),
        "source": pa.array(sources, pa.string()),
    }
    for name, values in columns.items():
        free = name
        while free in table:
            free = f"data_{free}"
        table[free] = values if isinstance(values, pa.Array | pa.ChunkedArray) else as_column(list(values))
    return Items(pa.table(table))
