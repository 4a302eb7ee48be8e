"""How healthy a trained VAE is: its bounds on the evidence, what its latent holds, and how far it is from the prior.

Everything is in nats an item and measured without a label. All draws follow from one seed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.model.elbo import kl_per_dimension
from latentviz.model.information import aggregate, kl_to_prior, standard_error
from latentviz.model.vae import VAE

FEWEST = 32  # held-out items that figures can rest on; a smaller validation split is filled up with the others
BOUND_ITEMS = 10_000  # for the ELBO, one draw each
IWAE_ITEMS = 1_000
IWAE_SAMPLES = 50  # K of Burda et al. 2016, who report 50 too
COMPONENTS = 10_000  # posteriors in the aggregated one: mutual information is told up to log 10,000 = 9.2 nats
DRAWS = 2_000  # from the aggregated posterior
BATCH = 256
ACTIVE = (0.01, 0.2)  # variances of μ: Burda et al.'s threshold, and one that a noisy but useless unit does not pass


@dataclass(frozen=True)
class Health:
    """The figures of a trained VAE, nats an item unless said otherwise.

    Attributes:
        split: "val", or "all" where too few items are held out.
        items: measured for log-likelihood, KL and ELBO, at one draw each.
        log_likelihood: E[log p(x|z)], higher is better.
        log_likelihood_error: its standard error.
        kl: KL[q(z|x) ‖ p(z)].
        elbo: log-likelihood − KL, a lower bound of log p(x).
        iwae: the tighter bound of Burda et al. 2016, over `iwae_items` items with `iwae_samples` draws each.
        iwae_error: its standard error over the items.
        iwae_elbo: the ELBO of the same items and draws.
        decoder_gain: log p(x|z) lost when z is that of another item: 0 for a decoder that ignores z.
        kl_per_dimension: of each latent dimension, in the latent's order.
        variance_of_mu: of each latent dimension, over the items.
        active_units: how many dimensions have a variance of μ above .01 and above .2.
        mutual_information: I(x; z) between the item's number and z; no more than `mutual_information_cap`.
        mutual_information_cap: log of the number of items it was measured over.
        prior_kl_least: KL from the Gaussian with the aggregated posterior's mean and covariance to the prior; the
            aggregated posterior itself is at least this far.
        prior_kl_most: KL − mutual information (Hoffman & Johnson 2016); near its cap the information is
            underestimated, and this overestimated.
    """

    split: str
    items: int
    log_likelihood: float
    log_likelihood_error: float
    kl: float
    elbo: float
    iwae: float
    iwae_error: float
    iwae_elbo: float
    iwae_items: int
    iwae_samples: int
    decoder_gain: float
    latent_dim: int
    content_dim: int
    kl_per_dimension: Sequence[float]
    variance_of_mu: Sequence[float]
    active_units: dict[str, int]
    mutual_information: float
    mutual_information_cap: float
    prior_kl_least: float
    prior_kl_most: float


class Bounds(NamedTuple):
    """What one pass over items shows, each of shape (n,).

    Attributes:
        log_likelihood: log p(x|z) at one draw z ~ q(z|x).
        of_another: log p(x|z') at a draw z' ~ q(z|x') of another item x'.
        kl: KL[q(z|x) ‖ p(z)].
    """

    log_likelihood: Tensor
    of_another: Tensor
    kl: Tensor


@torch.inference_mode()
def examine(vae: VAE, data: Any, mu: np.ndarray, logvar: np.ndarray, val: np.ndarray, *, seed: int = 0) -> Health:
    """Returns the figures of a trained model on its validation split.

    Args:
        vae: the model, in evaluation mode.
        data: the kind object: `dataset()`, whose `__getitems__` takes row numbers, and `to_input`.
        mu: float32 (n, d), row i for item i.
        logvar: float32 (n, d).
        val: int64, the held-out rows; with fewer than 32 all rows are measured.
        seed: of the sample and of every draw.
    """
    split, rows = ("val", val) if len(val) >= FEWEST else ("all", np.arange(len(mu)))
    rows = np.random.default_rng(seed).permutation(rows)  # neighbours in a sorted file must not stand side by side
    dataset = data.dataset()

    def batches(most: int) -> Iterator[Tensor]:
        chosen = rows[:most]
        for part in np.array_split(chosen, -(-len(chosen) // BATCH)):
            yield data.to_input(dataset.__getitems__(part).to(vae.device))

    with torch.random.fork_rng(devices=[vae.device] if vae.device.type == "cuda" else []):
        torch.manual_seed(seed)
        bounds = measure(vae, batches(BOUND_ITEMS))
        weights = torch.cat([log_weights(vae, x, IWAE_SAMPLES) for x in batches(IWAE_ITEMS)], dim=1)
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


def measure(vae: VAE, batches: Iterator[Tensor]) -> Bounds:
    """Returns log-likelihood and KL of each item; the items of a batch lend each other the z of `of_another`."""
    parts = []
    for x in batches:
        posterior = vae.encoder(x)
        z = posterior.sample()
        parts.append(
            Bounds(
                vae.decoder(z).log_prob(x),
                vae.decoder(z.roll(1, 0)).log_prob(x),
                kl_per_dimension(posterior, vae.prior).sum(-1),
            )
        )
    return Bounds(*(torch.cat(columns).double() for columns in zip(*parts, strict=True)))


def log_weights(vae: VAE, x: Tensor, samples: int) -> Tensor:
    """Returns log p(x|z) + log p(z) − log q(z|x) of draws z ~ q(z|x), shape (samples, b)."""
    posterior: Distribution = vae.encoder(x)
    prior: Distribution = vae.prior

    def weight() -> Tensor:
        z = posterior.sample()
        ratio: Tensor = vae.decoder(z).log_prob(x).double() + prior.log_prob(z) - posterior.log_prob(z)
        return ratio

    return torch.stack([weight() for _ in range(samples)])


def importance_bound(weights: Tensor) -> Tensor:
    """Returns log (1/K) Σ_k w_k of each item, (b,): the bound of log p(x) of Burda et al. 2016, equation 8.

    Never below the ELBO in expectation, tighter with each further draw, and exact in the limit.

    Args:
        weights: log w_k, shape (K, b).
    """
    return torch.logsumexp(weights, dim=0) - math.log(len(weights))
