"""A few labels are asked for where they help, spread to all items, and refused where they do not fit."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.clustering.labelling import Known, Labelling, ask, medoids
from latentviz.errors import LatentvizError
from latentviz.runs.run import RunFolder

HOSTILE = "=SUM(1)</script><b>x\u202e"


@pytest.fixture
def run(mapped: Path, tmp_path: Path) -> Path:
    """Returns a copy of a clustered run of 200 digits."""
    return Path(shutil.copytree(mapped, tmp_path / "outputs" / "small"))


def two_lines(n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Returns two groups of n points on lines far apart, float32 (2n, 2), and the rows of their 2 neighbours."""
    mu = np.array([(x, y) for y in (0, 99) for x in range(n)], np.float32)
    distance = np.square(mu[:, None] - mu).sum(-1) + np.diag([np.inf] * len(mu))
    return mu, np.argsort(distance, axis=1, kind="stable")[:, :2]


def test_labels_spread_along_the_graph_and_by_cluster() -> None:
    mu, near = two_lines()
    known = Known(np.array([0, 19]), np.array([0, 1]), 2)
    truth = np.repeat([0, 1], 10)
    one_cluster = Labelling(mu, np.zeros(20, int), near)
    assert one_cluster.spread(known).argmax(1).tolist() == truth.tolist()
    assert np.allclose(one_cluster.vote(known), 0.5)
    two = Labelling(mu, truth, near)
    assert np.allclose(two.vote(known)[[0, 19]], [[5 / 6, 1 / 6], [1 / 6, 5 / 6]])
    assert np.allclose(two.spread(known).sum(1), 1)
    alone = two.vote(Known(np.array([0]), np.array([1]), 2))  # the second cluster: half a vote of the first
    assert np.allclose(alone[[0, 10], 1], [5 / 6, 3 / 4])


def test_the_method_follows_from_the_labels() -> None:
    mu, near = two_lines()
    known = Known(np.array([1, 3, 5, 12, 14, 16]), np.repeat([0, 1], 3), 2)
    tie = Labelling(mu, np.repeat([0, 1], 10), near).predict(known)
    assert (tie.method, tie.accuracy, tie.tested) == ("vote", 1, 6)
    assert tie.codes.tolist() == np.repeat([0, 1], 10).tolist()
    assert (tie.probability[known.rows] == 1).all()
    near_other = near.copy()
    near_other[[9, 10]] = [[10, 8], [9, 11]]
    joined = Labelling(mu, np.repeat([0, 1], 10), near_other).predict(known)
    assert joined.method == "vote"
    assert joined.probability[0] > joined.probability[9]  # next to labels, and to the other cluster
    blind = Labelling(mu, np.zeros(20, int), near).predict(known)
    assert (blind.method, blind.accuracy) == ("spreading", 1)
    single = Known(np.array([0, 19]), np.array([0, 1]), 2)
    assert Labelling(mu, np.zeros(20, int), near).predict(single).accuracy is None


def test_clusters_without_a_label_are_counted_and_asked_for(run: Path, shell: Callable) -> None:
    points = lv.open(run).clustering().points
    numbers = sorted(set(points["nearest_cluster"]))
    given = {points["id"][points["cluster"] == number].iloc[0]: f"of {number}" for number in numbers[:-1]}
    found = lv.label(run, given)
    assert found.info["bare_clusters"] == 1
    assert found.info["bare_items"] == (points["nearest_cluster"] == numbers[-1]).sum()
    further = lv.label(run, given, ask=found.info["bare_clusters"])
    assert points.set_index("id")["cluster"][further.ids].tolist() == numbers[-1:]
    everything = lv.label(run, {**given, further.ids[0]: "the last"})
    assert everything.info["bare_clusters"] == 0
    assert "guessed" in str(found)
    assert "guessed" not in str(everything)


def test_medoids_are_asked_for_first_then_spread_out_or_uncertain_items() -> None:
    mu, near = two_lines(11)
    cluster = np.repeat([1, 0], 11)
    cluster[:3] = -1
    assert medoids(mu, cluster) == [16, 6]
    assert ask(2, mu, cluster, near) == [16, 6]
    assert ask(2, mu, cluster, near, labelled=[12])[0] == 6
    more = ask(6, mu, cluster, near)
    assert len(set(more)) == 6
    assert not {15, 17, 5, 7} & set(more[:4])  # neighbours of the medoids
    sure = np.tile([0.99, 0.01], (22, 1))
    sure[[3, 20]] = [0.5, 0.5]
    assert ask(2, mu, cluster, near, [6, 16], sure) == [3, 20]
    assert sorted(ask(22, mu, cluster, near)) == list(range(22))


def test_ask_then_fill_in_then_spread(run: Path, shell: Callable) -> None:
    said = shell("label", run, "--ask", "6")
    assert (said.code, said.err) == (0, "")
    folder = run / "labelled" / "ask-6"
    content = json.loads((folder / "labelled.json").read_text())
    with (folder / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == content["asked"]
    assert all((folder / file).is_file() for file in content["files"])
    for number, row in enumerate(rows):
        row["label"] = HOSTILE if number % 2 else "007"
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    before = lv.open(run).clustering().points
    assert shell("label", run, folder / "labels.csv").code == 0
    points = lv.open(run).clustering().points
    assert points[before.columns].equals(before)
    assert set(points["label_predicted"]) == {"007", HOSTILE}
    told = points.set_index("id").loc[[row["id"] for row in rows]]
    assert told["label_predicted"].tolist() == [row["label"] for row in rows]
    assert (told["label_probability"] == 1).all()
    page = (run / "clusters" / "default" / "map.html").read_text()
    assert shell("map", run, "colour_by=label_predicted").code == 0  # the page itself is compressed
    assert "</script><b>x" not in page
    assert lv.verify(run).ok
    once = RunFolder(run).clustering().points_file.read_bytes()
    again = lv.label(run, {row["id"]: row["label"] for row in rows})
    assert again.folder.points_file.read_bytes() == once
    assert again.info["given"] == 6
    further = lv.label(run, folder / "labels.csv", ask=4)
    assert not set(further.ids) & set(content["asked"])


WRONG = {
    "unknown ids": ({"nobody": "a", "none": "b"}, None, "2 of 2"),
    "no label": ({"few/0": " "}, None, "0 labels"),
    "one label": ({"FIRST": "a"}, None, "1 label"),
    "one class": ({"FIRST": "a", "SECOND": "a"}, None, "'a'"),
    "none asked": (None, 0, "1 to 200"),
    "too many asked": (None, 201, "1 to 200"),
    "nothing": (None, None, "--ask"),
}


@pytest.mark.parametrize("case", WRONG)
def test_labels_that_do_not_fit_are_refused(run: Path, case: str, shell: Callable, tmp_path: Path) -> None:
    labels, asked, said = WRONG[case]
    first, second = lv.open(run).items["id"][:2]
    words = []
    if labels is not None:
        file = tmp_path / "labels.csv"
        real = {"FIRST": first, "SECOND": second}
        file.write_text("id,label\n" + "".join(f'"{real.get(k, k)}",{v}\n' for k, v in labels.items()))
        words = [file]
    before = RunFolder(run).clustering().points_file.read_bytes()
    outcome = shell("label", run, *words, *([] if asked is None else ["--ask", asked]))
    assert outcome.code == 2
    assert said in outcome.complaint
    assert RunFolder(run).clustering().points_file.read_bytes() == before


def test_tables_that_do_not_fit_are_refused(run: Path, shell: Callable, tmp_path: Path) -> None:
    first = lv.open(run).items["id"][0]
    file = tmp_path / "labels.csv"
    for text, said in (
        (f"id,label\n{first},a\n{first},b\n", repr(first)),
        (f"word,label\n{first},a\n", "ids"),
        (f"id,word\n{first},a\n", "labels"),
    ):
        file.write_text(text)
        outcome = shell("label", run, file)
        assert (outcome.code, said in outcome.complaint) == (2, True), outcome
    outcome = shell("label", run, tmp_path / "missing.csv")
    assert "--ask" in outcome.complaint
    with pytest.raises(LatentvizError, match="fine"):
        lv.label(run, {first: "a"}, clustering="fine")
