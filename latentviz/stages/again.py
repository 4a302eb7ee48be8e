"""Clusters a served run again: HDBSCAN on the layout that a clustering keeps, with another smallest cluster."""

import shlex
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from latentviz.clustering.cut import nearest_clusters
from latentviz.clustering.density import hdbscan_cluster
from latentviz.clustering.description import describe, group_keywords
from latentviz.clustering.landmarks import Layout, with_repeats
from latentviz.clustering.network import Network
from latentviz.clustering.repeats import find_repeats
from latentviz.errors import ArgumentError
from latentviz.queries.lookup import Lookup
from latentviz.runs.annotations import Findings, annotated
from latentviz.runs.files import check_name
from latentviz.runs.labels import without_labels
from latentviz.serving.server import Question
from latentviz.stages.cluster import write_layout
from latentviz.stages.layout import updated
from latentviz.stages.map import draw

MOST = 200_000  # items; with more, a move of the slider takes too long
STEP = 2**0.25  # between two sizes that the page offers
SMALLEST = 5  # items


class AskAgain(Question):
    """Asks for the clusters that have at least `size` items."""

    size: Annotated[int, Field(ge=2, lt=2**53)]


class AskKeep(AskAgain):
    """Asks to keep those clusters as a clustering of this name."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class Again:
    """Clusters the items of a clustering again.

    Args:
        lookup: the run and the clustering.
    """

    def __init__(self, lookup: Lookup) -> None:
        self.lookup, self.folder = lookup, lookup.folder
        self.info = self.folder.info()
        size = self.info["settings"].get("min_cluster_size")
        hdbscan = self.info["settings"].get("method") == "hdbscan"
        self.size = size if hdbscan and isinstance(size, int) else 0  # of the smallest cluster; 0: another method
        self._layouts: dict[int, Layout] = {}

    @property
    def sizes(self) -> list[int]:
        """The sizes to choose from, ascending, with that of the clustering; none where it has no layout for HDBSCAN."""
        n, coordinates = len(self.lookup), self.folder.coordinates()
        if not self.size or n > MOST or coordinates is None or self.folder.neighbours() is None:
            return []
        if not np.isfinite(coordinates).all():
            return []
        steps = np.arange(max(1, int(np.log(n / 4 / SMALLEST) / np.log(STEP)) + 1))
        return sorted({*np.round(SMALLEST * STEP**steps).astype(int).tolist(), self.size})

    def show(self, question: AskAgain) -> Mapping[str, object]:
        """Return the new cluster of each row, and for each one the present cluster that has most of its items.

        With the present size it returns the present clusters, numbered 0, 1, …: their cut may be none of HDBSCAN's own.
        """
        self._check(question.size)
        labels = before = self.lookup.labels
        if question.size != self.size:
            labels = self._layout(question.size).clusters.labels
        numbers = np.unique(labels[labels >= 0])
        like = [int(np.bincount(before[labels == number] + 1).argmax()) - 1 for number in numbers]
        dense = np.where(labels < 0, -1, np.searchsorted(numbers, labels))
        return {
            "clusters": len(numbers),
            "noise": float((labels < 0).mean()),
            "like": like,
            "labels": dense.tolist(),
        }

    def keep(self, question: AskKeep) -> Mapping[str, object]:
        """Write them into the run as a clustering of their own, with its map; return the command that shows it."""
        self._check(question.size)
        if question.size == self.size:
            raise ArgumentError(f"size: {self.folder.name} has the clusters of {self.size}; choose another size")
        check_name("name", question.name)
        folder = self.lookup.run.clustering(question.name)
        if folder.finished:
            raise ArgumentError(f"name: the run has a clustering {question.name!r}; choose another name")
        layout, opened = self._layout(question.size), self.lookup.opened
        terms = opened.modality.terms(opened.items)
        landmarks, notes = self.folder.landmarks(), [f"clustered again from the layout of {self.folder.name}"]
        keywords = None if terms is None else group_keywords(layout, terms)
        ids = self.lookup.ids
        info = describe(layout, None, ids, None if landmarks is None else len(landmarks), notes, keywords)
        points, before = annotated(self.folder.points(), self.folder.info(), Findings(), "annotations")
        points = without_labels(points, before)
        points = points.drop_columns([name for name in ("cluster_raw",) if name in points.column_names])
        for name, values in layout.columns().items():
            points = points.set_column(points.column_names.index(name), name, [values])
        settings = {key: value for key, value in layout.clusters.settings.items() if key != "method"}
        found = {"n_clusters": "auto", "max_noise": 1.0, "merge": [], "split": [], "names": {}}
        config = updated(self.folder.config(), "cluster", **found, **settings)
        with folder.held("explore"):
            folder.begin(force=False)
            with folder.replacing():
                write_layout(folder, layout, landmarks)
                draw(folder, config.map, points, info, opened)
                folder.write(config, points, {**info, "seconds": {}})
        words = ["latentviz", "explore", str(self.lookup.run.path), "--clustering", question.name]
        return {"command": shlex.join(words)}

    def _check(self, size: int) -> None:
        sizes = self.sizes
        if not sizes:
            raise ArgumentError(
                f"size: {self.folder.name} cannot be clustered again; a clustering by hdbscan can that has its layout "
                f"and up to {MOST:,} items"
            )
        if size not in sizes:
            raise ArgumentError(f"size: must be one of {', '.join(map(str, sizes))} (got {size})")

    def _layout(self, size: int) -> Layout:
        """Return the layout with new clusters; the last few are kept."""
        if size not in self._layouts:
            while len(self._layouts) > 4:
                self._layouts.pop(next(iter(self._layouts)))
            self._layouts[size] = self._clustered(size)
        return self._layouts[size]

    def _clustered(self, size: int) -> Layout:
        places, coordinates = self.lookup.points, np.asarray(self.folder.coordinates())
        points = np.stack([places.column(axis).to_numpy() for axis in "xy"], axis=1)
        neighbours, mu = np.asarray(self.folder.neighbours()), np.asarray(self.lookup.mu)
        repeats = find_repeats(coordinates)
        counts = None if repeats is None else repeats.counts
        if repeats is not None:
            points, coordinates, mu = points[repeats.first], coordinates[repeats.first], mu[repeats.first]
            neighbours = repeats.which[neighbours[repeats.first]]
        settings = self.info["settings"]
        samples, selection = settings.get("min_samples", "auto"), str(settings.get("selection", "auto"))
        found = hdbscan_cluster(
            coordinates, min_cluster_size=size, min_samples=samples, selection=selection, counts=counts
        )
        nearest = nearest_clusters(found.labels, neighbours, mu)
        arrays = self.folder.network()
        network = None if arrays is None else Network.of_arrays(arrays, coordinates.shape[1])
        layout = Layout(points, coordinates, neighbours.astype(np.int32), found, nearest, network=network)
        return layout if repeats is None else with_repeats(layout, repeats)
