"""Which images count as views of each other: the nearest by their pixels first, then by what the encoder has learnt."""

import math
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from latentviz.files import atomic_write
from latentviz.modalities.image.augment import principal_components, unit_variance
from latentviz.modalities.image.data import Pixels, Views, to_float
from latentviz.neighbours import neighbours
from latentviz.vae import VAE

RENEW_AT = 0.6  # share of the epochs after which μ knows better than pixels what is near
ENCODED_AT_A_TIME = 1024


class Partners(Callback):
    """Fills `views.neighbours` before the training and renews it once; kept in the cache, so that a resume finds it.

    Args:
        images: uint8 (n, c, h, w), memory-mapped.
        rows: int64, the training items; the others are nobody's neighbours.
        views: what the batches are made with.
        k: neighbours an item.
        seed: of the components.
        cache: the run's cache folder.
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray, views: Views, *, k: int, seed: int, cache: Path) -> None:
        self.images, self.rows, self.views, self.seed = images, rows, views, seed
        self.k = min(k, len(rows) - 1)
        self.file = cache / "neighbours.npy"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Finds the neighbours by pixels, or those a resumed training went with."""
        del pl_module
        self.components = unit_variance(principal_components(self.images, self.seed)[self.rows])
        self.renew_at = math.ceil(RENEW_AT * (trainer.max_epochs or 0)) or None
        if trainer.current_epoch > 0 and self.file.exists():
            self.views.neighbours = np.load(self.file, allow_pickle=False)
        else:
            self._search(self.components)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Renews the neighbours when it is time."""
        if trainer.current_epoch == self.renew_at:
            assert isinstance(pl_module, VAE)
            content = self._encode(pl_module)[:, : pl_module.content_dim]
            self._search(np.hstack([self.components, unit_variance(content)]))

    @torch.no_grad()
    def _encode(self, vae: VAE) -> np.ndarray:
        data, parts = Pixels(self.images, self.rows), []
        vae.eval()
        for start in range(0, len(data), ENCODED_AT_A_TIME):
            batch = data.__getitems__(range(start, min(start + ENCODED_AT_A_TIME, len(data))))
            parts.append(vae.encode(to_float(batch.to(vae.device)))[0].float().cpu().numpy())
        vae.train()
        return np.concatenate(parts)

    def _search(self, vectors: np.ndarray) -> None:
        """Puts the rows of the k nearest into `views.neighbours` (n, k); a row not trained on holds itself."""
        found = np.repeat(np.arange(len(self.images), dtype=np.int32)[:, None], self.k, axis=1)
        found[self.rows] = self.rows[neighbours(vectors, self.k + 1, seed=self.seed).indices[:, 1:]]
        self.views.neighbours = found
        with atomic_write(self.file) as temporary, temporary.open("wb") as file:
            np.save(file, found)
