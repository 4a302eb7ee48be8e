"""The topic of a text in closed form: the first dimensions of its μ are a weighted mean of its tokens' vectors.

Tokens that occur in the same texts have similar vectors. Their mean, with more weight on rare tokens, separates topics
better than the μ that reconstruction learns. These dimensions are otherwise ordinary latents: their posterior width is
learnt, they have a KL, and the decoder reads them.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentviz.modalities.text.tokens import END

VECTORS = 256  # dimensions of the co-occurrence vectors that the topic is computed from
# Length of the topic's μ. With a posterior as wide as the prior its KL is half the square: 2 nats per text.
LENGTH = 2.0


class TopicMap(NamedTuple):
    """A linear map from texts to topics.

    Attributes:
        table: float32 (v, k), the tokens' vectors.
        weights: float32 (v,), the tokens' inverse document frequency log(n/n_t) + 1; 0 for padding, unknown and end.
        middle: float32 (k,), the mean of all texts.
    """

    table: np.ndarray
    weights: np.ndarray
    middle: np.ndarray


def topic_map(ids: np.ndarray, texts: np.ndarray, vectors: np.ndarray, k: int) -> TopicMap:
    """Return the first k principal components of the texts' mean vectors.

    The mean is over unit vectors weighted by inverse document frequency (compare Arora et al. 2017, equation 3).

    Args:
        ids: tokens of the training texts, int64 (n, t).
        texts: number of texts with each token, (v,).
        vectors: the tokens' co-occurrence vectors, float32 (v, e).
        k: dimensions; those beyond e stay 0.
    """
    weights = (np.log((1 + len(ids)) / (1 + texts)) + 1).astype(np.float32)
    weights[: END + 1] = 0
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    means = np.concatenate([_means(unit, weights, part) for part in np.array_split(ids, max(1, len(ids) // 4096))])
    middle = means.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(means.T.astype(np.float64), bias=True))
    axes = axes[:, np.argsort(-values)[:k]]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # eigenvectors have no sign: fix one
    axes = np.pad(axes, ((0, 0), (0, k - axes.shape[1]))).astype(np.float32)
    return TopicMap(unit @ axes, weights, middle @ axes)


def _means(vectors: np.ndarray, weights: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the weighted mean of each text's vectors, float32 (n, e); 0 if no token has weight."""
    share = weights[ids]
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    means = np.zeros((len(ids), vectors.shape[1]), np.float32)
    for place in range(ids.shape[1]):
        means += share[:, place, None] * vectors[ids[:, place]]
    return means


class Topic(nn.Module):
    """Token ids (b, t) → the topic dimensions of μ, (b, k), of length 2; 0 for texts without a known token.

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

    def initialise(self, found: TopicMap) -> None:
        """Copy the map found from the training texts."""
        for buffer, values in zip((self.table, self.weights, self.middle), found, strict=True):
            buffer.copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, k)."""
        weight = self.weights[x]  # (b, t)
        total = weight.sum(1, keepdim=True)
        mean = (weight[..., None] * self.table[x]).sum(1) / total.clamp_min(1e-6) - self.middle  # (b, k)
        topic: Tensor = LENGTH * F.normalize(mean, dim=-1) * (total > 0)
        return topic
