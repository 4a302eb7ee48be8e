"""The order in which training items are drawn."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class Shuffled(Sampler[int]):
    """All places of 0 … n − 1 in an order that follows from the seed alone that torch was last given.

    The usual sampler draws its order, so that it depends on what was drawn since; seeded by its number, an epoch then
    sees another order when a training is resumed at it. The loader has a generator of its own for the same reason.
    """

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        """Returns n."""
        return self.n

    def __iter__(self) -> Iterator[int]:
        """Yields the places."""
        yield from torch.randperm(self.n, generator=torch.Generator().manual_seed(torch.initial_seed())).tolist()
