"""From coordinates (n, k) to clusters (n,): a table of methods, or an object that a user gives.

Methods may find another number of clusters than is asked for; `cluster` makes it exact, and chooses it from a range.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from latentviz.clustering.cut import Modularity, nearest_clusters
from latentviz.clustering.density import hdbscan_cluster, plscan_cluster
from latentviz.clustering.exact import exactly, numbers
from latentviz.clustering.neighbors import Neighbours, neighbours
from latentviz.clustering.partition import Clustering, by_size, partition, typical
from latentviz.clustering.prominence import Prominence
from latentviz.clustering.umap_layout import fuzzy_graph
from latentviz.config.methods import Clusters, chosen, named, needs_extra
from latentviz.errors import ConfigError, message_of
from latentviz.progress import plural

MOST = 20  # clusters up to which kmeans and gmm look for the number
RESOLUTIONS = 20  # resolutions that leiden tries for a given number of clusters


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


def kmeans_cluster(
    coordinates: np.ndarray,
    *,
    graph: Neighbours,
    n_clusters: int | str = "auto",
    seed: int = 0,
    counts: np.ndarray | None = None,
    **_: object,
) -> Clustering:
    """Clusters with k-means, without noise (Lloyd 1982).

    Args:
        coordinates: float32 (n, k).
        graph: the neighbours of each item, itself first.
        n_clusters: how many; auto: the best number from 2 to 20, as of a range.
        seed: of the initialisation.
        counts: int64 (n,), how many items each row stands for; None: one.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    values = coordinates.astype(np.float64)

    def one(k: int) -> Clustering:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer spots than clusters
            found = KMeans(k, n_init=10, random_state=seed).fit_predict(values, sample_weight=counts)
        return partition(found, coordinates, graph, {"method": "kmeans", "n_clusters": k}, counts)

    if n_clusters != "auto":
        return one(int(n_clusters))
    return best([one(k) for k in range(2, min(MOST, len(values)) + 1)], graph, coordinates, counts)


def leiden_cluster(
    coordinates: np.ndarray,
    *,
    graph: Neighbours,
    n_clusters: int | str = "auto",
    seed: int = 0,
    counts: np.ndarray | None = None,
    **_: object,
) -> Clustering:
    """Clusters the neighbour graph by its communities, without noise (Traag, Waltman & van Eck 2019).

    Args:
        coordinates: float32 (n, k), which only the outlier scores depend on.
        graph: the neighbours of each item, itself first.
        n_clusters: how many; auto: those of the largest modularity.
        seed: of the order in which items move.
        counts: int64 (n,), how many items each row stands for; None: one.
    """
    with needs_extra("cluster.method", "leiden", "igraph"):
        import igraph
    import random

    edges = fuzzy_graph(graph).tocoo()
    upper = edges.row < edges.col
    network = igraph.Graph(len(coordinates), np.stack([edges.row, edges.col], axis=1)[upper])
    weights = edges.data[upper].astype(np.float64).tolist()

    def communities(resolution: float) -> np.ndarray:
        igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - not for security
        found = network.community_leiden("modularity", weights=weights, resolution=resolution, n_iterations=4)
        return np.asarray(found.membership)

    low, high, resolution = 0.0, np.inf, 1.0
    labels = communities(resolution)
    for _step in range(0 if n_clusters == "auto" else RESOLUTIONS):
        count = int(labels.max()) + 1
        if count == n_clusters:
            break
        low, high = (resolution, high) if count < int(n_clusters) else (low, resolution)
        resolution = 2 * low if np.isinf(high) else (low + high) / 2
        labels = communities(resolution)
    settings: dict[str, str | int] = {"method": "leiden", "n_clusters": int(labels.max()) + 1}
    return partition(labels, coordinates, graph, settings, counts)


def object_cluster(
    coordinates: np.ndarray, *, given: Any, graph: Neighbours, counts: np.ndarray | None = None, **_: object
) -> Clustering:
    """Clusters with an object that has `fit_predict`, or `fit` and then `labels_`; of repeated items it gets one.

    Raises:
        ConfigError: it fails, or its labels are not a whole number an item.
    """
    name = named(given)
    try:
        if hasattr(given, "fit_predict"):
            labels = np.asarray(given.fit_predict(coordinates))
        else:
            given.fit(coordinates)
            labels = np.asarray(given.labels_)
    except Exception as error:
        raise ConfigError(f"cluster.method: {name} failed ({message_of(error, 200)}); try it on result.mu") from error
    if labels.shape != (len(coordinates),) or labels.dtype.kind not in "iub":
        raise ConfigError(
            f"cluster.method: {name} must give a whole number for each of {plural(len(coordinates), 'item')}, "
            f"−1 for noise (got {labels.dtype} of shape {labels.shape}); try its fit_predict on result.mu"
        )
    labels = np.where(labels < 0, -1, labels).astype(np.int64)
    strengths = getattr(given, "probabilities_", None)
    known = isinstance(strengths, np.ndarray) and strengths.shape == labels.shape and bool(np.isfinite(strengths).all())
    return partition(labels, coordinates, graph, {"method": name}, counts, strengths if known else None)


CLUSTERERS: Mapping[str, Callable[..., Clustering]] = {
    "hdbscan": hdbscan_cluster,
    "plscan": plscan_cluster,
    "kmeans": kmeans_cluster,
    "gmm": gmm_cluster,
    "leiden": leiden_cluster,
}


def cluster(
    method: "str | Clusters",
    coordinates: np.ndarray,
    *,
    n_clusters: int | str = "auto",
    graph: Neighbours | None = None,
    vectors: np.ndarray | None = None,
    counts: np.ndarray | None = None,
    **settings: object,
) -> Clustering:
    """Clusters with the named method of `CLUSTERERS`, or an object.

    Args:
        method: the name, or the object.
        coordinates: float32 (n, k).
        n_clusters: exactly so many; or a range such as "5..12", of which the best is taken; or "auto".
        graph: the neighbours of each item, itself first; None: those of the coordinates.
        vectors: float32 (n, d), what was laid out; None: the coordinates.
        counts: int64 (n,), how many items each row stands for; None: one.
        **settings: of the method.
    """
    of_object: Callable[..., Clustering] = partial(object_cluster, given=method)
    run = chosen(CLUSTERERS, method, "cluster.method", of_object)
    wanted = numbers(n_clusters, len(coordinates))
    if graph is None:
        graph = neighbours(coordinates, min(15, len(coordinates)))
    vectors = coordinates if vectors is None else vectors
    given = {"graph": graph, "vectors": vectors, "counts": counts, **settings}
    if wanted is None:
        return run(coordinates, n_clusters="auto", **given)
    known = graph

    def one(k: int) -> Clustering:
        found = run(coordinates, n_clusters=k, **given)
        settings = {**found.settings, "n_clusters": k}
        if found.k == k:
            return replace(found, settings=settings)
        labels = exactly(found.labels, k, coordinates, lambda: fuzzy_graph(known))
        strengths = np.where(found.labels < 0, 1.0, found.probabilities)  # clusters are made of noise if there are none
        again = partition(labels, coordinates, known, settings, counts, strengths)
        return replace(again, tree=found.tree, raw_tree=found.raw_tree)

    found = [one(k) for k in wanted]
    return found[0] if len(found) == 1 else best(found, graph, vectors, counts)


def best(found: Sequence[Clustering], graph: Neighbours, vectors: np.ndarray, counts: np.ndarray | None) -> Clustering:
    """Returns the clustering with the largest modularity · separation on the graph, of filled labels; see `cut`."""
    others = graph.indices[:, 1:]
    quality = Modularity(fuzzy_graph(graph), counts)
    prominence = Prominence(others, graph.distances[:, 1:], counts)

    def merit(clustering: Clustering) -> float:
        filled = nearest_clusters(clustering.labels, others, vectors)
        return quality(filled)[0] * prominence(filled).mean

    return max(found, key=merit)
