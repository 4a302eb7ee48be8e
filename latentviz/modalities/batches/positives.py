"""Searches each item's positives: its nearest neighbours in the data, later also in μ."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from latentviz.clustering.neighbors import neighbours
from latentviz.modalities.batches.pairs import Positives, Rows
from latentviz.model.encoding import encode_rows
from latentviz.model.training import LightningVAE, epoch_steps
from latentviz.model.vae import VAE
from latentviz.runs.files import atomic_write, read_npy

RENEW_AT = 0.6  # share of the training after which μ finds better neighbours than the data


class UpdatePositives(Callback):
    """Fills `positives.neighbours` before training and updates it once; cached, so that resuming finds it.

    Args:
        data: all items as stored.
        to_input: converts a stored batch to the encoder's input.
        components: computes vectors that represent the items before training, float32 (n, c).
        rows: int64, training items; only they are neighbours.
        positives: what to fill.
        k: neighbours per item.
        seed: of the search.
        cache: the run's cache folder.
        renew: search again during training, with μ.
    """

    def __init__(
        self,
        data: Rows,
        to_input: Callable[[Tensor], Tensor],
        components: Callable[[], np.ndarray],
        rows: np.ndarray,
        positives: Positives,
        *,
        k: int,
        seed: int,
        cache: Path,
        renew: bool = True,
    ) -> None:
        self.data, self.to_input, self.compute_components, self.rows = data, to_input, components, rows
        self.positives, self.k, self.seed, self.renew = positives, min(k, len(rows) - 1), seed, renew
        self.file = cache / "neighbours.npy"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Searches in the data, or loads what a resumed training used."""
        del pl_module
        if trainer.is_global_zero:
            self.components = unit_variance(self.compute_components()[self.rows])
            if trainer.current_epoch == 0 or not self.file.exists():
                self._search(self.components)
        self._load(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Searches again, once, with μ's content dimensions next to the components."""
        assert isinstance(pl_module, LightningVAE)
        if self.renew and _due(trainer, pl_module):
            if trainer.is_global_zero:
                content = self._encode(pl_module)[:, : pl_module.content_dim]
                self._search(np.hstack([self.components, unit_variance(content)]))
            self._load(trainer)

    def _load(self, trainer: pl.Trainer) -> None:
        trainer.strategy.barrier()  # the first process searches
        self.positives.neighbours = np.asarray(read_npy(self.file, "delete it and continue with --resume"))

    def _encode(self, vae: VAE) -> np.ndarray:
        """Encodes the training items: μ, float32 (t, d)."""
        vae.eval()
        mu, _ = encode_rows(vae, self.data, self.to_input, self.rows)
        vae.train()
        return mu.numpy()

    def _search(self, vectors: np.ndarray) -> None:
        """Writes the k nearest rows, int32 (n, k); held-out rows get themselves."""
        found = np.repeat(np.arange(len(self.data), dtype=np.int32)[:, None], self.k, axis=1)
        found[self.rows] = self.rows[neighbours(vectors, self.k + 1, seed=self.seed).indices[:, 1:]]
        with atomic_write(self.file) as temporary, temporary.open("wb") as file:
            np.save(file, found)


def _due(trainer: pl.Trainer, vae: LightningVAE) -> bool:
    """Whether an epoch is the first one after `RENEW_AT` of the training, if need be of the shortest possible one."""
    schedule, step, epoch = vae.schedule, trainer.global_step, epoch_steps(trainer)
    before = schedule.place(step - epoch) if step >= epoch else -1
    return before < RENEW_AT * schedule.total - 1e-6 <= schedule.place(step)


def unit_variance(vectors: np.ndarray) -> np.ndarray:
    """Centres vectors (n, d) and scales them to a total variance of 1."""
    centred = vectors - vectors.mean(axis=0)
    scaled: np.ndarray = centred / math.sqrt(float(centred.var(axis=0).sum()) + 1e-12)
    return scaled
