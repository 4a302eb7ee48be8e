"""Random views of images for the contrastive loss, and the principal components that find their first positives."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

DEGREES = 12.0  # largest rotation either way: beyond it a 6 begins to look like a 9
SHIFT = 0.045  # largest shift, as a share of the side: 1.3 of 28 pixels
GAIN = 0.5  # largest change of the log-contrast
STRETCH = 0.12  # largest log-scale, and largest shear
# Median distance of mirrored images to the data, divided by that of the images: 1.4 to 1.8 for letters and digits, 1.2
# for clothes. Below this ratio a mirrored image could be part of the data.
FLIP_BELOW = 1.25
COMPARED = 1024  # numbers by which images are compared, about, at most
BLOCK = 1024  # images shrunk at a time


def views(images: Tensor, strength: float, *, flip: bool) -> Tensor:
    """Moves each image (b, c, h, w) by a random affine map (bilinear, border repeated) and changes its contrast.

    Args:
        images: floats.
        strength: 1 for the largest changes named above, 0 for none.
        flip: mirror half of them left to right.
    """
    (b, _, h, w), device = images.shape, images.device

    def uniform(largest: float) -> Tensor:
        return (torch.rand(b, device=device) * 2 - 1) * (largest * strength)  # (b,)

    angle, shear = uniform(math.radians(DEGREES)), uniform(STRETCH)
    scale_x, scale_y = uniform(STRETCH).exp(), uniform(STRETCH).exp()
    if flip:
        scale_x = scale_x * (1 - 2 * (torch.rand(b, device=device) < 0.5).float())
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([scale_x * cos, scale_x * (shear * cos - sin), 2 * uniform(SHIFT)], dim=1),
            torch.stack([scale_y * sin, scale_y * (shear * sin + cos), 2 * uniform(SHIFT)], dim=1),
        ],
        dim=1,
    )  # (b, 2, 3)
    # As F.affine_grid, whose product of small matrices takes twenty times as long.
    across, down = ((2 * torch.arange(side, device=device) + 1) / side - 1 for side in (w, h))  # (w,), (h,)
    grid = theta[:, :, :1, None] * across + (theta[:, :, 1:2] * down + theta[:, :, 2:])[..., None]  # (b, 2, h, w)
    moved = F.grid_sample(images, grid.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)  # (b, c, h, w)
    gain = uniform(GAIN).exp()[:, None, None, None]
    darkest = moved.amin(dim=(1, 2, 3), keepdim=True)  # (b, 1, 1, 1)
    return moved.mul_(gain).add_(darkest * (1 - gain))


def flips_fit(images: np.ndarray, seed: int, *, reference: int = 10_000, queries: int = 2_000) -> bool:
    """Whether mirroring makes a view of the same thing: mirrored images are about as near to the data as the images.

    Args:
        images: uint8 (n, c, h, w).
        seed: of the sample.
        reference: images that represent the data, at most.
        queries: images to mirror, at most.
    """
    sample = shrunk(images[sample_rows(images, reference, seed)])
    queries = min(queries, len(sample))
    chosen = np.random.default_rng(seed).permutation(len(sample))[:queries]
    flat = sample.reshape(len(sample), -1)
    own = _nearest_other(flat[chosen], chosen, flat)
    mirrored = _nearest_other(sample[chosen][..., ::-1].reshape(queries, -1), chosen, flat)
    return bool(np.median(mirrored / np.maximum(own, 1e-9)) < FLIP_BELOW)


def shrunk(images: np.ndarray) -> np.ndarray:
    """Scales uint8 (n, c, h, w) to float32 in [0, 1]; images of more than 1,024 numbers shrink to about as many."""
    h, w = images.shape[2:]
    share = math.sqrt(COMPARED / math.prod(images.shape[1:]))
    if share >= 1:
        return images.astype(np.float32) / 255
    size = (max(1, round(h * share)), max(1, round(w * share)))
    blocks = [torch.tensor(images[start : start + BLOCK]) for start in range(0, len(images), BLOCK)]
    return torch.cat([F.interpolate(block.float() / 255, size, mode="area") for block in blocks]).numpy()


def _nearest_other(queries: np.ndarray, rows: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Distance (m,) from each query to the nearest row of `data` other than `rows[i]`, its own image."""
    squares = np.square(queries).sum(1)[:, None] - 2 * queries @ data.T + np.square(data).sum(1)
    squares[np.arange(len(queries)), rows] = np.inf
    nearest: np.ndarray = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return nearest


def sample_rows(images: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draws up to `most` rows, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(len(images))[:most])


def principal_components(images: np.ndarray, seed: int, *, most: int = 50, sample: int = 20_000) -> np.ndarray:
    """Computes the images' scores on their first principal components, float32 (n, ≤ 50), in one pass over the cache.

    Args:
        images: uint8 (n, c, h, w), memory-mapped.
        seed: of the sample.
        most: number of components at most.
        sample: number of images the components are computed on, at most.
    """
    rows = sample_rows(images, sample, seed)
    flat = shrunk(images[rows]).reshape(len(rows), -1)
    mean = flat.mean(axis=0)
    count = min(most, flat.shape[1], len(rows) - 1)
    values, vectors = np.linalg.eigh(((flat - mean).T @ (flat - mean)).astype(np.float64))
    axes = vectors[:, np.argsort(-values)[:count]].astype(np.float32)
    scores = np.empty((len(images), axes.shape[1]), np.float32)
    for start in range(0, len(images), 8192):
        block = shrunk(images[start : start + 8192]).reshape(-1, len(mean))
        scores[start : start + 8192] = (block - mean) @ axes
    return scores
