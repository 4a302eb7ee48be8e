"""Compare the variance of two unbiased estimators of the same gradient: score function and reparametrisation.

    python benchmarks/gradient_variance.py outputs/digits

For items x of a trained run, the gradient of E_{z ~ q(z|x)}[log p(x|z)] with respect to μ is estimated from single
draws in two ways: by the score function, log p(x|z)·∇_μ log q(z|x) (also with the mean of log p(x|z) as a baseline),
and by the reparametrisation z = μ + σ·ε of Kingma & Welling (2013), ∇_z log p(x|z). Both have the same expectation;
their variance decides how many draws each needs.
"""

import argparse

import torch

from latentviz.modalities.image.data import to_float
from latentviz.modalities.loading import load_model
from latentviz.runs.run import RunFolder


def estimates(run: RunFolder, items: int, draws: int, seed: int) -> dict[str, torch.Tensor]:
    """Gradient estimates with respect to μ, shape (draws, items, d), by estimator."""
    loaded = load_model(run)
    vae, data = loaded.vae, loaded.kind
    x = to_float(data.dataset().__getitems__(data.items.val[:items]))
    posterior = vae.encoder(x)
    mu, sigma = posterior.base_dist.loc.detach(), posterior.base_dist.scale.detach()
    generator = torch.Generator().manual_seed(seed)
    score, path, log_likelihoods = [], [], []
    for _ in range(draws):
        z = (mu + sigma * torch.randn(mu.shape, generator=generator)).requires_grad_()
        log_likelihood = vae.decoder(z).log_prob(x)
        path.append(torch.autograd.grad(log_likelihood.sum(), z)[0])
        score.append((z.detach() - mu) / sigma**2)
        log_likelihoods.append(log_likelihood.detach())
    weights, directions = torch.stack(log_likelihoods)[..., None], torch.stack(score)
    return {
        "score function": weights * directions,
        "score function, with a baseline": (weights - weights.mean(0)) * directions,
        "reparametrised": torch.stack(path),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = estimates(RunFolder.open(options.run), options.items, options.draws, options.seed)
    reference = found["reparametrised"].var(0).mean()
    print("| estimator | variance of one draw, relative | standard error of the mean gradient |")
    print("|---|---|---|")
    for name, values in found.items():
        variance = values.var(0).mean()
        error = (values.var(0) / options.draws).sqrt().mean()
        print(f"| {name} | {variance / reference:,.1f} | {error:,.2f} |")


if __name__ == "__main__":
    main()
