"""How a run's folder is made, set aside for a new run, and restored: what latentviz did not write is never removed."""

import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from latentviz.errors import RunError, WriteError
from latentviz.progress import say
from latentviz.runs.artefacts import Artefact
from latentviz.runs.files import remove, sweep
from latentviz.runs.lock import held
from latentviz.runs.ours import foreign, holds, is_empty, is_run, mark, remove_run


@dataclass(frozen=True)
class RunPlace:
    """The folder of a run, whatever it holds."""

    path: Path

    config_file = Artefact("config.yaml")
    info_file = Artefact("run.json")
    checkpoints = Artefact("checkpoints")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether `fit` has finished."""
        return self.info_file.exists()

    @property
    def begun(self) -> bool:
        """Whether this is what a fit leaves behind that was killed while it read its data, or an empty folder."""
        if not self.path.is_dir() or self.config_file.exists() or self.finished:
            return False
        return is_run(self.path) or is_empty(self.path)

    def held(self, work: str) -> AbstractContextManager[None]:
        """Locks the run: a second process that wants to train into it is refused.

        Raises:
            RunError: another process trains into it; the message names it.
        """
        return held(self.path.with_name(f".{self.path.name}.lock"), work, self.path)

    def sweep(self) -> None:
        """Deletes half-written files of killed processes. Only call this while holding the lock."""
        sweep(self.path)
        for share in self.path.glob(".*.part-*.npy"):  # one process's rows of mu or logvar
            remove(share)

    @classmethod
    def create(cls, path: Path, *, force: bool) -> Self:
        """Makes a new run at `path`, with a marker alone; with `force` an earlier run is set aside until `settle`.

        Raises:
            RunError: something exists there and `force` is off, it is no run or holds files of others, or the folder
                cannot be written.
        """
        run = cls(path)
        if path.is_symlink():
            target = Path(os.path.realpath(path))
            raise RunError(
                f"{path}: a link to {target}, and a run is neither made nor replaced through a link; use "
                f"--outputs {target.parent} --run {target.name}, or choose another --run NAME"
            )
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: a file has this name; choose another --run NAME")
        try:
            run.recover()
            if path.exists() and not is_empty(path):
                run._make_way(force=force)
            path.mkdir(parents=True, exist_ok=True)
            mark(path)
        except WriteError as error:
            raise WriteError(path, error.reason) from None
        except OSError as error:
            raise WriteError(path, error.strerror or str(error)) from None
        return run

    def _make_way(self, *, force: bool) -> None:
        """Removes what a killed fit left here, or sets the earlier run aside."""
        others = foreign(self.path)
        if not is_run(self.path) and not self.begun:
            found = f" ({holds(others)})" if others else ""
            raise RunError(f"{self.path}: not a run{found}, and --force replaces runs only; choose another --run NAME")
        if not force:
            found = "a fit was killed here while it read its data" if self.begun else "this run exists already"
            raise RunError(
                f"{self.path}: {found}; continue it with --resume{' trainer.max_epochs=N' if self.finished else ''}, "
                "replace it with --force, or name the new run with --run NAME"
            )
        if others:
            raise RunError(
                f"{self.path}: {holds(others)}, and --force would remove it; move it elsewhere, or choose another "
                "--run NAME"
            )
        if self.begun or is_run(self._aside):  # the earlier run that is kept is the last one that was finished
            if any(self.checkpoints.glob("*.ckpt")):
                say(f"{self.path}: a training that had not finished is replaced; the finished run before it is kept")
            remove_run(self.path)
        else:
            self.check_aside()
            self.path.rename(self._aside)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.replaced")

    def check_aside(self) -> None:
        """Raises a RunError if something else has the name under which the earlier run is to wait."""
        if os.path.lexists(self._aside) and not is_run(self._aside):
            raise RunError(f"{self._aside}: in the way, and not a run; move it elsewhere, or choose another --run NAME")

    def recover(self) -> None:
        """Repairs what a killed or failed fit with --force left. Only call this while holding the lock.

        The earlier run is removed if the new one is whole, and comes back if that has not trained an epoch. In between
        both are kept: `--resume` continues the new one, and the earlier one waits in `.<run>.replaced`.
        """
        if not is_run(self._aside):
            return
        if self.finished:
            self.settle()
        elif not any(self.checkpoints.glob("*.ckpt")):
            self.abandon()

    def settle(self) -> None:
        """Removes the run that `create(force=True)` set aside; called once the new run is whole."""
        with suppress(OSError):
            remove_run(self._aside)

    def abandon(self) -> None:
        """Removes the new run after an error and restores the earlier one."""
        if not foreign(self.path):
            with suppress(OSError):
                remove_run(self.path)
        if is_run(self._aside) and not self.path.exists():
            self._aside.rename(self.path)
