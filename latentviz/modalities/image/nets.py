"""Encoder and decoder for images: strided convolutions sized by the image, or an MLP."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from latentviz.elbo import diagonal_normal

# exp(½·10) ≈ 148 standard deviations of the prior: far outside any sensible posterior, and short of overflow.
LOGVAR_LIMIT = 10.0


class ImageEncoder(nn.Module):
    """x (b, c, h, w) in [0, 1] → q(z|x), batch shape (b,), event shape (d,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net  # (b, c, h, w) → (b, 2d)

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Returns the posterior."""
        mu, logvar = self.net(x).chunk(2, dim=-1)  # each (b, d)
        return diagonal_normal(mu, logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))


class ImageDecoder(nn.Module):
    """z (b, d) → p(x|z), batch shape (b,), event shape (c, h, w).

    Args:
        net: (b, d) → logits of the pixel means (b, c, h, w).
        likelihood: "normal" with variance 1/(2C), so that −log p(x|z) is C·‖x − f(z)‖² and a constant; or "bernoulli".
        c: C, used by "normal" only.
    """

    def __init__(self, net: nn.Module, likelihood: str, c: float) -> None:
        super().__init__()
        self.net, self.likelihood, self.c = net, likelihood, c

    def forward(self, z: Tensor) -> Distribution:
        """Returns the likelihood."""
        logits = self.net(z).float()
        if self.likelihood == "bernoulli":
            return Independent(Bernoulli(logits=logits, validate_args=False), 3, validate_args=False)
        scale = torch.full_like(logits, math.sqrt(0.5 / self.c))
        return Independent(Normal(logits.sigmoid(), scale, validate_args=False), 3, validate_args=False)


def halvings(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns the sizes that a stack of stride-2 convolutions passes through, down to 4 pixels on the shorter side.

    >>> halvings((28, 28))
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    >>> halvings((8, 8))
    [(8, 8), (4, 4)]
    """
    sizes = [shape]
    while min(sizes[-1]) > 4:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


def conv_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Returns the convolutional networks (b, c, h, w) → (b, 2d) and (b, d) → (b, c, h, w)."""
    c, h, w = shape
    sizes = halvings((h, w))
    channels = [c, *(min(width * 2**i, 4 * width) for i in range(len(sizes) - 1))]
    down: list[nn.Module] = []
    for c_in, c_out in itertools.pairwise(channels):
        # Batch normalisation makes the contrast learn faster: see docs/experiments.md.
        down += [nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.SiLU()]
    flat, hidden = channels[-1] * math.prod(sizes[-1]), 8 * width
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent_dim))
    up: list[nn.Module] = []
    for i in reversed(range(len(sizes) - 1)):
        up += [_doubling(channels[i + 1], channels[i], sizes[i]), nn.SiLU()]
    decoder = nn.Sequential(nn.Linear(latent_dim, hidden), nn.SiLU(), nn.Linear(hidden, flat), nn.SiLU(),
                            nn.Unflatten(1, (channels[-1], *sizes[-1])), *up[:-1])
    return encoder, decoder


def _doubling(c_in: int, c_out: int, target: Sequence[int]) -> nn.ConvTranspose2d:
    """Returns the transposed convolution that undoes one halving: kernel 4 to an even size, 3 to an odd one."""
    kernel = [4 if size % 2 == 0 else 3 for size in target]
    return nn.ConvTranspose2d(c_in, c_out, (kernel[0], kernel[1]), stride=2, padding=1)


def mlp_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Returns the networks of Kingma & Welling's experiments: hidden layers of 16·width units on each side."""
    pixels, hidden = math.prod(shape), 16 * width
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
                            nn.Linear(hidden, 2 * latent_dim))
    decoder = nn.Sequential(nn.Linear(latent_dim, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
                            nn.Linear(hidden, pixels), nn.Unflatten(1, shape))
    return encoder, decoder


NETS = {"conv": conv_nets, "mlp": mlp_nets}


def build(net: str, shape: tuple[int, int, int], *, latent_dim: int, width: int, likelihood: str,
          c: float) -> tuple[ImageEncoder, ImageDecoder]:
    """Returns encoder and decoder for images of `shape` (c, h, w)."""
    encoder, decoder = NETS[net](shape, latent_dim, width)
    return ImageEncoder(encoder), ImageDecoder(decoder, likelihood, c)
