"""Recommendations: the search against a full sort, profiles, diversity, the command and its errors."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentviz.modalities.loading import OpenRun
from latentviz.runs.run import RunFolder
from latentviz.stages.recommend import BLOCK, METRICS, Recommender, Search, compared, diversify, profile, recommend

RNG = np.random.default_rng(0)


def full_sort(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """Sort all rows by falling score, ties by row: the reference for the search."""
    scores = METRICS[metric](vectors.astype(np.float64), query.astype(np.float64))
    return np.lexsort((np.arange(len(vectors)), -scores))


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("n", [5, 1000, BLOCK + 1000])
def test_search_is_a_full_sort(metric: str, n: int) -> None:
    vectors = RNG.normal(size=(n, 8)).astype(np.float32) + 3
    search = Search(vectors, metric)
    for query in RNG.normal(size=(3, 8)).astype(np.float32) + 3:
        found = search(query, 10)
        assert found.rows.tolist() == full_sort(vectors, query, metric)[:10].tolist()
        assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("metric", list(METRICS))
def test_search_keeps_to_the_allowed_rows_and_to_ties_by_row(metric: str) -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 50, axis=0)
    allowed = np.arange(150) % 2 == 1
    assert Search(vectors, metric)(vectors[0], 4, allowed).rows.tolist() == [1, 3, 5, 7]
    assert len(Search(vectors, metric)(vectors[0], 10, np.arange(150) < 4).rows) == 4


def test_scores_are_the_cosine_and_minus_the_distance() -> None:
    vectors = np.array([[3, 4], [0, 2]], np.float32)
    query = np.array([0, 1], np.float32)
    assert Search(vectors, "cosine")(query, 2).scores.tolist() == pytest.approx([1, 0.8])
    assert Search(vectors, "euclidean")(query, 2).scores.tolist() == pytest.approx([-1, -(18**0.5)])


def test_a_disliked_item_moves_the_profile_away() -> None:
    liked, disliked = np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
    for metric, score in METRICS.items():
        plain = profile(liked, np.empty((0, 2)), metric)
        moved = profile(liked, disliked, metric)
        assert score(disliked, moved)[0] < score(disliked, plain)[0], metric


def test_diversity_0_keeps_the_order_and_more_spreads() -> None:
    vectors = np.array([[1, 0], [1, 0.01], [0.9, 0.5], [0.2, 1]])
    scores = METRICS["cosine"](vectors, np.array([1.0, 0.0]))
    assert diversify(vectors, scores, 3, 0.0, "cosine").tolist() == [0, 1, 2]
    assert diversify(vectors, scores, 2, 0.7, "cosine").tolist() == [0, 3]


@pytest.mark.parametrize("on", ["auto", "all", "content"])
def test_the_run_recommends_on_the_dimensions_that_are_asked_for(
    mapped: Path, monkeypatch: pytest.MonkeyPatch, on: str
) -> None:
    run = RunFolder.open(mapped)
    info = run.info()
    monkeypatch.setattr(RunFolder, "info", lambda _: {**info, "summary": {**info["summary"], "content_dim": 2}})
    mu = np.asarray(run.mu())[:, : 2 if on == "content" else 4]
    expected = [row for row in full_sort(mu, mu[5], "cosine") if row != 5][:7]
    found = recommend(run, [5], k=7, on=on)
    assert [row["row"] for row in found.rows] == expected
    assert found.ids == [run.items().column("id")[row] for row in expected]
    assert found.to_pandas().shape[0] == 7
    assert "<table" in found._repr_html_()


def test_of_given_dimensions_those_alone_are_compared(mapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.open(mapped)
    info = run.info()
    given = {**info, "summary": {**info["summary"], "given_dim": 3, "content_dim": 3}}
    monkeypatch.setattr(RunFolder, "info", lambda _: given)
    assert compared(OpenRun(run), "auto") == 3
    assert compared(OpenRun(run), "all") == run.mu().shape[1]


def test_the_items_asked_with_are_never_recommended(mapped: Path) -> None:
    found = recommend(RunFolder.open(mapped), [1, 2, 3], disliked=[4], k=196, metric="euclidean")
    assert not {1, 2, 3, 4} & {row["row"] for row in found.rows}


def test_one_item_needs_no_list(mapped: Path) -> None:
    run = RunFolder.open(mapped)
    assert recommend(run, "few/12", k=3).ids == recommend(run, [12], k=3).ids == recommend(run, 12, k=3).ids


def test_the_newest_run_needs_no_name(shell: Callable, mapped: Path) -> None:
    named = shell("recommend", mapped.name, 3, "-k", 2, "--outputs", mapped.parent)
    assert shell("recommend", 3, "-k", 2, "--outputs", mapped.parent).out == named.out
    complaint = shell("recommend", mapped.name, "--outputs", mapped.parent).complaint
    assert complaint.startswith(f"{mapped.name}: ")
    assert "id, row number or file" in complaint


def test_a_file_is_recommended_like_the_item_it_is(mapped: Path, tmp_path: Path) -> None:
    run = RunFolder.open(mapped)
    Image.fromarray(np.load(run.cache / "images.npy")[9, 0]).save(tmp_path / "nine.png")
    recommender = Recommender(run)
    _, by_file = recommender([tmp_path / "nine.png"], k=1)
    assert by_file.rows.tolist() == [9]
    assert by_file.scores[0] == pytest.approx(1, abs=1e-6)


def test_the_command_prints_a_table_and_writes_a_sheet(shell: Callable, mapped: Path) -> None:
    outcome = shell("recommend", mapped, 3, "-k", 4, "--where", "cluster == 0", "--name", "table")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].split()[:4] == ["rank", "id", "score", "cluster"]
    assert len(lines) == 5
    assert all(line.split()[3] == "0" for line in lines[1:])
    folder = mapped / "recommended" / "table"
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 4 * 32
    assert json.loads((folder / "recommended.json").read_text())["settings"]["items"] == ["3"]


def test_the_command_prints_json(shell: Callable, mapped: Path) -> None:
    outcome = shell("recommend", 3, 4, "--not", 5, "--diverse", 0.5, "-k", 2, "--json", "--outputs", mapped.parent)
    rows = json.loads(outcome.out)["recommended"]
    assert [row["rank"] for row in rows] == [1, 2]
    assert set(rows[0]) >= {"id", "score", "cluster", "label", "source"}


def test_nothing_fulfils_the_condition(shell: Callable, mapped: Path) -> None:
    outcome = shell("recommend", mapped, 3, "--where", "cluster == 77", "--json")
    assert (outcome.code, json.loads(outcome.out)["recommended"]) == (0, [])
    assert "--where" in outcome.err


def test_without_a_clustering_there_are_no_clusters(shell: Callable, run_folder: Path) -> None:
    outcome = shell("recommend", run_folder, 3, "-k", 2)
    assert outcome.code == 0
    assert "cluster" not in outcome.out.splitlines()[0]
    complaint = shell("recommend", run_folder, 3, "--where", "cluster == 1").complaint
    assert "has no clusters yet; run `latentviz cluster" in complaint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["few/1x"], "no item of small has this id, and there is no such file. Nearest ids: few/1"),
        (["something quite else"], "Its ids look like"),
        ([""], "give an id, a row number or a file"),
        (["500"], "rows of small go from 0 to 199"),
        (["-k", "200", "3"], "-k: must be 1 to 199"),
        (["-k", "0", "3"], "-k: must be 1 to 199"),
        (["3", "--diverse", "2"], "--diverse: must be 0"),
        (["3", "--metric", "cosin"], "Did you mean 'cosine'?"),
        (["3", "--on", "mu"], "--on: unknown value 'mu'"),
        (["3", "--where", "clutser == 3"], "Did you mean 'cluster'?"),
        (["3", "--clustering", "fine"], "no clustering of this name; `latentviz cluster"),
        (["cluster:1"], "give an item"),
        (["3", "--name", "a/b"], "not a folder name"),
    ],
)
def test_mistakes(shell: Callable, mapped: Path, words: list[str], said: str) -> None:
    assert said in shell("recommend", mapped, *words).complaint


def test_a_misspelt_run_is_no_item_of_the_newest_one(shell: Callable, run_folder: Path) -> None:
    """The first word is a run or an item; if it is neither, the error names both and nothing is written."""
    outputs = run_folder.parent
    shutil.copytree(run_folder, outputs / "other")
    for words in (["smal", 3], ["smal"], ["few/1x", 3]):
        complaint = shell("recommend", *words, "--outputs", outputs).complaint
        assert complaint.startswith(f"{words[0]}: no run in {outputs} has this name, and no item of ")
        assert "this id; runs there: " in complaint
        assert {"small", "other"} <= set(complaint.split("runs there: ")[1].split(".")[0].split(", "))
    assert "Did you mean 'small'?" in shell("recommend", "smal", 3, "--outputs", outputs).complaint
    assert "Nearest ids: few/1" in shell("recommend", "few/1x", 3, "--outputs", outputs).complaint
    assert not list(outputs.glob("*/recommended"))
    assert shell("recommend", "few/1", 3, "-k", 2, "--outputs", outputs).code == 0
    assert "rows of" in shell("recommend", 500, 3, "--outputs", outputs).complaint


def test_a_folder_and_a_file_that_is_no_image(shell: Callable, mapped: Path, tmp_path: Path) -> None:
    assert "latentviz encode" in shell("recommend", mapped, tmp_path).complaint
    (tmp_path / "poem.txt").write_text("床前明月光")
    assert "not an image" in shell("recommend", mapped, tmp_path / "poem.txt").complaint


def test_a_name_that_is_taken(shell: Callable, mapped: Path) -> None:
    assert shell("recommend", mapped, 3, "--name", "taken").code == 0
    assert "this name is taken" in shell("recommend", mapped, 4, "--name", "taken").complaint


def test_torch_is_not_loaded_for_items_of_the_run(mapped: Path) -> None:
    import subprocess
    import sys

    code = (
        f"import sys; import latentviz as lv; lv.open({str(mapped)!r}).recommend([3]).save(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
