"""Training from the shell: repeatable, resumable, and an error when the loss diverges."""

import csv
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentviz.errors import RunError
from latentviz.modalities.loading import load_model, read_config
from latentviz.model.callbacks import Clock
from latentviz.model.checkpoint import kept_checkpoint
from latentviz.model.encoding import active_units
from latentviz.model.training import LightningVAE
from latentviz.runs.run import RunFolder
from tests.conftest import SMALL, fit_small, reseal, write_digits

EPOCHS = 60  # enough that the signal arrives in time, at some hundredths of a second each


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def interrupt(source: Path, outputs: Path) -> subprocess.CompletedProcess[str]:
    """Run `latentviz fit` and send Ctrl-C after the first epoch."""
    command = [
        sys.executable,
        "-m",
        "latentviz",
        "fit",
        str(source),
        *SMALL,
        f"trainer.max_epochs={EPOCHS}",
        "--outputs",
        str(outputs),
        "--run",
        "small",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    for line in process.stderr:
        if line.startswith("  epoch ") and not any(earlier.startswith("  epoch ") for earlier in said):
            process.send_signal(signal.SIGINT)
        said.append(line)
    out = process.stdout.read()
    process.stdout.close()
    process.stderr.close()
    return subprocess.CompletedProcess(command, process.wait(), out, "".join(said))


@pytest.mark.slow
def test_ctrl_c_keeps_the_checkpoint_and_resume_ends_where_an_undisturbed_training_ends(few, tmp_path, shell) -> None:
    interrupted = interrupt(few, tmp_path)
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
    assert 1 < done < EPOCHS
    earlier = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["Clock"]["seconds"]
    resumed = shell("fit", run / "config.yaml", "--run", "small", "--outputs", tmp_path, "--resume")
    assert resumed.code == 0, resumed.err
    told = [int(number) for number in re.findall(r"epoch (\d+)/", resumed.err)]
    assert min(told) >= done, "the finished epochs are not trained again"
    assert [int(row["epoch"]) for row in rows(run)] == list(range(1, EPOCHS + 1))
    assert RunFolder.open(run).info()["seconds"]["train"] > earlier > 0

    undisturbed = fit_small(few, tmp_path / "other", settings=[*SMALL, f"trainer.max_epochs={EPOCHS}"])
    assert (run / "mu.npy").read_bytes() == (undisturbed / "mu.npy").read_bytes()
    assert rows(run) == rows(undisturbed)


def test_the_seconds_of_a_training_are_those_of_all_its_legs() -> None:
    clock = Clock()
    assert clock.seconds < 60
    clock.load_state_dict({"seconds": 1000.0})
    assert 1000 <= clock.seconds < 1060
    assert clock.state_dict()["seconds"] >= 1000


class Planted:
    """Unpickling this would create a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


def unfinish(run: Path) -> None:
    """Make a run look as if its training was interrupted at the end."""
    for name in ("run.json", "mu.npy", "logvar.npy"):
        (run / name).unlink()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_latents_byte_for_byte_and_another_seed_others(few, trained, tmp_path) -> None:
    again = fit_small(few, tmp_path / "again")
    other = fit_small(few, tmp_path / "other", settings=[*SMALL, "seed_everything=1"])
    for name in ("mu.npy", "logvar.npy", "metrics.csv"):
        assert (trained / name).read_bytes() == (again / name).read_bytes(), name
    assert (trained / "mu.npy").read_bytes() != (other / "mu.npy").read_bytes()


def test_the_resolved_config_fitted_again_repeats_the_run(trained, tmp_path) -> None:
    from latentviz.config import read_yaml

    again = fit_small(trained / "config.yaml", tmp_path, settings=())
    assert (trained / "mu.npy").read_bytes() == (again / "mu.npy").read_bytes()
    assert read_yaml(trained / "config.yaml") == read_yaml(again / "config.yaml")
    assert "auto" not in read_yaml(trained / "config.yaml")["model"].values()


def test_a_run_holds_what_the_design_says(trained) -> None:
    found = {str(p.relative_to(trained)) for p in trained.rglob("*") if p.is_file()}
    assert {
        "config.yaml",
        "run.json",
        "items.parquet",
        "metrics.csv",
        "mu.npy",
        "logvar.npy",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "samples/epoch-0001.png",
        "samples/epoch-0003.png",
        "samples/progress.png",
    } <= found
    assert not [name for name in found if name.endswith(".tmp")]
    assert [int(row["epoch"]) for row in rows(trained)] == [1, 2, 3]
    assert all(np.isfinite(float(value)) for row in rows(trained) for value in row.values() if value)


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss(trained) -> None:
    content = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    best = min(rows(trained), key=lambda row: float(row["val_loss"]))
    assert content["global_step"] == int(best["step"])


def test_an_interrupt_while_encoding_can_be_resumed(trained, run_folder, shell) -> None:
    unfinish(run_folder)
    resumed = shell("fit", run_folder / "config.yaml", "--run", "small", "--outputs", run_folder.parent, "--resume")
    assert resumed.code == 0, resumed.err
    assert (run_folder / "mu.npy").read_bytes() == (trained / "mu.npy").read_bytes()
    assert rows(run_folder) == rows(trained)


def test_a_finished_run_is_not_resumed(run_folder, shell) -> None:
    complaint = shell(
        "fit", run_folder / "config.yaml", "--outputs", run_folder.parent, "--run", "small", "--resume"
    ).complaint
    assert "this run has finished" in complaint


@pytest.mark.parametrize("word", ["model.latent_dim=5", "model.lr=0.1", "seed_everything=4", "data.batch_size=32"])
def test_a_run_is_resumed_with_the_settings_it_began_with(run_folder, shell, word) -> None:
    unfinish(run_folder)
    complaint = shell(
        "fit", run_folder / "config.yaml", "--outputs", run_folder.parent, "--run", "small", "--resume", word
    ).complaint
    assert word.split("=")[0] in complaint


def test_resuming_what_is_not_there_lists_the_runs(run_folder, few, shell) -> None:
    complaint = shell("fit", few, "--outputs", run_folder.parent, "--run", "smal", "--resume").complaint
    assert "Did you mean 'small'?" in complaint


def test_a_loss_that_explodes_stops_with_one_line_that_says_what_to_try(few, tmp_path, shell) -> None:
    complaint = shell("fit", few, *SMALL, "model.lr=1e30", "--outputs", tmp_path).complaint
    assert complaint.startswith("the loss is ")
    assert "model.lr" in complaint
    assert not (tmp_path / "few" / "run.json").exists()


def test_a_loss_that_explodes_later_keeps_the_last_good_checkpoint(few, tmp_path, shell, monkeypatch) -> None:
    step = LightningVAE.training_step

    def explode(self: LightningVAE, batch: Any, number: int) -> torch.Tensor:
        return step(self, batch, number) * (float("nan") if self.trainer.current_epoch == 2 else 1.0)

    monkeypatch.setattr(LightningVAE, "training_step", explode)
    complaint = shell("fit", few, *SMALL, "--run", "small", "--outputs", tmp_path).complaint
    assert "the last good checkpoint is kept" in complaint
    for name in ("best.ckpt", "last.ckpt"):
        content = torch.load(tmp_path / "small" / "checkpoints" / name, weights_only=True)
        assert content["epoch"] <= 1
        assert all(torch.isfinite(weight).all() for weight in content["state_dict"].values())
    assert len(rows(tmp_path / "small")) == 2


def test_a_validation_loss_that_is_no_number_stops_before_the_checkpoint(few, tmp_path, shell, monkeypatch) -> None:
    validate = LightningVAE.validation_step

    def explode(self: LightningVAE, batch: Any, number: int) -> None:
        validate(self, batch, number)
        self.totals["val_loss"] = self.totals["val_loss"] * float("inf" if self.trainer.current_epoch == 1 else 1)

    monkeypatch.setattr(LightningVAE, "validation_step", explode)
    assert "the loss is inf" in shell("fit", few, *SMALL, "--run", "small", "--outputs", tmp_path).complaint
    content = torch.load(tmp_path / "small" / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["epoch"] == 0


class TestForce:
    def test_an_existing_run_is_refused_without_it(self, run_folder, few, shell) -> None:
        before = (run_folder / "mu.npy").read_bytes()
        complaint = shell("fit", few, *SMALL, "--run", "small", "--outputs", run_folder.parent).complaint
        assert "exists already" in complaint
        assert (run_folder / "mu.npy").read_bytes() == before

    def test_it_replaces_the_run(self, run_folder, few) -> None:
        (run_folder / "clusters").mkdir()
        fit_small(few, run_folder.parent, "force", settings=[*SMALL, "model.latent_dim=3"])
        assert RunFolder.open(run_folder).mu().shape == (200, 3)
        assert not (run_folder / "clusters").exists(), "clusterings of the old latents are gone with them"
        assert [p.name for p in run_folder.parent.iterdir()] == ["small"]

    @pytest.mark.parametrize("mistake", ["missing data", "bad data", "bad trainer", "bad config"])
    def test_a_mistake_keeps_the_earlier_run(self, run_folder, few, tmp_path, shell, mistake) -> None:
        before = (run_folder / "mu.npy").read_bytes()
        np.save(tmp_path / "alike.npy", np.zeros((50, 8, 8), np.uint8))
        words = {
            "missing data": [tmp_path / "nowhere.npy"],
            "bad data": [tmp_path / "alike.npy"],
            "bad trainer": [few, "trainer.precision=17"],
            "bad config": [few, "model.lr=-1"],
        }[mistake]
        complaint = shell("fit", *words, "--run", "small", "--outputs", run_folder.parent, "--force").complaint
        assert complaint
        assert (run_folder / "mu.npy").read_bytes() == before
        assert (run_folder / "run.json").exists()
        assert sorted(p.name for p in run_folder.parent.iterdir()) == ["small"]

    def test_ctrl_c_while_reading_keeps_the_earlier_run(self, run_folder, few, shell, monkeypatch) -> None:
        from latentviz.modalities.image.kind import ImageKind

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(ImageKind, "prepare", staticmethod(interrupt))
        ended = shell("fit", few, "--run", "small", "--outputs", run_folder.parent, "--force")
        assert ended.code == 130
        assert (run_folder / "run.json").exists()
        assert [p.name for p in run_folder.parent.iterdir()] == ["small"]

    def test_bad_data_leaves_no_half_made_run(self, tmp_path, shell) -> None:
        np.save(tmp_path / "alike.npy", np.zeros((50, 8, 8), np.uint8))
        assert "identical" in shell("fit", tmp_path / "alike.npy", "--outputs", tmp_path / "outputs").complaint
        assert list((tmp_path / "outputs").iterdir()) == []


class TestCheckpoints:
    def plant(self, run: Path, name: str, tmp_path: Path) -> Path:
        content = torch.load(run / "checkpoints" / name, weights_only=True)
        torch.save({**content, "callbacks": Planted(tmp_path / "planted")}, run / "checkpoints" / name)
        return tmp_path / "planted"

    def test_a_planted_pickle_would_have_worked(self, run_folder, tmp_path) -> None:
        planted = self.plant(run_folder, "last.ckpt", tmp_path)
        torch.load(run_folder / "checkpoints" / "last.ckpt", weights_only=False)
        assert planted.exists(), "otherwise the tests below would prove nothing"

    def test_a_planted_pickle_is_refused_when_a_model_is_loaded(self, run_folder, tmp_path) -> None:
        planted = self.plant(run_folder, "last.ckpt", tmp_path)
        reseal(run_folder)
        with pytest.raises(RunError, match=r"last\.ckpt: damaged") as caught:
            load_model(RunFolder.open(run_folder))
        assert not planted.exists()
        assert "\n" not in str(caught.value)

    def test_a_planted_pickle_is_refused_when_a_fit_is_resumed(self, run_folder, tmp_path, shell) -> None:
        planted = self.plant(run_folder, "last.ckpt", tmp_path)
        unfinish(run_folder)
        complaint = shell(
            "fit", run_folder / "config.yaml", "--outputs", run_folder.parent, "--run", "small", "--resume"
        ).complaint
        assert "last.ckpt: damaged" in complaint
        assert not planted.exists()

    @pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"nothing of ours"])
    def test_a_damaged_checkpoint_is_one_line(self, run_folder, damage) -> None:
        file = run_folder / "checkpoints" / "last.ckpt"
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(RunError, match=r"last\.ckpt: damaged .*--force") as caught:
            load_model(RunFolder.open(run_folder))
        assert "\n" not in str(caught.value)

    def test_a_missing_checkpoint_names_the_command_that_makes_it(self, run_folder) -> None:
        shutil.rmtree(run_folder / "checkpoints")
        with pytest.raises(RunError, match=r"has no checkpoints/last\.ckpt.*`latentviz fit .*--force`"):
            load_model(RunFolder.open(run_folder))

    def test_with_early_stopping_the_best_is_kept_and_else_the_last(self, trained, run_folder) -> None:
        config, run = read_config(RunFolder.open(trained)), RunFolder.open(trained)
        patient = config.model_copy(update={"model": config.model.model_copy(update={"patience": 2})})
        assert kept_checkpoint(config, run).name == "last.ckpt"
        assert kept_checkpoint(patient, run).name == "best.ckpt"
        for name in ("best.ckpt", "last.ckpt"):
            content = torch.load(trained / "checkpoints" / name, weights_only=True)
            assert content["epoch"] <= 2
        assert content["epoch"] == 2

    def test_the_loaded_model_is_the_one_that_encoded(self, trained) -> None:
        run = RunFolder.open(trained)
        loaded = load_model(run)
        vae, data = loaded.vae, loaded.kind
        images = data.dataset().__getitems__(range(len(run.items())))
        mu, _ = vae.encode(data.to_input(images))
        torch.testing.assert_close(mu, torch.from_numpy(np.array(run.mu())))
        assert not vae.training


@pytest.mark.parametrize(
    "words",
    [
        ["model.likelihood=bernoulli"],
        ["model.net=mlp"],
        ["model.free_bits=0.5"],
        ["model.contrast=0"],
        ["trainer.max_epochs=4", "trainer.check_val_every_n_epoch=2"],
        ["model.flip=true"],
        ["model.augment=0"],
    ],
)
def test_each_choice_trains(few, tmp_path, shell, words) -> None:
    ended = shell("fit", few, *SMALL, "trainer.max_epochs=1", *words, "--run", "small", "--outputs", tmp_path)
    assert ended.code == 0, ended.err
    assert np.isfinite(RunFolder.open(tmp_path / "small").mu()).all()


@pytest.mark.parametrize("key", ["fast_dev_run=true", "limit_val_batches=0"])
def test_a_training_without_a_validation_is_refused(few, tmp_path, shell, key) -> None:
    outputs = tmp_path / "outputs"
    assert (
        f"trainer.{key.split('=')[0]}: " in shell("fit", few, *SMALL, f"trainer.{key}", "--outputs", outputs).complaint
    )
    assert not outputs.exists()


def test_a_training_that_ends_within_an_epoch_is_validated(few, tmp_path, shell) -> None:
    ended = shell("fit", few, *SMALL, "trainer.max_steps=1", "--run", "small", "--outputs", tmp_path)
    assert ended.code == 0, ended.err
    assert RunFolder.open(tmp_path / "small").info()["summary"]["epochs"] == 1


def test_twenty_images_are_enough_to_fit(tmp_path, shell) -> None:
    ended = shell("fit", write_digits(tmp_path, 20), *SMALL, "--run", "small", "--outputs", tmp_path)
    assert ended.code == 0, ended.err
    assert RunFolder.open(tmp_path / "small").mu().shape == (20, 4)


def test_training_leaves_warnings_and_loggers_as_they_were(few, tmp_path) -> None:
    import logging
    import warnings

    before = list(warnings.filters), logging.getLogger("pytorch_lightning").level
    fit_small(few, tmp_path, settings=[*SMALL, "trainer.max_epochs=1"])
    assert (list(warnings.filters), logging.getLogger("pytorch_lightning").level) == before
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_a_wrong_value_for_the_trainer_is_reported_before_anything_is_trained(few, tmp_path, shell) -> None:
    complaint = shell("fit", few, "trainer.accelerator=abacus", "--outputs", tmp_path).complaint
    assert "trainer.accelerator: " in complaint
    assert "abacus" in complaint
    assert list(tmp_path.iterdir()) == []


def test_active_units_are_the_dimensions_that_vary() -> None:
    mu = np.zeros((100, 3), np.float32)
    mu[:, 1] = np.linspace(-1, 1, 100)
    mu[:, 2] = 0.05 * np.linspace(-1, 1, 100)
    assert active_units(mu) == 1


def test_early_stopping_ends_before_the_last_epoch(few, tmp_path, shell) -> None:
    ended = shell(
        "fit",
        few,
        *SMALL,
        "trainer.max_epochs=30",
        "model.patience=1",
        "model.lr=1e-12",
        "--run",
        "small",
        "--outputs",
        tmp_path,
    )
    assert ended.code == 0, ended.err
    assert len(rows(tmp_path / "small")) < 30
