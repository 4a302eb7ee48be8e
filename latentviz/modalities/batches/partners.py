"""Which items count as views of each other: the nearest in the data first, then also by what the encoder has learnt."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from latentviz.clustering.neighbors import neighbours
from latentviz.modalities.batches.pairs import Kin, Rows
from latentviz.model.encoding import at_a_time
from latentviz.model.vae import VAE
from latentviz.runs.files import atomic_write, read_npy

RENEW_AT = 0.6  # share of the epochs after which μ knows better than the data what is near


class Partners(Callback):
    """Fills `kin.neighbours` before the training and renews it once; kept in the cache, so that a resume finds it.

    Args:
        data: all items as they are stored.
        to_input: what turns a batch of them into the encoder's input.
        components: gives what stands for the items while nothing is learnt yet, float32 (n, k).
        rows: int64, the training items; the others are nobody's neighbours.
        kin: what the batches are made with.
        k: neighbours an item.
        seed: of the search.
        cache: the run's cache folder.
        renew: whether to search again with what was learnt.
    """

    def __init__(
        self,
        data: Rows,
        to_input: Callable[[Tensor], Tensor],
        components: Callable[[], np.ndarray],
        rows: np.ndarray,
        kin: Kin,
        *,
        k: int,
        seed: int,
        cache: Path,
        renew: bool = True,
    ) -> None:
        self.data, self.to_input, self.find, self.rows, self.kin, self.seed = (
            data,
            to_input,
            components,
            rows,
            kin,
            seed,
        )
        self.k, self.renew = min(k, len(rows) - 1), renew
        self.file = cache / "neighbours.npy"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds the neighbours in the data, or those a resumed training went with."""
        del pl_module
        self.renew_at = (math.ceil(RENEW_AT * (trainer.max_epochs or 0)) or None) if self.renew else None
        if trainer.is_global_zero:
            self.components = unit_variance(self.find()[self.rows])
            if trainer.current_epoch == 0 or not self.file.exists():
                self._search(self.components)
        self._take(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Renews the neighbours when it is time."""
        if trainer.current_epoch == self.renew_at:
            assert isinstance(pl_module, VAE)
            if trainer.is_global_zero:
                content = self._encode(pl_module)[:, : pl_module.content_dim]
                self._search(np.hstack([self.components, unit_variance(content)]))
            self._take(trainer)

    def _take(self, trainer: pl.Trainer) -> None:
        """Takes up what the first process has found and written."""
        trainer.strategy.barrier()
        self.kin.neighbours = np.asarray(read_npy(self.file, "delete it and go on with --resume"))

    @torch.no_grad()
    def _encode(self, vae: VAE) -> np.ndarray:
        parts = []
        vae.eval()
        step = at_a_time(vae)
        for start in range(0, len(self.rows), step):
            batch = self.data.__getitems__(self.rows[start : start + step].tolist())
            parts.append(vae.encode(self.to_input(batch.to(vae.device)))[0].float().cpu().numpy())
        vae.train()
        return np.concatenate(parts)

    def _search(self, vectors: np.ndarray) -> None:
        """Writes the rows of the k nearest, int32 (n, k); a row not trained on holds itself."""
        found = np.repeat(np.arange(len(self.data), dtype=np.int32)[:, None], self.k, axis=1)
        found[self.rows] = self.rows[neighbours(vectors, self.k + 1, seed=self.seed).indices[:, 1:]]
        with atomic_write(self.file) as temporary, temporary.open("wb") as file:
            np.save(file, found)


def unit_variance(vectors: np.ndarray) -> np.ndarray:
    """Returns the vectors (n, d) centred and scaled to a total variance of 1."""
    centred = vectors - vectors.mean(axis=0)
    scaled: np.ndarray = centred / math.sqrt(float(centred.var(axis=0).sum()) + 1e-12)
    return scaled
