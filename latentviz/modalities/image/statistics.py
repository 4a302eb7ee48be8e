"""Batch-normalisation statistics measured on clean images, because training sees augmented ones."""

from collections.abc import Callable

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from latentviz.modalities.image.data import to_float

MEASURED = 1_024  # images; each contributes some hundred positions per convolution
BATCH = 256


class CleanStatistics(Callback):
    """Measures the encoder's batch statistics on clean images before each validation.

    Augmented views are blurred and differ in contrast, so the running statistics of training do not suit the images
    encoded later (Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 5). Training itself does not use the
    statistics, and checkpoints are written after validation.

    Args:
        images: uint8 (n, c, h, w), memory-mapped.
        train: int64, training rows.
        seed: of the sample.
        network: what encodes images, of the encoder.
    """

    def __init__(
        self,
        images: np.ndarray,
        train: np.ndarray,
        seed: int,
        network: Callable[[nn.Module], nn.Module] = lambda encoder: encoder,
    ) -> None:
        self.images, self.network = images, network
        self.rows = np.sort(np.random.default_rng(seed).permutation(train)[:MEASURED])

    @torch.no_grad()
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets the running statistics to the plain mean over the batches."""
        del trainer
        own = pl_module.encoder
        assert isinstance(own, nn.Module)
        encoder = self.network(own)
        layers = [layer for layer in encoder.modules() if isinstance(layer, nn.BatchNorm2d)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # makes PyTorch average over batches
            layer.train()
        dtype = next(encoder.parameters()).dtype
        for rows in np.array_split(self.rows, -(-len(self.rows) // BATCH)):
            encoder(to_float(torch.from_numpy(np.array(self.images[rows])).to(pl_module.device)).to(dtype))
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
