"""What commands add to a run: a clustering in `clusters/<name>/`, results in `generated/<name>/` and similar."""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from latentviz.config import LARGEST_YAML, ClusterConfig, ResolvedClusterConfig, dump, read_yaml, validate
from latentviz.errors import ConfigError, RunError, WriteError, message_of
from latentviz.progress import plural, say, warn
from latentviz.runs.artefacts import Artefact
from latentviz.runs.checksums import FORMAT_VERSION, checksum, checksums, expected, opened
from latentviz.runs.files import (
    atomic_write,
    check_name,
    make_newest,
    read_json,
    read_npy,
    read_npz,
    remove,
    sweep,
    temporary_name,
    write_json,
)
from latentviz.runs.info import ClustersInfo, Content, RunInfo, checked
from latentviz.runs.lock import held
from latentviz.runs.regular import check_regular, damage
from latentviz.runs.tables import (
    POINT_TYPES,
    are_coordinates,
    are_landmarks,
    are_layers,
    are_rows,
    clusters_problem,
    is_tree,
    points_problem,
    read_table,
    write_table,
)

UNCOMPARED = {"map", "preset"}  # settings that `latentviz map` may change later, or that stand for others


@cache  # once per process
def _warn_of_outdated(path: Path, again: str) -> None:
    warn(f"{path}: outdated, the run was trained for longer since; {again}")


@dataclass(frozen=True)
class ClusterFolder:
    """A handle to one clustering of a run: `outputs/<run>/clusters/<name>/`."""

    run_path: Path
    name: str

    config_file = Artefact("config.yaml")
    points_file = Artefact("points.parquet")
    next_points_file = Artefact(".points.parquet.next")  # of an `annotate` that was killed
    coordinates_file = Artefact("coordinates.npy")
    info_file = Artefact("clusters.json")
    map_file = Artefact("map.html")
    picture_file = Artefact("map.png")
    vector_file = Artefact("map.svg")
    neighbours_file = Artefact("neighbours.npy")
    landmarks_file = Artefact("landmarks.npy")
    tree_file = Artefact("tree.npy")
    network_file = Artefact("network.npz")
    evaluation_file = Artefact("evaluation.json")
    evaluation_report = Artefact("evaluation.html")
    outdated_file = Artefact("outdated.txt")  # of a run that was trained for longer since

    @property
    def path(self) -> Path:
        """The folder."""
        return self.run_path / "clusters" / self.name

    @property
    def finished(self) -> bool:
        """Whether `cluster` has finished."""
        return self.info_file.exists()

    def require(self) -> "ClusterFolder":
        """Returns the handle itself.

        Raises:
            RunError: `cluster` was not run under this name, or did not finish.
        """
        check_name("--clustering", self.name)
        if not self.finished:
            raise RunError(f"{self.run_path} has no clusters/{self.name}; run `{self._command}` first")
        if self.outdated:
            _warn_of_outdated(self.path, self.again)
        if self.next_points_file.exists():
            self._take_next_points()
        return self

    @property
    def outdated(self) -> bool:
        """Whether the run was trained for longer after it was clustered."""
        return self.outdated_file.exists()

    @property
    def again(self) -> str:
        """The advice for a damaged file: the command that makes the clustering again."""
        return f"`{self._command} --force` makes it again"

    @property
    def _command(self) -> str:
        name = [] if self.name == "default" else ["--name", self.name]
        return shlex.join(["latentviz", "cluster", str(self.run_path), *name])

    @contextmanager
    def held(self, work: str) -> Iterator[None]:
        """Locks the clustering: a second process that wants to write it is refused.

        Raises:
            RunError: another process writes it, the message names it; or the name is no folder name.
        """
        check_name("--name", self.name)
        with held(self.run_path / f".clusters-{self.name}.lock", work, self.path):
            sweep(self.path)
            yield

    def begin(self, *, force: bool) -> None:
        """Prepares the folder for a new clustering.

        Raises:
            RunError: the name holds a finished clustering and `force` is off, or it is no folder name.
        """
        check_name("--name", self.name)
        if self.finished and not force:
            advice = "replace it with --force, or name the new one with --name NAME"
            raise RunError(f"{self.path}: this clustering exists already; {advice}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(self.path, error.strerror or str(error)) from None

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Marks the clustering as unfinished while a new one is written; after an error the earlier one comes back."""
        kept = temporary_name(self.path / "earlier")
        try:
            kept.mkdir()
            for file in self.path.iterdir() if self.finished else ():
                if file.is_file():
                    shutil.copy2(file, kept)
            for file in (self.info_file, self.evaluation_file, self.evaluation_report, self.outdated_file):
                file.unlink(missing_ok=True)
        except OSError as error:
            remove(kept)
            raise WriteError(self.path, error.strerror or str(error)) from None
        try:
            yield
        except BaseException:
            self._restore(kept)
            raise
        finally:
            remove(kept)

    def _restore(self, kept: Path) -> None:
        earlier = sorted(kept.iterdir(), key=lambda file: file.name == self.info_file.name)  # which means done: last
        if earlier:
            for file in (self.landmarks_file, self.tree_file, self.network_file):  # that only some methods have
                file.unlink(missing_ok=True)
        for file in earlier:
            file.replace(self.path / file.name)

    def write(self, config: ClusterConfig, points: pa.Table, info: Content) -> None:
        """Writes the effective settings, the points, and last clusters.json, which means done."""
        self.write_config(config)
        write_table(self.points_file, points)
        arrays = (
            self.coordinates_file,
            self.neighbours_file,
            self.landmarks_file,
            self.tree_file,
            self.network_file,
        )
        content = {
            "format_version": FORMAT_VERSION,
            **info,
            "config": config.model_dump(mode="json", exclude=UNCOMPARED),
            "checksums": checksums(self.path, [self.points_file, *(file for file in arrays if file.exists())]),
        }
        write_json(self.info_file, content, sealed=True)
        make_newest(self.info_file, self.path.parent.glob("*/clusters.json"))

    def write_annotated(self, points: pa.Table, info: ClustersInfo) -> None:
        """Replaces points.parquet and clusters.json; a kill leaves both as before, or both new."""
        with atomic_write(self.next_points_file) as temporary:  # once it is there, a reader may put it in place
            write_table(temporary, points)
            own = checksums(self.path, [temporary])[temporary.name]
        content = {**info, "checksums": {**info.get("checksums", {}), self.points_file.name: own}}
        write_json(self.info_file, content, sealed=True)
        self._take_next_points()

    def _take_next_points(self) -> None:
        """Puts the next points in place if clusters.json is already the one that belongs to them."""
        content = opened(read_json(self.info_file, self.again), self.info_file, self.again)
        wanted = expected(checked(ClustersInfo, content, self.info_file, self.again), self.path, self.points_file)
        with suppress(FileNotFoundError):  # another process was faster
            if checksum(self.next_points_file) == wanted:
                self.next_points_file.replace(self.points_file)

    def write_config(self, config: ClusterConfig) -> None:
        """Writes the effective settings."""
        with atomic_write(self.config_file) as temporary:
            temporary.write_text(dump(config), encoding="utf-8")

    def write_coordinates(self, coordinates: np.ndarray) -> None:
        """Writes the clustered coordinates (n, k); the points on the map are others."""
        self._write(self.coordinates_file, coordinates)

    def write_neighbours(self, rows: np.ndarray) -> None:
        """Writes the rows of each item's nearest neighbours in mu, int32 (n, k), without the item itself."""
        self._write(self.neighbours_file, rows)

    def write_landmarks(self, rows: np.ndarray | None) -> None:
        """Writes the rows of the items that were laid out, int64, ascending; None: all were."""
        self._write(self.landmarks_file, rows)

    def write_tree(self, tree: np.ndarray | None) -> None:
        """Writes HDBSCAN's condensed tree, records of parent, child, lambda_val, child_size; None: there is none."""
        self._write(self.tree_file, tree)

    def write_network(self, arrays: Mapping[str, np.ndarray] | None) -> None:
        """Writes the layers of the network that lays items out; None: there is none."""
        if arrays is None:
            self.network_file.unlink(missing_ok=True)
            return
        with atomic_write(self.network_file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    def network(self) -> dict[str, np.ndarray] | None:
        """Returns what `write_network` wrote; None if items are not laid out by a network.

        Raises:
            RunError: the file is damaged or missing.
        """
        file, coordinates = self.network_file, self.coordinates()
        if coordinates is None or (self._expected(file) is None and not os.path.lexists(file)):
            return None
        with read_npz(file, self.again, self._expected(file)) as content:
            arrays = {name: content[name] for name in content}
            if not are_layers(arrays, coordinates.shape[1]):
                raise ValueError("its arrays are not the layers of a network for these coordinates")
        return arrays

    def coordinates(self) -> np.ndarray | None:
        """Returns the clustered coordinates, float32 (n, k), memory-mapped; None in folders without them."""
        return self._read(self.coordinates_file, are_coordinates)

    def neighbours(self) -> np.ndarray | None:
        """Returns what `write_neighbours` wrote, memory-mapped; None in folders without them."""
        return self._read(
            self.neighbours_file, lambda array, n: array.ndim == 2 and len(array) == n and are_rows(array, n)
        )

    def landmarks(self) -> np.ndarray | None:
        """Returns the rows of the items that were laid out, int64, ascending; None: all were."""
        return self._read(self.landmarks_file, are_landmarks)

    def tree(self) -> np.ndarray | None:
        """Returns HDBSCAN's condensed tree of the items that clusters were found among; None without one."""
        return self._read(self.tree_file, is_tree)

    @staticmethod
    def _write(file: Path, array: np.ndarray | None) -> None:
        if array is None:
            file.unlink(missing_ok=True)
            return
        with atomic_write(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, array)

    def _read(self, file: Path, fits: Callable[[np.ndarray, int], object]) -> np.ndarray | None:
        """Returns an array; None if there is none. `fits` says whether it can be one of n items."""
        if not os.path.lexists(file):
            return None
        array = read_npy(file, self.again, self._expected(file))
        if self.finished and not fits(array, n := self.info()["n_items"]):  # else it was written just now
            raise RunError(
                f"{file}: damaged (an array of {array.dtype} of shape {array.shape} that does not fit the "
                f"{plural(n, 'item')}); {self.again}"
            )
        return array

    def _expected(self, file: Path) -> str | None:
        return expected(self.info(), self.path, file) if self.finished else None

    def config(self) -> ResolvedClusterConfig:
        """Returns the settings of the clustering.

        Raises:
            RunError: the file is damaged, or was edited.
        """
        with damage(self.config_file, self.again):
            check_regular(self.config_file, LARGEST_YAML)
        try:
            config = validate(ResolvedClusterConfig, read_yaml(self.config_file), str(self.config_file))
        except ConfigError as error:
            raise RunError(f"{self.config_file}: damaged ({message_of(error)}); {self.again}") from None
        settings = config.model_dump(mode="json", exclude=UNCOMPARED)
        if self.finished and not _same(self.info().get("config", settings), settings):
            raise RunError(f"{self.config_file}: damaged or changed (clusters.json has other settings); {self.again}")
        return config

    def points(self) -> pa.Table:
        """Reads points.parquet: id, x, y, cluster, nearest_cluster, probability, outlier_score, label, source."""
        file, info = self.require().points_file, self.info()
        try:
            table = read_table(file, POINT_TYPES, self.again, expected(info, self.path, file))
            if problem := points_problem(table, info):
                raise RunError(f"{file}: damaged ({problem}); {self.again}")
        except RunError:
            if self.info() == info:
                raise
            return self.points()  # another process has annotated it meanwhile
        return table

    def info(self) -> ClustersInfo:
        """Reads clusters.json.

        Raises:
            RunError: the file is damaged, or a newer latentviz wrote it.
        """
        file = self.require().info_file
        info = checked(ClustersInfo, opened(read_json(file, self.again), file, self.again), file, self.again)
        if problem := clusters_problem(info):
            raise RunError(f"{file}: damaged ({problem}); {self.again}")
        run = self.run_path / "run.json"  # the clustering that a run continues has none next to it
        if run.exists() and (n := read_info(run, self.again)["summary"]["items"]) != info["n_items"]:
            raise RunError(f"{file}: damaged ({plural(info['n_items'], 'item')}, and the run has {n:,}); {self.again}")
        return info


def _same(recorded: Content, settings: Content) -> bool:
    """Whether recorded settings are these; a setting that is newer than the record had its default."""
    with suppress(ConfigError):
        return validate(ResolvedClusterConfig, recorded, "").model_dump(mode="json", exclude=UNCOMPARED) == settings
    return False


def read_info(file: Path, again: str) -> RunInfo:
    """Reads a run.json.

    Raises:
        RunError: the file is damaged, or a newer latentviz wrote it.
    """
    info = checked(RunInfo, opened(read_json(file, again), file, again), file, again)
    summary = info["summary"]
    d = summary["latent_dim"]
    if not (summary.get("content_dim", d) <= d and summary.get("given_dim", 0) <= d):
        raise RunError(f"{file}: damaged (summary: content_dim or given_dim is above latent_dim, {d}); {again}")
    return info


def free_name(parent: Path, wanted: str, instead: str = "to replace it: --force --name {}") -> str:
    """Makes a name for a new folder in `parent`: `wanted`, or the first free one of `wanted-2`, `wanted-3` and on.

    `instead` says what else the user can do about a name that is taken.
    """
    wanted = re.sub(r"[^\w-]+", "-", wanted).strip("-")[:60] or parent.name
    name, number = wanted, 1
    while os.path.lexists(parent / name):
        number += 1
        name = f"{wanted}-{number}"
    if number > 1:
        say(f"{parent.name}/{wanted} stays as it is; this one is {name} ({instead.format(wanted)})")
    return name
