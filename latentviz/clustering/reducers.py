"""From μ (n, d) to coordinates (n, k) by one nearest-neighbour graph: a table of methods, or an object."""

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from latentviz.clustering.neighbors import Neighbours
from latentviz.clustering.umap_layout import EPOCHS, import_umap, umap_layouts, umap_reduce
from latentviz.config.methods import Reduces, chosen, named, needs_extra
from latentviz.errors import ConfigError, message_of


def directions(mu: np.ndarray, metric: str) -> np.ndarray:
    """Returns the vectors to lay out, float32 (n, d): μ itself, or for "cosine" μ scaled to unit length.

    The Euclidean distance of unit vectors, √(2 − 2·cosine), orders pairs like the cosine.
    """
    vectors = np.ascontiguousarray(mu, np.float32)
    if metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def densmap_reduce(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    *,
    min_dist: float = 0.0,
    seed: int = 0,
    repeatable: bool = True,
    **_: object,
) -> np.ndarray:
    """Lays items out with densMAP, float32 (n, k): as UMAP, and sparse regions take more room (Narayan et al. 2021).

    Args:
        vectors: float32 (n, d), compared by Euclidean distance.
        graph: the neighbours of each row.
        n_components: k.
        min_dist: least distance of points.
        seed: of the layout's random draws.
        repeatable: the same seed gives the same coordinates, on one core; else all cores.
    """
    n, k = graph.indices.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reducer = import_umap().UMAP(
            k,
            n_components,
            n_epochs=EPOCHS,
            min_dist=min_dist,
            densmap=True,
            init="spectral" if n > n_components + 2 else "random",
            random_state=seed if repeatable else None,
            precomputed_knn=(graph.indices.copy(), graph.distances.copy(), None),
        )
        return np.asarray(reducer.fit_transform(vectors.copy()), np.float32)


def tsne_reduce(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    *,
    seed: int = 0,
    **_: object,
) -> np.ndarray:
    """Lays items out with t-SNE, float32 (n, k) (van der Maaten & Hinton 2008; openTSNE, Poličar et al. 2024).

    The perplexity is a third of the neighbours. Starts from the principal components (Kobak & Linderman 2021).

    Args:
        vectors: float32 (n, d), compared by Euclidean distance.
        graph: the neighbours of each row.
        n_components: k; 1 or 2.
        seed: of what is drawn.
    """
    with needs_extra("reduce.method", "tsne", "tsne"):
        from openTSNE import TSNE, affinity, initialization, nearest_neighbors
    if n_components > 2:
        raise ConfigError(
            f"reduce.n_components: tsne lays out in 1 or 2 dimensions (got {n_components}); choose reduce.method=umap"
        )
    others = graph.indices[:, 1:]
    known = nearest_neighbors.PrecomputedNeighbors(others.astype(np.int64), graph.distances[:, 1:].astype(np.float64))
    perplexity = max(1.0, others.shape[1] / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = initialization.rescale(pca_reduce(vectors, graph, n_components).astype(np.float64))
        start += np.random.default_rng(seed).normal(scale=1e-6, size=start.shape)
        similar = affinity.PerplexityBasedNN(perplexity=perplexity, knn_index=known, n_jobs=1)
        model = TSNE(n_components, n_jobs=1, random_state=seed, negative_gradient_method="auto")
        return np.asarray(model.fit(affinities=similar, initialization=start), np.float32)


def pacmap_reduce(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    *,
    seed: int = 0,
    **_: object,
) -> np.ndarray:
    """Lays items out with PaCMAP, float32 (n, k): near, middling and far pairs (Wang et al. 2021).

    Args:
        vectors: float32 (n, d), compared by Euclidean distance.
        graph: the neighbours of each row; its near pairs are chosen among them.
        n_components: k.
        seed: of the pairs and of what else is drawn.
    """
    with needs_extra("reduce.method", "pacmap", "pacmap"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pacmap
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = pacmap.PaCMAP(n_components, n_neighbors=min(10, graph.indices.shape[1] - 1), random_state=seed)
        missing = max(0, n_components - vectors.shape[1])  # it starts from k principal components
        return np.asarray(model.fit_transform(np.pad(vectors, ((0, 0), (0, missing))), init="pca"), np.float32)


def parametric_reduce(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    *,
    min_dist: float = 0.0,
    seed: int = 0,
    repeatable: bool = True,
    **_: object,
) -> np.ndarray:
    """Lays items out with a network that is trained on UMAP's graph; see `parametric.fit_network` for the arguments."""
    from latentviz.clustering.parametric import fit_network

    network = fit_network(vectors, graph, n_components, min_dist=min_dist, seed=seed, repeatable=repeatable)
    return network(vectors)[0]


def pca_reduce(mu: np.ndarray, graph: Neighbours, n_components: int, **_: object) -> np.ndarray:
    """Returns the first k principal components, float32 (n, k); of fewer than k dimensions the rest is zero."""
    del graph
    centred = mu - mu.mean(axis=0)
    covariance = centred.T @ centred / len(mu)
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    axes = vectors[:, np.argsort(-values)[:n_components]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # a fixed sign
    coordinates = np.zeros((len(mu), n_components), np.float32)
    coordinates[:, : axes.shape[1]] = centred @ axes
    return coordinates


def choose_backend(backend: str) -> str:
    """Returns "cuml" or "cpu"; for "auto" cuml if both the package and a GPU are available. cuml without them fails."""
    if backend == "cpu":
        return "cpu"
    missing = None if importlib.util.find_spec("cuml") else "the package cuml, see docs.rapids.ai/install"
    if missing is None:
        import torch

        missing = None if torch.cuda.is_available() else "a GPU that torch can use"
    if missing and backend == "cuml":
        raise ConfigError(f"reduce.backend: cuml needs {missing}; use auto or cpu")
    return "cpu" if missing else "cuml"


def object_reduce(vectors: np.ndarray, graph: Neighbours, n_components: int, *, given: Any, **_: object) -> np.ndarray:
    """Lays items out with an object's `fit_transform`, float32 (n, k); k is the object's.

    Raises:
        ConfigError: it fails, or does not return finite coordinates of each item.
    """
    del graph, n_components
    name = named(given)
    try:
        found = np.asarray(given.fit_transform(vectors), np.float32)
    except Exception as error:
        raise ConfigError(f"reduce.method: {name} failed ({message_of(error, 200)}); try it on result.mu") from error
    if found.ndim != 2 or len(found) != len(vectors) or not found.shape[1] or not np.isfinite(found).all():
        raise ConfigError(
            f"reduce.method: {name} must give finite coordinates of shape ({len(vectors)}, k) (got shape "
            f"{found.shape}); try its fit_transform on result.mu"
        )
    return found


REDUCERS: Mapping[str, Callable[..., np.ndarray]] = {
    "umap": umap_reduce,
    "densmap": densmap_reduce,
    "tsne": tsne_reduce,
    "pacmap": pacmap_reduce,
    "parametric": parametric_reduce,
    "pca": pca_reduce,
}


def reduce(
    method: str | Reduces, vectors: np.ndarray, graph: Neighbours, n_components: int, **settings: object
) -> np.ndarray:
    """Lays items out with the named method of `REDUCERS`, or an object, float32 (n, k)."""
    of_object: Callable[..., np.ndarray] = partial(object_reduce, given=method)
    run = chosen(REDUCERS, method, "reduce.method", of_object)
    return run(vectors, graph, n_components, **settings)


def layouts(
    method: str | Reduces,
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    groups: Sequence[Sequence[int]],
    **settings: Any,
) -> Iterator[list[np.ndarray]]:
    """Lays items out once per seed, float32 (n, k) each, a group of seeds at a time; UMAP's on one core each."""
    if method == "umap" and settings.get("backend") != "cuml":
        del settings["backend"]
        return umap_layouts(vectors, graph, n_components, groups, **settings)
    return ([reduce(method, vectors, graph, n_components, seed=seed, **settings) for seed in seeds] for seeds in groups)
