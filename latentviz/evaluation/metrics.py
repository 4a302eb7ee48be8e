"""Metrics of a map and of its clusters. Labels, where there are any, are used here and nowhere else.

On large data, means run over a seeded sample of items, each compared with *all* the others: an unbiased estimate of the
mean over all, which a map of the sample would not give.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, issparse
from scipy.stats import mode
from sklearn import metrics
from sklearn.feature_extraction.text import TfidfTransformer

from latentviz.clustering.agreement import partition_agreement
from latentviz.clustering.neighbors import nearest as among
from latentviz.evaluation.results import Agreement, Confusion, Faithfulness

BLOCK_BYTES = 64 * 2**20  # of distances held at a time


@dataclass(frozen=True)
class Neighbourhoods:
    """The k nearest items of the items `rows`, int64 (m,), in mu and on the map, each int64 (m, k)."""

    rows: np.ndarray
    in_vectors: np.ndarray
    in_points: np.ndarray

    @property
    def k(self) -> int:
        """Neighbours per item."""
        return int(self.in_vectors.shape[1])

    @property
    def overlap(self) -> float:
        """The share of an item's k nearest in the one space that are among its k nearest in the other, in [0, 1]."""
        return float((self.in_vectors[:, :, None] == self.in_points[:, None, :]).sum()) / self.in_vectors.size


def sample(n: int, most: int, seed: int) -> np.ndarray:
    """Draws `most` of n rows, int64, ascending; all n if there are no more."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).permutation(n)[:most])


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int, own: np.ndarray) -> np.ndarray:
    """Finds the k rows of `vectors` (n, d) nearest to each query (m, d), row `own[i]` excluded: int64 (m, k)."""
    found = among(queries, vectors, k + 1).indices.astype(np.int64)
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False  # its own row is not among the k + 1: drop the last
    near: np.ndarray = found[others].reshape(len(queries), k)
    return near


def neighbourhoods(vectors: np.ndarray, points: np.ndarray, k: int, rows: np.ndarray) -> Neighbourhoods:
    """Finds the k nearest items of `rows` among all vectors (n, d) and among all points (n, 2); k < n/2."""
    return Neighbourhoods(rows, *(nearest(places[rows], places, k, rows) for places in (vectors, points)))


def faithfulness(vectors: np.ndarray, points: np.ndarray, near: Neighbourhoods) -> Faithfulness:
    """Measures how well points (n, 2) preserve the neighbourhoods of vectors (n, d)."""
    n, m, k = len(vectors), len(near.rows), near.k
    worst = m * k * (2 * n - 3 * k - 1) / 2
    return Faithfulness(
        k=k,
        items=m,
        dimensions=vectors.shape[1],
        trustworthiness=1 - _excess_ranks(vectors, near.rows, near.in_points) / worst,
        continuity=1 - _excess_ranks(points, near.rows, near.in_vectors) / worst,
        overlap=near.overlap,
        overlap_by_chance=k / (n - 1),
    )


def _excess_ranks(places: np.ndarray, rows: np.ndarray, chosen: np.ndarray) -> float:
    """Sums max(0, rank − k) over the `chosen` items (m, k), ranked from 1 by their distance from the items `rows`.

    ‖y‖² − 2·x·y orders like the distance and costs one matrix product per block; only items nearer than the
    farthest chosen one are sorted.
    """
    k = chosen.shape[1]
    centred = places - places.mean(axis=0, dtype=np.float64)
    columns = np.vstack([-2 * centred.T, np.square(centred).sum(1)])  # (d + 1, n)
    height = max(1, BLOCK_BYTES // (8 * len(places)))
    total = 0.0
    for start in range(0, len(rows), height):
        block = rows[start : start + height]
        d = np.column_stack([centred[block], np.ones(len(block))]) @ columns  # (m', n)
        d[np.arange(len(block)), block] = np.inf
        limits = np.take_along_axis(d, chosen[start : start + height], axis=1)
        for distances, limit in zip(d, limits, strict=True):
            nearer = np.sort(distances[distances < limit.max()])
            total += float(np.maximum(np.searchsorted(nearer, limit) + 1 - k, 0).sum())
    return total


def knn_accuracy(labels: np.ndarray, known: np.ndarray, rows: np.ndarray, near: np.ndarray) -> float | None:
    """Computes the share of items `rows` (m,) with the label of the majority of their neighbours `near` (m, k).

    Only items that are `known` (n,) to have one of the labels (n,) vote; None without items.
    """
    if not len(rows):
        return None
    return float((majority(labels, known, near) == labels[rows]).mean())


def majority(labels: np.ndarray, known: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Returns the most frequent label among the `known` (n,) of the neighbours `near` (m, k), the smallest of a tie."""
    votes = np.where(known[near], labels[near].astype(float), np.nan)
    return np.asarray(mode(votes, axis=1, nan_policy="omit").mode)


def balanced_knn(labels: np.ndarray, features: np.ndarray | csr_matrix, k: int) -> float:
    """Computes the accuracy of the vote of the k nearest others, per label and then averaged over the labels.

    Args:
        labels: (n,).
        features: (n, d), compared by their Euclidean distance.
        k: less than n.
    """
    if isinstance(features, np.ndarray):
        features = features - features.mean(axis=0)
    product = features @ features.T
    gram = np.asarray(product.todense() if issparse(product) else product, np.float64)
    distances = gram.diagonal() - 2 * gram  # ‖y‖² − 2·x·y orders a row like the distance
    np.fill_diagonal(distances, np.inf)
    near = np.argpartition(distances, k - 1, axis=1)[:, :k]
    codes = np.unique(labels, return_inverse=True)[1]
    return float(metrics.balanced_accuracy_score(codes, majority(codes, np.ones(len(codes), bool), near)))


def tfidf(counts: csr_matrix) -> csr_matrix:
    """Weighs the counts of terms (n, v) by TF-IDF; rows of unit length."""
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts)


def silhouette(vectors: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float | None:
    """Computes the mean silhouette of the clustered `rows` (Rousseeuw 1987); None without 2 clusters."""
    rows = rows[labels[rows] >= 0]
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return None
    return float(metrics.silhouette_score(vectors[rows], labels[rows]))


def dbcv(coordinates: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float | None:
    """Computes the density-based validity of the clusters among `rows` (Moulavi et al. 2014); None without 2.

    Noise lowers it: each cluster is weighted by its share of all the items.
    """
    from hdbscan.validity import validity_index

    names, sizes = np.unique(labels[rows], return_counts=True)
    kept = names[(names >= 0) & (sizes > coordinates.shape[1])]
    if len(kept) < 2:
        return None
    seen = np.where(np.isin(labels[rows], kept), labels[rows], -1)
    numbers = np.unique(seen, return_inverse=True)[1] - int(-1 in seen)
    with np.errstate(all="ignore"):
        score = float(validity_index(np.asarray(coordinates[rows], np.float64), numbers))
    return score if np.isfinite(score) else None


def accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Computes the share of items on the best one-to-one match of labels and clusters (Kuhn 1955).

    A surplus label or cluster costs all its items.
    """
    table = metrics.cluster.contingency_matrix(labels, clusters)
    return float(table[linear_sum_assignment(-table)].sum() / table.sum())


def balanced_match(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Computes the share of each label's items in the cluster that matches it, one to one, averaged over the labels."""
    table = metrics.cluster.contingency_matrix(labels, clusters)
    shares = table / table.sum(axis=1, keepdims=True)
    return float(shares[linear_sum_assignment(-shares)].sum() / len(shares))


def agreement(labels: np.ndarray, clusters: np.ndarray, share: float = 1.0) -> Agreement:
    """Scores clusters (n,) against labels (n,); −1 counts as a cluster. NMI uses the arithmetic mean of entropies."""
    return Agreement(
        share=share,
        acc=accuracy(labels, clusters),
        nmi=float(metrics.normalized_mutual_info_score(labels, clusters)),
        ari=partition_agreement(labels, clusters),
        ami=float(metrics.adjusted_mutual_info_score(labels, clusters)),
        homogeneity=float(metrics.homogeneity_score(labels, clusters)),
    )


def agreements(labels: np.ndarray, cluster: np.ndarray, nearest_cluster: np.ndarray) -> dict[str, Agreement]:
    """Scores clusters (n,), −1 for noise, against labels (n,) in three ways; `nearest_cluster` has no noise."""
    clustered = cluster >= 0
    scores = {"nearest_cluster": agreement(labels, nearest_cluster)}
    scores["cluster_with_noise_as_one"] = agreement(labels, cluster)
    if clustered.any():
        scores["clustered_only"] = agreement(labels[clustered], cluster[clustered], float(clustered.mean()))
    return scores


def confusion(labels: Sequence[str] | np.ndarray, clusters: np.ndarray, most: int) -> Confusion:
    """Counts labels (n,) against clusters (n,), −1 for noise; shows the `most` largest of each."""
    table = metrics.cluster.contingency_matrix(labels, clusters)
    rows, columns = (np.sort(np.argsort(-table.sum(axis), kind="stable")[:most]) for axis in (1, 0))
    shown = table[np.ix_(rows, columns)]
    match = dict(zip(*(side.tolist() for side in linear_sum_assignment(-shown)), strict=True))
    order = [match[row] for row in range(len(rows)) if row in match]
    order += [column for column in range(len(columns)) if column not in order]
    return Confusion(
        labels=[str(name) for name in np.unique(labels)[rows]],
        clusters=np.unique(clusters)[columns][order].tolist(),
        counts=shown[:, order].tolist(),
        left_out=int(table.sum() - shown.sum()),
    )
