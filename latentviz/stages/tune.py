"""`latentviz tune`: trains with different settings, follows the better ones to the end, and keeps the best run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from latentviz.config import FitConfig, changes, merge
from latentviz.config.space import Space, check_space, nested
from latentviz.display import Rows, Shown, columns
from latentviz.errors import ArgumentError, ConfigError, LatentvizError, choose
from latentviz.modalities import modality
from latentviz.modalities.sources import load_config
from latentviz.progress import plural, quietly
from latentviz.runs.files import AnyPath, check_name, folder_path
from latentviz.runs.run import RunFolder
from latentviz.runs.tuning import SUFFIX, Search, TuneFolder
from latentviz.stages.start import check_outputs
from latentviz.stages.trials import OBJECTIVES, Row, Trials, cells

if TYPE_CHECKING:
    import pandas as pd

MOST = 10_000  # trials
LISTED = 10  # trials that are printed


@dataclass(frozen=True, repr=False)
class Tuned(Shown):
    """A search of settings.

    Attributes:
        folder: `outputs/<name>.tune/`.
        objective: a name in `OBJECTIVES`.
        rows: the trials, in their order.
        best: the best one.
        best_run: its run.
    """

    folder: TuneFolder
    objective: str
    rows: Sequence[Row]
    best: Row
    best_run: RunFolder

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """The trials, in their order: trial, state, value, the settings, epochs, seconds, note."""
        import pandas as pd

        return pd.DataFrame([cells(row) for row in self.rows])

    @property
    def plot(self) -> Path:
        """The page with the values over the trials and over each setting."""
        page: Path = self.folder.page
        return page

    def __str__(self) -> str:
        ranked = sorted((row for row in self.rows if row.value is not None), key=_rank)
        rows = [{**cells(row), "value": f"{row.value:.4g}"} for row in ranked[:LISTED]]
        names = [name for name in cells(self.best) if name not in {"seconds", "note"}]
        lines = [columns(rows, names, {"trial", "value", "epochs"})]
        counts = {state: sum(row.state == state for row in self.rows) for state in ("complete", "pruned", "failed")}
        states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        return "\n".join([*lines, f"{plural(len(self.rows), 'trial')}: {states}; value: {OBJECTIVES[self.objective]}"])

    def _shown(self) -> tuple[str, Rows]:
        found = [(key, value) for key, value in self.best.settings.items()]
        value = f"{self.best.value:.4g}"
        return f"Tuned: run {self.best_run.name!r}", [("value", value), *found, ("trials", len(self.rows))]


def _rank(row: Row) -> tuple[bool, float]:
    return row.state != "complete", -(row.value if row.value is not None else -math.inf)


def tune(
    source: str,
    space: Space,
    fixed: Mapping[str, object],
    clustering: Mapping[str, object],
    *,
    trials: int = 20,
    objective: str = "bound",
    run: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> Tuned:
    """Searches settings, or goes on with a search that was interrupted or is to have more trials.

    Args:
        source: as for `fit`.
        space: the settings to search.
        fixed: other settings of the training, nested.
        clustering: settings of `cluster`, for the objective clusters.
        trials: how many in all.
        objective: a name in `OBJECTIVES`.
        run: name of the run that is made of the best trial; the search is next to it.
        outputs: folder of the runs.
        force: begin anew.

    Raises:
        LatentvizError: a setting is unknown or not allowed, there is nothing to search, optuna is missing, another
            search has this name, or no trial could be trained.
    """
    optuna = _optuna()
    choose(OBJECTIVES, objective, "--objective")
    if not 1 <= trials <= MOST:
        raise ArgumentError(f"--trials: must be 1 to {MOST:,} (got {trials})")
    config, name = load_config(source, fixed)
    check_space(space)
    _check(source, fixed, space, config, objective)
    name = f"{name}-tuned" if run is None else run
    check_name("--run", f"{name}{SUFFIX}")
    parent = folder_path("--outputs", outputs)
    check_outputs(parent)
    folder = TuneFolder(parent / f"{name}{SUFFIX}")
    with folder.held():
        search = Search(
            source=source,
            fingerprint=_fingerprint(config),
            objective=objective,
            space={key: str(each) for key, each in space.items()},
            fixed={**fixed, **clustering},
        )
        folder.begin(search, force=force)
        work = Trials(optuna, folder, source, space, fixed, clustering, objective, trials)
        assert work.study  # what is damaged is reported before anything is trained
        try:
            work.run()
        finally:
            rows = work.rows()
            work.write(rows)
        best = work.best()
        return Tuned(folder, objective, rows, rows[work.place(best) - 1], work.keep(best))


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise LatentvizError("tune: needs the package optuna; run `pip install 'latentviz[tune]'`") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _check(source: str, fixed: Mapping[str, object], space: Space, config: FitConfig, objective: str) -> None:
    """Raises a ConfigError if a value is not allowed, or values of the objective would not be comparable."""
    for key, each in space.items():
        first = nested({other: which.ends[0] for other, which in space.items()})
        for end in each.ends:
            tried = load_config(source, merge(merge(fixed, first), nested({key: end})))[0]
            if [changed for changed in changes(config, tried) if changed.startswith("data.") and changed not in space]:
                raise ConfigError(f"{key}: changes which items are learnt from (got {end}); give one value")
    apart = {"model.likelihood"} | ({"model.c"} if config.data.kind == "joint" else set())
    if objective == "bound" and (found := sorted(apart & space.keys())):
        raise ConfigError(
            f"{found[0]}: bounds with different values cannot be compared; give one value, or --objective clusters"
        )


def _fingerprint(config: FitConfig) -> str:
    with TemporaryDirectory(prefix="latentviz-") as cache, quietly(False):
        return modality(config.data.kind).data_kind.prepare(config, Path(cache)).fingerprint
