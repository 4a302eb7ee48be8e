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

from latentviz.evaluation.results import Health
from latentviz.model.elbo import kl_per_dimension
from latentviz.model.encoding import Stored, batches
from latentviz.model.information import aggregate, kl_to_prior, standard_error
from latentviz.model.vae import VAE

FEWEST = 32  # held-out items; with fewer the metrics are too noisy and all items are used
BOUND_ITEMS = 10_000  # for the ELBO, one draw each
IWAE_ITEMS = 1_000
IWAE_SAMPLES = 50  # K of Burda et al. 2016, who report 50 too
COMPONENTS = 10_000  # posteriors in the aggregated one: mutual information is measured up to log 10,000 = 9.2 nats
DRAWS = 2_000  # from the aggregated posterior
BATCH = 256
ACTIVE = (0.01, 0.2)  # variances of mu: Burda et al.'s threshold, and one that noisy but useless units do not pass


class Bounds(NamedTuple):
    """Terms of the ELBO per item, each of shape (n,)."""

    log_likelihood: Tensor  # log p(x|z) at one draw z ~ q(z|x)
    of_another: Tensor  # log p(x|z') at a draw z' ~ q(z|x') of another item x'
    kl: Tensor  # KL[q(z|x) ‖ p(z)]


@torch.inference_mode()
def examine(
    vae: VAE,
    dataset: Stored,
    to_input: Callable[[Tensor], Tensor],
    mu: np.ndarray,
    logvar: np.ndarray,
    val: np.ndarray,
    *,
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
        seed: of the sample and of every draw.
    """
    split: Literal["val", "all"]
    split, rows = ("val", val) if len(val) >= FEWEST else ("all", np.arange(len(mu)))
    rows = np.random.default_rng(seed).permutation(rows)  # so that a sorted file's batches are mixed

    def first(most: int) -> Iterator[Tensor]:
        chosen = rows[:most]
        return (x for _, x in batches(vae, dataset, to_input, np.array_split(chosen, -(-len(chosen) // BATCH))))

    with torch.random.fork_rng(devices=[vae.device] if vae.device.type == "cuda" else []):
        torch.manual_seed(seed)
        bounds = measure(vae, first(BOUND_ITEMS))
        weights = torch.cat([log_weights(vae, x, IWAE_SAMPLES) for x in first(IWAE_ITEMS)], dim=1)
        means = torch.from_numpy(np.array(mu[rows[:COMPONENTS]], np.float64))
        logvars = torch.from_numpy(np.array(logvar[rows[:COMPONENTS]], np.float64))
        together = aggregate(means, logvars, DRAWS)
    iwae = importance_bound(weights)
    variance = np.asarray(mu[rows], np.float64).var(axis=0)
    log_likelihood, kl = float(bounds.log_likelihood.mean()), float(bounds.kl.mean())
    return Health(
        split=split,
        items=len(bounds.kl),
        log_likelihood=log_likelihood,
        log_likelihood_error=standard_error(bounds.log_likelihood),
        kl=kl,
        elbo=log_likelihood - kl,
        iwae=float(iwae.mean()),
        iwae_error=standard_error(iwae),
        iwae_elbo=float(weights.mean()),
        iwae_items=len(iwae),
        iwae_samples=len(weights),
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


def measure(vae: VAE, inputs: Iterator[Tensor]) -> Bounds:
    """Computes log-likelihood and KL per item; `of_another` uses the z of the previous item in the batch."""
    parts = []
    for x in inputs:
        posterior = vae.encoder(x)
        z = posterior.sample()  # (b, d)
        own, of_another = vae.likelihood(z).log_prob(x), vae.likelihood(z.roll(1, 0)).log_prob(x)  # (b,)
        parts.append(Bounds(own, of_another, kl_per_dimension(posterior, vae.prior).sum(-1)))
    return Bounds(*(torch.cat(columns).double() for columns in zip(*parts, strict=True)))


def log_weights(vae: VAE, x: Tensor, samples: int) -> Tensor:
    """Computes log p(x|z) + log p(z) − log q(z|x) of draws z ~ q(z|x), shape (samples, b)."""
    posterior: Distribution = vae.encoder(x)
    prior: Distribution = vae.prior
    draws = (posterior.sample() for _ in range(samples))
    weights = [vae.likelihood(z).log_prob(x).double() + prior.log_prob(z) - posterior.log_prob(z) for z in draws]
    return torch.stack(weights)


def importance_bound(weights: Tensor) -> Tensor:
    """Computes log (1/K) Σ_k w_k per item, (b,), of log w_k (K, b): the bound of log p(x), Burda et al. 2016, eq. 8.

    Never below the ELBO in expectation, tighter with each further draw, and exact in the limit.
    """
    return torch.logsumexp(weights, dim=0) - math.log(len(weights))
