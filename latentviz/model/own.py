"""Networks, likelihoods and terms of the objective that a user brings, as the encoder and decoder of a VAE."""

import inspect
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from latentviz.errors import ArgumentError, TrainingError
from latentviz.model.base import Decoder, Encoder, network_of
from latentviz.model.elbo import diagonal_normal

# A module, or what makes one: (shape of an item, latent_dim) → module.
Network: TypeAlias = nn.Module | Callable[[tuple[int, ...], int], nn.Module]
# The decoder's output → p(x|z): a module with parameters of its own, a function, or a class of torch.distributions.
LikelihoodOf: TypeAlias = Callable[..., Distribution]


class Networks(Protocol):
    """The parts of a model that a user has given; None: not given."""

    @property
    def encoder(self) -> Network | None:
        """Its output is a Normal, or μ and log σ²."""

    @property
    def decoder(self) -> Network | None:
        """Its output is a Distribution, or the parameters of one."""

    @property
    def likelihood(self) -> LikelihoodOf | None:
        """The decoder's output → a Distribution."""


class Step(NamedTuple):
    """What a term of the objective sees of a batch of b items.

    Attributes:
        x: the encoder's input, (b, …).
        target: what is decoded, (b, …); `x` but for its augmentation.
        posterior: q(z|x), batch shape (b,), event shape (d,).
        z: the draws that are decoded, (b, d).
        likelihood: p(x|z), batch shape (b,).
        y: what came with each item in the batch, such as its label; None in `lv.fit`.
    """

    x: Tensor
    target: Tensor
    posterior: "Independent[Normal]"
    z: Tensor
    likelihood: Distribution
    y: Tensor | None = None


Term: TypeAlias = Callable[[Step], Tensor]  # nats per item, averaged over the batch, scalar


class OwnEncoder(Encoder):
    """x (b, …) → q(z|x) by any module that returns a Normal, or its μ and log σ², each (b, d)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Return the posterior.

        Raises:
            ArgumentError: the module returns something else.
        """
        out = self.net(x)
        base = out.base_dist if isinstance(out, Independent) else out
        if isinstance(base, Normal):
            mu, logvar = base.loc.float(), 2 * base.scale.float().log()
        elif isinstance(out, (tuple, list)) and len(out) == 2 and all(isinstance(part, Tensor) for part in out):
            mu, logvar = (part.float() for part in out)
        else:
            raise ArgumentError(
                f"encoder: {named(self.net)} must return a torch.distributions.Normal, or mu and logvar as two tensors "
                f"(b, latent_dim) (got {described(out)}); a tensor (b, 2·latent_dim) becomes that with .chunk(2, -1)"
            )
        if mu.ndim != 2 or mu.shape != logvar.shape or len(mu) != len(x):
            raise ArgumentError(
                f"encoder: {named(self.net)} must return mu and logvar of shape ({len(x)}, latent_dim) for {len(x)} "
                f"items (got {tuple(mu.shape)} and {tuple(logvar.shape)})"
            )
        return diagonal_normal(mu, logvar)


class OwnDecoder(Decoder):
    """z (b, d) → p(x|z) by any module that returns a Distribution, or the parameters of one.

    Args:
        net: z (b, d) → a Distribution, a tensor, or several tensors.
        likelihood: the tensors → p(x|z); None: `net` returns a Distribution.
        shape: of the mean of an item, if `net` must return that; empty: not known.
    """

    def __init__(self, net: nn.Module, likelihood: LikelihoodOf | None, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.net, self.likelihood, self.shape = net, likelihood, shape

    def forward(self, z: Tensor) -> Distribution:
        """Return the likelihood, with all dimensions but the first as the event.

        Raises:
            ArgumentError: the module returns neither a distribution nor parameters of one.
            TrainingError: the distribution refuses its parameters, as it does if they are not finite.
        """
        try:
            out, name = self.net(z), named(self.net)
            if self.shape and isinstance(out, Tensor) and tuple(out.shape[1:]) != self.shape:
                raise ArgumentError(
                    f"decoder: {name} must return means of shape ({len(z)}, {', '.join(map(str, self.shape))}) "
                    f"(got {tuple(out.shape)}); nn.Unflatten(1, shape) gives them the shape of an item"
                )
            if not isinstance(out, Distribution) and self.likelihood is not None:
                several = isinstance(out, (tuple, list))
                out, name = self.likelihood(*out) if several else self.likelihood(out), named(self.likelihood)
        except ValueError as error:
            if "constraint" not in str(error):
                raise
            raise TrainingError(f"decoder: the likelihood refuses its parameters ({first_line(error)})") from error
        if not isinstance(out, Distribution):
            raise ArgumentError(
                f"{'decoder' if self.likelihood is None else 'likelihood'}: {name} must return a "
                f"torch.distributions.Distribution (got {described(out)}); for a decoder that returns parameters, "
                "give likelihood=, a function from these to a Distribution"
            )
        return per_item(out)


class FunctionTerm(nn.Module):
    """A term of the objective that is a plain function."""

    def __init__(self, function: Term) -> None:
        super().__init__()
        self.function = function

    def forward(self, step: Step) -> Tensor:
        """Return the term."""
        return self.function(step)


def per_item(distribution: Distribution) -> Distribution:
    """Return the distribution with batch shape (b,): of independent values, log_prob is the sum over an item."""
    inner = len(distribution.batch_shape) - 1
    return Independent(distribution, inner) if inner > 0 else distribution


def encoder_of(given: Network, shape: tuple[int, ...], latent_dim: int) -> Encoder:
    """Return the encoder that a user's module or factory stands for."""
    net = _module("encoder", given, shape, latent_dim)
    return net if isinstance(net, Encoder) else OwnEncoder(net)


def decoder_of(
    given: Network,
    own: LikelihoodOf | None,
    standard: LikelihoodOf | None,
    shape: tuple[int, ...],
    latent_dim: int,
) -> Decoder:
    """Return the decoder that a user's module or factory stands for, as `encoder_of` does.

    Its likelihood is the user's `own`, or else the `standard` one of means, if there is one.
    """
    likelihood = own or standard
    net = _module("decoder", given, shape, latent_dim)
    if isinstance(net, Decoder):
        return net
    if likelihood is not None and not callable(likelihood):
        raise ArgumentError(
            f"likelihood: must be a function of the decoder's output that returns a Distribution "
            f"(got {described(likelihood)})"
        )
    return OwnDecoder(net, likelihood, () if own else shape)


def assembled(
    own: Networks,
    standard: Callable[[], tuple[Encoder, Decoder]],
    likelihood: LikelihoodOf | None,
    shape: tuple[int, ...],
    latent_dim: int,
) -> tuple[Encoder, Decoder]:
    """Return the encoder and the decoder of a model, of which a user has given none, some or all parts.

    Args:
        own: the parts that were given.
        standard: makes those of the data kind, if at least one is needed.
        likelihood: of a given decoder that returns a tensor; None: it must return a Distribution.
        shape: of an item.
        latent_dim: d.

    Raises:
        ArgumentError: a given part is none.
    """
    if own.encoder is not None and own.decoder is not None:
        encoder = encoder_of(own.encoder, shape, latent_dim)
        return encoder, decoder_of(own.decoder, own.likelihood, likelihood, shape, latent_dim)
    encoder, decoder = standard()
    if own.encoder is not None:
        encoder = encoder_of(own.encoder, shape, latent_dim)
    net = own.decoder
    if net is None and own.likelihood is not None:
        net = network_of(decoder)
        if net is None:
            raise ArgumentError(
                "likelihood: this kind of data has a decoder that is none without its likelihood; give decoder= too"
            )
    if net is not None:
        decoder = decoder_of(net, own.likelihood, likelihood, shape, latent_dim)
    return encoder, decoder


def terms_of(objective: Mapping[str, Term] | nn.ModuleDict) -> nn.ModuleDict:
    """Return the terms of an objective as modules, so that those with parameters are trained.

    What this has returned before is returned as it is.

    Raises:
        ArgumentError: it is no mapping of names to functions, or a name is taken.
    """
    if isinstance(objective, nn.ModuleDict):
        return objective
    if not isinstance(objective, Mapping) or not all(callable(term) for term in objective.values()):
        raise ArgumentError(
            f"objective: must map names to functions of a step that return a scalar (got {described(objective)}); "
            'as in objective={"sparsity": lambda step: step.posterior.mean.abs().mean()}'
        )
    for name in objective:
        if not isinstance(name, str) or not name.isidentifier() or name in _TAKEN or hasattr(nn.ModuleDict, name):
            raise ArgumentError(f"objective: {name!r} cannot be the name of a term; choose another word")
    return nn.ModuleDict(
        {name: term if isinstance(term, nn.Module) else FunctionTerm(term) for name, term in objective.items()}
    )


# Names of the metrics that every training logs.
_TAKEN = {"loss", "log_likelihood", "kl", "n", "reconstruction", "kl_cost", "contrast_cost", "mutual_information"}
_TAKEN |= {"active_units", "auxiliary_cost"}


def _module(role: str, given: object, shape: tuple[int, ...], latent_dim: int) -> nn.Module:
    if isinstance(given, nn.Module):
        return given
    if not callable(given):
        raise ArgumentError(
            f"{role}: must be a torch.nn.Module, or a function of (shape, latent_dim) that returns one "
            f"(got {described(given)})"
        )
    try:
        inspect.signature(given).bind(shape, latent_dim)
    except TypeError as error:
        raise ArgumentError(
            f"{role}: {named(given)} is called with (shape, latent_dim) = ({shape}, {latent_dim}), which it does not "
            f"take ({error}); give a function of these two, or the module itself"
        ) from None
    except ValueError:  # no signature, as of some classes written in C
        pass
    made = given(shape, latent_dim)
    if not isinstance(made, nn.Module):
        raise ArgumentError(f"{role}: {named(given)} must return a torch.nn.Module (got {described(made)})")
    return made


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error) or type(error).__name__).strip().splitlines()[0][:200]


def described(value: object) -> str:
    """Describe what was given or returned, for a message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__


def named(part: object) -> str:
    """Return the name of a function or class, or of the class of an object."""
    return str(getattr(part, "__name__", type(part).__name__))
