"""Mutual information of item and latent, and the KL from the aggregated posterior to the prior."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.model.elbo import diagonal_normal, kl_per_dimension, standard_normal

BATCH = 256  # draws whose densities are computed at a time


class Aggregate(NamedTuple):
    """Estimates for the aggregated posterior q(z) = 1/n Σ q(z|x_i), nats.

    Attributes:
        mutual_information: I(x; z), where x is the index of one of the n items, uniform.
        cap: log n, its upper bound.
        prior_kl_least: a lower bound of KL[q(z) ‖ p(z)].
        prior_kl_most: its estimate KL − I(x; z), an upper bound for the population behind the n items.
    """

    mutual_information: float
    cap: float
    prior_kl_least: float
    prior_kl_most: float


def aggregate(mu: Tensor, logvar: Tensor, draws: int) -> Aggregate:
    """Estimate information and distance to the prior of n posteriors N(μ, σ²).

    E[KL[q(z|x) ‖ p(z)]] = I(x; z) + KL[q(z) ‖ p(z)] (Hoffman & Johnson 2016, equation 5). I(x; z) is the mean of
    log q(z|x_i) − log q(z) over z ~ q(z|x_i), where q(z) is the mixture of all n posteriors.

    Args:
        mu: (n, d).
        logvar: (n, d).
        draws: number of z, one from each of that many evenly spread items.
    """
    n = len(mu)
    chosen = torch.linspace(0, n - 1, min(draws, n), dtype=torch.float64).round().long().to(mu.device)
    posterior: Distribution = diagonal_normal(mu[chosen], logvar[chosen])
    z = posterior.sample()
    mixture = torch.cat([_log_mixture(part, mu, logvar) for part in torch.split(z, BATCH)])
    information = float((posterior.log_prob(z) - mixture).mean().clamp(0, math.log(n)))
    kl = float(kl_to_prior(mu, logvar).sum(-1).mean())
    return Aggregate(information, math.log(n), _gaussian_gap(mu, logvar), max(0.0, kl - information))


def _log_mixture(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Return log 1/n Σ_j N(z; μ_j, σ_j²) for z (m, d), shape (m,); expanded squares make it a matrix product."""
    precision = (-logvar).exp()
    square = z.square() @ precision.T - 2 * z @ (mu * precision).T + (mu.square() * precision).sum(1)  # (m, n)
    log_density = -0.5 * (square + logvar.sum(1) + z.shape[1] * math.log(2 * math.pi))
    return torch.logsumexp(log_density, dim=1) - math.log(len(mu))


def _gaussian_gap(mu: Tensor, logvar: Tensor) -> float:
    """Return KL[N(m, S) ‖ N(0, I)] for the mean m and covariance S of the mixture: a lower bound of its KL.

    KL[q ‖ p] = KL[q ‖ N(m, S)] + KL[N(m, S) ‖ p] for a Gaussian p.
    """
    mean = mu.mean(0)
    centred = mu - mean
    covariance = centred.T @ centred / len(mu) + torch.diag(logvar.exp().mean(0))
    return 0.5 * float(covariance.trace() + mean @ mean - len(mean) - torch.logdet(covariance))


def kl_to_prior(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL[N(μ, σ²) ‖ N(0, I)] per dimension in nats, shape (n, d)."""
    return kl_per_dimension(diagonal_normal(mu, logvar), standard_normal(mu.shape[1], mu))


def standard_error(values: Tensor) -> float:
    """Return the standard error of the mean of `values` (n,)."""
    return float(values.std() / math.sqrt(len(values)))
