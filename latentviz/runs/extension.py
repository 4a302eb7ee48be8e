"""A finished run that is trained for longer: a hidden copy is trained, and takes the run's place when it has finished.

Until then the run is what it was. A training that is killed leaves the copy, which the next one continues.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from latentviz.config import Section, dump
from latentviz.errors import RunError, WriteError
from latentviz.runs.files import LARGEST_JSON, atomic_write, read_json, remove, temporary_name, write_json
from latentviz.runs.folders import ClusterFolder
from latentviz.runs.ours import RESULT_GROUPS, check_links, foreign, holds, is_run, mark, remove_run
from latentviz.runs.regular import open_regular
from latentviz.runs.run import RunFolder

ORIGIN = "origin.json"  # in the copy: the run.json of the run that was copied
WEIGHTS = "weights.ckpt"  # of the run that was continued


EARLIER = "earlier"  # in the cache of a run that continues another one: its name, weights and clusterings


@dataclass(frozen=True)
class EarlierClustering(ClusterFolder):
    """A clustering of the run that a run continues, kept in its cache."""

    @property
    def run(self) -> RunFolder:
        """The run that continues."""
        return RunFolder(self.run_path.parents[1])

    @property
    def again(self) -> str:
        """The advice for a damaged file: the command that makes the run again."""
        return self.run.again

    @property
    def run_name(self) -> str:
        """The name of the run that made the clustering."""
        return str(read_json(self.run_path / ORIGIN, self.again)["run"])


def earlier_clustering(run: RunFolder, name: str) -> EarlierClustering | None:
    """Returns the clustering of this name of the run that `run` continues; None if there is none."""
    folder = EarlierClustering(run.cache / EARLIER, name)
    return folder if folder.finished else None


def earlier_weights(run: RunFolder) -> Path | None:
    """Returns the checkpoint that the training of `run` starts from; None if it continues no other run."""
    file = run.cache / EARLIER / WEIGHTS
    return file if file.exists() else None


def keep_earlier(run: RunFolder, weights: Path, cache: Path, data: str) -> None:
    """Keeps in the cache of a new run what it takes over from `run`: weights and clusterings.

    Args:
        run: that the new run continues.
        weights: the checkpoint that its training starts from.
        cache: of the new run.
        data: source of its new items.
    """
    place = cache / EARLIER
    try:
        place.mkdir()
        _link(weights, place / WEIGHTS)
        for name in run.clusterings:
            old, kept = run.clustering(name), EarlierClustering(place, name)
            kept.path.mkdir(parents=True)
            for file in (old.points_file, old.coordinates_file, old.config_file, old.info_file):
                _link(file, kept.path / file.name)
        write_json(place / ORIGIN, {"run": run.name, "data": data})
    except OSError as error:
        raise WriteError(place, error.strerror or str(error)) from None


class LongerRun(RunFolder):
    """The hidden copy `.<run>.longer` of a run; its messages name the run."""

    @classmethod
    def of(cls, run: RunFolder) -> "LongerRun":
        """Returns the handle to the copy of `run`; there may be none on disk."""
        return cls(run.path.with_name(f".{run.path.name}.longer"))

    @property
    def run(self) -> RunFolder:
        """The run that was copied."""
        return RunFolder(self.path.with_name(self.path.name.removeprefix(".").removesuffix(".longer")))

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.run.name

    @property
    def pending(self) -> bool:
        """Whether an earlier training left a copy of the run as it is now.

        Raises:
            RunError: a link in it leads out of it.
        """
        if not is_run(self.path):
            return False
        check_links(self.path)
        with suppress(OSError, ValueError), open_regular(self.path / ORIGIN, LARGEST_JSON) as file:
            return file.read() == self.run.info_file.read_bytes()
        return False

    def begin(self, config: Section) -> None:
        """Copies what a training continues from, unless an earlier one has left that, and writes the config.

        Raises:
            RunError: something else has the name of the copy.
            WriteError: it cannot be written.
        """
        self.run.check_aside()
        pending = self.pending
        if not pending and os.path.lexists(self.path):
            others = foreign(self.path) if is_run(self.path) else []
            if others or not is_run(self.path):
                found = holds(others) if others else "is not a run"
                raise RunError(f"{self.path}: in the way, and {found}; move it elsewhere")
        try:
            if not pending:
                remove_run(self.path)
                temporary = temporary_name(self.path)
                temporary.mkdir()
                mark(temporary)
                for name in ("items.parquet", "bad_items.csv", "cache", "checkpoints"):
                    _link(self.run.path / name, temporary / name)  # they are replaced, never changed in place
                for name in ("metrics.csv", "samples"):
                    _copy(self.run.path / name, temporary / name)
                shutil.copy2(self.run.info_file, temporary / ORIGIN)
                temporary.rename(self.path)
            with atomic_write(self.config_file) as file:
                file.write_text(f"# latentviz fit {self.run.config_file}\n{dump(config)}", encoding="utf-8")
        except OSError as error:
            raise WriteError(self.run.path, error.strerror or str(error)) from None

    def finish(self) -> RunFolder:
        """Takes the run's place, with everything that was made from the run; clusterings are marked as outdated."""
        run = self.run
        left = {"run.json", "mu.npy", "logvar.npy", "evaluation.json", "evaluation.html", "exported", ORIGIN}
        try:
            for source in run.path.iterdir():
                target = self.path / source.name
                if source.name in left or source.name.endswith((".tmp", ".lock")):
                    continue
                if source.name in {"clusters", *RESULT_GROUPS}:
                    remove(target)  # of a kill at this point
                if not target.exists():
                    _link(source, target)
            epochs = run.info()["summary"].get("epochs", 0)
            for name in run.clusterings:
                folder = self.clustering(name)
                folder.outdated_file.write_text(f"of a training of {epochs} epochs\n", encoding="utf-8")
            run.path.rename(run.path.with_name(f".{run.name}.replaced"))  # `recover` restores it after a kill
            self.path.rename(run.path)
            (run.path / ORIGIN).unlink()
        except OSError as error:
            raise WriteError(run.path, error.strerror or str(error)) from None
        run.settle()
        return run


def _link(source: Path, target: Path) -> None:
    """Links a file or each file of a folder; copies where the disk has no links."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_file)
    elif source.exists():
        _link_file(source, target)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        shutil.copy2(source, target)
