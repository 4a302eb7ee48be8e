"""A run: the folder that `fit` makes and every other command adds to. Only this room knows the names of artefacts.

outputs/<run>/config.yaml            the resolved config: fitting it again repeats the run
              .latentviz.json        the marker of a run, written first and removed last
              run.json               written last by `fit`: it means done; holds the checksums of the files below
              items.parquet          row i: id, split, label, source, and the data's own columns
              bad_items.csv          items that could not be read, and why (only if there were any)
              cache/, checkpoints/   the decoded data, memory-mapped; best.ckpt, last.ckpt
              metrics.csv, samples/  one row per epoch; outputs of the decoder after each epoch
              mu.npy, logvar.npy     float32 (n, d), row i is item i
              clusters/<name>/       config.yaml, points.parquet, coordinates.npy, clusters.json (last: done),
                                     landmarks.npy (or all), network.npz (of reduce.method=parametric), map.html,
                                     map.png; evaluation.{html,json} (last: done)
              evaluation.{html,json} if `evaluate` found no clustering; preview.{html,svg} is there during the training
              generated/<name>/      decoded items, generated.json with the z (last); recommended/, labelled/ likewise
              encoded/<name>/        new items: points.parquet, mu.npy, logvar.npy, map.html, encode.json (last)
              compared/<name>/       with another clustering: items.parquet, compare.html, compared.json (last)
              exported/              what other programs open: networks, a card, a table, a site
"""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from latentviz.config import LARGEST_YAML, MEMORY, Section, dump
from latentviz.errors import LatentvizError, ReadError, RunError, WriteError, did_you_mean
from latentviz.runs import hub
from latentviz.runs.artefacts import Artefact, ResultFolder
from latentviz.runs.checksums import CHEAP, FORMAT_VERSION, checksums, expected, verify
from latentviz.runs.exported import ExportedFolder
from latentviz.runs.files import (
    LONGEST_PART,
    atomic_write,
    check_name,
    folder_path,
    is_file,
    make_newest,
    read_json,
    read_npy,
    read_parquet,
    remove,
    sweep,
    temporary_name,
    write_json,
)
from latentviz.runs.folders import ClusterFolder, free_name, read_info
from latentviz.runs.info import Content, RunInfo
from latentviz.runs.items import Items
from latentviz.runs.ours import MARKER, check_links, foreign_to_result, holds, is_run, no_runs
from latentviz.runs.place import RunPlace
from latentviz.runs.regular import check_regular, damage, open_regular
from latentviz.runs.tables import ITEM_TYPES, items_problem, read_table, write_table

LARGEST_MU, LARGEST_LOGVAR = 1e15, 80.0  # squares and exp of larger values are not finite in single precision
__all__ = ["FORMAT_VERSION", "ClusterFolder", "ResultFolder", "RunFolder"]


@dataclass(frozen=True)
class RunFolder(RunPlace):
    """A handle to a run folder; it holds no data."""

    items_file = Artefact("items.parquet")
    bad_items_file = Artefact("bad_items.csv")
    cache = Artefact("cache")
    index_file = Artefact("cache/index.parquet")
    origin_file = Artefact("cache/earlier/origin.json")  # of a run that continues another one: its name, and the data
    best_checkpoint = Artefact("checkpoints/best.ckpt")
    last_checkpoint = Artefact("checkpoints/last.ckpt")
    metrics_file = Artefact("metrics.csv")
    samples = Artefact("samples")
    preview_file = Artefact("preview.html")
    preview_mark = Artefact("preview.svg")
    mu_file = Artefact("mu.npy")
    logvar_file = Artefact("logvar.npy")
    evaluation_file = Artefact("evaluation.json")
    evaluation_report = Artefact("evaluation.html")

    @classmethod
    def all(cls, outputs: Path) -> list[Self]:
        """Returns the runs in a folder, oldest first."""
        configs = [file for file in outputs.glob("*/config.yaml") if not file.parent.name.startswith(".")]
        runs = [file for file in configs if is_run(file.parent.resolve())]
        return [cls(file.parent) for file in sorted(runs, key=lambda file: file.stat().st_mtime)]

    @classmethod
    def open(
        cls, run: "str | os.PathLike[str] | RunFolder | None" = None, outputs: "str | os.PathLike[str]" = "outputs"
    ) -> Self:
        """Opens a run by its name under `outputs`, by its path, or on the hub by `hf:NAME`; None: the newest one.

        Raises:
            RunError: there is no such run, it is damaged or holds links that leave it, or a newer latentviz wrote it.
        """
        handle = cls.find(run, outputs)
        if not isinstance(run, RunFolder):
            check_links(handle.path)
            if handle.finished:
                handle.info()
        return handle

    @classmethod
    def find(
        cls, run: "str | os.PathLike[str] | RunFolder | None" = None, outputs: "str | os.PathLike[str]" = "outputs"
    ) -> Self:
        """Finds a run as `open` does, and reads nothing of it.

        Raises:
            RunError: there is no such run.
        """
        if isinstance(run, RunFolder):
            return cls(run.path)
        folder = folder_path("--outputs", outputs)
        if isinstance(run, str) and run.startswith(hub.SCHEME):
            run = hub.fetch(run, folder).name
        _recover(folder)
        found = cls.all(folder)
        if run is not None:
            return cls._named(run, folder, [each.name for each in found])
        if not found:
            raise RunError(no_runs(folder))
        return found[-1]

    @classmethod
    def _named(cls, run: "str | os.PathLike[str]", outputs: Path, names: list[str]) -> Self:
        if not isinstance(run, (str, os.PathLike)):
            raise RunError(f"run: must be a name or a path (got {type(run).__name__})")
        for given in (outputs / run, folder_path("RUN", run)):
            path = given
            if given.is_symlink():  # locks and results belong next to the folder itself
                path = given.resolve()
                _recover(path.parent)
            if is_run(path):
                if cls(path).begun:
                    raise RunError(
                        f"{path}: its fit has not read the data; wait until it has, or run it again if it was stopped"
                    )
                if cls(path).config_file.exists():
                    return cls(path)
        runs = f"; runs there: {', '.join(names)}." if names else "."
        raise RunError(
            f"{os.fspath(run)}: no run of this name in {outputs}, and no run folder{runs}"
            f"{did_you_mean(os.fspath(run), names)} `latentviz fit` makes one."
        )

    @property
    def siblings(self) -> list[str]:
        """The names of the runs in the same folder, this one included, oldest first."""
        return [run.name for run in self.all(self.path.parent)]

    @classmethod
    def open_first(
        cls, words: Sequence[str], outputs: str | os.PathLike[str] = "outputs"
    ) -> tuple[Self, Sequence[str]]:
        """Returns the run that the first word names and the other words; or the newest run and all words.

        Raises:
            RunError: there is no run, or no word follows its name.
        """
        first, folder = words[0], folder_path("--outputs", outputs)
        _recover(folder)
        marks = [place / first / name for place in (folder, Path()) for name in ("config.yaml", MARKER)]
        on_hub = first.startswith(hub.SCHEME)
        if not first.strip() or not (on_hub or any(is_file(str(mark)) for mark in marks)):
            return cls.open(None, outputs), words
        run = cls.open(first, outputs)
        if len(words) == 1:
            raise RunError(f"{first}: this is a run; add items of it, by id, row number or file")
        return run, words[1:]

    @property
    def again(self) -> str:
        """The advice for a damaged file: the command that makes the run again."""
        return f"`{self.made_by}` makes it again"

    @property
    def made_by(self) -> str:
        """What makes the run again in its place: a command, or for data in memory a call with it and its settings."""
        start, place = "", f"run={self.name!r}, outputs={str(self.path.parent)!r}, force=True"
        if self.origin_file.exists():
            with suppress(RunError):
                origin = read_json(self.origin_file)
                start, data = str(origin.get("run")), str(origin.get("data"))
                if not data.startswith(MEMORY):
                    words = ["latentviz", "fit", "--continue", start, data, "--run", self.name]
                    return shlex.join([*words, "--outputs", str(self.path.parent), "--force"])
                return f"lv.fit(x, start={start!r}, {place})"
        with suppress(OSError, ValueError), open_regular(self.config_file, LARGEST_YAML) as stream:
            if re.search(rf"^ +path: ['\"]?{MEMORY}", stream.read().decode(), re.MULTILINE):
                return f"lv.fit(x, {place})"
        return f"{self.fit_command(self.config_file)} --force"

    def fit_command(self, source: object) -> str:
        """The command that fits `source` into this run."""
        return shlex.join(["latentviz", "fit", str(source), "--run", self.name, "--outputs", str(self.path.parent)])

    def require(self, file: Path) -> Path:
        """Returns `file` of this run.

        Raises:
            RunError: the file is missing; the message names the command that makes it.
        """
        if not self.finished:
            raise RunError(
                f"{self.path}: training has not finished; continue with `{self.fit_command(self.config_file)} --resume`"
            )
        if not file.exists():
            name = file.relative_to(self.path)
            raise RunError(f"{self.path} has no {name}; `{self.made_by}` makes the run again")
        return file

    def info(self) -> RunInfo:
        """Reads run.json: format version, data kind, fingerprint, seed, versions, seconds, summary.

        Raises:
            RunError: the file is damaged, or a newer latentviz wrote it.
        """
        return read_info(self.require(self.info_file), self.again)

    def write_info(self, content: Content) -> None:
        """Writes run.json, the last act of `fit`, with the checksums of all files that later commands read."""
        files = [self.config_file, self.items_file, self.mu_file, self.logvar_file]
        files += [*sorted(self.checkpoints.glob("*.ckpt")), *sorted(f for f in self.cache.rglob("*") if f.is_file())]
        sums = checksums(self.path, files)
        write_json(self.info_file, {"format_version": FORMAT_VERSION, **content, "checksums": sums}, sealed=True)

    def verify_config(self) -> None:
        """Raises a RunError if a finished run's config.yaml is not the one that the run was made with, or too large."""
        with damage(self.config_file, self.again):
            check_regular(self.config_file, LARGEST_YAML)
        if self.finished:
            config = shlex.quote(str(self.config_file))
            advice = (
                f"put it back, or make the run again with `{self.fit_command('SOURCE')} --force`; "
                f"to try other settings, make another run: `latentviz fit {config} --run NAME`"
            )
            verify(self.config_file, self.expected(self.config_file), advice)

    def unchanged_since(self, info: RunInfo) -> None:
        """Raises a RunError if run.json no longer holds `info` because another fit has replaced the run."""
        if not self.finished or self.info() != info:
            raise RunError(f"{self.path}: another fit replaced the run; run the command again when that is done")

    def expected(self, file: Path) -> str | None:
        """Returns the CRC-32 that a file should have; None if the run is unfinished or of a version without them."""
        return expected(self.info(), self.path, file) if self.finished else None

    def verify(self, *, all_of_it: bool = False) -> None:
        """Compares the files that the model and its data are loaded from with the checksums in run.json.

        Args:
            all_of_it: also the files that are too large to check on every command.

        Raises:
            RunError: a file is damaged.
        """
        self.verify_config()
        info = self.info()
        for name in info.get("checksums", {}):
            file = self.path / name
            if file.exists() and (all_of_it or file.stat().st_size <= CHEAP):  # readers report a missing file
                verify(file, expected(info, self.path, file), self.again)

    def write_config(self, config: Section) -> None:
        """Writes the resolved config."""
        with atomic_write(self.config_file) as temporary:
            temporary.write_text(f"# latentviz fit {self.config_file}\n{dump(config)}", encoding="utf-8")
        make_newest(self.config_file, self.path.parent.glob("*/config.yaml"))

    def write_items(self, items: Items) -> None:
        """Writes the item table."""
        write_table(self.items_file, items.table)

    def items(self) -> Items:
        """Reads the item table.

        Raises:
            RunError: it is damaged.
        """
        table = read_table(self.items_file, ITEM_TYPES, self.again, self.expected(self.items_file))
        if problem := items_problem(table, self.info()["summary"]["items"] if self.finished else table.num_rows):
            raise RunError(f"{self.items_file}: damaged ({problem}); {self.again}")
        return Items(table)

    def write_index(self, index: pa.Table) -> None:
        """Writes the index of the pandas object that the items come from, with pandas' metadata."""
        write_table(self.index_file, index)

    def index(self) -> pa.Table | None:
        """Reads the index of the pandas object that the items come from; None if they come from elsewhere."""
        return read_parquet(self.index_file, self.again) if self.index_file.exists() else None

    def mu(self) -> np.ndarray:
        """Returns the posterior means, float32 (n, d), memory-mapped."""
        return self._latents(self.mu_file, LARGEST_MU)

    def logvar(self) -> np.ndarray:
        """Returns the posterior log-variances, float32 (n, d), memory-mapped."""
        return self._latents(self.logvar_file, LARGEST_LOGVAR)

    def _latents(self, file: Path, largest: float) -> np.ndarray:
        array = read_npy(self.require(file), self.again, self.expected(file))
        summary = self.info()["summary"]
        shape = (summary["items"], summary["latent_dim"])
        if array.shape != shape or array.dtype != np.float32:
            raise RunError(
                f"{file}: damaged (an array of {array.dtype} of shape {array.shape}, and that of the run is {shape}); "
                f"{self.again}"
            )
        blocks = (array[start : start + 2**16] for start in range(0, len(array), 2**16))
        if not all(np.abs(block).max(initial=0) <= largest for block in blocks):  # False for NaN
            raise RunError(f"{file}: damaged (values that are not finite, or too large); {self.again}")
        return array

    @property
    def exported(self) -> ExportedFolder:
        """The handle to `exported/`."""
        return ExportedFolder(self.path / "exported")

    @property
    def clusterings(self) -> list[str]:
        """The names of the finished clusterings, newest first."""
        done = sorted(self.path.glob("clusters/*/clusters.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        return [file.parent.name for file in done]

    def clustering(self, name: str = "default") -> ClusterFolder:
        """Returns the handle to `clusters/<name>/`."""
        if len(name.encode("utf-8", "replace")) > LONGEST_PART:
            raise RunError(f"--clustering {name[:40] + '…'!r}: no clustering has so long a name; `latentviz runs`")
        return ClusterFolder(self.path, name)

    def clustered(self, name: str) -> ClusterFolder:
        """Returns a finished clustering.

        Raises:
            RunError: the run, or `cluster` under this name, has not finished.
        """
        self.require(self.info_file)
        return self.clustering(name).require()

    @contextmanager
    def adding(self, group: str, name: str | None, default: str, *, force: bool = False) -> Iterator[ResultFolder]:
        """Yields a folder to fill; if no error occurs it becomes `<group>/<name>/` in one step.

        Args:
            group: generated, recommended, encoded, compared or labelled.
            name: the user's name for it; None: `default`, or the first free one of `default-2`, `default-3`, …
            default: a name derived from the request.
            force: replace an earlier result of this name.

        Raises:
            RunError: the name is taken or is no folder name, or the folder cannot be written.
        """
        parent = self.path / group
        name = free_name(parent, default) if name is None else name
        check_name("--name", name)
        target = parent / name
        if os.path.lexists(target):
            if not force:
                raise RunError(f"{target}: this name is taken; replace it with --force, or choose another --name")
            if others := foreign_to_result(target):
                raise RunError(
                    f"{target}: {holds(others)}, and --force would remove it; move it elsewhere, or choose "
                    "another --name"
                )
        temporary, earlier = temporary_name(target), temporary_name(target)
        try:
            sweep(parent)
            temporary.mkdir(parents=True)
            yield ResultFolder(temporary, target)
            if os.path.lexists(target):
                if not force:  # another process was faster
                    raise RunError(f"{target}: this name was taken meanwhile; choose another --name")
                target.rename(earlier)
            temporary.rename(target)
        except OSError as error:
            if isinstance(error.filename, str) and not Path(error.filename).is_relative_to(parent):
                raise ReadError(error.filename, error) from None
            raise WriteError(target, error.strerror or str(error)) from None
        finally:
            remove(temporary)
            remove(earlier)


def _recover(outputs: Path) -> None:
    """Restores runs that killed fits were to replace, unless one of these fits is still running."""
    for aside in outputs.glob(".*.replaced"):
        run = RunFolder(aside.with_name(aside.name.removeprefix(".").removesuffix(".replaced")))
        with suppress(LatentvizError, OSError), run.held("fit"):
            run.recover()
