"""What the clustering of a continued run takes over from the run before: settings, cluster numbers, colours, names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from latentviz.clustering.description import given_names, names
from latentviz.clustering.landmarks import Layout, renumbered
from latentviz.clustering.matching import Earlier, Matched, match
from latentviz.config import merge
from latentviz.errors import RunError
from latentviz.progress import plural
from latentviz.runs.extension import EarlierClustering, earlier_clustering
from latentviz.runs.info import ClusterEntry, ClustersInfo, Continued, EarlierMap
from latentviz.runs.run import RunFolder

# Settings that follow from the data unless the user gives them.
FROM_DATA = {"min_cluster_size": "auto", "min_samples": "auto", "selection": "auto"}


def inherited(run: RunFolder, name: str, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the settings of the earlier clustering of this name with the overrides applied.

    A section whose method is another one now starts from the defaults. A cut that was chosen is chosen again.
    """
    folder = earlier_clustering(run, name)
    if folder is None:
        return overrides
    info, settings = folder.info(), folder.config().model_dump(mode="json")
    if info.get("sweep"):
        settings["cluster"] |= FROM_DATA
    settings["cluster"] |= {"merge": [], "split": [], "names": {}}  # they are of its numbers; names are taken over
    if info.get("n_landmarks") is None:
        settings["reduce"]["landmarks"] = "auto"
    for section in ("reduce", "cluster"):
        given, method = overrides.get(section), settings[section]["method"]
        if isinstance(given, Mapping) and given.get("method", method) != method:
            del settings[section]
    return merge(settings, overrides)


@dataclass(frozen=True)
class Previous:
    """The earlier clustering of the same name; its items are the first ones of the run."""

    folder: EarlierClustering

    @classmethod
    def of(cls, run: RunFolder, name: str) -> "Previous | None":
        """Returns that of a clustering; None if the run continues none, or that one had no clustering of the name."""
        folder = earlier_clustering(run, name)
        return None if folder is None else cls(folder)

    @cached_property
    def info(self) -> ClustersInfo:
        """Its clusters.json."""
        return self.folder.info()

    @cached_property
    def points(self) -> pa.Table:
        """Its points."""
        return self.folder.points()

    def column(self, name: str) -> np.ndarray:
        """Returns a column of its points, (m,)."""
        return np.asarray(self.points.column(name).to_numpy())

    def aligned(self, ids: Sequence[str]) -> Earlier:
        """Returns its labels and coordinates in the rows of the run's items, which are more.

        Raises:
            RunError: its items are not the first ones.
        """
        m, n, coordinates = self.points.num_rows, len(ids), self.folder.coordinates()
        if self.points.column("id").to_pylist() != list(ids[:m]) or (coordinates is not None and len(coordinates) != m):
            raise RunError(f"{self.folder.path}: damaged (it has other items than the run); {self.folder.again}")
        cluster, nearest = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
        cluster[:m], nearest[:m] = self.column("cluster"), self.column("nearest_cluster")
        if coordinates is None:
            return Earlier(cluster, nearest, None)
        placed = np.full((n, coordinates.shape[1]), np.nan, np.float32)
        placed[:m] = coordinates
        return Earlier(cluster, nearest, placed)

    @property
    def unused(self) -> int:
        """The least number that no cluster has had."""
        used = [entry["cluster"] + 1 for entry in self.info["clusters"]]
        return max([self.info["continued"]["unused"] if "continued" in self.info else 0, *used])

    def match(self, layout: Layout) -> tuple[Layout, Matched]:
        """Gives the clusters of a new layout the numbers of the earlier ones; returns also what became of those."""
        found = match(self.column("cluster"), layout.clusters.labels, self.unused)
        return renumbered(layout, found.numbers), found

    def add_to(self, info: ClustersInfo, found: Matched, layout: Layout) -> None:
        """Adds to the content of clusters.json what was taken over: colours, names, and what became of the clusters."""
        from latentviz.maps.palette import map_colours

        known = {entry["cluster"]: entry for entry in self.info["clusters"]}
        words = names(self.info["clusters"]) | given_names(self.info)
        given = colours(self.info["clusters"])
        points = np.column_stack([self.column("x"), self.column("y")])
        chosen = map_colours(points, self.column("cluster"), given)
        chosen = map_colours(layout.points, layout.clusters.labels, chosen)
        for entry in info["clusters"]:
            number = entry["cluster"]
            entry["colour"] = chosen[number]
            if number in known and number in words:
                entry["name"] = words[number]
        earlier = self.info.get("continued")
        title = self.folder.config().map.title or self.folder.run_name
        info["continued"] = Continued(
            run=self.folder.run_name,
            items=self.points.num_rows,
            kept=found.kept,
            unused=max([self.unused, *(entry["cluster"] + 1 for entry in info["clusters"])]),
            changes=found.changes,
            maps=[EarlierMap(title=title, points=self.points.num_rows), *(earlier["maps"] if earlier else [])],
        )
        info["lines"] = [*info["lines"], summary(info["continued"])]


def colours(entries: list[ClusterEntry]) -> dict[int, str]:
    """Returns the colours that clusters of a continued run have."""
    return {entry["cluster"]: entry["colour"] for entry in entries if "colour" in entry}


def summary(continued: Continued) -> str:
    """Says in one line what became of the earlier clusters."""
    counts: dict[str, int] = {}
    for change in continued["changes"]:
        counts[change["change"]] = counts.get(change["change"], 0) + 1
    kept = counts.get("kept", 0)
    before = {number for change in continued["changes"] for number in change["before"]}
    events = "".join(f", {counts[kind]} {kind}" for kind in ("split", "merged", "born", "gone") if kind in counts)
    return (
        f"Continues {continued['run']}: {kept} of its {plural(len(before), 'cluster')} "
        f"{'keeps its' if kept == 1 else 'keep their'} number, with {continued['kept']:.1%} of their items{events}"
    )
