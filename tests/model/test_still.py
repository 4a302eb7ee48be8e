"""A training that ends when neighbours and loss stand still: its schedule, its rule, and what a kill does to it."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import latentviz as lv
from latentviz.model import still
from latentviz.model.schedule import Schedule
from latentviz.model.still import Look, gain_of, nearest, same_share, seconds_of, stands_still
from latentviz.runs.metrics import read_metrics

SHORT = {"min_epochs": 4, "max_epochs": 40}
MODEL = {"latent_dim": 4, "width": 8, "stop": "still"}


@pytest.mark.parametrize(
    ("schedule", "step", "place", "share"),
    [
        (Schedule(100), 0, 0, 0.5),
        (Schedule(100), 51, 51, 0.5),
        (Schedule(100), 100, 100, 0.0),
        (Schedule(1000, least=100), 70, 70, 1.0),
        (Schedule(1000, least=100), 75, 75, 1.0),
        (Schedule(1000, least=100), 749, 75, 1.0),  # waits
        (Schedule(1000, least=100), 875, 87.5, 0.5),  # the limit requires the fall
        (Schedule(1000, least=100), 1000, 100, 0.0),
        (Schedule(1000, least=100, begun=300, length=100), 299, 75, 1.0),
        (Schedule(1000, least=100, begun=300, length=100), 300, 75, 1.0),
        (Schedule(1000, least=100, begun=300, length=100), 375, 93.75, 0.25),
        (Schedule(1000, least=100, begun=300, length=100), 400, 100, 0.0),
        (Schedule(1000, least=100, begun=900, length=300), 950, 87.5, 0.5),  # never beyond the limit
        (Schedule(1000, least=100, begun=20, length=10), 25, 87.5, 0.5),  # the time ended it early
        (Schedule(math.inf, least=100), 10**6, 75, 1.0),
        (Schedule(math.inf), 10**6, 10**6, 1.0),
    ],
)
def test_the_schedule(schedule: Schedule, step: int, place: float, share: float) -> None:
    assert schedule.place(step) == pytest.approx(place)
    assert schedule.share_of_lr(step) == pytest.approx(share, abs=0.02)


def test_the_end_of_a_schedule_is_known_when_the_fall_begins() -> None:
    schedule = Schedule(1000, least=100)
    assert (schedule.start, schedule.end) == (750, 1000)
    schedule.begin(300, 100)
    assert (schedule.start, schedule.end) == (300, 400)


@pytest.mark.parametrize(
    ("moved", "gains", "still"),
    [
        (0.0, (0.001, 0.001), True),
        (0.0, (-0.2, -0.2), True),
        (0.0, (0.2, 0.001), False),
        (0.0, (0.001, 0.2), False),
        (5.0, (0.001, 0.001), False),
    ],
)
def test_what_stands_still(moved: float, gains: tuple[float, float], *, still: bool) -> None:
    random = torch.Generator().manual_seed(0)
    mu = torch.randn(200, 6, generator=random)
    now = mu + moved * torch.randn(200, 6, generator=random)
    assert stands_still(Look(10, gains[0], nearest(mu)), Look(12, gains[1], nearest(now)), 0.01) is still


@pytest.mark.parametrize("steps", [range(50, 101), range(500, 50_001)])  # of the latter all are too many for pairs
@pytest.mark.parametrize(("slope", "sign"), [(-0.3, 1), (0.1, 1), (0.0, 1), (-0.3, -1)])
def test_the_gain_is_that_of_the_slope_whatever_single_epochs_do(steps: range, slope: float, sign: int) -> None:
    """A loss may be below 0, as with a Gaussian likelihood of a small variance."""
    random = np.random.default_rng(0)
    losses = 100 * sign + 100 * slope * np.log(np.array(steps) / steps[len(steps) // 2])
    losses *= 1 + 0.02 * random.standard_normal(len(steps))
    losses[::7] += 50
    assert gain_of(list(zip(steps, losses, strict=True))) == pytest.approx(-slope * np.log(1.2), abs=0.012)


def test_one_loss_has_no_slope() -> None:
    assert gain_of([(100, 2.0)]) == np.inf


def test_neighbours_are_compared_as_sets() -> None:
    assert same_share(torch.tensor([[1, 2], [0, 2]]), torch.tensor([[2, 1], [3, 2]])) == 0.75
    assert nearest(torch.eye(3), 15).shape == (3, 2)


def test_the_longest_time_is_read_as_lightning_reads_it() -> None:
    found = [seconds_of(given) for given in (None, "00:00:01:30", {"minutes": 2})]
    assert found == [math.inf, 90.0, 120.0]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything stands still at every look."""
    monkeypatch.setattr(still, "stands_still", lambda *_: True)


def fit(few: Path, outputs: Path, **more: object) -> lv.Run:
    settings = {"model": MODEL, "data": {"batch_size": 64}, "trainer": SHORT} | more
    return lv.fit(str(few), run="small", outputs=outputs, **settings)  # type: ignore[arg-type]


@pytest.mark.usefixtures("at_once")
def test_a_training_ends_when_it_stands_still(few: Path, tmp_path: Path) -> None:
    """Looks after epochs 3 and 4 of at least 4: the fall takes a third of the steps so far."""
    run = fit(few, tmp_path)
    assert run.summary["epochs"] == 6
    assert run.summary["ended"] == "neighbours stand still"
    assert run.config["model"]["stop"] == "still"
    assert (run.config["trainer"]["min_epochs"], run.config["trainer"]["max_epochs"]) == (4, 40)
    pictures = [int(file.stem[6:]) for file in (run.path / "samples").glob("epoch-*.png")]
    assert max(pictures) == run.summary["epochs"]


def test_a_training_that_never_stands_still_ends_at_its_limit(few: Path, tmp_path: Path) -> None:
    run = fit(few, tmp_path, trainer={"min_epochs": 2, "max_epochs": 5})
    assert (run.summary["epochs"], run.summary["ended"]) == (5, "the limit")


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("killed", [2, 3, 4])  # before, at and after the beginning of the fall
def test_a_killed_training_ends_where_an_undisturbed_one_does(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    undisturbed = fit(few, tmp_path / "a")
    assert undisturbed.summary["epochs"] > killed

    def kill(self: still.StandStill, trainer: object, module: object) -> None:
        del self, module
        if trainer.current_epoch == killed:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(still.StandStill, "on_train_epoch_start", kill)
        with pytest.raises(KeyboardInterrupt):
            fit(few, tmp_path / "b")
    resumed = lv.fit(str(few), run="small", outputs=tmp_path / "b", resume=True)
    assert (resumed.path / "mu.npy").read_bytes() == (undisturbed.path / "mu.npy").read_bytes()
    assert read_metrics(resumed.path / "metrics.csv") == read_metrics(undisturbed.path / "metrics.csv")
    assert resumed.summary["ended"] == undisturbed.summary["ended"]


@pytest.mark.usefixtures("at_once")
def test_a_training_killed_after_its_end_is_not_trained_again(few: Path, tmp_path: Path) -> None:
    run = fit(few, tmp_path)
    epochs, mu = run.summary["epochs"], (run.path / "mu.npy").read_bytes()
    for name in ("run.json", "mu.npy", "logvar.npy"):
        (run.path / name).unlink()
    resumed = lv.fit(str(few), run="small", outputs=tmp_path, resume=True)
    assert resumed.summary["epochs"] == epochs
    assert (run.path / "mu.npy").read_bytes() == mu


@pytest.mark.usefixtures("at_once")
def test_a_finished_training_goes_on_for_as_long_as_is_said(few: Path, tmp_path: Path) -> None:
    epochs = fit(few, tmp_path).summary["epochs"] + 3
    longer = lv.fit(str(few), run="small", outputs=tmp_path, resume=True, trainer={"max_epochs": epochs})
    assert longer.summary["epochs"] == epochs
    assert longer.config["model"]["stop"] == "limit"
    assert "min_epochs" not in {key for key, value in longer.config["trainer"].items() if value}


@pytest.mark.parametrize("least", [4, 30])  # below and above the epochs that there is time for
def test_the_time_that_is_given_holds_the_fall_too(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """The clock here runs a second a step."""
    steps = []

    class Steps:
        seconds = 0.0

        def __get__(self, clock: object, owner: object) -> float:
            return float(len(steps))

    monkeypatch.setattr(still.Clock, "seconds", Steps())
    monkeypatch.setattr(still.StandStill, "on_train_batch_start", lambda *_: steps.append(0), raising=False)
    run = fit(few, tmp_path, trainer={"max_epochs": -1, "min_epochs": least, "max_time": {"seconds": 40}})
    assert run.summary["ended"] == "the time"
    assert 35 <= len(steps) <= 40
    rows = read_metrics(run.path / "metrics.csv")
    assert int(rows[-1]["step"]) == len(steps)
    assert np.isfinite(run.mu).all()


@pytest.mark.parametrize(
    ("given", "stop"),
    [
        ({"trainer": {"max_epochs": 3}}, "limit"),
        ({"trainer": {"max_steps": 30}}, "limit"),
        ({"model": {"patience": 3}}, "limit"),
        ({"model": {"stop": "still"}, "trainer": {"max_epochs": 3}}, "still"),
        ({"trainer": {"max_time": "00:00:01:00"}}, "limit"),
        ({}, "still"),
    ],
)
def test_a_given_length_is_the_length(shell: Callable, few: Path, given: dict, stop: str) -> None:
    words = [f"{section}.{key}={value}" for section, keys in given.items() for key, value in keys.items()]
    assert f"  stop: {stop}  #" in shell("config", few, *words).out


def test_a_run_from_before_there_was_a_choice_can_be_trained_on(few: Path, tmp_path: Path) -> None:
    run = fit(few, tmp_path, model={"latent_dim": 4, "width": 8}, trainer={"max_epochs": 2})
    config = run.path / "config.yaml"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if not line.startswith("  stop:")))
    (run.path / "run.json").unlink()
    shutil.rmtree(run.path / "samples")
    assert lv.fit(str(few), run="small", outputs=tmp_path, resume=True).summary["epochs"] == 2
