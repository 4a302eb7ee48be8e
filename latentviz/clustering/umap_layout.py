"""UMAP on one nearest-neighbour graph: several layouts side by side, and the graph's symmetric weights."""

import itertools
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from latentviz.clustering.neighbors import Neighbours

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

EPOCHS = 200  # of UMAP, at each size; its 500 for up to 10,000 items are no better, see docs/experiments.md


def import_umap() -> ModuleType:
    """Imports umap without its warning about TensorFlow, and makes numba cache what it compiles for it.

    UMAP does not ask for the cache itself, which costs seconds in each process, nor to let other threads run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap
    from numba.core.dispatcher import Dispatcher

    warnings.filterwarnings("ignore", message="Cannot cache compiled function", append=True)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "umap" and module is not None:
            for function in list(vars(module).values()):
                if isinstance(function, Dispatcher) and function.__module__ == name:
                    function.enable_caching()
    _unlock(umap.layouts._nb_optimize_layout_euclidean_single_epoch)
    return cast("ModuleType", umap)


def _unlock(function: Any) -> None:
    """Lets other threads run during a compiled function; it is cached apart from the one that holds Python's lock."""
    key = function._cache._index_key
    function._cache._index_key = lambda signature, codegen: (*key(signature, codegen), "nogil")
    function.targetoptions["nogil"] = True


def umap_reduce(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    *,
    min_dist: float = 0.0,
    seed: int = 0,
    repeatable: bool = True,
    start: np.ndarray | None = None,
    backend: str = "cpu",
) -> np.ndarray:
    """Lays items out with UMAP, float32 (n, k) (McInnes, Healy & Melville 2018).

    Args:
        vectors: float32 (n, d), compared by Euclidean distance.
        graph: the neighbours of each row.
        n_components: k.
        min_dist: least distance of points; 0 packs clusters tightly.
        seed: of the layout's random draws.
        repeatable: the same seed gives the same coordinates, on one core; else all cores.
        start: float32 (n, k), initial coordinates; None: the graph's spectrum.
        backend: "cpu" for umap-learn, or "cuml".
    """
    if backend == "cuml":
        from cuml.manifold import UMAP

        n, k = graph.indices.shape
        reducer = UMAP(
            n_neighbors=k,
            n_components=n_components,
            min_dist=min_dist,
            random_state=seed if repeatable else None,
            init=start if start is not None else "spectral" if n > n_components + 2 else "random",
            output_type="numpy",
            precomputed_knn=(graph.indices, graph.distances),
        )
        return np.asarray(reducer.fit_transform(vectors), np.float32)
    return next(umap_layouts(vectors, graph, n_components, [[seed]], min_dist, repeatable, start))[0]


def umap_layouts(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    groups: Sequence[Sequence[int]],
    min_dist: float = 0.0,
    repeatable: bool = True,
    start: np.ndarray | None = None,
) -> Iterator[list[np.ndarray]]:
    """Lays items out once per seed, float32 (n, k) each, one core each; without `repeatable` on all cores, in turn.

    The same coordinates as those of `umap.UMAP(n_epochs=200)`, whose graph and spectrum are computed once for all
    groups of seeds. A group is laid out when it is asked for.
    """
    umap = import_umap().umap_
    weights, (a, b) = fuzzy_graph(graph), umap.find_ab_params(1.0, min_dist)
    states = [np.random.RandomState(seed if repeatable else None) for seeds in groups for seed in seeds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        starts = _starts(vectors, weights, n_components, states) if start is None else [start] * len(states)

    def one(number: int) -> np.ndarray:
        points, _ = umap.simplicial_set_embedding(
            vectors,
            weights,
            n_components,
            initial_alpha=1.0,
            a=a,
            b=b,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=EPOCHS,
            init=starts[number],
            random_state=states[number],
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
            parallel=not repeatable,
        )
        return np.asarray(points, np.float32)

    numbers = iter(range(len(states)))
    for seeds in groups:
        with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count() if repeatable else 1) as pool:
            warnings.simplefilter("ignore")
            found = list(pool.map(one, itertools.islice(numbers, len(seeds))))
        yield found


def _starts(
    vectors: np.ndarray, weights: "csr_matrix", k: int, states: Sequence[np.random.RandomState]
) -> list[np.ndarray | str]:
    """Returns where the layouts of a graph start: float32 (n, k) for each random state, which is advanced."""
    from scipy.sparse.csgraph import connected_components
    from umap.distances import euclidean
    from umap.spectral import spectral_layout
    from umap.umap_ import noisy_scale_coords

    n = len(vectors)
    if n <= k + 2:
        return ["random"] * len(states)
    kept = weights.tocoo()
    kept.sum_duplicates()
    kept.data[kept.data < kept.data.max() / EPOCHS] = 0  # drawn less than once
    kept.eliminate_zeros()
    connected, spectrum, starts = connected_components(kept)[0] == 1, None, []
    for state in states:
        if spectrum is None or not connected:
            spectrum = spectral_layout(vectors, kept, k, state, metric=euclidean)
        else:
            state.normal(size=(n, k + 1))  # UMAP draws this for a solver that then starts from ones
        starts.append(noisy_scale_coords(spectrum, state))
    return starts


def fuzzy_graph(graph: Neighbours) -> "csr_matrix":
    """Returns UMAP's symmetric weights between neighbours, sparse (n, n) (McInnes et al. 2018, section 3.1)."""
    umap = import_umap()
    n, k = graph.indices.shape
    unread = np.empty((n, 1), np.float32)
    weights, *_ = umap.umap_.fuzzy_simplicial_set(
        unread, k, np.random.RandomState(0), "euclidean", knn_indices=graph.indices, knn_dists=graph.distances
    )
    return weights.tocsr()
