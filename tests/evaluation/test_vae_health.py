"""Metrics of a VAE, on models with known values."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from latentviz.evaluation.vae_health import examine, importance_bound, log_weights, measure
from latentviz.model.elbo import diagonal_normal
from latentviz.model.information import aggregate
from latentviz.model.vae import VAE

PIXELS, LATENT, NOISE = 3, 2, 0.8
LOADINGS = torch.tensor([[1.0, 0.0], [0.5, 1.2], [-0.7, 0.4]])  # (pixels, latent)


class LinearDecoder(nn.Module):
    """p(x|z) = N(Wz, s²): then x ~ N(0, WWᵀ + s²I), so log p(x) is known."""

    def forward(self, z: Tensor) -> Independent:
        return Independent(Normal(z @ LOADINGS.T, NOISE), 1)


class Posterior(nn.Module):
    """q(z|x) = N(Ax, v); with `off` 0 its mean is the true posterior's."""

    def __init__(self, off: float, scale: float) -> None:
        super().__init__()
        self.off, self.scale = off, scale
        self.parameter = nn.Parameter(torch.zeros(1))  # VAE.prior takes its device from a parameter

    def forward(self, x: Tensor) -> Independent:
        covariance = torch.linalg.inv(torch.eye(LATENT) + LOADINGS.T @ LOADINGS / NOISE**2)
        mu = x @ (covariance @ LOADINGS.T / NOISE**2).T + self.off
        return diagonal_normal(mu, torch.full_like(mu, 2 * math.log(self.scale)))


class IgnoresZ(nn.Module):
    """A decoder that ignores z."""

    def forward(self, z: Tensor) -> Independent:
        return Independent(Normal(torch.zeros(len(z), PIXELS), 1.0), 1)


def evidence(x: Tensor) -> Tensor:
    covariance = LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(PIXELS)
    return MultivariateNormal(torch.zeros(PIXELS), covariance).log_prob(x)


def items(n: int) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(n, LATENT) @ LOADINGS.T + NOISE * torch.randn(n, PIXELS)


@pytest.fixture
def rough() -> VAE:
    return VAE(Posterior(off=0.3, scale=0.9), LinearDecoder(), LATENT)


def test_the_importance_weighted_bound_tends_to_the_evidence(rough: VAE) -> None:
    x = items(40)
    torch.manual_seed(0)
    with torch.no_grad():
        weights = log_weights(rough, x, 4000)
    true = float(evidence(x).mean())
    elbo, few, many = (
        float(weights.mean()),
        float(importance_bound(weights[:5]).mean()),
        float(importance_bound(weights).mean()),
    )
    assert many == pytest.approx(true, abs=0.02)
    assert elbo < few < true + 0.02
    assert elbo < true - 0.1, "the posterior is rough enough to separate the bounds"


def test_the_elbo_of_the_weights_is_that_of_log_likelihood_and_kl(rough: VAE) -> None:
    x = items(2000)
    torch.manual_seed(0)
    with torch.no_grad():
        bounds = measure(rough, iter([x[:1000], x[1000:]]))
        weights = log_weights(rough, x, 20)
    assert float((bounds.log_likelihood - bounds.kl).mean()) == pytest.approx(float(weights.mean()), abs=0.1)


def test_the_decoder_loses_log_likelihood_with_another_items_z_unless_it_ignores_z(rough: VAE) -> None:
    x = items(4000)
    torch.manual_seed(0)
    with torch.no_grad():
        bounds = measure(rough, iter([x]))
        ignoring = measure(VAE(Posterior(0, 1), IgnoresZ(), LATENT), iter([x]))
    assert float((bounds.log_likelihood - bounds.of_another).mean()) > 1
    assert torch.equal(ignoring.log_likelihood, ignoring.of_another)


def test_posteriors_that_do_not_depend_on_the_item_carry_no_information() -> None:
    found = aggregate(torch.zeros(500, 3).double(), torch.zeros(500, 3).double(), 500)
    assert found.mutual_information == pytest.approx(0, abs=1e-9)
    assert found.prior_kl_least == pytest.approx(0, abs=1e-9)
    assert found.prior_kl_most == pytest.approx(0, abs=1e-9)


def test_posteriors_that_do_not_overlap_carry_the_items_index_and_no_more() -> None:
    mu = 100.0 * torch.arange(64).double()[:, None]
    found = aggregate(mu, torch.zeros(64, 1).double(), 64)
    assert found.mutual_information == pytest.approx(math.log(64))
    assert found.cap == pytest.approx(math.log(64))


def test_the_information_is_that_of_the_gaussian_channel() -> None:
    """With μ ~ N(0, ¾) and σ² = ¼ the channel carries ½ log(¾/¼ + 1) nats; the aggregated posterior is the prior."""
    torch.manual_seed(0)
    mu = math.sqrt(0.75) * torch.randn(4000, 1).double()
    found = aggregate(mu, torch.full((4000, 1), math.log(0.25)).double(), 2000)
    assert found.mutual_information == pytest.approx(0.5 * math.log(4), abs=0.03)
    assert found.prior_kl_least == pytest.approx(0, abs=0.01)
    assert found.prior_kl_most == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("n", "variance", "least", "most"),
    [
        (32, 1.0, 0.0, 0.1),  # fitted to the same 32 items, a Gaussian is 10 nats from the prior
        (180, 1.0, 0.0, 0.1),
        (4000, 1.0, 0.0, 0.1),
        (180, 2.0, 2.0, 4.9),  # the truth: 16·(2 − 1 − log 2) = 4.9
        (4000, 2.0, 4.6, 5.0),
    ],
)
def test_the_gap_to_the_prior_is_a_lower_bound_at_any_number_of_items(
    n: int, variance: float, least: float, most: float
) -> None:
    torch.manual_seed(n)
    mu = math.sqrt(variance - 0.1) * torch.randn(20 if n < 1000 else 2, n, 32).double()
    found = [aggregate(each, torch.full((n, 32), math.log(0.1)).double(), 2).prior_kl_least for each in mu]
    assert least <= sum(found) / len(found) <= most


def test_one_item_has_no_gap_that_is_known() -> None:
    assert aggregate(torch.ones(1, 4).double(), torch.zeros(1, 4).double(), 1).prior_kl_least == 0


def test_the_gap_to_the_prior_of_one_shifted_gaussian_is_its_kl() -> None:
    mu = torch.tensor([[2.0, 0.0]]).double().repeat(50, 1)
    found = aggregate(mu, torch.zeros(50, 2).double(), 50)
    assert found.prior_kl_least == pytest.approx(2.0)  # ½·2²
    assert found.prior_kl_most == pytest.approx(2.0)


class Vectors:
    """Items in memory."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitems__(self, rows: np.ndarray) -> Tensor:
        return self.x[torch.as_tensor(rows)]


def unchanged(batch: Tensor) -> Tensor:
    return batch


def test_a_model_is_examined_on_its_held_out_items_deterministically(rough: VAE) -> None:
    x = items(400)
    with torch.no_grad():
        mu, logvar = rough.encode(x)
    held_out = np.arange(100, 400)
    before = torch.random.get_rng_state()
    found = [examine(rough, Vectors(x), unchanged, mu.numpy(), logvar.numpy(), held_out, seed=5) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's random state is unchanged"
    assert (found[0].split, found[0].items) == ("val", 300)
    assert found[0].kl == pytest.approx(sum(found[0].kl_per_dimension), rel=1e-5)
    variance = mu[100:].var(0, correction=0)
    assert found[0].active_units == {"0.01": 2, "0.2": int((variance > 0.2).sum())}
    assert found[0].iwae == pytest.approx(float(evidence(x[100:]).mean()), abs=0.1)


def test_with_too_few_held_out_items_all_are_measured(rough: VAE) -> None:
    x = items(64)
    with torch.no_grad():
        mu, logvar = rough.encode(x)
    found = examine(rough, Vectors(x), unchanged, mu.numpy(), logvar.numpy(), np.arange(6))
    assert (found.split, found.items) == ("all", 64)
