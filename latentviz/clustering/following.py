"""Cuts HDBSCAN's tree where the clusters agree most with earlier ones of some of the items."""

import numpy as np

from latentviz.clustering.tree import condensed, members


def nodes_like(earlier: np.ndarray, spanning_tree: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Selects the nodes of the condensed tree that agree most with earlier clusters.

    No selected node lies in another one, and the sum of their values is the largest; a node is worth its overlap with
    the earlier cluster that it overlaps most with, times their Jaccard index (scheme: FOSC, Campello et al. 2013).

    Args:
        earlier: int (n,), −1 for items in no earlier cluster.
        spanning_tree: float (m − 1, 3), edges of m ≥ n items, of which the first n are those of `earlier`.
        size: items in the smallest cluster.

    Returns:
        The labels, int (m,), −1 for noise, and the strengths of membership, float (m,).
    """
    m = len(spanning_tree) + 1
    tree = condensed(spanning_tree, size)
    parent, child = tree.parent.astype(np.int64) - m, tree.child.astype(np.int64)
    count = int(max(parent.max(), child.max() - m)) + 1
    _, cluster = np.unique(np.append(earlier, np.full(m - len(earlier), -1)), return_inverse=True)
    overlap = np.zeros((count, int(cluster.max()) + 1), np.int64)
    items = child < m
    np.add.at(overlap, (parent[items], cluster[child[items]]), 1)
    above = np.full(count, -1)
    above[child[~items] - m] = parent[~items]
    for node in range(count - 1, 0, -1):  # children have higher numbers than their parents
        overlap[above[node]] += overlap[node]
    known = overlap[:, 1:] if (earlier < 0).any() or m > len(earlier) else overlap  # without the items in no cluster
    shared, largest = known.max(axis=1), known.argmax(axis=1)
    value = shared**2 / np.maximum(known.sum(axis=1) + known[0][largest] - shared, 1)

    below = np.zeros(count)
    best = value.copy()
    for node in range(count - 1, 0, -1):
        best[node] = max(value[node], below[node])
        below[above[node]] += best[node]
    inside = np.zeros(count, bool)
    chosen = []
    for node in range(1, count):
        inside[node] = inside[above[node]] or above[node] in chosen
        if not inside[node] and value[node] > 0 and value[node] >= below[node]:
            chosen.append(node)
    return members(tree, np.array(chosen or [0], np.int64) + m, m)
