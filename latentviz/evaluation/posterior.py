"""The posterior of items under a Normal likelihood with another σ than the encoder was trained with."""

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from latentviz.evaluation.reconstruction import normal
from latentviz.model.vae import VAE, moments

STEPS = 16
NEAR = 0.01  # the step of a difference quotient, in standard deviations of the prior
AT_ONCE = 2**22  # numbers that are decoded at a time
NARROWEST = 0.01  # scale of σ: below, where residuals vanish, precisions would exceed what float64 can invert


def fitted(vae: VAE, x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Fits Gaussians to the posteriors of items x (b, …) where σ is `scale` times that of the model's p(x|z).

    The encoder's q(z|x) fits the σ of the training, and draws of it miss the posterior at another one. From there, the
    variational Newton steps of Khan et al. 2018 (section 3) with the Gauss–Newton curvature JᵀJ/σ² + I at a draw of the
    Gaussian so far. With a linear decoder the first step is exact.

    Returns:
        The means, (b, d), and the precisions, (b, d, d), both float64.
    """
    most = max(1, AT_ONCE // (vae.latent_dim * max(1, x[0].numel())))
    parts = [_fitted(vae, part, max(scale, NARROWEST)) for part in torch.split(x, most)]
    means, precisions = (torch.cat(part) for part in zip(*parts, strict=True))
    return means, precisions


def _fitted(vae: VAE, x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    mu, logvar = (each.double() for each in moments(vae.encoder(x)))
    # Exact where the decoder is linear with orthogonal columns: 1/variance − 1 is JᵀJ/σ², and mu is shrunk by it.
    encoded = logvar.exp().clamp(max=1 - 1e-6)
    variance = 1 / (1 + (1 / encoded - 1) / scale**2)
    mean, precision = mu * (1 - variance) / (1 - encoded), torch.diag_embed(1 / variance)
    for step in range(STEPS):
        share, z = 1 / (1 + step / 2), gaussian(mean, precision).sample() if step else mean
        gradient, curvature = _slopes(vae, x, z, scale)
        precision = (1 - share) * precision + share * curvature
        # The gradient at the draw is as noisy as the draw, which z − mean takes out: its expectation is 0.
        mean = mean + share * (torch.linalg.solve(precision, gradient) + z - mean)
    return mean, precision


def gaussian(mean: Tensor, precision: Tensor) -> MultivariateNormal:
    """Returns the Gaussians with these means, (b, d), and precisions, (b, d, d)."""
    return MultivariateNormal(mean, precision_matrix=precision, validate_args=False)


def _slopes(vae: VAE, x: Tensor, z: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Returns ∇ log p(x, z) at z (b, d), and JᵀJ/σ² + I, (b, d, d), by difference quotients of the decoder."""
    b, d = z.shape
    unit = torch.eye(d, dtype=z.dtype, device=z.device)
    places = torch.cat([z[:, None], z[:, None] + NEAR * unit], dim=1).flatten(0, 1)
    likelihood = normal(vae.likelihood(places))
    assert likelihood is not None, "only a Normal has a calibrated σ"
    sigma, decoded = (each.reshape(b, d + 1, -1).double() for each in (likelihood.scale, likelihood.loc))
    sigma = scale * sigma[:, 0]
    left = (x.flatten(1).double() - decoded[:, 0]) / sigma
    slopes = (decoded[:, 1:] - decoded[:, :1]) / (NEAR * sigma[:, None])
    return (slopes @ left[:, :, None])[:, :, 0] - z, slopes @ slopes.mT + unit
