"""`latentviz label`: asks for the labels that help most, and spreads a few labels to all items of a clustering."""

import csv
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from latentviz.clustering.description import cluster_names
from latentviz.clustering.labelling import Known, Labelling, ask
from latentviz.clustering.neighbors import neighbours
from latentviz.display import columns
from latentviz.errors import ArgumentError, DataError
from latentviz.modalities.io.labels import given_labels, read_pairs
from latentviz.modalities.joint.config import ResolvedJointConfig
from latentviz.progress import one_line, plural
from latentviz.queries.lookup import Lookup
from latentviz.runs.files import AnyPath, write_json
from latentviz.runs.info import LabelledInfo
from latentviz.runs.labels import labelled
from latentviz.runs.run import ClusterFolder, ResultFolder, RunFolder
from latentviz.stages.map import SHOWN_NEIGHBOURS, draw
from latentviz.stages.redrawn import Redrawn

UNSURE = 0.5


@dataclass(frozen=True)
class Asked:
    """The items whose labels help most.

    Attributes:
        folder: `labelled/<name>/` in the run.
        rows: id, cluster and hint of each item, the most useful first.
        files: the sheet of the items, in `folder`.
    """

    folder: ResultFolder
    rows: Sequence[Mapping[str, object]]
    files: Sequence[str]

    @property
    def ids(self) -> list[str]:
        """The ids, the most useful first."""
        return [str(row["id"]) for row in self.rows]

    @property
    def table(self) -> Path:
        """The table to fill in, labels.csv."""
        file: Path = self.folder.labels_file
        return file

    def __str__(self) -> str:
        """The table that the shell prints."""
        return columns(self.rows, ("id", "cluster", "hint"), set())


@dataclass(frozen=True)
class Labelled(Redrawn):
    """A clustering with a predicted label for each item, in the columns label_predicted and label_probability.

    Attributes:
        folder: the clustering.
        info: how many labels were given, the method, and its estimated accuracy.
        unsure: how many items have a predicted label of probability below .5.
    """

    info: LabelledInfo
    unsure: int

    def __str__(self) -> str:
        info = self.info
        accuracy = "cannot be estimated, because no label could be left out"
        if info["accuracy"] is not None:
            accuracy = f"{info['accuracy']:.1%} of {plural(info['tested'], 'label')} left out"
            if "bare_clusters" in info and info["tested"] < info["given"]:
                accuracy += f", of {info['given']:,}; the others are the only ones of their class"
        lines = [
            f"labels       {info['given']:,} given, of {plural(info['classes'], 'class', 'classes')}",
            f"method       {METHODS[info['method']]}",
            f"accuracy     {accuracy}",
            f"unsure       {plural(self.unsure, 'item')} with a probability below {UNSURE}",
        ]
        if clusters := info.get("bare_clusters"):
            lines.append(
                f"guessed      {plural(clusters, 'cluster')} of {plural(info['bare_items'], 'item')} without any label "
                f"given, after the nearest others; --ask {clusters} asks for one of each"
            )
        return "\n".join(lines)


METHODS = {
    "vote": "vote by cluster",
    "spreading": "label spreading on the neighbour graph of mu",
    "head": "decoder of labels, trained with them",
}


def label(
    run: RunFolder,
    labels: AnyPath | Mapping[str, str] | None,
    *,
    ask: int | None,
    clustering: str,
    name: str | None,
    force: bool,
) -> Asked | Labelled:
    """Asks for labels or spreads them; `verbs.label` says what each option does.

    Raises:
        LatentvizError: the labels do not fit the run, or a setting is out of range.
    """
    if ask is None:
        if labels is None:
            return _learnt(run, clustering)
        return _spread(run, labels, clustering)
    return _ask(run, labels, ask, clustering, name, force=force)


def _spread(run: RunFolder, labels: AnyPath | Mapping[str, str], clustering: str) -> Labelled:
    folder = run.clustered(clustering)
    with folder.held("label"):
        lookup = Lookup(run, clustering)
        given, where = read_labels(labels, lookup)
        words = classes_of(given, where)
        labelling, known = _labelling(lookup, given, words)
        predicted = labelling.predict(known)
        clusters, items = labelling.bare(known)
        info = LabelledInfo(
            given=len(given),
            classes=len(words),
            method=predicted.method,
            accuracy=predicted.accuracy,
            tested=predicted.tested,
            bare_clusters=clusters,
            bare_items=items,
        )
        return _written(folder, lookup, words, predicted.codes, predicted.probability, info)


def _learnt(run: RunFolder, clustering: str) -> Labelled:
    """Predict from the labels that a run has learnt.

    By the decoder of labels, or by spreading them on the graph of the items' μ without labels: what is right for more
    of the held-out labels, else spreading.
    """
    from latentviz.modalities.joint.head import by_head
    from latentviz.modalities.joint.kind import JointKind

    folder = run.clustered(clustering)
    lookup = Lookup(run, clustering)
    config = lookup.opened.config
    if not isinstance(config, ResolvedJointConfig) or "label" not in config.data.parts:
        raise ArgumentError(
            "label: nothing to do (got neither LABELS nor --ask), and this run has learnt no labels; give one of them"
        )
    with folder.held("label"):
        kind = lookup.model.kind
        assert isinstance(kind, JointKind)
        found = by_head(kind, lookup.model.vae, lookup.mu)
        mu, rows, classes = (
            found.mu[:, : lookup.opened.content_dim],
            np.flatnonzero(found.given >= 0),
            kind.layout.labels,
        )
        near = neighbours(mu, min(SHOWN_NEIGHBOURS + 1, len(mu))).indices[:, 1:]
        labelling = Labelling(mu, lookup.points.column("nearest_cluster").to_numpy(), near)
        known, out = Known(rows, found.given[rows], len(classes)), found.held_out[rows]
        out = out & ~out.all()  # without a label that was trained on, none can be left out
        ways: dict[Literal["head", "spreading"], Callable[[Known], np.ndarray]] = {
            "head": lambda _: found.probability,
            "spreading": labelling.spread,
        }
        right = {
            name: int((way(known.part(~out))[rows[out]].argmax(axis=1) == known.codes[out]).sum())
            for name, way in ways.items()
        }
        method: Literal["head", "spreading"] = "head" if right["head"] > right["spreading"] else "spreading"
        shares = ways[method](known)
        codes = shares.argmax(axis=1)
        codes[rows] = known.codes
        probability = shares[np.arange(len(codes)), codes].astype(np.float32)
        probability[rows] = 1
        tested = int(out.sum())
        info = LabelledInfo(
            given=len(rows),
            classes=len(classes),
            method=method,
            accuracy=right[method] / tested if tested else None,
            tested=tested,
        )
        return _written(folder, lookup, classes, codes, probability, info)


def _written(
    folder: ClusterFolder,
    lookup: Lookup,
    words: Sequence[str],
    codes: np.ndarray,
    probability: np.ndarray,
    info: LabelledInfo,
) -> Labelled:
    """Write the columns, and draw the map again."""
    table = pa.table({"label_predicted": pa.array(words).take(codes), "label_probability": probability})
    folder.write_annotated(*labelled(folder.points(), folder.info(), table, info))
    draw(folder, folder.config().map, folder.points(), folder.info(), lookup.opened)
    return Labelled(folder, info, int((probability < UNSURE).sum()))


def _labelling(lookup: Lookup, given: Mapping[int, str], words: Sequence[str]) -> tuple[Labelling, Known]:
    rows = sorted(given)
    code = {word: number for number, word in enumerate(words)}
    known = Known(np.array(rows, np.int64), np.array([code[given[row]] for row in rows], np.int64), len(words))
    nearest = lookup.points.column("nearest_cluster").to_numpy()
    return Labelling(_mu(lookup), nearest, _neighbours(lookup)), known


def _mu(lookup: Lookup) -> np.ndarray:
    return np.asarray(lookup.mu[:, : lookup.opened.content_dim])


def _neighbours(lookup: Lookup) -> np.ndarray:
    stored = lookup.folder.neighbours()
    if stored is not None:
        return np.asarray(stored)
    mu = _mu(lookup)
    return neighbours(mu, min(SHOWN_NEIGHBOURS + 1, len(mu))).indices[:, 1:]


def _ask(
    run: RunFolder,
    labels: AnyPath | Mapping[str, str] | None,
    k: int,
    clustering: str,
    name: str | None,
    *,
    force: bool,
) -> Asked:
    lookup = Lookup(run, clustering)
    lookup.folder.require()
    given, where = ({}, "") if labels is None else read_labels(labels, lookup)
    most = len(lookup) - len(given)
    if not 1 <= k <= most:
        raise ArgumentError(f"--ask: must be 1 to {most:,}, the number of items without a label (got {k})")
    probability: np.ndarray | None = None
    if given:
        labelling, known = _labelling(lookup, given, classes_of(given, where))
        probability = labelling.spread(known)  # votes are equal within a cluster
    rows = ask(k, _mu(lookup), lookup.labels, _neighbours(lookup), sorted(given), probability)
    names = cluster_names(lookup.points, lookup.folder.info())
    table = [
        {
            "id": lookup.ids[row],
            "label": given.get(row, ""),
            "cluster": int(lookup.labels[row]),
            "hint": names.get(int(lookup.labels[row]), ""),
        }
        for row in [*rows, *sorted(given)]
    ]
    with run.adding("labelled", name, f"ask-{k}", force=force) as result:
        files = lookup.show.draw_sheet(
            result.path, [(lookup.ids[row], [shown]) for row, shown in zip(rows, lookup.given(rows), strict=True)]
        )
        with result.labels_file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            writer = csv.DictWriter(stream, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        write_json(
            result.asked_file, {"clustering": clustering, "files": files, "asked": [lookup.ids[row] for row in rows]}
        )
    return Asked(result.final, table[: len(rows)], files)


def read_labels(source: AnyPath | Mapping[str, str], lookup: Lookup) -> tuple[dict[int, str], str]:
    """Reads labels from a table or a mapping of ids; returns row → label, and what messages call their source.

    Raises:
        DataError: there is no column of ids or of labels, an id is unknown, or an item has two labels.
    """
    if isinstance(source, Mapping):
        where, pairs = "labels", [(str(key), str(value)) for key, value in source.items()]
    else:
        where = str(source)
        pairs = read_pairs(where, where, _command(lookup, "--ask", "20"))
    return given_labels(pairs, lookup.ids, where, lookup.run.name), where


def classes_of(given: Mapping[int, str], where: str) -> list[str]:
    """Returns the different labels, sorted; raises a DataError if there are fewer than two labels or classes."""
    words = sorted(set(given.values()))
    if len(words) < 2:
        got = plural(len(given), "label") + (f", all {one_line(words[0], 40)!r}" if len(given) > 1 else "")
        raise DataError(f"{where}: needs labels of two classes or more (got {got}); fill in the column label")
    return words


def _command(lookup: Lookup, *words: str) -> str:
    name = [] if lookup.clustering == "default" else ["--clustering", lookup.clustering]
    return shlex.join(["latentviz", "label", str(lookup.run.path), *words, *name])
