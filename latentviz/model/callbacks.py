"""What goes on beside a training: seeds, means, a guard against NaN, a table, pictures, and a progress bar."""

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from latentviz.errors import TrainingError, WriteError
from latentviz.model.training import LightningVAE
from latentviz.progress import beside, say
from latentviz.runs.files import atomic_write

GUARD_EVERY = 50  # steps between looks at the loss on a device where looking waits for the queue


def _vae(module: pl.LightningModule) -> LightningVAE:
    assert isinstance(module, LightningVAE)
    return module


class Repeatable(Callback):
    """Seeds each epoch by its number, so that a resumed training draws what an undisturbed one draws."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds torch, which all draws of a training come from."""
        del pl_module
        mixed = int(np.random.SeedSequence([self.seed, trainer.current_epoch, 0]).generate_state(1)[0])
        torch.manual_seed(mixed + trainer.global_rank)  # `Batches` takes the rank off again: one order for all


class EpochMeans(Callback):
    """Logs the epoch's means; first among the callbacks, so that the others find them."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the validation means."""
        del trainer
        pl_module.log_dict(_vae(pl_module).epoch_means("val"), sync_dist=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the training means."""
        del trainer
        pl_module.log_dict(_vae(pl_module).epoch_means("train"), sync_dist=True)


class Guard(Callback):
    """Stops the training when the loss is no longer a number, before a checkpoint could keep it."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        """Looks at the loss: each step where that is free, now and then where it waits for the device."""
        if pl_module.device.type == "cpu" or trainer.global_step % GUARD_EVERY == 0:
            self._check(trainer, outputs["loss"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the validation loss."""
        del pl_module
        if "val_loss" in trainer.callback_metrics:
            self._check(trainer, trainer.callback_metrics["val_loss"])

    @staticmethod
    def _check(trainer: pl.Trainer, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            kept = "; the last good checkpoint is kept" if trainer.current_epoch else ""
            raise TrainingError(
                f"the loss is {float(loss)} at step {trainer.global_step} (epoch "
                f"{trainer.current_epoch + 1}){kept}. Try a smaller model.lr or model.c, or "
                "trainer.gradient_clip_val=10, with --force"
            )


class EpochTable(Callback):
    """Appends one row an epoch to metrics.csv."""

    COLUMNS = (
        "epoch",
        "step",
        "train_loss",
        "train_log_likelihood",
        "train_kl",
        "val_loss",
        "val_log_likelihood",
        "val_kl",
        "val_mutual_information",
        "val_active_units",
    )

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drops the rows of epochs that are trained (again) from here on, and what a full disk left of a row."""
        del pl_module
        if trainer.is_global_zero and self.file.exists():
            kept = [row for row in read_metrics(self.file) if int(row["epoch"]) <= trainer.current_epoch]
            with atomic_write(self.file) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.COLUMNS)
                writer.writeheader()
                writer.writerows(kept)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the row; its header first where the file is new."""
        del pl_module
        if not trainer.is_global_zero:
            return
        metrics = {k: f"{float(v):.6g}" for k, v in trainer.callback_metrics.items()}
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **metrics}
        new = not self.file.exists()
        try:
            with self.file.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.COLUMNS, restval="", extrasaction="ignore")
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise WriteError(self.file, error.strerror or str(error)) from None


NEEDED = {"epoch", "step", "val_loss", "val_log_likelihood", "val_kl"}  # what a run's summary is made from


def read_metrics(file: Path) -> list[dict[str, str]]:
    """Returns the rows of metrics.csv in the order of their epochs, up to the first that is not whole."""
    rows: list[dict[str, str]] = []
    last = 0
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        for row in csv.DictReader(lines):
            epoch = row.get("epoch") or ""
            if not set(row) >= NEEDED or None in row.values() or not epoch.isdecimal() or int(epoch) <= last:
                break
            last = int(epoch)
            rows.append(row)
    return rows


class Clock(Callback):
    """Counts the seconds of a training, those before it was interrupted and resumed among them.

    Attributes:
        earlier: seconds up to the checkpoint that the training goes on from.
    """

    def __init__(self) -> None:
        self.earlier, self.started = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long so far."""
        return self.earlier + time.perf_counter() - self.started

    def state_dict(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        self.earlier = float(state_dict["seconds"])


class Samples(Callback):
    """Lets the decoder show after each epoch what it can do by now."""

    def __init__(self, recorder: Any) -> None:
        self.recorder = recorder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws."""
        if trainer.is_global_zero:
            pl_module.eval()
            self.recorder.epoch(pl_module, trainer.current_epoch + 1)
            pl_module.train()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws the strip through all epochs."""
        del pl_module
        if trainer.is_global_zero:
            self.recorder.finish()


class Bar(Callback):
    """A progress bar over the training with ETA, loss, log-likelihood and KL; without a terminal, a line an epoch."""

    LINES = 20  # about so many without a terminal
    REFRESH = 0.5  # seconds; reading the numbers waits for the device, so not each step

    def __init__(self) -> None:
        self.bar: Any = None
        self.read = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar at the step that the training goes on from."""
        del pl_module
        if trainer.is_global_zero and sys.stderr.isatty():
            total = trainer.estimated_stepping_batches
            self.bar = tqdm(
                total=int(total) if math.isfinite(total) else None,
                initial=trainer.global_step,
                unit="step",
                dynamic_ncols=True,
                mininterval=self.REFRESH,
            )
            beside(lambda line: tqdm.write(line, file=sys.stderr))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Moves on by one step."""
        if self.bar is None:
            return
        if time.monotonic() - self.read > self.REFRESH:
            self.read = time.monotonic()
            self.bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)
            latest = _vae(pl_module).latest
            self.bar.set_postfix_str(
                f"loss {latest['loss']:.1f}, log-likelihood {latest['log_likelihood']:.1f}, KL {latest['kl']:.1f}",
                refresh=False,
            )
        self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Without a terminal, says how the epoch went."""
        del pl_module
        every = max(1, (trainer.max_epochs or 1) // self.LINES)
        last = trainer.current_epoch + 1 == trainer.max_epochs
        if self.bar is None and trainer.is_global_zero and (last or (trainer.current_epoch + 1) % every == 0):
            m = trainer.callback_metrics
            say(
                f"  epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
                + ", ".join(
                    f"{k.replace('_', ' ')} {float(m[k]):.1f}" for k in ("train_loss", "val_loss", "val_kl") if k in m
                )
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Closes the bar."""
        del trainer, pl_module
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Closes the bar, so that the error stands on a line of its own."""
        del trainer, pl_module, exception
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            beside(None)
            self.bar.close()
            self.bar = None
