"""Follows a training by its bound on the held-out log p(x), at the σ that fits the residuals."""

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from latentviz.evaluation.reconstruction import calibrating_scale, normal, rescaled
from latentviz.model.training import LightningVAE


class Bound(Callback):
    """Follows a training by its bound on the held-out log p(x), nats per item, higher is better.

    A Normal p(x|z) has the bound with the σ that fits the residuals (Rybkin et al. 2021): comparable whatever the C.

    Args:
        report: called after each epoch with its number and the bound; it may raise, which ends the training.
    """

    def __init__(self, report: Callable[[int, float, int], None]) -> None:
        self.report = report
        self.known = False
        self.numbers, self.log_sigmas = 0, math.nan  # of one item; NaN: p(x|z) is not Normal

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Learns from the first batch what p(x|z) is."""
        del trainer, outputs
        if self.known:
            return
        assert isinstance(pl_module, LightningVAE)
        with torch.inference_mode():
            found = normal(pl_module.likelihood(pl_module.encoder(pl_module.batch_of(batch).x[:1]).mean))
        if found is not None:
            self.numbers = found.loc.numel()
            self.log_sigmas = float(found.scale.expand_as(found.loc).double().log().sum())
        self.known = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reports the bound of an epoch that was validated."""
        del pl_module
        found = trainer.callback_metrics
        if trainer.is_global_zero and {"val_log_likelihood", "val_kl"} <= found.keys():
            value = self.of(float(found["val_log_likelihood"]), float(found["val_kl"]))
            self.report(trainer.current_epoch + 1, value, trainer.max_epochs or -1)

    def of(self, log_likelihood: float, kl: float) -> float:
        """Returns the bound for means over the held-out items."""
        if not math.isfinite(self.log_sigmas):
            return log_likelihood - kl
        squares = -2 * (log_likelihood + self.log_sigmas) - self.numbers * math.log(2 * math.pi)
        one = torch.tensor([squares], dtype=torch.float64)
        scale = calibrating_scale(one.clamp_min(0), self.numbers)
        assert scale is not None
        return float(rescaled(torch.tensor([log_likelihood], dtype=torch.float64), one, self.numbers, scale)) - kl
