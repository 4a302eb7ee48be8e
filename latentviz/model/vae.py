"""The variational autoencoder as a LightningModule; it knows neither images nor texts."""

import math
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from latentviz.model.base import Decoder, Encoder, NoiseAwareDecoder, distortion_and_log_likelihood, point_estimate
from latentviz.model.contrast import from_all, info_nce
from latentviz.model.elbo import ELBO, kl_per_dimension, standard_normal, with_free_bits


class Batch(NamedTuple):
    """The input of a training step.

    Attributes:
        x: the encoder's input, (b, …).
        target: what the decoder must reconstruct, same shape; `x` itself unless the data module makes views.
        other: a second view of each row of `x`, same shape; None without contrast.
        views: two views of each item that are contrasted but not decoded, (2b, …), all first views before all second
            ones; None if there are none.
    """

    x: Tensor
    target: Tensor
    other: Tensor | None = None
    views: Tensor | None = None


class VAE(pl.LightningModule):
    """A VAE: encoder x → q(z|x), decoder z → p(x|z), prior N(0, I).

    Args:
        encoder: x (b, …) → posterior, batch shape (b,), event shape (d,).
        decoder: z (b, d) → likelihood, batch shape (b,), event shape that of an item.
        latent_dim: d.
        lr: peak learning rate of Adam; it rises over the first 2% of the steps, then falls to 0 along a cosine.
        kl_warmup: share of the steps over which the KL's weight β rises from 0 to 1; 0: β is 1 throughout.
        free_bits: nats of KL per latent dimension that cost nothing; one number or one per dimension, (d,).
        contrast: weight of InfoNCE between the μ of two views, where batches have two; 0: the plain ELBO.
        content_dim: number of leading dimensions of z that are contrasted and clustered; the rest is style. Default: d.
        temperature: of the contrast.
        noise_mix: share of the training items decoded from z = μ + τσ·ε with τ < 1, half of them with τ = 0; needs a
            NoiseAwareDecoder. 0: τ is always 1.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
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
        if noise_mix and not isinstance(decoder, NoiseAwareDecoder):
            raise TypeError(f"noise_mix: {type(decoder).__name__} takes no noise level; use a NoiseAwareDecoder, or 0")
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim, self.content_dim = latent_dim, content_dim or latent_dim
        self.lr, self.kl_warmup, self.free_bits = lr, kl_warmup, free_bits
        self.contrast, self.temperature, self.noise_mix = contrast, temperature, noise_mix
        self.totals: dict[str, Tensor] = {}
        self.latest: dict[str, Tensor] = {}

    @property
    def prior(self) -> "Independent[Normal]":
        """p(z) = N(0, I), event shape (d,)."""
        return standard_normal(self.latent_dim, next(self.parameters()))

    @property
    def given_dim(self) -> int:
        """The number of leading dimensions of μ that are not learnt; see `Encoder`."""
        return self.encoder.given_dim

    @property
    def beta(self) -> float:
        """The KL's weight at this step, in [0, 1]."""
        steps = self.kl_warmup * float(self.trainer.estimated_stepping_batches)
        return min(1.0, (self.global_step + 1) / steps) if steps > 0 else 1.0

    def likelihood(self, z: Tensor, noise: Tensor | None = None) -> Distribution:
        """Return p(x|z) for z (b, d); a decoder that is not a NoiseAwareDecoder ignores `noise` (b,)."""
        return self.decoder(z, noise) if isinstance(self.decoder, NoiseAwareDecoder) else self.decoder(z)

    def elbo(self, x: Tensor) -> ELBO:
        """Return the ELBO of each item at one reparametrised draw z = μ + σ·ε (Kingma & Welling 2013, section 2.4)."""
        posterior = self.encoder(x)
        return ELBO(self.likelihood(posterior.rsample()).log_prob(x), kl_per_dimension(posterior, self.prior).sum(-1))

    @torch.no_grad()
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (μ, log σ²) of q(z|x), each (b, d): the mean and never a draw, so that two calls agree."""
        return moments(self.encoder(x))

    @torch.no_grad()
    def decode(self, z: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return one item for each z (b, d), without chance: the mean of p(x|z), or its mode if items are categories.

        Images give pixel means, float (b, c, h, w); vectors give means, float (b, m); texts give the token ids of the
        likeliest text, int64 (b, t).

        Args:
            z: (b, d).
            noise: share of the posterior's noise in z, (b,) in [0, 1], for decoders that read it; None: z is a draw.
        """
        return point_estimate(self.likelihood(z, noise))

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss E_batch[distortion + β·KL] + contrast·InfoNCE; sums over an item and over the latent.

        A second view of each item is encoded too and counts in the KL; only first views are decoded.
        """
        b = len(batch.x)
        posterior = self.encoder(batch.x if batch.other is None else torch.cat([batch.x, batch.other]))  # b or 2b
        likelihood = self._decode_draw(posterior, b)
        kl = kl_per_dimension(posterior, self.prior)  # (b or 2b, d)
        distortion, log_likelihood = distortion_and_log_likelihood(likelihood, batch.target)  # (b,), (b,)
        loss = distortion.mean() + self.beta * with_free_bits(kl, self.free_bits)
        if self.contrast > 0 and (batch.other is not None or batch.views is not None):
            mu = posterior.mean if batch.views is None else self.encoder(batch.views).mean  # (2b, d)
            first, second = (from_all(part) for part in mu[:, : self.content_dim].chunk(2))  # (b, content_dim) each
            loss = loss + self.contrast * info_nce(first, second, self.temperature)
        with torch.no_grad():
            self._count("train", loss, log_likelihood, kl)
        return loss

    def _decode_draw(self, posterior: "Independent[Normal]", b: int) -> Distribution:
        """Return p(x|z) at one draw z = μ + τσ·ε for each of the first b items; τ < 1 for a share `noise_mix`."""
        if not self.noise_mix:
            return self.likelihood(posterior.rsample()[:b])
        mu, sigma = posterior.base_dist.loc[:b], posterior.base_dist.scale[:b]
        u = torch.rand(b, device=mu.device) / self.noise_mix
        less = 0.5 * torch.rand(b, device=mu.device).square()
        noise = torch.where(u < 0.5, torch.zeros_like(u), torch.where(u < 1, less, torch.ones_like(u)))  # τ (b,)
        return self.likelihood(mu + noise[:, None] * sigma * torch.randn_like(mu), noise)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add the batch's loss, log-likelihood and KL to the epoch's means, without warm-up and free bits."""
        posterior = self.encoder(batch.x)
        likelihood = self.likelihood(posterior.rsample())
        kl = kl_per_dimension(posterior, self.prior)
        distortion, log_likelihood = distortion_and_log_likelihood(likelihood, batch.target)
        self._count("val", distortion.mean() + kl.sum(-1).mean(), log_likelihood, kl)

    def _count(self, split: str, loss: Tensor, log_likelihood: Tensor, kl: Tensor) -> None:
        """Add to the epoch's sums on the device; logging each step would cost up to a quarter of the time."""
        b = len(log_likelihood)
        self.latest = {"loss": loss.detach(), "log_likelihood": log_likelihood.mean(), "kl": kl.sum(-1).mean()}
        for name, value in self.latest.items():
            key = f"{split}_{name}"
            self.totals[key] = self.totals.get(key, torch.zeros_like(value)) + b * value
        self.totals[f"{split}_n"] = self.totals.get(f"{split}_n", torch.zeros_like(loss)) + b

    def epoch_means(self, split: str) -> dict[str, Tensor]:
        """Return the means of loss, log-likelihood and KL over the epoch's items so far, and reset them."""
        if f"{split}_n" not in self.totals:
            return {}
        n = self.totals.pop(f"{split}_n")
        return {name: self.totals.pop(name) / n for name in list(self.totals) if name.startswith(f"{split}_")}

    def configure_optimizers(self) -> Any:
        """Return Adam and its schedule, a short linear rise and a cosine fall of the learning rate per step."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr, fused=can_fuse(self.device))
        # Lightning refuses to clip gradients if the optimiser may unscale them itself; on a CPU nothing is scaled.
        optimizer._step_supports_amp_scaling = False
        total = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_lr(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def share_of_lr(step: int, total: int) -> float:
    """Return the learning rate at a step over its peak: a linear rise over the first 2%, then half a cosine to 0.

    It depends on the step alone, so a resumed training of another length follows the cosine of the new length.

    >>> [round(share_of_lr(step, 100), 2) for step in (0, 1, 2, 51, 100)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rise = max(1, total // 50)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))


def moments(posterior: "Independent[Normal]") -> tuple[Tensor, Tensor]:
    """Return (μ, log σ²) of a posterior, each (b, d)."""
    return posterior.base_dist.loc, 2 * posterior.base_dist.scale.log()


def can_fuse(device: torch.device) -> bool:
    """Return whether Adam can step in one pass on a CPU (torch ≥ 2.4), which saves a tenth of the training time."""
    known = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 4)
    return device.type == "cpu" and known
