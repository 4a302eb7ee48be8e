"""The batches of a training: which items, in which order, and whose on more than one process."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler


class Batches(Sampler[list[int]]):
    """All places of 0 … n − 1 in batches, each shared out among the processes of a training.

    The order of shuffled batches follows from the seed alone that torch was last given, less the process's number. The
    usual sampler draws its order, so that it depends on what was drawn since; seeded by its number, an epoch then sees
    another order when a training is resumed at it. The loader has a generator of its own for the same reason.

    A batch of one process is shared out among several, so that they see together what one would.

    Args:
        n: how many places.
        size: of a batch, all processes together.
        shuffled: whether for training: then the last, smaller batch is dropped unless it is the only one.
        module: whose trainer knows the processes; without one there is one process.
    """

    def __init__(self, n: int, size: int, *, shuffled: bool, module: pl.LightningDataModule | None = None) -> None:
        trainer = module.trainer if module is not None else None
        self.rank, self.ranks = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        self.n, self.size, self.shuffled = n, size, shuffled

    def __len__(self) -> int:
        """Returns the number of batches, the same in each process."""
        return max(1, self.n // self.size) if self.shuffled else -(-self.n // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yields the places of each batch that are this process's."""
        order = (
            range(self.n)
            if not self.shuffled
            else torch.randperm(
                self.n, generator=torch.Generator().manual_seed(torch.initial_seed() - self.rank)
            ).tolist()
        )
        for number in range(len(self)):
            batch = list(order[number * self.size : (number + 1) * self.size])
            if self.shuffled:  # as many for each, since what they find is averaged
                batch = batch[: max(self.ranks, len(batch) // self.ranks * self.ranks)]
            yield batch[self.rank :: self.ranks] or batch[-1:]


def _as_is(batch: Any) -> Any:
    return batch


def loader(data: Any, size: int, *, shuffled: bool, module: pl.LightningDataModule) -> DataLoader[Any]:
    """Returns batches of a data set whose `__getitems__` gives a whole batch.

    Args:
        data: of n items.
        size: of a batch, all processes together.
        shuffled: whether for training.
        module: whose trainer knows the processes.
    """
    batches = Batches(len(data), size, shuffled=shuffled, module=module)
    return DataLoader(data, batch_sampler=batches, collate_fn=_as_is, generator=torch.Generator() if shuffled else None)
