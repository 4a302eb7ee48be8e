"""`latentviz tune`: trains with different settings, follows the better ones to the end, and keeps the best run."""

import csv
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from latentviz.config import FitConfig, changes, merge
from latentviz.config.space import Choices, Plain, Range, Space, check_space, grid, nested, size
from latentviz.display import Rows, Shown, columns
from latentviz.errors import ArgumentError, ConfigError, LatentvizError, ResourceError, RunError, TrainingError, choose
from latentviz.evaluation.reconstruction import calibrating_scale, normal, rescaled
from latentviz.evaluation.report.search import Point, render
from latentviz.modalities import modality
from latentviz.modalities.sources import load_config
from latentviz.model.training import LightningVAE
from latentviz.progress import one_line, plural, quietly, say
from latentviz.runs.cells import safe_cell
from latentviz.runs.files import AnyPath, atomic_write, check_name, folder_path
from latentviz.runs.folders import free_name
from latentviz.runs.run import RunFolder
from latentviz.runs.tuning import SUFFIX, Search, TuneFolder
from latentviz.stages.fit import fit
from latentviz.stages.start import check_outputs, make_clustering

if TYPE_CHECKING:
    import pandas as pd
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

MOST = 10_000  # trials
LISTED = 10  # trials that are printed
STARTUP = 5  # trials that are never ended early, to compare the others with
EARLIEST = 0.1  # share of the longest training before which none is ended early
SAME, WHY, EPOCHS, SECONDS, INTERRUPTED = "same", "why", "epochs", "seconds", "interrupted"  # attributes of a trial
KEPT = "kept"  # of the study: trial → the name of its run


class Bound(Callback):
    """Follows a training by its bound on the held-out log p(x), nats per item, higher is better.

    A Normal p(x|z) has the bound with the σ that fits the residuals (Rybkin et al. 2021): comparable whatever the C.

    Args:
        report: called after each epoch with its number and the bound; it may raise, which ends the training.
    """

    def __init__(self, report: Callable[[int, float, int], None]) -> None:
        self.report = report
        self.numbers, self.log_sigmas = 0, 0.0

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Learns from the first batch what p(x|z) is."""
        del trainer, outputs
        if self.numbers:
            return
        assert isinstance(pl_module, LightningVAE)
        first = pl_module.batch_of(batch)
        with torch.inference_mode():
            found = normal(pl_module.likelihood(pl_module.encoder(first.x).mean))
        self.numbers = first.target[0].numel()
        if found is not None:
            shape = (len(first.target), self.numbers)
            sigmas = found.scale.expand_as(found.loc).reshape(shape)
            self.log_sigmas = float(sigmas[0].double().log().sum())
        else:
            self.log_sigmas = math.nan

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reports the bound of an epoch that was validated."""
        del pl_module
        found = trainer.callback_metrics
        if trainer.is_global_zero and {"val_log_likelihood", "val_kl"} <= found.keys():
            value = self.of(float(found["val_log_likelihood"]), float(found["val_kl"]))
            self.report(trainer.current_epoch + 1, value, trainer.max_epochs or -1)

    def of(self, log_likelihood: float, kl: float) -> float:
        """Returns the bound for means over the held-out items."""
        if not math.isfinite(self.log_sigmas):
            return log_likelihood - kl
        squares = -2 * (log_likelihood + self.log_sigmas) - self.numbers * math.log(2 * math.pi)
        one = torch.tensor([squares], dtype=torch.float64)
        scale = calibrating_scale(one.clamp_min(0), self.numbers)
        assert scale is not None
        return float(rescaled(torch.tensor([log_likelihood], dtype=torch.float64), one, self.numbers, scale)) - kl


# Objective → what it is, in words.
OBJECTIVES = {
    "bound": "bound on log p(x) of held-out items, nats",
    "clusters": "agreement of the clusters between layouts × separation",
}


@dataclass(frozen=True)
class Row:
    """A trial.

    Attributes:
        number: from 1.
        state: complete, pruned, or failed.
        value: of the objective; of one that was pruned, when it was.
        settings: setting → value.
        epochs: of the training.
        seconds: of the trial.
        note: why it failed, or which trial had the same settings.
    """

    number: int
    state: str
    value: float | None
    settings: Mapping[str, Plain]
    epochs: int | None
    seconds: float | None
    note: str


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

        return pd.DataFrame([_cells(row) for row in self.rows])

    @property
    def plot(self) -> Path:
        """The page with the values over the trials and over each setting."""
        page: Path = self.folder.page
        return page

    def __str__(self) -> str:
        ranked = sorted((row for row in self.rows if row.value is not None), key=_rank)
        cells = [{**_cells(row), "value": f"{row.value:.4g}"} for row in ranked[:LISTED]]
        names = [name for name in _cells(self.best) if name not in {"seconds", "note"}]
        lines = [columns(cells, names, {"trial", "value", "epochs"})]
        counts = {state: sum(row.state == state for row in self.rows) for state in ("complete", "pruned", "failed")}
        states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        return "\n".join([*lines, f"{plural(len(self.rows), 'trial')}: {states}; value: {OBJECTIVES[self.objective]}"])

    def _shown(self) -> tuple[str, Rows]:
        found = [(key, value) for key, value in self.best.settings.items()]
        value = f"{self.best.value:.4g}"
        return f"Tuned: run {self.best_run.name!r}", [("value", value), *found, ("trials", len(self.rows))]


def _rank(row: Row) -> tuple[bool, float]:
    return row.state != "complete", -(row.value if row.value is not None else -math.inf)


def _cells(row: Row) -> dict[str, object]:
    return {
        "trial": row.number,
        "state": row.state,
        "value": row.value,
        **row.settings,
        "epochs": row.epochs,
        "seconds": row.seconds,
        "note": row.note,
    }


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
    check_space(space)
    config, name = load_config(source, fixed)
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
        work = _Work(optuna, folder, source, space, fixed, clustering, objective, trials)
        assert work.study  # what is damaged is reported before anything is trained
        try:
            work.trials()
        finally:
            rows = work.rows()
            work.write(rows)
        best = work.best()
        return Tuned(folder, objective, rows, rows[work._place(best) - 1], work.keep(best))


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


@dataclass(frozen=True)
class _Work:
    """A search in progress; what is known of it is in Optuna's journal, so that a kill loses no finished trial."""

    optuna: Any
    folder: TuneFolder
    source: str
    space: Space
    fixed: Mapping[str, object]
    clustering: Mapping[str, object]
    objective: str
    wanted: int

    @property
    def name(self) -> str:
        """The name of the run to be made."""
        return self.folder.path.name.removesuffix(SUFFIX)

    @cached_property
    def study(self) -> "Study":
        """The study in the journal.

        Raises:
            RunError: the journal cannot be read.
        """
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        file = self.folder.journal
        try:
            if file.exists():
                content = file.read_bytes()
                if not content.endswith(b"\n"):  # a kill in the middle of a line
                    file.write_bytes(content[: content.rfind(b"\n") + 1])
            file.with_name(f"{file.name}.lock").unlink(missing_ok=True)  # our own lock is held
            storage = JournalStorage(JournalFileBackend(str(file)))
            seen = self.optuna.get_all_study_names(storage)
            done = len(self.optuna.load_study(study_name="tune", storage=storage).trials) if seen else 0
            return self.optuna.create_study(  # type: ignore[no-any-return]
                study_name="tune",
                storage=storage,
                direction="maximize",
                load_if_exists=True,
                sampler=self.optuna.samplers.TPESampler(seed=done, n_startup_trials=max(STARTUP, self.wanted // 4)),
                pruner=self.optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
            )
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:  # of a foreign line
            raise RunError(
                f"{file}: damaged ({one_line(str(error), 80)}); `latentviz tune … --force` begins anew"
            ) from None

    def _trials(self) -> "list[FrozenTrial]":
        return [trial for trial in self.study.get_trials(deepcopy=False) if INTERRUPTED not in trial.user_attrs]

    def trials(self) -> None:
        """Runs trials until there are as many as wanted."""
        state = self.optuna.trial.TrialState
        for trial in self._trials():
            if trial.state == state.RUNNING:  # of a command that was killed: its settings are tried again
                self.study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, value=True)
                self.study.tell(trial.number, state=state.FAIL)
                self.folder.forget([trial.number])
                self.study.enqueue_trial(dict(trial.params))
        total = int(min(self.wanted, size(self.space)))
        if total < self.wanted:
            say(f"{plural(total, 'combination')} of settings in all, each is tried once")
        while (done := len([trial for trial in self._trials() if trial.state.is_finished()])) < total:
            waiting = any(trial.state == state.WAITING for trial in self._trials())
            if not waiting and size(self.space) <= self.wanted:
                tried = [trial.params for trial in self._trials()]
                self.study.enqueue_trial(next(each for each in grid(self.space) or () if each not in tried))
            self._trial(done, total)

    def _trial(self, done: int, total: int) -> None:
        trial = self.study.ask({key: self._distribution(key) for key in self.space})
        started, values = perf_counter(), dict(trial.params)
        said = " ".join(f"{key}={_short(value)}" for key, value in values.items())
        same = next((t for t in self._trials() if t.params == values and t.state.name == "COMPLETE"), None)
        if same is not None:
            trial.set_user_attr(SAME, self._place(same))
            self.study.tell(trial, same.value)
            say(f"trial {done + 1} of {total}: {said}: as trial {self._place(same)}")
            return
        state, value = self.optuna.trial.TrialState, None
        try:
            with quietly(False):
                value = self._value(trial, nested(values))
        except self.optuna.TrialPruned:
            self.study.tell(trial, state=state.PRUNED)
            outcome = "ended early"
        except (TrainingError, ResourceError) as error:
            trial.set_user_attr(WHY, one_line(str(error), 300))
            self.study.tell(trial, state=state.FAIL)
            outcome = f"failed: {one_line(str(error), 120)}"
        else:
            self.study.tell(trial, value)
            outcome = f"{value:.4g}" + (" (the best so far)" if self.best().number == trial.number else "")
        seconds = perf_counter() - started
        self._sweep()
        say(f"trial {done + 1} of {total}: {said}: {outcome} after {seconds:.1f} s")

    def _value(self, trial: "Trial", settings: Mapping[str, object]) -> float:
        """Trains the run of a trial and returns the objective."""
        started = perf_counter()

        def report(epoch: int, value: float, longest: int) -> None:
            trial.report(value, epoch)
            if self.objective == "bound" and epoch >= EARLIEST * longest and trial.should_prune():
                trial.set_user_attr(EPOCHS, epoch)
                trial.set_user_attr(SECONDS, round(perf_counter() - started, 2))
                raise self.optuna.TrialPruned

        watch = Bound(report)
        run = RunFolder.create(self.folder.run(trial.number).path, force=True)
        given = merge(merge(self.fixed, settings), {"preview": 0})
        fit(load_config(self.source, given)[0], run, watch=[watch])
        self.folder.settle(run, self.name)
        summary = run.info()["summary"]
        trial.set_user_attr(EPOCHS, summary["epochs"])
        found = watch.of(summary["log_likelihood"], summary["kl"]) if self.objective == "bound" else self._clusters(run)
        trial.set_user_attr(SECONDS, round(perf_counter() - started, 2))
        return found

    def _clusters(self, run: RunFolder) -> float:
        """Clusters the run; returns agreement × separation, 0 without two clusters."""
        info = make_clustering(run, self.clustering, force=True).info()
        agreement, separation = info.get("agreement"), info.get("separation")
        return 0.0 if agreement is None or separation is None or info["n_clusters"] < 2 else agreement * separation

    def _distribution(self, key: str) -> Any:
        each, kinds = self.space[key], self.optuna.distributions
        if isinstance(each, Choices):
            return kinds.CategoricalDistribution(each.values)
        assert isinstance(each, Range)
        return (kinds.IntDistribution if each.whole else kinds.FloatDistribution)(each.low, each.high, log=each.log)

    def best(self) -> "FrozenTrial":
        """The best trial that was trained to its end; the earliest of equals.

        Raises:
            TrainingError: there is none.
        """
        complete = [t for t in self._trials() if t.state.name == "COMPLETE" and SAME not in t.user_attrs]
        if not complete:
            why = next((t.user_attrs[WHY] for t in self._trials() if WHY in t.user_attrs), "none was tried")
            raise TrainingError(f"{self.folder.path}: no trial could be trained; the first one: {why}")
        return max(complete, key=lambda trial: (trial.value, -trial.number))

    def _sweep(self) -> None:
        """Removes the runs of all trials but the best."""
        finished = [trial for trial in self._trials() if trial.state.is_finished()]
        complete = [trial for trial in finished if trial.state.name == "COMPLETE"]
        kept = self.best().number if complete else None
        self.folder.forget([trial.number for trial in finished if trial.number != kept])

    def _place(self, trial: "FrozenTrial") -> int:
        """The number of a trial as it is shown, from 1: without those that a kill has ended."""
        return 1 + [each.number for each in self._trials()].index(trial.number)

    def rows(self) -> list[Row]:
        """The finished trials, in their order."""
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            Row(
                number,
                names[trial.state.name],
                trial.value,
                {key: trial.params[key] for key in self.space if key in trial.params},
                trial.user_attrs.get(EPOCHS),
                trial.user_attrs.get(SECONDS),
                trial.user_attrs.get(WHY) or (f"as trial {trial.user_attrs[SAME]}" if SAME in trial.user_attrs else ""),
            )
            for number, trial in enumerate(self._trials(), 1)
            if trial.state.is_finished()
        ]

    def write(self, rows: Sequence[Row]) -> None:
        """Writes the table and the plot."""
        if not rows:
            return
        with atomic_write(self.folder.table) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(_cells(rows[0])))
            writer.writeheader()
            writer.writerows(
                {key: safe_cell(str(v)) if isinstance(v, str) else v for key, v in _cells(row).items()} for row in rows
            )
        points = [Point(row.number, row.state, row.value, row.settings) for row in rows]
        logs = {key for key, each in self.space.items() if isinstance(each, Range) and each.log}
        with atomic_write(self.folder.page) as temporary:
            temporary.write_text(
                render(self.name, OBJECTIVES[self.objective], points, logs),
                encoding="utf-8",
            )

    def keep(self, best: "FrozenTrial") -> RunFolder:
        """Moves the run of the best trial to where runs are; one that has been moved stays where it is.

        Raises:
            RunError: it has been removed.
        """
        made, outputs = self.folder.run(best.number), self.folder.path.parent
        kept: dict[str, str] = dict(self.study.user_attrs.get(KEPT, {}))
        if made.path.exists():
            kept[str(best.number)] = free_name(outputs, self.name)
            self.study.set_user_attr(KEPT, kept)  # first: a kill in between leaves the run where it is
            made.path.rename(outputs / kept[str(best.number)])
        run = RunFolder(outputs / kept.get(str(best.number), self.name))
        if not run.finished:
            words = ["latentviz", "fit", self.source, *(f"{k}={_short(v)}" for k, v in best.params.items())]
            raise RunError(f"{run.path}: the run of the best trial is gone; `{shlex.join(words)}` trains it again")
        return run


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
