"""Encoder and decoder for images: strided convolutions sized by the image, or an MLP."""

import copy
import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal
from torch.nn.utils.fusion import fuse_conv_bn_eval

from latentviz.modalities.image.residual import residual_nets
from latentviz.model.base import Decoder, Encoder
from latentviz.model.distributed import BatchNorm
from latentviz.model.elbo import diagonal_normal

# exp(½·10) ≈ 148 standard deviations of the prior: far outside any sensible posterior, and short of overflow.
LOGVAR_LIMIT = 10.0
SMALL = 12  # pixels: images that get a convolution at full size first
MOST_CHANNELS = 128
HIDDEN = 256  # units between the convolutions and the latent
RESTING = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Flatten, nn.Linear)  # layers that work in oneDNN's layout


class ImageEncoder(Encoder):
    """x (b, c, h, w) in [0, 1] → q(z|x), batch shape (b,), event shape (d,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net  # (b, c, h, w) → (b, 2d)

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Returns the posterior."""
        mu, logvar = self.net(x).float().chunk(2, dim=-1)  # each (b, d)
        return diagonal_normal(mu, logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))

    def for_inference(self) -> "ImageEncoder":
        """Returns the trained encoder as it is quickest on a processor, its own weights untouched."""
        return ImageEncoder(AtRest(self.net)).eval() if can_rest(self.net) else self


class AtRest(nn.Module):
    """A trained network whose layers hand each other what they compute in oneDNN's own layout.

    Plain layers turn it into rows and back, which takes longer than the convolutions. What batch normalisation
    multiplies and adds is taken into the weights before it (Jacob et al. 2018, section 3.2).

    Args:
        net: (b, …) → (b, k), of layers that `can_rest` knows.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for layer in copy.deepcopy(net).eval().children():
            before = layers[-1] if layers else None
            if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
                layers[-1] = fuse_conv_bn_eval(before, layer)
            else:
                layers.append(layer)
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the network makes of x."""
        found: Tensor = self.net(x.to_mkldnn()).to_dense()
        return found


def can_rest(net: nn.Module) -> bool:
    """Returns whether oneDNN is there and knows each layer of a network."""
    layers = list(net.children())
    folded = all(
        isinstance(before, nn.Conv2d) for before, layer in pairwise([net, *layers]) if isinstance(layer, nn.BatchNorm2d)
    )
    known: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return (
        known
        and isinstance(net, nn.Sequential)
        and folded
        and all(isinstance(layer, RESTING) for layer in layers)
        and all(weights.dtype == torch.float32 for weights in net.parameters())
    )


class ImageDecoder(Decoder):
    """z (b, d) → p(x|z), batch shape (b,), event shape (c, h, w).

    Args:
        net: (b, d) → the pixel means of "normal", the logits of "bernoulli", (b, c, h, w).
        likelihood: "normal" with variance 1/(2C), so that −log p(x|z) is C·‖x − f(z)‖² and a constant; or "bernoulli".
        c: C, used by "normal" only.
    """

    def __init__(self, net: nn.Module, likelihood: str, c: float) -> None:
        super().__init__()
        self.net, self.likelihood, self.c = net, likelihood, c

    def forward(self, z: Tensor) -> Distribution:
        """Returns the likelihood."""
        out = self.net(z).float()
        if self.likelihood == "bernoulli":
            return Independent(Bernoulli(logits=out, validate_args=False), 3, validate_args=False)
        scale = torch.full_like(out, math.sqrt(0.5 / self.c))
        return Independent(Normal(out, scale, validate_args=False), 3, validate_args=False)


def stages(shape: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
    """Returns stride and output size of each convolution: halvings until the longer side is at most 4 pixels.

    Images of at most 12 pixels get one convolution at full size first, so that they too have a few.

    >>> stages((28, 28))
    [(2, (14, 14)), (2, (7, 7)), (2, (4, 4))]
    >>> stages((8, 8))
    [(1, (8, 8)), (2, (4, 4))]
    """
    h, w = shape
    found = [(1, (h, w))] if max(h, w) <= SMALL else []
    while max(h, w) > 4:
        h, w = (h + 1) // 2, (w + 1) // 2
        found.append((2, (h, w)))
    return found


def conv_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Returns the convolutional networks (b, c, h, w) → (b, 2d) and (b, d) → (b, c, h, w)."""
    c, h, w = shape
    steps = stages((h, w))
    channels = [c, *(min(width * 2**i, MOST_CHANNELS) for i in range(len(steps)))]
    sizes = [(h, w), *(size for _, size in steps)]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i, (stride, size) in enumerate(steps):
        # Batch normalisation makes the contrast learn faster: see docs/experiments.md.
        down += [
            nn.Conv2d(channels[i], channels[i + 1], 3, stride, 1, bias=False),
            BatchNorm(channels[i + 1]),
            nn.ReLU(),
        ]
        extra = [whole - (stride * (part - 1) + 1) for whole, part in zip(sizes[i], size, strict=True)]
        up = [nn.ConvTranspose2d(channels[i + 1], channels[i], 3, stride, 1, (extra[0], extra[1])), nn.ReLU(), *up]
    flat = channels[-1] * math.prod(sizes[-1])
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * latent_dim))
    decoder = nn.Sequential(
        nn.Linear(latent_dim, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, flat),
        nn.ReLU(),
        nn.Unflatten(1, (channels[-1], *sizes[-1])),
        *up[:-1],
    )
    return encoder, decoder


def mlp_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Returns multilayer perceptrons, as in Kingma & Welling's experiments: two hidden layers of 32·width units."""
    pixels, hidden = math.prod(shape), 32 * width
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, pixels),
        nn.Unflatten(1, shape),
    )
    return encoder, decoder


NETS = {"conv": conv_nets, "residual": residual_nets, "mlp": mlp_nets}


def build(
    net: str, shape: tuple[int, int, int], *, latent_dim: int, width: int, likelihood: str, c: float
) -> tuple[ImageEncoder, ImageDecoder]:
    """Returns encoder and decoder for images of `shape` (c, h, w)."""
    encoder, decoder = NETS[net](shape, latent_dim, width)
    return ImageEncoder(encoder), ImageDecoder(decoder, likelihood, c)
