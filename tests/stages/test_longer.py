"""A finished run is trained on to more epochs; until that is done it stays what it was, whatever happens."""

import csv
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import latentviz as lv
from latentviz.runs.extension import LongerRun
from latentviz.runs.run import RunFolder

CLUSTER = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


def epochs(run: Path) -> list[int]:
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def on(run: Path, *words: str) -> tuple[str, ...]:
    return ("fit", str(run / "config.yaml"), "--run", run.name, "--outputs", str(run.parent), "--resume", *words)


def hidden(run: Path) -> list[str]:
    return [file.name for file in run.parent.iterdir() if file.name.startswith(".")]


def test_a_finished_run_trains_on_from_its_last_epoch(shell: Callable, run_folder: Path) -> None:
    """Asked of other tools: alexjc/neural-enhance #110, carpedm20/DCGAN-tensorflow #201."""
    step = torch.load(run_folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert shell("cluster", run_folder, *CLUSTER).code == 0
    (run_folder / "notes.txt").write_text("mine")
    outcome = shell(*on(run_folder, "trainer.max_epochs=5"))
    assert outcome.code == 0, outcome.err
    assert [int(n) for n in re.findall(r"epoch (\d+)/5", outcome.err)] == [4, 5]
    assert epochs(run_folder) == [1, 2, 3, 4, 5]
    info = json.loads((run_folder / "run.json").read_text())
    assert info["summary"]["epochs"] == 5
    content = torch.load(run_folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["global_step"] == step // 3 * 5
    assert (run_folder / "notes.txt").read_text() == "mine"
    assert hidden(run_folder) == []
    head = (run_folder / "config.yaml").read_text().splitlines()[0]
    assert head == f"# latentviz fit {run_folder / 'config.yaml'}"
    RunFolder(run_folder).verify(all_of_it=True)
    assert not (run_folder / "origin.json").exists()
    # The clustering is still there, and said to be outdated in one line until it is made again.
    said = shell("map", run_folder, "theme=dark")
    assert said.code == 0
    assert said.err.count("outdated") == 1
    command = re.search(r"`latentviz (cluster .* --force)`", said.err)
    assert command is not None
    assert "outdated" in shell("runs", "--outputs", run_folder.parent).out
    assert shell(*shlex.split(command[1]), *CLUSTER).code == 0
    assert "outdated" not in shell("map", run_folder, "theme=dark").err


def test_the_message_to_a_finished_run_names_the_command_that_trains_on(shell: Callable, run_folder: Path) -> None:
    """Reported of a trainer that then went one epoch further: ultralytics/ultralytics #24386."""
    for words in ((), ("trainer.max_epochs=2",), ("trainer.precision=32-true",)):
        complaint = shell(*on(run_folder, *words)).complaint
        assert "--force" not in complaint
    command = re.search(r"`latentviz (fit .* --resume trainer.max_epochs=6)`", complaint)
    assert command is not None, complaint
    assert shell(*shlex.split(command[1])).code == 0
    assert epochs(run_folder)[-1] == 6


def test_python_trains_on_too_and_the_best_epoch_so_far_is_kept(run_folder: Path) -> None:
    """Reported of Lightning, which forgot it: Lightning-AI/pytorch-lightning #4911, #11379."""
    best = torch.load(run_folder / "checkpoints" / "best.ckpt", weights_only=True)["global_step"]
    before = (run_folder / "mu.npy").read_bytes()
    run = lv.fit(
        run_folder / "config.yaml",
        run=run_folder.name,
        outputs=run_folder.parent,
        resume=True,
        trainer={"max_epochs": 4, "limit_val_batches": 1},
    )
    assert run.summary["epochs"] == 4
    assert (run_folder / "mu.npy").read_bytes() != before
    with (run_folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    lowest = min(rows, key=lambda row: float(row["val_loss"]))
    content = torch.load(run_folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["global_step"] == int(lowest["step"])
    assert content["global_step"] >= best
    assert all(".longer" not in key for key in next(iter(content["callbacks"].values())) if isinstance(key, str))


@pytest.mark.parametrize("point", ["training", "encoding", "swap", "renames"])
def test_a_kill_leaves_the_run_usable_and_the_training_resumable(
    shell: Callable, run_folder: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object, **__: object) -> Any:
        raise KilledError

    before = np.load(run_folder / "mu.npy").tobytes()
    assert shell("cluster", run_folder, *CLUSTER).code == 0
    with monkeypatch.context() as patch:
        if point == "training":
            patch.setattr("latentviz.model.callbacks.EpochTable.on_train_epoch_end", die)
        elif point == "encoding":
            patch.setattr("latentviz.stages.fit.encode", die)
        elif point == "swap":
            patch.setattr("latentviz.runs.extension.LongerRun.finish", die)
        else:
            rename = Path.rename

            def once(path: Path, target: Path) -> Path:
                if path == LongerRun.of(RunFolder(run_folder)).path:
                    raise KilledError
                return rename(path, target)

            patch.setattr(Path, "rename", once)
        with pytest.raises(KilledError):
            shell(*on(run_folder, "trainer.max_epochs=5"))
    assert shell("recommend", run_folder.name, 3, "-k", 2, "--outputs", run_folder.parent).code == 0
    assert np.load(run_folder / "mu.npy").tobytes() == before
    RunFolder(run_folder).verify(all_of_it=True)
    outcome = shell(*on(run_folder, "trainer.max_epochs=5"))
    assert outcome.code == 0, outcome.err
    assert epochs(run_folder) == [1, 2, 3, 4, 5]
    assert RunFolder(run_folder).clusterings == ["default"]
    assert hidden(run_folder) == []


def test_a_copy_of_another_run_of_this_name_is_not_continued(shell: Callable, few: Path, run_folder: Path) -> None:
    longer = LongerRun.of(RunFolder(run_folder))
    shutil.copytree(run_folder, longer.path)
    (longer.path / "origin.json").write_text("{}")
    assert not longer.pending
    assert shell(*on(run_folder, "trainer.max_epochs=4")).code == 0
    assert epochs(run_folder) == [1, 2, 3, 4]


def test_other_settings_cannot_change_and_the_advice_works(shell: Callable, run_folder: Path) -> None:
    complaint = shell(*on(run_folder, "model.lr=0.1", "trainer.max_epochs=5")).complaint
    assert "model.lr" in complaint
    assert "--force" not in complaint
    words = ["fit", run_folder / "config.yaml", "--outputs", run_folder.parent, "model.lr=0.001", "--run", "other"]
    assert shell(*words).code == 0
