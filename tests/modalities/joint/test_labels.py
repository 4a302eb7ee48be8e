"""Some labels in a table: they are the label part of their items, and nothing else has one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentviz as lv
from latentviz.config import read_yaml
from latentviz.modalities.joint.config import JointData
from latentviz.modalities.joint.layout import Packed
from latentviz.modalities.joint.prepare import prepare
from latentviz.modalities.joint.read import read
from latentviz.runs.run import RunFolder

N, GIVEN = 60, 24
TINY = ("trainer.max_epochs=2", "model.latent_dim=8", "model.hidden=16", "preview=0", "model.stop=limit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light images, with own labels that say something else."""
    place = tmp_path_factory.mktemp("labels") / "images"
    for number in range(N):
        own = place / f"own{number % 3}"
        own.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 40 + number if number % 2 else 250 - number, np.uint8)).save(
            own / f"{number:02d}.png"
        )
    return place


def table(place: Path, rows: list[tuple[str, str]]) -> Path:
    file = place / "labels.csv"
    file.write_text("id,label\n" + "".join(f"{key},{word}\n" for key, word in rows))
    return file


def ids(folder: Path) -> list[str]:
    return list(read(JointData(path=str(folder), parts=["image", "label"])).source.ids)


def labelled(folder: Path, n: int = GIVEN) -> list[tuple[str, str]]:
    names = ids(folder)[:n]
    return [(name, "dark" if int(Path(name).stem) % 2 else "light") for name in names]


def test_they_take_the_place_of_the_items_own(folder: Path, tmp_path: Path) -> None:
    file = table(tmp_path, labelled(folder))
    labels = read(JointData(path=str(folder), parts=["image", "label"], labels=str(file))).source.labels
    assert labels == [word for _, word in labelled(folder)] + [None] * (N - GIVEN)


def test_one_label_of_each_class_is_enough(folder: Path, tmp_path: Path) -> None:
    rows = [(name, f"class {number}") for number, name in enumerate(ids(folder)[:6])]
    data = JointData(path=str(folder), parts=["image", "label"], labels=str(table(tmp_path, rows)))
    parts = prepare(data, tmp_path / "cache", 0)
    assert Packed(tmp_path / "cache").layout.labels == tuple(word for _, word in rows)
    assert len(parts.items) == N


WRONG: dict[str, tuple[Callable[[list[str]], list[tuple[str, str]]], tuple[str, ...]]] = {
    "unknown ids": (
        lambda ids: [("nobody.png", "a"), (ids[0], "b"), ("none", "a")],
        ("2 of 3", "nobody.png", "00.png"),
    ),
    "two labels": (lambda ids: [(ids[0], "a"), (ids[0], "b"), (ids[1], "b")], ("more than one label", "'a'")),
    "one class": (lambda ids: [(ids[0], "a"), (ids[1], "a")], ("labels.csv", "a")),
    "all different": (lambda ids: [(name, f"label {name}") for name in ids], ("60 labels", "labels.csv")),
    "none": (lambda ids: [(ids[0], "")], ("no item has one", "labels.csv")),
}


@pytest.mark.parametrize("case", WRONG)
def test_labels_that_cannot_be_learnt(case: str, folder: Path, tmp_path: Path, shell: Callable) -> None:
    rows, expected = WRONG[case]
    file = table(tmp_path, rows(ids(folder)))
    words = ("data.parts=image,label", f"data.labels={file}", "--outputs", tmp_path / "outputs")
    outcome = shell("fit", folder, *words)
    assert outcome.code == 2
    assert all(word in outcome.complaint for word in expected), outcome.complaint
    assert not (tmp_path / "outputs").exists() or not any((tmp_path / "outputs").iterdir())


@pytest.mark.parametrize(
    "words",
    [("data.parts=image,label", "data.labels=absent.csv"), ("data.parts=image,caption", "data.labels=absent.csv")],
)
def test_a_table_that_is_not_there_or_cannot_act(words: tuple[str, str], folder: Path, shell: Callable) -> None:
    outcome = shell("fit", folder, *words)
    assert (outcome.code, "data.labels" in outcome.complaint) == (2, True)


def test_a_run_learns_them_and_predicts_the_others(folder: Path, tmp_path: Path, shell: Callable) -> None:
    file, out = table(tmp_path, labelled(folder)), ("--outputs", tmp_path / "outputs")
    learnt = ("data.parts=image,label", f"data.labels={file}", *TINY)
    assert shell("fit", folder, "--run", "some", *learnt, *out).code == 0
    run = RunFolder(tmp_path / "outputs" / "some")
    packed = Packed(run.cache)
    assert packed.rest[:, 1].sum() == GIVEN
    assert set(packed.layout.labels) == {"dark", "light"}
    assert shell("cluster", "some", "reduce.layouts=1", *out).code == 0
    outcome = shell("label", "some", *out)
    assert outcome.code == 0, outcome.complaint
    points = lv.open(run.path).clustering().points.set_index("id")
    given = dict(labelled(folder))
    assert points["label_predicted"][list(given)].tolist() == list(given.values())
    assert (points["label_probability"][list(given)] == 1).all()
    assert set(points["label_predicted"]) <= {"dark", "light"}
    about = json.loads((run.path / "clusters" / "default" / "clusters.json").read_text())["labelled"]
    assert about["given"] == GIVEN
    assert about["method"] in {"head", "spreading"}
    right = [
        word == ("dark" if int(Path(name).stem) % 2 else "light") for name, word in points["label_predicted"].items()
    ]
    assert sum(right) > 0.9 * N
    assert read_yaml(run.config_file)["model"]["augment"] == 1, "images without captions have views"
    assert (run.cache / "neighbours.npy").exists()
    assert about["tested"] == sum(
        packed.rest[row, 1] for row in lv.open(run.path).items.index[lv.open(run.path).items["split"] == "val"]
    )
    assert shell("encode", "some", folder, *out).code == 0  # items with labels that the run does not know
