"""The model: its loss against the formula written out, its gradient against two other estimates, μ against a draw."""

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal

from latentviz.model.contrast import info_nce
from latentviz.model.elbo import diagonal_normal
from latentviz.model.training import LightningVAE
from latentviz.model.vae import Batch

B, D, PIXELS, C = 6, 3, 8, 5.0
DRAWS = 100_000


class LinearEncoder(nn.Module):
    """x (b, 8) → q(z|x)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(PIXELS, 2 * D)

    def forward(self, x: Tensor) -> Independent:
        return diagonal_normal(*self.net(x).chunk(2, -1))


class LinearDecoder(nn.Module):
    """z (b, 3) → p(x|z)."""

    def __init__(self, likelihood: str = "normal") -> None:
        super().__init__()
        self.net, self.likelihood = nn.Linear(D, PIXELS), likelihood

    def forward(self, z: Tensor) -> Independent:
        logits = self.net(z)
        if self.likelihood == "bernoulli":
            return Independent(Bernoulli(logits=logits, validate_args=False), 1, validate_args=False)
        return Independent(Normal(logits.sigmoid(), math.sqrt(0.5 / C)), 1)


def model(likelihood: str = "normal", *, step: int = 0, steps: int = 100, **settings: float) -> LightningVAE:
    """Return a small model at step `step` of a training of `steps`."""
    torch.manual_seed(0)
    vae = LightningVAE(LinearEncoder(), LinearDecoder(likelihood), D, **settings)
    vae._trainer = SimpleNamespace(estimated_stepping_batches=steps, global_step=step)
    return vae


@pytest.fixture
def x() -> Tensor:
    return torch.rand(B, PIXELS, generator=torch.Generator().manual_seed(3))


def by_hand(vae: LightningVAE, x: Tensor, seed: int, likelihood: str) -> tuple[Tensor, Tensor]:
    """Return distortion and KL of each item, computed from the weights, at the draw of `seed`."""
    mu, logvar = (x @ vae.encoder.net.weight.T + vae.encoder.net.bias).chunk(2, -1)
    torch.manual_seed(seed)
    z = mu + (logvar / 2).exp() * torch.randn(B, D)
    mean = torch.sigmoid(z @ vae.decoder.net.weight.T + vae.decoder.net.bias)
    if likelihood == "normal":
        cost = C * ((x - mean) ** 2).sum(-1)
    else:
        cost = -(x * mean.log() + (1 - x) * (1 - mean).log()).sum(-1)
    return cost, 0.5 * (logvar.exp() + mu**2 - 1 - logvar).sum(-1)


@pytest.mark.parametrize("likelihood", ["normal", "bernoulli"])
def test_the_loss_is_the_formula(x: Tensor, likelihood: str) -> None:
    vae = model(likelihood)
    cost, kl = by_hand(vae, x, 7, likelihood)
    torch.manual_seed(7)
    torch.testing.assert_close(vae.training_step(Batch(x, x), 0), (cost + kl).mean())


def test_the_reported_log_likelihood_is_the_normal_s_log_density(x: Tensor) -> None:
    vae = model()
    cost, kl = by_hand(vae, x, 7, "normal")
    torch.manual_seed(7)
    bound = vae.elbo(x)
    torch.testing.assert_close(bound.log_likelihood, -cost - PIXELS / 2 * math.log(math.pi / C))
    torch.testing.assert_close(bound.kl, kl)


def test_the_decoder_reconstructs_the_target(x: Tensor) -> None:
    vae, target = model(), 1 - x
    torch.manual_seed(7)
    loss = vae.training_step(Batch(x, target), 0)
    cost, kl = by_hand(vae, x, 7, "normal")
    torch.manual_seed(7)
    mean = vae.decoder(vae.encoder(x).rsample()).mean
    torch.testing.assert_close(loss, (C * (target - mean).square().sum(-1) + kl).mean())
    assert not torch.isclose(loss, (cost + kl).mean())


@pytest.mark.parametrize(("step", "beta"), [(0, 0.05), (9, 0.5), (19, 1.0), (99, 1.0)])
def test_the_kl_s_weight_rises_over_the_warm_up(x: Tensor, step: int, beta: float) -> None:
    vae = model(step=step, steps=100, kl_warmup=0.2)
    assert vae.beta == pytest.approx(beta)
    cost, kl = by_hand(vae, x, 7, "normal")
    torch.manual_seed(7)
    torch.testing.assert_close(vae.training_step(Batch(x, x), 0), (cost + beta * kl).mean())


def test_without_warm_up_the_kl_counts_in_full_from_the_first_step() -> None:
    assert model(step=0, kl_warmup=0.0).beta == 1.0


def test_validation_uses_neither_warm_up_nor_free_bits(x: Tensor) -> None:
    vae = model(step=0, kl_warmup=1.0, free_bits=100.0)
    cost, kl = by_hand(vae, x, 7, "normal")
    torch.manual_seed(7)
    vae.validation_step(Batch(x, x), 0)
    means = vae.epoch_means("val")
    torch.testing.assert_close(means["val_loss"], (cost + kl).mean())
    torch.testing.assert_close(means["val_kl"], kl.mean())


def test_epoch_means_weight_items_not_batches(x: Tensor) -> None:
    vae = model()
    for part in (x[:5], x[5:]):
        vae.validation_step(Batch(part, part), 0)
    halves = vae.epoch_means("val")["val_kl"]
    vae.validation_step(Batch(x, x), 0)
    torch.testing.assert_close(halves, vae.epoch_means("val")["val_kl"])
    assert vae.epoch_means("val") == {}, "an epoch's means are reset"


def test_training_and_validation_loss_mean_the_same_with_contrast_apart(x: Tensor) -> None:
    vae = model(step=0, kl_warmup=1.0, free_bits=100.0, contrast=3.0)
    torch.manual_seed(7)
    vae.training_step(Batch(x, x, views=torch.cat([x, 1 - x])), 0)
    train = vae.epoch_means("train")
    torch.manual_seed(7)
    vae.validation_step(Batch(x, x), 0)
    validation = vae.epoch_means("val")
    assert float(train.pop("train_contrast_cost")) > 0
    assert {name.removeprefix("train_") for name in train} == {name.removeprefix("val_") for name in validation}
    for name, value in train.items():
        torch.testing.assert_close(value, validation[name.replace("train", "val")])


def test_without_contrast_a_second_view_leaves_the_formula_s_distortion(x: Tensor) -> None:
    vae = model(contrast=0.0)
    torch.manual_seed(7)
    loss = vae.training_step(Batch(torch.cat([x, 1 - x]), x), 0)
    both = torch.cat([x, 1 - x])
    torch.manual_seed(7)
    q = vae.encoder(both)
    mean = vae.decoder(q.rsample()[:B]).mean
    mu, variance = q.base_dist.loc, q.base_dist.scale.square()
    kl = 0.5 * (variance + mu.square() - 1 - variance.log()).sum(-1)
    torch.testing.assert_close(loss, C * (x - mean).square().sum(-1).mean() + kl.mean())


def test_contrast_acts_on_the_content_part_of_mu_alone(x: Tensor) -> None:
    losses = []
    for settings in ({}, {"contrast": 3.0, "content_dim": 2}):
        vae = model(**settings)
        torch.manual_seed(7)
        losses.append(vae.training_step(Batch(torch.cat([x, 1 - x]), x), 0))
    mu = vae.encoder(torch.cat([x, 1 - x])).mean
    expected = 3.0 * info_nce(mu[:B, :2], mu[B:, :2], vae.temperature)
    torch.testing.assert_close(losses[1] - losses[0], expected)


def gradient(vae: LightningVAE, loss: Callable[[], Tensor]) -> Tensor:
    vae.zero_grad()
    loss().backward()
    return vae.encoder.net.bias.grad.clone()


def test_the_reparametrised_gradient_is_that_of_finite_differences(x: Tensor) -> None:
    """With ε fixed the loss is a smooth function of the weights, and backward() must give its slope."""
    vae = model().double()
    x = x.double()

    def loss() -> Tensor:
        torch.manual_seed(7)
        return vae.training_step(Batch(x, x), 0)

    found, bias, h = gradient(vae, loss), vae.encoder.net.bias, 1e-6
    slopes = []
    for i in range(2 * D):
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                bias[i] += sign * h
                sides.append(loss().item())
                bias[i] -= sign * h
        slopes.append((sides[0] - sides[1]) / (2 * h))
    torch.testing.assert_close(found, torch.tensor(slopes, dtype=torch.float64), rtol=1e-5, atol=1e-7)


def test_the_reparametrised_gradient_agrees_with_the_score_function_s_and_varies_less(x: Tensor) -> None:
    """Two unbiased estimates of ∇ E_q[log p(x|z)] (Kingma & Welling 2013, section 2.2 and 2.4) for one item's μ."""
    vae = model()
    mu, logvar = (p[0].detach() for p in vae.encoder.net(x).chunk(2, -1))
    torch.manual_seed(1)
    shifted = mu.expand(DRAWS, D).clone().requires_grad_()
    q = diagonal_normal(shifted, logvar.expand(DRAWS, D))
    vae.decoder(q.rsample()).log_prob(x[0]).sum().backward()
    through_the_draw = shifted.grad  # (draws, d)

    z = q.sample()
    log_likelihood = vae.decoder(z).log_prob(x[0]).detach()
    score = (z - mu) / logvar.exp()  # ∇_μ log q(z|x)
    by_score = (log_likelihood - log_likelihood.mean())[:, None] * score
    difference = through_the_draw.mean(0) - by_score.mean(0)
    standard_error = ((through_the_draw.var(0) + by_score.var(0)) / DRAWS).sqrt()
    assert torch.all(difference.abs() < 4 * standard_error)
    assert torch.all(through_the_draw.var(0) < by_score.var(0))


def test_encode_returns_the_mean_and_never_a_draw(x: Tensor) -> None:
    vae = model().eval()
    (mu, logvar), (again, _) = vae.encode(x), vae.encode(x)
    assert torch.equal(mu, again)
    expected_mu, expected_logvar = vae.encoder.net(x).chunk(2, -1)
    torch.testing.assert_close(mu, expected_mu)
    torch.testing.assert_close(logvar, expected_logvar)
    assert not mu.requires_grad


def test_decode_returns_the_mean(x: Tensor) -> None:
    vae = model()
    z = torch.randn(B, D)
    assert torch.equal(vae.decode(z), vae.decode(z))
    torch.testing.assert_close(vae.decode(z), vae.decoder.net(z).sigmoid())


def test_the_prior_is_the_standard_normal() -> None:
    prior = model().prior
    assert prior.event_shape == (D,)
    assert torch.equal(prior.mean, torch.zeros(D))
    assert torch.equal(prior.variance, torch.ones(D))


@pytest.mark.parametrize("steps", [1, 2, 3, 49, 50, 1000])
def test_the_learning_rate_rises_and_falls_within_any_number_of_steps(steps: int) -> None:
    vae = model(steps=steps, lr=0.1)
    made = vae.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert all(0 < rate <= 0.1 + 1e-9 for rate in rates)
    assert max(rates) == pytest.approx(0.1, rel=0.1)
    if steps >= 49:
        assert rates[-1] < 0.01


def test_a_training_that_is_resumed_with_fewer_epochs_goes_on_along_the_cosine_of_its_new_length() -> None:
    first = model(steps=1000, lr=0.1).configure_optimizers()
    for _ in range(300):
        first["optimizer"].step()
        first["lr_scheduler"]["scheduler"].step()
    kept = {"optimizer": first["optimizer"].state_dict(), "schedule": first["lr_scheduler"]["scheduler"].state_dict()}
    shorter = model(steps=400, lr=0.1).configure_optimizers()
    optimizer, schedule = shorter["optimizer"], shorter["lr_scheduler"]["scheduler"]
    optimizer.load_state_dict(kept["optimizer"])
    schedule.load_state_dict(kept["schedule"])
    for _ in range(100):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-6)
