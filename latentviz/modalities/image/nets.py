"""Encoder and decoder for images: strided convolutions sized by the image, residual networks, or an MLP."""

import copy
import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from latentviz.modalities.image.residual import residual_nets
from latentviz.model.base import Decoder, Encoder
from latentviz.model.distributed import BatchNorm
from latentviz.model.elbo import diagonal_normal

# exp(½·10) ≈ 148 standard deviations of the prior: far outside any sensible posterior, and no overflow.
LOGVAR_LIMIT = 10.0
SMALL = 12  # pixels: images up to this size get a first convolution at full resolution
LARGE = 32  # pixels: the first convolution of larger images has a stride of 4
MOST_CHANNELS = 128
HIDDEN = 256  # units between the convolutions and the latent
ONEDNN_LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Flatten, nn.Linear)


class ImageEncoder(Encoder):
    """x (b, c, h, w) in [0, 1] → q(z|x), batch shape (b,), event shape (d,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net  # (b, c, h, w) → (b, 2d)

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Compute the posterior."""
        if self.training:  # a quarter of the convolutions' time less on a CPU
            x = x.contiguous(memory_format=torch.channels_last)
        mu, logvar = self.net(x).float().chunk(2, dim=-1)  # each (b, d)
        return diagonal_normal(mu, logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))

    def for_inference(self) -> "ImageEncoder":
        """Return an equal encoder in oneDNN's layout where that is possible; this encoder stays unchanged."""
        return ImageEncoder(OneDNN(self.net)).eval() if supports_onednn(self.net) else self


class OneDNN(nn.Module):
    """A trained network whose layers pass activations in oneDNN's memory layout.

    Plain layers convert activations to rows and back, which takes longer than the convolutions. Batch normalisation is
    folded into the weights before it (Jacob et al. 2018, section 3.2).

    Args:
        net: (b, …) → (b, k), accepted by `supports_onednn`.
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
        """Apply the network: (b, …) → (b, k)."""
        out: Tensor = self.net(x.to_mkldnn()).to_dense()
        return out


def supports_onednn(net: nn.Module) -> bool:
    """Whether oneDNN is available, has all layers of a network, and each batch normalisation follows a convolution."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    layers = list(net.children())
    foldable = all(
        isinstance(before, nn.Conv2d) for before, layer in pairwise([net, *layers]) if isinstance(layer, nn.BatchNorm2d)
    )
    return (
        available
        and isinstance(net, nn.Sequential)
        and foldable
        and all(isinstance(layer, ONEDNN_LAYERS) for layer in layers)
        and all(weights.dtype == torch.float32 for weights in net.parameters())
    )


class UpConvolution(nn.ConvTranspose2d):
    """A transposed convolution that adds its bias afterwards in training, with channels last.

    oneDNN takes up to seven times as long for one with a bias in bfloat16.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Apply the layer: (b, c, h, w) → (b, c', h', w')."""
        if not self.training or self.bias is None:
            return super().forward(x, output_size)
        x = x.contiguous(memory_format=torch.channels_last)
        out = F.conv_transpose2d(x, self.weight, None, self.stride, self.padding, self.output_padding)  # type: ignore[arg-type]
        b, c, h, w = out.shape
        rows = out.permute(0, 2, 3, 1).reshape(b, h, w * c)  # no copy; long rows, so that the sum uses vectors
        return (rows + self.bias.to(out.dtype).repeat(w)).view(b, h, w, c).permute(0, 3, 1, 2)


class ImageDecoder(Decoder):
    """z (b, d) → p(x|z), batch shape (b,), event shape (c, h, w).

    Args:
        net: (b, d) → (b, c, h, w), the pixel means of "normal" or the logits of "bernoulli".
        likelihood: "normal" with variance 1/(2C), so that −log p(x|z) is C·‖x − f(z)‖² plus a constant, or "bernoulli".
        c: C, used by "normal" only.
    """

    def __init__(self, net: nn.Module, likelihood: str, c: float) -> None:
        super().__init__()
        self.net, self.likelihood, self.c = net, likelihood, c

    def forward(self, z: Tensor) -> Distribution:
        """Compute the likelihood."""
        return likelihood_of(self.net(z).float(), self.likelihood, self.c)


def likelihood_of(out: Tensor, likelihood: str, c: float) -> Distribution:
    """Return p(x|z) of a network's output (b, c, h, w): the pixel means of "normal", the logits of "bernoulli"."""
    if likelihood == "bernoulli":
        return Independent(Bernoulli(logits=out, validate_args=False), 3, validate_args=False)
    scale = out.new_tensor(math.sqrt(0.5 / c)).expand_as(out)
    return Independent(Normal(out, scale, validate_args=False), 3, validate_args=False)


def conv_sizes(shape: tuple[int, int], first: int = 2) -> list[tuple[int, tuple[int, int]]]:
    """Choose stride and output size of each convolution: halve until the longer side is at most 4 pixels.

    Images of at most 12 pixels start with a convolution at full resolution, so that they get more than one; larger ones
    with a stride of `first`.

    >>> conv_sizes((28, 28))
    [(2, (14, 14)), (2, (7, 7)), (2, (4, 4))]
    >>> conv_sizes((8, 8))
    [(1, (8, 8)), (2, (4, 4))]
    >>> conv_sizes((64, 48), first=4)
    [(4, (16, 12)), (2, (8, 6)), (2, (4, 3))]
    """
    h, w = shape
    sizes = [(1, (h, w))] if max(h, w) <= SMALL else [(first, (-(-h // first), -(-w // first)))]
    while max(sizes[-1][1]) > 4:
        h, w = sizes[-1][1]
        sizes.append((2, ((h + 1) // 2, (w + 1) // 2)))
    return sizes


def conv_nets(shape: tuple[int, int, int], latent_dim: int, width: int, first: int = 2) -> tuple[nn.Module, nn.Module]:
    """Build the convolutional networks (b, c, h, w) → (b, 2d) and (b, d) → (b, c, h, w).

    A convolution of stride s has a kernel of 2s − 1, at least 3. The number of channels depends on the size reached.
    """
    c, h, w = shape
    steps = conv_sizes((h, w), first)
    channels = [c, *(min(width * 2**i * max(1, steps[0][0] // 2), MOST_CHANNELS) for i in range(len(steps)))]
    sizes = [(h, w), *(size for _, size in steps)]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i, (stride, size) in enumerate(steps):
        inner, outer, kernel = channels[i + 1], channels[i], max(3, 2 * stride - 1)
        # Batch normalisation speeds up contrastive learning: see docs/experiments.md.
        convolution = nn.Conv2d(outer, inner, kernel, stride, kernel // 2, bias=False)
        down += [convolution, BatchNorm(inner), nn.ReLU(inplace=True)]
        high, wide = (large - (stride * (small - 1) + 1) for large, small in zip(sizes[i], size, strict=True))
        up = [UpConvolution(inner, outer, kernel, stride, kernel // 2, (high, wide)), nn.ReLU(inplace=True), *up]
    flat = channels[-1] * math.prod(sizes[-1])
    # The last ReLU and its gradient need one order of the activations, which is the rows'.
    encoder = nn.Sequential(*down[:-1], nn.Flatten(), nn.ReLU(inplace=True), *mlp(flat, HIDDEN, 2 * latent_dim))
    decoder = nn.Sequential(
        *mlp(latent_dim, HIDDEN, flat), nn.ReLU(inplace=True), nn.Unflatten(1, (channels[-1], *sizes[-1])), *up[:-1]
    )
    return encoder, decoder


def mlp_nets(shape: tuple[int, int, int], latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Build multilayer perceptrons with two hidden layers of 32·width units (cf. Kingma & Welling 2013, appendix C)."""
    pixels, hidden = math.prod(shape), 32 * width
    encoder = nn.Sequential(nn.Flatten(), *mlp(pixels, hidden, hidden, 2 * latent_dim))
    decoder = nn.Sequential(*mlp(latent_dim, hidden, hidden, pixels), nn.Unflatten(1, shape))
    return encoder, decoder


def mlp(*sizes: int) -> list[nn.Module]:
    """Build linear layers of these sizes with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return layers[:-1]


Nets: TypeAlias = Callable[[tuple[int, int, int], int, int], tuple[nn.Module, nn.Module]]
NETS: Mapping[str, Nets] = {
    "conv": conv_nets,
    "conv4": partial(conv_nets, first=4),
    "residual": residual_nets,
    "mlp": mlp_nets,
}


def net_of(shape: tuple[int, ...]) -> str:
    """Choose the network for images of `shape` (c, h, w)."""
    return "conv4" if max(shape[1:]) > LARGE else "conv"


def build(
    net: str, shape: tuple[int, int, int], *, latent_dim: int, width: int, likelihood: str, c: float
) -> tuple[ImageEncoder, ImageDecoder]:
    """Build encoder and decoder for images of `shape` (c, h, w)."""
    encoder, decoder = NETS[net](shape, latent_dim, width)
    return ImageEncoder(encoder), ImageDecoder(decoder, likelihood, c)
