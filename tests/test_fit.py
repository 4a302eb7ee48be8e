"""Training as the shell sees it: repeatable, interruptible, and honest about a loss that blows up."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latentviz.run import Run
from tests.conftest import SMALL, Outcome, fit_small

EPOCHS = 60  # enough that the signal arrives in time, at some hundredths of a second each


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def interrupt_after_two_epochs(source: Path, outputs: Path) -> subprocess.CompletedProcess[str]:
    """Runs `latentviz fit` and presses Ctrl-C once its second epoch is over."""
    command = [sys.executable, "-m", "latentviz", "fit", str(source), *SMALL, f"trainer.max_epochs={EPOCHS}",
               "--outputs", str(outputs), "--run", "small"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if f"epoch 2/{EPOCHS}" in line:
            process.send_signal(signal.SIGINT)
    out = process.stdout.read()
    process.stdout.close()
    process.stderr.close()
    return subprocess.CompletedProcess(command, process.wait(), out, "".join(said))


@pytest.mark.slow
def test_ctrl_c_keeps_the_checkpoint_and_resume_ends_where_an_undisturbed_training_ends(few, tmp_path, shell) -> None:
    interrupted = interrupt_after_two_epochs(few, tmp_path)
    assert interrupted.returncode == 130, interrupted.stderr
    assert interrupted.stderr.splitlines()[-1].startswith("latentviz: interrupted")
    assert "--resume" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert interrupted.stdout == ""

    run = tmp_path / "small"
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert not (run / "run.json").exists()
    complaint = shell("cluster", "small", "--outputs", tmp_path).complaint
    assert "has not finished" in complaint
    assert "--resume" in complaint

    done = len(rows(run))
    assert 2 <= done < EPOCHS
    resumed = shell("fit", run / "config.yaml", "--run", "small", "--outputs", tmp_path, "--resume")
    assert resumed.code == 0, resumed.err
    assert f"epoch 1/{EPOCHS}:" not in resumed.err, "the finished epochs are not trained again"
    assert [int(row["epoch"]) for row in rows(run)] == list(range(1, EPOCHS + 1))

    undisturbed = fit_small(few, tmp_path / "other", settings=[*SMALL, f"trainer.max_epochs={EPOCHS}"])
    assert (run / "mu.npy").read_bytes() == (undisturbed / "mu.npy").read_bytes()
    assert rows(run) == rows(undisturbed)
