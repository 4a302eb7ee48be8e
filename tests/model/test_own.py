"""A user's networks: what is accepted as encoder, decoder, likelihood or term, and what is refused in one line."""

import math
from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, NegativeBinomial, Normal, Poisson, constraints

from latentviz.errors import ArgumentError, LatentvizError, TrainingError
from latentviz.modalities.vae import VAE
from latentviz.model.check import check
from latentviz.model.own import decoder_of, encoder_of

B, D, M = 4, 3, 6


class Lambda(nn.Module):
    """A linear layer and a function of its output."""

    def __init__(self, inputs: int, outputs: int, function: Callable) -> None:
        super().__init__()
        self.net, self.function = nn.Linear(inputs, outputs), function

    def forward(self, x: Tensor) -> object:
        return self.function(self.net(x))


def halves(out: Tensor) -> tuple[Tensor, Tensor]:
    mu, logvar = out.chunk(2, -1)
    return mu, logvar


def counts() -> Tensor:
    return torch.poisson(torch.full((B, M), 3.0), generator=torch.Generator().manual_seed(0))


def vae(
    encode: Callable = halves, decode: Callable = lambda out: out, inner: int = 2 * D, outer: int = M, **given: object
) -> VAE:
    return VAE(Lambda(M, inner, encode), Lambda(D, outer, decode), D, **given)


@pytest.mark.parametrize(
    "function",
    [
        halves,
        lambda out: [*halves(out)],
        lambda out: Normal(halves(out)[0], (0.5 * halves(out)[1]).exp()),
        lambda out: Independent(Normal(halves(out)[0], (0.5 * halves(out)[1]).exp()), 1),
    ],
)
def test_every_form_of_a_posterior_is_the_same_normal(function: Callable) -> None:
    torch.manual_seed(0)
    module = Lambda(M, 2 * D, function)
    x = torch.randn(B, M)
    posterior = encoder_of(module, (M,), D)(x)
    mu, logvar = halves(module.net(x))
    assert (posterior.batch_shape, posterior.event_shape) == ((B,), (D,))
    torch.testing.assert_close(posterior.mean, mu)
    torch.testing.assert_close(2 * posterior.base_dist.scale.log(), logvar)


@pytest.mark.parametrize("given", [lambda shape, d: Lambda(*shape, 2 * d, halves), Lambda(M, 2 * D, halves)])
def test_a_factory_gets_the_shape_and_the_latent_dimensions(given: object) -> None:
    assert encoder_of(given, (M,), D)(torch.randn(B, M)).mean.shape == (B, D)


@pytest.mark.parametrize(
    ("likelihood", "expected"),
    [
        (lambda rate: Poisson(rate.exp()), lambda out, x: (x * out - out.exp() - (x + 1).lgamma()).sum(-1)),
        (
            lambda out: Independent(Poisson(out.exp()), 1),
            lambda out, x: (x * out - out.exp() - (x + 1).lgamma()).sum(-1),
        ),
        (Poisson, None),
        (
            lambda out: NegativeBinomial(torch.tensor(2.0), logits=out),
            lambda out, x: (
                (x + 2).lgamma()
                - (x + 1).lgamma()
                + 2 * nn.functional.logsigmoid(-out)
                + x * nn.functional.logsigmoid(out)
            ).sum(-1),
        ),
        (
            lambda out: Normal(out, 2.0),
            lambda out, x: (-((x - out) ** 2) / 8 - math.log(2) - 0.5 * math.log(2 * math.pi)).sum(-1),
        ),
    ],
)
def test_a_likelihood_is_summed_over_an_item_in_nats(likelihood: Callable, expected: Callable | None) -> None:
    torch.manual_seed(0)
    module = Lambda(D, M, torch.nn.functional.softplus if expected is None else lambda out: out)
    z, x = torch.randn(B, D), counts()
    found = decoder_of(module, likelihood, None, (M,), D)(z).log_prob(x)
    out = module(z)
    by_hand = (x * out.log() - out - (x + 1).lgamma()).sum(-1) if expected is None else expected(out, x)
    torch.testing.assert_close(found, by_hand)


def test_several_outputs_of_a_decoder_are_several_arguments_of_the_likelihood() -> None:
    module = Lambda(D, 2 * M, halves)
    found = decoder_of(module, lambda mean, logvar: Normal(mean, logvar.exp()), None, (M,), D)(torch.randn(B, D))
    assert found.log_prob(counts()).shape == (B,)


def test_the_parameters_of_a_likelihood_and_of_a_term_are_trained_and_saved() -> None:
    class Dispersed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log_count = nn.Parameter(torch.zeros(M))

        def forward(self, out: Tensor) -> Distribution:
            return NegativeBinomial(self.log_count.exp(), logits=out)

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(D, 2)

        def forward(self, step) -> Tensor:
            return nn.functional.cross_entropy(self.net(step.z), step.y)

    model = vae(likelihood=Dispersed(), objective={"head": Head()})
    model._trainer = type("T", (), {"estimated_stepping_batches": 10, "global_step": 0})()
    y = torch.tensor([0, 1, 0, 1])
    loss = model.training_step([counts(), y], 0)
    loss.backward()
    assert {"decoder.likelihood.log_count", "objective.head.net.weight"} <= set(model.state_dict())
    assert model.decoder.likelihood.log_count.grad.abs().sum() > 0
    assert model.objective["head"].net.weight.grad.abs().sum() > 0
    parts = ("reconstruction", "kl_cost", "head")
    torch.testing.assert_close(loss.detach(), sum(model.latest[name] for name in parts))


class NoPoint(Distribution):
    """A distribution that cannot be decoded."""

    arg_constraints: ClassVar[dict] = {}
    support = constraints.real

    def __init__(self, out: Tensor) -> None:
        super().__init__(out.shape[:1], out.shape[1:], validate_args=False)
        self.out = out

    def log_prob(self, x: Tensor) -> Tensor:
        return -((x - self.out) ** 2).sum(-1)


class Wide(NoPoint):
    """A distribution whose log_prob is not a number per item."""

    mean = property(lambda self: self.out)

    def log_prob(self, x: Tensor) -> Tensor:
        return -((x - self.out) ** 2)


BAD = {
    "no distribution": (lambda: vae(lambda out: out), r"encoder: Lambda must return .*got a tensor of shape \(2, 6\)"),
    "no tensors": (lambda: vae(lambda out: "x"), r"encoder: Lambda must return .*got str"),
    "three outputs": (lambda: vae(lambda out: out.chunk(3, -1)), r"encoder: Lambda must return .*got tuple of 3"),
    "another width": (
        lambda: vae(inner=2 * D + 4),
        r'encoder: mu has 5 dimensions, and latent_dim is 3.*"latent_dim": 5',
    ),
    "shapes that differ": (lambda: vae(lambda out: (out, out[:, :2])), r"encoder: .*got \(2, 6\) and \(2, 2\)"),
    "an image as mu": (lambda: vae(lambda out: 2 * (out[:, None],)), r"encoder: .*shape \(2, latent_dim\)"),
    "an encoder that fails": (
        lambda: vae(lambda out: out @ out),
        r"encoder: failed with a tensor of shape \(2, 6\) \(Run",
    ),
    "NaN in mu": (lambda: vae(lambda out: 2 * (out[:, :D] * math.nan,)), r"encoder: mu is not finite.*got nan"),
    "an infinite width": (
        lambda: vae(lambda out: (out[:, :D], out[:, :D] - math.inf)),
        r"encoder: logvar is not finite",
    ),
    "no gradient of the encoder": (
        lambda: vae(lambda out: tuple(part.detach() for part in halves(out))),
        "encoder: no gradient reaches its weights",
    ),
    "no gradient of the decoder": (lambda: vae(decode=lambda out: out.detach()), "decoder: no gradient reaches"),
    "means of another shape": (
        lambda: VAE(None, nn.Linear(D, M + 1), D, shape=(M,)),
        r"decoder: Linear must return means of shape \(2, 6\) \(got \(2, 7\)\)",
    ),
    "no likelihood": (lambda: vae(likelihood=lambda out: out), r"likelihood: <lambda> must return .*Distribution"),
    "a likelihood that is none": (lambda: vae(likelihood=3), r"likelihood: must be a function .*got int"),
    "another shape": (lambda: vae(outer=M + 1), r"decoder: p\(x\|z\) must be over items of shape \(6,\) \(got \(7,\)"),
    "a log_prob per value": (lambda: vae(likelihood=Wide), r"log_prob must return one number per item.*got \(2, 6\)"),
    "neither mean nor mode": (lambda: vae(likelihood=NoPoint), "likelihood: NoPoint has neither a mean nor a mode"),
    "a term that is no scalar": (
        lambda: vae(objective={"mine": lambda step: step.z}),
        r"objective.mine: must return a scalar tensor \(got a tensor of shape \(2, 3\)\)",
    ),
    "a term that is not finite": (
        lambda: vae(objective={"mine": lambda step: step.z.sum() * math.inf}),
        "objective.mine: its value is not finite",
    ),
    "a term that fails": (
        lambda: vae(objective={"mine": lambda step: step.q}),
        "objective.mine: failed .*AttributeError",
    ),
    "a taken name": (lambda: vae(objective={"kl": lambda step: step.z.sum()}), "objective: 'kl' cannot be the name"),
    "a name of a dictionary's": (lambda: vae(objective={"items": lambda step: 0}), "objective: 'items' cannot be"),
    "an objective that is none": (lambda: vae(objective=[3]), "objective: must map names to functions"),
    "no network": (lambda: VAE("conv", None, D, shape=(M,)), r"encoder: must be a torch.nn.Module.*got str"),
    "no network from a factory": (
        lambda: VAE(lambda shape, d: 3, None, D, shape=(M,)),
        "encoder: <lambda> must return a torch",
    ),
    "a factory of nothing": (
        lambda: VAE(lambda: 3, None, D, shape=(M,)),
        r"encoder: <lambda> is called with \(shape, latent_dim\)",
    ),
    "a shape without networks": (lambda: VAE(shape=(2, 3)), r"shape: there are networks for images.*got \(2, 3\)"),
    "a shape that is none": (lambda: VAE(shape=5), r"shape: must be \(c, h, w\) or \(m,\), whole numbers \(got 5\)"),
    "no shape": (lambda: VAE(latent_dim=D), "shape: networks are built for the shape of an item"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_trained_is_refused_before_training(name: str) -> None:
    make, expected = BAD[name]
    x = counts()
    with pytest.raises(ArgumentError, match=expected) as raised:
        check(make(), x[:2], x)
    assert isinstance(raised.value, ValueError)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("likelihood", "x", "got"),
    [
        (lambda out: Poisson(out.exp()), counts() - 9, r"such as -\d"),
        (lambda out: Poisson(out.exp()), counts() + 0.5, r"such as \d\.5"),
        (lambda out: Categorical(logits=out[..., None].expand(*out.shape, 3)), counts() + 4, r"such as \d"),
    ],
)
def test_data_outside_of_the_support_is_named(likelihood: Callable, x: Tensor, got: str) -> None:
    with pytest.raises(ArgumentError, match=got):
        check(vae(likelihood=likelihood), x[:2], x)


def test_the_check_leaves_the_model_and_the_random_numbers_as_they_were() -> None:
    model = vae(likelihood=lambda out: Poisson(out.exp()))
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    check(model, counts()[:2], counts())
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(weights.grad is None for weights in model.parameters())


def test_parameters_that_become_nan_in_training_are_one_line() -> None:
    model = vae(likelihood=lambda out: Poisson(out * math.nan))
    with pytest.raises(TrainingError, match="decoder: the likelihood refuses its parameters"):
        model.decoder(torch.randn(B, D))
    assert issubclass(TrainingError, LatentvizError)


def test_frozen_networks_are_allowed() -> None:
    model = vae()
    model.encoder.requires_grad_(requires_grad=False)
    check(model, counts()[:2], counts())
