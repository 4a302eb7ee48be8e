"""The objective: the evidence lower bound of Kingma & Welling (2013), in the seed's form C·‖x − f(z)‖² + KL.

For a Normal likelihood of variance 1/(2C), −log p(x|z) = C·‖x − f(z)‖² + (D/2)·log(π/C): the loss that trains and the
log-likelihood that is reported differ by a constant of the data's size D and of C, never by a mean over pixels.
"""

from typing import NamedTuple

from torch import Tensor
from torch.distributions import Independent, Normal


class ELBO(NamedTuple):
    """The two parts of the evidence lower bound, in nats an item, each of shape (b,).

    Attributes:
        log_likelihood: log p(x|z) at one draw z ~ q(z|x), a one-sample estimate of its expectation. Higher is better.
        kl: KL[q(z|x) ‖ p(z)]. Lower is cheaper.
    """

    log_likelihood: Tensor
    kl: Tensor

    @property
    def elbo(self) -> Tensor:
        """E[log p(x|z)] − KL (b,), a lower bound of log p(x) (Kingma & Welling 2013, equation 3)."""
        return self.log_likelihood - self.kl


def diagonal_normal(mu: Tensor, logvar: Tensor) -> "Independent[Normal]":
    """Returns N(μ, diag(exp(logvar))): batch shape (b,), event shape (d,)."""
    return Independent(Normal(mu, (0.5 * logvar).exp(), validate_args=False), 1, validate_args=False)


def standard_normal(d: int, like: Tensor) -> "Independent[Normal]":
    """Returns the prior N(0, I) on d dimensions, on the device and in the precision of `like`."""
    zero = like.new_zeros(d)
    return diagonal_normal(zero, zero)


def kl_per_dimension(posterior: "Independent[Normal]", prior: "Independent[Normal]") -> Tensor:
    """Returns KL[N(μ, σ²) ‖ N(m, s²)] of each latent dimension, nats, shape (b, d).

    In closed form, ½·(σ²/s² + (μ − m)²/s² − 1 − log(σ²/s²)); with the prior N(0, I) this is appendix B of
    Kingma & Welling 2013.

    >>> import torch
    >>> q = diagonal_normal(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    >>> kl_per_dimension(q, standard_normal(2, q.mean))
    tensor([[0.5000, 0.0000]])
    """
    q, p = posterior.base_dist, prior.base_dist
    ratio = (q.scale / p.scale).square()
    shift = ((q.loc - p.loc) / p.scale).square()
    divergence: Tensor = 0.5 * (ratio + shift - 1 - ratio.log())
    return divergence


def with_free_bits(kl: Tensor, free_bits: float | Tensor) -> Tensor:
    """Returns the KL that the loss sees: no dimension costs less than `free_bits` nats, scalar (mean over the batch).

    Kingma et al. 2016 (inverse autoregressive flow), equation 15: Σ_d max(λ, E_batch[KL_d]).

    Args:
        kl: nats of each dimension, shape (b, d).
        free_bits: λ in nats, or of each dimension, (d,); 0 gives the plain KL.
    """
    least = free_bits.to(kl) if isinstance(free_bits, Tensor) else free_bits
    return kl.mean(0).clamp_min(least).sum()
