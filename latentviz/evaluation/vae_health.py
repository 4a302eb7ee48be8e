"""Metrics of a trained VAE: bounds of log p(x), information in the latent, distance from the prior.

All in nats per item, without labels; all draws follow from one seed.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.evaluation.posterior import STEPS, fitted, gaussian
from latentviz.evaluation.reconstruction import (
    calibrating_scale,
    centre_of,
    normal,
    rescaled,
    squared_residuals,
    unexplained,
)
from latentviz.evaluation.results import TIGHT, Calibrated, Health
from latentviz.model.base import Likelihood
from latentviz.model.elbo import kl_per_dimension
from latentviz.model.encoding import Stored, batches
from latentviz.model.information import aggregate, kl_to_prior, standard_error
from latentviz.model.vae import VAE

FEWEST = 32  # held-out items; with fewer the metrics are too noisy and all items are used
BOUND_ITEMS = 10_000  # for the ELBO, one draw each
TRAIN_ITEMS = 2_000  # for σ and for how much better the model fits these than held-out ones
IWAE_ITEMS = 1_000
IWAE_SAMPLES = 50  # K of Burda et al. 2016, who report 50 too; doubled until the bound stands still
IWAE_MOST = 400  # draws; a doubling is measured on half of the items, for half of what the first draws cost
FIT_DECODED = 100_000  # items decoded to fit the posteriors at the calibrated σ: 190 in 32 dimensions
COMPONENTS = 10_000  # posteriors in the aggregated one: mutual information is measured up to log 10,000 = 9.2 nats
DRAWS = 2_000  # from the aggregated posterior
BATCH = 256
ACTIVE = (0.01, 0.2)  # variances of mu: Burda et al.'s threshold, and one that noisy but useless units do not pass

Inputs = Callable[[np.ndarray], Iterator[Tensor]]  # rows, int64 (m,) → batches of the encoder's input, in their order
Proposals = Callable[[int], Iterator[tuple[Tensor, Distribution]]]  # k → each k-th item, and what its z is drawn from


class Bounds(NamedTuple):
    """Terms of the ELBO per item, each of shape (n,)."""

    log_likelihood: Tensor  # log p(x|z) at one draw z ~ q(z|x)
    of_another: Tensor  # log p(x|z') at a draw z' ~ q(z|x') of another item x'
    kl: Tensor  # KL[q(z|x) ‖ p(z)]
    squares: Tensor  # Σ ((x − f(z))/σ)² at the draw, not a number if p(x|z) is not Normal


class Importance(NamedTuple):
    """An importance-weighted bound, nats."""

    bound: float
    error: float  # its standard error over the items
    elbo: float  # of the same items
    gain: float  # of the last doubling of the draws
    effective: float  # draws: (Σw)²/Σw² (Kong 1992), the mean over the items
    items: int
    samples: int  # draws of each


@torch.inference_mode()
def examine(
    vae: VAE,
    dataset: Stored,
    to_input: Callable[[Tensor], Tensor],
    mu: np.ndarray,
    logvar: np.ndarray,
    val: np.ndarray,
    *,
    train: np.ndarray,
    lengths: np.ndarray | None = None,
    seed: int = 0,
) -> Health:
    """Measures a trained model on its validation split.

    Args:
        vae: the model, in evaluation mode.
        dataset: the items.
        to_input: a batch of items → the encoder's input.
        mu: float32 (n, d).
        logvar: float32 (n, d).
        val: int64, the held-out rows; with fewer than 32 all rows are used.
        train: int64, the training rows.
        lengths: int (n,), of the items, if a batch costs as much as its longest; None: all are as long.
        seed: of the sample and of every draw.
    """
    split: Literal["val", "all"]
    split, rows = ("val", val) if len(val) >= FEWEST else ("all", np.arange(len(mu)))
    rows, train = (np.random.default_rng(seed).permutation(which) for which in (rows, train))  # a file may be sorted

    def inputs(which: np.ndarray) -> Iterator[Tensor]:
        return (x for _, x in batches(vae, dataset, to_input, np.array_split(which, -(-len(which) // BATCH))))

    held_out, train, drawn = rows[:BOUND_ITEMS], train[:TRAIN_ITEMS], rows[:IWAE_ITEMS]
    if lengths is not None:
        drawn = drawn[np.argsort(lengths[drawn], kind="stable")]
    with torch.random.fork_rng(devices=[vae.device] if vae.device.type == "cuda" else []):
        torch.manual_seed(seed)
        bounds, trained = measure(vae, inputs(held_out)), measure(vae, inputs(train))
        x = next(inputs(held_out[:BATCH]))
        numbers, likelihood = x[0].numel(), vae.likelihood(vae.encoder(x).mean)
        scale = calibrating_scale(trained.squares, numbers)
        own = importance(vae, encoded(vae, inputs, drawn), 1.0)
        best = None if scale is None else importance(vae, refitted(vae, inputs, drawn, scale), scale)
        means = torch.from_numpy(np.array(mu[rows[:COMPONENTS]], np.float64))
        logvars = torch.from_numpy(np.array(logvar[rows[:COMPONENTS]], np.float64))
        together = aggregate(means, logvars, DRAWS)
    variance = np.asarray(mu[rows], np.float64).var(axis=0)
    log_likelihood, kl = float(bounds.log_likelihood.mean()), float(bounds.kl.mean())
    calibrated = None
    if scale is not None and best is not None:
        fits = float(rescaled(bounds.log_likelihood, bounds.squares, numbers, scale).mean())
        calibrated = Calibrated(
            items=len(trained.kl),
            scale=scale,
            sigma=sigma_of(likelihood, scale),
            log_likelihood=fits,
            elbo=fits - kl,
            iwae=best.bound,
            iwae_error=best.error,
            iwae_items=best.items,
            iwae_samples=best.samples,
            iwae_gain=best.gain,
            effective_samples=best.effective,
        )
    centre = centre_of(inputs(train))
    return Health(
        split=split,
        items=len(bounds.kl),
        log_likelihood=log_likelihood,
        log_likelihood_error=standard_error(bounds.log_likelihood),
        kl=kl,
        elbo=log_likelihood - kl,
        iwae=own.bound,
        iwae_error=own.error,
        iwae_elbo=own.elbo,
        iwae_items=own.items,
        iwae_samples=own.samples,
        iwae_gain=own.gain,
        effective_samples=own.effective,
        beta=1 / (scale**2 if scale else likelihood.weight if isinstance(likelihood, Likelihood) else 1.0),
        calibrated=calibrated,
        unexplained=None if centre is None else unexplained(vae, inputs(held_out), centre).share,
        train_items=len(trained.kl),
        train_log_likelihood=float(trained.log_likelihood.mean()),
        train_unexplained=None if centre is None else unexplained(vae, inputs(train), centre).share,
        decoder_gain=float((bounds.log_likelihood - bounds.of_another).mean()),
        latent_dim=vae.latent_dim,
        content_dim=vae.content_dim,
        kl_per_dimension=kl_to_prior(means, logvars).mean(0).tolist(),
        variance_of_mu=variance.tolist(),
        active_units={str(threshold): int((variance > threshold).sum()) for threshold in ACTIVE},
        mutual_information=together.mutual_information,
        mutual_information_cap=together.cap,
        prior_kl_least=together.prior_kl_least,
        prior_kl_most=together.prior_kl_most,
    )


def sigma_of(likelihood: Distribution, scale: float) -> float | None:
    """Returns `scale` times the σ of a Normal likelihood; None if it has several."""
    base = normal(likelihood)
    if base is None or not torch.equal(base.scale, base.scale.flatten()[0].expand_as(base.scale)):
        return None
    return scale * float(base.scale.flatten()[0])


def measure(vae: VAE, inputs: Iterator[Tensor]) -> Bounds:
    """Computes log-likelihood and KL per item; `of_another` uses the z of the previous item in the batch."""
    parts = []
    for x in inputs:
        posterior = vae.encoder(x)
        z = posterior.sample()  # (b, d)
        likelihood, of_another = vae.likelihood(z), vae.likelihood(z.roll(1, 0)).log_prob(x)  # (b,)
        kl = kl_per_dimension(posterior, vae.prior).sum(-1)
        parts.append(Bounds(likelihood.log_prob(x), of_another, kl, squared_residuals(likelihood, x)))
    return Bounds(*(torch.cat(columns).double() for columns in zip(*parts, strict=True)))


def encoded(vae: VAE, inputs: Inputs, rows: np.ndarray) -> Proposals:
    """Returns proposals for these items that are the encoder's posteriors."""
    return lambda step: ((x, vae.encoder(x)) for x in inputs(rows[::step]))


def refitted(vae: VAE, inputs: Inputs, rows: np.ndarray, scale: float) -> Proposals:
    """Returns proposals fitted to `scale` times the model's σ, for as many of these items as there is time for."""
    rows = rows[: max(FEWEST, FIT_DECODED // (STEPS * (vae.latent_dim + 1)))]
    fits = [fitted(vae, x, scale) for x in inputs(rows)]
    means, precisions = (torch.cat(part) for part in zip(*fits, strict=True))

    def each(step: int) -> Iterator[tuple[Tensor, Distribution]]:
        start = 0
        for x in inputs(rows[::step]):
            some = slice(start, start + len(x))
            start += len(x)
            yield x, gaussian(means[::step][some], precisions[::step][some])

    return each


def importance(vae: VAE, proposals: Proposals, scale: float) -> Importance:
    """Measures the bound at `scale` times the model's σ, with draws doubled until it stands still.

    The bound is the mean over all items with the first draws, plus the mean gain of each doubling over half the items
    before: the estimate of the most draws' bound with nearly the error of all items (as in Giles 2008).

    Args:
        vae: the model.
        proposals: of the items.
        scale: 1 if p(x|z) is not Normal.
    """

    def draw(step: int, samples: int) -> Tensor:
        return torch.cat([weights_of(vae, x, q, samples, scale) for x, q in proposals(step)], dim=1)

    k, step = IWAE_SAMPLES, 1
    weights = draw(step, k)  # (k, m)
    items, elbo, bounds = weights.shape[1], float(weights.mean()), importance_bound(weights)
    levels, gain = [bounds], float((bounds - importance_bound(weights[: k // 2])).mean())
    while k < IWAE_MOST and gain > TIGHT:
        half = 2 if len(bounds) >= 4 else 1
        step *= half
        before, weights = bounds[::half], torch.cat([weights[:, ::half], draw(step, k)])
        bounds = importance_bound(weights)
        k, gain = 2 * k, float((bounds - before).mean())
        levels.append(bounds - before)
    return Importance(
        bound=sum(float(level.mean()) for level in levels),
        error=math.hypot(*(standard_error(level) for level in levels)),
        elbo=elbo,
        gain=gain,
        effective=float((2 * weights.logsumexp(0) - (2 * weights).logsumexp(0)).exp().mean()),
        items=items,
        samples=k,
    )


def weights_of(vae: VAE, x: Tensor, proposal: Distribution, samples: int, scale: float) -> Tensor:
    """Computes log p(x|z) + log p(z) − log q(z) of draws z ~ q at `scale` times the model's σ: (samples, b)."""
    prior: Distribution = vae.prior
    weights = []
    for _ in range(samples):
        z = proposal.sample()
        likelihood = vae.likelihood(z)
        log_prob = likelihood.log_prob(x).double()
        if scale != 1:
            log_prob = rescaled(log_prob, squared_residuals(likelihood, x), x[0].numel(), scale)
        weights.append(log_prob + prior.log_prob(z) - proposal.log_prob(z))
    return torch.stack(weights)


def log_weights(vae: VAE, x: Tensor, samples: int) -> Tensor:
    """Computes log p(x|z) + log p(z) − log q(z|x) of draws z ~ q(z|x), shape (samples, b)."""
    return weights_of(vae, x, vae.encoder(x), samples, 1.0)


def importance_bound(weights: Tensor) -> Tensor:
    """Computes log (1/K) Σ_k w_k per item, (b,), of log w_k (K, b): the bound of log p(x), Burda et al. 2016, eq. 8.

    Never below the ELBO in expectation, tighter with each further draw, and exact in the limit.
    """
    return torch.logsumexp(weights, dim=0) - math.log(len(weights))
