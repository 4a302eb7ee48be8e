"""Callback of the training on items with vectors: their part of the latent starts as their principal components."""

import math

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from latentviz.modalities.joint.nets import JointEncoder, VectorExpert
from latentviz.modalities.vectors.data import components


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
