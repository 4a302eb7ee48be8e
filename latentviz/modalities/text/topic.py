"""What a text is about, in closed form: the first dimensions of its μ are a weighted mean of its tokens' vectors.

Tokens that are in the same texts have vectors that point the same way; their mean, rare tokens counting more, tells
texts by topic better than what the reconstruction makes an encoder look at, and needs no training. The dimensions are
latents like the others: the posterior's width there is learnt, they cost their KL, and the decoder reads them.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentviz.modalities.text.tokens import END

VECTORS = 256  # dimensions of the co-occurrence that the topic is taken from
# Length of the topic's μ. Where the posterior is as wide as the prior, its KL is half the square: 2 nats a text.
LENGTH = 2.0


class Topics(NamedTuple):
    """A linear map from texts to topics.

    Attributes:
        table: float32 (v, k), the tokens' vectors.
        weights: float32 (v,), how much each token counts: log(n/n_t) + 1 of the n texts, n_t with the token; 0 for
            padding, unknown tokens and ends.
        middle: float32 (k,), the mean of all texts.
    """

    table: np.ndarray
    weights: np.ndarray
    middle: np.ndarray


def topics(ids: np.ndarray, texts: np.ndarray, vectors: np.ndarray, k: int) -> Topics:
    """Returns the k directions in which the texts' mean vectors differ most.

    The mean of unit vectors weighted by inverse document frequency (as in Arora et al. 2017, whose weights by frequency
    these resemble), its principal components.

    Args:
        ids: tokens of the training texts, int64 (n, t).
        texts: how many of them have each token, (v,).
        vectors: the tokens' co-occurrence vectors, float32 (v, e).
        k: at most e; what is beyond e stays 0.
    """
    weights = (np.log((1 + len(ids)) / (1 + texts)) + 1).astype(np.float32)
    weights[: END + 1] = 0
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    means = np.concatenate([_means(unit, weights, part) for part in np.array_split(ids, max(1, len(ids) // 4096))])
    middle = means.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(means.T.astype(np.float64), bias=True))
    axes = axes[:, np.argsort(-values)[:k]]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # a sign that does not flip
    axes = np.pad(axes, ((0, 0), (0, k - axes.shape[1]))).astype(np.float32)
    return Topics(unit @ axes, weights, middle @ axes)


def _means(vectors: np.ndarray, weights: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Returns the weighted mean of each text's vectors, float32 (n, e); 0 where nothing counts."""
    share = weights[ids]
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    means = np.zeros((len(ids), vectors.shape[1]), np.float32)
    for place in range(ids.shape[1]):
        means += share[:, place, None] * vectors[ids[:, place]]
    return means


class Topic(nn.Module):
    """Token ids (b, t) → the topic's part of μ, (b, k), each of length 2; 0 for texts without a known token.

    Args:
        size: v.
        k: dimensions.
    """

    table: Tensor
    weights: Tensor
    middle: Tensor

    def __init__(self, size: int, k: int) -> None:
        super().__init__()
        self.k = k
        self.register_buffer("table", torch.zeros(size, k))
        self.register_buffer("weights", torch.zeros(size))
        self.register_buffer("middle", torch.zeros(k))

    def know(self, found: Topics) -> None:
        """Takes in what was found from the training texts."""
        for name, values in found._asdict().items():
            getattr(self, name).copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (b, k)."""
        weight = self.weights[x]
        total = weight.sum(1, keepdim=True)
        mean = (weight[..., None] * self.table[x]).sum(1) / total.clamp_min(1e-6) - self.middle
        topic: Tensor = LENGTH * F.normalize(mean, dim=-1) * (total > 0)
        return topic
