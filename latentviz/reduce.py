"""From μ (n, d) to coordinates (n, k): one nearest-neighbour graph, then UMAP or PCA as often as needed."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from latentviz.errors import choose
from latentviz.neighbours import Neighbours


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
    code = ("import os, numpy as np; getattr(os, 'nice', abs)(15); "
            "from latentviz.neighbours import neighbours; from latentviz.reduce import umap_reduce; "
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
