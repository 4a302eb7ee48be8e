"""When a training looks for better neighbours."""

import math
from types import SimpleNamespace

import pytest

from latentviz.modalities.batches.positives import RENEW_AT, _due
from latentviz.model.schedule import Schedule

STEPS = 7  # of an epoch


def due(schedule: Schedule, epochs: int) -> list[int]:
    """The epochs at whose beginning neighbours are renewed."""
    vae = SimpleNamespace(schedule=schedule)
    trainers = (
        SimpleNamespace(global_step=STEPS * epoch, num_training_batches=STEPS, accumulate_grad_batches=1)
        for epoch in range(epochs)
    )
    return [epoch for epoch, trainer in enumerate(trainers) if _due(trainer, vae)]  # type: ignore[arg-type]


@pytest.mark.parametrize("epochs", [3, 4, 5, 10, 24, 25, 309])
def test_neighbours_are_renewed_once_in_a_training_of_a_known_length(epochs: int) -> None:
    assert due(Schedule(STEPS * epochs), epochs) == [math.ceil(RENEW_AT * epochs)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(STEPS * 50, least=STEPS * 10), [6]),  # not after 30 of 50
        (Schedule(math.inf, least=STEPS * 10), [6]),
        (Schedule(STEPS * 50, least=STEPS * 20, begun=STEPS * 4, length=STEPS * 2), [4]),  # the time requires the fall
        (Schedule(math.inf), []),
    ],
)
def test_a_training_that_ends_by_itself_renews_them_by_its_least_length(
    schedule: Schedule, expected: list[int]
) -> None:
    assert due(schedule, 50) == expected
