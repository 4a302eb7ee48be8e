"""Where to cut HDBSCAN's tree, chosen from the data and no label: one sweep, scored by the neighbour graph.

For each layout (n, 2) of the same neighbour graph the tree is built once for each `min_samples` and cut many times.
The persistence of PLSCAN's layers (Bot et al. 2025), times the squared modularity (Newman & Girvan 2004), times the
separation names a scale: the coarsest number of clusters k₀ that is believed, and the size m of its smallest. Among the
cuts near that scale the one with the largest −log(1 − modularity of its *filled* labels · their separation) wins, times
their stability under the posterior where there is one: the agreement of the labels with those of draws z ~ q(z|x). Of
the layouts' winners, the one that the others agree with most. docs/experiments.md has what this was measured against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from latentviz.clustering.stability import Draws, stability

CLEAR = 1.1  # radius at a cluster's border over that inside: real images have 1.15 to 1.7, one cloud cut up .9 to 1.05
BORDER = 3  # neighbours in other clusters that put an item at its cluster's border
MIN_SAMPLES = (5, 10, 20)
FACTORS = (0.5, 0.63, 0.79, 1.0)  # of m: cuts at and below the believed scale
SELECTIONS = ("eom", "leaf")
LAYER_SAMPLES = 5  # min_samples of the tree whose layers name the scale
MANY = 20  # clusters from which counting noise as singletons no longer makes the choice too coarse
RELIABLE = 0.55  # normalised modularity: uniform noise has .34, one Gaussian .25, every real image set above .6
STABLE = 0.5  # adjusted Rand index with posterior draws: below it, most pairs do not stay together
PARTED = 0.7  # separation: one cloud of 2 to 16 dimensions has 0 to .66, groups that overlap .67, image sets 1
VOTERS = 15  # neighbours that say which cluster a noise item is nearest to


@dataclass
class Cut:
    """One cut of one layout's tree.

    Attributes:
        layout: number of the layout.
        selection: "eom", "leaf", or "layer" for PLSCAN's own.
        min_samples: of the tree.
        min_cluster_size: of the cut.
        labels: int32 (n,), −1 for noise.
        probabilities: float32 (n,) in [0, 1].
        filled: int32 (n,), noise given to the nearest cluster.
        modularity: of `labels`, each noise item alone.
        modularity_filled: of `filled`.
        normalised: `modularity` over what could be had at these sizes, at most 1; filling would flatter noise.
        separation: of `filled`, in [0, 1]: whether the items thin out at the clusters' borders.
        stability: adjusted Rand index with the labels of posterior draws; None where none were made.
        allowed: at least k₀ clusters.
    """

    layout: int
    selection: str
    min_samples: int
    min_cluster_size: int
    labels: np.ndarray
    probabilities: np.ndarray
    filled: np.ndarray
    modularity: float
    modularity_filled: float
    normalised: float
    separation: float
    stability: float | None = None
    allowed: bool = True

    @property
    def k(self) -> int:
        """How many clusters there are."""
        return len(np.unique(self.labels[self.labels >= 0]))

    def row(self) -> dict[str, Any]:
        """Returns what `clusters.json` keeps of it."""
        return {
            "layout": self.layout,
            "selection": self.selection,
            "min_samples": self.min_samples,
            "min_cluster_size": self.min_cluster_size,
            "clusters": self.k,
            "noise": float((self.labels < 0).mean()),
            "modularity": self.modularity,
            "modularity_filled": self.modularity_filled,
            "normalised": self.normalised,
            "separation": self.separation,
            "stability": self.stability,
            "allowed": self.allowed,
        }


@dataclass(frozen=True)
class Choice:
    """The chosen cut and how it came about.

    Attributes:
        cut: the winner.
        sweep: a row for each cut that was looked at.
        agreement: mean adjusted Rand index between the winner and the other layouts' winners; None with one layout.
        reliable: whether the graph backs the clusters, of which there are two: normalised modularity of at least .55
            and separation of at least .7; and the posterior, where it was asked: a stability of at least .5.
    """

    cut: Cut
    sweep: list[dict[str, Any]] = field(default_factory=list)
    agreement: float | None = None

    @property
    def reliable(self) -> bool:
        """Whether the graph and the posterior back the clusters."""
        held = self.cut.stability is None or self.cut.stability >= STABLE
        return self.cut.normalised >= RELIABLE and self.cut.separation >= PARTED and self.cut.k > 1 and held


class Modularity:
    """Modularity of labellings on one weighted graph; each noise item is a community of its own.

    Newman & Girvan 2004, equation 5, for weights: the share of the weight inside communities, less what the degrees
    alone would put there.

    Args:
        graph: symmetric weights (n, n).
    """

    def __init__(self, graph: csr_matrix) -> None:
        coordinates = graph.tocoo()
        self.row, self.column = coordinates.row, coordinates.col
        self.weight = coordinates.data.astype(np.float64)
        self.degree = np.asarray(graph.sum(axis=1)).ravel().astype(np.float64)
        self.total = max(float(self.degree.sum()), 1e-12)

    def __call__(self, labels: np.ndarray) -> tuple[float, float]:
        """Returns modularity, and modularity over its largest value at these community sizes."""
        own = labels[self.row]
        inside = self.weight[(own == labels[self.column]) & (own >= 0)].sum() / self.total
        noise = labels < 0
        share = np.bincount(labels[~noise], self.degree[~noise]) / self.total
        expected = float((share**2).sum() + ((self.degree[noise] / self.total) ** 2).sum())
        value = float(inside) - expected
        return value, value / max(1 - expected, 1e-12)


class Separation:
    """Whether clusters are parted by sparser places, as groups are, or share a border as dense as they are themselves.

    A cluster's ratio is the median distance to the k-th neighbour of its border items, of whose neighbours at least
    three lie in other clusters, over that of all its items. A cloud that was cut up has no sparser places at the cuts.

    Args:
        neighbours: int32 (n, k), nearest first, without the item itself.
        radii: float32 (n,), the distance to the last of them.
    """

    def __init__(self, neighbours: np.ndarray, radii: np.ndarray) -> None:
        self.neighbours, self.radii = neighbours, radii

    def __call__(self, labels: np.ndarray) -> float:
        """Returns the mean over items of how clear their cluster's border is: from 0 at a ratio of 1 to 1 at 1.1.

        A cluster without a border is clear; noise counts 0.
        """
        border = (labels[self.neighbours] != labels[:, None]).sum(axis=1) >= BORDER
        total = 0.0
        for number in np.unique(labels[labels >= 0]):
            inside = labels == number
            edge = self.radii[inside & border]
            if len(edge) <= BORDER:
                total += float(inside.sum())
                continue
            ratio = float(np.median(edge)) / max(float(np.median(self.radii[inside])), 1e-12)
            total += float(inside.sum()) * min(1.0, max(0.0, (ratio - 1) / (CLEAR - 1)))
        return total / len(labels)


def fill(labels: np.ndarray, neighbours: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Returns the labels with noise given to the nearest cluster, int32 (n,).

    Each noise item takes the majority among its 15 nearest labelled neighbours, of a tie the nearest one's, round by
    round until none is left that can; whoever has no labelled item within reach keeps −1.

    Args:
        labels: int (n,), −1 for noise.
        neighbours: int32 (n, k), nearest first.
        rounds: at most.
    """
    filled = labels.astype(np.int32).copy()
    waiting = np.flatnonzero(filled < 0)
    voters = neighbours[:, :VOTERS]
    for _ in range(rounds):
        seen = filled[voters[waiting]]  # (m, voters)
        votes = (seen[:, :, None] == seen[:, None, :]).sum(axis=2) * (seen >= 0)
        best = votes.argmax(axis=1)
        reached = votes.max(axis=1, initial=0) > 0
        if not reached.any():
            break
        filled[waiting[reached]] = seen[reached, best[reached]]
        waiting = waiting[~reached]
    return filled


def choose_cut(
    layouts: Sequence[np.ndarray],
    graph: csr_matrix,
    neighbours: np.ndarray,
    radii: np.ndarray,
    drawn: Draws | None = None,
) -> Choice:
    """Returns the cut that the data asks for.

    Args:
        layouts: float32 (n, 2) each, the same items laid out from different seeds.
        graph: symmetric weights (n, n), such as UMAP's fuzzy graph.
        neighbours: int32 (n, k), nearest first, without the item itself.
        radii: float32 (n,), the distance to the last of them.
        drawn: posterior draws, where there is a posterior.
    """
    quality, separation = Modularity(graph), Separation(neighbours, radii)
    sweep: list[Cut] = []
    winners: list[Cut] = []
    for number, points in enumerate(layouts):
        cuts, k0 = _cuts(number, np.ascontiguousarray(points, np.float32), quality, separation)
        for cut in cuts:
            cut.stability = stability(drawn, cut.filled)["mean"] if drawn else None
        winners.append(max(cuts, key=lambda cut: _value(cut, k0)))
        sweep += cuts
    agreement = _agreement(winners)
    best = int(agreement.argmax())
    return Choice(winners[best], [cut.row() for cut in sweep], float(agreement[best]) if len(winners) > 1 else None)


def _value(cut: Cut, k0: int) -> float:
    if not cut.allowed:
        return -1.0
    modularity = (cut.modularity_filled + cut.modularity) / 2 if k0 >= MANY else cut.modularity_filled
    # What is left to 1 counts by its logarithm: among many clusters that little is what tells one cut from another.
    clear = -np.log1p(-modularity * cut.separation)
    return float(clear * (1.0 if cut.stability is None else cut.stability))


def _cuts(layout: int, points: np.ndarray, quality: Modularity, separation: Separation) -> tuple[list[Cut], int]:
    """Returns the cuts of one layout that are looked at, and k₀."""
    from fast_hdbscan.hdbscan import clusters_from_spanning_tree, compute_minimum_spanning_tree

    def cut(selection: str, samples: int, size: int, labels: np.ndarray, probabilities: np.ndarray) -> Cut:
        filled = fill(labels, separation.neighbours)
        value, normalised = quality(labels)
        value_filled, _ = quality(filled)
        return Cut(
            layout,
            selection,
            samples,
            size,
            labels.astype(np.int32),
            probabilities.astype(np.float32),
            filled,
            value,
            value_filled,
            normalised,
            separation(filled),
        )

    layer = _believed_layer(points, quality, separation)
    if layer is None:
        n = len(points)
        return [cut("eom", LAYER_SAMPLES, n, np.full(n, -1), np.zeros(n))], 0
    labels, probabilities = layer
    sizes = np.bincount(labels[labels >= 0])
    k0, smallest = int((sizes > 0).sum()), int(sizes[sizes > 0].min())
    cuts = [cut("layer", LAYER_SAMPLES, smallest, labels, probabilities)]
    for samples in (s for s in MIN_SAMPLES if s < len(points)):
        tree = compute_minimum_spanning_tree(points, min_samples=samples, reproducible=True)[0]
        for size in sorted({max(5, round(smallest * factor)) for factor in FACTORS}):
            for selection in SELECTIONS:
                labels, probabilities, *_ = clusters_from_spanning_tree(
                    tree, min_cluster_size=size, cluster_selection_method=selection
                )
                if labels.max() > 0:
                    cuts.append(cut(selection, samples, size, labels, probabilities))
    for candidate in cuts:
        candidate.allowed = candidate.k >= k0
    return cuts, k0


def _believed_layer(
    points: np.ndarray, quality: Modularity, separation: Separation
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns labels and probabilities of the layer that is believed, or None.

    It has the largest persistence × modularity² × separation.
    """
    from fast_hdbscan import PLSCAN

    n = len(points)
    model = PLSCAN(
        min_samples=min(LAYER_SAMPLES, n - 1), base_min_cluster_size=max(5, min(10, n // 100)), reproducible=True
    ).fit(points)
    best, found = 0.0, None
    for labels, probabilities, persistence in zip(
        model.cluster_layers_, model.membership_strength_layers_, model.layer_persistence_scores_, strict=True
    ):
        score = float(persistence) * quality(labels)[0] ** 2 * separation(fill(labels, separation.neighbours))
        if labels.max() > 0 and (found is None or score > best):
            best, found = score, (labels, probabilities)
    return found


def _agreement(winners: Sequence[Cut]) -> np.ndarray:
    """Returns for each winner its mean adjusted Rand index to the others', float64 (layouts,)."""
    from sklearn.metrics import adjusted_rand_score

    scores = np.zeros((len(winners), len(winners)))
    for i in range(len(winners)):
        for j in range(i):
            scores[i, j] = scores[j, i] = adjusted_rand_score(winners[i].filled, winners[j].filled)
    means: np.ndarray = scores.sum(axis=1) / max(1, len(winners) - 1)
    return means
