"""New items on an existing map: encode to mu, place among the fitted items, flag what is unlike the training data."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.clustering.description import cluster_names
from latentviz.clustering.landmarks import BATCH, FrozenLayout
from latentviz.clustering.neighbors import nearest
from latentviz.clustering.network import Network
from latentviz.clustering.reducers import directions
from latentviz.clustering.repeats import find_repeats
from latentviz.display import LISTED, Rows, Shown, html_map, show_page
from latentviz.errors import RunError
from latentviz.modalities.io.memory import index_of, named
from latentviz.modalities.sources import run_name
from latentviz.model.encoding import posteriors
from latentviz.progress import plural, say, stage, warn
from latentviz.queries.lookup import Lookup
from latentviz.runs.files import unique_ids, write_json
from latentviz.runs.items import ITEM_COLUMNS, Items, indexed, own_names
from latentviz.runs.run import ResultFolder, RunFolder
from latentviz.stages.earlier import colours

if TYPE_CHECKING:
    import pandas as pd

UNLIKE_SHARE = 0.001  # of items like those fitted that are flagged as unlike them, as far as the reference allows
REFERENCE = 2_000  # validation items that the thresholds are taken from, at most


@dataclass(frozen=True)
class Thresholds:
    """Limits beyond which an item is unlike the training data, taken from the validation items."""

    log_likelihood: float  # nats
    distance: float  # to the nearest training item's mu
    items: int  # number of validation items
    share: float = 0.0  # of new items like the validation items that are beyond one of the two, at most, in expectation

    def as_json(self) -> dict[str, object]:
        """Return the entries of encode.json."""
        meaning = (
            f"unlike: log-likelihood below {self.log_likelihood:.1f} nats, or mu farther than {self.distance:.3g} from "
            f"that of every fitted item; expected of at most {self.share:.2%} of items like the "
            f"{plural(self.items, 'validation item')}"
        )
        return {
            "log_likelihood": self.log_likelihood if np.isfinite(self.log_likelihood) else None,
            "distance": self.distance if np.isfinite(self.distance) else None,
            "validation_items": self.items,
            "share": self.share,
            "meaning": meaning if self.items else "unlike: unknown, since the run has no validation items",
        }


@dataclass(frozen=True, repr=False)
class Encoded(Shown):
    """New items, encoded and placed on the map.

    Attributes:
        folder: where the tables and the map are.
        data: what was encoded.
        clustering: the name of the clustering.
        bad_items: number of items that could not be read.
        thresholds: of the flag `unlike`.
        seconds: per step.
        table: the new points: the columns of a clustering, and log_likelihood, distance, unlike.
        index: of the DataFrame that the items come from; None if they come from elsewhere.
    """

    folder: ResultFolder
    data: str
    clustering: str
    bad_items: int
    thresholds: Thresholds
    seconds: Mapping[str, float]
    table: pa.Table
    index: pa.Table | None = None

    @property
    def info(self) -> dict[str, object]:
        """The content of encode.json."""
        cluster = self.table.column("cluster").to_numpy()
        numbers, sizes = np.unique(cluster[cluster >= 0], return_counts=True)
        return {
            "data": named(self.data),
            "clustering": self.clustering,
            "items": len(cluster),
            "noise": int((cluster < 0).sum()),
            "unlike": _count(self.table.column("unlike")),
            "clusters": {str(number): int(size) for number, size in zip(numbers, sizes, strict=True)},
            "thresholds": self.thresholds.as_json(),
            "bad_items": self.bad_items,
            "seconds": dict(self.seconds),
        }

    @cached_property
    def points(self) -> "pd.DataFrame":
        """The table as a data frame, indexed as that of the items."""
        return indexed(self.table, self.index)

    @cached_property
    def mu(self) -> np.ndarray:
        """The posterior means, float32 (m, d)."""
        return np.asarray(np.load(self.folder.mu_file, allow_pickle=False))

    @property
    def map(self) -> Path:
        """The HTML map of the new points over the old."""
        return Path(self.folder.map_file)

    def show(self) -> None:
        """Shows the whole map: in a notebook below the cell, else in the browser."""
        show_page(self.map, "latentviz map")

    def _shown(self) -> tuple[str, Rows]:
        info = self.info
        clusters = info["clusters"]
        assert isinstance(clusters, dict)
        shown = [(f"cluster {number}", f"{size:,}") for number, size in list(clusters.items())[:LISTED]]
        if (more := len(clusters) - len(shown)) > 0:
            shown.append((f"{more:,} more", "encoded.points"))
        left = [("left out, unreadable", f"{self.bad_items:,}")] if self.bad_items else []
        names = {"items": "items", "noise": "noise", "unlike": "unlike the training data"}
        return f"Encoded: {self.folder.path.name}", [
            ("clustering", self.clustering),
            *((name, f"{info[key]:,}") for key, name in names.items()),
            *left,
            *shown,
            ("map", self.map),
        ]

    def _repr_html_(self) -> str:
        """Return the map, if it is small, and the table."""
        return html_map(self.map) + Shown._repr_html_(self)


class Frozen:
    """The clustering of a lookup, with new mu to be placed in it, among its landmarks if it has any."""

    def __init__(self, lookup: Lookup) -> None:
        self.config, folder = lookup.folder.config(), lookup.folder
        self.dims = lookup.mu.shape[1]
        if self.config.cluster.on == "mu":
            self.dims = lookup.opened.content_dim
        self.table = lookup.points
        coordinates, self.landmarks = folder.coordinates(), folder.landmarks()
        if coordinates is None:
            raise RunError(f"{folder.path} has no {folder.coordinates_file.name}; {folder.again}")
        if not self.table.num_rows == len(coordinates) == len(lookup.mu):
            raise RunError(
                f"{folder.path}: damaged (its tables differ in length); `latentviz cluster` makes it again with --force"
            )
        kept = np.arange(len(coordinates)) if self.landmarks is None else self.landmarks
        vectors = self.vectors(np.asarray(lookup.mu[kept]))
        if (repeats := find_repeats(vectors)) is not None:  # else all neighbours of a new item could be one item
            kept, vectors = kept[repeats.first], vectors[repeats.first]
        points = np.stack([self.column("x"), self.column("y")], axis=1).astype(np.float32)
        names = ("cluster", "nearest_cluster", "probability", "outlier_score")
        arrays = folder.network()
        network = None if arrays is None else Network.of_arrays(arrays, coordinates.shape[1])
        if network is not None and network.layers[0][0].shape[0] != vectors.shape[1]:
            raise RunError(f"{folder.network_file}: damaged (it is for other dimensions of mu); {folder.again}")
        self.layout = FrozenLayout(
            vectors,
            points[kept],
            np.asarray(coordinates[kept]),
            {name: self.column(name)[kept] for name in names},
            int(folder.info()["settings"].get("min_samples", 0)),
            quick=self.landmarks is not None or network is not None,
            network=network,
        )

    def column(self, name: str) -> np.ndarray:
        """Return a column of the points, (n,)."""
        return np.asarray(self.table.column(name).to_numpy())

    def vectors(self, mu: np.ndarray) -> np.ndarray:
        """Return the clustered dimensions of mu, scaled as for the layout, float32 (n, ≤ d)."""
        return directions(np.ascontiguousarray(mu[:, : self.dims]), self.config.reduce.metric)

    def place(self, mu: np.ndarray) -> dict[str, np.ndarray]:
        """Return x, y, cluster, nearest_cluster, probability, outlier_score and distance of new mu (m, d)."""
        parts = []
        for start in range(0, max(1, len(mu)), BATCH):
            place, found = self.layout.place(self.vectors(mu[start : start + BATCH]))
            points = found.pop("points")
            del found["coordinates"]
            parts.append({"x": points[:, 0], "y": points[:, 1], **found, "distance": place.distances[:, 0]})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def thresholds(lookup: Lookup, frozen: Frozen) -> Thresholds:
    """Measure the thresholds of a run; without validation items, no item is unlike."""
    rows = lookup.items.val
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, REFERENCE).astype(np.int64))] if len(rows) else rows
    if not len(rows):
        return Thresholds(-np.inf, np.inf, 0)
    vae, kind = lookup.model.vae, lookup.model.kind
    stored = kind.dataset().__getitems__(rows.tolist()).numpy()
    likelihood = posteriors(vae, stored, kind.to_input).log_likelihood
    train = lookup.items.train
    if frozen.landmarks is not None:
        train = np.intersect1d(train, frozen.landmarks, assume_unique=True)
    distance = nearest(frozen.vectors(lookup.mu[rows]), frozen.vectors(lookup.mu[train]), 1).distances[:, 0]
    return calibrated(likelihood, distance)


def calibrated(log_likelihood: np.ndarray, distance: np.ndarray) -> Thresholds:
    """Return thresholds from those of m validation items, (m,) each.

    A further item of the same distribution is beyond the k-th most extreme of m with a probability of k/(m + 1), and
    beyond no finite threshold with a smaller one than 1/(m + 1) (Vovk et al. 2005, conformal prediction). Each of the
    two takes half of `UNLIKE_SHARE`, or that least probability.
    """
    m = len(distance)
    k = max(1, int(UNLIKE_SHARE / 2 * (m + 1)))
    lowest, farthest = np.partition(log_likelihood, k - 1)[k - 1], np.partition(distance, m - k)[m - k]
    return Thresholds(float(lowest), float(farthest), m, min(1.0, 2 * k / (m + 1)))


def encode(
    run: RunFolder, data: str, *, clustering: str = "default", name: str | None = None, force: bool = False
) -> Encoded:
    """Place new data on a map, and write `encoded/<name>/`: points.parquet, mu.npy, logvar.npy, map.html.

    `verbs.encode` says what each option does.

    Raises:
        LatentvizError: the data cannot be read, or the run has no such clustering.
    """
    seconds: dict[str, float] = {}
    lookup = Lookup(run, clustering)
    frozen = Frozen(lookup)
    with run.adding("encoded", name, run_name(data), force=force) as folder:
        with stage("reading", seconds):
            prepared, stored = lookup.opened.modality.new.read_items(
                data, lookup.opened.config, folder.cache, run.cache
            )
        for note in prepared.notes:
            say(f"  {note}")
        for bad in prepared.bad:
            warn(f"left out: {bad.source}: {bad.reason}")
        with stage("encoding", seconds):
            latents = posteriors(lookup.model.vae, stored, lookup.model.kind.to_input)
            limits = thresholds(lookup, frozen)
        with stage("placing", seconds):
            found = frozen.place(latents.mu)
        unlike = (latents.log_likelihood < limits.log_likelihood) | (found["distance"] > limits.distance)
        index = index_of(data, prepared.items.column("source"))
        table = points_table(prepared.items, {**found, "log_likelihood": latents.log_likelihood, "unlike": unlike})
        np.save(folder.mu_file, latents.mu)
        np.save(folder.logvar_file, latents.logvar)
        pq.write_table(table, folder.points_file, compression="zstd")
        with stage("drawing the map", seconds):
            draw_map(lookup, frozen, table, prepared.items, folder)
        shutil.rmtree(folder.cache)
        encoded = Encoded(folder.final, data, clustering, len(prepared.bad), limits, seconds, table, index)
        write_json(folder.encode_file, encoded.info)
    return encoded


def points_table(items: Items, found: Mapping[str, np.ndarray]) -> pa.Table:
    """Return the table that `cluster` writes, with log_likelihood, distance and unlike."""
    names = [name for name in items.table.column_names if name not in ITEM_COLUMNS]
    own = {kept: items.table.column(name) for name, kept in own_names(names).items()}
    return pa.table(
        {
            "id": items.table.column("id"),
            **found,
            "label": items.table.column("label"),
            "source": items.table.column("source"),
            **own,
        }
    )


def _count(flags: pa.ChunkedArray) -> int:
    return int(flags.to_numpy(zero_copy_only=False).sum())


def draw_map(lookup: Lookup, frozen: Frozen, table: pa.Table, items: Items, folder: ResultFolder) -> None:
    """Write the map of the new points over the old ones, coloured by which are new."""
    from latentviz.maps import write_map
    from latentviz.maps.data import MapData
    from latentviz.maps.palette import MARKED, NOISE

    old, n, m = frozen.table, frozen.table.num_rows, table.num_rows

    def both(name: str) -> np.ndarray:
        return np.concatenate([frozen.column(name), table.column(name).to_numpy()])

    shown, fresh = lookup.opened.on_map, lookup.opened.modality.on_map(folder.cache)
    labels, entries = old.column("label").to_pylist() + items.column("label"), lookup.folder.info()["clusters"]
    images = shown.images
    if images is not None:  # new items without an image get a black one
        new = np.zeros((m, *images.shape[1:]), images.dtype) if fresh.images is None else fresh.images
        images = np.concatenate([images, new])
    data = MapData(
        ids=unique_ids([*old.column("id").to_pylist(), *items.column("id")]),
        points=np.stack([both("x"), both("y")], axis=1),
        cluster=both("cluster"),
        nearest_cluster=both("nearest_cluster"),
        probability=both("probability"),
        outlier_score=both("outlier_score"),
        labels=labels if any(label is not None for label in labels) else None,
        sources=[*old.column("source").to_pylist(), *items.column("source")],
        columns={
            "new": ["fitted"] * n + ["new"] * m,
            "unlike": [None] * n + ["yes" if flag else "no" for flag in table.column("unlike").to_pylist()],
            "log_likelihood": [None] * n + table.column("log_likelihood").to_pylist(),
        },
        column_colours={"new": {"fitted": NOISE, "new": MARKED}},
        cluster_names=cluster_names(old, lookup.folder.info()),
        cluster_colours=colours(entries),
        title=f"{lookup.run.name}: {folder.final.path.name}",
        summary=[
            f"{plural(m, 'new item')} over {n:,} fitted ones",
            f"unlike the training data: {_count(table.column('unlike')):,}",
        ],
        texts=None if shown.texts is None else [*shown.texts, *(fresh.texts or [""] * m)],
        images=images,
    )
    write_map(folder.map_file, data, options={"colour_by": "new"})
