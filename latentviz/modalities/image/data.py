"""The DataModule for images: batches straight out of the memory-mapped cache."""

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from latentviz.vae import Batch


class Pixels(Dataset[Tensor]):
    """Rows of the cache as uint8 tensors; a batch is read in one go.

    Args:
        images: uint8 (n, c, h, w), memory-mapped.
        rows: int64, the items of this split.
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.rows)

    def __getitem__(self, i: int) -> Tensor:
        """Returns one image (c, h, w)."""
        return torch.from_numpy(np.array(self.images[self.rows[i]]))

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """Returns a batch (b, c, h, w); PyTorch's fetcher prefers this to b single look-ups."""
        return torch.from_numpy(self.images[self.rows[list(indices)]])


def to_float(images: Tensor) -> Tensor:
    """Returns uint8 pixels as float32 in [0, 1]."""
    return images.float().div_(255)


def _as_is(batch: Tensor) -> Tensor:
    return batch


class ImageDataModule(pl.LightningDataModule):
    """Training and validation batches of images.

    Args:
        images: uint8 (n, c, h, w), memory-mapped.
        train: int64 rows to learn from.
        val: int64 rows held out.
        batch_size: b.
    """

    def __init__(self, images: np.ndarray, train: np.ndarray, val: np.ndarray, batch_size: int) -> None:
        super().__init__()
        self.images, self.train, self.val, self.batch_size = images, train, val, batch_size

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Returns shuffled batches; the last, smaller one is dropped unless it is the only one."""
        return DataLoader(Pixels(self.images, self.train), self.batch_size, shuffle=True, collate_fn=_as_is,
                          drop_last=len(self.train) > self.batch_size)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Returns the held-out batches in order."""
        return DataLoader(Pixels(self.images, self.val), 4 * self.batch_size, collate_fn=_as_is)

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Turns pixels into floats on the device."""
        x = to_float(batch)
        return Batch(x, x)


def scale_to_variance(images: np.ndarray, seed: int, share: float = 10_000.0, sample: int = 10_000) -> float:
    """Returns the C at which the whole variance of the data costs `share` nats: share / Σ pixel variances.

    C = 1 leaves most latent units unused on small images and one C cannot serve 8×8 and 128×128 alike; scaled this
    way, the same share of the data's variance has the same price everywhere.

    Args:
        images: uint8 (n, c, h, w).
        seed: of the sample that the variances are measured on.
        share: nats that losing all the variance would cost.
        sample: items measured at most.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(images))[:sample])
    pixels = images[rows].reshape(len(rows), -1).astype(np.float32) / 255
    return float(share / pixels.var(axis=0).sum())
