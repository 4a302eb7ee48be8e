"""Makes the decoder that a map carries: the network's own layers if the page can run them, else a grid."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from latentviz.maps.decoder import (
    GRID_SIDE,
    PAGE_LIMIT,
    DecoderData,
    Layer,
    blend,
    cost,
    grid_latents,
    network_layers,
    text_spots,
)
from latentviz.maps.network import forward

# How far the page's picture may be from the decoder's, of 1.
TOLERANCE = 1e-3


def decoder_data(
    net: Any,
    decode: Callable[[np.ndarray], np.ndarray],
    mu: np.ndarray,
    points: np.ndarray,
    shape: tuple[int, int, int],
) -> DecoderData:
    """Returns the decoder of images for the page: its weights, or where the page cannot run it, a pre-decoded grid.

    Args:
        net: PyTorch's module from z (b, d) to the mean of p(x|z), (b, c, h, w), or to its logits.
        decode: z, float32 (b, d) → the mean of p(x|z), (b, c, h, w) in [0, 1]; tells which of both.
        mu: float32 (n, d).
        points: float32 (n, 2).
        shape: (c, h, w).
    """
    layers = network_layers(net)
    if layers is not None and cost(layers, mu.shape[1]) <= PAGE_LIMIT:
        whole = faithful([*layers, Layer("reshape", {"shape": list(shape)})], decode, mu)
        if whole is not None:
            return DecoderData(mu, shape, whole)
    pictures = np.concatenate([decode(part) for part in np.array_split(grid_latents(points, mu), 16)])
    steps = np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)
    return DecoderData(mu, shape, grid=steps.reshape(GRID_SIDE, GRID_SIDE, *shape))


def text_decoder_data(decode: Callable[[np.ndarray], Sequence[str]], mu: np.ndarray, points: np.ndarray) -> DecoderData:
    """Returns the decoder of texts for the page: what it writes at places all over the data.

    Args:
        decode: z, float32 (b, d) → b texts.
        mu: float32 (n, d).
        points: float32 (n, 2).
    """
    spots = text_spots(points)
    return DecoderData(mu, spots=spots, texts=decode(blend(points, mu, spots)) if len(spots) else [])


def faithful(layers: Sequence[Layer], decode: Callable[[np.ndarray], np.ndarray], mu: np.ndarray) -> list[Layer] | None:
    """Returns the layers, with a sigmoid behind them if that is missing, or None if they draw something else."""
    z = np.asarray(mu[:: max(1, len(mu) // 8)][:8], np.float32)
    expected = decode(z)
    for more in ([], [Layer("sigmoid")]):
        drawn = forward([*layers, *more], z)
        if drawn.shape == expected.shape and np.abs(np.clip(drawn, 0, 1) - np.clip(expected, 0, 1)).max() < TOLERANCE:
            return [*layers, *more]
    return None
