"""From coordinates (n, k) to clusters (n,): HDBSCAN, which finds their number and leaves noise as −1, or a mixture."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from latentviz.clustering.cut import Cut
from latentviz.clustering.repeats import spanning_tree, with_heavy_items
from latentviz.clustering.tree import central
from latentviz.errors import choose

EXEMPLARS = 12  # rows kept for each cluster

Settings = Mapping[str, str | int]


@dataclass(frozen=True)
class Clustering:
    """The clusters of n items, numbered 0, 1, … from the largest, unless an earlier clustering gave the numbers."""

    labels: np.ndarray  # int32 (n,), −1 for noise
    probabilities: np.ndarray  # float32 (n,) in [0, 1], strength of membership; 0 for noise
    outlier_scores: np.ndarray  # float32 (n,) in [0, 1], higher is odder (GLOSH, Campello et al. 2015).
    # of each cluster, in [0, 1]: how long it lives in the tree; empty without a tree
    persistence: Mapping[int, float] = field(default_factory=dict)
    # rows of each cluster's typical items, most typical first
    exemplars: Mapping[int, Sequence[int]] = field(default_factory=dict)
    # the condensed tree's clusters: parent, child, lambda_val, child_size; empty without a tree
    tree: Sequence[Mapping[str, float]] = ()
    settings: Settings = field(default_factory=dict)  # the effective settings, nothing "auto"
    # HDBSCAN's condensed tree with one record per item too; None for methods without one
    raw_tree: np.ndarray | None = None

    @property
    def numbers(self) -> list[int]:
        """The numbers of the clusters, ascending."""
        found: list[int] = np.unique(self.labels[self.labels >= 0]).tolist()
        return found

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.numbers)

    @property
    def noise_share(self) -> float:
        """The share of items in no cluster."""
        return float((self.labels < 0).mean())


def by_size(labels: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Renumbers labels from the largest cluster; also returns the old number of each new one.

    `counts`, int64 (n,), is how many items each label stands for; None: one.

    >>> by_size(np.array([5, 2, 2, -1]))
    (array([ 1,  0,  0, -1], dtype=int32), array([2, 5]))
    """
    old, group, sizes = np.unique(labels[labels >= 0], return_inverse=True, return_counts=True)
    if counts is not None:
        sizes = np.bincount(group, counts[labels >= 0], len(old))
    order = old[np.lexsort((old, -sizes))]
    renumbered = np.full(len(labels), -1, np.int32)
    for new, number in enumerate(order):
        renumbered[labels == number] = new
    return renumbered, order


def hdbscan_cluster(
    coordinates: np.ndarray,
    *,
    min_cluster_size: int | str = "auto",
    min_samples: int | str = "auto",
    selection: str = "auto",
    counts: np.ndarray | None = None,
    **_: object,
) -> Clustering:
    """Clusters by density with HDBSCAN (Campello, Moulavi & Sander 2013).

    Args:
        coordinates: float32 (n, k).
        min_cluster_size: items in the smallest cluster; auto: 1.5% of n, at least 10.
        min_samples: neighbours that make a region dense; auto: 10.
        selection: "eom" (excess of mass) or "leaf"; auto: eom.
        counts: int64 (n,), how many items each row stands for; None: one. Densities count rows, sizes count items.
    """
    from hdbscan import HDBSCAN

    n = len(coordinates) if counts is None else int(counts.sum())
    size = max(10, round(0.015 * n)) if min_cluster_size == "auto" else int(min_cluster_size)
    samples = 10 if min_samples == "auto" else int(min_samples)
    size, samples = max(2, min(size, n // 2)), max(1, min(samples, len(coordinates) - 1))
    method = {"auto": "eom", "layer": "leaf"}.get(selection, selection)
    settings: Settings = {"method": "hdbscan", "min_cluster_size": size, "min_samples": samples, "selection": method}
    if counts is not None:
        return _weighted_hdbscan(coordinates, counts, size, samples, method, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = HDBSCAN(
            min_cluster_size=size,
            min_samples=samples,
            cluster_selection_method=method,
            core_dist_n_jobs=1,
            gen_min_span_tree=False,
            algorithm="boruvka_kdtree",
            approx_min_span_tree=False,
        ).fit(coordinates.astype(np.float64))
        labels, old = by_size(model.labels_)
        outliers = np.nan_to_num(model.outlier_scores_, nan=0.0, posinf=1.0, neginf=0.0)
    raw_tree = model.condensed_tree_.to_numpy()
    tree = raw_tree[raw_tree["child_size"] > 1]
    return Clustering(
        labels,
        model.probabilities_.astype(np.float32),
        outliers.clip(0, 1).astype(np.float32),
        {new: float(model.cluster_persistence_[number]) for new, number in enumerate(old)},
        typical(labels, model.probabilities_, coordinates),
        [{name: float(row[name]) for name in tree.dtype.names} for row in tree],
        settings,
        raw_tree,
    )


def _weighted_hdbscan(
    coordinates: np.ndarray, counts: np.ndarray, size: int, samples: int, method: str, settings: Settings
) -> Clustering:
    """HDBSCAN of rows that stand for several items each; the package's own functions, on a spanning tree of the items.

    The numbers of the tree's clusters begin at n, the number of rows; sizes count items.
    """
    from hdbscan._hdbscan_linkage import label
    from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters, outlier_scores

    n, items = len(coordinates), int(counts.sum())
    edges = spanning_tree(coordinates, samples, counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw_tree = condense_tree(label(edges[np.argsort(edges[:, 2], kind="stable")]), size)
        found, strengths, persistence = get_clusters(raw_tree, compute_stability(raw_tree), method)
        outliers = np.nan_to_num(outlier_scores(raw_tree), nan=0.0, posinf=1.0, neginf=0.0)
    found, strengths = with_heavy_items(found[:n], strengths[:n], counts, size)
    labels, old = by_size(found, counts)
    raw_tree = raw_tree[(raw_tree["child"] < n) | (raw_tree["child"] >= items)]  # the first of each row's items
    for name in ("parent", "child"):
        raw_tree[name][raw_tree[name] >= items] -= items - n
    tree = raw_tree[raw_tree["child"] >= n]
    return Clustering(
        labels,
        strengths.astype(np.float32),
        outliers[:n].clip(0, 1).astype(np.float32),
        {new: float(persistence[number]) for new, number in enumerate(old) if number < len(persistence)},
        typical(labels, strengths, coordinates),
        [{name: float(row[name]) for name in tree.dtype.names} for row in tree],
        settings,
        raw_tree,
    )


def from_cut(coordinates: np.ndarray, cut: Cut, counts: np.ndarray | None = None) -> Clustering:
    """Turns a cut of a layout (n, k) into a clustering, with HDBSCAN's tree, outlier scores and persistence.

    `counts`, int64 (n,), is how many items each row stands for; None: one.
    """
    scores = cut.scores
    if scores.clusters == 0:
        n = len(coordinates) if counts is None else int(counts.sum())
        return hdbscan_cluster(coordinates, min_cluster_size=max(2, n // 2), counts=counts)
    size, samples = scores.min_cluster_size, scores.min_samples
    selection = "leaf" if scores.selection == "layer" else scores.selection
    tree = hdbscan_cluster(coordinates, min_cluster_size=size, min_samples=samples, selection=selection, counts=counts)
    labels, old = by_size(cut.labels, counts)
    # HDBSCAN numbers the same cluster differently: match by the largest overlap.
    persistence = {}
    for new in range(len(old)):
        inside = tree.labels[(labels == new) & (tree.labels >= 0)]
        if len(inside):
            persistence[new] = tree.persistence.get(int(np.bincount(inside).argmax()), 0.0)
    return replace(
        tree,
        labels=labels,
        probabilities=cut.probabilities,
        persistence=persistence,
        exemplars=typical(labels, cut.probabilities, coordinates),
        settings={
            "method": "hdbscan",
            "min_cluster_size": size,
            "min_samples": samples,
            "selection": scores.selection,
            "layout": scores.layout,
        },
    )


def typical(labels: np.ndarray, probabilities: np.ndarray, coordinates: np.ndarray) -> dict[int, list[int]]:
    """Picks up to 12 rows of each cluster: the most central first, then members of high probability, spread out."""
    chosen: dict[int, list[int]] = {}
    for cluster in range(int(labels.max(initial=-1)) + 1):
        rows = np.flatnonzero(labels == cluster)
        centre = rows[central(coordinates[rows].astype(np.float64))]
        sure = rows[probabilities[rows] >= np.quantile(probabilities[rows], 0.5)]
        picks = [int(centre)]
        distance = np.linalg.norm(coordinates[sure] - coordinates[centre], axis=1)
        while len(picks) < min(EXEMPLARS, len(sure)) and distance.max() > 0:
            pick = int(sure[distance.argmax()])
            picks.append(pick)
            distance = np.minimum(distance, np.linalg.norm(coordinates[sure] - coordinates[pick], axis=1))
        chosen[cluster] = picks
    return chosen


def gmm_cluster(
    coordinates: np.ndarray,
    *,
    n_clusters: int | str = "auto",
    seed: int = 0,
    counts: np.ndarray | None = None,
    **_: object,
) -> Clustering:
    """Clusters with a mixture of Gaussians, without noise.

    Args:
        coordinates: float32 (n, k).
        n_clusters: how many; auto: the number up to 20 with the lowest Bayesian information criterion.
        seed: of the initialisation.
        counts: int64 (n,), how many items each row stands for; None: one.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    values = coordinates.astype(np.float64)
    floor = 1e-6 * float(values.var(axis=0).mean()) + 1e-12  # of the covariances, for duplicates and single items
    numbers = range(1, min(20, len(coordinates) - 1) + 1) if n_clusters == "auto" else [int(n_clusters)]
    items = values if counts is None else np.repeat(values, counts, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [GaussianMixture(k, random_state=seed, reg_covar=floor).fit(items) for k in numbers]
        model = models[0] if len(models) == 1 else min(models, key=lambda m: m.bic(items))
    share = model.predict_proba(values)
    labels, _old = by_size(share.argmax(axis=1), counts)
    density = model.score_samples(values)
    rank = density.argsort().argsort() / max(1, len(density) - 1)
    probabilities = share.max(axis=1).astype(np.float32)
    return Clustering(
        labels,
        probabilities,
        (1 - rank).astype(np.float32),
        exemplars=typical(labels, probabilities, coordinates),
        settings={"method": "gmm", "n_clusters": int(model.n_components)},
    )


CLUSTERERS: Mapping[str, Callable[..., Clustering]] = {"hdbscan": hdbscan_cluster, "gmm": gmm_cluster}


def cluster(method: str, coordinates: np.ndarray, **settings: object) -> Clustering:
    """Clusters with the named method of `CLUSTERERS`."""
    return choose(CLUSTERERS, method, "cluster.method")(coordinates, **settings)
