"""Mutual information of item and latent, and the distance of the aggregated posterior from the prior."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.model.elbo import diagonal_normal, kl_per_dimension, standard_normal

BATCH = 256  # draws whose densities are computed at a time


class Aggregate(NamedTuple):
    """What the posteriors of n items say together, nats.

    Attributes:
        mutual_information: I(x; z), x the number of an item drawn evenly from the n.
        cap: log n, which it cannot pass.
        prior_kl_least: a lower bound of KL[q(z) ‖ p(z)].
        prior_kl_most: its estimate KL − I(x; z), an upper bound of the true one for more items.
    """

    mutual_information: float
    cap: float
    prior_kl_least: float
    prior_kl_most: float


def aggregate(mu: Tensor, logvar: Tensor, draws: int) -> Aggregate:
    """Returns what n posteriors N(μ, σ²) say together, by draws from their even mixture q(z) = 1/n Σ q(z|x_i).

    E[KL[q(z|x) ‖ p(z)]] = I(x; z) + KL[q(z) ‖ p(z)] (Hoffman & Johnson 2016, equation 5). The information is the mean
    of log q(z|x_i) − log q(z) over z ~ q(z|x_i), with the density of the whole mixture in the second term.

    Args:
        mu: (n, d).
        logvar: (n, d).
        draws: how many of the n, evenly spread, one z is drawn from.
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
    """Returns log 1/n Σ_j N(z; μ_j, σ_j²) for z (m, d), shape (m,); squares are opened so that products do the work."""
    precision = (-logvar).exp()
    square = z.square() @ precision.T - 2 * z @ (mu * precision).T + (mu.square() * precision).sum(1)  # (m, n)
    log_density = -0.5 * (square + logvar.sum(1) + z.shape[1] * math.log(2 * math.pi))
    return torch.logsumexp(log_density, dim=1) - math.log(len(mu))


def _gaussian_gap(mu: Tensor, logvar: Tensor) -> float:
    """Returns KL[N(m, S) ‖ N(0, I)] with mean m and covariance S of the mixture of posteriors.

    KL[q ‖ p] = KL[q ‖ N(m, S)] + KL[N(m, S) ‖ p] for a Gaussian p, so the mixture is at least this far away.
    """
    mean = mu.mean(0)
    centred = mu - mean
    covariance = centred.T @ centred / len(mu) + torch.diag(logvar.exp().mean(0))
    return 0.5 * float(covariance.trace() + mean @ mean - len(mean) - torch.logdet(covariance))


def kl_to_prior(mu: Tensor, logvar: Tensor) -> Tensor:
    """Returns KL[N(μ, σ²) ‖ N(0, I)] per dimension in nats, shape (n, d)."""
    return kl_per_dimension(diagonal_normal(mu, logvar), standard_normal(mu.shape[1], mu))


def standard_error(values: Tensor) -> float:
    """Returns the standard error of the mean of `values` (n,)."""
    return float(values.std() / math.sqrt(len(values)))
