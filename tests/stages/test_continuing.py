"""`fit --continue`: kills, refusals, data in memory, groups, tables; tests/contracts has what holds for every kind."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import latentviz as lv
from latentviz.errors import LatentvizError
from latentviz.runs.run import RunFolder
from tests.conftest import fit_small, write_digits

CLUSTER = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")
SHORT = {"trainer": {"max_epochs": 1}}


class KilledError(BaseException):
    """Stands for a kill: no handler of the package catches it."""


def die(*_: object, **__: object) -> Any:
    raise KilledError


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Returns an .npy file with 20 digits that the run of `run_folder` does not have."""
    from sklearn.datasets import load_digits

    np.save(tmp_path / "more.npy", (load_digits().images[300:320] * 15).astype(np.uint8))
    return tmp_path / "more.npy"


def command(run: Path, data: Path, *words: str) -> tuple[object, ...]:
    return ("fit", "--continue", run.name, data, "--outputs", run.parent, "trainer.max_epochs=2", *words)


@pytest.mark.parametrize(
    ("point", "resumable"),
    [
        ("latentviz.stages.continuing.join_items", False),
        ("latentviz.stages.continuing.keep_earlier", False),
        ("latentviz.runs.run.RunFolder.write_config", False),
        ("latentviz.model.warm_start.Start.setup", True),
        ("latentviz.model.callbacks.EpochTable.on_train_epoch_end", True),
        ("latentviz.stages.fit.encode", True),
        ("latentviz.runs.run.RunFolder.write_info", True),
    ],
)
def test_a_kill_leaves_a_training_to_resume_or_nothing(
    shell: Callable, run_folder: Path, more: Path, monkeypatch: pytest.MonkeyPatch, point: str, resumable: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(point, die)
        if not resumable:  # a kill runs no handlers
            patch.setattr("latentviz.runs.run.RunFolder.abandon", lambda _: None)
        with pytest.raises(KilledError):
            shell(*command(run_folder, more))
    new = RunFolder(run_folder.with_name("small-2"))
    assert not new.finished
    assert new.config_file.exists() == resumable
    RunFolder(run_folder).verify(all_of_it=True)
    if resumable:
        complaint = shell("cluster", "small-2", "--outputs", run_folder.parent).complaint
        words = shlex.split(re.search(r"`latentviz (fit .* --resume)`", complaint)[1])
        assert shell(*words).code == 0
    else:
        assert shell(*command(run_folder, more)).code == 0
    assert len(new.items()) == 220
    assert new.info()["summary"]["epochs"] == 2
    assert sorted(path.name for path in run_folder.parent.iterdir() if path.is_dir()) == ["small", "small-2"]


def test_a_resumed_training_has_the_weights_of_an_uninterrupted_one(
    shell: Callable, run_folder: Path, more: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell(*command(run_folder, more, "--run", "whole")).code == 0
    for point in ("latentviz.model.warm_start.Start.setup", "latentviz.stages.fit.encode"):
        with monkeypatch.context() as patch:
            patch.setattr(point, die)
            with pytest.raises(KilledError):
                shell(*command(run_folder, more, "--run", "parts", "--resume"))
    assert shell(*command(run_folder, more, "--run", "parts", "--resume")).code == 0
    whole, parts = (RunFolder(run_folder.with_name(name)) for name in ("whole", "parts"))
    assert np.array_equal(whole.mu(), parts.mu())
    assert (
        shell(
            "fit",
            parts.config_file,
            "--run",
            "parts",
            "--outputs",
            run_folder.parent,
            "--resume",
            "trainer.max_epochs=4",
        ).code
        == 0
    )
    assert parts.info()["summary"]["epochs"] == 4


def test_mistakes_are_one_line_and_leave_nothing(shell: Callable, run_folder: Path, more: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"line {row}\n" for row in range(40)))
    unfinished = Path(shutil.copytree(run_folder, run_folder.with_name("unfinished")))
    (unfinished / "run.json").unlink()
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(30, 7)))
    cases: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
        "of another kind": (command(run_folder, tmp_path / "texts.txt"), ("texts.txt", "text", "image")),
        "no such data": (command(run_folder, tmp_path / "none.npy"), ("none.npy",)),
        "no such run": (command(run_folder.with_name("smal"), more), ("smal", "small")),
        "an unfinished run": (command(unfinished, more), ("unfinished", "--resume")),
        "other networks": (command(run_folder, more, "model.width=16"), ("model.width",)),
        "another size": (command(run_folder, more, "data.size=16"), ("data.size",)),
        "into itself": (command(run_folder, more, "--run", "small"), ("--run",)),
        "a typo": (command(run_folder, more, "model.lrr=0.1"), ("model.lrr", "model.lr")),
    }
    before = sorted(path.name for path in run_folder.parent.iterdir() if path.is_dir())
    for case, (words, named) in cases.items():
        complaint = shell(*words).complaint
        assert all(name in complaint for name in named), f"{case}: {complaint}"
    assert sorted(path.name for path in run_folder.parent.iterdir() if path.is_dir()) == before


def test_the_config_alone_does_not_make_the_run_again_and_the_remedy_does(
    shell: Callable, run_folder: Path, more: Path
) -> None:
    assert shell(*command(run_folder, more)).code == 0
    new = RunFolder(run_folder.with_name("small-2"))
    remedies = [
        shell("fit", new.config_file, "--run", "other", "--outputs", run_folder.parent).complaint,
    ]
    (new.path / "mu.npy").write_bytes(b"damaged")
    remedies.append(shell("cluster", new.path).complaint)
    for complaint in remedies:
        found = re.search(r"`latentviz (fit --continue .* --force)`", complaint)
        assert found is not None, complaint
        assert shell(*shlex.split(found[1]), "trainer.max_epochs=1").code == 0
        assert len(new.mu()) == 220


def test_names_are_the_next_number(shell: Callable, run_folder: Path, more: Path) -> None:
    for name in ("small-2", "small-3"):
        assert shell(*command(run_folder, more)).code == 0
        assert RunFolder(run_folder.with_name(name)).finished
    third = run_folder.with_name("small-3")
    repeats = shell(*command(third, write_digits(third.parents[1], 230, "more.npy")))
    assert repeats.code == 0
    assert len(RunFolder(run_folder.with_name("small-4")).items()) == 220 + 230


def test_repeats_are_left_out_if_asked_for(shell: Callable, run_folder: Path, tmp_path: Path) -> None:
    again = write_digits(tmp_path, 210, "digits.npy")
    outcome = shell(*command(run_folder, again, "data.duplicates=drop"))
    assert outcome.code == 0, outcome.err
    new = RunFolder(run_folder.with_name("small-2"))
    assert len(new.items()) == 210
    assert len(new.bad_items_file.read_text().splitlines()) == 1 + 200
    assert yaml.safe_load(new.config_file.read_text())["data"]["duplicates"] == "drop"


def test_data_in_memory_and_their_index(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(80, 5)), columns=list("abcde"), index=[f"k{row}" for row in range(80)])
    frame["colour"] = ["red", "blue"] * 40
    model = {"model": {"latent_dim": 2, "width": 8}}
    first = lv.fit(frame[:60], run="first", outputs=tmp_path, **model, **SHORT)
    second = lv.fit(frame[60:], start=first, outputs=tmp_path, **SHORT)
    assert second.path == tmp_path / "first-2"
    assert second.items.index.tolist() == frame.index.tolist()
    assert second.items["colour"].tolist() == frame["colour"].tolist()
    result = second.cluster(reduce={"method": "pca"})
    assert len(frame.join(result.points[["cluster"]])) == 80
    for wrong, named in (
        (frame.rename(columns={"b": "other"})[60:], "b"),
        (frame[["a", "b", "c"]][60:], "c"),
        (["a text", "another"], "kind"),
    ):
        with pytest.raises(LatentvizError, match=named):
            lv.fit(wrong, start=first, run="wrong", **SHORT)
    assert not (tmp_path / "wrong").exists()
    arrays = lv.fit(random.normal(size=(60, 5)), run="array", outputs=tmp_path, **model, **SHORT)
    longer = lv.fit(random.normal(size=(20, 5)), start=arrays, **SHORT)
    assert longer.items["id"].tolist() == [f"row/{row}" for row in range(80)]


def test_groups_of_texts_stay_on_their_side(tmp_path: Path) -> None:
    def table(name: str, groups: list[int]) -> Path:
        rows = [{"text": f"a line of {name} number {row}", "work": f"w{g}"} for row, g in enumerate(groups)]
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
        return tmp_path / f"{name}.csv"

    run = lv.fit(
        table("old", [row // 4 for row in range(40)]),
        run="old",
        outputs=tmp_path / "o",
        data={"group_column": "work", "val_fraction": 0.3},
        model={"latent_dim": 3, "width": 8, "memory": 8},
        **SHORT,
    )
    new = lv.fit(table("new", [row % 20 for row in range(40)]), start=run, **SHORT)
    items = new.items
    assert items[:40]["split"].tolist() == run.items["split"].tolist()
    assert (items.groupby("work")["split"].nunique() == 1).all()
    assert set(items[40:]["split"]) == {"train", "val"}


def test_numbers_with_gaps_reach_every_command(shell: Callable, run_folder: Path, more: Path) -> None:
    """A cluster that is gone leaves a gap, which nothing takes for a cluster."""
    assert shell("cluster", run_folder, *CLUSTER).code == 0
    assert shell(*command(run_folder, more)).code == 0
    new = run_folder.with_name("small-2")
    said = shell("cluster", new, "cluster.n_clusters=2")
    assert said.code == 0, said.err
    folder = RunFolder(new).clustering()
    info, cluster = folder.info(), np.asarray(folder.points().column("cluster"))
    numbers = sorted(set(cluster.tolist()))
    assert [entry["cluster"] for entry in info["clusters"]] == numbers
    assert info["n_clusters"] == 2
    events = {change["change"] for change in info["continued"]["changes"]}
    assert events & {"merged", "split", "gone"}
    assert all(event in said.out for event in events - {"kept"})
    gone = ({0, 1, 2} - set(numbers)).pop()
    assert "no such cluster" in shell("generate", new, "--cluster", gone).complaint
    assert shell("generate", new, "--cluster", numbers[-1], "--n", 2).code == 0
    assert shell("evaluate", new).code in {0, 1}
    placed = lv.encode(new, more)
    assert set(placed.points["cluster"]) <= {-1, *numbers}
    # A later clustering does not take the number again.
    assert shell(*command(new, write_digits(new.parents[1], 230, "yet.npy"))).code == 0
    assert shell("cluster", "small-3", "--outputs", new.parent, "cluster.n_clusters=5").code == 0
    later = RunFolder(run_folder.with_name("small-3")).clustering().info()
    assert gone not in {entry["cluster"] for entry in later["clusters"]} or gone not in {0, 1, 2}
    first = RunFolder(run_folder).clustering().info()
    assert {entry["cluster"] for entry in later["clusters"]} - set(numbers) == set(
        range(len(first["clusters"]), len(first["clusters"]) + 3)
    )


def test_what_became_of_clusters_is_said_of_the_merged_ones(shell: Callable, run_folder: Path, more: Path) -> None:
    assert shell("cluster", run_folder, *CLUSTER).code == 0
    assert shell(*command(run_folder, more)).code == 0
    said = shell("cluster", run_folder.with_name("small-2"), "cluster.merge=[[0, 1]]")
    info = RunFolder(run_folder.with_name("small-2")).clustered("default").info()
    numbers = {entry["cluster"] for entry in info["clusters"]}
    changes = info["continued"]["changes"]
    assert 1 not in numbers
    assert {number for change in changes for number in change["after"]} == numbers
    assert [(change["before"], change["after"]) for change in changes if change["change"] == "merged"] == [
        ([0, 1], [0])
    ]
    assert "1 merged" in said.out


def test_colours_stay_with_the_numbers(run_folder: Path, more: Path) -> None:
    from latentviz.maps.palette import map_colours

    first = lv.cluster(run_folder, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 3})
    new = lv.fit(more, start=run_folder, **SHORT)
    second = new.cluster()
    points = first.points
    before = map_colours(points[["x", "y"]].to_numpy(), points["cluster"].to_numpy(), {})
    after = second.clusters.set_index("cluster")["colour"].to_dict()
    assert {number: after[number] for number in before if number in after} == {
        number: colour for number, colour in before.items() if number in after
    }


def test_a_short_training_is_the_default(run_folder: Path, few: Path, more: Path, tmp_path: Path) -> None:
    run = fit_small(few, tmp_path / "o", settings=["trainer.max_epochs=15", "model.width=8", "model.lr=0.01"])
    config = lv.fit(more, start=run).config
    assert config["trainer"]["max_epochs"] == 3
    assert config["model"]["lr"] == pytest.approx(0.003)
    assert config["model"]["kl_warmup"] == 0


def test_texts_and_labels_of_new_vectors_are_read_where_the_user_says(shell: Callable, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, n in (("old", 40), ("new", 20)):
        np.save(tmp_path / f"{name}.npy", random.normal(size=(n, 5)))
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} {row}\n" for row in range(n)))
        np.save(tmp_path / f"{name}-labels.npy", np.array(["x", "y"] * (n // 2)))

    def words(name: str) -> list[object]:
        files = [f"data.items={tmp_path / name}.txt", f"data.labels={tmp_path / name}-labels.npy"]
        return [tmp_path / f"{name}.npy", "--outputs", tmp_path, "trainer.max_epochs=1", *files]

    assert shell("fit", *words("old"), "--run", "old", "model.width=8", "model.latent_dim=2").code == 0
    said = shell("fit", "--continue", "old", *words("new"))
    assert said.code == 0, said.err
    items = lv.open("old-2", outputs=tmp_path).items
    assert items["text"].tolist() == [f"old {row}" for row in range(40)] + [f"new {row}" for row in range(20)]
    assert items["label"].tolist() == ["x", "y"] * 30
