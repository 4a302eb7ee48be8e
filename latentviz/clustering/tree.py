"""HDBSCAN's condensed tree: which clusters split into which as the density rises."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def condensed_tree(raw: np.ndarray, labels: np.ndarray, points: np.ndarray) -> list[dict[str, Any]]:
    """Returns the clusters of HDBSCAN's condensed tree, root first, in the form of `MapData.tree`.

    Args:
        raw: record array with the fields parent, child, lambda_val, child_size, as in
            `hdbscan.HDBSCAN(...).condensed_tree_._raw_tree`; children below n are items.
        labels: int (n,), the clusters selected from the tree, −1 for noise.
        points: float (n, 2), the items on the map.
    """
    n = len(labels)
    root = int(raw["parent"].min())
    count = int(max(raw["parent"].max(), raw["child"].max())) - root + 1
    parent, birth = np.full(count, -1), np.zeros(count)
    inner = raw[raw["child"] >= n]
    parent[inner["child"] - root] = inner["parent"] - root
    birth[inner["child"] - root] = inner["lambda_val"]
    death = np.zeros(count)
    np.maximum.at(death, raw["parent"] - root, np.where(np.isfinite(raw["lambda_val"]), raw["lambda_val"], 0.0))
    members: list[list[int]] = [[] for _ in range(count)]
    for row in raw[raw["child"] < n]:
        members[int(row["parent"]) - root].append(int(row["child"]))
    for node in range(count - 1, 0, -1):  # children have higher numbers than their parents
        members[parent[node]].extend(members[node])
    selected = _selected(members, labels)
    share = len(members[0]) / n  # of the items; those that are not in the tree follow their neighbours
    nodes = []
    for node in range(count):
        rows = np.array([row for row in members[node] if np.isfinite(points[row]).all()], int)
        if len(rows):
            nodes.append(
                {
                    "node": node,
                    "parent": int(parent[node]) if node else None,
                    "size": round(len(members[node]) / share),
                    "birth": float(birth[node]),
                    "death": float(death[node]),
                    "cluster": selected.get(node),
                    "row": int(rows[central(points[rows])]),
                    "rows": rows,
                }
            )
    return nodes


def _selected(members: Sequence[Sequence[int]], labels: np.ndarray) -> dict[int, int]:
    """Maps each selected node to its cluster: the smallest of the nodes with most of its items and fewest of others.

    They need not be all of them and no others, for an item that repeats another one has the label of its neighbours.
    """
    sizes = np.bincount(labels[list(members[0])] + 1, minlength=2)  # in the root: of all items, or of the landmarks
    best: dict[int, tuple[int, int]] = {}  # cluster → its items less those of others, and the node
    for node, rows in enumerate(members):  # from the root down, so that the smallest node is the last
        counts = np.bincount(labels[list(rows)] + 1, minlength=2)
        cluster = int(counts[1:].argmax())
        own = 2 * int(counts[cluster + 1]) - int(counts[1:].sum())
        if own > sizes[cluster + 1] / 2 and (own, node) > best.get(cluster, (0, 0)):
            best[cluster] = own, node
    return {node: cluster for cluster, (_, node) in best.items()}


def central(points: np.ndarray) -> int:
    """Returns the index of the point (m, 2) nearest to the coordinate-wise median."""
    return int(np.linalg.norm(points - np.median(points, axis=0), axis=1).argmin())


def condensed(spanning_tree: np.ndarray, size: int) -> Any:
    """Returns fast_hdbscan's condensed tree of m items; its nodes are numbered from m, the root.

    Args:
        spanning_tree: float (m − 1, 3), two items and their mutual reachability distance.
        size: items in the smallest cluster.
    """
    from fast_hdbscan.cluster_trees import condense_tree, mst_to_linkage_tree

    edges = spanning_tree[np.lexsort((spanning_tree[:, 1], spanning_tree[:, 0], spanning_tree[:, 2]))]
    return condense_tree(mst_to_linkage_tree(edges), min_cluster_size=size)


def members(tree: Any, nodes: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the clusters of the m items, int (m,), −1 for noise, and their strengths of membership, float (m,).

    Args:
        tree: as `condensed` returns it.
        nodes: int64, those that are the clusters.
        m: how many items there are.
    """
    from fast_hdbscan.cluster_trees import get_cluster_label_vector, get_point_membership_strength_vector

    labels = get_cluster_label_vector(tree, nodes, 0.0, n_samples=m)
    return labels, get_point_membership_strength_vector(tree, nodes, labels)
