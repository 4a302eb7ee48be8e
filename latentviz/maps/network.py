"""A decoder network as plain layers that the page's JavaScript can run: read from PyTorch, checked and counted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

# PyTorch class → layer type, which is also the function's name in torch.nn.functional.
_ACTIVATIONS = {name: name.lower() for name in ("SiLU", "ReLU", "GELU", "ELU", "Tanh", "Sigmoid", "Softplus")}


class LayerOptions(TypedDict, total=False):
    """Settings of a layer; pairs are [y, x]."""

    stride: list[int]
    padding: list[int]
    output_padding: list[int]
    shape: list[int]
    scale: list[int]
    slope: float


@dataclass(frozen=True)
class Layer:
    """One step of a network."""

    type: str  # linear, conv2d, conv_transpose2d, affine, reshape, upsample, leaky_relu or another activation
    # settings of convolutions (stride, padding), reshape (shape), upsample (scale), leaky_relu (slope)
    options: LayerOptions = field(default_factory=LayerOptions)
    # float32, in PyTorch's layout: (out, in), for conv2d (out, in, kh, kw), for conv_transpose2d (in, out, kh, kw);
    # of an affine layer (channels,)
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None  # float32 (out,)


def network_layers(net: "nn.Module") -> list[Layer] | None:
    """Reads a PyTorch module as plain layers; None if it holds something that the page cannot run."""
    kind, children = type(net).__name__, list(net.children())
    if kind == "Sequential":
        parts = [network_layers(child) for child in children]
        return None if any(part is None for part in parts) else [layer for part in parts for layer in part or []]
    if kind in {"Identity", "Dropout", "Dropout2d"}:
        return []
    if kind in _ACTIVATIONS:
        return [Layer(_ACTIVATIONS[kind])]
    layer = None if children or kind not in _READERS else _READERS[kind](net)
    return None if layer is None else [layer]


def forward(layers: Sequence[Layer], z: np.ndarray) -> np.ndarray:
    """Runs the layers on z, float (b, d), as the page's JavaScript does; returns float32 (b, …)."""
    import torch

    x = torch.tensor(np.asarray(z), dtype=torch.float32)  # a copy: z may be read-only
    for layer in layers:
        x = _apply(layer, x)
    return x.numpy()


def multiplications(layers: Sequence[Layer], latent_dim: int) -> int:
    """Counts the multiplications of one forward pass."""
    import torch

    x, total = torch.zeros(1, latent_dim), 0  # device="meta" would compute nothing, but imports sympy for two seconds
    for layer in layers:
        y = _apply(layer, x)
        if layer.weight is not None and layer.type != "affine":
            total += layer.weight.size * math.prod((x if layer.type == "conv_transpose2d" else y).shape[2:])
        x = y
    return total


def _apply(layer: Layer, x: "Tensor") -> "Tensor":
    import torch
    import torch.nn.functional as F

    options = layer.options
    weight, bias = (
        None if values is None else torch.as_tensor(values, dtype=torch.float32, device=x.device)
        for values in (layer.weight, layer.bias)
    )
    y: Tensor
    if layer.type == "reshape":
        y = x.reshape(len(x), *options["shape"])
    elif layer.type == "upsample":
        y = F.interpolate(x, scale_factor=options["scale"])
    elif layer.type == "leaky_relu":
        y = F.leaky_relu(x, options["slope"])
    elif weight is None:
        y = getattr(F, layer.type)(x)
    elif layer.type == "conv2d":
        y = F.conv2d(x, weight, bias, options["stride"], options["padding"])
    elif layer.type == "conv_transpose2d":
        y = F.conv_transpose2d(x, weight, bias, options["stride"], options["padding"], options["output_padding"])
    elif layer.type == "affine":
        per_channel = (-1, *(1,) * (x.ndim - 2))
        y = x * weight.reshape(per_channel) + (0 if bias is None else bias.reshape(per_channel))
    else:
        y = F.linear(x, weight, bias)
    return y


def _array(tensor: "Tensor") -> np.ndarray:
    return np.asarray(tensor.detach().cpu().float().numpy(), np.float32)


def _weights(net: Any) -> tuple[np.ndarray, np.ndarray | None]:
    return _array(net.weight), None if net.bias is None else _array(net.bias)


def _pair(value: Any) -> list[int]:
    return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * 2


def _convolution(net: Any) -> Layer | None:
    if net.groups != 1 or any(d != 1 for d in _pair(net.dilation)) or isinstance(net.padding, str):
        return None
    options = LayerOptions(stride=_pair(net.stride), padding=_pair(net.padding))
    if not net.transposed:
        return Layer("conv2d", options, *_weights(net))
    return Layer("conv_transpose2d", {**options, "output_padding": _pair(net.output_padding)}, *_weights(net))


def _batch_norm(net: Any) -> Layer:
    """Reads a trained batch normalisation: a scale and a shift per channel."""
    scale = _array(net.weight) / np.sqrt(_array(net.running_var) + net.eps)
    return Layer("affine", {}, scale, _array(net.bias) - _array(net.running_mean) * scale)


def _upsample(net: Any) -> Layer | None:
    whole = net.mode == "nearest" and net.scale_factor is not None
    return Layer("upsample", {"scale": _pair(net.scale_factor)}) if whole else None


_READERS: dict[str, Callable[[Any], Layer | None]] = {
    "Linear": lambda net: Layer("linear", {}, *_weights(net)),
    "Conv2d": _convolution,
    "ConvTranspose2d": _convolution,
    "UpConvolution": _convolution,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LeakyReLU": lambda net: Layer("leaky_relu", {"slope": float(net.negative_slope)}),
    "Flatten": lambda _: Layer("reshape", {"shape": [-1]}),
    "Unflatten": lambda net: (
        Layer("reshape", {"shape": [int(v) for v in net.unflattened_size]}) if net.dim in {1, -1} else None
    ),
    "Upsample": _upsample,
}
