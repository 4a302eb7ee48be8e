"""Runs a network of plain layers in NumPy: what the page's JavaScript must reproduce, and the check that it will."""

from collections.abc import Callable, Sequence

import numpy as np

from latentviz.maps.decoder import Layer


def forward(layers: Sequence[Layer], z: np.ndarray) -> np.ndarray:
    """Returns what the layers make of z, float (b, d): float32 (b, …)."""
    x = np.asarray(z, np.float32)
    for layer in layers:
        x = _STEPS[layer.type](layer, x) if layer.type in _STEPS else _POINTWISE[layer.type](x)
    return x


def _linear(layer: Layer, x: np.ndarray) -> np.ndarray:
    assert layer.weight is not None
    y: np.ndarray = x @ layer.weight.T
    return y if layer.bias is None else y + layer.bias


def _conv2d(layer: Layer, x: np.ndarray) -> np.ndarray:
    assert layer.weight is not None
    kernel, (sy, sx), (py, px) = layer.weight.shape[2:], layer.options["stride"], layer.options["padding"]
    padded = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::sy, ::sx]
    y: np.ndarray = np.einsum("bihwkl,oikl->bohw", windows, layer.weight, optimize=True)
    return y if layer.bias is None else y + layer.bias[:, None, None]


def _conv_transpose2d(layer: Layer, x: np.ndarray) -> np.ndarray:
    assert layer.weight is not None
    (kh, kw), (sy, sx) = layer.weight.shape[2:], layer.options["stride"]
    (py, px), (more_y, more_x) = layer.options["padding"], layer.options["output_padding"]
    b, _, h, w = x.shape
    # Without padding first, which is cut off at the end.
    y = np.zeros((b, layer.weight.shape[1], (h - 1) * sy + kh + more_y, (w - 1) * sx + kw + more_x), np.float32)
    for i in range(kh):
        for j in range(kw):
            part = np.einsum("bihw,io->bohw", x, layer.weight[:, :, i, j], optimize=True)
            y[:, :, i : i + (h - 1) * sy + 1 : sy, j : j + (w - 1) * sx + 1 : sx] += part
    y = y[:, :, py : y.shape[2] - py, px : y.shape[3] - px]
    return y if layer.bias is None else y + layer.bias[:, None, None]


def _affine(layer: Layer, x: np.ndarray) -> np.ndarray:
    assert layer.weight is not None
    assert layer.bias is not None
    shape = (-1, *(1,) * (x.ndim - 2))
    y: np.ndarray = x * layer.weight.reshape(shape) + layer.bias.reshape(shape)
    return y


def _upsample(layer: Layer, x: np.ndarray) -> np.ndarray:
    return x.repeat(layer.options["scale"][0], axis=2).repeat(layer.options["scale"][1], axis=3)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    y: np.ndarray = 0.5 * (1 + np.tanh(0.5 * x))
    return y


def _gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    y: np.ndarray = 0.5 * x * (1 + erf(x / np.sqrt(2)))
    return y


_STEPS: dict[str, Callable[[Layer, np.ndarray], np.ndarray]] = {
    "linear": _linear,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "affine": _affine,
    "upsample": _upsample,
    "reshape": lambda layer, x: x.reshape(len(x), *layer.options["shape"]),
    "leaky_relu": lambda layer, x: np.where(x > 0, x, layer.options["slope"] * x),
}
_POINTWISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "silu": lambda x: x * _sigmoid(x),
    "relu": lambda x: np.maximum(x, 0),
    "gelu": _gelu,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(x, 0),
}
