"""What a VAE is made of: an encoder x → q(z|x) and a decoder z → p(x|z), whatever an item x is."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal


class Encoder(nn.Module):
    """x (b, …) → q(z|x): batch shape (b,), event shape (d,).

    Attributes:
        given_dim: number of leading dimensions of μ that are not learnt. Their posterior width says how much of them
            the decoder uses, not how certain the encoder is.
    """

    given_dim: int = 0

    if TYPE_CHECKING:

        def __call__(self, x: Tensor) -> "Independent[Normal]": ...  # noqa: D102

    def for_inference(self) -> "Encoder":
        """Return an equal encoder that is faster on a CPU once trained; the default is the encoder itself."""
        return self


class Decoder(nn.Module):
    """z (b, d) → p(x|z): batch shape (b,), event shape that of an item."""

    if TYPE_CHECKING:

        def __call__(self, z: Tensor) -> Distribution: ...  # noqa: D102


def network_of(decoder: Decoder) -> nn.Module | None:
    """Return the network from z to the parameters of p(x|z); None if the decoder has no such part, as that of texts."""
    net = getattr(decoder, "net", None)
    return net if isinstance(net, nn.Module) else None


class NoiseAwareDecoder(Decoder):
    """A decoder that also reads how noisy z is, so that it can use what μ holds below the posterior's noise.

    `noise` (b,) in [0, 1] is the τ of z = μ + τσ·ε: 0 for a posterior mean, 1 (the default) for a draw.
    """

    if TYPE_CHECKING:

        def __call__(self, z: Tensor, noise: Tensor | None = None) -> Distribution: ...  # noqa: D102


class Likelihood(Distribution):
    """Base of each p(x|z) that torch.distributions lacks, such as that of texts.

    A subclass has `log_prob`, `sample` and `mode`. It may also train on another objective than −log p(x|z).

    Attributes:
        weight: what a nat of −log p(x|z) costs in the loss.
        own_loss: whether the distortion is all of the loss's reconstruction term, with weights of its own parts; else
            what it differs from −weight·log p(x|z) by is an auxiliary term of training.
        has_mean: whether there is a `mean`, which is a function of z alone.
    """

    weight: float = 1.0
    own_loss: bool = False
    has_mean: bool = False

    def training_terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distortion to minimise and, without gradient, log p(x|z) in nats or its estimate; each (b,)."""
        log_likelihood = self.log_prob(x)
        return -log_likelihood, log_likelihood.detach()


def distortion_and_log_likelihood(likelihood: Distribution, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the reconstruction costs in the loss and, without gradient, log p(x|z) in nats; each (b,).

    The distortion is −log p(x|z) without its constant: C·‖x − f(z)‖² for a Normal of variance 1/(2C), whose constant is
    the log-density at its mean. A discrete likelihood has none.
    """
    if isinstance(likelihood, Likelihood):
        return likelihood.training_terms(x)
    if isinstance(likelihood, Independent) and isinstance(likelihood.base_dist, Normal):
        return _normal_terms(likelihood, x)
    log_likelihood = likelihood.log_prob(x)
    return -log_likelihood, log_likelihood.detach()


def _normal_terms(likelihood: "Independent[Normal]", x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the terms of a Normal; two calls of log_prob took a tenth of a step on colour images."""
    mean, scale = likelihood.base_dist.loc, likelihood.base_dist.scale
    event = len(likelihood.event_shape)
    distortion = 0.5 * _total(((mean - x) / scale).square(), event)
    with torch.no_grad():
        shared = scale[:1] if scale.stride(0) == 0 else scale  # one for all items
        constant = _total(shared.log() + 0.5 * math.log(2 * math.pi), event)
        return distortion, -distortion - constant


def _total(values: Tensor, event: int) -> Tensor:
    """Return the sums over the last `event` dimensions."""
    return values.flatten(values.ndim - event).sum(-1) if event else values


def point_estimate(likelihood: Distribution) -> Tensor:
    """Return one item for each z, (b, …): the mean of p(x|z), or its mode where items are categories."""
    base = likelihood.base_dist if isinstance(likelihood, Independent) else likelihood
    return likelihood.mode if isinstance(base, Categorical | Likelihood) else likelihood.mean
