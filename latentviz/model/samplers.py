"""Distributions to sample new z from: the prior, or a density fitted to the latents of the items."""

from collections.abc import Callable, Mapping

import numpy as np

from latentviz.errors import choose

COMPONENTS = 10  # of the mixture, with full covariances, as in Ghosh et al. 2020, section 4.3
FITTED_ON = 20_000  # items at most: with more, the fit is slower and no better


def prior_sampler(mu: np.ndarray, logvar: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample z ~ N(0, I), float32 (n, d)."""
    del logvar
    return rng.standard_normal((n, mu.shape[1]), np.float32)


def gmm_sampler(mu: np.ndarray, logvar: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample z from a Gaussian mixture fitted to μ, float32 (n, d): ex-post density estimation (Ghosh et al. 2020)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    del logvar
    rows = rng.permutation(len(mu))[:FITTED_ON]
    fitted_on = np.asarray(mu[np.sort(rows)], np.float64)
    components = max(1, min(COMPONENTS, len(rows) // (2 * mu.shape[1])))
    # BLAS threads wait for each other at this size: 5,000 items take 0.5 CPU-seconds on one, 22 on two; same result.
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = GaussianMixture(components, reg_covar=1e-4, random_state=int(rng.integers(2**31))).fit(fitted_on)
    counts = rng.multinomial(n, mixture.weights_)
    z = np.concatenate(
        [
            rng.multivariate_normal(mean, covariance, count, method="cholesky")
            for mean, covariance, count in zip(mixture.means_, mixture.covariances_, counts, strict=True)
        ]
    )
    return rng.permutation(z).astype(np.float32)


def kde_sampler(mu: np.ndarray, logvar: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample z from the aggregated posterior Σᵢ q(z|xᵢ)/n, float32 (n, d): the decoder's training distribution.

    It is a kernel density over μ with each item's posterior as its kernel (Makhzani et al. 2016).
    """
    return aggregated(mu, logvar, rng.integers(len(mu), size=n), rng)


def aggregated(
    mu: np.ndarray, logvar: np.ndarray, rows: np.ndarray, rng: np.random.Generator, spread: float = 1.0
) -> np.ndarray:
    """Sample z ~ N(μᵢ, (spread·σᵢ)²) for each of these rows, float32 (len(rows), d)."""
    noise = rng.standard_normal((len(rows), mu.shape[1]), np.float32)
    z: np.ndarray = mu[rows] + spread * np.exp(0.5 * logvar[rows]) * noise
    return z.astype(np.float32)


SAMPLERS: Mapping[str, Callable[[np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "prior": prior_sampler,
    "gmm": gmm_sampler,
    "kde": kde_sampler,
}


def sample(sampler: str, mu: np.ndarray, logvar: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample n z, float32 (n, d), with the sampler of that name."""
    return choose(SAMPLERS, sampler, "--sampler")(mu, logvar, n, rng)
