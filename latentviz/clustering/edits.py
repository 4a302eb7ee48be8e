"""Merges, splits and names the clusters that were found, as the settings `cluster.merge`, `split` and `names` say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from latentviz.clustering.cut import LAYER_SAMPLES
from latentviz.clustering.exact import SHARE, cuts_of_tree, sizes_from
from latentviz.clustering.landmarks import Layout
from latentviz.clustering.partition import typical
from latentviz.clustering.repeats import Repeats, spanning_tree
from latentviz.config import ClusterSection
from latentviz.errors import ConfigError
from latentviz.progress import plural
from latentviz.runs.annotations import listed, merged
from latentviz.runs.info import ClusterEntry

PART, FEWEST = 0.05, 5  # of a cluster's items, and items: the smallest part that it is split into


def edited(layout: Layout, config: ClusterSection, repeats: Repeats | None, unused: int = 0) -> Layout:
    """Returns the layout with clusters merged and split; the numbers of the others stay.

    The clusters of a group get the least of their numbers. Of a split cluster, the larger part keeps the number, and
    the other one gets the least that is free.

    Args:
        layout: of all items.
        config: has `merge`, `split` and `names`.
        repeats: which items are the same, if any are.
        unused: the least number that no cluster has had.

    Raises:
        ConfigError: a cluster is not there, is both merged and split, or does not split.
    """
    numbers = layout.clusters.numbers
    _check(config, numbers)
    merges = {number: group[0] for group in config.merge for number in group[1:]}
    labels, nearest = merged(layout.clusters.labels, merges), merged(layout.nearest, merges)
    changed = {group[0] for group in config.merge}
    free = max([unused, *(number + 1 for number in numbers)])
    for number in config.split:
        parts = _halves(layout, number, repeats)
        if parts is None:
            able = [other for other in numbers if _halves(layout, other, repeats) is not None]
            raise ConfigError(
                f"cluster.split: cluster {number} has no branch with {plural(_smallest(layout, number), 'item')} or "
                f"more in both parts (got {config.split}); those that split are {listed(able)}"
            )
        second = parts & (layout.nearest == number)
        nearest[second] = free
        labels[second & (labels == number)] = free
        changed |= {number, free}
        free += 1
    _check_known("names", config.names, np.unique(labels[labels >= 0]).tolist())
    if not changed:
        return layout
    kept = {number for number in numbers if number not in changed and number not in merges}
    found = layout.clusters
    exemplars = {number: rows for number, rows in found.exemplars.items() if number in kept}
    for number in changed:
        only = np.where(labels == number, 0, -1)
        exemplars[number] = typical(only, found.probabilities, layout.coordinates)[0]
    persistence = {number: value for number, value in found.persistence.items() if number in kept}
    clusters = replace(found, labels=labels, exemplars=exemplars, persistence=persistence)
    return replace(layout, clusters=clusters, nearest=nearest, raw=found.labels if layout.raw is None else layout.raw)


def with_names(entries: Sequence[ClusterEntry], names: Mapping[int, str]) -> None:
    """Adds the given names to the clusters of clusters.json."""
    for entry in entries:
        if entry["cluster"] in names:
            entry["name"] = names[entry["cluster"]]


def _check(config: ClusterSection, numbers: Sequence[int]) -> None:
    merge = {number for group in config.merge for number in group}
    for key, given in (("merge", sorted(merge)), ("split", config.split)):
        _check_known(key, given, numbers)
    if both := [number for number in config.split if number in merge]:
        raise ConfigError(f"cluster.split: cluster {both[0]} is in cluster.merge, too; keep it in one of them")


def _check_known(key: str, given: Iterable[int], numbers: Sequence[int]) -> None:
    if unknown := [number for number in given if number not in numbers]:
        raise ConfigError(f"cluster.{key}: no cluster {unknown[0]}; the clusters are {listed(numbers)}")


def _smallest(layout: Layout, number: int) -> int:
    return max(FEWEST, int(PART * (layout.clusters.labels == number).sum()))


def _halves(layout: Layout, number: int, repeats: Repeats | None) -> np.ndarray | None:
    """Cuts a cluster at the next branch of its tree; returns the smaller part and what is nearest to it, bool (n,).

    Of the tree of its own items by mutual reachability, the first branch whose parts have as many items as the
    smallest cluster of the clustering, or half as many, and so on, down to 5% of the cluster; None without one. Items
    that fall out before the branch go to the part that is nearest, as noise near the cluster does.
    """
    counts, rows = None, np.flatnonzero(layout.clusters.labels == number)
    if repeats is not None:
        rows = repeats.first[np.unique(repeats.which[rows])]
        counts = repeats.counts[repeats.which[rows]]
    places, least = layout.coordinates[rows].astype(np.float64), _smallest(layout, number)
    m, items = len(rows), len(rows) if counts is None else int(counts.sum())
    if items < 2 * least or m < 2 or not np.isfinite(places).all():
        return None
    settings = layout.clusters.settings
    size = int(settings.get("min_cluster_size", max(10, round(SHARE * len(layout.clusters.labels)))))
    samples = min(int(settings.get("min_samples", LAYER_SAMPLES)), m - 1)
    edges = spanning_tree(places, samples, counts)
    for smallest in dict.fromkeys(max(least, tried) for tried in sizes_from(min(size, items // 2))):
        found = cuts_of_tree(edges, smallest, [2]).get(2)
        if found is not None and len(np.unique((part := found[0][:m])[part >= 0])) == 2:
            return _nearest_part(layout, number, rows, part, counts)
    return None


def _nearest_part(
    layout: Layout, number: int, rows: np.ndarray, part: np.ndarray, counts: np.ndarray | None
) -> np.ndarray:
    """Returns which of the n items belong to the smaller part, of those with the nearest cluster `number`."""
    from scipy.spatial import cKDTree

    weights = None if counts is None else counts[part >= 0]
    smaller = int(np.bincount(part[part >= 0], weights, 2).argmin())
    around = np.flatnonzero((layout.nearest == number) & np.isfinite(layout.coordinates).all(axis=1))
    tree = cKDTree(layout.coordinates[rows[part >= 0]])
    _, near = tree.query(layout.coordinates[around])
    second = np.zeros(len(layout.nearest), bool)
    second[around] = part[part >= 0][near] == smaller
    return second
