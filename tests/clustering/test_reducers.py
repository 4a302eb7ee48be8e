"""Coordinates: structure and seeds; small and degenerate data."""

import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.reducers import choose_backend, directions, layouts, pca_reduce, reduce
from latentviz.clustering.umap_layout import EPOCHS, import_umap, umap_reduce
from latentviz.errors import ConfigError


def blobs(n: int = 120, d: int = 6, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Returns points (n, d) in k far-apart clouds, and the cloud of each."""
    random = np.random.default_rng(0)
    cloud = np.arange(n) % k
    return (10 * np.eye(k, d)[cloud] + random.normal(size=(n, d))).astype(np.float32), cloud


def separation(points: np.ndarray, cloud: np.ndarray) -> float:
    """Returns the share of items whose nearest other item is of their cloud."""
    return float((cloud[neighbours(points, 2).indices[:, 1]] == cloud).mean())


@pytest.mark.parametrize("method", ["umap", "pca"])
def test_clouds_stay_apart(method: str) -> None:
    vectors, cloud = blobs()
    assert separation(reduce(method, vectors, neighbours(vectors, 15), 2), cloud) > 0.95


def test_umap_obeys_its_seed() -> None:
    vectors, _ = blobs()
    graph = neighbours(vectors, 10)
    first, again, other = (umap_reduce(vectors, graph, 2, seed=seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("count", [1, 9])  # groups so far apart that no neighbours connect them
@pytest.mark.parametrize("k", [2, 3])
def test_layouts_side_by_side_are_those_of_umap_itself(count: int, k: int) -> None:
    vectors, _ = blobs(40 * count)
    vectors += 1e3 * np.arange(count, dtype=np.float32).repeat(40)[:, None]
    graph = neighbours(vectors, 8)
    found = layouts("umap", vectors, graph, k, [range(2), [2]], min_dist=0.1, backend="cpu")
    for seed, points in enumerate(points for group in found for points in group):
        known = (graph.indices.copy(), graph.distances.copy(), None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            umap = import_umap().UMAP(8, k, n_epochs=EPOCHS, min_dist=0.1, random_state=seed, precomputed_knn=known)
            alone = umap.fit(vectors)
        assert points.tobytes() == alone.embedding_.tobytes()


@pytest.mark.parametrize("n", [16, 17, 20])
@pytest.mark.parametrize("k", [1, 2, 10, 15, 30])
def test_umap_works_on_hardly_any_items(n: int, k: int) -> None:
    vectors, _ = blobs(n)
    points = umap_reduce(vectors, neighbours(vectors, min(15, n - 1)), k)
    assert points.shape == (n, k)
    assert np.isfinite(points).all()


def test_umap_survives_duplicates() -> None:
    vectors = np.repeat(blobs(10)[0], 8, axis=0)
    points = umap_reduce(vectors, neighbours(vectors, 15), 2)
    assert np.isfinite(points).all()


def test_umap_does_not_write_into_what_it_is_given() -> None:
    vectors, _ = blobs(40)
    graph = neighbours(vectors, 5)
    before = vectors.copy(), graph.indices.copy(), graph.distances.copy()
    umap_reduce(vectors, graph, 2)
    for one, other in zip(before, (vectors, *graph), strict=True):
        assert np.array_equal(one, other)


def test_pca_finds_the_direction_of_most_variance() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(200, 5)) * [0.1, 5, 0.1, 1, 0.1]).astype(np.float32)
    points = pca_reduce(vectors, neighbours(vectors, 2), 2)
    assert abs(np.corrcoef(points[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(points[:, 1], vectors[:, 3])[0, 1]) > 0.99
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-4)


def test_pca_keeps_distances_when_nothing_is_dropped() -> None:
    vectors, _ = blobs(30, d=4)
    points = pca_reduce(vectors, neighbours(vectors, 2), 4)
    np.testing.assert_allclose(neighbours(points, 5).distances, neighbours(vectors, 5).distances, rtol=1e-3, atol=1e-3)


def test_pca_of_fewer_dimensions_than_asked_for_is_filled_with_zeros() -> None:
    vectors, _ = blobs(30, d=3)
    points = pca_reduce(vectors, neighbours(vectors, 2), 5)
    assert points.shape == (30, 5)
    assert (points[:, 3:] == 0).all()


def test_directions_of_the_cosine_have_unit_length() -> None:
    vectors, _ = blobs(20)
    vectors[3] = 0
    unit = directions(vectors, "cosine")
    lengths = np.linalg.norm(unit, axis=1)
    np.testing.assert_allclose(np.delete(lengths, 3), 1, rtol=1e-5)
    assert np.isfinite(unit).all()
    assert np.array_equal(directions(vectors, "euclidean"), vectors)


def test_an_unknown_method_is_refused_with_the_nearest_name() -> None:
    vectors, _ = blobs(20)
    with pytest.raises(ConfigError, match=r"reduce\.method: unknown value 'umpa'.* Did you mean 'umap'\?"):
        reduce("umpa", vectors, neighbours(vectors, 5), 2)


class FakeUMAP:
    """cuml's UMAP as far as it is called; there is no GPU to test on."""

    asked: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **settings: Any) -> None:
        self.asked.append(settings)

    def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
        return vectors[:, :2].astype(np.float64)


def test_cuml_is_given_the_same_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    package, manifold = ModuleType("cuml"), ModuleType("cuml.manifold")
    manifold.UMAP = FakeUMAP
    package.__spec__ = ModuleSpec("cuml", None)
    monkeypatch.setitem(sys.modules, "cuml", package)
    monkeypatch.setitem(sys.modules, "cuml.manifold", manifold)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert choose_backend("auto") == choose_backend("cuml") == "cuml"
    assert choose_backend("cpu") == "cpu"
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    graph = neighbours(vectors, 5)
    found = next(layouts("umap", vectors, graph, 2, [[3, 4]], backend="cuml", min_dist=0.1))
    assert [coordinates.dtype for coordinates in found] == [np.float32, np.float32]
    assert [settings["random_state"] for settings in FakeUMAP.asked] == [3, 4]
    indices, distances = FakeUMAP.asked[0]["precomputed_knn"]
    assert indices is graph.indices
    assert distances is graph.distances
    assert FakeUMAP.asked[0]["n_neighbors"] == 5
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_backend("auto") == "cpu"
    with pytest.raises(ConfigError, match=r"reduce\.backend: cuml needs a GPU"):
        choose_backend("cuml")


def test_without_cuml_the_processor_does_it() -> None:
    assert choose_backend("auto") == "cpu"
    with pytest.raises(ConfigError, match=r"reduce\.backend: cuml needs the package cuml"):
        choose_backend("cuml")
