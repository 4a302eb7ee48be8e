"""From μ (n, d) to coordinates (n, k): one nearest-neighbour graph, then UMAP or PCA as often as needed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from latentviz.errors import choose

EXACT_BELOW = 8192  # items; up to here all distances are cheaper than building an index


class Neighbours(NamedTuple):
    """The nearest neighbours of every item, itself first.

    Attributes:
        indices: int32 (n, k).
        distances: float32 (n, k), ascending.
    """

    indices: np.ndarray
    distances: np.ndarray


def neighbours(mu: np.ndarray, k: int, *, metric: str = "euclidean", seed: int = 0) -> Neighbours:
    """Returns the k nearest neighbours of each row of `mu` (n, d), each row its own first neighbour.

    Exact for up to 8,192 items; above, by nearest-neighbour descent (Dong et al. 2011, in pynndescent).
    """
    if len(mu) <= EXACT_BELOW:
        from sklearn.neighbors import NearestNeighbors

        distances, indices = NearestNeighbors(n_neighbors=k, metric=metric).fit(mu).kneighbors(mu)
        return Neighbours(indices.astype(np.int32), distances.astype(np.float32))
    from pynndescent import NNDescent

    index = NNDescent(np.ascontiguousarray(mu), metric=metric, n_neighbors=k, random_state=seed, n_jobs=-1,
                      low_memory=True, compressed=False)
    indices, distances = index.neighbor_graph
    return Neighbours(indices.astype(np.int32), distances.astype(np.float32))


def umap_reduce(mu: np.ndarray, graph: Neighbours, n_components: int, *, min_dist: float = 0.0, seed: int = 0,
                metric: str = "euclidean", repeatable: bool = True) -> np.ndarray:
    """Returns UMAP coordinates, float32 (n, k) (McInnes, Healy & Melville 2018).

    Args:
        mu: float32 (n, d).
        graph: the neighbours of each row.
        n_components: k.
        min_dist: how close points may come; 0 packs clusters tightly.
        seed: of the layout's random draws.
        metric: the distance that `graph` was found with.
        repeatable: the same seed gives the same coordinates, on one core; else all cores.
    """
    import warnings

    from umap import UMAP

    n, k = graph.indices.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reducer = UMAP(n_neighbors=k, n_components=n_components, min_dist=min_dist, metric=metric,
                       random_state=seed if repeatable else None, n_jobs=1 if repeatable else -1,
                       precomputed_knn=(graph.indices, graph.distances, None),
                       init="spectral" if n > n_components + 2 else "random")
        coordinates: np.ndarray = reducer.fit_transform(mu)
    return coordinates.astype(np.float32)


def pca_reduce(mu: np.ndarray, graph: Neighbours, n_components: int, **_: Any) -> np.ndarray:
    """Returns the first principal components, float32 (n, k); fewer than k dimensions are filled with zeros."""
    del graph
    centred = mu - mu.mean(axis=0)
    covariance = centred.T @ centred / len(mu)
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    axes = vectors[:, np.argsort(-values)[:n_components]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # a sign that does not flip
    coordinates = np.zeros((len(mu), n_components), np.float32)
    coordinates[:, : axes.shape[1]] = centred @ axes
    return coordinates


REDUCERS: Mapping[str, Callable[..., np.ndarray]] = {"umap": umap_reduce, "pca": pca_reduce}


def reduce(method: str, mu: np.ndarray, graph: Neighbours, n_components: int, **settings: Any) -> np.ndarray:
    """Returns coordinates, float32 (n, k), by the named method of `REDUCERS`."""
    return choose(REDUCERS, method, "reduce.method")(mu, graph, n_components, **settings)
