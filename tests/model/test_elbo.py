"""The objective against the formulas it stands for."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from latentviz.model.base import distortion_and_log_likelihood
from latentviz.model.elbo import ELBO, diagonal_normal, kl_per_dimension, standard_normal, with_free_bits

DRAWS = 200_000


def posterior(b: int = 3, d: int = 4) -> Independent:
    generator = torch.Generator().manual_seed(1)
    return diagonal_normal(torch.randn(b, d, generator=generator), 0.5 * torch.randn(b, d, generator=generator))


@pytest.mark.parametrize(
    "prior",
    [
        pytest.param(standard_normal(4, torch.zeros(1)), id="standard"),
        pytest.param(
            diagonal_normal(torch.tensor([1.0, -2.0, 0.5, 0.0]), torch.tensor([0.7, -0.5, 0.0, 2.0])), id="other"
        ),
    ],
)
def test_kl_in_closed_form_is_what_monte_carlo_estimates(prior: Independent) -> None:
    torch.manual_seed(0)
    q = posterior()
    z = q.sample((DRAWS,))  # (draws, b, d)
    log_ratio = q.log_prob(z) - prior.log_prob(z)  # (draws, b)
    closed = kl_per_dimension(q, prior).sum(-1)
    standard_error = log_ratio.std(0) / math.sqrt(DRAWS)
    assert torch.all((closed - log_ratio.mean(0)).abs() < 4 * standard_error)
    assert torch.all(standard_error < 0.02), "the estimate is precise enough to detect a wrong formula"


def test_kl_is_that_of_torch_and_of_the_paper() -> None:
    q, prior = posterior(), standard_normal(4, torch.zeros(1))
    mu, variance = q.base_dist.loc, q.base_dist.scale.square()
    paper = -0.5 * (1 + variance.log() - mu.square() - variance)  # Kingma & Welling 2013, appendix B
    torch.testing.assert_close(kl_per_dimension(q, prior), paper)
    torch.testing.assert_close(kl_per_dimension(q, prior).sum(-1), kl_divergence(q, prior.expand((3,))))


def test_kl_of_a_distribution_from_itself_is_nothing() -> None:
    q = posterior(b=1)
    assert torch.equal(kl_per_dimension(q, q), torch.zeros(1, 4))


@pytest.mark.parametrize("c", [0.5, 1.0, 190.0])
def test_the_normal_distortion_is_c_times_the_squared_distance(c: float) -> None:
    torch.manual_seed(0)
    x, mean = torch.rand(5, 1, 8, 8), torch.rand(5, 1, 8, 8)
    likelihood = Independent(Normal(mean, math.sqrt(0.5 / c)), 3)
    torch.testing.assert_close(distortion_and_log_likelihood(likelihood, x)[0], c * (x - mean).square().sum((1, 2, 3)))


def test_the_normal_log_likelihood_differs_from_the_distortion_by_its_constant_only() -> None:
    torch.manual_seed(0)
    c, x, mean = 7.0, torch.rand(5, 1, 8, 8), torch.rand(5, 1, 8, 8)
    likelihood = Independent(Normal(mean, math.sqrt(0.5 / c)), 3)
    constant = 64 / 2 * math.log(math.pi / c)  # (D/2)·log(π/C)
    torch.testing.assert_close(-likelihood.log_prob(x), distortion_and_log_likelihood(likelihood, x)[0] + constant)


@pytest.mark.parametrize("shape", [(1,), (1, 8, 8), (5, 1, 8, 8)])
def test_the_normal_s_terms_are_those_of_its_log_density(shape: tuple[int, ...]) -> None:
    """Scales of one number, of one per pixel, and of one per item and pixel, with a gradient."""
    torch.manual_seed(0)
    x, mean, scale = torch.rand(5, 1, 8, 8), torch.rand(5, 1, 8, 8), (0.1 + torch.rand(shape)).requires_grad_()
    likelihood = Independent(Normal(mean, scale.expand(5, 1, 8, 8)), 3)
    distortion, log_likelihood = distortion_and_log_likelihood(likelihood, x)
    torch.testing.assert_close(log_likelihood, likelihood.log_prob(x).detach())
    expected = likelihood.log_prob(mean) - likelihood.log_prob(x)
    torch.testing.assert_close(distortion, expected)
    gradients = (torch.autograd.grad(terms.sum(), scale) for terms in (distortion, expected))
    torch.testing.assert_close(*gradients)


def test_the_bernoulli_distortion_is_the_cross_entropy() -> None:
    torch.manual_seed(0)
    x, logits = torch.rand(5, 1, 8, 8), torch.randn(5, 1, 8, 8)
    likelihood = Independent(Bernoulli(logits=logits, validate_args=False), 3, validate_args=False)
    p = logits.sigmoid()
    by_hand = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    torch.testing.assert_close(distortion_and_log_likelihood(likelihood, x)[0], by_hand)


def test_without_free_bits_the_loss_sees_the_plain_kl() -> None:
    kl = torch.rand(6, 4)
    torch.testing.assert_close(with_free_bits(kl, 0.0), kl.sum(-1).mean())


def test_free_bits_are_a_floor_under_each_dimension_s_mean() -> None:
    kl = torch.tensor([[0.0, 3.0], [0.2, 1.0]], requires_grad=True)  # means 0.1 and 2
    loss = with_free_bits(kl, 0.5)
    assert loss.item() == pytest.approx(0.5 + 2.0)
    loss.backward()
    assert torch.equal(kl.grad, torch.tensor([[0.0, 0.5], [0.0, 0.5]])), "below the floor nothing pushes"


def test_the_elbo_is_the_log_likelihood_less_the_kl() -> None:
    assert ELBO(torch.tensor([-5.0]), torch.tensor([2.0])).elbo == torch.tensor([-7.0])


def test_the_elbo_bounds_the_evidence_from_below() -> None:
    """In a linear model with one latent log p(x) is known: x | z ~ N(wz, s²), so x ~ N(0, w² + s²)."""
    torch.manual_seed(0)
    w, s, x = 1.5, 0.7, torch.tensor([[0.8]])
    evidence = Normal(0.0, math.hypot(w, s)).log_prob(x).item()
    variance = 1 / (1 + w**2 / s**2)
    exact = diagonal_normal(variance * w / s**2 * x, torch.full((1, 1), math.log(variance)))
    rough = diagonal_normal(torch.zeros(1, 1), torch.zeros(1, 1))
    bounds = []
    for q in (exact, rough):
        z = q.sample((DRAWS,))
        log_likelihood = Normal(w * z, s).log_prob(x).sum(-1).mean()
        bounds.append((log_likelihood - kl_per_dimension(q, standard_normal(1, x)).sum()).item())
    assert bounds[0] == pytest.approx(evidence, abs=0.01), "tight where q is the true posterior"
    assert bounds[1] < evidence - 0.1
