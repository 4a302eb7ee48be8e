"""Noise, merges, splits and names as settings: from the shell into points, clusters.json, settings and the map."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.errors import LatentvizError
from latentviz.modalities.loading import OpenRun
from latentviz.runs.run import RunFolder
from latentviz.stages.map import map_data
from tests.conftest import SMALL

FAST = ("reduce.method=pca", "cluster.min_cluster_size=8", "cluster.min_samples=3")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mapped: Path) -> Path:
    """Returns a copy of a run with a clustering `plain` that has noise and three clusters or more."""
    import shutil

    from latentviz.shell import commands

    folder = Path(shutil.copytree(mapped, tmp_path_factory.mktemp("edits") / "small"))
    commands.cluster(str(folder), FAST, outputs=str(folder.parent), name="plain")
    info = RunFolder(folder).clustered("plain").info()
    assert info["n_clusters"] >= 3
    assert info["noise_share"] > 0.1
    return folder


def test_the_shell_changes_points_clusters_settings_and_map(run: Path, shell: Callable) -> None:
    plain = lv.open(run).clustering("plain")
    edits = ["cluster.max_noise=5%", "cluster.merge=[[0, 2]]", "cluster.names={0: zeros & more}"]
    said = shell("cluster", run, *FAST, *edits, "--name", "edited")
    assert said.code == 0, said.err
    assert "noise items were given to clusters, the most certain first" in said.out
    result, folder = lv.open(run).clustering("edited"), RunFolder(run).clustered("edited")
    points, info = result.points, folder.info()
    assert (points["cluster"] == -1).mean() <= 0.05
    assert info["noise_share"] == (points["cluster"] == -1).mean()
    assert info["assigned_noise"]["raw_share"] == pytest.approx((plain.points["cluster"] == -1).mean())
    assert ((points["cluster_raw"] == -1) == (plain.points["cluster"] == -1)).all()
    assert 2 not in set(points["cluster"])
    assert 2 in set(points["cluster_raw"])
    assert {entry["cluster"]: entry.get("name") for entry in info["clusters"]}[0] == "zeros & more"
    kept = folder.config().cluster
    assert (kept.max_noise, kept.merge, kept.names) == (0.05, [[0, 2]], {0: "zeros & more"})
    assert map_data(folder, folder.config().map, folder.points(), info, OpenRun(RunFolder(run))).cluster_names[0] == (
        "zeros & more"
    )
    assert lv.verify(run).ok, str(lv.verify(run))
    assert result.labels.tolist() == points["cluster"].tolist()
    assert len(lv.recommend(run, [0], k=3, clustering="edited", where="cluster_raw == -1").ids) == 3


def test_python_takes_the_same_and_new_items_join_the_edited_clusters(run: Path) -> None:
    result = lv.cluster(run, name="python", reduce={"method": "pca"}, cluster={
        "method": "kmeans", "n_clusters": 4, "merge": [[1, 3]], "names": {1: "both"},
    })  # fmt: skip
    assert set(result.labels) == {0, 1, 2}
    assert result.clusters.set_index("cluster")["name"][1] == "both"
    from sklearn.datasets import load_digits

    new = (load_digits().images[200:260] * 15).astype(np.uint8)
    assert set(lv.encode(run, new, clustering="python").points["cluster"]) <= {0, 1, 2}


def test_a_mistake_leaves_the_clustering_that_there_was(run: Path, shell: Callable) -> None:
    folder = RunFolder(run).clustered("plain")
    before = {file.name: file.read_bytes() for file in folder.path.iterdir() if file.is_file()}
    complaint = shell("cluster", run, *FAST, "cluster.merge=[[0, 99]]", "--name", "plain", "--force").complaint
    assert complaint.startswith("cluster.merge: no cluster 99; the clusters are 0, 1, 2")
    assert {file.name: file.read_bytes() for file in folder.path.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_max_noise_is_refused_for_methods_without_noise(run: Path, method: str) -> None:
    with pytest.raises(LatentvizError, match=rf"max_noise: has no effect with cluster\.method={method}, which leaves"):
        lv.cluster(run, name="x", cluster={"method": method, "max_noise": 0.05})


def test_a_file_of_another_version_may_have_no_record_of_them(run: Path) -> None:
    """clusters.json without the keys is read as before."""
    info = json.loads(RunFolder(run).clustered("plain").info_file.read_text())
    assert "assigned_noise" not in info
    assert info["config"]["cluster"]["max_noise"] == 1.0


def test_names_are_in_the_printed_list_and_what_the_training_made_is_not(run: Path, shell: Callable) -> None:
    said = shell("cluster", run, *FAST, "--name", "listed", "cluster.names={1: ones & sevens}")
    sizes = {entry["cluster"]: entry["size"] for entry in RunFolder(run).clustered("listed").info()["clusters"]}
    rows = {line[:9]: line[9:].strip() for line in said.out.splitlines()}
    assert rows["cluster 1"] == f"{sizes[1]}  ones & sevens"
    assert "train (s)" not in said.out
    assert "active units" not in said.out


def test_a_share_of_noise_that_cannot_be_met_is_said(run: Path, shell: Callable) -> None:
    words = ("reduce.method=pca", "cluster.min_cluster_size=100", "cluster.max_noise=5%")
    said = shell("cluster", run, *words, "--name", "none")
    assert RunFolder(run).clustered("none").info()["n_clusters"] == 0
    assert "cluster.max_noise=0.05 is not met: 100.0% of the items are noise" in said.out


@pytest.mark.parametrize("key", ["-1", "1.5", "true"])
def test_keys_of_names_are_numbers_of_clusters(run: Path, shell: Callable, key: str) -> None:
    complaint = shell("cluster", run, f"cluster.names={{{key}: x}}", "--name", "keys").complaint
    assert complaint.startswith("cluster settings: cluster.names: must be names by cluster")
    assert "keys are numbers of clusters, 0, 1, …" in complaint
    section = shell("config", "digits", f"model={{{key}: 2}}").complaint
    assert f"model.{key}: unknown key" in section


def test_a_mistake_after_a_training_says_that_the_run_is_kept(few: Path, tmp_path: Path, shell: Callable) -> None:
    words = (*SMALL, *FAST, "cluster.merge=[[0, 99]]", "--cluster", "--outputs", tmp_path, "--run", "late")
    said = shell("fit", few, *words)
    assert said.complaint.startswith("cluster.merge: no cluster 99; the clusters are ")
    assert f"the run is kept: `latentviz cluster {tmp_path / 'late'}` clusters it" in said.complaint
    assert shell("cluster", tmp_path / "late", *FAST).code == 0
