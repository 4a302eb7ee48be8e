"""The network that lays items out: structure, seeds, and rows that do not depend on each other."""

import numpy as np
import pytest

from latentviz.clustering.landmarks import FrozenLayout
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.network import Network
from latentviz.clustering.parametric import fit_network
from latentviz.clustering.umap_layout import umap_reduce
from latentviz.runs.tables import are_layers


@pytest.fixture(scope="module")
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Returns 300 vectors (n, 6) in three clouds, float32, and the cloud of each."""
    random = np.random.default_rng(0)
    cloud = np.arange(300) % 3
    return (8 * np.eye(3, 6)[cloud] + random.normal(size=(300, 6))).astype(np.float32), cloud


@pytest.fixture(scope="module")
def network(clouds: tuple[np.ndarray, np.ndarray]) -> Network:
    """Returns a network trained on half of them."""
    vectors = clouds[0][:150]
    return fit_network(vectors, neighbours(vectors, 10), 2, min_dist=0.3)


def kept(points: np.ndarray, vectors: np.ndarray, k: int = 10) -> float:
    """Returns the share of the k nearest neighbours that stay."""
    near, of = neighbours(points, k + 1).indices[:, 1:], neighbours(vectors, k + 1).indices[:, 1:]
    return float(np.mean([len(np.intersect1d(*pair)) for pair in zip(near, of, strict=True)]) / k)


def test_it_keeps_as_many_neighbours_as_umap_and_new_items_land_in_their_cloud(
    clouds: tuple[np.ndarray, np.ndarray], network: Network
) -> None:
    vectors, cloud = clouds
    coordinates, points = network(vectors)
    old = vectors[:150]
    umap = umap_reduce(old, neighbours(old, 10), 2, min_dist=0.3)
    assert kept(np.ascontiguousarray(points[:150]), old) > 0.9 * kept(umap, old)
    for laid in (coordinates, points):
        centres = np.stack([laid[:150][cloud[:150] == number].mean(axis=0) for number in range(3)])
        near = np.linalg.norm(laid[150:, None] - centres, axis=2).argmin(axis=1)
        assert (near == cloud[150:]).mean() > 0.97


def test_the_same_seed_gives_the_same_network(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    vectors = clouds[0][:80]
    graph = neighbours(vectors, 8)
    first, again, other = (fit_network(vectors, graph, 2, seed=seed).arrays() for seed in (1, 1, 2))
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert first["weights0"].tobytes() != other["weights0"].tobytes()


def test_a_row_alone_is_laid_out_as_among_many(clouds: tuple[np.ndarray, np.ndarray], network: Network) -> None:
    many = np.tile(clouds[0], (10, 1))
    whole = np.concatenate(network(many), axis=1)
    for row in (0, 7, 2_047, 2_048, 2_999):
        assert np.concatenate(network(many[row : row + 1]), axis=1).tobytes() == whole[row].tobytes()
    assert network(many[:0])[0].shape == (0, 2)


@pytest.mark.parametrize(("k", "min_dist", "outputs"), [(2, 0.0, 2), (2, 0.3, 4), (5, 0.0, 7)])
def test_what_is_clustered_and_the_map_are_outputs_of_one_network(
    clouds: tuple[np.ndarray, np.ndarray], k: int, min_dist: float, outputs: int
) -> None:
    vectors = clouds[0][:60]
    found = fit_network(vectors, neighbours(vectors, 8), k, min_dist=min_dist)
    coordinates, points = found(vectors)
    assert (coordinates.shape, points.shape) == ((60, k), (60, 2))
    arrays = found.arrays()
    assert arrays["biases3"].shape == (outputs,)
    assert are_layers(arrays, k)
    again = Network.of_arrays(arrays, k)(vectors)
    assert np.array_equal(again[0], coordinates)
    assert np.array_equal(again[1], points)


def test_arrays_that_are_no_layers_are_known(network: Network) -> None:
    arrays = network.arrays()
    assert are_layers(arrays, 2)
    assert not are_layers({}, 2)
    assert not are_layers(arrays, 3)
    assert not are_layers({**arrays, "more": arrays["biases0"]}, 2)
    assert not are_layers({**arrays, "biases0": arrays["biases0"][1:]}, 2)
    assert not are_layers({**arrays, "weights1": arrays["weights1"][1:]}, 2)
    assert not are_layers({**arrays, "biases1": arrays["biases1"] * np.float32(np.nan)}, 2)
    assert not are_layers({**arrays, "biases1": arrays["biases1"].astype(np.float64)}, 2)


def test_a_frozen_layout_places_by_it_and_equal_items_on_top(
    clouds: tuple[np.ndarray, np.ndarray], network: Network
) -> None:
    vectors = clouds[0]
    coordinates, points = network(vectors[:150])
    columns = {
        "cluster": clouds[1][:150].astype(np.int32),
        "nearest_cluster": clouds[1][:150].astype(np.int32),
        "probability": np.ones(150, np.float32),
        "outlier_score": np.zeros(150, np.float32),
    }
    moved = points.copy()
    moved[3] += 5  # where it was put, whatever the network says
    frozen = FrozenLayout(vectors[:150], moved, coordinates, columns, 5, network=network)
    _, found = frozen.place(vectors[[3, 200, 250]])
    assert np.array_equal(found["points"][0], moved[3])
    assert np.array_equal(found["points"][1:], network(vectors[[200, 250]])[1])
    assert found["cluster"].tolist()[1:] == clouds[1][[200, 250]].tolist()
