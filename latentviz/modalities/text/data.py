"""Batches of texts from the memory-mapped tokens, with two views of each text to contrast."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from latentviz.modalities.batches.pairs import Positives, Rows, RowsDataModule, Values
from latentviz.modalities.text.tokens import END, PAD
from latentviz.model.vae import Batch

AT_A_TIME = 65_536  # texts whose tokens are counted at a time
SPLIT_IN_TWO = 0.5  # share of the texts that are cut at the middle; tokens of the others go to a random half


class Tokens(Rows):
    """Rows of the cache, uint16 or int32 (n, t), as int32: devices do little with uint16."""

    def __getitem__(self, i: int) -> Tensor:
        """Read one text's tokens (t,)."""
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Read a batch (b, t) at once."""
        return torch.from_numpy(self.values[self.rows[list(indices)]].astype(np.int32))


def to_ids(tokens: Tensor) -> Tensor:
    """Convert stored tokens to the encoder's input, int64 (b, t)."""
    return tokens.long()


def lengths(tokens: Values, rows: np.ndarray) -> np.ndarray:
    """Return the tokens of these rows (m,) of (n, t) with their ends, int64 (m,)."""
    parts = np.array_split(rows, 1 + len(rows) // AT_A_TIME)
    return np.concatenate([np.count_nonzero(tokens[part], axis=1) for part in parts])


def halves(x: Tensor) -> Tensor:
    """Return the first halves of texts, then their second halves, ids (2b, t), with padding for the other half.

    Halves of a text are each other's positives, as random crops are in Contriever (Izacard et al. 2022, section 3.1),
    but without overlap, so that no shared token gives the pair away.

    Args:
        x: (b, t).
    """
    b, t = x.shape
    place = torch.arange(t, device=x.device)
    length = ((x != PAD) & (x != END)).sum(-1, keepdim=True)  # (b, 1)
    cut = place < (length + 1) // 2
    scattered = torch.rand(b, t, device=x.device) < 0.5
    first = torch.where(torch.rand(b, 1, device=x.device) < SPLIT_IN_TWO, cut, scattered)
    ended = x == END
    return torch.cat([x.where(first | ended, PAD), x.where(~first | ended, PAD)])


class TextDataModule(RowsDataModule[Positives]):
    """Training and validation batches of texts.

    Args:
        tokens: uint16 or int32 (n, t), memory-mapped.
        train: int64 rows to train on.
        val: int64 held-out rows.
        batch_size: b.
        views: whether training batches have two views of each text.
    """

    rows = Tokens
    held_out_batches = 1  # the longest texts come together

    def __init__(
        self, tokens: np.ndarray, train: np.ndarray, val: np.ndarray, batch_size: int, *, views: bool = False
    ) -> None:
        super().__init__(tokens, train, val, batch_size)
        self.views = views

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """The texts' tokens with their ends, int64 (m,)."""
        return lengths(self.values, rows)

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Convert stored tokens to ids, (b, t), and in training make the views."""
        x = to_ids(batch)
        training = self.views and self.trainer is not None and self.trainer.training
        return Batch(x, x, views=halves(x) if training else None)
