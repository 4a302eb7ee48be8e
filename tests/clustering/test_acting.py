"""Settings that so few items or dimensions cannot satisfy are refused with the range; defaults adapt to them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.clustering.acting import check_size
from latentviz.config import ClusterConfig
from latentviz.errors import ConfigError

N, D = 200, 4  # of `run_folder`


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (["reduce.n_neighbors=200"], "2 to 199"),
        (["reduce.n_neighbors=1001"], "less than or equal to 1000"),
        (["reduce.n_components=5"], "1 to 4"),
        (["reduce.n_components=100", "reduce.method=pca"], "1 to 4"),
        (["reduce.sample=15"], "more than reduce.n_neighbors, which is 15"),
        (["reduce.landmarks=15"], "more than reduce.n_neighbors, which is 15"),
        (["reduce.landmarks=40", "reduce.n_neighbors=40"], "more than reduce.n_neighbors, which is 40"),
        (["cluster.min_cluster_size=101"], "2 to 100"),
        (["cluster.min_samples=99999999999999999999", "cluster.min_cluster_size=20"], "1 to 199"),
        (["cluster.min_samples=60", "cluster.min_cluster_size=20", "reduce.landmarks=60"], "1 to 59"),
        (["cluster.n_clusters=201", "cluster.method=gmm"], "1 to 200"),
        (["cluster.n_clusters=100", "cluster.method=gmm", "reduce.landmarks=60"], "1 to 60"),
    ],
    ids=" ".join,
)
def test_more_than_the_items_allow(shell: Callable, run_folder: Path, settings: list[str], allowed: str) -> None:
    setting, *_ = settings
    complaint = shell("cluster", run_folder, *settings).complaint
    assert re.search(rf"\b{re.escape(setting.partition('=')[0])}: must be .*{allowed}", complaint)
    assert not (run_folder / "clusters").exists()


def test_every_mistake_is_named_and_python_has_the_same() -> None:
    config = ClusterConfig.model_validate({"reduce": {"n_neighbors": 50}, "cluster": {"n_clusters": 50}})
    with pytest.raises(ConfigError, match=r"2 mistakes\n.*reduce.n_neighbors: .*\n.*cluster.n_clusters: "):
        check_size(config, 20, D)


@pytest.mark.parametrize("n", [2, 3, 16])
def test_defaults_are_no_mistake(n: int) -> None:
    check_size(ClusterConfig(), n, 1)


def test_the_most_that_is_allowed_works(run_folder: Path) -> None:
    quick = {"method": "pca", "n_components": D, "n_neighbors": N - 1}
    found = lv.cluster(run_folder, reduce=quick, cluster={"min_cluster_size": N // 2, "min_samples": N - 1})
    assert np.isfinite(found.points[["x", "y"]].to_numpy()).all()
    found = lv.cluster(
        run_folder, name="small", reduce={"method": "pca", "landmarks": 16}, cluster={"min_cluster_size": 2}
    )
    assert len(found.points) == N
