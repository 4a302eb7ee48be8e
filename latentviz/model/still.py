"""A Lightning callback that ends a training when what is wanted of it stands still."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import Tensor

from latentviz.model.callbacks import Clock
from latentviz.model.encoding import Stored, ToInput, encode_rows
from latentviz.model.schedule import FALL, Schedule
from latentviz.model.training import LightningVAE, epoch_steps
from latentviz.progress import plural, say
from latentviz.runs.info import STANDS_STILL

PROBE = 2_000  # items whose neighbours are compared
NEAR = 15  # neighbours of each
APART = 1.2  # steps at a look, over those at the look before
CLOCK_EVERY = 10  # steps between two looks at the clock
MOST_LOSSES = 500  # validations that a slope is computed from
SAME = 0.8  # share of the neighbours that stay from one look to the next when they stand still


class Look(NamedTuple):
    """What a training has reached at a step."""

    step: int
    gain: float  # of the held-out loss from one look to the next, as a share of it
    near: Tensor  # int64 (n, k), the nearest others of each item of the probe


def nearest(mu: Tensor, k: int = NEAR) -> Tensor:
    """Return the k nearest others of each row of μ (n, d) by direction, int64 (n, k); fewer if n ≤ k."""
    unit = torch.nn.functional.normalize(mu, dim=1)
    similar = (unit @ unit.T).fill_diagonal_(-2)
    return similar.topk(min(k, len(mu) - 1)).indices


def same_share(before: Tensor, now: Tensor) -> float:
    """Return the share of neighbours (n, k) that are the same as before."""
    return float((before[:, :, None] == now[:, None, :]).any(2).float().mean())


def gain_of(losses: Sequence[tuple[int, float]]) -> float:
    """Return how much a loss falls from one look to the next, as a share of it; infinite for fewer than two losses.

    The slope of the loss over the logarithm of the step is Theil's (1950), the median of those of all pairs, since the
    loss of an epoch at the peak learning rate can be a fifth too high.

    Args:
        losses: step and loss of the validations of the latter half of a training.

    >>> round(gain_of([(50, 4.0), (60, 9.0), (70, 3.0), (100, 2.0)]), 3)
    0.153
    """
    if len(losses) < 2:
        return math.inf
    steps, values = np.array(losses[:: 1 + len(losses) // MOST_LOSSES]).T
    first, second = np.triu_indices(len(steps), 1)
    slopes = (values[second] - values[first]) / np.log(steps[second] / steps[first])
    return float(-np.median(slopes) * math.log(APART) / max(abs(np.median(values)), 1e-12))


def stands_still(before: Look, now: Look, gain: float) -> bool:
    """Whether neighbours hardly change, and the held-out loss gains less than a share at both looks."""
    return same_share(before.near, now.near) >= SAME and max(before.gain, now.gain) < gain


class StandStill(Callback):
    """Lets the learning rate fall when neighbours and held-out loss stand still or the time requires it, then ends.

    It looks after validations, more and more steps apart. What it decided is in the checkpoints.

    Args:
        data: the items as stored.
        to_input: converts a stored batch to the encoder's input.
        rows: the items to choose the probe from.
        clock: of the training.
        gain: share of the held-out loss that a look must gain for the training to go on.
        arguments: the Trainer's, of which `max_time` requires the fall in time.
    """

    def __init__(
        self,
        data: Stored,
        to_input: ToInput,
        rows: np.ndarray,
        clock: Clock,
        gain: float,
        arguments: Mapping[str, Any],
    ) -> None:
        self.data, self.to_input, self.clock, self.gain = data, to_input, clock, gain
        self.seconds = seconds_of(arguments.get("max_time"))
        self.rows = rows[np.unique(np.linspace(0, len(rows) - 1, PROBE).astype(int))]
        self.look: Look | None = None
        self.losses: list[tuple[int, float]] = []  # step and held-out loss of the latter half so far
        self.begun: tuple[int, int] | None = None  # step and length of the fall
        self.reason = "the limit"

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        look = self.look and tuple(self.look)
        return {"look": look, "losses": self.losses, "begun": self.begun, "reason": self.reason}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.look = state_dict["look"] and Look(*state_dict["look"])
        self.losses = state_dict.get("losses", [])  # a checkpoint of before has none
        self.begun, self.reason = state_dict["begun"], state_dict["reason"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the schedule of a resumed training."""
        schedule = _schedule(pl_module)
        if self.begun is not None:
            schedule.begin(*self.begun)
        trainer.should_stop = trainer.global_step >= schedule.end

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, *_: object
    ) -> None:
        """Begin the fall when the time requires it, and stop at its end."""
        del outputs
        schedule, step = _schedule(pl_module), trainer.global_step
        if math.isfinite(self.seconds) and step < schedule.start and step % CLOCK_EVERY == 0:
            late = self.clock.seconds >= (1 - FALL) * self.seconds
            if trainer.strategy.broadcast(late):
                left = step * max(0.0, self.seconds / self.clock.seconds - 1)
                self._begin(trainer, schedule, "the time", max(1, int(left)))
        if step >= schedule.end:
            trainer.fit_loop.min_epochs = None  # where the time has required it, Lightning would go on to these
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare with the look before."""
        schedule, step = _schedule(pl_module), trainer.global_step
        first = (1 - FALL) * schedule.total / APART
        if trainer.sanity_checking:
            return
        self.losses = [(at, loss) for at, loss in self.losses if 2 * at >= step]
        self.losses.append((step, float(trainer.callback_metrics["val_loss"])))
        if step < max(first, APART * (self.look.step if self.look else 0)) or step >= schedule.start:
            return
        still = False
        if trainer.is_global_zero:
            assert isinstance(pl_module, LightningVAE)
            mu, _ = encode_rows(pl_module, self.data, self.to_input, self.rows)
            now = Look(step, gain_of(self.losses), nearest(mu[:, : pl_module.content_dim]))
            still = self.look is not None and stands_still(self.look, now, self.gain)
            self.look = now
        if trainer.strategy.broadcast(still and step >= (1 - FALL) * schedule.total):
            epoch = epoch_steps(trainer)
            length = math.ceil(step * FALL / (1 - FALL) / epoch - 1e-6) * epoch
            self._begin(trainer, schedule, STANDS_STILL, length)

    def _begin(self, trainer: pl.Trainer, schedule: Schedule, reason: str, length: int) -> None:
        self.begun, self.reason = (trainer.global_step, length), reason
        schedule.begin(*self.begun)
        say(f"  epoch {trainer.current_epoch + 1}: {reason}; the learning rate falls over {plural(length, 'step')}")


def _schedule(module: pl.LightningModule) -> Schedule:
    assert isinstance(module, LightningVAE)
    return module.schedule


def seconds_of(limit: str | Mapping[str, float] | None) -> float:
    """Return the seconds of `trainer.max_time`, infinite for None.

    >>> seconds_of("00:00:01:30"), seconds_of({"minutes": 2}), seconds_of(None)
    (90.0, 120.0, inf)
    """
    if limit is None:
        return math.inf
    if isinstance(limit, str):
        limit = dict(zip(("days", "hours", "minutes", "seconds"), map(float, limit.split(":")), strict=True))
    return timedelta(**limit).total_seconds()
