"""`latentviz verify`: reads all of a run, compares its parts, and lists what is damaged or not from latentviz."""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latentviz.errors import LatentvizError
from latentviz.modalities.loading import OpenRun
from latentviz.progress import plural
from latentviz.runs.checksums import verify as verify_file
from latentviz.runs.info import ClustersInfo, RunInfo
from latentviz.runs.ours import foreign, leaving
from latentviz.runs.regular import damage
from latentviz.runs.run import ClusterFolder, RunFolder


@dataclass(frozen=True)
class Verification:
    """What was found in a run.

    Attributes:
        run: the name of the run.
        files: how many files have a checksum, which was compared.
        damage: one line for each thing that is damaged, or that leads out of the run.
        notes: one line for each thing that cannot be checked, or that latentviz did not write.
    """

    run: str
    files: int
    damage: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damage

    def __str__(self) -> str:
        count = f"{len(self.damage)} found damaged" if self.damage else "nothing damaged"
        return "\n".join([*self.damage, *self.notes, f"{self.run}: {plural(self.files, 'file')} compared, {count}"])


def verify(run: RunFolder) -> Verification:
    """Checks a run: links, schemas, checksums of all files in full, and whether its parts fit each other."""
    if links := [*leaving(run.path)]:
        return Verification(run.name, 0, tuple(links), ("nothing else was opened",))
    notes = [f"{run.path / name}: not written by latentviz" for name in foreign(run.path)]
    if not run.finished:
        notes.append(f"{run.path}: training has not finished, so there are no checksums to compare")
        checks: list[Callable[[], object]] = [run.verify_config, *_checkpoints(run)]
        return Verification(run.name, 0, tuple(_failures(checks)), tuple(notes))
    checks, opened, listed = [run.info], OpenRun(run), 0
    if not [*_failures(checks)]:
        listed = len(run.info().get("checksums", {}))
        notes += [] if listed else [f"{run.info_file}: has no checksums; an earlier version wrote it"]
        checks += [*_checksums(run, run.info()), *_checkpoints(run)]
        checks += [partial(getattr, opened, name) for name in ("config", "items", "mu", "logvar", "on_map")]
        for name in run.clusterings:
            folder = run.clustering(name)
            checks.append(folder.info)
            if not [*_failures([folder.info])]:
                listed += len(folder.info().get("checksums", {}))
                checks += _checksums(folder, folder.info())
                checks += [folder.config, folder.points, folder.coordinates, folder.neighbours, folder.landmarks]
                checks += [folder.tree, folder.network]
    return Verification(run.name, listed, tuple(dict.fromkeys(_failures(checks))), tuple(notes))


def _failures(checks: Iterable[Callable[[], object]]) -> Iterator[str]:
    """Yields the message of each check that fails."""
    for check in checks:
        try:
            check()
        except LatentvizError as error:
            yield str(error)


def _checksums(folder: RunFolder | ClusterFolder, info: RunInfo | ClustersInfo) -> list[Callable[[], object]]:
    """Returns a check for each file that a JSON file lists with its checksum."""
    return [
        partial(verify_file, folder.path / name, expected, folder.again)
        for name, expected in info.get("checksums", {}).items()
    ]


def _checkpoints(run: RunFolder) -> list[Callable[[], object]]:
    """Returns a check for each checkpoint, which is an archive with checksums of its own."""

    def check(file: Path) -> None:
        with damage(file, run.again), zipfile.ZipFile(file) as archive:
            if changed := archive.testzip():
                raise ValueError(f"{changed} is not what was written")

    return [partial(check, file) for file in sorted(run.checkpoints.glob("*.ckpt"))]
