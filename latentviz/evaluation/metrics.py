"""Figures of merit of a map and of its clusters; the labels, where there are any, are looked at here and nowhere else.

Figures over many items are means over a seeded sample of items, each compared with *all* the others: an unbiased
estimate of what the whole would give, where a map of a sample would be another map.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import mode
from sklearn import metrics

from latentviz.clustering.stability import nearest, partition_agreement

BLOCK_BYTES = 64 * 2**20  # of distances held at a time


class Faithfulness(NamedTuple):
    """How far the picture keeps the neighbourhoods of the vectors; all shares in [0, 1], 1 is best.

    Attributes:
        trustworthiness: 1 unless neighbours in the picture are far apart in truth (Venna & Kaski 2001).
        continuity: 1 unless true neighbours are torn apart in the picture.
        overlap: share of the k true neighbours that are among the k in the picture.
        near_vectors: int64 (m, k), the k nearest of each sampled item among the vectors, itself left out.
        near_points: int64 (m, k), the same in the picture.
    """

    trustworthiness: float
    continuity: float
    overlap: float
    near_vectors: np.ndarray
    near_points: np.ndarray


def sample(n: int, most: int, seed: int) -> np.ndarray:
    """Returns the rows of a seeded sample, int64, ascending; all n if there are no more than `most`."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).permutation(n)[:most])


def faithfulness(vectors: np.ndarray, points: np.ndarray, k: int, rows: np.ndarray) -> Faithfulness:
    """Returns how far `points` keep the k nearest neighbours that the items `rows` have among all `vectors`.

    With all rows these are the trustworthiness and continuity of Venna & Kaski 2001, equations 1 and 2.

    Args:
        vectors: (n, d).
        points: (n, 2).
        k: neighbours; fewer than n/2.
        rows: int64 (m,), the items asked.
    """
    n = len(vectors)
    near_vectors, near_points = (nearest(places[rows], places, k, rows) for places in (vectors, points))
    worst = len(rows) * k * (2 * n - 3 * k - 1) / 2
    kept = float((near_vectors[:, :, None] == near_points[:, None, :]).sum())
    return Faithfulness(
        1 - _excess_ranks(vectors, rows, near_points, k) / worst,
        1 - _excess_ranks(points, rows, near_vectors, k) / worst,
        kept / (k * len(rows)),
        near_vectors,
        near_points,
    )


def squared(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns ‖x − y‖² of all pairs, float64 (m, n)."""
    centre = vectors.mean(axis=0, dtype=np.float64)
    x, y = queries - centre, vectors - centre
    distances: np.ndarray = np.square(x).sum(1)[:, None] - 2 * x @ y.T + np.square(y).sum(1)
    return distances


def _blocks(rows: np.ndarray, n: int) -> list[np.ndarray]:
    height = max(1, BLOCK_BYTES // (8 * n))
    return [rows[start : start + height] for start in range(0, len(rows), height)]


def _excess_ranks(places: np.ndarray, rows: np.ndarray, chosen: np.ndarray, k: int) -> float:
    """Returns Σ max(0, rank − k) of the items `chosen` (m, k), ranked from 1 by how far they are from the items `rows`.

    One matrix product gives ‖y‖² − 2·x·y of a block, which orders like the distance; only what lies nearer than the
    farthest chosen one is sorted.

    Args:
        places: (n, d).
        rows: int64 (m,).
        chosen: int64 (m, k).
        k: neighbours.
    """
    centred = places - places.mean(axis=0, dtype=np.float64)
    columns = np.vstack([-2 * centred.T, np.square(centred).sum(1)])  # (d + 1, n)
    total = 0.0
    for block in _blocks(np.arange(len(rows)), len(places)):
        d = np.column_stack([centred[rows[block]], np.ones(len(block))]) @ columns  # (m', n)
        d[np.arange(len(block)), rows[block]] = np.inf
        for distances, limits in zip(d, np.take_along_axis(d, chosen[block], axis=1), strict=True):
            nearer = np.sort(distances[distances < limits.max()])
            total += float(np.maximum(np.searchsorted(nearer, limits) + 1 - k, 0).sum())
    return total


def knn_accuracy(labels: np.ndarray, known: np.ndarray, rows: np.ndarray, near: np.ndarray) -> float | None:
    """Returns the share of the items `rows` whose label the vote of their neighbours gives; None without any.

    Args:
        labels: int (n,).
        known: bool (n,), who has a label; only they vote.
        rows: int64 (m,), items with a label.
        near: int64 (m, k), their neighbours.
    """
    if not len(rows):
        return None
    votes = np.where(known[near], labels[near].astype(float), np.nan)
    winners = mode(votes, axis=1, nan_policy="omit").mode
    return float((np.asarray(winners) == labels[rows]).mean())


def silhouette(vectors: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float | None:
    """Returns the mean silhouette in [−1, 1] (Rousseeuw 1987) of the clustered `rows`; None without 2 clusters."""
    rows = rows[labels[rows] >= 0]
    k = len(np.unique(labels[rows]))
    if not 2 <= k < len(rows):
        return None
    return float(metrics.silhouette_score(vectors[rows], labels[rows]))


def dbcv(coordinates: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float | None:
    """Returns the density-based validity in [−1, 1] of the clusters among `rows` (Moulavi et al. 2014); None without 2.

    Noise counts against it: each cluster weighs by its share of all the items.
    """
    from hdbscan.validity import validity_index

    names, sizes = np.unique(labels[rows], return_counts=True)
    sampled = {int(name) for name, size in zip(names, sizes, strict=True) if name >= 0 and size > coordinates.shape[1]}
    if len(sampled) < 2:
        return None
    seen = np.where(np.isin(labels[rows], list(sampled)), labels[rows], -1)
    _, numbers = np.unique(seen, return_inverse=True)
    numbers = numbers - int(-1 in seen)
    with np.errstate(all="ignore"):
        score = float(validity_index(np.asarray(coordinates[rows], np.float64), numbers))
    return score if np.isfinite(score) else None


def contingency(labels: Sequence[Any] | np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Returns how many items have each label (rows) and each cluster (columns), both sorted, int64."""
    table: np.ndarray = metrics.cluster.contingency_matrix(labels, clusters)
    return table


def accuracy(table: np.ndarray) -> float:
    """Returns the share of items on the best one-to-one match of labels (rows) and clusters (columns) (Kuhn 1955).

    A cluster too many, or too few, costs all its items.
    """
    return float(table[linear_sum_assignment(-table)].sum() / table.sum())


def agreement(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Returns ACC, NMI, ARI, AMI and homogeneity of `clusters` (n,) against `labels` (n,); −1 is a cluster like others.

    NMI is normalised by the arithmetic mean of the entropies, as scikit-learn does it.
    """
    return {
        "acc": accuracy(contingency(labels, clusters)),
        "nmi": float(metrics.normalized_mutual_info_score(labels, clusters)),
        "ari": partition_agreement(labels, clusters),
        "ami": float(metrics.adjusted_mutual_info_score(labels, clusters)),
        "homogeneity": float(metrics.homogeneity_score(labels, clusters)),
    }


def agreements(labels: np.ndarray, cluster: np.ndarray, nearest_cluster: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns the three ways to score clusters with noise against labels, each with its share of the items.

    Args:
        labels: (n,).
        cluster: int (n,), −1 for noise.
        nearest_cluster: int (n,), noise given to the nearest cluster.
    """
    clustered = cluster >= 0
    scores = {
        "nearest_cluster": {"share": 1.0, **agreement(labels, nearest_cluster)},
        "cluster_with_noise_as_one": {"share": 1.0, **agreement(labels, cluster)},
    }
    if clustered.any():
        scores["clustered_only"] = {
            "share": float(clustered.mean()),
            **agreement(labels[clustered], cluster[clustered]),
        }
    return scores


def confusion(labels: np.ndarray, clusters: np.ndarray, most: int) -> dict[str, Any]:
    """Returns the table of labels against clusters, its diagonal the best one-to-one match.

    Args:
        labels: str (n,).
        clusters: int (n,), −1 for noise.
        most: labels and clusters shown at most, the largest ones; `left_out` counts the items of the others.
    """
    table = contingency(labels, clusters)
    names, numbers = np.unique(labels), np.unique(clusters)
    kept_rows = np.sort(np.argsort(-table.sum(1), kind="stable")[:most])
    kept_columns = np.sort(np.argsort(-table.sum(0), kind="stable")[:most])
    shown = table[np.ix_(kept_rows, kept_columns)]
    matched_rows, matched_columns = linear_sum_assignment(-shown)
    match = dict(zip(matched_rows.tolist(), matched_columns.tolist(), strict=True))
    columns = [match[row] for row in range(len(kept_rows)) if row in match]
    columns += [column for column in range(len(kept_columns)) if column not in columns]
    return {
        "labels": [str(names[row]) for row in kept_rows],
        "clusters": [int(numbers[kept_columns[column]]) for column in columns],
        "counts": shown[:, columns].tolist(),
        "left_out": int(table.sum() - shown.sum()),
    }
