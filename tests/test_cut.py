"""The choice of the cut: the clouds that are there, no confidence where there are none, the same each time."""

import numpy as np
import pytest

from latentviz.cut import choose_cut
from latentviz.neighbours import neighbours
from latentviz.reduce import fuzzy_graph, umap_reduce


def choice(points: np.ndarray, layouts: int = 2):
    """Returns the choice among layouts that are the points themselves, slightly shaken."""
    random = np.random.default_rng(1)
    graph = neighbours(points, 15)
    shaken = [(points + 0.01 * random.normal(size=points.shape)).astype(np.float32) for _ in range(layouts)]
    return choose_cut(shaken, fuzzy_graph(graph), graph.indices[:, 1:])


def clouds(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    cloud = np.repeat(np.arange(len(sizes)), sizes)
    centres = 15 * np.stack([np.cos(cloud), np.sin(cloud)], axis=1)
    return (centres + random.normal(size=(len(cloud), 2))).astype(np.float32), cloud


@pytest.mark.parametrize("sizes", [(100, 100), (150, 80, 60), (80, 70, 60, 50, 40)])
def test_it_finds_the_clouds_that_are_there(sizes: tuple[int, ...]) -> None:
    points, cloud = clouds(sizes)
    chosen = choice(points)
    assert chosen.cut.k == len(sizes)
    assert chosen.reliable
    for number in range(len(sizes)):
        inside = chosen.cut.filled[cloud == number]
        assert np.bincount(inside[inside >= 0]).max() > 0.95 * sizes[number]


def test_one_cloud_gives_no_clusters_to_rely_on() -> None:
    """In many dimensions, as μ has; in two, any cloud's neighbour graph falls into parts that hang together."""
    mu = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
    graph = neighbours(mu, 15)
    layouts = [umap_reduce(mu, graph, 2, seed=seed) for seed in range(2)]
    assert not choose_cut(layouts, fuzzy_graph(graph), graph.indices[:, 1:]).reliable


def test_the_same_layouts_give_the_same_cut() -> None:
    points, _ = clouds((100, 60))
    first, again = choice(points).cut, choice(points).cut
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.row() == again.row()


def test_every_cut_that_was_looked_at_is_kept_and_one_layout_is_enough() -> None:
    points, _ = clouds((100, 60))
    chosen = choice(points, layouts=1)
    assert chosen.agreement is None
    assert chosen.cut.row() in list(chosen.sweep)
    assert len(chosen.cut.labels) == len(chosen.cut.probabilities) == len(chosen.cut.filled) == 160
    assert (chosen.cut.probabilities[chosen.cut.labels == -1] == 0).all()
