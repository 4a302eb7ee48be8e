"""Draws z ~ q(z|x) and the items they fall among: how firmly the posterior holds items where they are.

Only a model with a posterior can be asked this: what it is not sure of, a second look at the same data would shift.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import mode
from sklearn.metrics import adjusted_rand_score

from latentviz.clustering.neighbors import nearest as exact


class Draws(NamedTuple):
    """What lies around posterior draws of some items.

    Attributes:
        rows: int64 (m,), the items that were drawn for.
        at_mu: int64 (m, k), the items whose μ are nearest to each one's own μ, itself left out.
        near: int64 (draws, m, k), the items whose μ are nearest to each draw.
    """

    rows: np.ndarray
    at_mu: np.ndarray
    near: np.ndarray


def posterior_draws(
    mu: np.ndarray,
    logvar: np.ndarray,
    rows: np.ndarray,
    *,
    k: int,
    draws: int,
    seed: int,
    to_vectors: Callable[[np.ndarray], np.ndarray],
) -> Draws:
    """Returns the neighbours of draws z ~ q(z|x) of the items `rows`.

    Args:
        mu: (n, d).
        logvar: (n, d).
        rows: int64 (m,).
        k: neighbours of each draw.
        draws: how often z is drawn.
        seed: of the draws.
        to_vectors: what turns latents (m, d) into the vectors whose distances count.
    """
    random = np.random.default_rng(seed)
    sigma = np.exp(0.5 * logvar[rows].astype(np.float64))
    z = mu[rows] + sigma * random.standard_normal((draws, *sigma.shape))
    vectors = to_vectors(mu)
    at_mu, *near = [nearest(to_vectors(queries), vectors, k, rows) for queries in (mu[rows], *z)]
    return Draws(rows, at_mu, np.stack(near))


def stability(drawn: Draws, labels: np.ndarray) -> dict[str, float]:
    """Returns how firmly the posterior holds items in their clusters: ARI of the labels with those of posterior draws.

    For each draw the nearest μ of other items vote on the label. `at_mu` is the same for z = μ: what of the
    disagreement is the vote's own.

    Args:
        drawn: the draws.
        labels: int (n,).
    """
    scores = [partition_agreement(labels[drawn.rows], vote(labels, near)) for near in drawn.near]
    return {
        "at_mu": partition_agreement(labels[drawn.rows], vote(labels, drawn.at_mu)),
        "mean": float(np.mean(scores)),
        "least": float(np.min(scores)),
    }


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int, own: np.ndarray) -> np.ndarray:
    """Returns the k rows of `vectors` (n, d) nearest to each query (m, d), row `own[i]` left out, int64 (m, k)."""
    found = exact(queries, vectors, k + 1).indices.astype(np.int64)
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False  # it was not among them: the last is one too many
    near: np.ndarray = found[others].reshape(len(queries), k)
    return near


def vote(labels: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Returns the commonest label among each item's neighbours `near` (m, k), shape (m,); of equals, the smallest."""
    winners: np.ndarray = mode(labels[near], axis=1).mode
    return winners


def partition_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the adjusted Rand index of two labellings (n,) in [−1, 1] (Hubert & Arabie 1985)."""
    return float(adjusted_rand_score(first, second))
