"""The random views of images, against PyTorch's own affine grid."""

import math

import pytest
import torch
from torch.nn import functional as F

from latentviz.modalities.image.augment import DEGREES, GAIN, SHIFT, STRETCH, views


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (3, 32, 17)])
def test_a_view_is_the_affine_map_of_its_draws_with_another_contrast(shape: tuple[int, int, int]) -> None:
    b, strength = 5, 0.7
    images = torch.rand(b, *shape, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    found = views(images.clone(), strength, flip=True)

    torch.manual_seed(3)
    angle, shear, x, y = ((2 * torch.rand(b) - 1) * m for m in (math.radians(DEGREES), STRETCH, STRETCH, STRETCH))
    angle, shear, x, y = (strength * value for value in (angle, shear, x, y))
    x = x.exp() * torch.where(torch.rand(b) < 0.5, -1.0, 1.0)
    across, down, gain = (strength * m * (2 * torch.rand(b) - 1) for m in (2 * SHIFT, 2 * SHIFT, GAIN))
    first = torch.stack([x * angle.cos(), x * (shear * angle.cos() - angle.sin()), across], dim=1)
    second = torch.stack([y.exp() * angle.sin(), y.exp() * (shear * angle.sin() + angle.cos()), down], dim=1)
    grid = F.affine_grid(torch.stack([first, second], dim=1), [b, *shape], align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    darkest = moved.flatten(1).min(dim=1).values[:, None, None, None]
    expected = darkest + gain.exp()[:, None, None, None] * (moved - darkest)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_views_of_no_strength_are_the_images_or_their_mirror_images() -> None:
    images = torch.rand(40, 3, 6, 9)
    torch.testing.assert_close(views(images, 0.0, flip=False), images)
    flipped = views(images, 0.0, flip=True)
    same = torch.isclose(flipped, images, atol=1e-5).flatten(1).all(1)
    mirrored = torch.isclose(flipped, images.flip(3), atol=1e-5).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 8 < int(mirrored.sum()) < 32
