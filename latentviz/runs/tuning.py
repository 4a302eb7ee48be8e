"""The folder of a search: `outputs/<name>.tune/`, next to the run that it makes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from latentviz.errors import RunError, WriteError
from latentviz.runs.artefacts import Artefact
from latentviz.runs.files import atomic_write, read_json, remove, write_json
from latentviz.runs.lock import held
from latentviz.runs.ours import remove_run
from latentviz.runs.run import RunFolder

SUFFIX = ".tune"


class Search(TypedDict):
    """The content of tune.json: what makes a search another one.

    Attributes:
        source: of the items, as it was named.
        fingerprint: of the items.
        objective: what is maximised.
        space: setting → its values, as in "8..64".
        fixed: other settings.
    """

    source: str
    fingerprint: str
    objective: str
    space: Mapping[str, str]
    fixed: Mapping[str, object]


@dataclass(frozen=True)
class TuneFolder:
    """A handle to the folder of a search."""

    path: Path

    info_file = Artefact("tune.json")
    journal = Artefact("journal.log")  # Optuna's
    table = Artefact("trials.csv")
    page = Artefact("trials.html")
    trials = Artefact("trials")

    def run(self, number: int) -> RunFolder:
        """The run of a trial, while it is kept."""
        return RunFolder(self.trials / f"{number}")

    def held(self) -> AbstractContextManager[None]:
        """Locks the search: a second process is refused."""
        return held(self.path.with_name(f".{self.path.name}.lock"), "tune", self.path)

    def begin(self, search: Search, *, force: bool) -> None:
        """Makes the folder, or checks that the search in it is this one; `force` removes another one.

        Raises:
            RunError: another search is there, or files of others.
            WriteError: it cannot be written.
        """
        try:
            if force:
                self.clear()
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.info_file.exists():
                if foreign := [each.name for each in self.path.iterdir() if each != self.trials]:
                    raise RunError(f"{self.path}: holds {min(foreign)}, and no search; choose another --run NAME")
                write_json(self.info_file, {**search})
                return
        except OSError as error:
            raise WriteError(self.path, error.strerror or str(error)) from None
        self._check(search)

    def _check(self, search: Search) -> None:
        found = read_json(self.info_file, "`latentviz tune … --force` begins anew")
        words = {"fingerprint": "is over other items", "objective": "has another objective", "space": "searches other"}
        words["fixed"] = "has other fixed settings"
        asked = json.loads(json.dumps(search))
        for key, what in words.items():
            if found.get(key) != asked[key]:
                was = "" if key == "fingerprint" else f" ({_said(found.get(key))})"
                values = " settings" if key == "space" else ""
                raise RunError(
                    f"{self.path}: the search there {what}{values}{was}; give the same, replace it with --force, or "
                    "choose another --run NAME"
                )

    def clear(self) -> None:
        """Removes what a search has written, and nothing else."""
        self.forget([int(each.name) for each in self.trials.glob("*") if each.name.isdecimal()])
        for file in (self.journal, self.table, self.page, self.info_file):
            remove(file)

    def settle(self, run: RunFolder, name: str) -> None:
        """Makes the run of a trial one that will have another name: its config names its own file."""
        place = RunFolder(self.path.parent / name)
        text = run.config_file.read_text(encoding="utf-8").replace(str(run.config_file), str(place.config_file), 1)
        with atomic_write(run.config_file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        run.write_info({key: value for key, value in run.info().items() if key not in {"format_version", "checksums"}})

    def forget(self, numbers: Sequence[int]) -> None:
        """Removes the runs of trials."""
        for number in numbers:
            run = self.run(number)
            if run.path.exists():
                remove_run(run.path)


def _said(value: object) -> str:
    pairs = value.items() if isinstance(value, Mapping) else ()
    return " ".join(f"{key}={each}" for key, each in pairs) or str(value)
