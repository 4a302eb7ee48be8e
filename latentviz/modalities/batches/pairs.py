"""Batches from a memory-mapped cache: single rows, or each row with a positive to contrast it with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from latentviz.modalities.batches.order import loader

if TYPE_CHECKING:
    from pytorch_lightning import Trainer


class Values(Protocol):
    """The stored items of a cache, (n, …): an array, or what reads like one."""

    def __len__(self) -> int:
        """Return n."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Return these items, (m, …)."""


class Rows(Dataset[Tensor]):
    """Some rows of the cache, as they are stored.

    Args:
        values: (n, …) of any dtype, memory-mapped.
        rows: int64, the items of this split.
    """

    def __init__(self, values: Values, rows: np.ndarray) -> None:
        self.values, self.rows = values, rows

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def __getitem__(self, i: int) -> Tensor:
        """Reads one item (…)."""
        return torch.from_numpy(np.array(self.values[self.rows[i]]))

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Reads a batch (b, …) at once; PyTorch's fetcher prefers this to b calls of `__getitem__`."""
        return torch.from_numpy(self.values[self.rows[list(indices)]])


@dataclass(kw_only=True)
class Positives:
    """Which items are positives of each other in the contrastive loss."""

    neighbours: np.ndarray  # int32 (n, k), k other items for each item; k may be 0. `UpdatePositives` fills it
    itself: float = 0.3  # share of the positives that are the item itself


P = TypeVar("P", bound=Positives)


class Pairs(Rows):
    """Rows of the cache, each with a positive."""

    def __init__(self, values: Values, rows: np.ndarray, positives: Positives) -> None:
        super().__init__(values, rows)
        self.positives = positives

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Reads items and their positives, (2, b, …)."""
        rows = self.rows[list(indices)]
        others, k = rows, self.positives.neighbours.shape[1]
        if k:
            pick = torch.randint(k, (len(rows),)).numpy()
            near = self.positives.neighbours[rows, pick]
            others = np.where(torch.rand(len(rows)).numpy() < self.positives.itself, rows, near)
        return torch.from_numpy(np.stack([self.values[rows], self.values[others]]))


class RowsDataModule(Generic[P]):
    """Training and validation batches of cached rows, without Lightning; `LightningBatches` adds it.

    Args:
        values: (n, …), memory-mapped.
        train: int64 (t,), rows to train on.
        val: int64 (v,), held-out rows.
        batch_size: b.
        positives: adds a positive to each training row; None: single rows.
    """

    rows: ClassVar[type[Rows]] = Rows
    held_out_batches: ClassVar[int] = 4  # training batches in a held-out one, which needs no gradients

    def __init__(
        self, values: Values, train: np.ndarray, val: np.ndarray, batch_size: int, positives: P | None = None
    ) -> None:
        self.trainer: Trainer | None = None
        self.values, self.train, self.val, self.batch_size, self.positives = values, train, val, batch_size, positives

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Shuffled batches; drops the last, smaller one unless it is the only one."""
        data = (
            self.rows(self.values, self.train)
            if self.positives is None
            else Pairs(self.values, self.train, self.positives)
        )
        return loader(data, self.batch_size, shuffled=True, module=self, lengths=self.lengths(self.train))

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Held-out batches in order."""
        data, lengths = self.rows(self.values, self.val), self.lengths(self.val)
        return loader(data, self.held_out_batches * self.batch_size, shuffled=False, module=self, lengths=lengths)

    def lengths(self, rows: np.ndarray) -> np.ndarray | None:
        """The lengths of padded items, int (m,); None: all have one length."""
        del rows
        return None
