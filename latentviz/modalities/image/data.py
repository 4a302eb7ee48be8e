"""Training batches of images, from pixels in the cache to views on the device."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from latentviz.modalities.batches.pairs import Positives, RowsDataModule
from latentviz.modalities.image.augment import views
from latentviz.model.vae import Batch


def to_float(images: Tensor) -> Tensor:
    """Converts uint8 pixels to float32 in [0, 1]."""
    return images.float().div_(255)


@dataclass
class Views(Positives):
    """How a training batch gets a second view of each image: an augmented image, or an augmented positive."""

    strength: float  # of the augmentation, see `augment.views`
    flip: bool  # mirror half of the views


class ImageDataModule(RowsDataModule[Views]):
    """Batches of images, uint8 (n, c, h, w) in the cache; with positives, batches have two views of each image."""

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Converts pixels to floats, and pairs (2, b, c, h, w) to two views; the first clean image is the target."""
        x = to_float(batch)
        if x.ndim == 4 or self.positives is None:
            return Batch(x, x)
        return Batch(views(x.flatten(0, 1), self.positives.strength, flip=self.positives.flip), x[0])


def scale_to_variance(images: np.ndarray, seed: int, nats: float = 10_000.0, sample: int = 10_000) -> float:
    """Computes the C at which losing all variance of the data costs `nats`: nats / Σ pixel variances.

    C = 1 leaves most latent units of small images unused, and no single C suits both 8×8 and 128×128. With this C, the
    same share of the variance costs the same at every size.

    Args:
        images: uint8 (n, c, h, w).
        seed: of the sample.
        nats: cost of losing all variance.
        sample: number of images to measure at most.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(images))[:sample])
    pixels = images[rows].reshape(len(rows), -1).astype(np.float32) / 255
    return float(nats / pixels.var(axis=0).sum())
