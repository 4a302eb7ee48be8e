"""From μ (n, d) to coordinates (n, k): one nearest-neighbour graph, then UMAP or PCA as often as needed."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from latentviz.errors import choose

# Up to here all distances are computed: exact, repeatable on any number of cores, and quicker than building an index.
EXACT_BELOW = 150_000
BLOCK_BYTES = 128 * 2**20  # of distances held at a time
CHUNK = 64  # columns whose least distance stands for them in the first pass
SPARE = 8  # candidates kept beyond k, since the first pass rounds


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

    Exact for up to 150,000 items; above, by nearest-neighbour descent (Dong et al. 2011, in pynndescent).

    Args:
        mu: float32 (n, d).
        k: neighbours of each row, itself included; less than n.
        metric: "euclidean", or "cosine" for 1 − cosine.
        seed: of the descent.
    """
    vectors = np.ascontiguousarray(mu, np.float32)
    if metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if len(mu) <= EXACT_BELOW:
        found = exact_neighbours(vectors, k)
    else:
        found = _descent(vectors, k, seed)
    # For unit vectors ‖a − b‖² = 2·(1 − cosine).
    return Neighbours(found.indices, found.distances**2 / 2) if metric == "cosine" else found


def exact_neighbours(vectors: np.ndarray, k: int) -> Neighbours:
    """Returns the k nearest rows of each row of `vectors` (n, d) by Euclidean distance, itself first.

    A block of all distances comes from one matrix product. Its columns are looked at in chunks of 64: only the k
    chunks with the least minima can hold one of the k nearest, so that the costly selection sees a few hundred
    candidates and not n. The distances that are returned are computed afresh from the differences.
    """
    from concurrent.futures import ThreadPoolExecutor

    from threadpoolctl import threadpool_limits

    n, _ = vectors.shape
    centred = vectors - vectors.mean(axis=0)
    chunks = -(-n // CHUNK)
    columns = np.zeros((chunks * CHUNK, vectors.shape[1]), np.float32)
    columns[:n] = centred
    offsets = np.full(chunks * CHUNK, np.inf, np.float32)
    offsets[:n] = np.einsum("ij,ij->i", centred, centred)
    indices, distances = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    height = max(1, min(n, BLOCK_BYTES // (4 * len(columns))))
    wanted = min(k + SPARE, n)

    def block(start: int) -> None:
        rows = slice(start, min(start + height, n))
        d = columns @ (-2 * centred[rows]).T  # (columns, rows): ‖y‖² − 2·x·y, which orders like ‖x − y‖²
        d += offsets[:, None]
        own = np.arange(rows.start, rows.stop)
        d[own, own - rows.start] = -np.inf
        least = d.reshape(chunks, CHUNK, -1).min(axis=1).T  # (rows, chunks)
        kept = min(wanted, chunks)
        near = np.argpartition(least, kept - 1, axis=1)[:, :kept]  # (rows, kept)
        candidates = (near[:, :, None] * CHUNK + np.arange(CHUNK)).reshape(len(own), -1)
        of = np.take_along_axis(d.T, candidates, axis=1)
        best = np.argpartition(of, wanted - 1, axis=1)[:, :wanted]
        best = np.take_along_axis(candidates, best, axis=1)  # (rows, wanted)
        exact = np.sqrt(np.square(vectors[best] - vectors[rows, None]).sum(-1))
        exact[best == own[:, None]] = -1  # an item is its own first neighbour, before its duplicates
        order = np.lexsort((best, exact), axis=1)[:, :k]
        indices[rows] = np.take_along_axis(best, order, axis=1)
        distances[rows] = np.take_along_axis(exact, order, axis=1).clip(0)

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(block, range(0, n, height)))
    return Neighbours(indices, distances)


def _descent(vectors: np.ndarray, k: int, seed: int) -> Neighbours:
    from pynndescent import NNDescent

    index = NNDescent(vectors, n_neighbors=k, random_state=seed, n_jobs=-1, low_memory=True, compressed=False)
    indices, distances = index.neighbor_graph
    return Neighbours(indices.astype(np.int32), distances.astype(np.float32))


def keep_compiled() -> None:
    """Makes numba keep on disk what it compiles of UMAP, which UMAP does not ask for itself: seconds a process."""
    import sys
    import warnings

    from numba.core.dispatcher import Dispatcher

    warnings.filterwarnings("ignore", message="Cannot cache compiled function", append=True)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "umap" and module is not None:
            for function in list(vars(module).values()):
                if isinstance(function, Dispatcher) and function.__module__ == name:
                    function.enable_caching()


def compile_in_background() -> None:
    """Starts a low-priority process that compiles UMAP to disk while something else, such as a training, goes on."""
    import subprocess
    import sys

    if os.environ.get("LATENTVIZ_COMPILE_AHEAD", "1") == "0":
        return
    code = ("import os, numpy as np; getattr(os, 'nice', abs)(15); from latentviz.reduce import *; "
            "x = np.random.default_rng(0).normal(size=(64, 4)).astype('float32'); "
            "umap_reduce(x, neighbours(x, 5), 2)")
    subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,  # noqa: S603
                     stderr=subprocess.DEVNULL, start_new_session=True)


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

    keep_compiled()
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
