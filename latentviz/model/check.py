"""A dry pass of a user's networks, before they are trained: shapes, finite values, gradients."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from latentviz.errors import ArgumentError
from latentviz.model.base import distortion_and_log_likelihood, point_estimate
from latentviz.model.elbo import kl_per_dimension, standard_normal
from latentviz.model.own import Step, described, first_line, named
from latentviz.model.vae import VAE
from latentviz.progress import plural


def check(vae: VAE, x: Tensor, more: Tensor, y: Tensor | None = None) -> None:
    """Pass two items through a VAE before it is trained, and a gradient back.

    Args:
        vae: the untrained model; it keeps its mode, its weights and the state of the random numbers.
        x: two items as the encoder's input, (2, …).
        more: further items, which are only compared with the support of the likelihood, (n, …).
        y: what came with the two items, for the terms of the objective, (2, …).

    Raises:
        ArgumentError: a network, the likelihood or a term of the objective returns what cannot be trained.
    """
    training = vae.training
    vae.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            _check(vae, x, more, y)
    finally:
        vae.train(training)


def _check(vae: VAE, x: Tensor, more: Tensor, y: Tensor | None) -> None:
    b, d = len(x), vae.latent_dim
    posterior = _run("encoder", vae.encoder, x)
    mu, sigma = posterior.base_dist.loc, posterior.base_dist.scale
    if mu.shape != (b, d):
        raise ArgumentError(
            f"encoder: mu has {plural(mu.shape[-1], 'dimension')}, and latent_dim is {d}; make both equal, as with "
            f'model={{"latent_dim": {mu.shape[-1]}}}'
        )
    _finite("encoder", {"mu": mu, "logvar": sigma.log()})
    z = posterior.rsample()
    likelihood = _run("decoder", vae.decoder, z)
    shape = tuple(likelihood.batch_shape + likelihood.event_shape)
    if shape != tuple(x.shape):
        raise ArgumentError(
            f"decoder: p(x|z) must be over items of shape {tuple(x.shape[1:])} (got {shape[1:]} for z of shape "
            f"{tuple(z.shape)})"
        )
    if not _supported(likelihood, more):
        raise ArgumentError(
            f"likelihood: {named(_inner(likelihood))} does not allow values that the data has, such as "
            f"{_refused(likelihood, more)}; it takes {_inner(likelihood).support}"
        )
    distortion, log_likelihood = _run("likelihood", distortion_and_log_likelihood, likelihood, x)
    if distortion.shape != (b,):
        raise ArgumentError(
            f"likelihood: log_prob must return one number per item, shape ({b},) (got {tuple(distortion.shape)})"
        )
    _finite("likelihood", {"log_prob": log_likelihood})
    try:
        point_estimate(likelihood)
    except NotImplementedError:
        raise ArgumentError(
            f"likelihood: {named(_inner(likelihood))} has neither a mean nor a mode, which decoding needs; add one"
        ) from None
    loss = distortion.mean() + kl_per_dimension(posterior, standard_normal(d, mu)).sum(-1).mean()
    step = Step(x, x, posterior, z, likelihood, y)
    for name, term in vae.objective.items():
        value = _run(f"objective.{name}", term, step)
        if not isinstance(value, Tensor) or value.ndim:
            raise ArgumentError(f"objective.{name}: must return a scalar tensor (got {described(value)}); average it")
        _finite(f"objective.{name}", {"its value": value})
        loss = loss + value
    for role, part in (("encoder", vae.encoder), ("decoder", vae.decoder)):
        trained = [weights for weights in part.parameters() if weights.requires_grad]
        if not trained:
            continue
        found = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True) if loss.requires_grad else ()
        if all(gradient is None for gradient in found):
            raise ArgumentError(
                f"{role}: no gradient reaches its weights, so they would not be trained; leave out .detach(), .data, "
                "NumPy and torch.no_grad, or freeze them on purpose with requires_grad_(False)"
            )
        _finite(role, {"gradient": torch.cat([g.flatten() for g in found if g is not None] or [loss.new_zeros(1)])})


def _run(role: str, function: Callable[..., Any], *inputs: Any) -> Any:
    """Call a part of the model; an error in it is reported with the shapes that it was called with."""
    try:
        return function(*inputs)
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        if isinstance(error, ArgumentError):
            raise
        shapes = ", ".join(str(tuple(value.shape)) for value in inputs if isinstance(value, Tensor))
        called = f" with a tensor of shape {shapes}" if shapes else ""
        raise ArgumentError(f"{role}: failed{called} ({type(error).__name__}: {first_line(error)})") from error


def _finite(role: str, values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        if not torch.isfinite(value).all():
            got = value.detach()[~torch.isfinite(value)][0].item()
            raise ArgumentError(f"{role}: {name} is not finite for the first items (got {got})")


def _inner(likelihood: Distribution) -> Distribution:
    return likelihood.base_dist if isinstance(likelihood, Independent) else likelihood


def _allowed(likelihood: Distribution, x: Tensor) -> Tensor | None:
    """Return which values are in the support, bool; None if that depends on the parameters or is not known."""
    try:
        support = _inner(likelihood).support
        return None if support is None else torch.as_tensor(support.check(x))  # type: ignore[no-untyped-call]
    except (NotImplementedError, RuntimeError, AttributeError):
        return None


def _supported(likelihood: Distribution, x: Tensor) -> bool:
    allowed = _allowed(likelihood, x)
    return allowed is None or bool(allowed.all())


def _refused(likelihood: Distribution, x: Tensor) -> object:
    allowed = _allowed(likelihood, x)
    return x[~allowed].flatten()[0].item() if allowed is not None else ""
