"""A clustering of n items: what every clusterer returns, numbered by size, with typical items of each cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentviz.clustering.neighbors import Neighbours
from latentviz.clustering.prediction import Membership
from latentviz.clustering.tree import central

EXEMPLARS = 12  # rows kept for each cluster

Settings = Mapping[str, str | int]


@dataclass(frozen=True)
class Clustering:
    """The clusters of n items, numbered 0, 1, … from the largest, unless an earlier clustering gave the numbers."""

    labels: np.ndarray  # int32 (n,), −1 for noise
    probabilities: np.ndarray  # float32 (n,) in [0, 1], strength of membership; 0 for noise
    outlier_scores: np.ndarray  # float32 (n,) in [0, 1], higher is odder (GLOSH, Campello et al. 2015).
    # of each cluster, in [0, 1]: how long it lives in the tree; empty without a tree
    persistence: Mapping[int, float] = field(default_factory=dict)
    # rows of each cluster's typical items, most typical first
    exemplars: Mapping[int, Sequence[int]] = field(default_factory=dict)
    # the condensed tree's clusters: parent, child, lambda_val, child_size; empty without a tree
    tree: Sequence[Mapping[str, float]] = ()
    settings: Settings = field(default_factory=dict)  # the effective settings, nothing "auto"
    # HDBSCAN's condensed tree with one record per item too; None for methods without one
    raw_tree: np.ndarray | None = None

    @property
    def numbers(self) -> list[int]:
        """The numbers of the clusters, ascending."""
        found: list[int] = np.unique(self.labels[self.labels >= 0]).tolist()
        return found

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.numbers)

    @property
    def noise_share(self) -> float:
        """The share of items in no cluster."""
        return float((self.labels < 0).mean())


def by_size(labels: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Renumbers labels from the largest cluster; also returns the old number of each new one.

    `counts`, int64 (n,), is how many items each label stands for; None: one.

    >>> by_size(np.array([5, 2, 2, -1]))
    (array([ 1,  0,  0, -1], dtype=int32), array([2, 5]))
    """
    old, group, sizes = np.unique(labels[labels >= 0], return_inverse=True, return_counts=True)
    if counts is not None:
        sizes = np.bincount(group, counts[labels >= 0], len(old))
    order = old[np.lexsort((old, -sizes))]
    renumbered = np.full(len(labels), -1, np.int32)
    for new, number in enumerate(order):
        renumbered[labels == number] = new
    return renumbered, order


def typical(labels: np.ndarray, probabilities: np.ndarray, coordinates: np.ndarray) -> dict[int, list[int]]:
    """Picks up to 12 rows of each cluster: the most central first, then members of high probability, spread out."""
    chosen: dict[int, list[int]] = {}
    for cluster in range(int(labels.max(initial=-1)) + 1):
        rows = np.flatnonzero(labels == cluster)
        centre = rows[central(coordinates[rows].astype(np.float64))]
        sure = rows[probabilities[rows] >= np.quantile(probabilities[rows], 0.5)]
        picks = [int(centre)]
        distance = np.linalg.norm(coordinates[sure] - coordinates[centre], axis=1)
        while len(picks) < min(EXEMPLARS, len(sure)) and distance.max() > 0:
            pick = int(sure[distance.argmax()])
            picks.append(pick)
            distance = np.minimum(distance, np.linalg.norm(coordinates[sure] - coordinates[pick], axis=1))
        chosen[cluster] = picks
    return chosen


def partition(
    labels: np.ndarray,
    coordinates: np.ndarray,
    graph: Neighbours,
    settings: Settings,
    counts: np.ndarray | None = None,
    strengths: np.ndarray | None = None,
) -> Clustering:
    """Returns the clustering of labels alone.

    Args:
        labels: int (n,), −1 for noise.
        coordinates: float32 (n, k).
        graph: the neighbours of each item, itself first.
        settings: that took effect.
        counts: int64 (n,), how many items each row stands for; None: one.
        strengths: float (n,) in [0, 1], of membership; None: the share of an item's neighbours that are in its cluster.
    """
    found, _old = by_size(labels, counts)
    if strengths is None:
        strengths = (found[graph.indices] == found[:, None]).mean(axis=1)
    probabilities = np.where(found < 0, 0, strengths.clip(0, 1)).astype(np.float32)
    member = Membership(coordinates, found, probabilities, 0)
    return Clustering(
        found,
        probabilities,
        member.outlier_scores(member.own, found).astype(np.float32),
        exemplars=typical(found, probabilities, coordinates),
        settings=settings,
    )
