"""Landmarks: of more items than can be laid out, those that are; the others are placed beside their neighbours.

A seeded sample is reduced and clustered as if it were all there is. Each other item then takes the place and the
cluster that its nearest landmarks have, as a new item does on an old map, so that memory grows with the landmarks.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from latentviz.clustering.clusterers import Clustering, by_size
from latentviz.clustering.neighbors import Cells, Neighbours
from latentviz.clustering.placement import Place, spacing
from latentviz.clustering.prediction import Membership

BATCH = 20_000  # items placed at a time
QUICK_ABOVE = 20_000  # fitted items from which on a search by cells is worth it


class Layout:
    """Items with places and clusters, which stay as they are while others are placed among them.

    Args:
        vectors: float32 (n, d), what the neighbours are found by.
        points: float32 (n, 2), where they are in the picture.
        coordinates: float32 (n, k), what was clustered; rows that are not finite have no say.
        columns: of the items: cluster, nearest_cluster, probability, outlier_score, (n,) each.
        min_samples: as HDBSCAN was told; 0 for a clusterer that knows no noise.
        quick: search by cells where there are many; else exactly.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        points: np.ndarray,
        coordinates: np.ndarray,
        columns: Mapping[str, np.ndarray],
        min_samples: int,
        *,
        quick: bool = False,
    ) -> None:
        self.vectors, self.points, self.coordinates = vectors, points, coordinates
        self.columns, self.min_samples = columns, min_samples
        self.cells = Cells(vectors) if quick and len(vectors) > QUICK_ABOVE else None

    @cached_property
    def apart(self) -> float:
        """How far the items lie from each other."""
        return spacing(self.vectors)

    @cached_property
    def membership(self) -> Membership:
        """What tells the cluster of a place."""
        finite = np.isfinite(self.coordinates).all(axis=1)
        return Membership(
            self.coordinates[finite],
            self.columns["cluster"][finite],
            self.columns["probability"][finite],
            self.min_samples,
        )

    def place(self, vectors: np.ndarray) -> tuple[Place, dict[str, np.ndarray]]:
        """Returns the neighbours of other items (m, d), and points, coordinates, and a column of each name for them."""
        place = Place(vectors, self.vectors, cells=self.cells, apart=self.apart)
        points, coordinates = place.within(self.points), place.within(self.coordinates)
        placed = np.isfinite(coordinates).all(axis=1)
        cluster = np.full(len(vectors), -1, np.int32)
        probability, density = np.zeros(len(vectors)), np.zeros(len(vectors))
        cluster[placed], probability[placed], density[placed] = self.membership.predict(coordinates[placed])
        near = np.where(cluster >= 0, cluster, place.vote(self.columns["nearest_cluster"]))
        found = {
            "cluster": cluster,
            "nearest_cluster": near.astype(np.int32),
            "probability": probability.astype(np.float32),
            "outlier_score": self.membership.outlier_scores(density, near).astype(np.float32),
        }
        known = place.same >= 0
        for name, values in found.items():  # an equal of a fitted item gets all that this one has
            values[known] = self.columns[name][place.same[known]]
        return place, {"points": points, "coordinates": coordinates, **found}


def choose(n: int, landmarks: int, seed: int) -> np.ndarray | None:
    """Returns the rows of the items that are laid out, int64, ascending; None: all are.

    Args:
        n: how many items there are.
        landmarks: how many to lay out; 0: all.
        seed: of the sample.
    """
    if not landmarks or landmarks >= n:
        return None
    # A stream of its own: with the split's, the landmarks would be the items that were held out.
    return np.sort(np.random.default_rng([seed, 1]).permutation(n)[:landmarks])


def spread(
    rows: np.ndarray,
    vectors: np.ndarray,
    graph: Neighbours,
    coordinates: np.ndarray,
    points: np.ndarray,
    found: Clustering,
    nearest: np.ndarray,
) -> dict[str, Any]:
    """Returns graph, coordinates, points, found and nearest of all n items, from those of the landmarks.

    Args:
        rows: int64 (l,), the landmarks.
        vectors: float32 (n, d), of all items.
        graph: neighbours among the landmarks.
        coordinates: float32 (l, k).
        points: float32 (l, 2).
        found: the landmarks' clusters.
        nearest: int32 (l,), noise given to the nearest cluster.
    """
    n, k = len(vectors), graph.indices.shape[1] - 1
    columns = {
        "cluster": found.labels,
        "nearest_cluster": nearest,
        "probability": found.probabilities,
        "outlier_score": found.outlier_scores,
    }
    layout = Layout(vectors[rows], points, coordinates, columns, int(found.settings.get("min_samples", 0)), quick=True)
    whole: dict[str, np.ndarray] = {
        "points": points,
        "coordinates": coordinates,
        **columns,
        "neighbours": rows[graph.indices[:, 1:]].astype(np.int32),
    }
    for name, laid in whole.items():
        whole[name] = np.empty((n, *laid.shape[1:]), laid.dtype)
        whole[name][rows] = laid
    others = np.setdiff1d(np.arange(n), rows, assume_unique=True)
    for start in range(0, len(others), BATCH):
        some = others[start : start + BATCH]
        place, values = layout.place(vectors[some])
        near = rows[place.rows[:, :k]]
        whole["neighbours"][some] = np.pad(near, ((0, 0), (0, k - near.shape[1])), mode="edge")
        for column, found_there in values.items():
            whole[column][some] = found_there
    return _numbered(rows, whole, found)


def _numbered(rows: np.ndarray, whole: Mapping[str, np.ndarray], found: Clustering) -> dict[str, Any]:
    """Returns the parts with the clusters numbered from the largest, now that all items are counted."""
    labels, old = by_size(whole["cluster"])
    new = np.full(found.k + 1, -1, np.int32)  # the last one is for −1
    new[old] = np.arange(len(old))
    scale, shift = len(labels) / len(rows), len(labels) - len(rows)
    settings = {
        key: round(value * scale) if key == "min_cluster_size" else value for key, value in found.settings.items()
    }
    return {
        "points": whole["points"],
        "coordinates": whole["coordinates"],
        "neighbours": whole["neighbours"],
        "nearest": new[whole["nearest_cluster"]],
        "found": replace(
            found,
            labels=labels,
            probabilities=whole["probability"],
            outlier_scores=whole["outlier_score"],
            persistence={int(new[number]): value for number, value in found.persistence.items()},
            exemplars={int(new[number]): rows[list(some)].tolist() for number, some in found.exemplars.items()},
            tree=[{**row, "parent": row["parent"] + shift, "child": row["child"] + shift} for row in found.tree],
            settings=settings,
            raw_tree=_renamed(found.raw_tree, rows, len(labels)),
        ),
    }


def _renamed(tree: np.ndarray | None, rows: np.ndarray, n: int) -> np.ndarray | None:
    """Returns the condensed tree with the landmarks' rows for its leaves and its clusters numbered from n."""
    if tree is None:
        return None
    renamed, count = tree.copy(), len(rows)
    leaf = tree["child"] < count
    renamed["child"][leaf] = rows[tree["child"][leaf]]
    renamed["child"][~leaf] += n - count
    renamed["parent"] += n - count
    return renamed
