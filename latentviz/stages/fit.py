"""Training, from top to bottom: data → items → VAE → checkpoints → mu and logvar → run.json."""

import csv
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback

from latentviz import resources
from latentviz.config import FitConfig, resolved
from latentviz.config.trainer import is_object, missing_objects, noted
from latentviz.errors import ConfigError, DataError, RunError, TrainingError
from latentviz.modalities import modality
from latentviz.modalities.acting import check_resolved
from latentviz.modalities.base import AnyDataKind, TrainingBatches
from latentviz.modalities.batches.counts import at_least_one_batch
from latentviz.modalities.batches.lightning import LightningBatches
from latentviz.modalities.io.memory import index_of
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.networks import STANDARD, Networks
from latentviz.model import loggers
from latentviz.model.bar import Bar
from latentviz.model.callbacks import (
    Checkpoints,
    Clock,
    EpochMeans,
    EpochTable,
    OwnSigterm,
    Repeatable,
    Samples,
)
from latentviz.model.check import check
from latentviz.model.checkpoint import kept_checkpoint, load_weights
from latentviz.model.distributed import Team, check_shares, team
from latentviz.model.encoding import active_units, encode
from latentviz.model.ending import Guard, LastValidation, Patience, large
from latentviz.model.still import StandStill
from latentviz.model.training import LightningVAE, WholeCheckpoints
from latentviz.model.vae import VAE
from latentviz.model.warm_start import Start
from latentviz.progress import plural, quiet, say, stage, warn
from latentviz.runs.cells import safe_cell
from latentviz.runs.extension import earlier_weights
from latentviz.runs.files import atomic_write
from latentviz.runs.metrics import read_metrics
from latentviz.runs.run import RunFolder
from latentviz.stages.preview import previews

# The loss is a sum over the item, so gradients are large; this bound stops explosions and leaves normal steps alone.
GRADIENT_CLIP = 1_000.0
COMPARED = 1_000  # items that are compared with the support of a user's likelihood


# Reads the data into a cache; returns what was read and the resolved config.
Reader = Callable[[Path], tuple[Prepared, FitConfig]]


def fit(
    config: FitConfig,
    run: RunFolder,
    *,
    resume: bool = False,
    networks: Networks = STANDARD,
    read: Reader | None = None,
    show: bool = False,
    watch: Sequence[Callback] = (),
) -> RunFolder:
    """Train a VAE and write the run: items, cache, checkpoints, samples, mu, logvar, and last run.json.

    Args:
        config: what to fit, "auto" allowed.
        run: a new run from `RunFolder.create`, or with `resume` an interrupted one.
        resume: continue from the last checkpoint, to the same number of epochs.
        networks: parts of the model that the user gives.
        read: reads the data; None: those of `config`.
        show: open the first preview in the browser.
        watch: callbacks of a command that follows the training; one that raises ends it.

    Raises:
        DataError: the data cannot be read or learnt from.
        TrainingError: the loss is not a number; the last good checkpoint is kept.
    """
    with ExitStack() as stack:
        try:
            processes = stack.enter_context(team(throwaway_trainer(config)))
        except ConfigError:
            if not resume:
                run.abandon()
            raise
        return _fit(config, run, processes, networks, resume=resume, read=read, show=show, watch=watch)


def follow(config: FitConfig, run: RunFolder, networks: Networks = STANDARD) -> None:
    """Take part in a training as one of its further processes; return at once if this is the first or only process.

    Raises:
        SystemExit: the training is done; the first process does the rest.
    """
    with team(throwaway_trainer(config)) as processes:
        if processes.first:
            return
        _fit(config, run, processes, networks)
    raise SystemExit(0)


def _fit(
    config: FitConfig,
    run: RunFolder,
    processes: Team,
    networks: Networks,
    *,
    resume: bool = False,
    read: Reader | None = None,
    show: bool = False,
    watch: Sequence[Callback] = (),
) -> RunFolder:
    seconds: dict[str, float] = {}
    light = modality(config.data.kind)
    if processes.first and (not resume or not run.items_file.exists()):
        config = _read(read or _reader(light.data_kind, config), run, seconds, resume=resume)
    elif processes.first:
        config = resolved(light.resolved, config)
    config, resume = _shared(config, resume, processes)
    kind = light.data_kind.load(config, run.cache, run.items())
    pl.seed_everything(config.seed_everything, workers=True, verbose=False)
    try:
        vae = LightningVAE.of(kind.build(networks), until_still=config.model.stop == "still")
        if networks.names:
            check(vae, kind.examples(2), kind.examples(COMPARED))
        check_shares(vae, min(len(kind.items.train), config.data.batch_size), processes)
    except BaseException:
        if processes.first and not resume:  # a network that cannot be trained is given again, for a run of this name
            run.abandon()
        raise
    if processes.first:
        weights = sum(p.numel() for p in vae.parameters())
        resources.fit(config, len(kind.items), resources.pixels(run.cache), weights, kind.seconds, kind.step_bytes)
    clock = Clock()
    say(f"training on {plural(len(kind.items.train), 'item')}; samples of each epoch are in {run.samples} …")
    with quiet(), _interruptible(), _threads(kind.threads), previews(config, run, kind, show=show) as more:
        batches, callbacks = kind.training(run.cache)
        if (start := earlier_weights(run)) is not None:
            callbacks = [*callbacks, Start(start, run.again)]
        samples = Samples(kind.recorder(run.samples), run.samples, until_still=vae.until_still)
        still = StandStill(kind.dataset(), kind.to_input, kind.items.train, clock, kind.gain, config.trainer)
        callbacks = [clock, samples, *callbacks, *more, *watch, *([still] if vae.until_still else [])]
        trainer = _trainer(config, run, callbacks, batches, own=[*vae.objective])
        checkpoint = run.last_checkpoint if resume and run.last_checkpoint.exists() else None
        if checkpoint:
            load_weights(vae, checkpoint, run.again)  # Lightning loads it again; this call reports damage
        trainer.fit(vae, LightningBatches(batches), ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if not run.best_checkpoint.exists():
        raise TrainingError(
            f"{run.path}: the training ended before its first validation, so there is no checkpoint; raise "
            "trainer.max_time or trainer.max_steps, and leave out trainer.check_val_every_n_epoch"
        )
    seconds["train"] = round(clock.seconds, 2)
    say(f"training done in {clock.seconds:.1f} s: {still.reason}")
    processes.wait()
    load_weights(vae.float(), kept_checkpoint(config, run), run.again)  # after a training in another precision
    with stage("encoding", seconds):
        vae.to(trainer.strategy.root_device)
        encode(vae, kind.dataset(), kind.to_input, run.mu_file, run.logvar_file, processes=processes)
    vae.cpu()
    if not processes.first:
        return run
    run.write_info(_info(config, run, vae, seconds, kind.about, still.reason))
    run.settle()
    return run


def _reader(kind: type[AnyDataKind], config: FitConfig) -> Reader:
    """Return what reads the data of a config and resolves it."""

    def read(cache: Path) -> tuple[Prepared, FitConfig]:
        prepared = kind.prepare(config, cache)
        found = kind.resolve(config, prepared, cache)
        check_resolved(config, found)
        return prepared, found

    return read


def _read(read: Reader, run: RunFolder, seconds: dict[str, float], *, resume: bool) -> FitConfig:
    """Read the data into the run; an error removes the new run.

    The config is written last, so a run with a config has its data.
    """
    try:
        with stage("reading", seconds):
            prepared, config = read(run.cache)
        for note in prepared.notes:
            say(f"  {note}")
        if prepared.bad:
            with atomic_write(run.bad_items_file) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
                rows = ((safe_cell(bad.source), safe_cell(bad.reason)) for bad in prepared.bad)
                csv.writer(f).writerows([("source", "reason"), *rows])
            left = plural(len(prepared.bad), "item was", "items were")
            warn(f"{left} left out; the reasons are in {run.bad_items_file}")
        with atomic_write(run.cache / "fingerprint.txt") as temporary:
            temporary.write_text(prepared.fingerprint + "\n", encoding="utf-8")
        run.write_items(prepared.items)
        if (index := index_of(config.data.path, prepared.items.column("source"))) is not None:
            run.write_index(index)
        run.write_config(config)
    except BaseException:
        if not resume:  # else keep what was trained
            run.abandon()
        raise
    return config


def _shared(config: FitConfig, resume: bool, processes: Team) -> tuple[FitConfig, bool]:
    """Gives all processes the first one's config; objects from Python, such as callbacks, each process has itself."""
    if processes.size == 1:
        return config, resume
    own = {key: value for key, value in config.trainer.items() if is_object(key, value)}
    config, resume = processes.share((_with_trainer(config, config.model_dump()["trainer"]), resume))
    return _with_trainer(config, {**config.trainer, **own}), resume


def _with_trainer(config: FitConfig, trainer: dict[str, Any]) -> FitConfig:
    return config.model_copy(update={"trainer": trainer})


LAUNCHED = ("MASTER_ADDR", "NODE_RANK", "GROUP_RANK", "SLURM_NTASKS", "RANK", "KUBERNETES_PORT", "LSB_JOBID")


def throwaway_trainer(config: FitConfig) -> pl.Trainer:
    """Build a Trainer only to validate its arguments, with a ConfigError, and to know its processes."""
    given = config.trainer
    if lines := missing_objects(given):
        raise ConfigError("\n  ".join(lines))
    loggers.check(given)
    endless = given.get("max_epochs") == -1 and given.get("max_steps", -1) in {None, -1} and not given.get("max_time")
    if endless and not config.model.patience:
        raise ConfigError(
            "trainer.max_epochs: -1 would train forever; give a number of epochs, trainer.max_steps, trainer.max_time, "
            "or model.patience=10"
        )
    if given.get("num_nodes", 1) > 1 and not any(name in os.environ for name in LAUNCHED):
        raise ConfigError(
            f"trainer.num_nodes: needs a launcher that starts a process on each machine, such as torchrun or srun (got "
            f"{given['num_nodes']}); see docs/scaling.md"
        )
    try:
        with quiet():
            return pl.Trainer(
                **{**given, "callbacks": None, "logger": False, "enable_model_summary": False},
                enable_progress_bar=False,
                enable_checkpointing=False,
            )
    except (ValueError, TypeError, ImportError, RuntimeError, AttributeError, MisconfigurationException) as error:
        got = ", ".join(f"{key}={noted(key, value)}" for key, value in given.items())
        raise ConfigError(f"trainer: {str(error).splitlines()[0]} (got {got})") from None


def _trainer(
    config: FitConfig, run: RunFolder, more: list[Callback], batches: TrainingBatches, *, own: Sequence[str]
) -> pl.Trainer:
    defaults = {
        "accelerator": "auto",
        "precision": "bf16-mixed" if has_bf16() else "32-true",
        "gradient_clip_val": GRADIENT_CLIP,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "log_every_n_steps": 1_000_000,
        "use_distributed_sampler": False,  # `Batches` divides the batches
    }
    callbacks: list[Callback] = [
        Repeatable(config.seed_everything),
        EpochMeans(),
        Guard(large(config.model)),
        LastValidation(),
        EpochTable(run.metrics_file, own),
        *more,
        Bar(),
        OwnSigterm(),
        Checkpoints(
            run.checkpoints, filename=run.best_checkpoint.stem, monitor="val_loss", enable_version_counter=False
        ),
        Checkpoints(
            run.checkpoints,
            filename=run.last_checkpoint.stem,
            monitor=None,
            every_n_epochs=1,
            enable_version_counter=False,
        ),
    ]
    if config.model.patience:
        callbacks.append(Patience("val_loss", patience=config.model.patience, verbose=False))
    settings = {**defaults, **config.trainer, **at_least_one_batch(config.trainer, batches)}
    plugins = settings.pop("plugins", None) or []
    settings |= {
        "callbacks": [*callbacks, *loggers.callbacks(config.trainer)],
        "logger": loggers.loggers(config.trainer, run.path),
        "plugins": [WholeCheckpoints(), *(plugins if isinstance(plugins, list) else [plugins])],
    }
    return pl.Trainer(**settings, default_root_dir=run.path, enable_progress_bar=False)


def has_bf16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware, which halves the time of a step."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(known and known())


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Limit torch's threads; None: no limit."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Lightning's exit on Ctrl-C back into a KeyboardInterrupt, and restore the handler that it replaces."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _info(
    config: FitConfig, run: RunFolder, vae: VAE, seconds: dict[str, float], about: Sequence[str], ended: str
) -> dict[str, object]:
    """Return the content of run.json."""
    mu = np.load(run.mu_file, mmap_mode="r")
    epochs = read_metrics(run.metrics_file) if run.metrics_file.exists() else []
    validated = [row for row in epochs if row["val_loss"]]
    if not validated:
        raise RunError(f"{run.metrics_file}: missing or damaged; {run.again}")
    kept = min(validated, key=lambda row: float(row["val_loss"])) if config.model.patience else validated[-1]
    bad = len(run.bad_items_file.read_text(encoding="utf-8").splitlines()) - 1 if run.bad_items_file.exists() else 0
    if not np.isfinite(mu).all():
        raise DataError(
            f"{run.mu_file}: the encoder returned values that are not finite; train again with a smaller model.lr"
        )
    return {
        "kind": config.data.kind,
        "fingerprint": (run.cache / "fingerprint.txt").read_text(encoding="utf-8").strip(),
        "seed": config.seed_everything,
        "versions": {name: version(name) for name in ("latentviz", "torch", "pytorch-lightning", "numpy")}
        | {"python": platform.python_version()},
        "seconds": seconds,
        "summary": {
            "about": list(about),
            "items": len(mu),
            "bad_items": bad,
            "epochs": len(epochs),
            "ended": ended,
            "latent_dim": vae.latent_dim,
            "content_dim": vae.content_dim,
            "given_dim": vae.given_dim,
            "contrast": vae.contrast,
            "active_units": active_units(mu),
            "log_likelihood": float(kept["val_log_likelihood"]),
            "kl": float(kept["val_kl"]),
            "parameters": sum(p.numel() for p in vae.parameters()),
        },
    }
