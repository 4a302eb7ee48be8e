"""A run: the folder that `fit` makes and every other command adds to. The only file that knows artefact names.

outputs/<run>/config.yaml            the resolved config: fitting it again repeats the run
              run.json               written last by `fit`: it means done; holds the checksums of what follows
              items.parquet          row i: id, split, label, source, and the data's own columns
              bad_items.csv          what could not be read, and why (only if there was any)
              cache/                 the decoded data, memory-mapped
              checkpoints/           best.ckpt, last.ckpt
              metrics.csv            one row an epoch
              samples/               what the decoder drew after each epoch
              mu.npy, logvar.npy     float32 (n, d), row i is item i
              clusters/<name>/       config.yaml, points.parquet, coordinates.npy, clusters.json (last: done),
                                     landmarks.npy where not all items were laid out,
                                     map.html, map.png; evaluation.html, evaluation.json (last: done)
              evaluation.{html,json} where `evaluate` found no clustering
              generated/<name>/      what the decoder drew, and generated.json with the z's (last)
              recommended/<name>/    a sheet of the items that were found, and recommended.json (last)
              encoded/<name>/        new items: points.parquet, mu.npy, logvar.npy, map.html, encode.json (last)
              exported/              encoder and decoder for other programs, export.json (last)
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow.parquet as pq

from latentviz.config import Section, dump
from latentviz.errors import LatentvizError, RunError, WriteError, did_you_mean
from latentviz.runs.checksums import CHEAP, FORMAT_VERSION, checksums, expected, opened, verify
from latentviz.runs.files import (
    atomic_write,
    check_name,
    make_newest,
    read_json,
    read_npy,
    read_parquet,
    remove,
    sweep,
    temporary_name,
    write_json,
)
from latentviz.runs.folders import ClusterFolder, ResultFolder
from latentviz.runs.items import Items
from latentviz.runs.lock import held

__all__ = ["FORMAT_VERSION", "ClusterFolder", "ResultFolder", "RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """A handle to a run folder; it holds no data, only where things are."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    config_file = property(lambda self: self.path / "config.yaml")
    info_file = property(lambda self: self.path / "run.json")
    items_file = property(lambda self: self.path / "items.parquet")
    bad_items_file = property(lambda self: self.path / "bad_items.csv")
    cache = property(lambda self: self.path / "cache")
    checkpoints = property(lambda self: self.path / "checkpoints")
    best_checkpoint = property(lambda self: self.checkpoints / "best.ckpt")
    last_checkpoint = property(lambda self: self.checkpoints / "last.ckpt")
    metrics_file = property(lambda self: self.path / "metrics.csv")
    samples = property(lambda self: self.path / "samples")
    mu_file = property(lambda self: self.path / "mu.npy")
    logvar_file = property(lambda self: self.path / "logvar.npy")
    exported = property(lambda self: self.path / "exported")
    encoder_onnx = property(lambda self: self.exported / "encoder.onnx")
    decoder_onnx = property(lambda self: self.exported / "decoder.onnx")
    safetensors = property(lambda self: self.exported / "model.safetensors")
    export_file = property(lambda self: self.exported / "export.json")
    evaluation_file = property(lambda self: self.path / "evaluation.json")
    evaluation_report = property(lambda self: self.path / "evaluation.html")

    @classmethod
    def create(cls, path: Path, *, force: bool) -> Self:
        """Returns a new, empty run at `path`; with `force` an earlier run there is set aside until `settle`.

        Raises:
            RunError: something is there already and `force` is off, it is no run, or the folder cannot be written.
        """
        run = cls(path)
        try:
            run.recover()
            if path.exists() and any(path.iterdir()):
                if not force:
                    began = "a fit was killed here while it read its data" if run.begun else "this run exists already"
                    raise RunError(
                        f"{path}: {began}; continue it with --resume, replace it with --force, "
                        "or give the new one another name with --run NAME"
                    )
                if run.begun:
                    shutil.rmtree(path)
                elif run.config_file.exists() or run.info_file.exists():
                    path.rename(run._aside)
                else:
                    raise RunError(
                        f"{path}: --force replaces runs only, and this folder is none; choose another name "
                        "with --run NAME"
                    )
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise WriteError(path, error.strerror or str(error)) from None
        return run

    @property
    def begun(self) -> bool:
        """Whether this is what a fit leaves that is killed while it reads its data."""
        early = {self.cache.name, self.bad_items_file.name, self.items_file.name, ".writable"}
        return self.path.is_dir() and {p.name for p in self.path.iterdir() if p.suffix != ".tmp"} <= early

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.replaced")

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    def held(self, work: str) -> AbstractContextManager[None]:
        """Holds the run while inside: a second process that wants to train into it is refused.

        Raises:
            RunError: another process trains into it; the message says which.
        """
        return held(self._lock, work, self.path)

    def recover(self) -> None:
        """Mends what a fit left that was killed: an earlier run that it was to replace comes back, or goes for good.

        It comes back as long as the new one's data had not been read. Only for whoever holds the run.
        """
        if not self._aside.exists():
            return
        if self.config_file.exists():
            self.settle()
        elif self.begun or not self.path.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            self._aside.rename(self.path)

    def settle(self) -> None:
        """Deletes the earlier run that `create(force=True)` set aside; called once the new one's data was read."""
        shutil.rmtree(self._aside, ignore_errors=True)

    def sweep(self) -> None:
        """Deletes what killed processes left half-written in this run. Only for whoever holds it."""
        sweep(self.path)
        for share in self.path.glob(".*.part-*.npy"):  # of μ and log σ², by one of several processes
            remove(share)

    def abandon(self) -> None:
        """Removes the new, empty run after an error and puts the earlier one back."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._aside.exists():
            self._aside.rename(self.path)

    @classmethod
    def open(
        cls, run: "str | os.PathLike[str] | RunFolder | None" = None, outputs: "str | os.PathLike[str]" = "outputs"
    ) -> Self:
        """Returns the run of a name under `outputs`, of a path, or the newest one.

        Raises:
            RunError: there is no such run, or its format is newer than this latentviz knows.
        """
        if isinstance(run, RunFolder):
            return cls(run.path)
        folder = Path(outputs)
        _recover(folder)
        found = cls._all(folder)
        if run is None:
            if not found:
                raise RunError(
                    f"{folder}: holds no run; make one with `latentviz fit SOURCE`, such as `latentviz fit digits`"
                )
            path = found[-1]
        else:
            named = folder / run
            path = named if (named / "config.yaml").exists() else Path(run)
            if not (path / "config.yaml").exists():
                names = [p.name for p in found]
                there = f"; runs there: {', '.join(names)}." if names else "."
                raise RunError(
                    f"{run}: no run of this name in {folder}, and no run folder{there}"
                    f"{did_you_mean(str(run), names)} `latentviz fit` makes one."
                )
        handle = cls(path)
        if handle.info_file.exists():
            handle.info()
        return handle

    @staticmethod
    def _all(folder: Path) -> list[Path]:
        """Returns the folders of all runs in `folder`, oldest first."""
        return sorted(
            (p.parent for p in folder.glob("*/config.yaml") if p.parent.name[0] != "."),
            key=lambda p: (p / "config.yaml").stat().st_mtime,
        )

    @property
    def siblings(self) -> list[str]:
        """The names of the runs in the folder that this one is in, its own among them, oldest first."""
        return [path.name for path in self._all(self.path.parent)]

    @classmethod
    def open_first(
        cls, words: Sequence[str], outputs: str | os.PathLike[str] = "outputs"
    ) -> tuple[Self, Sequence[str]]:
        """Returns the run that the first word names, and the words behind it; or the newest run, and all words.

        Raises:
            RunError: there is no run, or there are no words behind its name.
        """
        first = words[0]
        if not any((folder / "config.yaml").is_file() for folder in (Path(outputs) / first, Path(first))):
            return cls.open(None, outputs), words
        run = cls.open(first, outputs)
        if len(words) == 1:
            raise RunError(f"{first}: a run; name items behind it, by id, row number or file")
        return run, words[1:]

    @property
    def again(self) -> str:
        """What makes the run again, for messages."""
        return f"`{self._fit(self.config_file)} --force` makes it again"

    def _fit(self, source: object) -> str:
        return (
            f"latentviz fit {shlex.quote(str(source))} --run {shlex.quote(self.name)} "
            f"--outputs {shlex.quote(str(self.path.parent))}"
        )

    @property
    def finished(self) -> bool:
        """Whether `fit` came to its end."""
        return bool(self.info_file.exists())

    def require(self, file: Path) -> Path:
        """Returns `file` of this run.

        Raises:
            RunError: the file is missing; the message names the command that makes it.
        """
        if not self.finished:
            raise RunError(
                f"{self.path}: training has not finished; go on with `{self._fit(self.config_file)} --resume`"
            )
        if not file.exists():
            raise RunError(
                f"{self.path} has no {file.relative_to(self.path)}; make the run again with "
                f"`{self._fit(self.config_file)} --force`"
            )
        return file

    def info(self) -> dict[str, Any]:
        """Returns what run.json holds: format version, data kind, fingerprint, seed, versions, seconds, summary.

        Raises:
            RunError: the file is damaged, or a newer latentviz wrote it.
        """
        return opened(read_json(self.require(self.info_file), self.again), self.info_file, self.again)

    def write_info(self, content: Mapping[str, Any]) -> None:
        """Writes run.json, `fit`'s last act, with the checksums of all that later commands read."""
        written = [
            self.config_file,
            self.items_file,
            self.mu_file,
            self.logvar_file,
            *sorted(self.checkpoints.glob("*.ckpt")),
            *sorted(file for file in self.cache.rglob("*") if file.is_file()),
        ]
        write_json(
            self.info_file,
            {"format_version": FORMAT_VERSION, **content, "checksums": checksums(self.path, written)},
            sealed=True,
        )

    def verify_config(self) -> None:
        """Raises a RunError if a finished run's config.yaml is not the one that the run was made with."""
        if self.finished:
            verify(
                self.config_file,
                self.expected(self.config_file),
                f"put it back, or make the run again with `{self._fit('SOURCE')} --force`; other settings make "
                f"another run: `latentviz fit {shlex.quote(str(self.config_file))} --run NAME`",
            )

    def unchanged_since(self, info: Mapping[str, Any]) -> None:
        """Raises a RunError if run.json no longer holds `info`: another fit has replaced the run."""
        if not self.finished or self.info() != info:
            raise RunError(f"{self.path}: the run was replaced meanwhile; run the command again when its fit is done")

    def expected(self, file: Path) -> str | None:
        """Returns the CRC-32 that a file of this run should have; None: the run is unfinished, or older than that."""
        return expected(self.info(), self.path, file) if self.finished else None

    def verify(self, *, all_of_it: bool = False) -> None:
        """Compares the files that the model and its data are loaded from with the checksums in run.json.

        Args:
            all_of_it: also those that are too large for each command to look at.

        Raises:
            RunError: a file is damaged.
        """
        info = self.info()
        for name in info.get("checksums", {}):
            file = self.path / name
            if file.exists() and (all_of_it or file.stat().st_size <= CHEAP):  # whoever needs a missing one says so
                verify(file, expected(info, self.path, file), self.again)

    def write_config(self, config: Section) -> None:
        """Writes the resolved config."""
        with atomic_write(self.config_file) as temporary:
            temporary.write_text(f"# latentviz fit {self.config_file}\n{dump(config)}", encoding="utf-8")
        make_newest(self.config_file, self.path.parent.glob("*/config.yaml"))

    def write_items(self, items: Items) -> None:
        """Writes the item table."""
        with atomic_write(self.items_file) as temporary:
            pq.write_table(items.table, temporary, compression="zstd")

    def items(self) -> Items:
        """Returns the item table.

        Raises:
            RunError: it is damaged.
        """
        table = read_parquet(self.items_file, self.again, self.expected(self.items_file))
        if missing := {"id", "split", "label", "source"} - set(table.column_names):
            raise RunError(f"{self.items_file}: damaged (it has no column {', '.join(sorted(missing))}); {self.again}")
        return Items(table)

    def mu(self) -> np.ndarray:
        """Returns the posterior means μ, float32 (n, d), memory-mapped."""
        return self._latents(self.mu_file)

    def logvar(self) -> np.ndarray:
        """Returns the posterior log-variances, float32 (n, d), memory-mapped."""
        return self._latents(self.logvar_file)

    def _latents(self, file: Path) -> np.ndarray:
        array = read_npy(self.require(file), self.again, self.expected(file))
        if array.ndim != 2 or array.dtype != np.float32:
            raise RunError(f"{file}: damaged (an array of {array.dtype} of shape {array.shape}); {self.again}")
        return array

    @property
    def clusterings(self) -> list[str]:
        """The names of the finished clusterings, the newest first."""
        done = sorted(self.path.glob("clusters/*/clusters.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        return [file.parent.name for file in done]

    def clustering(self, name: str = "default") -> ClusterFolder:
        """Returns the handle to `clusters/<name>/`."""
        return ClusterFolder(self, name)

    @contextmanager
    def adding(self, group: str, name: str | None, default: str, *, force: bool = False) -> Iterator[ResultFolder]:
        """Yields a folder to fill, which becomes `<group>/<name>/` in one step when it is left without an error.

        Args:
            group: generated, recommended or encoded.
            name: as the user wants it; None: `default`, or `default-2` and so on, the first that is free.
            default: what the result is called by itself.
            force: replace an earlier result of this name.

        Raises:
            RunError: the name is taken or is no folder name, or the folder cannot be written.
        """
        parent = self.path / group
        if name is None:
            default = re.sub(r"[^\w-]+", "-", default).strip("-")[:60] or group
            name, number = default, 1
            while (parent / name).exists():
                number += 1
                name = f"{default}-{number}"
        check_name("--name", name)
        target = ResultFolder(parent / name)
        if target.path.exists() and not force:
            raise RunError(f"{target.path}: this name is taken; replace it with --force, or choose another --name")
        temporary, earlier = ResultFolder(temporary_name(target.path), target.path), temporary_name(target.path)
        try:
            sweep(parent)
            temporary.path.mkdir(parents=True)
            yield temporary
            if target.path.exists():
                if not force:  # somebody else was quicker
                    raise RunError(f"{target.path}: this name was taken meanwhile; choose another --name")
                target.path.rename(earlier)
            temporary.path.rename(target.path)
        except OSError as error:
            raise WriteError(target.path, error.strerror or str(error)) from None
        finally:
            remove(temporary.path)
            remove(earlier)


def _recover(folder: Path) -> None:
    """Puts runs back that killed fits were to replace; nothing is done where one still works."""
    for aside in folder.glob(".*.replaced"):
        run = RunFolder(aside.with_name(aside.name.removeprefix(".").removesuffix(".replaced")))
        with suppress(LatentvizError, OSError), run.held("fit"):
            run.recover()
