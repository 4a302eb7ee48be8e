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
    """Maps each selected node to its cluster: the smallest node that holds all items of one cluster and no other."""
    inside = labels[list(members[0])]  # the root's items: all of them, or the landmarks
    sizes = {int(c): int(np.count_nonzero(inside == c)) for c in np.unique(inside) if c >= 0}
    node_of: dict[int, int] = {}
    for node in range(len(members)):  # from the root down, so that the smallest node is the last
        found, counts = np.unique(labels[members[node]], return_counts=True)
        clusters = [(int(c), int(t)) for c, t in zip(found, counts, strict=True) if c >= 0]
        if len(clusters) == 1 and clusters[0][1] == sizes[clusters[0][0]]:
            node_of[clusters[0][0]] = node
    return {node: cluster for cluster, node in node_of.items()}


def central(points: np.ndarray) -> int:
    """Returns the index of the point (m, 2) nearest to the coordinate-wise median."""
    return int(np.linalg.norm(points - np.median(points, axis=0), axis=1).argmin())
