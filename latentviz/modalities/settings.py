"""What a training takes from the settings of a data kind: epochs, the size of a batch, and the arguments of the VAE."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from latentviz.config import FitConfig

Settings: TypeAlias = dict[str, Any]  # keyword arguments of `VAE`


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


def with_epochs(trainer: Mapping[str, Any], epochs: float, fewest: int, most: int) -> dict[str, Any]:
    """Return the Trainer's arguments with `max_epochs` within the bounds, unless the user limits the training."""
    if trainer.get("max_epochs") is not None or trainer.get("max_steps", -1) != -1:
        return dict(trainer)
    return {**trainer, "max_epochs": min(most, max(fewest, round(epochs)))}


FEWEST_STEPS = 8  # in an epoch: smaller sets get smaller batches


def batch_size(config: FitConfig, n: int) -> int:
    """Return the items of a training batch, for n training items."""
    return min(config.data.batch_size, max(2, n // FEWEST_STEPS))
