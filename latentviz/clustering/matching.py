"""Cluster numbers that stay: a new clustering takes over those of an earlier one where most items are the same."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from latentviz.clustering.neighbors import Neighbours
from latentviz.runs.info import ClusterChange

# Thresholds of MONIC (Spiliopoulou et al. 2006): only one cluster can hold the majority of another's items, so a
# majority identifies a cluster; a quarter of its items are a part of it, fewer are items at its border.
MAJORITY, PART = 0.5, 0.25
KINDS = ("kept", "split", "merged", "born", "gone")


class Matched(NamedTuple):
    """How a clustering follows from an earlier one."""

    numbers: Mapping[int, int]  # cluster → its number, of each new cluster
    changes: list[ClusterChange]  # in the order of `KINDS`
    kept: float  # share of the items in an earlier cluster that are in the cluster of the same number


class Earlier(NamedTuple):
    """An earlier clustering of some of n items."""

    cluster: np.ndarray  # int32 (n,), −1 for noise and for items that it does not have
    nearest: np.ndarray  # int32 (n,), noise assigned to the nearest cluster
    coordinates: np.ndarray | None  # float32 (n, k), NaN for items that it does not have; None: unknown

    def of(self, rows: np.ndarray) -> "Earlier":
        """Returns that of these rows, int64."""
        placed = None if self.coordinates is None else self.coordinates[rows]
        return Earlier(self.cluster[rows], self.nearest[rows], placed)

    def start(self, graph: Neighbours) -> np.ndarray | None:
        """Returns coordinates to start a layout of all n items from: new items are put between their neighbours."""
        if self.coordinates is None:
            return None
        placed = self.coordinates.copy()
        known = np.isfinite(placed).all(axis=1)
        waiting = np.flatnonzero(~known)
        while len(waiting):
            near = graph.indices[waiting]
            seen = known[near]
            reached = seen.any(axis=1)
            if not reached.any():  # an island of new items
                placed[waiting] = placed[known].mean(axis=0)
                break
            total = np.where(seen[:, :, None], placed[near], 0).sum(axis=1)
            placed[waiting[reached]] = (total / np.maximum(seen.sum(axis=1, keepdims=True), 1))[reached]
            known[waiting[reached]] = True
            waiting = waiting[~reached]
        return placed


def match(earlier: np.ndarray, labels: np.ndarray, unused: int = 0) -> Matched:
    """Numbers new clusters like the earlier ones that they overlap most with; one number goes to one cluster.

    A cluster without such a counterpart gets a number that no earlier one had.

    Args:
        earlier: int (m,), the earlier clusters of the first m items, −1 for noise.
        labels: int (n,), the new clusters of all n ≥ m items, −1 for noise.
        unused: the least number that no cluster has had, where there were more clusters than in `earlier`.
    """
    from scipy.optimize import linear_sum_assignment  # light commands import this module

    old, new, overlap, old_sizes, new_sizes = _overlap(earlier, labels)
    known = labels[: len(earlier)]
    common = np.bincount(np.searchsorted(new, known[known >= 0]), minlength=len(new))  # of each new cluster

    # Its counterpart holds most of the earlier cluster, or consists mostly of a part of it.
    least = np.minimum(MAJORITY * old_sizes[:, None], np.maximum(MAJORITY * common, PART * old_sizes[:, None]))
    pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-overlap), strict=True) if overlap[i, j] >= least[i, j]]
    numbers = {int(new[j]): int(old[i]) for i, j in pairs}
    free = max(unused, int(old.max(initial=-1)) + 1)
    for number in new[np.argsort(-new_sizes, kind="stable")].tolist():
        if number not in numbers:
            numbers[number], free = free, free + 1

    kept_items = sum(int(overlap[i, j]) for i, j in pairs)
    changes = _changes(overlap, old_sizes, new_sizes, old.tolist(), [numbers[number] for number in new.tolist()])
    return Matched(numbers, changes, kept_items / max(1, int(old_sizes.sum())))


def matched_again(found: Matched, earlier: np.ndarray, labels: np.ndarray) -> Matched:
    """Describes numbered clusters that were merged and split since, as `match` does.

    Args:
        found: of the clusters before.
        earlier: int (m,), as in `match`.
        labels: int (n,), after the merges and splits, with the numbers that the clusters have.
    """
    old, new, overlap, old_sizes, new_sizes = _overlap(earlier, labels)
    kept_items = int(overlap[old[:, None] == new[None, :]].sum())
    changes = _changes(overlap, old_sizes, new_sizes, old.tolist(), new.tolist())
    return Matched(found.numbers, changes, kept_items / max(1, int(old_sizes.sum())))


def _overlap(
    earlier: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts common items: the k and l numbers, int64 (k, l) counts, and the sizes of both."""
    old, rows, old_sizes = np.unique(earlier[earlier >= 0], return_inverse=True, return_counts=True)
    new, new_sizes = np.unique(labels[labels >= 0], return_counts=True)
    overlap = np.zeros((len(old), len(new)), np.int64)
    after = labels[: len(earlier)][earlier >= 0]
    np.add.at(overlap, (rows[after >= 0], np.searchsorted(new, after[after >= 0])), 1)
    return old, new, overlap, old_sizes, new_sizes


def _changes(
    overlap: np.ndarray, old_sizes: np.ndarray, new_sizes: np.ndarray, old: Sequence[int], new: Sequence[int]
) -> list[ClusterChange]:
    """Lists what became of each cluster.

    Args:
        overlap: int64 (k, l), common items of the earlier and the new clusters.
        old_sizes: int (k,), items of the earlier clusters.
        new_sizes: int (l,), items of the new clusters, those added since included.
        old: the k numbers of the earlier clusters.
        new: the l numbers of the new clusters.
    """
    changes, explained = list[ClusterChange](), set[int]()

    def add(change: str, before: Sequence[int], after: Sequence[int], items: int) -> None:
        changes.append(
            ClusterChange(change=change, before=[old[i] for i in before], after=[new[j] for j in after], items=items)
        )

    for i, number in enumerate(old):
        # A new cluster is a part of this one if it holds a quarter of it, or if most of its own items were in it.
        large = overlap[i] >= PART * old_sizes[i]
        parts = np.flatnonzero((overlap[i] > 0) & (large | (overlap[i] > MAJORITY * new_sizes))).tolist()
        if number in new and overlap[i, new.index(number)]:
            parts = sorted({new.index(number), *parts}, key=lambda j: new[j])
            add("kept", [i], [new.index(number)], int(overlap[i, new.index(number)]))
        if len(parts) > 1:
            add("split", [i], parts, int(overlap[i, parts].sum()))
            explained |= {new[j] for j in parts}
    for j in range(len(new)):
        sources = np.flatnonzero(overlap[:, j] > MAJORITY * old_sizes).tolist()
        if len(sources) > 1:
            add("merged", sources, [j], int(overlap[sources, j].sum()))
            explained |= {old[i] for i in sources}
    for j, number in enumerate(new):
        if number not in old and number not in explained:
            add("born", [], [j], int(new_sizes[j]))
    for i, number in enumerate(old):
        if number not in new and number not in explained:
            add("gone", [i], [], int(old_sizes[i]))
    return sorted(changes, key=lambda change: KINDS.index(change["change"]))
