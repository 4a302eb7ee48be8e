"""What reconstructions leave unexplained, and the σ at which a Normal likelihood fits its residuals."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from latentviz.model.base import point_estimate
from latentviz.model.vae import VAE

LEAST_SCALE = 1e-6  # of σ, where residuals vanish


class Unexplained(NamedTuple):
    """Sums over items, in the units of the likelihood's σ where it has one."""

    left: float  # of squared residuals at z = μ
    total: float  # of squared distances from the centre

    @property
    def share(self) -> float | None:
        """The share of the variance that reconstructions leave unexplained; None if there is no variance."""
        return self.left / self.total if self.total > 0 else None


def normal(likelihood: Distribution) -> Normal | None:
    """Returns the Normal that p(x|z) is a product of; None if it is another distribution."""
    base = likelihood
    while isinstance(base, Independent):
        base = base.base_dist
    return base if isinstance(base, Normal) else None


def squared_residuals(likelihood: Distribution, x: Tensor) -> Tensor:
    """Computes Σ ((x − f(z))/σ)² of each item, float64 (b,); not a number for likelihoods that are not Normal."""
    if (base := normal(likelihood)) is None:
        return torch.full((len(x),), math.nan, dtype=torch.float64, device=x.device)
    return ((x - base.loc) / base.scale).double().square().flatten(1).sum(1)


def calibrating_scale(squares: Tensor, numbers: int) -> float | None:
    """Returns what a Normal's σ must be multiplied by to be the root mean square of its residuals.

    The optimal σ of Rybkin et al. 2021 (σ-VAE), equation 5, with one factor for all numbers of all items. As a loss,
    C·‖x − f(z)‖² + KL is then that of a β-VAE with β = 1/scale² times the KL.

    Args:
        squares: (n,), of `squared_residuals`.
        numbers: in an item.
    """
    mean = float(squares.mean()) / max(1, numbers)
    return max(LEAST_SCALE, math.sqrt(mean)) if math.isfinite(mean) else None


def rescaled(log_prob: Tensor, squares: Tensor, numbers: int, scale: float) -> Tensor:
    """Returns log p(x|z) of a Normal with `scale` times the σ, from that with σ and its squared residuals."""
    return log_prob + 0.5 * squares * (1 - 1 / scale**2) - numbers * math.log(scale)


def centre_of(inputs: Iterable[Tensor]) -> Tensor | None:
    """Returns the mean item, float64 (…); None if items are not numbers."""
    total, count = torch.zeros((), dtype=torch.float64), 0
    for x in inputs:
        if not x.is_floating_point():
            return None
        total, count = total.to(x.device) + x.double().sum(0), count + len(x)
    return total / max(1, count)


def unexplained(vae: VAE, inputs: Iterable[Tensor], centre: Tensor) -> Unexplained:
    """Compares the reconstructions from μ with the items, and the items with a `centre` (…)."""
    left = total = 0.0
    for x in inputs:
        mu = vae.encoder(x).mean
        likelihood = vae.likelihood(mu, mu.new_zeros(len(mu)))
        base, point = normal(likelihood), point_estimate(likelihood)
        unit = torch.ones_like(x) if base is None else base.scale
        left += float(((x - point) / unit).double().square().sum())
        total += float(((x - centre) / unit).double().square().sum())
    return Unexplained(left, total)
