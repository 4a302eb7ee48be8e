"""The DataModule for images: batches straight out of the memory-mapped cache."""

from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from latentviz.modalities.batches.order import loader
from latentviz.modalities.batches.pairs import Kin, Pairs, Rows
from latentviz.modalities.image.augment import views
from latentviz.model.vae import Batch


def to_float(images: Tensor) -> Tensor:
    """Returns uint8 pixels as float32 in [0, 1]."""
    return images.float().div_(255)


@dataclass
class Views(Kin):
    """How a training batch gets a second view of each image: of itself or of one of its kin, moved.

    Attributes:
        strength: of the augmentation, see `augment.views`.
        flip: mirror half of the views.
    """

    strength: float
    flip: bool


class ImageDataModule(pl.LightningDataModule):
    """Training and validation batches of images.

    Args:
        images: uint8 (n, c, h, w), memory-mapped.
        train: int64 rows to learn from.
        val: int64 rows held out.
        batch_size: b.
        views: how second views are made; None: batches have one view, the image as it is.
    """

    def __init__(
        self, images: np.ndarray, train: np.ndarray, val: np.ndarray, batch_size: int, views: Views | None = None
    ) -> None:
        super().__init__()
        self.images, self.train, self.val, self.batch_size, self.views = images, train, val, batch_size, views

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Returns shuffled batches; the last, smaller one is dropped unless it is the only one."""
        data = Rows(self.images, self.train) if self.views is None else Pairs(self.images, self.train, self.views)
        return loader(data, self.batch_size, shuffled=True, module=self)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Returns the held-out batches in order."""
        data = Rows(self.images, self.val)
        return loader(data, 4 * self.batch_size, shuffled=False, module=self)

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Turns pixels into floats on the device, and pairs (2, b, …) into two views and the first's clean image."""
        x = to_float(batch)
        if x.ndim == 4 or self.views is None:
            return Batch(x, x)
        first, second = x
        moved = views(torch.cat([first, second]), self.views.strength, flip=self.views.flip)
        return Batch(moved[: len(first)], first, moved[len(first) :])


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
