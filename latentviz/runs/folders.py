"""What commands add to a run: a clustering under `clusters/<name>/`, results under `generated/<name>/` and the like."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.config import ClusterConfig, dump, read_yaml, validate
from latentviz.errors import ConfigError, RunError, WriteError
from latentviz.runs.checksums import FORMAT_VERSION, checksums, expected, opened
from latentviz.runs.files import (
    atomic_write,
    check_name,
    make_newest,
    read_json,
    read_npy,
    read_parquet,
    sweep,
    write_json,
)
from latentviz.runs.lock import held

if TYPE_CHECKING:
    from latentviz.runs.run import RunFolder


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

    run: "RunFolder"
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
            raise RunError(f"{self.run.path} has no clusters/{self.name}; run `{self._cluster}` first")
        return self

    @property
    def again(self) -> str:
        """What makes the clustering again, for messages."""
        return f"`{self._cluster} --force` makes it again"

    @property
    def _cluster(self) -> str:
        name = "" if self.name == "default" else f" --name {shlex.quote(self.name)}"
        return f"latentviz cluster {shlex.quote(str(self.run.path))}{name}"

    @contextmanager
    def held(self, work: str) -> Iterator[None]:
        """Holds the clustering while inside: a second process that wants to write it is refused.

        Raises:
            RunError: another process writes it, the message says which; or the name is no folder name.
        """
        check_name("--name", self.name)
        with held(self.run.path / f".clusters-{self.name}.lock", work, self.path):
            sweep(self.path)
            yield

    def begin(self, *, force: bool) -> None:
        """Makes the folder ready for a new clustering.

        Raises:
            RunError: the name holds a finished clustering and `force` is off, or the name is no folder name.
        """
        check_name("--name", self.name)
        if self.finished and not force:
            raise RunError(
                f"{self.path}: this clustering exists already; replace it with --force, or give the new "
                "one another name with --name NAME"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(self.path, error.strerror or str(error)) from None

    def reopen(self) -> None:
        """Marks the clustering as unfinished; called once there is something to put in the earlier one's place."""
        for file in (self.info_file, self.evaluation_file, self.evaluation_report):
            file.unlink(missing_ok=True)

    def write(self, config: ClusterConfig, points: pa.Table, info: Mapping[str, Any]) -> None:
        """Writes the effective settings, the points, and last clusters.json, which means done."""
        self.write_config(config)
        with atomic_write(self.points_file) as temporary:
            pq.write_table(points, temporary, compression="zstd")
        settings = config.model_dump(mode="json", exclude={"map"})  # the map may be drawn again with others
        written = [
            file
            for file in (
                self.points_file,
                self.coordinates_file,
                self.neighbours_file,
                self.landmarks_file,
                self.tree_file,
            )
            if file.exists()
        ]
        write_json(
            self.info_file,
            {"format_version": FORMAT_VERSION, **info, "config": settings, "checksums": checksums(self.path, written)},
            sealed=True,
        )
        make_newest(self.info_file, self.path.parent.glob("*/clusters.json"))

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
        return self._array(self.neighbours_file)

    def write_landmarks(self, rows: np.ndarray | None) -> None:
        """Writes the rows of the items that were laid out, int64, ascending; None: all were."""
        if rows is None:
            self.landmarks_file.unlink(missing_ok=True)
            return
        with atomic_write(self.landmarks_file) as temporary, temporary.open("wb") as file:
            np.save(file, rows)

    def landmarks(self) -> np.ndarray | None:
        """Returns the rows of the items that were laid out, int64, ascending; None: all were."""
        rows = self._array(self.landmarks_file)
        return None if rows is None else np.asarray(rows)

    def write_tree(self, tree: np.ndarray | None) -> None:
        """Writes HDBSCAN's condensed tree, records of parent, child, lambda_val, child_size; None: there is none."""
        if tree is None:
            self.tree_file.unlink(missing_ok=True)
            return
        with atomic_write(self.tree_file) as temporary, temporary.open("wb") as file:
            np.save(file, tree)

    def tree(self) -> np.ndarray | None:
        """Returns HDBSCAN's condensed tree with a row an item, or None for methods without one."""
        tree = self._array(self.tree_file)
        return None if tree is None else np.asarray(tree)

    def coordinates(self) -> np.ndarray | None:
        """Returns the coordinates that were clustered, float32 (n, k); None in folders that do not keep them."""
        return self._array(self.coordinates_file)

    def _array(self, file: Path) -> np.ndarray | None:
        return read_npy(file, self.again, self._expected(file)) if file.exists() else None

    def _expected(self, file: Path) -> str | None:
        return expected(self.info(), self.path, file) if self.finished else None

    def config(self) -> ClusterConfig:
        """Returns the settings this clustering was made with.

        Raises:
            RunError: the file is damaged.
        """
        try:
            config = validate(ClusterConfig, read_yaml(self.config_file), str(self.config_file))
        except ConfigError as error:
            raise RunError(f"{self.config_file}: damaged ({' '.join(str(error).split())}); {self.again}") from None
        settings = config.model_dump(mode="json", exclude={"map"})
        if self.finished and self.info().get("config", settings) != settings:
            raise RunError(f"{self.config_file}: damaged or changed (clusters.json has other settings); {self.again}")
        return config

    def points(self) -> pa.Table:
        """Returns points.parquet: id, x, y, cluster, nearest_cluster, probability, outlier_score, label, source."""
        file = self.require().points_file
        table = read_parquet(file, self.again, self._expected(file))
        if missing := {"id", "x", "y", "cluster"} - set(table.column_names):
            raise RunError(f"{file}: damaged (it has no column {', '.join(sorted(missing))}); {self.again}")
        return table

    def info(self) -> dict[str, Any]:
        """Returns clusters.json.

        Raises:
            RunError: the file is damaged, or a newer latentviz wrote it.
        """
        return opened(read_json(self.require().info_file, self.again), self.info_file, self.again)
