"""The evidence lower bound of Kingma & Welling (2013); the loss is its negative without constants.

For a Normal likelihood of variance 1/(2C), −log p(x|z) = C·‖x − f(z)‖² + (D/2)·log(π/C): the training loss and the
reported log-likelihood differ by a constant of the item's size D and of C. Nothing is averaged over an item.
"""

from typing import NamedTuple

from torch import Tensor
from torch.distributions import Independent, Normal


class ELBO(NamedTuple):
    """The two terms of the evidence lower bound in nats per item, each (b,).

    Attributes:
        log_likelihood: log p(x|z) at one draw z ~ q(z|x), an unbiased estimate of its expectation; higher is better.
        kl: KL[q(z|x) ‖ p(z)]; lower is better.
    """

    log_likelihood: Tensor
    kl: Tensor

    @property
    def elbo(self) -> Tensor:
        """E[log p(x|z)] − KL (b,), a lower bound of log p(x) (Kingma & Welling 2013, equation 3)."""
        return self.log_likelihood - self.kl


def diagonal_normal(mu: Tensor, logvar: Tensor) -> "Independent[Normal]":
    """Return N(μ, diag(exp(logvar))): batch shape (b,), event shape (d,)."""
    return Independent(Normal(mu, (0.5 * logvar).exp(), validate_args=False), 1, validate_args=False)


def standard_normal(d: int, like: Tensor) -> "Independent[Normal]":
    """Return the prior N(0, I) on d dimensions, on the device and in the precision of `like`."""
    zero = like.new_zeros(d)
    return diagonal_normal(zero, zero)


def kl_per_dimension(posterior: "Independent[Normal]", prior: "Independent[Normal]") -> Tensor:
    """Return KL[N(μ, σ²) ‖ N(m, s²)] = ½·(σ²/s² + (μ − m)²/s² − 1 − log(σ²/s²)) per dimension in nats, (b, d).

    With the prior N(0, I) this is appendix B of Kingma & Welling 2013.

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
    """Return Σ_d max(λ, E_batch[KL_d]), scalar: no dimension costs less than λ (Kingma et al. 2016, equation 15).

    Args:
        kl: nats per dimension, (b, d).
        free_bits: λ in nats, one for all dimensions or (d,); 0: the plain KL.
    """
    least = free_bits.to(kl) if isinstance(free_bits, Tensor) else free_bits
    return kl.mean(0).clamp_min(least).sum()
