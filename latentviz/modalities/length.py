"""How long a training is: its items, epochs and seconds; and what an item costs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from latentviz.config import FitConfig
from latentviz.modalities.settings import Stop, batch_size, with_epochs
from latentviz.resources import fit_needs


class ItemSeconds(NamedTuple):
    """Seconds of one core for one item: to learn from it once, and to encode it."""

    learn: float
    encode: float


class Length(NamedTuple):
    """How long a training is."""

    items: int
    train: int  # items to learn from; the others are held out
    batch_size: int
    epochs: int | None  # None: `trainer.max_steps` decides
    seconds: float  # at most, of the machine that the constants of `resources` were measured on
    stop: Stop  # what ends it
    trainer: dict[str, Any]  # the Trainer's arguments; with max_epochs unless that is an estimate

    @property
    def steps(self) -> int:
        """Batches in an epoch; the last, smaller one is left out."""
        return max(1, self.train // self.batch_size)

    @classmethod
    def of(
        cls,
        config: FitConfig,
        n: int,
        epochs: Callable[[int], float],
        fewest: int,
        most: int,
        *,
        least: Callable[[int], float] | None = None,
        auto: Stop = "limit",
        item: int = 0,
        seconds: ItemSeconds | None = None,
    ) -> "Length":
        """Compute it for n items.

        Args:
            config: what to fit.
            n: items, at least 2.
            epochs: training items → epochs, before the bounds `fewest` and `most`.
            fewest: epochs at least.
            most: epochs at most.
            least: training items → epochs of the shortest training that ends by itself; None: it does not.
            auto: what ends a training that the user has given no limit.
            item: bytes of an item in the cache, from which the seconds follow unless they are given.
            seconds: of an item.
        """
        train = n - min(n - 1, max(1, round(n * config.data.val_fraction)))
        stop, trainer = with_epochs(config, epochs(train), fewest, most, least(train) if least else None, auto)
        found, size = trainer.get("max_epochs"), batch_size(config, train)
        draws = float(found * n if found else trainer.get("max_steps", 0) * size)
        needs = fit_needs(n, item, size, 0, draws, seconds)
        return cls(n, train, size, found, sum(need.seconds for need in needs), stop, trainer)
