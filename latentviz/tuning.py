"""`lv.tune`: a search of settings from Python."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from latentviz.api import Run
from latentviz.config.space import Choices, Dimension, choices_of, dimension, range_of
from latentviz.display import Rows, Shown
from latentviz.errors import ArgumentError
from latentviz.modalities.memory import Given, source_of
from latentviz.runs.files import AnyPath
from latentviz.stages.arguments import checked
from latentviz.stages.start import Settings, parted

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from latentviz.stages.tune import Tuned


class Tuning(Shown):
    """A search of settings: its best run, and all trials."""

    def __init__(self, found: "Tuned") -> None:
        self._found = found

    @cached_property
    def best(self) -> Run:
        """The run of the best trial."""
        return Run(self._found.best_run)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the best trial, by dotted key."""
        return dict(self._found.best.settings)

    @property
    def value(self) -> float:
        """The objective of the best trial; higher is better."""
        value = self._found.best.value
        assert value is not None
        return value

    @property
    def trials(self) -> "pd.DataFrame":
        """The trials, in their order: trial, state, value, the settings, epochs, seconds, note."""
        return self._found.trials

    @property
    def plot(self) -> "Path":
        """The page with the values over the trials and over each setting."""
        return self._found.plot

    def __str__(self) -> str:
        return str(self._found)

    def _shown(self) -> tuple[str, Rows]:
        return self._found._shown()


@checked
def tune(
    source: Given,
    space: Mapping[str, Any],
    *,
    trials: int = 20,
    objective: str = "bound",
    run: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
    data: Settings | None = None,
    model: Settings | None = None,
    trainer: Settings | None = None,
    reduce: Settings | None = None,
    cluster: Settings | None = None,
    seed_everything: int | None = None,
    preset: str | None = None,
) -> Tuning:
    """Searches settings of the training and keeps the run of the best; a search that was interrupted is continued.

    Args:
        source: as for `lv.fit`.
        space: dotted keys with a tuple of two ends or a list of values, such as
            `{"model.latent_dim": (8, 64), "model.contrast": [0, 300, 1000]}`; or with texts, as in the shell.
        trials: trainings in all; more than before continues a finished search.
        objective: "bound" of log p(x) of held-out items, or "clusters": agreement × separation.
        run: name of the run of the best trial; the search itself is next to it.
        outputs: folder of the runs.
        force: begin anew.
        data: other settings, as for `lv.fit`.
        model: as `data`.
        trainer: as `data`.
        reduce: settings of `lv.cluster`, for the objective clusters.
        cluster: as `reduce`.
        seed_everything: seed of every training.
        preset: as for `lv.fit`.
    """
    from latentviz.stages.tune import tune as stage

    sections = {"data": data, "model": model, "trainer": trainer, "reduce": reduce, "cluster": cluster}
    given = {**sections, "seed_everything": seed_everything, "preset": preset}
    fixed, clustering = parted({key: value for key, value in given.items() if value is not None}, wanted=True)
    dimensions = {key: _dimension(key, values) for key, values in space.items()}
    kind = data.get("kind") if data else None
    with source_of(source, kind=kind) as path:
        options: dict[str, Any] = {"trials": trials, "objective": objective, "run": run, "outputs": outputs}
        return Tuning(stage(path, dimensions, fixed, clustering or {}, **options, force=force))


def _dimension(key: str, values: object) -> Dimension:
    """Reads what is to be tried for a setting."""
    if isinstance(values, tuple) and len(values) == 2:
        return range_of(key, *values)
    if isinstance(values, str):
        return dimension(key, values) or Choices((values,))
    if isinstance(values, Sequence):
        return choices_of(key, values)
    raise ArgumentError(f"space: {key}: must be a tuple (low, high) or a list of values (got {values!r})")
