"""The DataModule for vectors: batches out of the cache, standardised by the encoder itself."""

from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from latentviz.modalities.batches.order import loader
from latentviz.modalities.batches.pairs import Kin, Pairs, Rows
from latentviz.modalities.vectors.nearest import unit
from latentviz.modalities.vectors.prepare import blocks_of
from latentviz.model.vae import Batch

COMPONENTS, SAMPLE = 64, 20_000  # principal components that neighbours are searched in, and vectors they are found on


class VectorDataModule(pl.LightningDataModule):
    """Training and validation batches of vectors.

    Args:
        vectors: float32 or float16 (n, m), memory-mapped.
        train: int64 rows to learn from.
        val: int64 rows held out.
        batch_size: b.
        kin: which vectors count as views of each other; None: batches have one view.
        noise: deviation of the noise that is put on views, in the unit of the vectors.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        train: np.ndarray,
        val: np.ndarray,
        batch_size: int,
        kin: Kin | None = None,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.vectors, self.train, self.val, self.batch_size = vectors, train, val, batch_size
        self.kin, self.noise = kin, noise

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Returns shuffled batches; the last, smaller one is dropped unless it is the only one."""
        data = Rows(self.vectors, self.train) if self.kin is None else Pairs(self.vectors, self.train, self.kin)
        return loader(data, self.batch_size, shuffled=True, module=self)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Returns the held-out batches in order."""
        data = Rows(self.vectors, self.val)
        return loader(data, 4 * self.batch_size, shuffled=False, module=self)

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Turns vectors into floats, and pairs (2, b, m) into two noisy views and the first as it is."""
        x = batch.float()
        assert self.trainer is not None
        noise = self.noise if self.trainer.training else 0.0
        if x.ndim == 2:
            return Batch(x + noise * torch.randn_like(x) if noise else x, x)
        first, second = x + noise * torch.randn_like(x) if noise else x
        return Batch(first, x[0], second)


def principal_components(vectors: np.ndarray, seed: int, metric: str) -> np.ndarray:
    """Returns the vectors' scores on their first principal components, float32 (n, ≤ 64), in one pass over the cache.

    Args:
        vectors: memory-mapped (n, m).
        seed: of the sample that the components are found on.
        metric: with the cosine, of the vectors at unit length.
    """
    found = components(vectors, seed, metric)
    axes = found.axes[:, :COMPONENTS]
    scores = np.empty((len(vectors), axes.shape[1]), np.float32)
    for start, block in blocks_of(vectors):
        scores[start : start + len(block)] = (_scaled(block, metric) - found.mean) @ axes
    return scores


def variance_held(vectors: np.ndarray, seed: int, metric: str, count: int) -> float:
    """Returns the share of the vectors' variance that their first `count` principal components hold."""
    variances = components(vectors, seed, metric).variances
    return float(variances[:count].sum() / max(variances.sum(), 1e-300))


class Components(NamedTuple):
    """The principal components of a sample of vectors, the largest first.

    Attributes:
        mean: float64 (m,).
        axes: float64 (m, c).
        variances: float64 (c,), up to one factor.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray


def components(vectors: np.ndarray, seed: int, metric: str) -> Components:
    """Returns all principal components of a sample of the vectors; the arguments are those of the scores."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:SAMPLE])
    sample = _scaled(vectors[rows].astype(np.float32), metric).astype(np.float64)
    mean = sample.mean(axis=0)
    # Of the two products that have the same spectrum, the smaller one.
    if len(mean) <= len(sample):
        values, axes = np.linalg.eigh((sample - mean).T @ (sample - mean))
        order = np.argsort(-values)[: len(sample) - 1]
        return Components(mean, axes[:, order], values[order].clip(0))
    _, singular, axes = np.linalg.svd(sample - mean, full_matrices=False)
    return Components(mean, axes[: len(sample) - 1].T, np.square(singular[: len(sample) - 1]))


def _scaled(block: np.ndarray, metric: str) -> np.ndarray:
    return unit(block) if metric == "cosine" else np.asarray(block)
