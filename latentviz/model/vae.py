"""The variational autoencoder as a LightningModule; it knows neither images nor text."""

import math
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from latentviz.model.contrast import from_all, info_nce
from latentviz.model.elbo import (
    ELBO,
    distortion_and_log_likelihood,
    kl_per_dimension,
    standard_normal,
    with_free_bits,
)


class Batch(NamedTuple):
    """What a training step sees.

    Attributes:
        x: the encoder's input, shape (b, …).
        target: what the decoder is asked for, same shape; `x` itself unless the data module makes views.
        other: second views, row by row of the same thing as `x`, same shape; None where there is no contrast.
        views: two views of each item that are contrasted with each other and not decoded, (2b, …), all first views
            before all second ones; None where there are none.
    """

    x: Tensor
    target: Tensor
    other: Tensor | None = None
    views: Tensor | None = None


class VAE(pl.LightningModule):
    """A VAE: encoder x → q(z|x), decoder z → p(x|z), prior N(0, I).

    Args:
        encoder: maps (b, …) to a posterior with batch shape (b,) and event shape (d,).
        decoder: maps (b, d) to a likelihood with batch shape (b,) and the item's event shape.
        latent_dim: d.
        lr: peak learning rate of Adam; it rises over the first 2% of the steps and falls to 0 along a cosine.
        kl_warmup: share of the steps over which the KL's weight β rises from 0 to 1; 0 is the seed's loss throughout.
        free_bits: nats of KL a latent dimension has for free; or of each, (d,).
        contrast: weight of InfoNCE between the μ of two views, where batches have two; 0 is the seed's loss.
        content_dim: the first dimensions of z, which the contrast acts on and which are clustered; the others are
            style. All of them by default.
        temperature: of the contrast.
        noise_mix: share of the training items at which z = μ + τσ·ε is drawn with τ < 1, half of them with τ = 0. The
            decoder is then given τ beside z, so that it can also read what μ holds below the posterior's noise; 0 is
            the seed's loss.

    Attributes:
        given_dim: the first dimensions of μ that are not learnt, 0 unless the data kind sets it. The posterior's width
            there says how much of them the decoder uses, and not how sure the encoder is, so that clusters are not held
            against draws of them.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        *,
        lr: float = 1e-3,
        kl_warmup: float = 0.0,
        free_bits: float | Tensor = 0.0,
        contrast: float = 0.0,
        content_dim: int | None = None,
        temperature: float = 0.2,
        noise_mix: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim, self.lr, self.kl_warmup, self.free_bits = latent_dim, lr, kl_warmup, free_bits
        self.contrast, self.temperature, self.noise_mix = contrast, temperature, noise_mix
        self.content_dim, self.given_dim = content_dim or latent_dim, 0
        self.totals: dict[str, Tensor] = {}
        self.latest: dict[str, Tensor] = {}

    @property
    def prior(self) -> "Independent[Normal]":
        """p(z) = N(0, I), event shape (d,)."""
        return standard_normal(self.latent_dim, next(self.parameters()))

    @property
    def beta(self) -> float:
        """The KL's weight at this step, in [0, 1]."""
        steps = self.kl_warmup * float(self.trainer.estimated_stepping_batches)
        return min(1.0, (self.global_step + 1) / steps) if steps > 0 else 1.0

    def elbo(self, x: Tensor) -> ELBO:
        """Returns the ELBO of each item at one reparametrised draw z = μ + σ·ε (Kingma & Welling 2013, section 2.4)."""
        posterior = self.encoder(x)
        likelihood = self.decoder(posterior.rsample())
        return ELBO(likelihood.log_prob(x), kl_per_dimension(posterior, self.prior).sum(-1))

    @torch.no_grad()
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (μ, log σ²) of q(z|x), each (b, d): the mean and never a draw, so that two calls agree."""
        return moments(self.encoder(x))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Returns the mean of p(x|z): z (b, d) → (b, …)."""
        mean: Tensor = self.decoder(z).mean
        return mean

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Returns the loss: E_batch[C·‖x − f(z)‖²] + β·KL + contrast·InfoNCE, sums over item and latent.

        With a second view of each item, both are encoded and held to the prior; z is drawn for the first. `views` are
        encoded for the contrast alone.
        """
        b = len(batch.x)
        posterior = self.encoder(batch.x if batch.other is None else torch.cat([batch.x, batch.other]))
        likelihood = self._decoded(posterior, b)
        kl = kl_per_dimension(posterior, self.prior)  # (b or 2b, d)
        cost, log_likelihood = distortion_and_log_likelihood(likelihood, batch.target)
        loss = cost.mean() + self.beta * with_free_bits(kl, self.free_bits)
        if self.contrast > 0 and (batch.other is not None or batch.views is not None):
            mu = posterior.mean if batch.views is None else self.encoder(batch.views).mean
            first, second = (from_all(part) for part in mu[:, : self.content_dim].chunk(2))
            loss = loss + self.contrast * info_nce(first, second, self.temperature)
        with torch.no_grad():
            self._count("train", loss, log_likelihood, kl)
        return loss

    def _decoded(self, posterior: "Independent[Normal]", b: int) -> Any:
        """Returns p(x|z) at one draw of z for each of the first b items, some with less noise where that is asked."""
        if not self.noise_mix:
            return self.decoder(posterior.rsample()[:b])
        mu, sigma = posterior.base_dist.loc[:b], posterior.base_dist.scale[:b]
        u = torch.rand(b, device=mu.device) / self.noise_mix
        less = 0.5 * torch.rand(b, device=mu.device).square()
        noise = torch.where(u < 0.5, torch.zeros_like(u), torch.where(u < 1, less, torch.ones_like(u)))
        return self.decoder(mu + noise[:, None] * sigma * torch.randn_like(mu), noise)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds the batch's loss, log-likelihood and KL to the epoch's means; no warm-up and no free bits here."""
        posterior = self.encoder(batch.x)
        likelihood = self.decoder(posterior.rsample())
        kl = kl_per_dimension(posterior, self.prior)
        cost, log_likelihood = distortion_and_log_likelihood(likelihood, batch.target)
        self._count("val", cost.mean() + kl.sum(-1).mean(), log_likelihood, kl)

    def _count(self, split: str, loss: Tensor, log_likelihood: Tensor, kl: Tensor) -> None:
        """Adds to the epoch's sums on the device; logging each step would cost up to a quarter of the time."""
        b = len(log_likelihood)
        self.latest = {"loss": loss.detach(), "log_likelihood": log_likelihood.mean(), "kl": kl.sum(-1).mean()}
        for name, value in self.latest.items():
            key = f"{split}_{name}"
            self.totals[key] = self.totals.get(key, torch.zeros_like(value)) + b * value
        self.totals[f"{split}_n"] = self.totals.get(f"{split}_n", torch.zeros_like(loss)) + b

    def epoch_means(self, split: str) -> dict[str, Tensor]:
        """Returns the means over the epoch's items of loss, log-likelihood and KL so far, and forgets them."""
        if f"{split}_n" not in self.totals:
            return {}
        n = self.totals.pop(f"{split}_n")
        return {name: self.totals.pop(name) / n for name in list(self.totals) if name.startswith(f"{split}_")}

    def configure_optimizers(self) -> Any:
        """Returns Adam with a short linear rise and a cosine fall of the learning rate, stepped each batch."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr, fused=can_fuse(self.device))
        # Lightning does not clip beside an optimiser that may undo a scaling itself; on a processor nothing is scaled.
        optimizer._step_supports_amp_scaling = False
        total = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_lr(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def share_of_lr(step: int, total: int) -> float:
    """Returns the learning rate at a step over its peak: a linear rise over the first 2%, then half a cosine to 0.

    It follows from the step alone, so that a training that is resumed with more or fewer epochs goes on along the
    cosine of its new length.

    >>> [round(share_of_lr(step, 100), 2) for step in (0, 1, 2, 51, 100)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rise = max(1, total // 50)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))


def moments(posterior: "Independent[Normal]") -> tuple[Tensor, Tensor]:
    """Returns (μ, log σ²) of a posterior, each (b, d)."""
    return posterior.base_dist.loc, 2 * posterior.base_dist.scale.log()


def can_fuse(device: torch.device) -> bool:
    """Returns whether Adam's step is one pass on a processor, a tenth of a training's time less; torch 2.4 can."""
    known = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 4)
    return device.type == "cpu" and known
