"""What the page needs to decode spots of the map by itself: the network as plain arrays, and all μ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layer:
    """One step of a network, without the library that trained it.

    Attributes:
        type: linear, conv2d, conv_transpose2d, affine, reshape, upsample, or an activation (relu, silu, gelu,
            leaky_relu, elu, tanh, sigmoid, softplus).
        options: whole numbers such as stride, padding, output_padding, shape.
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
    """A decoder for the page.

    Attributes:
        mu: float32 (n, d), the posterior means of the items.
        layers: the decoder's steps from z (d,) to the mean of p(x|z) in [0, 1], (c, h, w); empty where
            the page cannot run it.
        grid: uint8 (g, g, c, h, w), what the decoder draws on a square grid over the map, row 0 at the top;
            used where `layers` is empty.
        grid_texts: g·g texts, for decoders of text, in the same order.
        shape: (c, h, w) of what comes out.
    """

    mu: np.ndarray
    layers: Sequence[Layer] = ()
    grid: np.ndarray | None = None
    grid_texts: Sequence[str] | None = None
    shape: tuple[int, int, int] = (1, 1, 1)
