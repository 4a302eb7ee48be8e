"""A run: the folder that `fit` makes and every other command adds to. The only file that knows artefact names.

    outputs/<run>/config.yaml            the resolved config: fitting it again repeats the run
                  run.json               written last by `fit`: it means done
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
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.config import ClusterConfig, Section, dump, read_yaml, validate
from latentviz.errors import RunError, did_you_mean
from latentviz.files import atomic_write, check_name, read_json, read_npy, read_parquet, write_json
from latentviz.items import Items

if TYPE_CHECKING:
    from latentviz.recommend import Recommendation

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Run:
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
            if path.exists() and any(path.iterdir()):
                if not force:
                    raise RunError(
                        f"{path}: this run exists already; continue it with --resume, replace it with --force, "
                        "or give the new one another name with --run NAME"
                    )
                if not (run.config_file.exists() or run.info_file.exists() or run._begun):
                    raise RunError(f"{path}: --force replaces runs only, and this folder is none; choose another name "
                                   "with --run NAME")
                shutil.rmtree(run._aside, ignore_errors=True)
                path.rename(run._aside)
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror}); choose another folder with --outputs DIR"
                           ) from None
        return run

    @property
    def _begun(self) -> bool:
        """Whether this is what a fit leaves that is killed while it reads its data."""
        early = {self.cache.name, self.bad_items_file.name, self.items_file.name}
        return {p.name for p in self.path.iterdir() if p.suffix != ".tmp"} <= early

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.replaced")

    def settle(self) -> None:
        """Deletes the earlier run that `create(force=True)` set aside; called once the new one's data was read."""
        shutil.rmtree(self._aside, ignore_errors=True)

    def abandon(self) -> None:
        """Removes the new, empty run after an error and puts the earlier one back."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._aside.exists():
            self._aside.rename(self.path)

    @classmethod
    def open(cls, run: "str | os.PathLike[str] | Run | None" = None,
             outputs: "str | os.PathLike[str]" = "outputs") -> Self:
        """Returns the run of a name under `outputs`, of a path, or the newest one.

        Raises:
            RunError: there is no such run, or its format is newer than this latentviz knows.
        """
        if isinstance(run, Run):
            return cls(run.path)
        folder = Path(outputs)
        found = sorted((p.parent for p in folder.glob("*/config.yaml") if p.parent.name[0] != "."),
                       key=lambda p: (p / "config.yaml").stat().st_mtime)
        if run is None:
            if not found:
                raise RunError(f"{folder}: holds no run; make one with `latentviz fit SOURCE`, such as "
                               "`latentviz fit digits`")
            path = found[-1]
        else:
            named = folder / run
            path = named if (named / "config.yaml").exists() else Path(run)
            if not (path / "config.yaml").exists():
                names = [p.name for p in found]
                there = f"; runs there: {', '.join(names)}." if names else "."
                raise RunError(f"{run}: no run of this name in {folder}, and no run folder{there}"
                               f"{did_you_mean(str(run), names)} `latentviz fit` makes one.")
        handle = cls(path)
        if handle.info_file.exists():
            handle.check_format(handle.info())
        return handle

    @classmethod
    def open_first(cls, words: Sequence[str], outputs: str | os.PathLike[str] = "outputs"
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

    def check_format(self, info: Mapping[str, Any]) -> None:
        """Raises a RunError if a newer latentviz wrote this run."""
        version = info.get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise RunError(f"{self.info_file}: format version {version!r}, and this latentviz reads up to "
                           f"{FORMAT_VERSION}; upgrade with `pip install -U latentviz`")

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
            raise RunError(f"{self.path}: training has not finished; go on with `latentviz fit {self.config_file} "
                           f"--run {self.name} --outputs {self.path.parent} --resume`")
        if not file.exists():
            raise RunError(f"{self.path} has no {file.relative_to(self.path)}; make the run again with "
                           f"`latentviz fit {self.config_file} --run {self.name} --outputs {self.path.parent} --force`")
        return file

    def info(self) -> dict[str, Any]:
        """Returns what run.json holds: format version, data kind, fingerprint, seed, versions, seconds, summary.

        Raises:
            RunError: the file is damaged.
        """
        return read_json(self.require(self.info_file))

    def write_info(self, content: Mapping[str, Any]) -> None:
        """Writes run.json, `fit`'s last act."""
        write_json(self.info_file, {"format_version": FORMAT_VERSION, **content})

    def write_config(self, config: Section) -> None:
        """Writes the resolved config."""
        with atomic_write(self.config_file) as temporary:
            temporary.write_text(f"# latentviz fit {self.config_file}\n{dump(config)}", encoding="utf-8")

    def write_items(self, items: Items) -> None:
        """Writes the item table."""
        with atomic_write(self.items_file) as temporary:
            pq.write_table(items.table, temporary, compression="zstd")

    def items(self) -> Items:
        """Returns the item table."""
        return Items(read_parquet(self.items_file))

    def mu(self) -> np.ndarray:
        """Returns the posterior means μ, float32 (n, d), memory-mapped."""
        return read_npy(self.require(self.mu_file))

    def logvar(self) -> np.ndarray:
        """Returns the posterior log-variances, float32 (n, d), memory-mapped."""
        return read_npy(self.require(self.logvar_file))

    @property
    def clusterings(self) -> list[str]:
        """The names of the finished clusterings, the newest first."""
        done = sorted(self.path.glob("clusters/*/clusters.json"), key=lambda p: p.stat().st_mtime, reverse=True)
        return [file.parent.name for file in done]

    def clustering(self, name: str = "default") -> "ClusterFolder":
        """Returns the handle to `clusters/<name>/`."""
        return ClusterFolder(self, name)

    @contextmanager
    def adding(self, group: str, name: str | None, default: str, *, force: bool = False) -> Iterator["ResultFolder"]:
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
        temporary = ResultFolder(parent / f".{name}.{os.getpid()}-{secrets.token_hex(3)}.tmp", target.path)
        try:
            temporary.path.mkdir(parents=True)
            yield temporary
            if target.path.exists():
                shutil.rmtree(target.path)
            temporary.path.rename(target.path)
        except OSError as error:
            raise RunError(f"{target.path}: cannot be written ({error.strerror or error})") from None
        finally:
            shutil.rmtree(temporary.path, ignore_errors=True)

    def recommend(self, items: Sequence[str | int], **options: Any) -> "Recommendation":
        """Returns the items whose μ are most like those of `items`; `latentviz.recommend.recommend` says how."""
        from latentviz.recommend import recommend

        return recommend(self, items, **options)


@dataclass(frozen=True)
class ResultFolder:
    """A handle to what a command adds under a name: `generated/<name>/`, `recommended/<name>/`, `encoded/<name>/`.

    Attributes:
        path: the folder; while it is filled, a temporary one.
        target: where it is going to be, for the time it is being filled.
    """

    path: Path
    target: Path | None = None

    generated_file = property(lambda self: self.path / "generated.json")
    recommended_file = property(lambda self: self.path / "recommended.json")
    encode_file = property(lambda self: self.path / "encode.json")
    points_file = property(lambda self: self.path / "points.parquet")
    mu_file = property(lambda self: self.path / "mu.npy")
    logvar_file = property(lambda self: self.path / "logvar.npy")
    map_file = property(lambda self: self.path / "map.html")
    cache = property(lambda self: self.path / "cache")

    @property
    def final(self) -> "ResultFolder":
        """The handle to the folder under its lasting name."""
        return ResultFolder(self.target or self.path)


@dataclass(frozen=True)
class ClusterFolder:
    """A handle to one clustering of a run: `outputs/<run>/clusters/<name>/`."""

    run: Run
    name: str

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.run.path) / "clusters" / self.name

    config_file = property(lambda self: self.path / "config.yaml")
    points_file = property(lambda self: self.path / "points.parquet")
    coordinates_file = property(lambda self: self.path / "coordinates.npy")
    info_file = property(lambda self: self.path / "clusters.json")
    map_file = property(lambda self: self.path / "map.html")
    picture_file = property(lambda self: self.path / "map.png")
    vector_file = property(lambda self: self.path / "map.svg")
    neighbours_file = property(lambda self: self.path / "neighbours.npy")
    landmarks_file = property(lambda self: self.path / "landmarks.npy")
    tree_file = property(lambda self: self.path / "tree.npy")
    evaluation_file = property(lambda self: self.path / "evaluation.json")
    evaluation_report = property(lambda self: self.path / "evaluation.html")

    @property
    def finished(self) -> bool:
        """Whether `cluster` came to its end."""
        return bool(self.info_file.exists())

    def require(self) -> "ClusterFolder":
        """Returns itself.

        Raises:
            RunError: `cluster` was not run, or did not finish, under this name.
        """
        if not self.finished:
            name = "" if self.name == "default" else f" --name {self.name}"
            raise RunError(f"{self.run.path} has no clusters/{self.name}; run `latentviz cluster {self.run.path}{name}`"
                           " first")
        return self

    def begin(self, *, force: bool) -> None:
        """Makes the folder ready for a new clustering.

        Raises:
            RunError: the name holds a finished clustering and `force` is off, or the name is no folder name.
        """
        check_name("--name", self.name)
        if self.finished and not force:
            raise RunError(f"{self.path}: this clustering exists already; replace it with --force, or give the new "
                           "one another name with --name NAME")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written ({error.strerror})") from None

    def reopen(self) -> None:
        """Marks the clustering as unfinished; called once there is something to put in the earlier one's place."""
        for file in (self.info_file, self.evaluation_file, self.evaluation_report):
            file.unlink(missing_ok=True)

    def write(self, config: ClusterConfig, points: pa.Table, info: Mapping[str, Any]) -> None:
        """Writes the effective settings, the points, and last clusters.json, which means done."""
        self.write_config(config)
        with atomic_write(self.points_file) as temporary:
            pq.write_table(points, temporary, compression="zstd")
        write_json(self.info_file, {"format_version": FORMAT_VERSION, **info})

    def write_coordinates(self, coordinates: np.ndarray) -> None:
        """Writes the coordinates (n, k) that were clustered; the points of the picture are others."""
        with atomic_write(self.coordinates_file) as temporary, temporary.open("wb") as file:
            np.save(file, coordinates)

    def write_config(self, config: ClusterConfig) -> None:
        """Writes the effective settings."""
        with atomic_write(self.config_file) as temporary:
            temporary.write_text(dump(config), encoding="utf-8")

    def write_neighbours(self, rows: np.ndarray) -> None:
        """Writes the rows of each item's nearest neighbours in μ, int32 (n, k), without itself."""
        with atomic_write(self.neighbours_file) as temporary, temporary.open("wb") as file:
            np.save(file, rows)

    def neighbours(self) -> np.ndarray | None:
        """Returns the rows of each item's nearest neighbours in μ, int32 (n, k); None where there are none kept."""
        return read_npy(self.neighbours_file) if self.neighbours_file.exists() else None

    def write_landmarks(self, rows: np.ndarray | None) -> None:
        """Writes the rows of the items that were laid out, int64, ascending; None: all were."""
        if rows is None:
            self.landmarks_file.unlink(missing_ok=True)
            return
        with atomic_write(self.landmarks_file) as temporary, temporary.open("wb") as file:
            np.save(file, rows)

    def landmarks(self) -> np.ndarray | None:
        """Returns the rows of the items that were laid out, int64, ascending; None: all were."""
        return np.asarray(read_npy(self.landmarks_file)) if self.landmarks_file.exists() else None

    def write_tree(self, tree: np.ndarray | None) -> None:
        """Writes HDBSCAN's condensed tree, records of parent, child, lambda_val, child_size; None: there is none."""
        if tree is None:
            self.tree_file.unlink(missing_ok=True)
            return
        with atomic_write(self.tree_file) as temporary, temporary.open("wb") as file:
            np.save(file, tree)

    def tree(self) -> np.ndarray | None:
        """Returns HDBSCAN's condensed tree with a row an item, or None for methods without one."""
        return np.asarray(read_npy(self.tree_file)) if self.tree_file.exists() else None

    def coordinates(self) -> np.ndarray | None:
        """Returns the coordinates that were clustered, float32 (n, k); None in folders that do not keep them."""
        return read_npy(self.coordinates_file) if self.coordinates_file.exists() else None

    def config(self) -> ClusterConfig:
        """Returns the settings this clustering was made with."""
        return validate(ClusterConfig, read_yaml(self.config_file), str(self.config_file))

    def points(self) -> pa.Table:
        """Returns points.parquet: id, x, y, cluster, nearest_cluster, probability, outlier_score, label, source."""
        return read_parquet(self.require().points_file)

    def info(self) -> dict[str, Any]:
        """Returns clusters.json."""
        return read_json(self.require().info_file)


