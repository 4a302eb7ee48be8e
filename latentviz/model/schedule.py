"""How long a training is, in steps: its learning rate, and how far it is where its length is not known beforehand."""

import math
from dataclasses import dataclass

FALL = 0.25  # the last share of a training that ends by itself, over which the learning rate falls to 0


@dataclass
class Schedule:
    """The learning rate and the timeline of a training.

    With `least` None, a training has exactly `limit` steps and the learning rate falls along half a cosine. Otherwise
    the learning rate stays at its peak until the fall begins: at the step `begun`, or when the limit requires it.

    Attributes:
        limit: steps at most; infinite without a limit.
        least: steps at least; None: exactly `limit`.
        begun: the step at which the learning rate begins to fall; None: not decided yet.
        length: steps of that fall.
    """

    limit: float
    least: int | None = None
    begun: int | None = None
    length: int = 0

    @property
    def total(self) -> float:
        """Steps of the timeline: all of a training of a known length, else of the shortest possible one."""
        return self.limit if self.least is None else self.least

    @property
    def start(self) -> float:
        """The step at which the learning rate begins to fall, as far as it is known."""
        return (1 - FALL) * self.limit if self.begun is None else self.begun

    @property
    def end(self) -> float:
        """The last step, as far as it is known."""
        return self.limit if self.begun is None else min(self.limit, self.begun + self.length)

    def begin(self, step: int, length: int) -> None:
        """Let the learning rate fall from this step on, over `length` steps."""
        self.begun, self.length = step, length

    def place(self, step: int) -> float:
        """Return where on the timeline a step is, from 0 to `total`: what the phases of a training depend on.

        A training that ends by itself waits at the beginning of the fall.

        >>> long = Schedule(1000, least=100)
        >>> [long.place(step) for step in (50, 60, 500, 750, 850, 1000)]
        [50, 60, 75.0, 75.0, 85.0, 100.0]
        """
        if self.least is None:
            return step
        wait = (1 - FALL) * self.least
        if step < self.start:
            return min(step, wait)
        return wait + FALL * self.least * self._fallen(step)

    def share_of_lr(self, step: int) -> float:
        """Return the learning rate at a step over its peak; it depends on the step and the schedule alone.

        >>> [round(Schedule(100).share_of_lr(step), 2) for step in (0, 1, 2, 51, 100)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
        >>> [round(Schedule(100, least=100).share_of_lr(step), 2) for step in (0, 1, 2, 75, 80, 100)]
        [0.5, 1.0, 1.0, 1.0, 0.8, 0.0]
        """
        total = max(1, self.total)
        rise = max(1, total // 50) if math.isfinite(total) else 50
        if step < rise:
            return (step + 1) / rise
        if self.least is None and math.isfinite(total):
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))
        return 1.0 if step < self.start else 1 - self._fallen(step)

    def _fallen(self, step: int) -> float:
        """Return how much of the fall is over at a step, in [0, 1]."""
        return min(1.0, (step - self.start) / max(1, self.end - self.start))
