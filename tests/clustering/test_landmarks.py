"""Landmarks: placing the other items gives what laying out all of them gives, and later commands work."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

import latentviz as lv
from latentviz.clustering import landmarks
from latentviz.clustering.cut import nearest_clusters
from latentviz.clustering.density import hdbscan_cluster
from latentviz.clustering.landmarks import Layout
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.tree import condensed_tree
from latentviz.runs.run import RunFolder
from latentviz.stages import layout as layout_stage

N, LAID = 3_000, 900


@pytest.fixture(scope="module")
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Returns items in eight clouds of several sizes, float32 (n, 2), and the cloud of each."""
    random = np.random.default_rng(0)
    group = random.choice(8, N, p=np.arange(1, 9) / 36)
    centres = np.stack([np.cos(np.arange(8) * 0.785), np.sin(np.arange(8) * 0.785)], axis=1) * 10
    return (centres[group] + random.normal(size=(N, 2))).astype(np.float32), group


ROWS = landmarks.choose(N, LAID, 0)


@pytest.fixture(scope="module")
def spread(clouds: tuple[np.ndarray, np.ndarray]) -> Layout:
    """The layout of all items, of which the landmarks are clustered."""
    vectors, _ = clouds
    laid = vectors[ROWS]
    graph = neighbours(laid, 15)
    found = hdbscan_cluster(laid, min_cluster_size=15, min_samples=5)
    nearest = nearest_clusters(found.labels, graph.indices[:, 1:], vectors)
    return landmarks.spread(ROWS, vectors, Layout(laid * 2, laid, graph.indices[:, 1:], found, nearest))


def test_the_sample_is_seeded_and_none_where_all_are_laid_out() -> None:
    assert landmarks.choose(100, 0, 0) is None
    assert landmarks.choose(100, 100, 0) is None
    rows = landmarks.choose(100, 40, 3)
    assert len(set(rows.tolist())) == 40
    assert (np.diff(rows) > 0).all()
    held_out = np.random.default_rng(3).permutation(100)[:40]  # as the data kinds split
    assert len(np.intersect1d(rows, held_out)) < 30
    assert rows.tolist() == landmarks.choose(100, 40, 3).tolist() != landmarks.choose(100, 40, 4).tolist()


def test_the_clusters_are_those_of_all_items(clouds: tuple, spread: Layout) -> None:
    vectors, group = clouds
    whole = hdbscan_cluster(vectors, min_cluster_size=50, min_samples=5)
    filled = nearest_clusters(whole.labels, neighbours(vectors, 15).indices[:, 1:], vectors)
    assert whole.k == spread.clusters.k == 8
    assert adjusted_rand_score(group, spread.nearest) > adjusted_rand_score(group, filled) - 0.01
    assert abs(spread.clusters.noise_share - whole.noise_share) < 0.05


def test_landmarks_stay_and_the_others_lie_next_to_them(clouds: tuple, spread: Layout) -> None:
    vectors, _ = clouds
    rows, others = ROWS, np.setdiff1d(np.arange(N), ROWS)
    assert np.array_equal(spread.coordinates[rows], vectors[rows])
    assert np.array_equal(spread.points[rows], vectors[rows] * 2)
    away = np.linalg.norm(spread.coordinates[others] - vectors[others], axis=1)
    assert np.median(away) < 0.3, "the coordinates are the vectors here, so that an item belongs where it is"
    assert set(spread.neighbours.ravel().tolist()) <= set(rows.tolist())
    assert (np.diff(np.bincount(spread.clusters.labels[spread.clusters.labels >= 0])) <= 0).all(), "largest first"
    for number, some in spread.clusters.exemplars.items():
        assert (spread.clusters.labels[list(some)] == number).all()
    assert set(spread.clusters.persistence) == set(range(8))
    assert spread.clusters.settings["min_cluster_size"] == 50, "in items, not in landmarks"


def test_the_tree_holds_the_landmarks_and_every_cluster_is_a_node(spread: Layout) -> None:
    tree = condensed_tree(spread.clusters.raw_tree, spread.clusters.labels, spread.points)
    assert set(tree[0]["rows"].tolist()) <= set(ROWS.tolist())
    assert (len(tree[0]["rows"]), tree[0]["size"]) == (LAID, N), "sizes are of all items"
    assert {node["parent"] for node in tree[1:]} <= {node["node"] for node in tree}
    first = int(spread.clusters.raw_tree["parent"].min())
    assert first == N
    assert {row["child"] - first for row in spread.clusters.tree} <= {float(node["node"]) for node in tree}


def test_a_run_clustered_by_landmarks(shell: Callable, run_folder: Path) -> None:
    settings = ["reduce.landmarks=120", "reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3"]
    outcome = shell("cluster", run_folder, *settings)
    assert outcome.code == 0, outcome.err
    assert "120 of 200 items were laid out, the others placed next to their neighbours" in outcome.out
    run = RunFolder.open(run_folder)
    folder = run.clustering()
    assert folder.config().reduce.landmarks == 120
    assert len(folder.landmarks()) == folder.info()["n_landmarks"] == 120
    points = folder.points().to_pandas()
    assert len(points) == 200
    assert np.isfinite(points[["x", "y", "probability", "outlier_score"]].to_numpy()).all()
    assert set(points["cluster"]) == {0, 1, 2}

    images = run_folder / "again.npy"
    np.save(images, np.load(run.cache / "images.npy")[:, 0])
    again = lv.encode(run_folder, images).points
    for name in ("x", "y", "probability"):
        assert again[name].to_numpy() == pytest.approx(points[name].to_numpy(), abs=0.05), name
    assert (again["cluster"] == points["cluster"]).mean() > 0.98
    assert lv.generate(run_folder, at=(float(points["x"][0]), float(points["y"][0]))).info["near_data"]
    assert len(lv.recommend(run_folder, 0, k=5).rows) == 5
    assert shell("evaluate", run_folder).code in {0, 1}
    assert shell("map", run_folder, "theme=dark").code == 0

    assert shell("cluster", run_folder, *settings, "reduce.landmarks=0", "--force").code == 0
    assert folder.landmarks() is None
    assert pq.read_table(folder.points_file).num_rows == 200


def test_the_clusters_of_many_items_are_found_among_some_and_the_map_shows_all(
    clouds: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, group = clouds
    run = lv.fit(
        np.concatenate([vectors, vectors[:50]]),
        outputs=tmp_path,
        run="clouds",
        model={"latent_dim": 2},
        trainer={"max_epochs": 8},
    )
    run.cluster(reduce={"sample": LAID})
    folder = RunFolder.open(run.path).clustering()
    assert any(re.search(r"found among 9\d\d items", line) for line in folder.info()["lines"])
    assert folder.landmarks() is None
    points = folder.points().to_pandas()
    assert len(points.drop_duplicates(["x", "y"])) == N, "each item has a place of its own, repeats share it"
    assert (points["nearest_cluster"] >= 0).all()
    # After 8 epochs the latent may join two clouds, and which ones depends on the processor's rounding.
    assert adjusted_rand_score(group, points["nearest_cluster"][:N]) > 0.8
    tree = condensed_tree(folder.tree(), points["cluster"].to_numpy(), points[["x", "y"]].to_numpy())
    assert tree[0]["size"] == N + 50
    assert not lv.verify(run.path).damage
    again = lv.encode(run.path, vectors[:100]).points
    assert (again["cluster"].to_numpy() == points["cluster"].to_numpy()[:100]).all()
    assert again["x"].to_numpy() == pytest.approx(points["x"].to_numpy()[:100], abs=1e-4)
    run.cluster(name="whole", reduce={"sample": 0})
    whole = RunFolder.open(run.path).clustering("whole").points().to_pandas()
    assert adjusted_rand_score(whole["nearest_cluster"], points["nearest_cluster"]) > 0.8

    monkeypatch.setattr(layout_stage, "SMALL", 0.5)
    run.cluster(name="small", reduce={"sample": LAID})
    small = RunFolder.open(run.path).clustering("small")
    assert not any("found among" in line for line in small.info()["lines"]), "small groups are looked for among all"
    assert small.points().column("x").to_pylist() == whole["x"].tolist()
