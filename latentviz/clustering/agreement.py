"""How much labellings agree, and what they agree on."""

from collections.abc import Sequence

import numpy as np

COMBINATIONS = 1_000  # of clusters, the most frequent ones: a matrix holds the distance of each two


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


def consensus(labellings: Sequence[np.ndarray]) -> np.ndarray:
    """Groups items (n,) that most labellings keep together: int (n,), −1 for the few whose clusters are a rare choice.

    Evidence accumulation (Fred & Jain 2005): the distance of two items is the share of labellings that part them, and
    groups are those of average linkage below one half. Items with the same clusters in all labellings count once.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    stacked = np.stack(labellings, axis=1)
    combinations, which, counts = np.unique(stacked, axis=0, return_inverse=True, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:COMBINATIONS]
    group = np.full(len(combinations), -1)
    group[kept] = 0
    if len(kept) > 1:
        tree = linkage(pdist(combinations[kept], "hamming"), "average")
        group[kept] = fcluster(tree, np.nextafter(0.5, 0), "distance")
    return group[which.ravel()]
