"""Encoder and decoder for vectors: multilayer perceptrons between the standardised vector and the latent."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from latentviz.model.base import Decoder, Encoder
from latentviz.model.elbo import diagonal_normal

# exp(½·10) ≈ 148 standard deviations of the prior: far outside any sensible posterior, and no overflow.
LOGVAR_LIMIT = 10.0


class VectorEncoder(Encoder):
    """x (b, m) in the user's unit → q(z|x), batch shape (b,), event shape (d,).

    Args:
        net: standardised vectors (b, m) → (b, 2d).
        centre: float32 (m,).
        deviation: of the standardisation, one number or (m,); stored with the weights, so that an exported encoder
            takes raw vectors.
    """

    centre: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, centre: Tensor, deviation: "float | np.ndarray") -> None:
        super().__init__()
        self.net = net
        self.register_buffer("centre", centre)
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Computes the posterior."""
        mu, logvar = self.net((x - self.centre) / self.deviation).float().chunk(2, dim=-1)  # each (b, d)
        return diagonal_normal(mu, logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))


class VectorDecoder(Decoder):
    """z (b, d) → p(x|z) = N(f(z), s²/(2C)·I), batch shape (b,), event shape (m,), s the data's deviation.

    So −log p(x|z) is C·‖(x − f(z))/s‖² plus a constant: the cost of an error does not depend on the user's unit.

    Args:
        net: (b, d) → standardised means (b, m).
        centre: float32 (m,).
        deviation: s, one number or (m,).
        c: C.
    """

    centre: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, centre: Tensor, deviation: "float | np.ndarray", c: float) -> None:
        super().__init__()
        self.net, self.c = net, c
        self.register_buffer("centre", centre)
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))

    def forward(self, z: Tensor) -> "Independent[Normal]":
        """Computes the likelihood."""
        return likelihood_of(self.net(z).float() * self.deviation + self.centre, self.deviation, self.c)


class VectorLikelihood(nn.Module):
    """Means (b, m) in the user's unit → the p(x|z) of `VectorDecoder`, for decoders that return means."""

    deviation: Tensor

    def __init__(self, deviation: "float | np.ndarray", c: float) -> None:
        super().__init__()
        self.c = c
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))

    def forward(self, mean: Tensor) -> "Independent[Normal]":
        """Return the likelihood."""
        return likelihood_of(mean.float(), self.deviation, self.c)


def likelihood_of(mean: Tensor, deviation: Tensor, c: float) -> "Independent[Normal]":
    """Return N(mean, s²/(2C)·I) for means (b, m) and the data's deviation s, one number or (m,)."""
    scale = (deviation * math.sqrt(0.5 / c)).expand_as(mean)
    return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)


def build(
    centre: np.ndarray, deviation: "float | np.ndarray", *, latent_dim: int, width: int, c: float
) -> tuple[VectorEncoder, VectorDecoder]:
    """Builds encoder and decoder for vectors of len(centre) numbers."""
    m, half = len(centre), max(1, width // 2)
    # Batch normalisation for the same reason as in the encoder of images.
    encoder = nn.Sequential(
        nn.Linear(m, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Linear(width, half, bias=False),
        nn.BatchNorm1d(half),
        nn.ReLU(),
        nn.Linear(half, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, half), nn.ReLU(), nn.Linear(half, width), nn.ReLU(), nn.Linear(width, m)
    )
    mean = torch.from_numpy(np.array(centre, np.float32))
    return VectorEncoder(encoder, mean, deviation), VectorDecoder(decoder, mean.clone(), deviation, c)
