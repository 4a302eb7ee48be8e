"""Training: data → items → VAE → checkpoints → μ. Reads top to bottom as the story of a run."""

import csv
import importlib.util
import logging
import math
import platform
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning_fabric.utilities.exceptions import MisconfigurationException
from tqdm import tqdm

from latentviz.config import FitConfig, validate
from latentviz.encode import active_units, encode
from latentviz.errors import ConfigError, DataError, RunError, TrainingError
from latentviz.log import say, stage, warn
from latentviz.modalities import part
from latentviz.run import Run, atomic_write
from latentviz.vae import VAE

# Gradients of a sum over the item are large; this stops explosions and leaves the ordinary step alone.
GRADIENT_CLIP = 1_000.0
GUARD_EVERY = 50  # steps between looks at the loss on a device where looking waits for the queue


def fit(config: FitConfig, run: Run, *, resume: bool = False) -> Run:
    """Trains a VAE and writes the whole run: items, cache, checkpoints, samples, μ, log σ², and last run.json.

    Args:
        config: what to fit, "auto" values allowed.
        run: a new run from `Run.create`, or with `resume` one that was interrupted.
        resume: go on from the last checkpoint to the same number of epochs.

    Raises:
        DataError: the data cannot be read or learnt from.
        TrainingError: the loss is no longer a number; the last good checkpoint stays.
    """
    seconds: dict[str, float] = {}
    kind = part(config.data.kind, "kind").KIND
    if not resume or not run.items_file.exists():
        config = _read(kind, config, run, seconds)
    run.settle()
    data = kind.load(config, run.cache, run.items())
    pl.seed_everything(config.seed_everything, workers=True, verbose=False)
    vae = data.build()
    started = time.perf_counter()
    say(f"training on {len(data.items.train):,} items …")
    with _quiet(), _interruptible():
        batches, callbacks = data.training(run.cache)
        trainer = _trainer(config, run, [Samples(data.recorder(run.samples)), *callbacks])
        checkpoint = run.last_checkpoint if resume and run.last_checkpoint.exists() else None
        if checkpoint:
            load_weights(vae, checkpoint)  # Lightning loads it again, with the optimiser; this one tells what is wrong
        trainer.fit(vae, batches, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if not run.best_checkpoint.exists():
        raise TrainingError(f"{run.path}: the training ended before its first validation, so that no checkpoint was "
                            "kept; raise trainer.max_steps, and leave trainer.fast_dev_run and "
                            "trainer.limit_val_batches alone")
    seconds["train"] = round(time.perf_counter() - started, 2)
    say(f"training done in {seconds['train']:.1f} s")
    load_weights(vae, run.best_checkpoint)
    with stage("encoding", seconds):
        encode(vae, data.dataset(), data.to_input, run.mu_file, run.logvar_file)
    run.write_info(_info(config, run, vae, seconds))
    return run


def _read(kind: Any, config: FitConfig, run: Run, seconds: dict[str, float]) -> FitConfig:
    """Reads the data into the run and returns the resolved config; an error leaves no half-made run behind."""
    try:
        with stage("reading", seconds):
            prepared = kind.prepare(config, run.cache)
            config = kind.resolve(config, prepared, run.cache)
        check_trainer(config.trainer)
        for note in prepared.notes:
            say(f"  {note}")
        if prepared.bad:
            with atomic_write(run.bad_items_file) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
                csv.writer(f).writerows([("source", "reason"), *((b.source, b.reason) for b in prepared.bad)])
            warn(f"{len(prepared.bad)} unreadable items were left out; {run.bad_items_file} lists them")
        (run.cache / "fingerprint.txt").write_text(prepared.fingerprint + "\n", encoding="utf-8")
        run.write_items(prepared.items)
        run.write_config(config)
    except BaseException:
        run.abandon()
        raise
    return config


def check_trainer(arguments: dict[str, Any]) -> None:
    """Raises a ConfigError if Lightning's Trainer refuses these arguments' values."""
    try:
        with _quiet():
            pl.Trainer(**arguments, logger=False, enable_progress_bar=False, enable_checkpointing=False)
    except (ValueError, TypeError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {str(error).splitlines()[0]}") from None


def _trainer(config: FitConfig, run: Run, more: list[Callback]) -> pl.Trainer:
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    defaults = {"accelerator": "auto", "precision": "bf16-mixed" if bf16 else "32-true",
                "gradient_clip_val": GRADIENT_CLIP, "num_sanity_val_steps": 0, "enable_model_summary": False,
                "log_every_n_steps": 1_000_000}
    callbacks: list[Callback] = [
        Repeatable(config.seed_everything), EpochMeans(), Guard(), EpochTable(run.metrics_file), *more, Bar(),
        ModelCheckpoint(run.checkpoints, filename="best", monitor="val_loss", save_last=True, verbose=False,
                        enable_version_counter=False),
    ]
    if config.model.patience:
        callbacks.append(EarlyStopping("val_loss", patience=config.model.patience, verbose=False))
    logger = pl.loggers.TensorBoardLogger(run.path, name="", version="tensorboard") if (
        importlib.util.find_spec("tensorboard")) else False
    return pl.Trainer(**{**defaults, **config.trainer}, callbacks=callbacks, logger=logger,
                      default_root_dir=run.path, enable_progress_bar=False)


class Repeatable(Callback):
    """Seeds each epoch by its number, so that a resumed training draws what an undisturbed one draws."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seeds torch, which all draws of a training come from."""
        del pl_module
        mixed = int(np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]
                                           ).generate_state(1)[0])
        torch.manual_seed(mixed)


def _vae(module: pl.LightningModule) -> VAE:
    assert isinstance(module, VAE)
    return module


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
            raise TrainingError(f"the loss is {float(loss)} at step {trainer.global_step} (epoch "
                                f"{trainer.current_epoch + 1}){kept}. Try a smaller model.lr or model.c, or "
                                "trainer.gradient_clip_val=10, with --force")


class EpochTable(Callback):
    """Appends one row an epoch to metrics.csv."""

    COLUMNS = ("epoch", "step", "train_loss", "train_log_likelihood", "train_kl", "val_loss", "val_log_likelihood",
               "val_kl")

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drops the rows of epochs that are trained (again) from here on."""
        del pl_module
        if trainer.is_global_zero and self.file.exists():
            with self.file.open(encoding="utf-8", newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["epoch"]) <= trainer.current_epoch]
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
        with self.file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.COLUMNS, restval="", extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)


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

    REFRESH = 0.5  # seconds; reading the numbers waits for the device, so not each step

    def __init__(self) -> None:
        self.bar: Any = None
        self.read = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar at the step that the training goes on from."""
        del pl_module
        if trainer.is_global_zero and sys.stderr.isatty():
            total = trainer.estimated_stepping_batches
            self.bar = tqdm(total=int(total) if math.isfinite(total) else None, initial=trainer.global_step,
                            unit="step", dynamic_ncols=True, mininterval=self.REFRESH)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Moves on by one step."""
        if self.bar is None:
            return
        if time.monotonic() - self.read > self.REFRESH:
            self.read = time.monotonic()
            self.bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)
            latest = _vae(pl_module).latest
            self.bar.set_postfix_str(f"loss {latest['loss']:.1f}, log-likelihood {latest['log_likelihood']:.1f}, "
                                     f"KL {latest['kl']:.1f}", refresh=False)
        self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Without a terminal, says how the epoch went."""
        del pl_module
        if self.bar is None and trainer.is_global_zero:
            m = trainer.callback_metrics
            say(f"  epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
                + ", ".join(f"{k.replace('_', ' ')} {float(m[k]):.1f}" for k in ("train_loss", "val_loss", "val_kl")
                            if k in m))

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
            self.bar.close()
            self.bar = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Lightning's start-up remarks from the user, who can do nothing about them."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C arrive as a KeyboardInterrupt; Lightning turns it into an exit, and every later one into nothing."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def load_weights(vae: VAE, checkpoint: Path) -> VAE:
    """Puts a checkpoint's weights into `vae` and returns it; nothing pickled is ever executed.

    Raises:
        RunError: the file is missing, damaged, or holds another model's weights.
    """
    try:
        content = torch.load(checkpoint, map_location=vae.device, weights_only=True)
        vae.load_state_dict(content["state_dict"])
    except Exception as error:  # noqa: BLE001 - torch raises a dozen kinds for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise RunError(f"{checkpoint}: cannot be loaded ({reason}); `latentviz fit` makes it again with --force"
                       ) from None
    return vae


def load_model(run: Run) -> tuple[VAE, Any]:
    """Returns the trained model of a run, in evaluation mode, and its data.

    Raises:
        RunError: the run is unfinished or damaged.
    """
    run.require(run.best_checkpoint)
    config = read_config(run)
    data = part(config.data.kind, "kind").KIND.load(config, run.cache, run.items())
    return load_weights(data.build(), run.best_checkpoint).eval(), data


def read_config(run: Run) -> FitConfig:
    """Returns the resolved config of a run."""
    from latentviz.config import read_yaml

    values = read_yaml(run.config_file)
    section: type[FitConfig] = part(values["data"]["kind"], "config").CONFIG
    return validate(section, values, str(run.config_file))


def _info(config: FitConfig, run: Run, vae: VAE, seconds: dict[str, float]) -> dict[str, Any]:
    """Returns the content of run.json."""
    mu = np.load(run.mu_file, mmap_mode="r")
    with run.metrics_file.open(encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    best = min((row for row in epochs if row["val_loss"]), key=lambda row: float(row["val_loss"]))
    bad = sum(1 for _ in run.bad_items_file.open(encoding="utf-8")) - 1 if run.bad_items_file.exists() else 0
    if not np.isfinite(mu).all():
        raise DataError(f"{run.mu_file}: the encoder gives values that are no numbers; train again with a smaller lr")
    return {
        "kind": config.data.kind,
        "fingerprint": (run.cache / "fingerprint.txt").read_text(encoding="utf-8").strip(),
        "seed": config.seed_everything,
        "versions": {name: version(name) for name in ("latentviz", "torch", "pytorch-lightning", "numpy")}
        | {"python": platform.python_version()},
        "seconds": seconds,
        "summary": {
            "items": len(mu),
            "bad_items": bad,
            "epochs": len(epochs),
            "latent_dim": vae.latent_dim,
            "content_dim": vae.content_dim,
            "active_units": active_units(mu),
            "log_likelihood": float(best["val_log_likelihood"]),
            "kl": float(best["val_kl"]),
            "parameters": sum(p.numel() for p in vae.parameters()),
        },
    }
