"""What was found out on a map goes into the run: once, whole, and of the right clustering."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.errors import DataError, LatentvizError
from latentviz.runs.annotations import Findings, annotated, findings, fingerprint
from latentviz.runs.run import ClusterFolder, RunFolder

FOUND = {
    "names": {0: "round", 7: "two of them"},
    "merges": {2: 1},
    "splits": {7: ["row/1", "row/2"]},
    "tags": {"row/3": ["odd", "slanted"], "row/5": ["odd"]},
    "notes": {"row/3": "=SUM(1) <b>a note</b>"},
}


@pytest.fixture
def run(mapped: Path, tmp_path: Path) -> Path:
    """Returns a copy of a clustered run of 200 digits."""
    return Path(shutil.copytree(mapped, tmp_path / "outputs" / "small"))


@pytest.fixture
def ids(run: Path) -> list[str]:
    """Returns the ids of its items."""
    return lv.open(run).items["id"].tolist()


def named(content: dict, ids: list[str]) -> dict:
    """Returns annotations with the ids of the run in the place of row/0 and so on."""
    real = {f"row/{k}": item for k, item in enumerate(ids)}
    swap = {key: {real[item]: value for item, value in content[key].items()} for key in ("tags", "notes")}
    splits = {number: [real[item] for item in items] for number, items in content["splits"].items()}
    return {**content, **swap, "splits": splits}


def state(run: Path) -> dict[str, bytes]:
    """Returns the content of the files that annotations are in."""
    folder = RunFolder(run).clustering()
    return {file.name: file.read_bytes() for file in (folder.points_file, folder.info_file, folder.map_file)}


def test_annotations_are_in_the_points_and_the_clusters(run: Path, ids: list[str]) -> None:
    raw = lv.open(run).clustering().points
    found = lv.annotate(run, named(FOUND, ids))
    points, info = found.points, RunFolder(run).clustered("default").info()
    assert points["cluster"].tolist() == raw["cluster"].tolist()
    edited = raw["cluster"].replace(2, 1)
    edited.iloc[[1, 2]] = 7
    assert points["edited_cluster"].tolist() == edited.tolist()
    assert points["tags"][3].tolist() == ["odd", "slanted"]
    assert points["tags"].notna().sum() == 2
    assert points["note"][3] == FOUND["notes"]["row/3"]
    assert info["annotations"] == {"names": {"0": "round", "7": "two of them"}, "merges": {"2": 1}}
    assert lv.verify(run).ok
    assert not [note for note in lv.verify(run).notes if "points" in note]
    assert {*lv.recommend(run, [0], k=2, where="edited_cluster == 7").ids} == {ids[1], ids[2]}


def test_a_second_time_changes_nothing(run: Path, ids: list[str], shell: Callable, tmp_path: Path) -> None:
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps({"format": "latentviz annotations", "version": 1, **named(FOUND, ids)}))
    said = shell("annotate", run, file)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        f"{run}/clusters/default: 2 names, 1 merge, 1 split, 2 tagged items, 1 note",
        f"map {run}/clusters/default/map.html",
    ]
    once = state(run)
    assert shell("annotate", run, file).code == 0
    assert state(run) == once


def test_a_table_that_is_given_replaces_that_of_before(run: Path, ids: list[str]) -> None:
    before = state(run)["points.parquet"]
    lv.annotate(run, named(FOUND, ids))
    found = lv.annotate(run, {"tags": {ids[0]: "one"}, "merges": {}})
    assert found.findings.tags == {ids[0]: ["one"]}
    assert (found.findings.merges, found.findings.notes[ids[3]]) == ({}, FOUND["notes"]["row/3"])
    found = lv.annotate(run, {key: {} for key in FOUND})
    assert found.findings == Findings()
    assert state(run)["points.parquet"] == before
    assert "annotations" not in RunFolder(run).clustered("default").info()


def test_later_maps_and_clusterings_have_them(run: Path, ids: list[str]) -> None:
    lv.annotate(run, named(FOUND, ids))
    again = {"reduce": {"method": "pca"}, "cluster": {"method": "gmm", "n_clusters": 3}}
    folder = RunFolder(run).clustering()
    everything = findings(folder.points(), folder.info())
    lv.map(run, title="Again")
    lv.cluster(run, force=True, **again)
    assert findings(folder.points(), folder.info()) == everything, "the same clusters"
    again["cluster"]["n_clusters"] = 4
    lv.cluster(run, force=True, **again)
    assert findings(folder.points(), folder.info()) == Findings(tags=everything.tags, notes=everything.notes)


def test_names_of_a_newer_clustering_replace_earlier_annotations(run: Path, shell: Callable) -> None:
    words = ("reduce.method=pca", "cluster.method=gmm")
    lv.annotate(run, {"names": {0: "round", 1: "thin"}})
    again = shell("cluster", run, "--force", *words, "cluster.n_clusters=3", "cluster.names={0: oval}")
    folder = RunFolder(run).clustering()
    assert "cluster 0: the name of cluster.names replaces 'round'" in again.err
    assert folder.info()["annotations"]["names"] == {"1": "thin"}
    assert folder.info()["clusters"][0]["name"] == "oval"
    others = shell("cluster", run, "--force", *words, "cluster.n_clusters=4")
    assert "other clusters than before: tags and notes are kept, names are not" in others.err
    assert "annotations" not in folder.info()


def test_columns_of_the_data_with_such_names_stay(run: Path, ids: list[str]) -> None:
    folder = RunFolder(run).clustering()
    theirs = folder.points().append_column("tags", [[f"own {k}" for k in range(200)]])
    found = Findings(tags={ids[0]: ["mine"]})
    points, info = annotated(theirs, folder.info(), found, "x")
    for _ in range(2):
        assert points.column("data_tags")[3].as_py() == "own 3"
        assert points.column("tags").to_pylist()[:2] == [["mine"], None]
        points, info = annotated(points, info, found, "x")


def test_tags_are_labels_of_another_training(run: Path, ids: list[str], few: Path) -> None:
    tags = lv.annotate(run, {"tags": {item: ["odd"] for item in ids[:40]}}).points["tags"].str[0]
    trained = lv.fit(
        np.load(few), labels=tags, outputs=run.parent, run="again", trainer={"max_epochs": 1}, model={"latent_dim": 2}
    )
    assert trained.items["label"].fillna("").tolist() == ["odd"] * 40 + [""] * 160


OTHER = {"fingerprint": "00000000", "run": "cats", "clustering": "fine"}
WRONG = {
    "not JSON": ("{", "not valid JSON"),
    "bytes": (b"\xff\xfe\x00", "not valid JSON"),
    "deep": ("[" * 100_000, "not valid JSON"),
    "a list": ([], "must be a valid dictionary"),
    "a key": ({"tag": {}}, "tag: unknown key; allowed here: format, .* Did you mean 'tags'?"),
    "another format": ({"format": "x"}, "format: must be 'latentviz annotations'"),
    "a newer version": ({"version": 2}, "version: 2, and this latentviz reads up to 1; upgrade"),
    "another clustering": (OTHER, r"fingerprint: from the map of another clustering, fine of cats \(got 00000000\)"),
    "an id": ({"tags": {"nobody": ["x"], "no": ["x"]}}, r"tags: 2 ids are of no item .*\(got 'nobody'\)"),
    "a note's id": ({"notes": {"nobody": "x"}}, r"notes: 1 id is of no item"),
    "a split's id": ({"splits": {"7": ["nobody"]}}, r"splits.7: 1 id is of no item"),
    "two splits": ({"splits": {"7": ["{0}"], "8": ["{0}"]}}, "splits.8: '.*' is in another split, too"),
    "a cluster": ({"names": {"9": "x"}}, "no cluster 9; clusters are 0, 1, 2"),
    "no number": ({"names": {"x": "x"}}, r"names.x: must be a valid integer.* \(got 'x'\)"),
    "noise": ({"names": {"-1": "x"}}, "names.-1: must be greater than or equal to 0"),
    "a chain": ({"merges": {"2": 1, "1": 0}}, "merges: 2 → 1: must go"),
    "a circle": ({"merges": {"1": 1}}, "merges: 1 → 1: must go"),
    "merged away": ({"merges": {"9": 1}}, "merges: 9 → 1: must go"),
    "merged into none": ({"merges": {"1": 9}}, "merges: no cluster 9"),
    "no text": ({"tags": {"{0}": [3]}}, r"tags.*must be a valid string \(got 3\)"),
    "an empty tag": ({"tags": {"{0}": [""]}}, "at least 1 character"),
    "a long tag": ({"tags": {"{0}": ["x" * 201]}}, "at most 200 characters"),
    "half a letter": ('{"tags": {"x": ["\\ud800"]}}', "unicode"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_line_and_changes_nothing(
    case: str, run: Path, ids: list[str], shell: Callable, tmp_path: Path
) -> None:
    import re

    content, expected = WRONG[case]
    file = tmp_path / "annotations.json"
    text = content if isinstance(content, (str, bytes)) else json.dumps(content).replace("{0}", ids[0])
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = state(run)
    complaint = shell("annotate", run, file).complaint
    assert complaint.startswith(f"{file}: ")
    assert re.search(expected, complaint)
    assert len(complaint) < 600
    assert state(run) == before
    if isinstance(content, dict):
        with pytest.raises(DataError, match=r"^annotations: "):
            lv.annotate(run, json.loads(text))


def test_the_remedy_of_another_clustering_works(run: Path, ids: list[str]) -> None:
    given = {**OTHER, **named(FOUND, ids)}
    with pytest.raises(DataError, match="remove fingerprint, names, merges and splits"):
        lv.annotate(run, given)
    rest = {key: value for key, value in given.items() if key not in {"fingerprint", "names", "merges", "splits"}}
    assert len(lv.annotate(run, rest).findings.tags) == 2


def test_what_is_no_file_is_said(run: Path, shell: Callable, tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        assert f"{path}: no such file" in shell("annotate", run, path).complaint
    (tmp_path / "annotations.json").write_text("{}")
    said = shell("annotate", run, tmp_path / "annotations.json", "--clustering", "fine").complaint
    assert "has no clusters/fine" in said


class Killed(BaseException):
    """Stands for a kill, after which nothing is tidied."""


@pytest.mark.parametrize("moment", ["write_json", "replace", "draw"])
def test_a_kill_leaves_the_old_or_the_new_state(
    moment: str, run: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    target = {
        "write_json": "latentviz.runs.folders.write_json",
        "replace": "latentviz.runs.folders.ClusterFolder._take_next_points",
        "draw": "latentviz.stages.map.draw",
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(target, killed)
        with pytest.raises(Killed):
            lv.annotate(run, named(FOUND, ids))
    folder = ClusterFolder(run, "default")
    expected = set() if moment == "write_json" else {"edited_cluster", "tags", "note"}
    assert expected == {"edited_cluster", "tags", "note"} & {*folder.points().column_names}
    assert lv.verify(run).ok
    assert not [note for note in lv.verify(run).notes if "not written by" in note]
    assert lv.annotate(run, named(FOUND, ids)).points["tags"].notna().sum() == 2
    assert not folder.next_points_file.exists()


def test_the_fingerprint_follows_from_ids_and_clusters(run: Path, ids: list[str]) -> None:
    points = RunFolder(run).clustering().points()
    own = fingerprint(points)
    assert own == fingerprint(points.drop_columns(["x"]))
    assert own != fingerprint(points.take([1, 0, *range(2, 200)]))
    changed = np.array(points.column("cluster").to_pylist(), np.int32)
    changed[0] = (changed[0] + 1) % 3
    assert own != fingerprint(points.set_column(points.column_names.index("cluster"), "cluster", [changed]))
    with pytest.raises(LatentvizError):
        lv.annotate(run, {"fingerprint": own, "names": {5: "x"}})
