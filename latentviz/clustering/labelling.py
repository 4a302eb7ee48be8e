"""A few labels for all items: a vote by cluster, label spreading on the neighbour graph, and what to ask for next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

Method = Literal["vote", "spreading"]
ALPHA = 0.9  # share of a spread label that comes from the neighbours; chosen on blobs, iris and wine
ROUNDS = 60  # ALPHA**60 is .002: what further rounds could still change
FOLDS = 10  # of the labels, to estimate the accuracy; up to twice as many labels are left out one by one
SMOOTHING = 0.5  # a label's worth of votes, shared by all classes


@dataclass(frozen=True)
class Known:
    """The labels that are given.

    Attributes:
        rows: the m labelled items, int64, each once.
        codes: the class of each, int64 (m,), in [0, classes).
        classes: how many classes there are.
    """

    rows: np.ndarray
    codes: np.ndarray
    classes: int

    def one_hot(self) -> np.ndarray:
        """Returns the classes as float32 (m, classes)."""
        found: np.ndarray = np.eye(self.classes, dtype=np.float32)[self.codes]
        return found

    def part(self, chosen: np.ndarray) -> "Known":
        """Returns some of them; `chosen` is bool (m,)."""
        return Known(self.rows[chosen], self.codes[chosen], self.classes)


@dataclass(frozen=True)
class Predicted:
    """A class for every item.

    Attributes:
        codes: the class of each item, int (n,); those that are given stay.
        probability: of these, float32 (n,) in (0, 1]. A vote is the same in a whole cluster, so it is averaged with
            what spreading gives that class for the item.
        method: what it comes from.
        accuracy: that of the method on given labels that were left out, in [0, 1]; None where no label can be left
            out, because each is the only one of its class.
        tested: how many labels that is measured on.
    """

    codes: np.ndarray
    probability: np.ndarray
    method: Method
    accuracy: float | None
    tested: int


class Labelling:
    """Predicts classes for the items of one clustering.

    Args:
        mu: float32 (n, d).
        cluster: int (n,), the cluster of each item or, of noise, the nearest one.
        neighbours: int (n, k), the rows of the nearest other items.
    """

    def __init__(self, mu: np.ndarray, cluster: np.ndarray, neighbours: np.ndarray) -> None:
        self.group = np.unique(cluster, return_inverse=True)[1]
        sizes = np.bincount(self.group)
        onto = sparse.csr_array((np.ones(len(mu), np.float32), (self.group, np.arange(len(mu)))))
        self.centres = onto @ mu.astype(np.float32) / sizes[:, None]  # (groups, d)
        self.graph = normalised(neighbours)

    def vote(self, known: Known) -> np.ndarray:
        """Returns the smoothed share of each class among the labels in the item's cluster, float32 (n, classes).

        A cluster without labels takes the votes of the nearest cluster with some, at half their weight.
        """
        votes = np.zeros((len(self.centres), known.classes), np.float32)
        np.add.at(votes, (self.group[known.rows], known.codes), 1)
        voted = votes.sum(axis=1) > 0
        for number in np.flatnonzero(~voted):
            distance = np.square(self.centres[voted] - self.centres[number]).sum(axis=1)
            votes[number] = votes[voted][distance.argmin()]
            votes[number] *= 0.5 / votes[number].sum()
        votes += SMOOTHING / known.classes
        share: np.ndarray = votes / votes.sum(axis=1, keepdims=True)
        return share[self.group]

    def spread(self, known: Known) -> np.ndarray:
        """Returns the shares of each class after label spreading (Zhou et al. 2004), float32 (n, classes).

        It iterates F ← α·S·F + (1 − α)·Y, with S = D^(−1/2)·W·D^(−1/2) of the symmetric neighbour graph W. Items
        that no label reaches get the vote of their cluster.
        """
        n = self.graph.shape[0]
        given = np.zeros((n, known.classes), np.float32)
        given[known.rows] = (1 - ALPHA) * known.one_hot()
        found = given.copy()
        for _ in range(ROUNDS):
            found = ALPHA * (self.graph @ found) + given
        mass = found.sum(axis=1, keepdims=True)
        return np.where(mass > 0, found / np.maximum(mass, np.finfo(np.float32).tiny), self.vote(known))

    def predict(self, known: Known) -> Predicted:
        """Returns the classes by the method that is right for more of the labels that are left out; ties: the vote."""
        ways = {"vote": self.vote, "spreading": self.spread}
        fold, folds = parts(known)
        right = dict.fromkeys(ways, 0)
        tested = 0
        for number in range(folds):
            out = fold == number
            kept = known.part(~out)
            fair = out.copy()  # a class without another label cannot be predicted
            fair[out] = np.isin(known.codes[out], kept.codes)
            if not fair.any():
                continue
            tested += int(fair.sum())
            for name, way in ways.items():
                right[name] += int((way(kept)[known.rows[fair]].argmax(axis=1) == known.codes[fair]).sum())
        chosen: Method = "spreading" if right["spreading"] > right["vote"] else "vote"
        accuracy = right[chosen] / tested if tested else None
        shares = ways[chosen](known)
        codes = shares.argmax(axis=1)
        probability = shares[np.arange(len(codes)), codes]
        if chosen == "vote":
            probability = (probability + self.spread(known)[np.arange(len(codes)), codes]) / 2
        codes[known.rows], probability[known.rows] = known.codes, 1
        return Predicted(codes, probability, chosen, accuracy, tested)

    def bare(self, known: Known) -> tuple[int, int]:
        """Returns how many clusters have no label of their own, and how many items these have."""
        sizes, represented = np.bincount(self.group), np.isin(np.arange(len(self.centres)), self.group[known.rows])
        return int((~represented).sum()), int(sizes[~represented].sum())


def parts(known: Known) -> tuple[np.ndarray, int]:
    """Splits the labels into folds with about equal shares of each class; returns int (m,), and how many there are."""
    m = len(known.rows)
    folds = m if m <= 2 * FOLDS else FOLDS
    order = np.lexsort((known.rows, known.codes))
    fold = np.empty(m, np.int64)
    fold[order] = np.arange(m) % folds
    return fold, folds


def normalised(neighbours: np.ndarray) -> sparse.csr_array:
    """Returns S = D^(−1/2)·W·D^(−1/2) of the graph W that joins items of which one is a neighbour of the other."""
    n, k = neighbours.shape
    ones = np.ones(n * k, np.float32)
    joined = sparse.csr_array((ones, (np.repeat(np.arange(n), k), neighbours.ravel())), shape=(n, n))
    graph = joined.maximum(joined.T).tocsr()
    scale = 1 / np.sqrt(np.maximum(graph.sum(axis=1), 1)).astype(np.float32)
    half = sparse.diags_array(scale)
    return sparse.csr_array(half @ graph @ half)


def medoids(mu: np.ndarray, cluster: np.ndarray) -> list[int]:
    """Returns the item nearest to the mean mu of each cluster, largest cluster first; noise (−1) has none."""
    numbers, counts = np.unique(cluster[cluster >= 0], return_counts=True)
    found = []
    for number in numbers[np.lexsort((numbers, -counts))]:
        rows = np.flatnonzero(cluster == number)
        found.append(int(rows[np.square(mu[rows] - mu[rows].mean(axis=0)).sum(axis=1).argmin()]))
    return found


def ask(
    k: int,
    mu: np.ndarray,
    cluster: np.ndarray,
    neighbours: np.ndarray,
    labelled: Sequence[int] = (),
    probability: np.ndarray | None = None,
) -> list[int]:
    """Chooses k items to label: medoids of clusters without a label, then the least certain or the farthest ones.

    With `probability` the next ones have the smallest margin between their two likeliest classes. Without, they are
    taken from the cluster that has most items per chosen one: the one farthest from those chosen, of the half of the
    cluster that is nearest to its mean, since the outermost items say least about the others. No item is a neighbour
    of one chosen before as long as there are others.

    Args:
        k: at most the number of items that are not labelled.
        mu: float32 (n, d).
        cluster: int (n,), −1 for noise.
        neighbours: int (n, j), the rows of the nearest other items.
        labelled: rows that have a label.
        probability: float (n, classes), predicted from these labels.
    """
    barred, taken = np.zeros(len(mu), bool), np.zeros(len(mu), bool)
    taken[list(labelled)] = True
    barred[neighbours[list(labelled)].ravel()] = True
    chosen: list[int] = []

    def take(row: int) -> None:
        chosen.append(row)
        taken[row] = True
        barred[neighbours[row]] = True
        barred[(neighbours == row).any(axis=1)] = True

    represented = set(cluster[list(labelled)].tolist())
    for row in medoids(mu, cluster):
        if len(chosen) < k and not taken[row] and int(cluster[row]) not in represented:
            take(row)
    if probability is not None:
        top = np.sort(probability, axis=1)[:, -2:]
        order = np.argsort(top[:, -1] - top[:, 0], kind="stable")
        for near in (False, True):
            for row in order.tolist():
                if len(chosen) == k:
                    return chosen
                if not taken[row] and (near or not barred[row]):
                    take(row)
    distance = _to_nearest(mu, [*labelled, *chosen])
    inner = _inner_half(mu, cluster)
    while len(chosen) < k:
        free = ~taken & ~barred & inner
        free = free if free.any() else ~taken
        numbers = np.unique(cluster[free])
        sizes = np.array([(cluster == number).sum() / (1 + taken[cluster == number].sum()) for number in numbers])
        rows = np.flatnonzero(free & (cluster == numbers[sizes.argmax()]))
        row = int(rows[distance[rows].argmax()])
        take(row)
        distance = np.minimum(distance, np.square(mu - mu[row]).sum(axis=1))
    return chosen


def _to_nearest(mu: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """Returns the squared distance of each item to the nearest of some, (n,); infinite without any."""
    found = np.full(len(mu), np.inf)
    for row in rows:
        found = np.minimum(found, np.square(mu - mu[row]).sum(axis=1))
    return found


def _inner_half(mu: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Returns which items are nearer to the mean of their cluster than its median item, bool (n,); noise never is."""
    inner = np.zeros(len(mu), bool)
    for number in np.unique(cluster[cluster >= 0]):
        rows = np.flatnonzero(cluster == number)
        distance = np.square(mu[rows] - mu[rows].mean(axis=0)).sum(axis=1)
        inner[rows] = distance <= np.median(distance)
    return inner
