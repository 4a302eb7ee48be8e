"""Which items form each batch, in which order, and how processes share them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

if TYPE_CHECKING:
    from pytorch_lightning import Trainer


POOL = 32  # batches whose items are sorted by length: a longer pool saves little padding, and its batches differ more


class HasTrainer(Protocol):
    """Batches that know their trainer during a training."""

    trainer: "Trainer | None"


class Batches(Sampler[list[int]]):
    """Batches of the indices 0 … n − 1, each batch divided among the processes of a distributed training.

    The shuffled order depends only on torch's last seed minus the rank. PyTorch's RandomSampler draws a seed from the
    global generator, so its order depends on earlier draws; Lightning reseeds each epoch, and this sampler then repeats
    the order of that epoch when training resumes. `loader` gives the DataLoader its own generator for the same reason.

    Each batch is divided, so that all processes together see what a single process would.

    Args:
        n: number of items.
        size: batch size over all processes.
        shuffled: for training; drops the last, smaller batch unless it is the only one.
        module: its trainer knows rank and world size; None: a single process.
        lengths: int (n,), of items that are padded; batches then hold items of similar lengths. None: of one length.
    """

    def __init__(
        self,
        n: int,
        size: int,
        *,
        shuffled: bool,
        module: "HasTrainer | None" = None,
        lengths: np.ndarray | None = None,
    ) -> None:
        trainer = module.trainer if module is not None else None
        self.rank, self.ranks = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        self.n, self.size, self.shuffled, self.lengths = n, size, shuffled, lengths

    def __len__(self) -> int:
        """The number of batches, equal in every process."""
        return max(1, self.n // self.size) if self.shuffled else -(-self.n // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yields this process's share of each batch."""
        order: Sequence[int] = range(self.n)
        if self.shuffled:
            generator = torch.Generator().manual_seed(torch.initial_seed() - self.rank)
            order = torch.randperm(self.n, generator=generator).tolist()
            if self.lengths is not None:
                order = self._alike(np.array(order), self.lengths, generator)
        elif self.lengths is not None:
            order = np.argsort(self.lengths, kind="stable").tolist()
        for number in range(len(self)):
            batch = list(order[number * self.size : (number + 1) * self.size])
            if self.shuffled:  # equal shares, because gradients are averaged over processes
                batch = batch[: max(self.ranks, len(batch) // self.ranks * self.ranks)]
            yield batch[self.rank :: self.ranks] or batch[-1:]

    def _alike(self, order: np.ndarray, lengths: np.ndarray, generator: torch.Generator) -> list[int]:
        """Sorts each pool of a shuffled order by length, and shuffles the batches."""
        whole = order[: len(self) * self.size]
        pools = np.split(whole, range(POOL * self.size, len(whole), POOL * self.size))
        batches = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        batches = batches.reshape(len(self), -1)
        shuffled: list[int] = batches[torch.randperm(len(self), generator=generator).numpy()].ravel().tolist()
        return shuffled


def _unchanged(batch: Any) -> Any:
    return batch


def loader(
    data: Dataset[Tensor], size: int, *, shuffled: bool, module: "HasTrainer", lengths: np.ndarray | None = None
) -> DataLoader[Tensor]:
    """Makes a DataLoader over a data set whose `__getitems__` reads a whole batch.

    Args:
        data: n items.
        size: batch size over all processes.
        shuffled: for training.
        module: its trainer knows rank and world size.
        lengths: as those of `Batches`.
    """
    batches = Batches(len(data), size, shuffled=shuffled, module=module, lengths=lengths)  # type: ignore[arg-type]
    generator = torch.Generator() if shuffled else None
    return DataLoader(data, batch_sampler=batches, collate_fn=_unchanged, generator=generator)
