"""Metrics of a VAE, on models with known values."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal

from latentviz.evaluation.posterior import fitted
from latentviz.evaluation.reconstruction import calibrating_scale, rescaled, squared_residuals
from latentviz.evaluation.results import Health
from latentviz.evaluation.vae_health import IWAE_MOST, IWAE_SAMPLES, examine, importance_bound, log_weights, measure
from latentviz.model.elbo import diagonal_normal
from latentviz.model.information import aggregate
from latentviz.model.vae import VAE

PIXELS, LATENT, NOISE = 3, 2, 0.8
LOADINGS = torch.tensor([[1.0, 0.0], [0.5, 1.2], [-0.7, 0.4]])  # (pixels, latent)


class LinearDecoder(nn.Module):
    """p(x|z) = N(Wz, s²): then x ~ N(0, WWᵀ + s²I), so log p(x) is known; `sharper` divides s."""

    def __init__(self, loadings: Tensor = LOADINGS, sharper: float = 1.0) -> None:
        super().__init__()
        self.loadings, self.sharper = loadings, sharper

    def forward(self, z: Tensor) -> Independent:
        mean = z @ self.loadings.T
        return Independent(Normal(mean, torch.tensor(NOISE / self.sharper).expand_as(mean)), 1)


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


def evidence(x: Tensor, loadings: Tensor = LOADINGS) -> Tensor:
    covariance = loadings @ loadings.T + NOISE**2 * torch.eye(PIXELS)
    return MultivariateNormal(torch.zeros(PIXELS), covariance).log_prob(x)


def items(n: int, loadings: Tensor = LOADINGS) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(n, LATENT) @ loadings.T + NOISE * torch.randn(n, PIXELS)


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
    train = np.arange(100)
    found = [
        examine(rough, Vectors(x), unchanged, mu.numpy(), logvar.numpy(), held_out, train=train, seed=5)
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's random state is unchanged"
    assert (found[0].split, found[0].items) == ("val", 300)
    assert found[0].kl == pytest.approx(sum(found[0].kl_per_dimension), rel=1e-5)
    variance = mu[100:].var(0, correction=0)
    assert found[0].active_units == {"0.01": 2, "0.2": int((variance > 0.2).sum())}
    assert found[0].iwae == pytest.approx(float(evidence(x[100:]).mean()), abs=0.1)


def test_the_bound_is_drawn_from_items_of_similar_lengths_together(rough: VAE) -> None:
    """And is the same on average, at every number of draws."""
    x, batches = items(700), []

    class Seen(Posterior):
        def forward(self, x: Tensor) -> Independent:
            batches.append(x[:, 0].tolist())
            return super().forward(x)

    with torch.no_grad():
        mu, logvar = rough.encode(x)
    lengths = x[:, 0].argsort().argsort().numpy()
    vae = VAE(Seen(off=0.3, scale=0.9), rough.decoder, LATENT)
    found = examine(
        vae, Vectors(x), unchanged, mu.numpy(), logvar.numpy(), np.arange(700), train=np.arange(700), lengths=lengths
    )
    assert sum(batch == sorted(batch) for batch in batches) >= 3, "the items of the bound, in three batches"
    assert (found.iwae_items, found.iwae_samples) == (700, IWAE_SAMPLES)
    assert found.iwae == pytest.approx(float(evidence(x).mean()), abs=0.1)


def test_with_too_few_held_out_items_all_are_measured(rough: VAE) -> None:
    x = items(64)
    with torch.no_grad():
        mu, logvar = rough.encode(x)
    found = examine(rough, Vectors(x), unchanged, mu.numpy(), logvar.numpy(), np.arange(6), train=np.arange(6, 64))
    assert (found.split, found.items) == ("all", 64)


def examined(vae: VAE, x: Tensor) -> Health:
    """Examines a model on the second half of the items; the first half was trained on."""
    with torch.no_grad():
        mu, logvar = vae.encode(x)
    half = len(x) // 2
    return examine(
        vae, Vectors(x), unchanged, mu.numpy(), logvar.numpy(), np.arange(half, len(x)), train=np.arange(half)
    )


class Exact(nn.Module):
    """The true posterior of loadings whose columns are orthogonal, N(x·W/(wᵀw + s²), s²/(wᵀw + s²)) per dimension."""

    def __init__(self, loadings: Tensor) -> None:
        super().__init__()
        self.loadings, self.total = loadings, loadings.square().sum(0) + NOISE**2
        self.parameter = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Independent:
        mu = x @ self.loadings / self.total
        return diagonal_normal(mu, (NOISE**2 / self.total).log().expand_as(mu))


@pytest.mark.parametrize("sharper", [1.0, 4.0, 40.0])
def test_the_bound_at_the_calibrated_sigma_does_not_depend_on_c(sharper: float) -> None:
    """With the true posterior the residuals of draws have the true σ, and the bound there is log p(x)."""
    loadings = torch.tensor([[1.0, 0.0], [0.0, 1.2], [0.6, 0.0]])
    x = items(4000, loadings)
    found = examined(VAE(Exact(loadings), LinearDecoder(loadings, sharper), LATENT), x)
    assert found.calibrated is not None
    assert found.calibrated.sigma == pytest.approx(NOISE, rel=0.03)
    assert found.calibrated.scale == pytest.approx(sharper, rel=0.03)
    assert found.beta == pytest.approx(sharper**-2, rel=0.06)
    true = float(evidence(x[2000:], loadings).mean())
    assert found.calibrated.elbo == pytest.approx(true, abs=0.08)
    assert found.calibrated.iwae == pytest.approx(true, abs=3 * found.calibrated.iwae_error)
    assert found.calibrated.effective_samples > 0.9 * found.calibrated.iwae_samples
    assert found.calibrated.iwae_samples == IWAE_SAMPLES
    assert (found.iwae < true - 5) == (sharper > 1), "at the model's own σ it does"
    assert (found.iwae_samples == IWAE_SAMPLES) == (sharper == 1), "of an exact bound no more draws are needed"


@pytest.mark.parametrize("sharper", [1.0, 4.0, 40.0])
def test_the_posterior_at_the_calibrated_sigma_is_exact_for_a_linear_decoder(sharper: float) -> None:
    """Whatever the encoder says, and also where the loadings are not orthogonal."""
    x = items(50)
    with torch.no_grad():
        mean, precision = fitted(
            VAE(Posterior(off=0.3, scale=0.9), LinearDecoder(LOADINGS, sharper), LATENT), x, sharper
        )
    true = torch.eye(LATENT) + LOADINGS.T @ LOADINGS / NOISE**2
    torch.testing.assert_close(precision.float(), true.expand(50, LATENT, LATENT), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(mean.float(), x @ LOADINGS @ torch.linalg.inv(true) / NOISE**2, rtol=1e-3, atol=1e-3)


def test_items_that_are_reconstructed_exactly_have_bounds_nevertheless() -> None:
    class Copy(Posterior):
        def forward(self, x: Tensor) -> Independent:
            return diagonal_normal(x, torch.full_like(x, -80.0))

    class Same(nn.Module):
        def forward(self, z: Tensor) -> Independent:
            return Independent(Normal(z, torch.tensor(0.01).expand_as(z)), 1)

    torch.manual_seed(0)
    found = examined(VAE(Copy(0, 1), Same(), LATENT), torch.randn(400, LATENT))
    assert found.calibrated is not None
    assert found.calibrated.scale < 1e-4
    assert math.isfinite(found.calibrated.iwae)


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_a_rescaled_likelihood_is_the_normal_with_that_sigma(scale: float) -> None:
    torch.manual_seed(0)
    mean, sigma, x = torch.randn(6, 4), torch.rand(4) + 0.5, torch.randn(6, 4)
    one, other = (Independent(Normal(mean, s * sigma), 1) for s in (1.0, scale))
    squares = squared_residuals(one, x)
    torch.testing.assert_close(rescaled(one.log_prob(x).double(), squares, 4, scale).float(), other.log_prob(x))
    best = calibrating_scale(squares, 4)
    assert best is not None
    scores = {
        s: float(rescaled(one.log_prob(x).double(), squares, 4, s).mean()) for s in (best, 0.9 * best, 1.1 * best)
    }
    assert max(scores, key=scores.__getitem__) == best, "the calibrated σ has the highest likelihood"


def test_likelihoods_that_are_not_normal_are_not_calibrated() -> None:
    x = (items(400) > 0).float()

    class Pixels(nn.Module):
        def forward(self, z: Tensor) -> Independent:
            return Independent(Bernoulli(logits=z @ LOADINGS.T), 1)

    found = examined(VAE(Posterior(0, 1), Pixels(), LATENT), x)
    assert (found.calibrated, found.beta) == (None, 1.0)
    assert found.unexplained is not None
    assert 0 < found.unexplained < 1


def test_draws_are_doubled_until_the_bound_stands_still_and_all_items_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A posterior that is far off needs more draws than there are; the bound is measured on all items nevertheless."""
    x = items(3000)
    found = examined(VAE(Posterior(off=2.0, scale=0.5), LinearDecoder(), LATENT), x)
    true = float(evidence(x[1500:]).mean())
    assert (found.iwae_samples, found.iwae_items) == (IWAE_MOST, 1000)
    assert found.iwae_gain > 0.1
    assert 1 < found.effective_samples < 20
    assert found.iwae_elbo < found.iwae < true
    monkeypatch.setattr("latentviz.evaluation.vae_health.IWAE_MOST", IWAE_SAMPLES)
    few = examined(VAE(Posterior(off=2.0, scale=0.5), LinearDecoder(), LATENT), x)
    assert few.iwae_samples == IWAE_SAMPLES
    assert few.iwae < found.iwae - 0.2
    rough = examined(VAE(Posterior(off=0.1, scale=0.5), LinearDecoder(), LATENT), x)
    assert rough.iwae_gain <= 0.1
    assert rough.iwae == pytest.approx(true, abs=0.15)


@pytest.mark.parametrize(("drawn", "low", "high"), [("mean", 0.99, 1.01), ("item", 0.0, 1e-9), ("half", 0.24, 0.26)])
def test_unexplained_variance_is_that_of_the_reconstruction_from_mu(drawn: str, low: float, high: float) -> None:
    """Half of the way from the mean to each item, a quarter of the variance is left."""
    torch.manual_seed(0)
    x, weight = torch.randn(2000, LATENT), {"mean": 0.0, "item": 1.0, "half": 0.5}[drawn]

    class Copy(Posterior):
        def forward(self, x: Tensor) -> Independent:
            return diagonal_normal(x, torch.full_like(x, -8.0))

    class Draws(nn.Module):
        def forward(self, z: Tensor) -> Independent:
            return Independent(Normal(weight * z, torch.tensor([0.1, 7.0]).expand_as(z)), 1)

    found = examined(VAE(Copy(0, 1), Draws(), LATENT), x)
    assert found.unexplained is not None
    assert low <= found.unexplained <= high
    assert found.train_unexplained == pytest.approx(found.unexplained, abs=0.01)
    assert found.calibrated is not None
    assert found.calibrated.sigma is None, "two numbers have two σ"
