"""A Lightning callback that has a map drawn of a training that takes long, while it goes on."""

import math
import time
from typing import Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.types import STEP_OUTPUT

from latentviz.model.encoding import Stored, ToInput, encode_rows, split
from latentviz.model.training import LightningVAE, epoch_steps
from latentviz.progress import plural

MOST, FEWEST = 5_000, 50  # items of a preview; fewer have no map worth looking at
AT_ONCE = 250  # items encoded between two looks at the clock
SHARE = 0.02  # of the training's time that encoding them may take


class Drawer(Protocol):
    """Draws maps in a process of its own."""

    def check(self) -> bool:
        """Whether nothing is being drawn; says what has been."""

    def begin(self, rows: np.ndarray, mu: np.ndarray, line: str) -> None:
        """Begins to draw the items `rows`, int64 (m,), by their μ, float32 (m, d); `line` says what of."""


class Previews(Callback):
    """Has maps drawn after `first` seconds of training, then each time it has taken twice as long.

    The training's random numbers and weights stay as they are.

    Args:
        drawer: draws them.
        data: the items as stored.
        to_input: converts a stored batch to the encoder's input.
        first: seconds.
    """

    def __init__(self, drawer: Drawer, data: Stored, to_input: ToInput, first: float) -> None:
        self.drawer, self.data, self.to_input, self.due = drawer, data, to_input, first
        self.started = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        del trainer, pl_module
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, *_: object
    ) -> None:
        """Encode items for a map where one is due and the one before has been drawn."""
        del outputs
        seconds = time.perf_counter() - self.started
        if not trainer.is_global_zero or not self.drawer.check() or seconds < self.due or len(self.data) < FEWEST:
            return
        self.due = 2 * seconds
        assert isinstance(pl_module, LightningVAE)
        rows, mu = self._encoded(pl_module, SHARE * seconds)
        line = f"training: {_progress(trainer, pl_module)}; this is a preview of {plural(len(rows), 'item')}"
        self.drawer.begin(rows, mu, line)

    def _encoded(self, vae: LightningVAE, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Return as many random rows as can be encoded in that time, ascending, and the content of their μ."""
        chosen, parts = np.random.default_rng(0).permutation(len(self.data))[:MOST], []
        end = time.perf_counter() + seconds
        vae.eval()
        for rows in split(chosen, AT_ONCE):
            parts.append(encode_rows(vae, self.data, self.to_input, rows)[0][:, : vae.content_dim])
            if time.perf_counter() > end and AT_ONCE * len(parts) >= 2 * FEWEST:
                break
        vae.train()
        mu = torch.cat(parts).numpy()
        order = np.argsort(chosen[: len(mu)])
        return chosen[order], mu[order]


def _progress(trainer: pl.Trainer, vae: LightningVAE) -> str:
    """Say how far a training is; where it may end earlier, without the share."""
    schedule, epoch = vae.schedule, f"epoch {trainer.current_epoch + 1}"
    if schedule.least is not None and schedule.begun is None:
        most = math.ceil(schedule.limit / epoch_steps(trainer)) if math.isfinite(schedule.limit) else 0
        return f"{epoch} of at most {most}" if most else epoch
    return f"{epoch}, {min(1.0, trainer.global_step / schedule.end):.0%}"
