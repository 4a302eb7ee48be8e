"""The networks for images at every supported size, and the distributions they return."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent

from latentviz.modalities.image.nets import NETS, UpConvolution, build, supports_onednn
from latentviz.model.base import distortion_and_log_likelihood

SHAPES = [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (1, 9, 13), (3, 17, 8), (1, 31, 64), (3, 64, 48), (1, 8, 96)]


def nets(net: str, shape: tuple[int, int, int], likelihood: str = "normal", c: float = 10.0):
    torch.manual_seed(0)
    return build(net, shape, latent_dim=5, width=4, likelihood=likelihood, c=c)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_fit_together(net: str, shape: tuple[int, int, int]) -> None:
    encoder, decoder = nets(net, shape)
    posterior = encoder(torch.rand(2, *shape))
    assert isinstance(posterior, Independent)
    assert (posterior.batch_shape, posterior.event_shape) == ((2,), (5,))
    likelihood = decoder(posterior.rsample())
    assert (likelihood.batch_shape, likelihood.event_shape) == ((2,), shape)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("shape", [(3, 128, 128), (1, 200, 40)])
def test_large_images_pass_too(net: str, shape: tuple[int, int, int]) -> None:
    encoder, decoder = nets(net, shape)
    assert decoder(encoder(torch.rand(1, *shape)).mean).mean.shape == (1, *shape)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("likelihood", ["normal", "bernoulli"])
def test_every_weight_learns(net: str, likelihood: str) -> None:
    encoder, decoder = nets(net, (1, 8, 8), likelihood)
    x = torch.rand(4, 1, 8, 8)
    distortion_and_log_likelihood(decoder(encoder(x).rsample()), x)[0].mean().backward()
    for part in (encoder, decoder):
        for name, weight in part.named_parameters():
            assert weight.grad is not None, f"{name} has no gradient"
            assert torch.isfinite(weight.grad).all(), name
            assert weight.grad.abs().sum() > 0, f"{name} is not reached"


def test_bernoulli_s_mean_is_a_picture() -> None:
    _, decoder = nets("conv", (3, 8, 8), "bernoulli")
    mean = decoder(10 * torch.randn(16, 5)).mean
    assert mean.min() >= 0
    assert mean.max() <= 1


@pytest.mark.parametrize("c", [0.5, 10.0, 2000.0])
def test_the_normal_s_variance_is_one_over_two_c(c: float) -> None:
    _, decoder = nets("mlp", (1, 8, 8), c=c)
    x = torch.rand(3, 1, 8, 8)
    likelihood = decoder(torch.randn(3, 5))
    torch.testing.assert_close(likelihood.variance, torch.full((3, 1, 8, 8), 1 / (2 * c)))
    squared = c * (x - likelihood.mean).square().sum((1, 2, 3))
    torch.testing.assert_close(likelihood.log_prob(x), -squared - 32 * math.log(math.pi / c), rtol=1e-4, atol=1e-3)
    distortion, _ = distortion_and_log_likelihood(likelihood, x)
    torch.testing.assert_close(distortion, squared, rtol=1e-3, atol=1e-3)


def test_bernoulli_takes_grey_values_and_stays_finite_far_out() -> None:
    _, decoder = nets("mlp", (1, 8, 8), "bernoulli")
    likelihood = decoder(1e4 * torch.randn(3, 5))
    assert torch.isfinite(likelihood.log_prob(torch.rand(3, 1, 8, 8))).all()


@pytest.mark.parametrize("net", NETS)
def test_an_item_s_posterior_does_not_depend_on_the_batch(net: str) -> None:
    encoder, _ = nets(net, (1, 8, 8))
    encoder.eval()
    x = torch.rand(6, 1, 8, 8)
    torch.testing.assert_close(encoder(x).mean[2:3], encoder(x[2:3]).mean, rtol=1e-5, atol=1e-6)


def test_an_extreme_input_gives_a_finite_posterior() -> None:
    encoder, _ = nets("mlp", (1, 8, 8))
    posterior = encoder(1e8 * torch.randn(2, 1, 8, 8))
    assert torch.isfinite(posterior.variance).all()
    assert (posterior.variance > 0).all()


@pytest.mark.parametrize("net", NETS)
def test_the_same_seed_gives_the_same_weights(net: str) -> None:
    first, second = nets(net, (1, 8, 8)), nets(net, (1, 8, 8))
    for one, other in zip(first, second, strict=True):
        for name, weight in one.state_dict().items():
            assert torch.equal(weight, other.state_dict()[name])


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 13)])
def test_the_encoder_for_inference_computes_the_same(net: str, shape: tuple[int, int, int]) -> None:
    encoder, _ = nets(net, shape)
    x = torch.rand(8, *shape)
    for _ in range(3):
        encoder.train()(x)  # gives batch normalisation statistics
    fast = encoder.eval().for_inference()
    with torch.inference_mode():
        plain, quick = encoder(x).base_dist, fast(x).base_dist
    assert plain.loc.std() > 0.01
    torch.testing.assert_close(quick.loc, plain.loc, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(quick.scale, plain.scale, rtol=1e-4, atol=1e-6)


def test_an_unsupported_encoder_stays_unchanged() -> None:
    encoder, _ = nets("conv", (1, 8, 8))
    weights = {name: value.clone() for name, value in encoder.state_dict().items()}
    can = torch.backends.mkldnn.is_available()
    assert supports_onednn(encoder.net) is can
    assert (encoder.for_inference() is encoder) is not can
    assert all(torch.equal(value, weights[name]) for name, value in encoder.state_dict().items())
    residual, _ = nets("residual", (1, 8, 8))
    assert residual.for_inference() is residual
    assert not supports_onednn(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    assert not supports_onednn(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4))), "no convolution to fold it into"
    assert not supports_onednn(encoder.net.double())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_bias_added_afterwards_is_the_layer_s_own(channels: int) -> None:
    torch.manual_seed(0)
    layer, x = UpConvolution(6, channels, 3, 2, 1, (0, 1)), torch.randn(4, 6, 5, 3)
    outputs = {}
    for training in (True, False):
        layer.train(training).zero_grad()
        outputs[training] = layer(x)
        outputs[training].square().sum().backward()
        outputs[training, "gradient"] = layer.bias.grad.clone()
    torch.testing.assert_close(outputs[True], outputs[False], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs[True, "gradient"], outputs[False, "gradient"], rtol=1e-4, atol=1e-4)
