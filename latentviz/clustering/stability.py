"""Stability of clusters under the posterior: do draws z ~ q(z|x) of an item fall among items of its cluster?"""

from typing import NamedTuple

import numpy as np

from latentviz.clustering.neighbors import nearest as exact
from latentviz.clustering.reducers import directions


class Draws(NamedTuple):
    """Neighbours of posterior draws of some items."""

    rows: np.ndarray  # int64 (m,), the items
    at_mu: np.ndarray  # int64 (m, k), for each item those with the nearest μ, itself excluded
    near: np.ndarray  # int64 (draws, m, k), for each draw the items with the nearest μ, the drawn item excluded


class Stability(NamedTuple):
    """Adjusted Rand indices of the clusters with the clusters that the neighbours of draws vote for."""

    at_mu: float  # with z = μ, which measures the disagreement that the vote alone causes
    mean: float  # over the draws
    least: float  # over the draws


def posterior_draws(
    mu: np.ndarray,
    logvar: np.ndarray,
    rows: np.ndarray,
    *,
    k: int,
    draws: int,
    seed: int,
    metric: str,
) -> Draws:
    """Draws z ~ q(z|x) for some items and finds the neighbours of each draw.

    Args:
        mu: (n, d).
        logvar: (n, d).
        rows: int64 (m,), the items.
        k: neighbours of each draw.
        draws: of each item.
        seed: of the draws.
        metric: "euclidean" or "cosine".
    """
    random = np.random.default_rng(seed)
    sigma = np.exp(0.5 * logvar[rows].astype(np.float64))
    z = mu[rows] + sigma * random.standard_normal((draws, *sigma.shape))
    vectors = directions(mu, metric)
    at_mu, *near = [nearest(directions(queries, metric), vectors, k, rows) for queries in (mu[rows], *z)]
    return Draws(rows, at_mu, np.stack(near))


def stability(drawn: Draws, labels: np.ndarray) -> Stability:
    """Compares the labels int (n,) with those that the neighbours of each draw vote for."""
    own = labels[drawn.rows]
    scores = [partition_agreement(own, vote(labels, near)) for near in drawn.near]
    at_mu = partition_agreement(own, vote(labels, drawn.at_mu))
    return Stability(at_mu, float(np.mean(scores)), float(np.min(scores)))


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int, own: np.ndarray) -> np.ndarray:
    """Finds the k rows of `vectors` (n, d) nearest to each query (m, d), row `own[i]` excluded: int64 (m, k)."""
    found = exact(queries, vectors, k + 1).indices.astype(np.int64)
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False  # its own row is not among the k + 1: drop the last
    near: np.ndarray = found[others].reshape(len(queries), k)
    return near


def vote(labels: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Returns the most frequent label among each item's neighbours `near` (m, k), the smallest of a tie: (m,)."""
    given = labels[near]
    votes = (given[:, :, None] == given[:, None, :]).sum(axis=2)
    winners: np.ndarray = np.where(votes == votes.max(axis=1, keepdims=True), given, given.max(initial=0)).min(axis=1)
    return winners


def partition_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the adjusted Rand index of two labellings (n,) in [−1, 1] (Hubert & Arabie 1985).

    scikit-learn checks its arguments ten times as long as this takes, and the choice of a cut asks hundreds of times.
    """
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    shared = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns)).reshape(len(rows), -1)
    n, both, one, other = (int(np.square(c).sum()) for c in (len(row), shared, shared.sum(axis=1), shared.sum(axis=0)))
    together, first_only, second_only = both - len(row), one - both, other - both  # pairs, counted twice
    apart = n - one - other + both
    if first_only == second_only == 0:
        return 1.0
    chance = (together + first_only) * (first_only + apart) + (together + second_only) * (second_only + apart)
    return 2.0 * (together * apart - first_only * second_only) / chance
