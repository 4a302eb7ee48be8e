"""What a training takes from the settings of a data kind: epochs, the size of a batch, and the arguments of the VAE."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from latentviz.config import FitConfig

Stop: TypeAlias = Literal["still", "limit"]
Settings: TypeAlias = dict[str, Any]  # keyword arguments of `VAE`


def found_again(settings: Mapping[str, str], given: Collection[str]) -> dict[str, str]:
    """Return the settings but for the `given` ones, which stay."""
    return {name: value for name, value in settings.items() if name not in given}


class Contrasting(Protocol):
    """The section `model` of a kind that trains with contrast."""

    @property
    def latent_dim(self) -> int:
        """Dimensions d of z."""

    @property
    def contrast(self) -> float:
        """The weight of the contrast."""

    @property
    def temperature(self) -> float:
        """The temperature of the contrast."""

    @property
    def content_dim(self) -> int:
        """Leading dimensions that are contrasted."""


def contrast_settings(model: Contrasting) -> Settings:
    """Return the arguments of the VAE that say how it contrasts; without contrast all dimensions are content."""
    return {
        "contrast": model.contrast,
        "temperature": model.temperature,
        "content_dim": min(model.content_dim, model.latent_dim) if model.contrast else model.latent_dim,
    }


class Ending(NamedTuple):
    """What decides how long a training is."""

    stop: Stop
    trainer: dict[str, Any]  # the Trainer's arguments, with the limits that follow from the data


def with_epochs(
    config: FitConfig, epochs: float, fewest: int, most: int, least: float | None = None, auto: Stop = "limit"
) -> Ending:
    """Return how a training ends: `model.stop` without "auto", and the epochs that the user has not given.

    Args:
        config: what to fit.
        epochs: before the bounds, at most where the training ends by itself.
        fewest: epochs at least.
        most: epochs at most.
        least: epochs of the shortest training that ends by itself; None: it does not, unless the user wants it.
        auto: what ends a training that the user has given no limit.
    """
    trainer, stop = dict(config.trainer), config.model.stop
    if stop == "auto":
        given = (trainer.get("max_epochs") or 0) > 0 or (trainer.get("max_steps") or 0) > 0 or trainer.get("max_time")
        stop = "limit" if given or config.model.patience else auto
    if trainer.get("max_epochs") is None and trainer.get("max_steps", -1) == -1:
        trainer["max_epochs"] = min(most, max(fewest, round(epochs)))
    if stop == "still" and trainer.get("min_epochs") is None:
        limit = trainer.get("max_epochs") or -1
        shortest = max(fewest, round(least or 0))
        trainer["min_epochs"] = min(shortest, limit) if limit > 0 else shortest
    return Ending(stop, trainer)


FEWEST_STEPS = 8  # in an epoch: smaller sets get smaller batches


def batch_size(config: FitConfig, n: int) -> int:
    """Return the items of a training batch, for n training items."""
    return min(config.data.batch_size, max(2, n // FEWEST_STEPS))
