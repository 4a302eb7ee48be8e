"""Lightning callbacks that end a training: a loss that is not finite, the last validation, patience."""

from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import Tensor

from latentviz.config import ModelSection
from latentviz.errors import TrainingError

GUARD_EVERY = 50  # steps between checks of the loss on a device where reading it waits for the queue


class Guard(Callback):
    """Stops the training when the loss is not finite, before a checkpoint is written.

    Args:
        settings: those that may be too large, with their values, for the message.
    """

    def __init__(self, settings: str) -> None:
        self.settings = settings

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, *_: object
    ) -> None:
        """Checks the training loss: at each step on the CPU, every 50 on devices where that waits."""
        if pl_module.device.type == "cpu" or trainer.global_step % GUARD_EVERY == 0:
            self._check(trainer, cast("dict[str, Tensor]", outputs)["loss"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Checks the validation loss."""
        del pl_module
        if "val_loss" in trainer.callback_metrics:
            self._check(trainer, trainer.callback_metrics["val_loss"])

    def _check(self, trainer: pl.Trainer, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            kept = "; the last good checkpoint is kept" if trainer.current_epoch else ""
            raise TrainingError(
                f"the loss is {float(loss)} at step {trainer.global_step} (epoch {trainer.current_epoch + 1}){kept}. "
                f"Try smaller values of {self.settings}, or trainer.gradient_clip_val=10, in another run with "
                "--run NAME, or with --force in place of this one"
            )


def large(model: ModelSection) -> str:
    """Lists the settings with which a loss may overflow, and their values; 0 adds nothing to it."""
    values = {name: getattr(model, name, 0) for name in ("lr", "c", "free_bits", "contrast", "noise")}
    return ", ".join(
        f"model.{name} ({value:g})" for name, value in values.items() if isinstance(value, float) and value
    )


class LastValidation(Callback):
    """Validates at the last step of a training that would end without any validation, and so without a checkpoint."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Stops the training at its last step, because Lightning validates when it is stopped."""
        del pl_module, outputs, batch
        ends = trainer.max_epochs == trainer.current_epoch + 1 and batch_idx + 1 >= trainer.num_training_batches
        if "val_loss" not in trainer.callback_metrics and (ends or trainer.global_step == trainer.max_steps):
            trainer.check_val_every_n_epoch = 1
            trainer.should_stop = True


class Patience(EarlyStopping):
    """Stops early; a training that goes on after it had stopped gets the whole patience again."""

    @property
    def state_key(self) -> str:
        """Lightning's."""
        return super().state_key.replace(type(self).__qualname__, EarlyStopping.__qualname__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the state."""
        super().load_state_dict(state_dict)
        if self.wait_count >= self.patience:
            self.wait_count, self.stopped_epoch = 0, 0
