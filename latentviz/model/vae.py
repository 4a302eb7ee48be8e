"""The variational autoencoder; it knows neither images nor texts, and loads without Lightning."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from latentviz.model.base import Decoder, Encoder, NoiseAwareDecoder, point_estimate
from latentviz.model.elbo import ELBO, kl_per_dimension, standard_normal
from latentviz.model.own import Term, terms_of


class Weighed(NamedTuple):
    """What the rows of a batch count in the loss.

    Attributes:
        weights: of the rows of `Batch.x`, 1 on average over those that are decoded.
        cost: to add to the KL, nats per item, scalar: of a posterior over something else than z.
    """

    weights: Tensor
    cost: Tensor


class Batch(NamedTuple):
    """The input of a training step.

    Attributes:
        x: the encoder's input, (b, …), or (2b, …): a view of each item, then a second one of each, to contrast it with.
        target: what the decoder must reconstruct, (b, …); `x` itself unless the data module makes views.
        views: two views of each item that are contrasted but not decoded, (2b, …), all first views before all second
            ones; None if there are none.
        pairs: rows of `x` that are two views of an item, int64 (p, 2, b), −1 for an item that has no two; each of the p
            pairs is contrasted. As many rows of `x` as `target` has are decoded. None if there are none.
        y: what a loader gives next to each item, such as its label, (b, …); only terms of the objective read it.
        weigh: μ of the rows of `x` → what each counts; None: all the same.
    """

    x: Tensor
    target: Tensor
    views: Tensor | None = None
    pairs: Tensor | None = None
    y: Tensor | None = None
    weigh: Callable[[Tensor], Weighed] | None = None


class VAE(nn.Module):
    """A VAE: encoder x → q(z|x), decoder z → p(x|z), prior N(0, I); `LightningVAE` trains it.

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
        objective: terms to add to the loss, by name: functions of a `Step` that return a scalar.
    """

    def __init__(  # noqa: PLR0913 - settings by keyword
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
        objective: Mapping[str, Term] | nn.ModuleDict | None = None,
    ) -> None:
        super().__init__()
        if noise_mix and not isinstance(decoder, NoiseAwareDecoder):
            raise TypeError(f"noise_mix: {type(decoder).__name__} takes no noise level; use a NoiseAwareDecoder, or 0")
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim, self.content_dim = latent_dim, content_dim or latent_dim
        self.lr, self.kl_warmup, self.free_bits = lr, kl_warmup, free_bits
        self.contrast, self.temperature, self.noise_mix = contrast, temperature, noise_mix
        self.objective = terms_of({} if objective is None else objective)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def prior(self) -> "Independent[Normal]":
        """p(z) = N(0, I), event shape (d,)."""
        return standard_normal(self.latent_dim, next(self.parameters()))

    def cast(self, x: Tensor) -> Tensor:
        """Return x in the floating-point type of the weights, which is float64 with `trainer.precision=64-true`."""
        return x.to(next(self.parameters()).dtype) if x.is_floating_point() else x

    @property
    def given_dim(self) -> int:
        """The number of leading dimensions of μ that are not learnt; see `Encoder`."""
        return self.encoder.given_dim

    def likelihood(self, z: Tensor, noise: Tensor | None = None) -> Distribution:
        """Return p(x|z) for z (b, d); a decoder that is not a NoiseAwareDecoder ignores `noise` (b,)."""
        z = self.cast(z)
        return self.decoder(z, noise) if isinstance(self.decoder, NoiseAwareDecoder) else self.decoder(z)

    def elbo(self, x: Tensor) -> ELBO:
        """Return the ELBO of each item at one reparametrised draw z = μ + σ·ε (Kingma & Welling 2013, section 2.4)."""
        posterior = self.encoder(x)
        return ELBO(self.likelihood(posterior.rsample()).log_prob(x), kl_per_dimension(posterior, self.prior).sum(-1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of each item of x (b, …) from its posterior mean, as `decode` does."""
        return point_estimate(self.likelihood(self.encoder(x).mean))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Return n new items, (n, …): `decode` of z ~ N(0, I)."""
        return self.decode(self.prior.sample((n,)))

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


def moments(posterior: "Independent[Normal]") -> tuple[Tensor, Tensor]:
    """Return (μ, log σ²) of a posterior, each (b, d)."""
    return posterior.base_dist.loc, 2 * posterior.base_dist.scale.log()
