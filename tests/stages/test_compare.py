"""Two clusterings of the same items: what agrees, what moved, and what cannot be compared."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.evaluation.comparison import counterparts, flow, has_moved
from latentviz.runs.run import RunFolder
from latentviz.stages.evaluate import again

FOUR = {"reduce": {"method": "pca"}, "cluster": {"method": "gmm", "n_clusters": 4}}


@pytest.fixture(scope="module")
def run(mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a run of 200 digits with the clusterings default, of 3, and four, of 4 clusters."""
    run = Path(shutil.copytree(mapped, tmp_path_factory.mktemp("compare") / "small"))
    lv.cluster(run, name="four", **FOUR)
    return run


@pytest.mark.parametrize(
    ("in_a", "in_b", "matched", "moved"),
    [
        ([0, 0, 1, 1], [1, 1, 0, 0], {0: 1, 1: 0}, 0),  # other numbers
        ([0, 0, 0, 1], [0, 0, 1, 1], {0: 0, 1: 1}, 1),
        ([0, 0, 0, 0], [0, 0, 0, 1], {0: 0}, 1),  # split
        ([0, 0, 0, 1], [0, 0, 0, 0], {0: 0}, 1),  # merged
        ([0, 0, -1, -1], [3, 3, -1, 3], {0: 3}, 1),  # out of noise
        ([0] * 9 + [1] * 9, [2] * 9 + [2] * 8 + [3], {0: 2, 1: 3}, 8),
        ([0] * 9 + [1] * 9 + [2] * 9, [3] * 9 + [3] * 8 + [4] + [5] * 5 + [4] * 4, {0: 3, 2: 5}, 13),
        ([0] * 9 + [1] * 9, [2] * 9 + [2] * 8 + [-1], {0: 2}, 9),
        ([-1, -1], [-1, -1], {}, 0),
        ([0, 0], [-1, -1], {}, 2),
    ],
)
def test_what_moved_is_the_same_both_ways(in_a: list, in_b: list, matched: dict, moved: int) -> None:
    a, b = np.array(in_a, np.int32), np.array(in_b, np.int32)
    assert counterparts(a, b) == matched
    assert has_moved(a, b, matched).sum() == moved
    assert has_moved(b, a, counterparts(b, a)).sum() == moved
    counted = flow(a, b, has_moved(a, b, matched))
    assert sum(row["items"] for row in counted) == len(a)
    assert sum(row["items"] for row in counted if row["moved"]) == moved


def test_two_clusterings_of_a_run(run: Path) -> None:
    found = lv.open(run).compare(clusterings=("default", "four"))
    points = [lv.open(run).clustering(name).points for name in ("default", "four")]
    assert found.map == run / "compared" / "default-four" / "compare.html"
    assert found.items["cluster_a"].tolist() == points[0]["cluster"].tolist()
    assert found.items["cluster_b"].tolist() == points[1]["cluster"].tolist()
    assert found.items["id"].tolist() == points[0]["id"].tolist()
    table = np.zeros((3, 4), int)
    np.add.at(table, (points[0]["cluster"], points[1]["cluster"]), 1)
    assert found.flow.groupby(["cluster_a", "cluster_b"])["items"].sum().to_dict() == {
        (i, j): table[i, j] for i, j in zip(*np.nonzero(table), strict=True)
    }
    assert found.items["moved"].sum() == found.moved * 200 >= 200 - table.max(axis=1).sum()
    assert 0 < found.ari < 1
    assert 0 < found.nmi < 1
    assert found.info["neighbours"]["in_mu"] is None  # the same mu
    assert found.info["neighbours"]["on_map"] is None  # PCA twice
    assert "the same" in str(found)
    assert "neighbours" not in str(found)
    back = lv.compare(run, clusterings=("four", "default"))
    assert (back.ari, back.moved) == pytest.approx((found.ari, found.moved))
    assert lv.verify(run).ok
    assert lv.verify(run).notes == ()


def test_two_runs_over_the_same_items(run: Path, few: Path, tmp_path: Path, shell: Callable) -> None:
    settings = {"model": {"latent_dim": 4, "width": 8}, "trainer": {"max_epochs": 2}, "data": {"batch_size": 64}}
    other = lv.fit(str(few), run="other", outputs=tmp_path, seed_everything=1, **settings, **FOUR)
    said = shell("compare", run, other.path, "--json", "--name", "b")
    assert said.code == 0
    info = json.loads(said.out)
    stored = json.loads((run / "compared" / "b" / "compared.json").read_text())
    assert {key: info[key] for key in stored} == stored
    assert info["items"] == 200
    assert (info["a"]["run"], info["b"]["run"], info["b"]["clusters"]) == ("small", "other", 4)
    assert 0 < info["neighbours"]["in_mu"] < 1
    assert shell("compare", run, other.path, "--name", "b").code == 2
    assert shell("compare", run, other.path, "--name", "b", "--force").code == 0


def test_runs_with_some_items_in_common(run: Path, tmp_path: Path) -> None:
    mine = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    ids = [f"item {row}" for row in range(40)]
    for name, part in (("first", slice(0, 30)), ("second", slice(10, 40))):
        made = {"model": {"latent_dim": 2, "width": 8}, "trainer": {"max_epochs": 1}, **FOUR}
        lv.fit(mine[part], ids=ids[part], run=name, outputs=tmp_path, **made)
    found = lv.compare("first", "second", outputs=tmp_path)
    assert found.items["id"].tolist() == ids[10:30]
    assert dict(found._shown()[1])["items in both"] == "20 of 30 and 30"


def complaint(shell: Callable, *words: object) -> str:
    return shell("compare", *words).complaint


def test_what_cannot_be_compared(run: Path, few: Path, tmp_path: Path, shell: Callable) -> None:
    for name in ("default", "none"):  # twice: the next step names two that there are
        advice = complaint(shell, run, "--clusterings", name, name).split("`")[1]
        assert shell(*shlex.split(advice)[1:], "--force").code == 0
    assert "--clusterings" in complaint(shell, run, run, "--clusterings", "four", "four")
    assert "clusters/five" in complaint(shell, run, "--clusterings", "default", "five")
    bare = Path(shutil.copytree(run, tmp_path / "bare"))
    shutil.rmtree(bare / "clusters" / "four")
    assert shell(*shlex.split(complaint(shell, bare).split("`")[1])[1:]).code == 0
    assert "clusters/none" in complaint(
        shell, shutil.copytree(run, tmp_path / "none"), "--clusterings", "default", "none"
    )
    (bare / "run.json").unlink()
    assert "--resume" in complaint(shell, run, bare)
    made = {"model": {"latent_dim": 2, "width": 8}, "trainer": {"max_epochs": 1}, **FOUR}
    lv.fit(np.eye(30, 6, dtype=np.float32) + np.arange(30)[:, None], run="vectors", outputs=tmp_path, **made)
    assert "in common" in complaint(shell, run, tmp_path / "vectors")
    ids = lv.open(run).items["id"].tolist()
    lv.fit(np.load(few)[::-1].copy(), ids=ids, run="mixed", outputs=tmp_path, **made)
    assert "different data" in complaint(shell, run, tmp_path / "mixed")
    assert not (run / "compared" / "mixed").exists()
    assert "unknown" not in complaint(shell, tmp_path / "nowhere", run)


def test_the_next_step_of_clusters_that_differ_from_seed_to_seed(run: Path, shell: Callable) -> None:
    advice = again(RunFolder(run), RunFolder(run).clustering())
    commands = [shlex.split(command)[1:] for command in advice.split("`")[1::2]]
    assert [command[0] for command in commands] == ["cluster", "compare"]
    assert [shell(*command).code for command in commands] == [0, 0]
