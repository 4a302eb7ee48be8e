"""Residual networks for images: slower than plain convolutions, and closer to the data's likelihood."""

import math

import torch
from torch import Tensor, nn

BLOCKS = 2  # at each size
HIDDEN = 512
BEGIN = 0.1  # factor on the weights with which a block begins


class Block(nn.Module):
    """x + f(x) with f two convolutions, begun small so that a fresh network passes x through (He et al. 2016).

    Args:
        channels: of x.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        last.weight.data.mul_(BEGIN)
        self.net = nn.Sequential(nn.ELU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ELU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (b, channels, h, w) and what the convolutions add to it."""
        added: Tensor = self.net(x)
        return x + added


def residual_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Returns the networks (b, c, h, w) → (b, 2d) and (b, d) → (b, c, h, w).

    Halvings until the longer side is at most 7 pixels, two residual blocks after each; `width` channels at the first
    halving and twice as many further in. No batch normalisation: it makes the bound depend on the batch.
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
        extra = [whole - (2 * (part - 1) + 1) for whole, part in zip(sizes[i], sizes[i + 1], strict=True)]
        # One convolution at full size draws the edges sharp; what comes before it has `width` channels.
        last = [
            nn.ConvTranspose2d(inner, width, 3, 2, 1, (extra[0], extra[1])),
            nn.ELU(),
            nn.Conv2d(width, c, 3, padding=1),
        ]
        between = [nn.ConvTranspose2d(inner, outer, 3, 2, 1, (extra[0], extra[1]))]
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
        if weight.ndim == 4:  # on a processor a step takes a tenth less with a pixel's channels side by side in memory
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return encoder, decoder
