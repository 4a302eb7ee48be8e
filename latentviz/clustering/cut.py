"""Where to cut HDBSCAN's tree, chosen from the data without labels: one sweep, scored by the neighbour graph.

For each layout (n, 2) of the same neighbour graph the tree is built once per `min_samples` and cut at several sizes.

1. PLSCAN's layers (Bot et al. 2025) suggest a scale. The layer with the largest persistence · modularity² · separation
   (modularity: Newman & Girvan 2004) sets k₀, the least number of clusters, and m, the size of its smallest cluster.
2. Among the cuts at sizes up to m, the one with the largest modularity · separation wins, with the modularity of the
   *filled* labels.
3. As long as no layout's winner agrees with the others, more layouts are asked for.
4. Of all cuts, the one that most winners repeat is chosen, if several do; otherwise, and among equals, the one that
   agrees most with the consensus of the winners.

Where the number of clusters is given, or a range, each tree is cut at just these numbers instead, and nothing sets a
scale.

Where some of the items were clustered earlier, only the cuts that agree most with those clusters take part, among them
one per tree of the nodes that agree most with them.

docs/experiments.md has the alternatives that this was measured against.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags

from latentviz.clustering.agreement import consensus, partition_agreement
from latentviz.clustering.exact import SHARE, cuts_of_tree, exactly, sizes_from
from latentviz.clustering.following import nodes_like
from latentviz.clustering.neighbors import nearest
from latentviz.clustering.prominence import Prominence
from latentviz.clustering.repeats import spanning_tree, with_heavy_items

MIN_SAMPLES = (5, 10, 20)
FACTORS = (0.5, 0.63, 0.79, 1.0)  # of m: cuts at and below the suggested scale
SELECTIONS = ("eom", "leaf")
LAYER_SAMPLES = 5  # min_samples of the tree with the layers that suggest the scale
MANY = 20  # clusters from which on noise can count as singletons without making the choice too coarse
RELIABLE = 0.5  # share of items in distinct clusters; benchmarks/results/reliability.md has single clouds and groups
REPRODUCIBLE = 0.5  # agreement of the layouts' clusters: below it, most pairs do not stay together
AGREED = 0.95  # agreement from which on two layouts' clusters are the same, and no more layouts are needed
SEVERAL = 3  # layouts that lead to the same clusters; a consensus of layouts that differ much mixes different cuts
AS_EARLIER = 0.02  # adjusted Rand index with the earlier clusters that a cut may lack to the best: items at borders
VOTERS = 15  # neighbours that decide which cluster a noise item is nearest to


@dataclass(frozen=True)
class CutScores:
    """Settings and scores of one cut of one layout's tree, a row of `sweep` in clusters.json."""

    layout: int  # number of the layout
    selection: str  # "eom", "leaf", or "layer" for PLSCAN's own; "eom" for a given number of clusters, too
    min_samples: int  # of the tree
    min_cluster_size: int  # of the cut
    clusters: int  # how many
    noise: float  # share of items in no cluster
    modularity: float  # of the labels, each noise item a community of its own
    modularity_filled: float  # of the filled labels
    normalised: float  # `modularity` over its largest value at these sizes, at most 1; filling would flatter noise
    separation: float  # of the filled labels, in [0, 1]: how much sparser the clusters' borders are than their insides
    distinct: float  # share of items in clusters whose borders are sparser than a single cloud's sparsest spots
    allowed: bool  # at least k₀ clusters


@dataclass(frozen=True)
class Cut:
    """The clusters of one cut."""

    scores: CutScores  # settings and scores
    labels: np.ndarray  # int32 (n,), −1 for noise
    probabilities: np.ndarray  # float32 (n,) in [0, 1]
    filled: np.ndarray  # int32 (n,), noise assigned to the nearest cluster


@dataclass(frozen=True)
class Choice:
    """The chosen cut."""

    cut: Cut  # the one that was chosen
    points: np.ndarray  # float32 (n, 2), its layout
    sweep: Sequence[CutScores]  # the scores of all cuts
    # mean adjusted Rand index of a layout's winner with the other layouts', the largest of the first group, since more
    # layouts would find some that agree in a single cloud too; None with one layout
    agreement: float | None = None
    others: Sequence[np.ndarray] = ()  # int32 (n,) each, the filled labels of the other layouts' winners

    @property
    def reliable(self) -> bool:
        """Whether there are two clusters or more, half of the items are in distinct ones, and layouts agree on them."""
        return self.cut.scores.clusters > 1 and self.cut.scores.distinct >= RELIABLE and self.reproducible

    @property
    def reproducible(self) -> bool:
        """Whether the layouts' clusters agree."""
        return self.agreement is None or self.agreement >= REPRODUCIBLE


class Modularity:
    """Modularity of labellings of one weighted graph; each noise item is a community of its own.

    Newman & Girvan 2004, equation 5, with symmetric weights (n, n): the share of weight inside communities minus the
    share that is expected from the degrees alone. `counts`, int64 (n,), is how many items each row stands for.
    """

    def __init__(self, graph: csr_matrix, counts: np.ndarray | None = None) -> None:
        if counts is not None:
            graph = diags(np.sqrt(counts)) @ graph @ diags(np.sqrt(counts))
        entries = graph.tocoo()
        self.row, self.column = entries.row, entries.col
        self.weight = entries.data.astype(np.float64)
        self.degree = np.asarray(graph.sum(axis=1)).ravel().astype(np.float64)
        self.total = max(float(self.degree.sum()), 1e-12)

    def __call__(self, labels: np.ndarray) -> tuple[float, float]:
        """Returns the modularity, and the modularity over its largest value at these community sizes."""
        own = labels[self.row]
        inside = self.weight[(own == labels[self.column]) & (own >= 0)].sum() / self.total
        noise = labels < 0
        share = np.bincount(labels[~noise], self.degree[~noise]) / self.total
        expected = float((share**2).sum() + ((self.degree[noise] / self.total) ** 2).sum())
        value = float(inside) - expected
        return value, value / max(1 - expected, 1e-12)


def fill(labels: np.ndarray, neighbours: np.ndarray, rounds: int = 100) -> np.ndarray:
    """Assigns the noise, −1, in labels (n,) to the nearest cluster: int32 (n,).

    In each round, every noise item with labelled ones among its 15 nearest neighbours (n, k) takes their majority label
    (of a tie, the nearest one's). Items that no label reaches keep −1; `nearest_clusters` names one for these too.
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


def nearest_clusters(labels: np.ndarray, neighbours: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Names a cluster for every item: int32 (n,), −1 only if there is no cluster.

    As `fill` with `neighbours` (n, k). Items that no label reaches get that of the nearest of `vectors` (n, d)
    with one.
    """
    filled = fill(labels, neighbours)
    left = filled < 0
    if left.any() and not left.all():
        filled[left] = filled[~left][nearest(vectors[left], vectors[~left], 1).indices[:, 0]]
    return filled


def choose_cut(
    layouts: Iterable[Sequence[np.ndarray]],
    graph: csr_matrix,
    neighbours: np.ndarray,
    distances: np.ndarray,
    counts: np.ndarray | None = None,
    earlier: np.ndarray | None = None,
    numbers: Sequence[int] | None = None,
) -> Choice:
    """Chooses a cut from the data, see the module's docstring.

    Args:
        layouts: groups of float32 (n, 2), the same items laid out with several seeds; a group is asked for as long as
            the layouts before it disagree.
        graph: symmetric weights (n, n), such as UMAP's fuzzy graph.
        neighbours: int32 (n, k), nearest first, without the item itself.
        distances: float32 (n, k), to the neighbours.
        counts: int64 (n,), how many items each row stands for; None: one.
        earlier: int (n,), the clusters of an earlier clustering that should stay, −1 for items in none; None: there
            was none.
        numbers: of clusters to choose from; None: all.
    """
    quality, prominence = Modularity(graph, counts), Prominence(neighbours, distances, counts)
    sweep: list[Cut] = []
    winners: list[Cut] = []
    seen: list[np.ndarray] = []
    agreement: float | None = None
    for group in layouts:
        for points in group:
            laid = np.ascontiguousarray(points, np.float32)
            if numbers is None:
                cuts, k0 = _cuts(len(seen), laid, quality, prominence, earlier)
            else:
                cuts, k0 = _cuts_at(numbers, len(seen), laid, quality, prominence, graph), 0
            winners.append(cuts[max(_like(cuts, earlier), key=lambda i: _value(cuts[i].scores, k0))])
            sweep += cuts
            seen.append(points)
        if len(winners) > 1:
            agreed = max(_agreement(cut, winners) for cut in winners)
            agreement = agreed if agreement is None else agreement
            if agreed >= AGREED:
                break
    chosen = winners[0] if len(winners) == 1 else _most_agreed([sweep[i] for i in _like(sweep, earlier)], winners)
    layout = chosen.scores.layout
    others = [winner.filled for winner in winners if winner.scores.layout != layout]
    return Choice(chosen, seen[layout], [cut.scores for cut in sweep], agreement, others)


def _like(cuts: Sequence[Cut], earlier: np.ndarray | None) -> list[int]:
    """Returns the indices of the cuts that agree most with the earlier clusters; of all if there are none."""
    if earlier is None or not (earlier >= 0).any():
        return list(range(len(cuts)))
    known = earlier >= 0
    scores = [partition_agreement(earlier[known], cut.filled[known]) for cut in cuts]
    return [i for i, score in enumerate(scores) if score >= max(scores) - AS_EARLIER]


def _value(scores: CutScores, k0: int) -> float:
    if not scores.allowed:
        return -1.0
    filled = scores.modularity_filled
    modularity = (filled + scores.modularity) / 2 if k0 >= MANY else filled
    return modularity * scores.separation


def _cuts(
    layout: int,
    points: np.ndarray,
    quality: Modularity,
    prominence: Prominence,
    earlier: np.ndarray | None,
) -> tuple[list[Cut], int]:
    """Returns the cuts of one layout, and k₀."""
    from fast_hdbscan.hdbscan import clusters_from_spanning_tree

    n, k0, counts = len(points), 0, prominence.counts

    def cut(selection: str, samples: int, size: int, labels: np.ndarray, probabilities: np.ndarray) -> Cut:
        if counts is not None:
            labels, probabilities = with_heavy_items(labels[:n], probabilities[:n], counts, size)
        return _scored(layout, selection, samples, size, labels, probabilities, quality, prominence, k0)

    layer = _best_layer(points, quality, prominence)
    if layer is None:
        # One cloud. Items repeated so often that they are a cluster suggest a scale too.
        heavy = np.empty(0) if counts is None else counts[counts >= max(10, round(0.015 * counts.sum()))]
        smallest = int(heavy.min()) if len(heavy) else n
        cuts = [cut("eom", LAYER_SAMPLES, smallest, np.full(n, -1), np.zeros(n))]
        if not len(heavy):
            return cuts, 0
    else:
        inside = layer[0] >= 0
        sizes = np.bincount(layer[0][inside], None if counts is None else counts[inside])
        sizes = sizes[sizes > 0]
        k0, smallest = len(sizes), int(sizes.min())
        cuts = [cut("layer", LAYER_SAMPLES, smallest, *layer)]
    for samples in (s for s in MIN_SAMPLES if s < n):
        tree = spanning_tree(points, samples, counts)
        for size in sorted({max(5, round(smallest * factor)) for factor in FACTORS}):
            for selection in SELECTIONS:
                labels, probabilities, *_ = clusters_from_spanning_tree(
                    tree, min_cluster_size=size, cluster_selection_method=selection
                )
                if labels.max() > 0:
                    cuts.append(cut(selection, samples, size, labels, probabilities))
        if earlier is not None and (earlier >= 0).any():
            size = max(5, round(FACTORS[0] * int(np.unique(earlier[earlier >= 0], return_counts=True)[1].min())))
            cuts.append(cut("eom", samples, size, *nodes_like(earlier, tree, size)))
    return cuts, k0


def _scored(
    layout: int,
    selection: str,
    samples: int,
    size: int,
    labels: np.ndarray,
    probabilities: np.ndarray,
    quality: Modularity,
    prominence: Prominence,
    k0: int,
) -> Cut:
    """Returns a cut with its scores; it is allowed from `k0` clusters on."""
    filled = fill(labels, prominence.neighbours)
    modularity, normalised = quality(labels)
    clusters = len(np.unique(labels[labels >= 0]))
    scores = CutScores(
        layout,
        selection,
        samples,
        size,
        clusters,
        float(np.average(labels < 0, weights=prominence.counts)),
        modularity,
        quality(filled)[0],
        normalised,
        *prominence(filled),
        clusters >= k0,
    )
    return Cut(scores, labels.astype(np.int32), probabilities.astype(np.float32), filled)


def _cuts_at(
    numbers: Sequence[int],
    layout: int,
    points: np.ndarray,
    quality: Modularity,
    prominence: Prominence,
    graph: csr_matrix,
) -> list[Cut]:
    """Returns the cuts of one layout with these numbers of clusters: of each tree, at two sizes that have the branches.

    For more clusters than any tree has branches, the widest ones are split.
    """
    n, counts = len(points), prominence.counts
    first, cuts = round(SHARE * (n if counts is None else int(counts.sum()))), []
    for samples in [s for s in MIN_SAMPLES if s < n] or [max(1, n - 1)]:
        tree, left = spanning_tree(points, samples, counts), dict.fromkeys(numbers, 2)  # cuts that are wanted of each
        for size in sizes_from(max(10, first)):
            for k, (labels, strengths) in cuts_of_tree(tree, size, [k for k in left if left[k]]).items():
                rows, strength = labels[:n], strengths[:n]
                if len(np.unique(rows[rows >= 0])) == k:
                    left[k] -= 1
                    cuts.append(_scored(layout, "eom", samples, size, rows, strength, quality, prominence, 0))
    for k in {*numbers} - {found.scores.clusters for found in cuts}:
        labels = exactly(np.full(n, -1), k, points, lambda: graph)
        cuts.append(_scored(layout, "eom", 1, 2, labels, np.ones(n), quality, prominence, 0))
    return cuts


def _best_layer(
    points: np.ndarray, quality: Modularity, prominence: Prominence
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns labels and probabilities of the layer with the largest persistence · modularity² · separation."""
    from fast_hdbscan import PLSCAN

    n = len(points)
    model = PLSCAN(
        min_samples=min(LAYER_SAMPLES, n - 1), base_min_cluster_size=max(5, min(10, n // 100)), reproducible=True
    ).fit(points)
    best, found = 0.0, None
    for labels, probabilities, persistence in zip(
        model.cluster_layers_, model.membership_strength_layers_, model.layer_persistence_scores_, strict=True
    ):
        score = float(persistence) * quality(labels)[0] ** 2 * prominence(fill(labels, prominence.neighbours)).mean
        if labels.max() > 0 and (found is None or score > best):
            best, found = score, (labels, probabilities)
    return found


def _agreement(cut: Cut, winners: Sequence[Cut]) -> float:
    """Returns the mean adjusted Rand index of a cut with the winners of the other layouts."""
    others = [other.filled for other in winners if other.scores.layout != cut.scores.layout]
    return float(np.mean([partition_agreement(cut.filled, other) for other in others]))


def _most_agreed(cuts: Sequence[Cut], winners: Sequence[Cut]) -> Cut:
    """Returns the allowed cut that most winners repeat, if several do; among equals, the nearest to their consensus."""
    groups = consensus([winner.filled for winner in winners])
    known = groups >= 0

    def merit(cut: Cut) -> tuple[int, float]:
        repeats = sum(partition_agreement(cut.filled, winner.filled) >= AGREED for winner in winners)
        return repeats if repeats >= SEVERAL else 0, partition_agreement(groups[known], cut.filled[known])

    return max([cut for cut in cuts if cut.scores.allowed] or cuts, key=merit)
