"""`latentviz compare`: how far two clusterings of the same items agree, what moved, and both maps side by side."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.clustering.description import cluster_names
from latentviz.display import Rows, Shown, show_page, table
from latentviz.errors import ArgumentError, DataError, RunError
from latentviz.evaluation import metrics
from latentviz.evaluation.comparison import (
    Compared,
    Moved,
    SameNeighbours,
    SideInfo,
    counterparts,
    figures,
    flow,
    has_moved,
    number,
    title,
)
from latentviz.maps.data import FILE_LIMIT, MapData
from latentviz.maps.palette import MARKED, NOISE, map_colours
from latentviz.modalities.loading import OpenRun
from latentviz.progress import one_line, plural
from latentviz.runs.files import check_name, write_json
from latentviz.runs.run import ResultFolder, RunFolder
from latentviz.stages.earlier import colours
from latentviz.stages.space import Space, read_space

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 15  # UMAP's default neighbourhood, as in `evaluate`
SAMPLED = 2_000  # items whose neighbours are compared
INSPECTED = 500  # items in common by which different data are told from the same data
LISTED = 8  # flows of moved items that are printed
COLOUR = {"moves": MARKED, "stays": NOISE}  # of the column `moved` on the maps


@dataclass(frozen=True)
class Side:
    """One of the two clusterings, with all items of its run."""

    opened: OpenRun
    space: Space
    table: pa.Table  # points.parquet
    names: Mapping[int, str]  # cluster → name
    colours: Mapping[int, str]  # cluster → "#rrggbb"

    @classmethod
    def of(cls, run: RunFolder, clustering: str) -> "Side":
        """Opens a clustering.

        Raises:
            RunError: the run or the clustering is unfinished or damaged.
        """
        opened, folder = OpenRun(run), run.clustered(clustering)
        points, info = folder.points(), folder.info()
        named = {entry["cluster"]: f"Cluster {entry['cluster']}" for entry in info["clusters"]}
        return cls(
            opened,
            read_space(opened, folder),
            points,
            named | cluster_names(points, info),
            colours(info["clusters"]),
        )

    @property
    def info(self) -> SideInfo:
        """What compared.json says of it."""
        return SideInfo(
            run=self.opened.run.name,
            path=str(self.opened.run.path),
            clustering=self.space.folder.name,
            items=self.table.num_rows,
            clusters=len(self.names),
            noise=float((self.space.labels < 0).mean()),
        )

    def ids(self) -> list[str]:
        """Returns the ids of the items."""
        found: list[str] = self.table.column("id").to_pylist()
        return found


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """How far two clusterings of the same items agree.

    Attributes:
        folder: of the result, `compared/<name>/` in the run of the first.
        info: the content of compared.json.
        table: of the items in both: id, cluster_a, cluster_b, moved.
    """

    folder: ResultFolder
    info: Compared
    table: pa.Table

    @property
    def ari(self) -> float:
        """The adjusted Rand index, noise assigned to the nearest cluster, in [−1, 1] (Hubert & Arabie 1985)."""
        return self.info["ari"]

    @property
    def nmi(self) -> float:
        """The normalised mutual information, noise assigned to the nearest cluster, in [0, 1]."""
        return self.info["nmi"]

    @property
    def moved(self) -> float:
        """The share of the items that are not in the counterpart of their cluster."""
        return self.info["moved"]["items"] / self.info["items"]

    @property
    def map(self) -> Path:
        """The page with both maps."""
        page: Path = self.folder.compare_page
        return page

    @cached_property
    def items(self) -> "pd.DataFrame":
        """The items in both: id, cluster_a, cluster_b, moved."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    @cached_property
    def flow(self) -> "pd.DataFrame":
        """How many items are in each cluster of the first and each of the second: cluster_a, cluster_b, items."""
        import pandas as pd

        return pd.DataFrame(self.info["flow"])

    def show(self) -> None:
        """Shows both maps: in a notebook below the cell, else in the browser."""
        show_page(self.map, "latentviz comparison")

    def __str__(self) -> str:
        return table([*self._shown()[1], *self._moves()])

    def _shown(self) -> tuple[str, Rows]:
        a, b = self.info["a"], self.info["b"]
        return f"Comparison of {title(a)} with {title(b)}", figures(self.info)

    def _moves(self) -> Rows:
        flow = [row for row in self.info["flow"] if row["moved"]]
        rows: Rows = [
            (f"{number(row['cluster_a'])} → {number(row['cluster_b'])}", plural(row["items"], "item"))
            for row in flow[:LISTED]
        ]
        if len(flow) > LISTED:
            rows = [*rows, (f"{LISTED} of {len(flow)} flows", f"all in {self.folder.compared_file} and on the page")]
        return rows


def compare(
    first: RunFolder,
    second: RunFolder,
    clusterings: Sequence[str] = ("default", "default"),
    *,
    name: str | None = None,
    force: bool = False,
) -> Comparison:
    """Compares two clusterings of one run, or of two runs over the same items, and writes `compared/<name>/`.

    `verbs.compare` says what each option does.

    Raises:
        LatentvizError: a run or clustering is unfinished, both are the same, or they have no items in common.
    """
    if len(clusterings) != 2:
        raise ArgumentError(f"--clusterings: must be two names, of A and of B (got {len(clusterings)})")
    for clustering in clusterings:
        check_name("--clusterings", clustering)
    if clusterings[0] == clusterings[1] and first.path.resolve() == second.path.resolve():
        raise RunError(_twice(first, clusterings[0]))
    a, b = (Side.of(run, clustering) for run, clustering in zip((first, second), clusterings, strict=True))
    rows = common(a, b)
    (in_a, near_a), (in_b, near_b) = (
        (side.space.labels[own], side.space.nearest[own]) for side, own in zip((a, b), rows, strict=True)
    )
    matched = counterparts(in_a, in_b)
    moved = has_moved(in_a, in_b, matched)
    scores = metrics.agreement(near_a, near_b)
    items = pa.table(
        {"id": pa.array(a.ids(), pa.string()).take(pa.array(rows[0])), "cluster_a": in_a, "cluster_b": in_b}
        | {"moved": moved}
    )
    default = f"{clusterings[0]}-{clusterings[1]}" if a.opened.run.path == b.opened.run.path else second.name
    with first.adding("compared", name, default, force=force) as folder:
        info = Compared(
            a=a.info,
            b=b.info,
            items=len(moved),
            ari=scores.ari,
            nmi=scores.nmi,
            moved=Moved(
                items=int(moved.sum()),
                between_clusters=int((moved & (in_a >= 0) & (in_b >= 0)).sum()),
                into_noise=int((moved & (in_b < 0)).sum()),
                out_of_noise=int((moved & (in_a < 0)).sum()),
            ),
            neighbours=neighbours(a, b, rows),
            matched=sorted(matched.items()),
            flow=flow(in_a, in_b, moved),
            files=[folder.compare_page.name, folder.compared_items.name],
        )
        draw(folder.compare_page, a, b, rows, matched, moved, info)
        pq.write_table(items, folder.compared_items, compression="zstd")
        write_json(folder.compared_file, info)
        return Comparison(folder.final, info, items)


def _twice(run: RunFolder, name: str) -> str:
    """Says that a clustering was to be compared with itself, and with what it can be.

    Raises:
        RunError: the run is unfinished, or has neither this clustering nor two others.
    """
    run.require(run.info_file)
    known = run.clusterings
    if len(known) < 2:
        run.clustered(name)
        again = shlex.join(["latentviz", "cluster", str(run.path), "--name", f"{name}-again", "seed_everything=1"])
        return f"{run.path}: {name} is given twice, and the run has no other clustering; make one with `{again}`"
    first = name if name in known else known[-1]
    second = next(other for other in known if other != first)
    command = shlex.join(["latentviz", "compare", str(run.path), "--clusterings", first, second])
    return f"{run.path}: {name} is given twice; name two of its clusterings ({', '.join(known)}), as in `{command}`"


def common(a: Side, b: Side) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows, int64 (m,) each, of the items that both have, in the order of the first.

    Raises:
        DataError: there are fewer than two, or they are other items under the same ids.
    """
    ids, row_of = a.ids(), {item: row for row, item in enumerate(b.ids())}
    pairs = np.array([(row, row_of[item]) for row, item in enumerate(ids) if item in row_of], np.int64).reshape(-1, 2)
    where = f"{a.opened.run.path} and {b.opened.run.path}"
    advice = "compare runs on the same data"
    if len(pairs) < 2:
        one, other = (one_line(next(iter(side)), 40) for side in (ids, row_of))
        raise DataError(
            f"{where}: {plural(len(pairs), 'item')} in common; two or more must have the same id (got {one!r}, … and "
            f"{other!r}, …); {advice}"
        )
    if not same_items(a, b, pairs):
        raise DataError(f"{where}: different data: the same ids stand for other items; {advice}")
    return pairs[:, 0], pairs[:, 1]


def same_items(a: Side, b: Side, pairs: np.ndarray) -> bool:
    """Whether items with the same id, rows int64 (m, 2), are the same items, as far as what the runs hold tells.

    Where the data's fingerprints differ, most texts must be the same, or most images, or else most labels.
    """
    one, other = a.opened, b.opened
    if one.info.get("fingerprint") == other.info.get("fingerprint") or one.info["kind"] != other.info["kind"]:
        return True
    seen = pairs[metrics.sample(len(pairs), INSPECTED, seed=0)].tolist()
    if one.on_map.texts is not None and other.on_map.texts is not None:
        same = [one.on_map.texts[i] == other.on_map.texts[j] for i, j in seen]
    elif (
        one.on_map.images is not None
        and other.on_map.images is not None
        and one.on_map.images.shape[1:] == other.on_map.images.shape[1:]
    ):
        same = [np.array_equal(one.on_map.images[i], other.on_map.images[j]) for i, j in seen]
    else:
        labels = [side.table.column("label").to_pylist() for side in (a, b)]
        known = [(labels[0][i], labels[1][j]) for i, j in seen]
        same = [x == y for x, y in known if x is not None and y is not None]
    return not same or sum(same) > len(same) / 2


def neighbours(a: Side, b: Side, rows: tuple[np.ndarray, np.ndarray]) -> SameNeighbours | None:
    """Measures how many of an item's nearest items are the same in both mu, and on both maps.

    Items without a place on one of the maps are left out.
    """
    (map_a, map_b), (mu_a, mu_b) = (
        [getattr(side.space, name)[own] for side, own in zip((a, b), rows, strict=True)]
        for name in ("points", "vectors")
    )
    placed = np.flatnonzero(np.isfinite(np.hstack([map_a, map_b])).all(axis=1))
    k = min(NEIGHBOURS, max(1, (len(placed) - 1) // 3))
    if len(placed) <= k:
        return None
    asked = metrics.sample(len(placed), SAMPLED, seed=0)
    one_mu = mu_a.shape == mu_b.shape and np.array_equal(mu_a, mu_b)
    return SameNeighbours(
        k=k,
        items=len(asked),
        in_mu=None if one_mu else metrics.neighbourhoods(mu_a[placed], mu_b[placed], k, asked).overlap,
        on_map=None
        if np.array_equal(map_a, map_b, equal_nan=True)
        else metrics.neighbourhoods(map_a[placed], map_b[placed], k, asked).overlap,
        by_chance=k / (len(placed) - 1),
    )


def draw(
    page: Path,
    a: Side,
    b: Side,
    rows: tuple[np.ndarray, np.ndarray],
    matched: Mapping[int, int],
    moved: np.ndarray,
    info: Compared,
) -> None:
    """Writes the page: both maps of the items in both, in which matched clusters have the same colour."""
    from latentviz.maps.compare import write_comparison

    ours = map_colours(a.space.points[rows[0]], a.space.labels[rows[0]], a.colours)
    taken = {matched[number]: colour for number, colour in ours.items() if number in matched}
    theirs = map_colours(b.space.points[rows[1]], b.space.labels[rows[1]], taken)
    both = [("A", a, rows[0], ours), ("B", b, rows[1], theirs)]
    columns: dict[str, Sequence[object]] = {}
    shades: dict[str, Mapping[str, str]] = {}
    for letter, side, own, dyes in both:
        called = unique_names(side.names) | {-1: "Noise"}
        columns[f"cluster in {letter}"] = [called[cluster] for cluster in side.space.labels[own].tolist()]
        shades[f"cluster in {letter}"] = {called[cluster]: dye for cluster, dye in dyes.items()} | {"Noise": NOISE}
    columns["moved"] = ["moves" if gone else "stays" for gone in moved.tolist()]
    shades["moved"] = COLOUR
    left, right = (
        replace(
            _map_data(side, own),
            title=f"{letter}: {title(side.info)}",
            cluster_colours=dyes,
            columns=columns,
            column_colours=shades,
        )
        for letter, side, own, dyes in both
    )
    write_comparison(page, left, right, figures=[(name, str(value)) for name, value in figures(info)], matched=matched)


def unique_names(names: Mapping[int, str]) -> dict[int, str]:
    """Adds the number to names that several clusters have, or that noise has.

    >>> unique_names({0: "cats", 1: "dogs", 2: "cats"})
    {0: 'cats (0)', 1: 'dogs', 2: 'cats (2)'}
    """
    given = [*names.values(), "Noise"]
    return {number: f"{name} ({number})" if given.count(name) > 1 else name for number, name in names.items()}


def _map_data(side: Side, rows: np.ndarray) -> MapData:
    """Returns what the map of these items of a side shows, apart from the comparison."""
    table, shown = side.table.take(pa.array(rows)), side.opened.on_map
    whole = len(rows) == side.table.num_rows and bool((np.diff(rows) == 1).all())
    labels = table.column("label").to_pylist()
    return MapData(
        ids=table.column("id").to_pylist(),
        points=side.space.points[rows],
        cluster=side.space.labels[rows],
        nearest_cluster=side.space.nearest[rows],
        probability=table.column("probability").to_numpy(),
        outlier_score=table.column("outlier_score").to_numpy(),
        labels=labels if any(label is not None for label in labels) else None,
        sources=table.column("source").to_pylist(),
        cluster_names=side.names,
        neighbours=side.space.folder.neighbours() if whole else None,
        texts=None if shown.texts is None else [shown.texts[row] for row in rows.tolist()],
        images=shown.images if whole or shown.images is None else shown.images[rows],
        file_limit=FILE_LIMIT // 2,
    )
