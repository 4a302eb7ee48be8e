"""What the page needs to decode spots of the map by itself: the network as plain arrays, and every item's μ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

# How many of the nearest points lend their μ to a spot of the map.
BLENDED = 8
# Multiplications a picture may cost in the page: some 0.3 s on a phone.
PAGE_LIMIT = 300_000_000
GRID_SIDE = 40
SPOTS = 1_500  # at most, at which a decoder of text is asked

_ACTIVATIONS = {
    "SiLU": "silu",
    "ReLU": "relu",
    "GELU": "gelu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
}


@dataclass(frozen=True)
class Layer:
    """One step of a network, without the library that trained it.

    Attributes:
        type: linear, conv2d, conv_transpose2d, affine, reshape, upsample, or an activation (relu, silu, gelu,
            leaky_relu, elu, tanh, sigmoid, softplus).
        options: `stride`, `padding`, `output_padding` (each [y, x]), `shape`, `scale`, `slope`.
        weight: float32, in PyTorch's layout: linear (out, in), conv2d (out, in, kh, kw), conv_transpose2d
            (in, out, kh, kw), affine (channels,).
        bias: float32 (out,).
    """

    type: str
    options: dict[str, Any] = field(default_factory=dict)
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class DecoderData:
    """A decoder for the page; `decoder_data` makes it.

    Attributes:
        mu: float32 (n, d), the posterior means of the items.
        shape: (c, h, w) of what is decoded.
        layers: the decoder's steps from z (d,) to the mean of p(x|z) in [0, 1], (c, h, w); empty where the page
            cannot run it.
        grid: uint8 (g, g, c, h, w), what the decoder draws on a square grid over the map, top row first; used where
            `layers` is empty.
        spots: float32 (s, 2), places on the map, and
        texts: what the decoder writes at each of them, for decoders of text.
    """

    mu: np.ndarray
    shape: tuple[int, int, int] = (1, 1, 1)
    layers: Sequence[Layer] = ()
    grid: np.ndarray | None = None
    spots: np.ndarray | None = None
    texts: Sequence[str] | None = None


def network_layers(net: Any) -> list[Layer] | None:
    """Returns a PyTorch module as plain layers, or None where it holds something that the page cannot run."""
    kind = type(net).__name__
    children = list(net.children())
    if kind == "Sequential":
        parts = [network_layers(child) for child in children]
        return None if any(part is None for part in parts) else [layer for part in parts for layer in part or []]
    if kind in {"Identity", "Dropout", "Dropout2d"}:
        return []
    if kind in _ACTIVATIONS:
        return [Layer(_ACTIVATIONS[kind], {"slope": float(getattr(net, "negative_slope", 0.01))})]
    reader = _READERS.get(kind)
    return None if reader is None or children else reader(net)


def _array(tensor: Any) -> np.ndarray:
    """Returns a tensor as float32."""
    return np.asarray(tensor.detach().cpu().float().numpy(), np.float32)


def _weighted(kind: str, names: Sequence[str]) -> Callable[[Any], list[Layer] | None]:
    """Returns a reader of modules with weight and bias and the named options, given as pairs."""

    def read(net: Any) -> list[Layer] | None:
        if getattr(net, "groups", 1) != 1 or any(d != 1 for d in _pair(getattr(net, "dilation", 1))):
            return None
        bias = None if net.bias is None else _array(net.bias)
        return [Layer(kind, {name: _pair(getattr(net, name)) for name in names}, _array(net.weight), bias)]

    return read


def _pair(value: Any) -> list[int]:
    """Returns one number or two as two."""
    return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * 2


def _affine(net: Any) -> list[Layer]:
    """Returns a batch normalisation, as it works once trained: a scale and a shift a channel."""
    scale = _array(net.weight) / np.sqrt(_array(net.running_var) + net.eps)
    return [Layer("affine", {}, scale, _array(net.bias) - _array(net.running_mean) * scale)]


def _reshape(net: Any) -> list[Layer] | None:
    """Returns an Unflatten of the features."""
    return [Layer("reshape", {"shape": [int(v) for v in net.unflattened_size]})] if net.dim in {1, -1} else None


def _upsample(net: Any) -> list[Layer] | None:
    """Returns an enlargement by whole pixels."""
    factor = net.scale_factor
    whole = net.mode == "nearest" and factor is not None
    return [Layer("upsample", {"scale": _pair(factor)})] if whole else None


_READERS: dict[str, Callable[[Any], list[Layer] | None]] = {
    "Linear": _weighted("linear", ()),
    "Conv2d": _weighted("conv2d", ("stride", "padding")),
    "ConvTranspose2d": _weighted("conv_transpose2d", ("stride", "padding", "output_padding")),
    "BatchNorm1d": _affine,
    "BatchNorm2d": _affine,
    "Unflatten": _reshape,
    "Flatten": lambda _: [Layer("reshape", {"shape": [-1]})],
    "Upsample": _upsample,
}


def cost(layers: Sequence[Layer], latent_dim: int) -> int:
    """Returns how many multiplications one picture takes."""
    shape, total = [latent_dim], 0
    for layer in layers:
        options = layer.options
        if layer.type == "reshape":
            shape = list(options["shape"])
        elif layer.type == "upsample":
            shape = [shape[0], shape[1] * options["scale"][0], shape[2] * options["scale"][1]]
        elif layer.weight is not None and layer.type == "linear":
            total, shape = total + layer.weight.size, [layer.weight.shape[0]]
        elif layer.weight is not None and layer.weight.ndim == 4:
            before, shape = shape, _convolved(shape, layer)
            total += layer.weight.size * int(np.prod((before if "transpose" in layer.type else shape)[1:]))
    return total


def _convolved(shape: Sequence[int], layer: Layer) -> list[int]:
    """Returns the shape (c, h, w) after a convolution of either kind."""
    assert layer.weight is not None
    kernel, stride, padding = layer.weight.shape[2:], layer.options["stride"], layer.options["padding"]
    if layer.type == "conv2d":
        sides = [(shape[i + 1] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in (0, 1)]
        return [layer.weight.shape[0], *sides]
    more = layer.options["output_padding"]
    sides = [(shape[i + 1] - 1) * stride[i] - 2 * padding[i] + kernel[i] + more[i] for i in (0, 1)]
    return [layer.weight.shape[1], *sides]


def blend(points: np.ndarray, mu: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Returns the latents (s, d) that stand for spots (s, 2): the nearest points' μ, weighted by 1/distance².

    The page does the same (page/layers/decoder.js).
    """
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    near = NearestNeighbors(n_neighbors=min(BLENDED, len(finite))).fit(points[finite])
    distance, rows = near.kneighbors(spots)
    weight = 1 / (distance**2 + softness(points[finite]) ** 2)
    mixed: np.ndarray = np.einsum("sk,skd->sd", weight / weight.sum(axis=1, keepdims=True), mu[finite[rows]])
    return mixed.astype(np.float32)


def softness(points: np.ndarray) -> float:
    """Returns the distance, a 20,000th of the map's width, below which points count as one in a blend."""
    return float(np.ptp(points[:, 0]) or 1.0) / 20_000


def reach(points: np.ndarray, limit: int = 20_000) -> float:
    """Returns how far from all data a spot must lie for what the decoder draws there to count as invented.

    Three times the distance to the 8th neighbour that 9 in 10 points have; at least a hundredth of the map.
    """
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 3:
        return 1.0
    queries = points[:: max(1, len(points) // limit)]
    near = NearestNeighbors(n_neighbors=min(BLENDED + 1, len(points))).fit(points)
    width = float(np.ptp(points, axis=0).max())
    return max(3 * float(np.quantile(near.kneighbors(queries)[0][:, -1], 0.9)), 0.01 * width)


def grid_latents(points: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Returns the latents (g·g, d) at the middles of a square grid over the map, top row first."""
    finite = points[np.isfinite(points).all(axis=1)]
    low, high = finite.min(axis=0), finite.max(axis=0)
    middles = (np.arange(GRID_SIDE) + 0.5) / GRID_SIDE
    x, y = np.meshgrid(low[0] + middles * (high - low)[0], high[1] - middles * (high - low)[1])
    return blend(points, mu, np.stack([x.ravel(), y.ravel()], axis=1))


def text_spots(points: np.ndarray) -> np.ndarray:
    """Returns places all over the data, float32 (s, 2): the middles of the squares of a grid that hold a point.

    The grid is as fine as 1,500 such squares allow.
    """
    finite = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    if not len(finite):
        return np.empty((0, 2), np.float32)
    low, width = finite.min(axis=0), float(np.ptp(finite, axis=0).max()) or 1.0
    held = np.zeros((1, 2), np.int64)
    side = 1
    for finer in np.unique(np.geomspace(2, 1_000, 60).astype(int)):
        squares = np.unique(np.minimum((finite - low) / width * finer, finer - 1).astype(np.int64), axis=0)
        if len(squares) > SPOTS:
            break
        held, side = squares, int(finer)
    return np.asarray(low + (held + 0.5) / side * width, np.float32)
