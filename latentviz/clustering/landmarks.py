"""Landmarks: of more items than can be laid out, a sample that is; the others are placed next to their neighbours.

A seeded sample is reduced and clustered on its own. Every other item then gets its place and cluster from its nearest
landmarks, as a new item does on an existing map, so that memory grows with the landmarks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from latentviz.clustering.neighbors import Cells
from latentviz.clustering.network import Network
from latentviz.clustering.partition import Clustering, Settings, by_size
from latentviz.clustering.placement import Place, spacing
from latentviz.clustering.prediction import Membership
from latentviz.clustering.repeats import Repeats
from latentviz.runs.info import AssignedNoise

BATCH = 20_000  # items placed at a time
CELLS_ABOVE = 20_000  # fitted items from which on an approximate search pays


@dataclass(frozen=True)
class Layout:
    """Where n items lie and which clusters they form."""

    points: np.ndarray  # float32 (n, 2), the places on the map
    coordinates: np.ndarray  # float32 (n, k), the coordinates that were clustered
    neighbours: np.ndarray  # int32 (n, m), each item's nearest neighbours in μ, without itself
    clusters: Clustering  # the clustering
    nearest: np.ndarray  # int32 (n,), the clusters with noise assigned to the nearest one
    raw: np.ndarray | None = None  # int32 (n,), the clusters before settings changed them; None: they did not
    assigned: AssignedNoise | None = None  # what became of noise that was given to clusters
    network: Network | None = None  # that laid the items out; None: another method did

    def columns(self) -> dict[str, np.ndarray]:
        """Returns the columns of the points table that describe the clusters, (n,) each."""
        found = {
            "cluster": self.clusters.labels,
            "nearest_cluster": self.nearest,
            "probability": self.clusters.probabilities,
            "outlier_score": self.clusters.outlier_scores,
        }
        return found if self.raw is None else {**found, "cluster_raw": self.raw}


@dataclass(frozen=True)
class FrozenLayout:
    """Items with places and clusters that stay fixed while other items are placed among them."""

    vectors: np.ndarray  # float32 (n, d), for the neighbour search
    points: np.ndarray  # float32 (n, 2), the places on the map
    coordinates: np.ndarray  # float32 (n, k), what was clustered; rows that are not finite are ignored
    columns: Mapping[str, np.ndarray]  # `Layout.columns()` of the items
    min_samples: int  # HDBSCAN's; 0 for a clusterer without noise
    quick: bool = False  # search approximately among many items; else exactly
    network: Network | None = None  # that lays items out; None: they are placed between their neighbours

    @cached_property
    def cells(self) -> Cells | None:
        """For an approximate search."""
        return Cells(self.vectors) if self.quick and len(self.vectors) > CELLS_ABOVE else None

    @cached_property
    def spacing(self) -> float:
        """The typical distance between neighbours."""
        return spacing(self.vectors)

    @cached_property
    def membership(self) -> Membership:
        """Predicts the cluster of coordinates."""
        finite = np.isfinite(self.coordinates).all(axis=1)
        labels, probabilities = self.columns["cluster"][finite], self.columns["probability"][finite]
        return Membership(self.coordinates[finite], labels, probabilities, self.min_samples)

    def place(self, vectors: np.ndarray) -> tuple[Place, dict[str, np.ndarray]]:
        """Places other items (m, d); returns their neighbours, and their points, coordinates and columns."""
        place = Place(vectors, self.vectors, cells=self.cells, apart=self.spacing)
        if self.network is None:
            points, coordinates = place.within(self.points), place.within(self.coordinates)
        else:
            coordinates, points = self.network(vectors)
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
        fitted = {**self.columns, "points": self.points, "coordinates": self.coordinates}
        for name, values in [*found.items(), ("points", points), ("coordinates", coordinates)]:
            values[known] = fitted[name][place.same[known]]  # an item equal to a fitted one gets the same values
        return place, {"points": points, "coordinates": coordinates, **found}


def renumbered(layout: Layout, numbers: Mapping[int, int]) -> Layout:
    """Gives the clusters other numbers; `numbers` has one for each."""
    found, new = layout.clusters, np.full(max(numbers, default=-1) + 2, -1, np.int32)  # the last entry is for −1
    new[list(numbers)] = list(numbers.values())
    clusters = replace(
        found,
        labels=new[found.labels],
        persistence={numbers[number]: value for number, value in found.persistence.items()},
        exemplars={numbers[number]: rows for number, rows in found.exemplars.items()},
    )
    raw = None if layout.raw is None else new[layout.raw]
    return replace(layout, clusters=clusters, nearest=new[layout.nearest], raw=raw)


def choose(n: int, landmarks: int, seed: int) -> np.ndarray | None:
    """Samples `landmarks` of n rows, int64, ascending; None if all are laid out (`landmarks` is 0 or at least n)."""
    if not landmarks or landmarks >= n:
        return None
    # Another stream than the split's: with the same one, the landmarks would be the held-out items.
    return np.sort(np.random.default_rng([seed, 1]).permutation(n)[:landmarks])


def spread(rows: np.ndarray, vectors: np.ndarray, laid: Layout) -> Layout:
    """Returns the layout of all n items, vectors (n, d), from that of the landmarks, `rows` int64 (l,)."""
    n, k, settings = len(vectors), laid.neighbours.shape[1], laid.clusters.settings
    samples = int(settings.get("min_samples", 0))
    frozen = FrozenLayout(vectors[rows], laid.points, laid.coordinates, laid.columns(), samples, True, laid.network)
    whole: dict[str, np.ndarray] = {
        "points": laid.points,
        "coordinates": laid.coordinates,
        "neighbours": rows[laid.neighbours].astype(np.int32),
        **laid.columns(),
    }
    for name, values in whole.items():
        whole[name] = np.empty((n, *values.shape[1:]), values.dtype)
        whole[name][rows] = values
    others = np.setdiff1d(np.arange(n), rows, assume_unique=True)
    for start in range(0, len(others), BATCH):
        batch = others[start : start + BATCH]
        place, placed = frozen.place(vectors[batch])
        near = rows[place.rows[:, :k]]
        whole["neighbours"][batch] = np.pad(near, ((0, 0), (0, k - near.shape[1])), mode="edge")
        for name, values in placed.items():
            whole[name][batch] = values
    labels, old = by_size(whole["cluster"])
    new = np.full(laid.clusters.k + 1, -1, np.int32)  # the last entry is for −1
    new[old] = np.arange(len(old))
    clusters = replace(
        _for_all(laid.clusters, rows, n, new, settings),
        labels=labels,
        probabilities=whole["probability"],
        outlier_scores=whole["outlier_score"],
    )
    nearest = new[whole["nearest_cluster"]]
    return Layout(whole["points"], whole["coordinates"], whole["neighbours"], clusters, nearest, network=laid.network)


def _for_all(found: Clustering, rows: np.ndarray, n: int, new: np.ndarray, settings: Settings) -> Clustering:
    """Renumbers the landmarks' rows and clusters for all n items; the tree's clusters are numbered from n."""
    shift, tree = n - len(rows), None
    if found.raw_tree is not None:
        tree, leaf = found.raw_tree.copy(), found.raw_tree["child"] < len(rows)
        tree["child"][leaf] = rows[tree["child"][leaf]]
        tree["child"][~leaf] += shift
        tree["parent"] += shift
    size = {}
    if "min_cluster_size" in settings:
        size["min_cluster_size"] = round(int(settings["min_cluster_size"]) * (n / len(rows)))
    return replace(
        found,
        persistence={int(new[number]): value for number, value in found.persistence.items()},
        exemplars={int(new[number]): rows[list(chosen)].tolist() for number, chosen in found.exemplars.items()},
        tree=[{**row, "parent": row["parent"] + shift, "child": row["child"] + shift} for row in found.tree],
        settings={**settings, **size},
        raw_tree=tree,
    )


def with_repeats(laid: Layout, repeats: Repeats) -> Layout:
    """Returns the layout of all n items from that of the m distinct ones: repeats get the values of their item.

    An item's neighbours are other items, never its own repeats.
    """
    which, shift, found = repeats.which, repeats.repeated, laid.clusters
    labels, old = by_size(found.labels[which])
    new = np.full(found.k + 1, -1, np.int32)  # the last entry is for −1
    new[old] = np.arange(len(old))
    clusters = replace(
        found,
        labels=labels,
        probabilities=found.probabilities[which],
        outlier_scores=found.outlier_scores[which],
        persistence={int(new[number]): value for number, value in found.persistence.items()},
        exemplars={int(new[k]): repeats.first[list(chosen)].tolist() for k, chosen in found.exemplars.items()},
        tree=[{**row, "parent": row["parent"] + shift, "child": row["child"] + shift} for row in found.tree],
        raw_tree=None if found.raw_tree is None else _repeated(found.raw_tree, repeats),
    )
    return replace(
        laid,
        points=laid.points[which],
        coordinates=laid.coordinates[which],
        neighbours=repeats.first[laid.neighbours][which].astype(np.int32),
        clusters=clusters,
        nearest=new[laid.nearest][which],
        raw=None if laid.raw is None else new[laid.raw][which],
    )


def _repeated(tree: np.ndarray, repeats: Repeats) -> np.ndarray:
    """Writes the records of a condensed tree's rows once for each of their items."""
    m, rows = len(repeats.first), np.argsort(repeats.which, kind="stable")  # by distinct item
    starts, leaf = np.cumsum(repeats.counts) - repeats.counts, tree["child"] < m
    times = np.ones(len(tree), np.int64)
    times[leaf] = repeats.counts[tree["child"][leaf]]
    records, leaf = np.repeat(tree, times), np.repeat(leaf, times)
    within = np.arange(len(records)) - np.repeat(np.cumsum(times) - times, times)
    records["child"][leaf] = rows[starts[records["child"][leaf]] + within[leaf]]
    records["child"][~leaf] += repeats.repeated
    records["parent"] += repeats.repeated
    return records
