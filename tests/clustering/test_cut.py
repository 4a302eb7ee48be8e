"""The choice of the cut: it finds the clouds, is unreliable without any, and repeats."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fast_hdbscan.hdbscan import compute_minimum_spanning_tree
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from latentviz.clustering.cut import choose_cut
from latentviz.clustering.following import nodes_like
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.umap_layout import fuzzy_graph, umap_reduce


def choice(points: np.ndarray, layouts: int = 2, earlier: np.ndarray | None = None):
    """Returns the choice among layouts that are the points themselves, slightly shaken."""
    random = np.random.default_rng(1)
    graph = neighbours(points, 15)
    shaken = [(points + 0.01 * random.normal(size=points.shape)).astype(np.float32) for _ in range(layouts)]
    return choose_cut([shaken], fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:], earlier=earlier)


def clouds(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    cloud = np.repeat(np.arange(len(sizes)), sizes)
    centres = 15 * np.stack([np.cos(cloud), np.sin(cloud)], axis=1)
    return (centres + random.normal(size=(len(cloud), 2))).astype(np.float32), cloud


@pytest.mark.parametrize("sizes", [(100, 100), (150, 80, 60), (80, 70, 60, 50, 40)])
def test_it_finds_the_clouds_that_are_there(sizes: tuple[int, ...]) -> None:
    points, cloud = clouds(sizes)
    chosen = choice(points)
    assert chosen.cut.scores.clusters == len(sizes)
    assert chosen.reliable
    for number in range(len(sizes)):
        inside = chosen.cut.filled[cloud == number]
        assert np.bincount(inside[inside >= 0]).max() > 0.95 * sizes[number]


def test_earlier_clusters_decide_among_the_cuts() -> None:
    """Six clouds in three pairs can be three clusters or six; half of the items and a seventh cloud are new."""
    random = np.random.default_rng(0)
    pair = np.repeat(np.arange(3), 200)
    cloud = 2 * pair + np.tile([0, 1], 300)
    centres = np.stack([40 * pair + 7 * (cloud % 2), 0 * pair], axis=1)
    points = np.concatenate([centres + random.normal(size=(600, 2)), random.normal((20, 60), size=(100, 2))])
    known = np.concatenate([random.random(600) < 0.5, np.zeros(100, bool)])
    for truth, clusters in ((pair, 3), (cloud, 6)):
        earlier = np.where(known, np.append(truth, [0] * 100), -1).astype(np.int32)
        chosen = choice(points.astype(np.float32), earlier=earlier).cut
        assert adjusted_rand_score(truth, chosen.filled[:600]) > 0.95
        assert chosen.scores.clusters == clusters + 1


def gaussian(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=(600, 4))


def square(random: np.random.Generator) -> np.ndarray:
    return random.uniform(size=(800, 2))


def ring(random: np.random.Generator) -> np.ndarray:
    angle = random.uniform(0, 2 * np.pi, 800)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.02 * random.normal(size=(800, 2))


def roll(random: np.random.Generator) -> np.ndarray:
    turn = 1.5 * np.pi * (1 + 2 * random.uniform(size=800))
    return np.stack([turn * np.cos(turn), 21 * random.uniform(size=800), turn * np.sin(turn)], axis=1)


@pytest.mark.parametrize("cloud", [gaussian, square, ring, roll])
def test_one_cloud_gives_no_clusters_to_rely_on(cloud: Callable[[np.random.Generator], np.ndarray]) -> None:
    """A layout tears them apart; in the vectors, the cuts through them are as dense as the rest."""
    mu = cloud(np.random.default_rng(0)).astype(np.float32)
    graph = neighbours(mu, 15)
    layouts = [umap_reduce(mu, graph, 2, seed=seed) for seed in range(2)]
    chosen = choose_cut([layouts], fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])
    assert not chosen.reliable
    assert all(row.distinct < 0.5 for row in chosen.sweep if row.clusters > 5)


def test_texts_in_eight_scripts_are_eight_clusters_to_rely_on() -> None:
    """Counts of characters, of which texts in different scripts share only spaces."""
    random, script = np.random.default_rng(0), np.repeat(np.arange(8), 40)
    counts = np.zeros((320, 8 * 20 + 1), np.float32)
    for row, number in enumerate(script):
        letters = 20 * number + np.minimum(random.geometric(0.15, 60) - 1, 19)
        counts[row] = np.bincount(letters, minlength=161)
        counts[row, -1] = random.integers(5, 15)
    vectors = np.sqrt(counts)
    graph = neighbours(vectors, 15)
    layouts = [umap_reduce(vectors, graph, 2, seed=seed) for seed in range(2)]
    chosen = choose_cut([layouts], fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])
    assert chosen.reliable
    assert chosen.cut.scores.distinct == 1
    assert adjusted_rand_score(script, chosen.cut.filled) == 1


def test_few_items_are_not_cut_up() -> None:
    """Iris has three kinds, two of which overlap: six clusters were too many, and the verdict knows that of five."""
    vectors = load_iris().data.astype(np.float32)
    graph = neighbours(vectors, 15)
    layouts = [umap_reduce(vectors, graph, 2, seed=seed) for seed in range(3)]
    chosen = choose_cut([layouts], fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])
    assert 2 <= chosen.cut.scores.clusters <= 5
    assert chosen.reliable == (chosen.cut.scores.clusters == 2)
    assert adjusted_rand_score(load_iris().target, chosen.cut.filled) > 0.5


@pytest.mark.parametrize(("apart", "asked"), [(True, 1), (False, 3)])
def test_more_layouts_are_asked_for_as_long_as_they_disagree(apart: bool, asked: int) -> None:
    points = clouds((80, 70, 60, 50, 40))[0] if apart else gaussian(np.random.default_rng(0)).astype(np.float32)
    graph = neighbours(points, 15)
    seen: list[int] = []

    def groups() -> Iterator[list[np.ndarray]]:
        for seeds in ((0, 1), (2,), (3,)):
            seen.append(len(seeds))
            yield [umap_reduce(points, graph, 2, seed=seed) for seed in seeds]

    chosen = choose_cut(groups(), fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])
    assert len(seen) == asked
    assert {row.layout for row in chosen.sweep} == set(range(sum(seen)))
    layout = umap_reduce(points, graph, 2, seed=chosen.cut.scores.layout)
    assert chosen.points.tobytes() == layout.tobytes()


def test_a_cut_that_one_layout_alone_has_is_not_chosen() -> None:
    """Two layouts show three clouds, one has two of them as one."""
    points, cloud = clouds((100, 80, 60))
    graph = neighbours(points, 15)
    joined = points.copy()
    joined[cloud == 1] += joined[cloud == 0].mean(0) - joined[cloud == 1].mean(0)
    groups = [[joined, points, points[:, ::-1].copy()]]
    chosen = choose_cut(groups, fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])
    assert chosen.cut.scores.layout > 0
    assert adjusted_rand_score(cloud, chosen.cut.filled) > 0.95


def test_a_cut_that_several_layouts_repeat_is_chosen_before_a_mixture_of_cuts() -> None:
    """Layouts of two moons differ: of these seven, three are cut into the two, the others into 4 to 18 pieces."""
    from sklearn.datasets import make_moons

    points, moon = make_moons(1_000, noise=0.05, random_state=0)
    points = points.astype(np.float32)
    graph = neighbours(points, 15)
    groups = ([umap_reduce(points, graph, 2, seed=seed) for seed in seeds] for seeds in ((0, 1, 2), (3, 4), (5, 6)))
    chosen = choose_cut(groups, fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])
    assert {row.layout for row in chosen.sweep} == set(range(7))
    assert adjusted_rand_score(moon, chosen.cut.filled) == 1


def test_the_same_layouts_give_the_same_cut() -> None:
    points, _ = clouds((100, 60))
    first, again = choice(points).cut, choice(points).cut
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.scores == again.scores


def test_every_cut_that_was_looked_at_is_kept_and_one_layout_is_enough() -> None:
    points, _ = clouds((100, 60))
    chosen = choice(points, layouts=1)
    assert chosen.agreement is None
    assert chosen.cut.scores in chosen.sweep
    assert len(chosen.cut.labels) == len(chosen.cut.probabilities) == len(chosen.cut.filled) == 160
    assert (chosen.cut.probabilities[chosen.cut.labels == -1] == 0).all()


def test_the_tree_is_cut_where_earlier_clusters_were() -> None:
    """No single size cuts the first pair of clouds in two and leaves the second whole."""
    random = np.random.default_rng(0)
    cloud = np.repeat(np.arange(4), 150)
    centres = np.array([[0, 0], [7, 0], [40, 0], [47, 0]])
    points = (centres[cloud] + random.normal(size=(600, 2))).astype(np.float32)
    for truth in (np.array([0, 1, 2, 2]), np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1])):
        earlier = np.where(random.random(600) < 0.5, truth[cloud], -1)
        tree = compute_minimum_spanning_tree(points, min_samples=5, reproducible=True)[0]
        labels, strengths = nodes_like(earlier, tree, 20)
        assert adjusted_rand_score(truth[cloud], labels) > 0.95
        assert (strengths[labels < 0] == 0).all()
