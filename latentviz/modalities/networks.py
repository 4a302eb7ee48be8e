"""The networks that a user gives for a run, and what the run remembers of them: their names, never their code."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from latentviz.config import Role
from latentviz.errors import ArgumentError, RunError

if TYPE_CHECKING:
    from latentviz.model.own import LikelihoodOf, Network, Term
    from latentviz.runs.run import RunFolder

Names = Mapping[Role, str]  # role → the qualified name of what was given for it


@dataclass(frozen=True)
class Networks:
    """Parts of a model that replace those of the data kind; None: the data kind's own.

    Attributes:
        encoder: a module, or (shape, latent_dim) → module; its output is a Normal, or μ and log σ².
        decoder: as the encoder; its output is a Distribution, or the parameters of one.
        likelihood: the decoder's output → a Distribution over items.
        objective: terms to add to the loss, by name.
    """

    encoder: Network | None = None
    decoder: Network | None = None
    likelihood: LikelihoodOf | None = None
    objective: Mapping[str, Term] | None = None

    @property
    def names(self) -> dict[Role, str]:
        """The qualified name of each part that is given, for people to read; of the objective those of its terms."""
        given: dict[Role, object] = {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "likelihood": self.likelihood,
            "objective": self.objective,
        }
        return {role: _qualified(part) for role, part in given.items() if part is not None}


STANDARD = Networks()
LATEST = 16  # runs whose networks are kept without an object that uses them
# The networks that this process was given, by the path of their run: a run on disk has the weights alone. They are kept
# by the `lv.Run` of the run, and of the latest runs in any case; a notebook that trains hundreds does not keep all.
_given: WeakValueDictionary[Path, Networks] = WeakValueDictionary()
_latest: deque[Networks] = deque(maxlen=LATEST)


def remember(run: RunFolder, networks: Networks) -> None:
    """Keep the networks of a run for all commands on it, while one of its objects holds what `recall` returns."""
    if networks != STANDARD:
        _given[run.path.resolve()] = networks
        _latest.append(networks)


def recall(run: RunFolder) -> Networks:
    """Return what `remember` has kept."""
    return _given.get(run.path.resolve(), STANDARD)


def listed(names: Names) -> str:
    """Return the roles with their names, for a message."""
    return ", ".join(f"{role} {name}" for role, name in names.items())


def missing(names: Names, networks: Networks, *, training: bool = False) -> list[str]:
    """Return the roles, each with its name, that a model needs and `networks` lacks; the objective only in training."""
    return [
        f"{role} {name}"
        for role, name in names.items()
        if getattr(networks, role) is None and (training or role != "objective")
    ]


def check_given(names: Names, networks: Networks, run: RunFolder) -> None:
    """Raise an error unless `networks` are what the trained model of a run needs.

    Raises:
        RunError: one is missing.
        ArgumentError: the run was trained without one that is given.
    """
    if lacking := missing(names, networks):
        roles = ", ".join(f"{role}=…" for role in names if role != "objective")
        raise RunError(
            f"{run.path}: its model needs code that a run does not hold: {', '.join(lacking)}; open it in Python, with "
            f'`lv.open("{run.path}", {roles})`'
        )
    if unknown := [role for role in networks.names if role not in names]:
        raise ArgumentError(
            f"{unknown[0]}: {run.path} was trained with latentviz's own {unknown[0]}; leave it out, or train another "
            "run with it"
        )
    if networks.objective is not None and names["objective"] != networks.names["objective"]:
        raise ArgumentError(
            f"objective: {run.path} is trained with {names['objective']} (got {networks.names['objective']}); give the "
            "same terms"
        )


def check_training(names: Names, networks: Networks, source: str) -> None:
    """Raise a RunError if a config names parts that are not given."""
    if lacking := missing(names, networks, training=True):
        roles = ", ".join(f"{role}=…" for role in names)
        raise RunError(
            f"{source}: its model needs code that a config does not hold: {', '.join(lacking)}; train it in Python, "
            f'with `lv.fit("{source}", {roles})`'
        )


def _qualified(part: object) -> str:
    if isinstance(part, Mapping):
        return ", ".join(map(str, part))
    of = part if hasattr(part, "__qualname__") else type(part)
    return f"{of.__module__}.{getattr(of, '__qualname__', '?')}"
