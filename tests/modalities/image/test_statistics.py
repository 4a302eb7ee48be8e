"""Batch statistics measured on clean images, because training sees augmented ones."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from latentviz.modalities.image.data import to_float
from latentviz.modalities.image.nets import build
from latentviz.modalities.image.statistics import CleanStatistics


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)


def module() -> SimpleNamespace:
    torch.manual_seed(0)
    encoder, _ = build("conv", (1, 8, 8), latent_dim=3, width=4, likelihood="normal", c=1.0)
    return SimpleNamespace(encoder=encoder.eval(), device=torch.device("cpu"))


def layers(model: SimpleNamespace) -> list[nn.BatchNorm2d]:
    return [layer for layer in model.encoder.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_each_layer_has_the_moments_of_clean_images() -> None:
    data, model = images(100), module()
    for layer in layers(model):
        layer.running_mean.fill_(7.0)
    CleanStatistics(data, np.arange(60), seed=0).on_validation_start(None, model)
    first = layers(model)[0]
    convolution = next(part for part in model.encoder.modules() if isinstance(part, nn.Conv2d))
    seen = convolution(to_float(torch.from_numpy(data[:60])))
    torch.testing.assert_close(first.running_mean, seen.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(first.running_var, seen.var(dim=(0, 2, 3)))


def test_nothing_else_changes_and_no_random_numbers_are_drawn() -> None:
    data, model = images(700), module()
    weights = {name: value.clone() for name, value in model.encoder.named_parameters()}
    measure, state = CleanStatistics(data, np.arange(700), seed=0), torch.get_rng_state()
    measure.on_validation_start(None, model)
    once = [layer.running_mean.clone() for layer in layers(model)]
    measure.on_validation_start(None, model)
    assert all(torch.equal(before, layer.running_mean) for before, layer in zip(once, layers(model), strict=True))
    assert all(torch.equal(value, weights[name]) for name, value in model.encoder.named_parameters())
    assert not any(part.training for part in model.encoder.modules())
    assert {layer.momentum for layer in layers(model)} == {0.1}
    assert torch.equal(state, torch.get_rng_state())
