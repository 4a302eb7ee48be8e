"""Lightning callbacks: seeds, epoch means, checkpoints, metrics.csv, and samples."""

import csv
import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from latentviz.errors import WriteError
from latentviz.model.training import LightningVAE
from latentviz.model.vae import VAE
from latentviz.runs.files import atomic_write
from latentviz.runs.metrics import read_metrics

MOST_SAMPLES = 60  # epochs whose samples are kept: more are not looked at


def _vae(module: pl.LightningModule) -> LightningVAE:
    assert isinstance(module, LightningVAE)
    return module


class Repeatable(Callback):
    """Seeds each epoch by its number, so that a resumed training has the same random numbers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds torch, the only source of random numbers in training."""
        del pl_module
        mixed = int(np.random.SeedSequence([self.seed, trainer.current_epoch, 0]).generate_state(1)[0])
        torch.manual_seed(mixed + trainer.global_rank)  # `Batches` subtracts the rank: one order for all


class EpochMeans(Callback):
    """Logs the epoch's means; the first callback, so that the others see them."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the validation means."""
        del trainer
        _vae(pl_module).on_validation_epoch_end()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the training means."""
        del trainer
        _vae(pl_module).on_train_epoch_end()


class Checkpoints(ModelCheckpoint):
    """Keeps checkpoints in a folder that may have been moved or copied since an earlier part of the training."""

    @property
    def state_key(self) -> str:
        """Lightning's, which has the name of the class, so that earlier checkpoints are understood."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state, with the paths in today's folder; Lightning would forget the best epoch so far."""

        def here(path: str) -> str:
            return str(Path(self.dirpath or "") / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths if name in state_dict}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})


class EpochTable(Callback):
    """Appends one row per epoch to metrics.csv.

    Lightning's CSVLogger writes training and validation metrics to separate rows and overwrites the file on resuming.

    Args:
        file: metrics.csv.
        own: names of the terms that the user has added to the objective.
    """

    COLUMNS = (
        "epoch",
        "step",
        "train_loss",
        "train_log_likelihood",
        "train_kl",
        "train_contrast_cost",
        "val_loss",
        "val_log_likelihood",
        "val_kl",
        "val_mutual_information",
        "val_active_units",
    )

    def __init__(self, file: Path, own: Sequence[str] = ()) -> None:
        self.file = file
        self.columns = [*self.COLUMNS, *(f"{split}_{name}" for split in ("train", "val") for name in own)]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drops the rows of epochs that will be trained again, and incomplete rows."""
        del pl_module
        if trainer.is_global_zero and self.file.exists():
            kept = [row for row in read_metrics(self.file) if int(row["epoch"]) <= trainer.current_epoch]
            with atomic_write(self.file) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(kept)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Appends the row; the header first if the file is new."""
        del pl_module
        if not trainer.is_global_zero:
            return
        metrics = {k: f"{float(v):.6g}" for k, v in trainer.callback_metrics.items()}
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **metrics}
        new = not self.file.exists()
        try:
            with self.file.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise WriteError(self.file, error.strerror or str(error)) from None


class Clock(Callback):
    """Counts the seconds of a training, including those before it was interrupted.

    Attributes:
        earlier: seconds up to the checkpoint that the training resumes from.
    """

    def __init__(self) -> None:
        self.earlier, self.started = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.earlier + time.perf_counter() - self.started

    def state_dict(self) -> dict[str, float]:
        """Returns the state for a checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: Mapping[str, float]) -> None:
        """Restores the state from a checkpoint."""
        self.earlier = float(state_dict["seconds"])


class OwnSigterm(Callback):
    """Keeps the earlier handler of SIGTERM: Lightning's waits for other processes, which may have ended."""

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Called when Lightning has set its own handler."""
        del trainer, pl_module
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)


class SampleRecorder(Protocol):
    """Records what the decoder draws, epoch by epoch."""

    def epoch(self, vae: VAE, number: int) -> None:
        """Records epoch `number`, counted from 1."""

    def finish(self) -> None:
        """Called once after the last epoch."""


def recorded_epochs(epochs: int) -> set[int]:
    """Returns the epochs, counted from 1, whose samples are kept: all, or `MOST_SAMPLES` evenly spread.

    >>> len(recorded_epochs(20)), len(recorded_epochs(500)), max(recorded_epochs(500))
    (20, 60, 500)
    """
    return {int(epoch) for epoch in np.linspace(1, epochs, min(epochs, MOST_SAMPLES)).round()}


class Samples(Callback):
    """Draws samples from the decoder after each epoch, of long trainings after `MOST_SAMPLES` of the epochs.

    Args:
        recorder: draws them.
        folder: where the recorder writes its `epoch-0001.*`.
        until_still: whether the training may end before the Trainer's `max_epochs`.
    """

    def __init__(self, recorder: SampleRecorder, folder: Path, *, until_still: bool = False) -> None:
        self.recorder, self.folder, self.until_still = recorder, folder, until_still
        self.recorded: set[int] = set()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Chooses the epochs; of a training that is longer now, thins out the samples that it has."""
        del pl_module
        epochs = trainer.max_epochs or -1
        if epochs < 1:  # max_steps decides
            steps = trainer.estimated_stepping_batches / max(1, trainer.num_training_batches)
            epochs = math.ceil(steps) if math.isfinite(steps) else 0
        self.recorded = recorded_epochs(epochs) if epochs > 0 else set()
        if self.until_still and trainer.min_epochs:
            self.recorded |= recorded_epochs(trainer.min_epochs)
        elif trainer.is_global_zero:
            self._thin(trainer.current_epoch)

    def _thin(self, done: int) -> None:
        """Removes samples until no more are left than those to come leave room for."""
        files = {int(file.stem[6:]): file for file in self.folder.glob("epoch-*") if file.stem[6:].isdecimal()}
        if len(files) + sum(e > done for e in self.recorded) <= len(self.recorded):
            return
        kept = {min(files, key=lambda number: abs(number - e)) for e in self.recorded if e <= max(files, default=0)}
        for number in set(files) - kept:
            files[number].unlink(missing_ok=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the samples of this epoch."""
        if trainer.is_global_zero and (not self.recorded or trainer.current_epoch + 1 in self.recorded):
            pl_module.eval()
            self.recorder.epoch(_vae(pl_module), trainer.current_epoch + 1)
            pl_module.train()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the strip over all epochs."""
        del pl_module
        if trainer.is_global_zero:
            if self.until_still and trainer.current_epoch:
                self.recorded = recorded_epochs(trainer.current_epoch)
                self._thin(trainer.current_epoch)
            self.recorder.finish()
