"""The DataModule for texts: batches straight out of the memory-mapped tokens."""

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from latentviz.modalities.batches.order import loader
from latentviz.modalities.text.views import halves
from latentviz.model.vae import Batch


class Tokens(Dataset[Tensor]):
    """Rows of the cache as int32 tensors; a batch is read in one go.

    Args:
        tokens: uint16 or int32 (n, t), memory-mapped.
        rows: int64, the items of this split.
    """

    def __init__(self, tokens: np.ndarray, rows: np.ndarray) -> None:
        self.tokens, self.rows = tokens, rows

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.rows)

    def __getitem__(self, i: int) -> Tensor:
        """Returns one text's tokens (t,)."""
        return self.__getitems__([i])[0]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Returns a batch (b, t); PyTorch's fetcher prefers this to b single look-ups."""
        return torch.from_numpy(self.tokens[self.rows[list(indices)]].astype(np.int32))


def to_ids(tokens: Tensor) -> Tensor:
    """Returns stored tokens as the encoder takes them, int64 (b, t)."""
    return tokens.long()


class TextDataModule(pl.LightningDataModule):
    """Training and validation batches of texts.

    Args:
        tokens: uint16 or int32 (n, t), memory-mapped.
        train: int64 rows to learn from.
        val: int64 rows held out.
        batch_size: b.
        views: give batches two views of each text, to contrast.
    """

    def __init__(
        self, tokens: np.ndarray, train: np.ndarray, val: np.ndarray, batch_size: int, *, views: bool = False
    ) -> None:
        super().__init__()
        self.tokens, self.train, self.val, self.batch_size, self.views = tokens, train, val, batch_size, views

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Returns shuffled batches; the last, smaller one is dropped unless it is the only one."""
        data = Tokens(self.tokens, self.train)
        return loader(data, self.batch_size, shuffled=True, module=self)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Returns the held-out batches in order."""
        data = Tokens(self.tokens, self.val)
        return loader(data, 4 * self.batch_size, shuffled=False, module=self)

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Turns stored tokens into ids, shape (b, t), and in training makes the views."""
        x = to_ids(batch)
        training = self.views and self.trainer is not None and self.trainer.training
        return Batch(x, x, views=halves(x) if training else None)
