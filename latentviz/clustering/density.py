"""Clusters of density: HDBSCAN and PLSCAN, which find their number and leave noise as −1."""

import warnings
from dataclasses import replace

import numpy as np

from latentviz.clustering.cut import LAYER_SAMPLES, Cut
from latentviz.clustering.exact import SHARE, cuts_of_tree, sizes_from
from latentviz.clustering.neighbors import Neighbours
from latentviz.clustering.partition import Clustering, Settings, by_size, partition, typical
from latentviz.clustering.repeats import spanning_tree, with_heavy_items


def hdbscan_cluster(
    coordinates: np.ndarray,
    *,
    min_cluster_size: int | str = "auto",
    min_samples: int | str = "auto",
    selection: str = "auto",
    n_clusters: int | str = "auto",
    counts: np.ndarray | None = None,
    **_: object,
) -> Clustering:
    """Clusters by density with HDBSCAN (Campello, Moulavi & Sander 2013).

    Args:
        coordinates: float32 (n, k).
        min_cluster_size: items in the smallest cluster; auto: 1.5% of n, at least 10.
        min_samples: neighbours that make a region dense; auto: 10.
        selection: "eom" (excess of mass) or "leaf"; auto: eom.
        n_clusters: cut the tree into so many; for more than the tree has branches, `min_cluster_size` is halved.
        counts: int64 (n,), how many items each row stands for; None: one. Densities count rows, sizes count items.
    """
    from hdbscan import HDBSCAN

    n = len(coordinates) if counts is None else int(counts.sum())
    size = max(10, round(SHARE * n)) if min_cluster_size == "auto" else int(min_cluster_size)
    samples = 10 if min_samples == "auto" else int(min_samples)
    size, samples = max(2, min(size, n // 2)), max(1, min(samples, len(coordinates) - 1))
    method = {"auto": "eom", "layer": "leaf"}.get(selection, selection)
    if n_clusters != "auto":
        return _cut_at(coordinates, int(n_clusters), size, samples, counts)
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
    settings: Settings = {
        "method": "hdbscan",
        "min_cluster_size": size,
        "min_samples": samples,
        "selection": scores.selection,
        "layout": scores.layout,
    }
    return _relabelled(tree, cut.labels, cut.probabilities, coordinates, counts, settings)


def _relabelled(
    tree: Clustering,
    labels: np.ndarray,
    probabilities: np.ndarray,
    coordinates: np.ndarray,
    counts: np.ndarray | None,
    settings: Settings,
) -> Clustering:
    """Returns another selection of clusters from HDBSCAN's tree."""
    labels, old = by_size(labels, counts)
    # HDBSCAN numbers the same cluster differently: match by the largest overlap.
    persistence = {}
    for new in range(len(old)):
        inside = tree.labels[(labels == new) & (tree.labels >= 0)]
        if len(inside):
            persistence[new] = tree.persistence.get(int(np.bincount(inside).argmax()), 0.0)
    return replace(
        tree,
        labels=labels,
        probabilities=probabilities,
        persistence=persistence,
        exemplars=typical(labels, probabilities, coordinates),
        settings=settings,
    )


def _cut_at(coordinates: np.ndarray, k: int, size: int, samples: int, counts: np.ndarray | None) -> Clustering:
    """Cuts HDBSCAN's tree into k clusters, if one of the trees with smaller and smaller clusters has the branches."""
    edges, n = spanning_tree(coordinates, samples, counts), len(coordinates)
    for smallest in sizes_from(size):
        found = cuts_of_tree(edges, smallest, [k]).get(k)
        if found is not None and len(np.unique(found[0][:n][found[0][:n] >= 0])) == k:
            break
    tree = hdbscan_cluster(coordinates, min_cluster_size=smallest, min_samples=samples, counts=counts)
    if found is None:
        return tree
    labels, strengths = found[0][:n], found[1][:n].astype(np.float32)
    return _relabelled(tree, labels, strengths, coordinates, counts, {**tree.settings, "n_clusters": k})


def plscan_cluster(
    coordinates: np.ndarray,
    *,
    graph: Neighbours,
    min_cluster_size: int | str = "auto",
    min_samples: int | str = "auto",
    n_clusters: int | str = "auto",
    counts: np.ndarray | None = None,
    **_: object,
) -> Clustering:
    """Clusters by density with PLSCAN, the most persistent layer of HDBSCAN's trees of all sizes (Bot et al. 2025).

    Args:
        coordinates: float32 (n, k).
        graph: the neighbours of each item, itself first.
        min_cluster_size: items in the smallest cluster of the finest layer; auto: 1% of n, from 5 to 10.
        min_samples: neighbours that make a region dense; auto: 5.
        n_clusters: how many: the layer with as many, or with the next more; auto: the most persistent one.
        counts: int64 (n,), how many items each row stands for; None: one.
    """
    from fast_hdbscan import PLSCAN

    n = len(coordinates)
    size = max(5, min(10, n // 100)) if min_cluster_size == "auto" else int(min_cluster_size)
    samples = min(LAYER_SAMPLES if min_samples == "auto" else int(min_samples), n - 1)
    model = PLSCAN(min_samples=samples, base_min_cluster_size=size, reproducible=True).fit(
        np.ascontiguousarray(coordinates, np.float32)
    )
    labels, strengths = np.asarray(model.labels_), np.asarray(model.membership_strengths_)
    if n_clusters != "auto":
        layers = list(zip(model.cluster_layers_, model.membership_strength_layers_, strict=True))
        enough = [layer for layer in layers if layer[0].max() + 1 >= int(n_clusters)]
        labels, strengths = min(enough or layers[:1], key=lambda layer: int(layer[0].max()))
    settings: Settings = {"method": "plscan", "min_cluster_size": size, "min_samples": samples}
    return partition(labels, coordinates, graph, settings, counts, strengths)
