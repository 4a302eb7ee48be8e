"""Residual networks for images: slower than plain convolutions, with a higher likelihood."""

import math

import torch
from torch import Tensor, nn

BLOCKS = 2  # per resolution
HIDDEN = 512
INITIAL_SCALE = 0.1  # of the last convolution's weights in a block


class Block(nn.Module):
    """x + f(x), f being two convolutions with a small start, so that a fresh network passes x on (He et al. 2016).

    Args:
        channels: of x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        last.weight.data.mul_(INITIAL_SCALE)
        self.net = nn.Sequential(nn.ELU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ELU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the residual to x (b, channels, h, w)."""
        residual: Tensor = self.net(x)
        return x + residual


def residual_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Builds the networks (b, c, h, w) → (b, 2d) and (b, d) → (b, c, h, w).

    Halves the resolution until the longer side is at most 7 pixels, with two residual blocks after each halving;
    `width` channels after the first, 2·`width` after the others. No batch normalisation: it would make the ELBO depend
    on the batch.
    """
    c, h, w = shape
    sizes = [(h, w)]
    while max(sizes[-1]) > 7 or len(sizes) == 1:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    channels = [c, width, *[2 * width] * (len(sizes) - 2)]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i in range(len(sizes) - 1):
        inner, outer = channels[i + 1], channels[i]
        down += [nn.Conv2d(outer, inner, 3, 2, 1), *(Block(inner) for _ in range(BLOCKS)), nn.ELU()]
        padding = [large - (2 * (small - 1) + 1) for large, small in zip(sizes[i], sizes[i + 1], strict=True)]
        # A last convolution at full resolution sharpens edges; its input has `width` channels.
        last = [
            nn.ConvTranspose2d(inner, width, 3, 2, 1, (padding[0], padding[1])),
            nn.ELU(),
            nn.Conv2d(width, c, 3, padding=1),
        ]
        between = [nn.ConvTranspose2d(inner, outer, 3, 2, 1, (padding[0], padding[1]))]
        up = [*(Block(inner) for _ in range(BLOCKS)), nn.ELU(), *(last if i == 0 else between), *up]
    flat = channels[-1] * math.prod(sizes[-1])
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, HIDDEN), nn.ELU(), nn.Linear(HIDDEN, 2 * latent_dim))
    decoder = nn.Sequential(
        nn.Linear(latent_dim, HIDDEN),
        nn.ELU(),
        nn.Linear(HIDDEN, flat),
        nn.ELU(),
        nn.Unflatten(1, (channels[-1], *sizes[-1])),
        *up,
    )
    for weight in (*encoder.parameters(), *decoder.parameters()):
        if weight.ndim == 4:  # channels last takes a tenth less time per step on a CPU
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return encoder, decoder
