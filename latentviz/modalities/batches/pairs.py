"""Batches straight out of a memory-mapped cache: rows as they lie there, or each with one that counts as its view."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class Rows(Dataset[Tensor]):
    """Rows of the cache as they are stored; a batch is read in one go.

    Args:
        values: (n, …) of any type, memory-mapped.
        rows: int64, the items of this split.
    """

    def __init__(self, values: np.ndarray, rows: np.ndarray) -> None:
        self.values, self.rows = values, rows

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.rows)

    def __getitem__(self, i: int) -> Tensor:
        """Returns one item (…)."""
        return torch.from_numpy(np.array(self.values[self.rows[i]]))

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Returns a batch (b, …); PyTorch's fetcher prefers this to b single look-ups."""
        return torch.from_numpy(self.values[self.rows[list(indices)]])


@dataclass(kw_only=True)
class Kin:
    """Which items count as views of each other.

    Attributes:
        neighbours: int32 (n, k), for each item k others; k may be 0. Renewed during the training.
        itself: share of the second views that show the item itself.
    """

    neighbours: np.ndarray
    itself: float = 0.3


class Pairs(Rows):
    """Batches of items, each with another that counts as a view of the same thing."""

    def __init__(self, values: np.ndarray, rows: np.ndarray, kin: Kin) -> None:
        super().__init__(values, rows)
        self.kin = kin

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Returns the items and their partners, (2, b, …)."""
        rows = self.rows[list(indices)]
        partners, k = rows, self.kin.neighbours.shape[1]
        if k:
            pick = torch.randint(k, (len(rows),)).numpy()
            near = self.kin.neighbours[rows, pick]
            partners = np.where(torch.rand(len(rows)).numpy() < self.kin.itself, rows, near)
        return torch.from_numpy(np.stack([self.values[rows], self.values[partners]]))
