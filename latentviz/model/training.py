"""What Lightning trains: the VAE as a LightningModule. Importing Lightning takes longer than importing torch."""

import io
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import TorchCheckpointIO
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from latentviz.errors import ArgumentError
from latentviz.model.base import Decoder, Encoder, Likelihood, distortion_and_log_likelihood
from latentviz.model.contrast import from_all, info_nce
from latentviz.model.elbo import diagonal_normal, kl_per_dimension, with_free_bits
from latentviz.model.own import Step
from latentviz.model.schedule import Schedule
from latentviz.model.vae import VAE, Batch, moments
from latentviz.runs.files import atomic_write

Loaded: TypeAlias = Tensor | Sequence[Tensor]  # what a plain DataLoader gives: x (b, …), [x], or [x, y]


class LightningVAE(VAE, pl.LightningModule):
    """A VAE that `pytorch_lightning.Trainer` trains; arguments as those of `VAE`."""

    def __init__(self, encoder: Encoder, decoder: Decoder, latent_dim: int, **settings: Any) -> None:
        super().__init__(encoder, decoder, latent_dim, **settings)
        self.until_still = False
        self.totals: dict[str, Tensor] = {}
        self.latest: dict[str, Tensor] = {}

    @classmethod
    def of(cls, vae: VAE, *, until_still: bool = False) -> Self:
        """Return a trainable model with the networks and the settings of `vae`.

        Args:
            vae: the model.
            until_still: `StandStill` may end the training between the Trainer's `min_epochs` and its limits; else the
                limits alone end it.
        """
        names = ("lr", "kl_warmup", "free_bits", "contrast", "content_dim", "temperature", "noise_mix", "objective")
        model = cls(vae.encoder, vae.decoder, vae.latent_dim, **{name: getattr(vae, name) for name in names})
        model.until_still = until_still
        return model

    @cached_property
    def schedule(self) -> Schedule:
        """The learning rate and the phases of this training."""
        limit = self.trainer.estimated_stepping_batches
        if not self.until_still:
            return Schedule(limit)
        self.trainer.fit_loop.setup_data()  # counts the batches, which an infinite limit has not
        least = int(min((self.trainer.min_epochs or 1) * epoch_steps(self.trainer), limit))
        return Schedule(limit, least)

    @property
    def beta(self) -> float:
        """The KL's weight at this step, in [0, 1]."""
        steps = self.kl_warmup * float(self.schedule.total)
        return min(1.0, (self.schedule.place(self.global_step) + 1) / steps) if steps > 0 else 1.0

    def batch_of(self, loaded: Batch | Loaded) -> Batch:
        """Return what a loader gives as the input of a step."""
        return as_batch(loaded)

    def training_step(self, batch: Batch | Loaded, _: int) -> Tensor:
        """Return the loss E_batch[distortion + β·KL] + contrast·InfoNCE; sums over an item and over the latent.

        A second view of each item is encoded too and counts in the KL; only first views are decoded.
        """
        batch = self.batch_of(batch)
        b = len(batch.target)
        posterior = self.encoder(batch.x)  # b or 2b
        z, likelihood = self._decode_draw(posterior, b)
        kl = kl_per_dimension(posterior, self.prior)  # (b or 2b, d)
        distortion, log_likelihood = distortion_and_log_likelihood(likelihood, batch.target)  # (b,), (b,)
        own_kl = kl.new_zeros(())
        if batch.weigh is not None:
            weights, own_kl = batch.weigh(posterior.mean)
            distortion, log_likelihood = weights[:b] * distortion, weights[:b].detach() * log_likelihood
            kl = weights[:, None] * kl
        reconstruction, kl_cost = distortion.mean(), self.beta * (with_free_bits(kl, self.free_bits) + own_kl)
        loss = reconstruction + kl_cost
        parts, apart = {"reconstruction": reconstruction, "kl_cost": kl.sum(-1).mean() + own_kl}, dict[str, Tensor]()
        if isinstance(likelihood, Likelihood) and not likelihood.own_loss:
            parts["reconstruction"] = -likelihood.weight * log_likelihood.mean()
            apart["auxiliary_cost"] = reconstruction - parts["reconstruction"]
        if self.contrast > 0 and (pairs := self._views(batch, posterior, b)):
            each = [info_nce(*views, self.temperature) for views in pairs]
            apart["contrast_cost"] = self.contrast * torch.stack(each).sum()
            loss = loss + apart["contrast_cost"]
        if self.objective:
            own = self._own_terms(batch, posterior, z, likelihood)
            loss, parts = loss + sum(own.values()), parts | own
        with torch.no_grad():
            self._count("train", log_likelihood, kl, parts, apart)
        return loss

    def _views(self, batch: Batch, posterior: "Independent[Normal]", b: int) -> list[tuple[Tensor, Tensor]]:
        """Return the content of pairs of views of the items of all processes, (m, content_dim) each."""
        if batch.pairs is not None:
            found, mu = list[tuple[Tensor, Tensor]](), posterior.mean[:, : self.content_dim]
            for pair in batch.pairs:
                there = from_all((pair >= 0).all(0).float()) > 0
                first, second = (from_all(mu[rows.clamp_min(0)])[there] for rows in pair)
                if len(first) > 1:
                    found.append((first, second))
            return found
        if len(batch.x) == b and batch.views is None:
            return []
        mu = posterior.mean if batch.views is None else self.encoder(batch.views).mean  # (2b, d)
        first, second = (from_all(part) for part in mu[:, : self.content_dim].chunk(2))
        return [(first, second)]

    def _own_terms(
        self, batch: Batch, posterior: "Independent[Normal]", z: Tensor, likelihood: Distribution
    ) -> dict[str, Tensor]:
        """Return the terms that the user has added to the objective, by name; they see first views only."""
        b = len(batch.target)
        first = diagonal_normal(*(part[:b] for part in moments(posterior)))
        step = Step(batch.x[:b], batch.target, first, z, likelihood, batch.y)
        return {name: term(step) for name, term in self.objective.items()}

    def _decode_draw(self, posterior: "Independent[Normal]", b: int) -> tuple[Tensor, Distribution]:
        """Return one draw z = μ + τσ·ε for each of the first b items and its p(x|z); τ < 1 for a share `noise_mix`."""
        if not self.noise_mix:
            z = posterior.rsample()[:b]
            return z, self.likelihood(z)
        mu, sigma = posterior.base_dist.loc[:b], posterior.base_dist.scale[:b]
        u = torch.rand(b, device=mu.device) / self.noise_mix
        less = 0.5 * torch.rand(b, device=mu.device).square()
        noise = torch.where(u < 0.5, torch.zeros_like(u), torch.where(u < 1, less, torch.ones_like(u)))  # τ (b,)
        z = mu + noise[:, None] * sigma * torch.randn_like(mu)
        return z, self.likelihood(z, noise)

    def validation_step(self, batch: Batch | Loaded, _: int) -> None:
        """Add the batch's loss, log-likelihood and KL to the epoch's means, without warm-up and free bits."""
        self._measure(self.batch_of(batch), "val")

    def test_step(self, batch: Batch | Loaded, batch_idx: int) -> None:
        """As `validation_step`, of the test set."""
        del batch_idx
        self._measure(self.batch_of(batch), "test")

    def predict_step(self, batch: Batch | Loaded, _: int) -> Tensor:
        """Return μ of the batch, (b, d)."""
        return self.encode(self.batch_of(batch).x)[0]

    def _measure(self, batch: Batch, split: str) -> None:
        posterior = self.encoder(batch.x)
        z = posterior.rsample()
        likelihood = self.likelihood(z)
        kl = kl_per_dimension(posterior, self.prior)
        distortion, log_likelihood = distortion_and_log_likelihood(likelihood, batch.target)
        reconstruction, kl_cost = distortion.mean(), kl.sum(-1).mean()
        parts = {"reconstruction": reconstruction, "kl_cost": kl_cost}
        parts |= self._own_terms(batch, posterior, z, likelihood) if self.objective else {}
        self._count(split, log_likelihood, kl, parts)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means, such as train_loss; those of the other splits are logged in the same way."""
        self.log_dict(self.epoch_means("train"), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log val_loss, val_log_likelihood, val_kl and the parts of the loss."""
        self.log_dict(self.epoch_means("val"), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Log test_loss, test_log_likelihood, test_kl and the parts of the loss."""
        self.log_dict(self.epoch_means("test"), sync_dist=True)

    def _count(
        self,
        split: str,
        log_likelihood: Tensor,
        kl: Tensor,
        parts: Mapping[str, Tensor],
        apart: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Add to the epoch's sums on the device; logging each step would cost up to a quarter of the time.

        The loss of any split is the sum of its `parts`: −C·log p(x|z) + KL, with the whole KL, and terms of the user's.
        What a training adds to that, contrast and auxiliary terms of texts, is counted `apart`.
        """
        b = len(log_likelihood)
        self.latest = {"log_likelihood": log_likelihood.mean(), "kl": kl.sum(-1).mean()}
        self.latest |= {name: value.detach() for name, value in {**parts, **apart}.items()}
        self.latest["loss"] = sum((self.latest[name] for name in parts), torch.zeros_like(self.latest["kl"]))
        for name, value in self.latest.items():
            key = f"{split}_{name}"
            self.totals[key] = self.totals.get(key, torch.zeros_like(value)) + b * value
        self.totals[f"{split}_n"] = self.totals.get(f"{split}_n", torch.zeros_like(self.latest["loss"])) + b

    def epoch_means(self, split: str) -> dict[str, Tensor]:
        """Return the means of the loss, its parts, log-likelihood and KL over the epoch's items, and reset them."""
        if f"{split}_n" not in self.totals:
            return {}
        n = self.totals.pop(f"{split}_n")
        return {name: self.totals.pop(name) / n for name in list(self.totals) if name.startswith(f"{split}_")}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return Adam and the schedule of its learning rate per step."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr, fused=can_fuse(self.device))
        # Lightning refuses to clip gradients if the optimiser may unscale them itself; on a CPU nothing is scaled.
        optimizer._step_supports_amp_scaling = False
        self.__dict__.pop("schedule", None)  # of an earlier training
        schedule = self.schedule
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule.share_of_lr(step))  # noqa: PLW0108 - only functions stay out of checkpoints
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}


def as_batch(loaded: Batch | Loaded) -> Batch:
    """Return what a loader gives as the input of a step.

    Raises:
        ArgumentError: it is neither a tensor nor a list of tensors.
    """
    if isinstance(loaded, Batch):
        return loaded
    parts = (loaded,) if isinstance(loaded, Tensor) else loaded
    if not isinstance(parts, (tuple, list)) or not 1 <= len(parts) <= 2 or not isinstance(parts[0], Tensor):
        raise ArgumentError(
            f"batch: must be a tensor x (b, …), or a list (x, y) (got {type(loaded).__name__}); give the DataLoader a "
            'collate_fn that returns one, such as lambda rows: default_collate(rows)["image"]'
        )
    return Batch(parts[0], parts[0], y=parts[1] if len(parts) == 2 else None)


def epoch_steps(trainer: pl.Trainer) -> int:
    """Return the steps of the optimiser in an epoch."""
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)


def can_fuse(device: torch.device) -> bool:
    """Return whether Adam can step in one pass on a CPU (torch ≥ 2.4), which saves a tenth of the training time."""
    known = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 4)
    return device.type == "cpu" and known


class WholeCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint under a temporary name and renames it, so that a kill leaves the previous one intact.

    Lightning copies it from the system's temporary folder, which a kill may interrupt.
    """

    def save_checkpoint(self, checkpoint: dict[str, object], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint."""
        del storage_options
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic_write(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())
