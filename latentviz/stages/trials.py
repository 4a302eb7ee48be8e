"""The trials of `latentviz tune`: each trains a run, poor ones are ended early, the best is kept."""

import csv
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

from latentviz.config import merge
from latentviz.config.space import Choices, Range, Space, grid, nested, size
from latentviz.errors import ResourceError, RunError, TrainingError
from latentviz.evaluation.bound import Bound
from latentviz.evaluation.report.search import Point, render
from latentviz.modalities.sources import load_config
from latentviz.progress import one_line, plural, quietly, say
from latentviz.runs.cells import safe_cell
from latentviz.runs.files import atomic_write
from latentviz.runs.folders import free_name
from latentviz.runs.run import RunFolder
from latentviz.runs.tuning import SUFFIX, TuneFolder
from latentviz.stages.fit import fit
from latentviz.stages.start import make_clustering

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

STARTUP = 5  # trials that are never ended early, to compare the others with
MOST_COUNTED = 10_000  # combinations of settings of which none is tried twice
EARLIEST = 0.1  # share of the longest training before which none is ended early
SAME, WHY, EPOCHS, SECONDS, INTERRUPTED = "same", "why", "epochs", "seconds", "interrupted"  # attributes of a trial
KEPT = "kept"  # of the study: trial → the name of its run
# Objective → what it is, in words.
OBJECTIVES = {
    "bound": "bound on log p(x) of held-out items, nats",
    "clusters": "agreement of the clusters between layouts × separation",
}


@dataclass(frozen=True)
class Row(Point):
    """A trial, with further attributes for the table.

    Attributes:
        epochs: of the training.
        seconds: of the trial.
        note: why it failed, or which trial had the same settings.
    """

    epochs: int | None
    seconds: float | None
    note: str


def cells(row: Row) -> dict[str, object]:
    """Returns the cells of a trial in the table."""
    return {
        "trial": row.number,
        "state": row.state,
        "value": row.value,
        **row.settings,
        "epochs": row.epochs,
        "seconds": row.seconds,
        "note": row.note,
    }


@dataclass(frozen=True)
class Trials:
    """The trials of a search in progress; a kill loses no finished one, as all is in Optuna's journal."""

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

    def run(self) -> None:
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
        if total == size(self.space) and self.wanted >= total:
            say("every combination of settings has been tried")

    def _asked(self) -> "Trial":
        """A new trial; of settings that can be counted, with some that have not been tried."""
        space = {key: self._distribution(key) for key in self.space}
        trial = self.study.ask(space)
        tried = [other.params for other in self._trials() if other.number != trial.number]
        if trial.params in tried and size(self.space) <= MOST_COUNTED:
            free = (each for each in grid(self.space) or () if each not in tried)
            near = min(free, key=lambda each: sum(each[key] != value for key, value in trial.params.items()))
            trial.set_user_attr(INTERRUPTED, value=True)
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            self.study.enqueue_trial(near)
            return self.study.ask(space)
        return trial

    def _trial(self, done: int, total: int) -> None:
        trial = self._asked()
        started, values = perf_counter(), dict(trial.params)
        said = " ".join(f"{key}={_short(value)}" for key, value in values.items())
        same = next((t for t in self._trials() if t.params == values and t.state.name == "COMPLETE"), None)
        if same is not None:
            trial.set_user_attr(SAME, self.place(same))
            self.study.tell(trial, same.value)
            say(f"trial {done + 1} of {total}: {said}: as trial {self.place(same)}")
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

    def place(self, trial: "FrozenTrial") -> int:
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
            writer = csv.DictWriter(file, list(cells(rows[0])))
            writer.writeheader()
            writer.writerows(
                {key: safe_cell(str(v)) if isinstance(v, str) else v for key, v in cells(row).items()} for row in rows
            )
        logs = {key for key, each in self.space.items() if isinstance(each, Range) and each.log}
        with atomic_write(self.folder.page) as temporary:
            temporary.write_text(
                render(self.name, OBJECTIVES[self.objective], rows, logs),
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
            kept[str(best.number)] = free_name(outputs, self.name, "for another name: another --run NAME")
            self.study.set_user_attr(KEPT, kept)  # first: a kill in between leaves the run where it is
            made.path.rename(outputs / kept[str(best.number)])
        run = RunFolder(outputs / kept.get(str(best.number), self.name))
        if not run.finished:
            words = ["latentviz", "fit", self.source, *(f"{k}={_short(v)}" for k, v in best.params.items())]
            raise RunError(f"{run.path}: the run of the best trial is gone; `{shlex.join(words)}` trains it again")
        return run


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
