"""Callbacks of the training: views of images, and vectors that start as their principal components."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from latentviz.modalities.batches.pairs import Rows
from latentviz.modalities.batches.positives import UpdatePositives
from latentviz.modalities.image.augment import principal_components
from latentviz.modalities.image.data import Views
from latentviz.modalities.image.statistics import CleanStatistics
from latentviz.modalities.joint.layout import Packed
from latentviz.modalities.joint.nets import JointEncoder, VectorExpert
from latentviz.modalities.vectors.data import components


def of_images(packed: Packed, train: np.ndarray, views: Views, *, k: int, seed: int, cache: Path) -> list[Callback]:
    """Return what measures batch statistics on clean images, and what finds the images that are views of others.

    Args:
        packed: the items.
        train: int64, training rows; those with an image are searched.
        views: where the neighbours go.
        k: neighbours of an image; 0: none.
        seed: of the samples and the search.
        cache: the run's cache folder.
    """
    drawn = train[packed.has("image")[train]]
    found: list[Callback] = [CleanStatistics(packed.images, drawn, seed, _of_images)]
    if k and len(drawn) > 1:
        data = Rows(packed, np.arange(len(packed)))
        components = partial(principal_components, packed.images, seed)
        found.append(UpdatePositives(data, _stored, components, drawn, views, k=k, seed=seed, cache=cache))
    return found


def _of_images(encoder: nn.Module) -> nn.Module:
    return encoder.experts["image"] if isinstance(encoder, JointEncoder) else encoder


def _stored(batch: Tensor) -> Tensor:
    return batch


class PrincipalStart(Callback):
    """Starts the encoder of vectors from their principal components; a resumed training loads its weights after.

    So items that are near by their vectors are near in μ from the first step on: a few epochs are too short for a
    perceptron to learn that, and the decoders of images and texts need no more.

    Args:
        vectors: float32 (n, m), those of the training items.
        content_dim: leading latent dimensions, which get the components.
        seed: of the sample.
    """

    def __init__(self, vectors: np.ndarray, content_dim: int, seed: int) -> None:
        self.vectors, self.content_dim, self.seed = vectors, content_dim, seed

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set the weights: all components are scaled alike, to a variance of 1 on average."""
        del trainer, stage
        encoder = pl_module.encoder
        if not isinstance(encoder, JointEncoder):  # the user has brought another
            return
        expert = encoder.experts["vectors"]
        assert isinstance(expert, VectorExpert)
        found = components(self.vectors, self.seed, "euclidean")
        axes = found.axes[:, : self.content_dim]
        scores = (self.vectors - found.mean) @ axes
        scale = math.sqrt(axes.shape[1] / max(float(scores.var(axis=0).sum()), 1e-30))
        expert.initialise(torch.from_numpy((scale * axes.T).astype(np.float32)))
