"""Training batches of vectors, and their principal components. The encoder standardises the vectors."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from latentviz.modalities.batches.pairs import Positives, RowsDataModule
from latentviz.modalities.vectors.nearest import unit
from latentviz.modalities.vectors.prepare import blocks_of
from latentviz.model.vae import Batch

COMPONENTS = 64  # principal components in which positives are searched
SAMPLE = 20_000  # vectors that the components are computed on


class VectorDataModule(RowsDataModule[Positives]):
    """Batches of vectors, float32 or float16 (n, m) in the cache; with positives, two views of each one."""

    units: Tensor | None = None  # float32 (m,), a factor of the noise of each column
    noise = 0.0  # standard deviation of the noise added to views, in the unit of the vectors

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Converts vectors to floats, and pairs (2, b, m) to two noisy views; the first clean vector is the target."""
        x = batch.float()
        assert self.trainer is not None
        noise = self.noise if self.trainer.training else 0.0
        units = 1.0 if self.units is None else self.units.to(x)
        noisy = x + noise * units * torch.randn_like(x) if noise else x
        return Batch(noisy, x) if x.ndim == 2 else Batch(noisy.flatten(0, 1), x[0])


def principal_components(vectors: np.ndarray, seed: int, metric: str, units: np.ndarray | None = None) -> np.ndarray:
    """Computes the vectors' scores on their first principal components, float32 (n, ≤ 64), in one pass over the cache.

    Args:
        vectors: memory-mapped (n, m).
        seed: of the sample that the components are computed on.
        metric: cosine scales the vectors to unit length first.
        units: float32 (m,), what each column is divided by; None: 1.
    """
    found = components(vectors, seed, metric, units)
    axes = found.axes[:, :COMPONENTS]
    scores = np.empty((len(vectors), axes.shape[1]), np.float32)
    for start, block in blocks_of(vectors):
        scores[start : start + len(block)] = (_scaled(block, metric, units) - found.mean) @ axes
    return scores


def variance_held(vectors: np.ndarray, seed: int, metric: str, count: int, units: np.ndarray | None = None) -> float:
    """The share of the variance that the first `count` principal components explain."""
    variances = components(vectors, seed, metric, units).variances
    return float(variances[:count].sum() / max(variances.sum(), 1e-300))


class Components(NamedTuple):
    """The principal components of a sample of vectors, largest first."""

    mean: np.ndarray  # float64 (m,)
    axes: np.ndarray  # float64 (m, c)
    variances: np.ndarray  # float64 (c,), up to a common factor


def components(vectors: np.ndarray, seed: int, metric: str, units: np.ndarray | None = None) -> Components:
    """Computes all principal components of a sample; arguments as in `principal_components`."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:SAMPLE])
    sample = _scaled(vectors[rows].astype(np.float32), metric, units).astype(np.float64)
    mean = sample.mean(axis=0)
    if len(mean) <= len(sample):  # the (m, m) covariance is smaller than the sample
        values, axes = np.linalg.eigh((sample - mean).T @ (sample - mean))
        order = np.argsort(-values)[: len(sample) - 1]
        return Components(mean, axes[:, order], values[order].clip(0))
    _, singular, axes = np.linalg.svd(sample - mean, full_matrices=False)
    return Components(mean, axes[: len(sample) - 1].T, np.square(singular[: len(sample) - 1]))


def _scaled(block: np.ndarray, metric: str, units: np.ndarray | None) -> np.ndarray:
    block = block if units is None else block / units
    return unit(block) if metric == "cosine" else np.asarray(block)
