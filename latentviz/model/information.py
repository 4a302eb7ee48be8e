"""Mutual information of item and latent, and the KL from the aggregated posterior to the prior."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.model.elbo import diagonal_normal, kl_per_dimension, standard_normal

BATCH = 256  # draws whose densities are computed at a time
FOLDS = 10  # parts of the items, each measured by a Gaussian of the others


class Aggregate(NamedTuple):
    """Estimates for the aggregated posterior q(z) = 1/n Σ q(z|x_i), nats.

    Attributes:
        mutual_information: I(x; z), where x is the index of one of the n items, uniform.
        cap: log n, its upper bound.
        prior_kl_least: a lower bound of KL[q(z) ‖ p(z)] of the population behind the items, up to the noise of n items.
        prior_kl_most: its estimate KL − I(x; z), an upper bound for that population.
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
    """Return a lower bound of the KL from the population's mixture to N(0, I), at least 0; 0 for a single item.

    KL[q ‖ p] ≥ E_q[log r(z) − log p(z)] for every density r (Donsker & Varadhan 1983). r is N(m, S) with the mean and
    the covariance of the items outside a fold, and the expectation runs over the items inside: those that r was fitted
    to would find it too good, by ¼·d²/n nats or more. S is shrunk towards I with the weight of d items.

    Args:
        mu: (n, d).
        logvar: (n, d).
    """
    n, d = mu.shape
    if n < 2:
        return 0.0
    fold = torch.arange(n, device=mu.device) % min(n, FOLDS)
    total = 0.0
    for number in range(int(fold.max()) + 1):
        inside, outside = fold == number, fold != number
        own, m = mu[outside], mu[outside].mean(0)
        weight = d / (d + len(own))
        covariance = (own - m).T @ (own - m) / len(own) + torch.diag(logvar[outside].exp().mean(0))
        covariance = (1 - weight) * covariance + weight * torch.eye(d).to(covariance)
        moment = _second_moment(mu[inside], logvar[inside], m)  # (d, d)
        quadratic = torch.linalg.solve(covariance, moment).trace()
        own_square = _second_moment(mu[inside], logvar[inside], torch.zeros_like(m)).trace()
        total += 0.5 * float(int(inside.sum()) * (own_square - quadratic - torch.logdet(covariance)))
    return max(0.0, total / n)


def _second_moment(mu: Tensor, logvar: Tensor, about: Tensor) -> Tensor:
    """Return E[(z − a)(z − a)ᵀ] of the mixture's z about a point a (d,), shape (d, d)."""
    away = mu - about
    return away.T @ away / len(mu) + torch.diag(logvar.exp().mean(0))


def kl_to_prior(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL[N(μ, σ²) ‖ N(0, I)] per dimension in nats, shape (n, d)."""
    return kl_per_dimension(diagonal_normal(mu, logvar), standard_normal(mu.shape[1], mu))


def standard_error(values: Tensor) -> float:
    """Return the standard error of the mean of `values` (n,)."""
    return float(values.std() / math.sqrt(len(values)))
