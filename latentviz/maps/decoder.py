"""The decoder that a map carries, so that the page can decode any spot: its layers, a pre-decoded grid, or texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree  # scikit-learn takes a second to import

from latentviz.maps.network import Layer, forward, multiplications, network_layers

if TYPE_CHECKING:
    from torch import nn

BLENDED = 8  # nearest points whose mu are blended into the latent of a spot
PAGE_LIMIT = 300_000_000  # multiplications per image in the page: about 0.3 s on a phone
TOLERANCE = 1e-3  # largest difference, of 1, between the page's image and the decoder's
GRID_SIDE = 40
SPOTS = 1_500  # at which a text decoder is evaluated, at most


@dataclass(frozen=True)
class DecoderData:
    """A decoder for the page; made by `decoder_data` or `text_decoder_data`."""

    mu: np.ndarray  # float32 (n, d), the posterior means of the items
    shape: tuple[int, int, int] = (1, 1, 1)  # (c, h, w) of a decoded image
    # the decoder's steps from z (d,) to the mean of p(x|z) in [0, 1], (c, h, w); empty where the page cannot run it
    layers: Sequence[Layer] = ()
    # uint8 (g, g, c, h, w), images decoded on a square grid over the map, top row first; used where `layers` is empty
    grid: np.ndarray | None = None
    spots: np.ndarray | None = None  # float32 (s, 2), map coordinates at which `texts` were decoded
    texts: Sequence[str] | None = None  # s texts, for text decoders


def decoder_data(
    net: "nn.Module",
    decode: Callable[[np.ndarray], np.ndarray],
    mu: np.ndarray,
    points: np.ndarray,
    shape: tuple[int, int, int],
) -> DecoderData:
    """Exports an image decoder for the page: its weights, or a pre-decoded grid if the page cannot run it.

    Args:
        net: module from z (b, d) to the mean of p(x|z), (b, c, h, w), or to its logits; `decode` decides which.
        decode: z, float32 (b, d) → the mean of p(x|z), (b, c, h, w) in [0, 1].
        mu: float32 (n, d).
        points: float32 (n, 2).
        shape: (c, h, w).
    """
    layers = network_layers(net)
    if layers is not None and multiplications(layers, mu.shape[1]) <= PAGE_LIMIT:
        verified = _verified([*layers, Layer("reshape", {"shape": list(shape)})], decode, mu)
        if verified is not None:
            return DecoderData(mu, shape, verified)
    images = np.concatenate([decode(part) for part in np.array_split(_grid_latents(points, mu), 16)])
    grid = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    return DecoderData(mu, shape, grid=grid.reshape(GRID_SIDE, GRID_SIDE, *shape))


def text_decoder_data(decode: Callable[[np.ndarray], Sequence[str]], mu: np.ndarray, points: np.ndarray) -> DecoderData:
    """Decodes texts at spots all over points (n, 2), blended from mu (n, d); `decode` takes z, float32 (b, d)."""
    spots = text_spots(points)
    return DecoderData(mu, spots=spots, texts=decode(blend(points, mu, spots)) if len(spots) else [])


def _verified(
    layers: Sequence[Layer], decode: Callable[[np.ndarray], np.ndarray], mu: np.ndarray
) -> list[Layer] | None:
    """Appends a missing sigmoid to the layers; None if they still differ from `decode` on 8 items."""
    z = np.asarray(mu[:: max(1, len(mu) // 8)][:8], np.float32)
    expected = decode(z)
    for tail in ([], [Layer("sigmoid")]):
        found = forward([*layers, *tail], z)
        if found.shape == expected.shape and np.abs(np.clip(found, 0, 1) - np.clip(expected, 0, 1)).max() < TOLERANCE:
            return [*layers, *tail]
    return None


def finite_rows(points: np.ndarray) -> np.ndarray:
    """Finds the rows, int64 (m,), of points that have a position; UMAP gives none to items without neighbours."""
    return np.flatnonzero(np.isfinite(points).all(axis=1))


def blend(points: np.ndarray, mu: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Blends the nearest points' mu, weighted by 1/distance², into the latents (s, d) of spots (s, 2).

    The page does the same (page/layers/decoder.js).
    """
    rows = finite_rows(points)
    distance, index = cKDTree(points[rows]).query(spots, range(1, min(BLENDED, len(rows)) + 1))
    weight = 1 / (distance**2 + softness(points[rows]) ** 2)
    blended: np.ndarray = np.einsum("sk,skd->sd", weight / weight.sum(axis=1, keepdims=True), mu[rows[index]])
    return blended.astype(np.float32)


def softness(points: np.ndarray) -> float:
    """Computes the distance, a 20,000th of the map's width, that keeps a blend's weights finite."""
    return float(np.ptp(points[:, 0]) or 1.0) / 20_000


def reach(points: np.ndarray, limit: int = 20_000) -> float:
    """Computes the distance from all data beyond which the page marks a decoded spot as extrapolated.

    Three times the 90% quantile of the points' distance to their 8th neighbour; at least a hundredth of the map.
    """
    points = points[finite_rows(points)]
    if len(points) < 3:
        return 1.0
    count = min(BLENDED + 1, len(points))
    distance, _ = cKDTree(points).query(points[:: max(1, len(points) // limit)], range(1, count + 1))
    width = float(np.ptp(points, axis=0).max())
    return max(3 * float(np.quantile(distance[:, -1], 0.9)), 0.01 * width)


def _grid_latents(points: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Computes the latents (g·g, d) at the centres of a square grid over the map, top row first."""
    finite = points[finite_rows(points)]
    low, high = finite.min(axis=0), finite.max(axis=0)
    centres = (np.arange(GRID_SIDE) + 0.5) / GRID_SIDE
    x, y = np.meshgrid(low[0] + centres * (high - low)[0], high[1] - centres * (high - low)[1])
    return blend(points, mu, np.stack([x.ravel(), y.ravel()], axis=1))


def text_spots(points: np.ndarray) -> np.ndarray:
    """Computes the centres, float32 (s, 2), of the occupied cells of the finest grid with at most 1,500 of them."""
    finite = points[finite_rows(points)].astype(np.float64)
    if not len(finite):
        return np.empty((0, 2), np.float32)
    low, width = finite.min(axis=0), float(np.ptp(finite, axis=0).max()) or 1.0
    occupied, side = np.zeros((1, 2), np.int64), 1
    for finer in np.unique(np.geomspace(2, 1_000, 60).astype(int)):
        cells = np.unique(np.minimum((finite - low) / width * finer, finer - 1).astype(np.int64), axis=0)
        if len(cells) > SPOTS:
            break
        occupied, side = cells, int(finer)
    return np.asarray(low + (occupied + 0.5) / side * width, np.float32)
