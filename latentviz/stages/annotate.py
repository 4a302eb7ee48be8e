"""`latentviz annotate`: puts names, merges, splits, tags and notes into a clustering, and draws its map again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from latentviz.errors import DataError, RunError
from latentviz.progress import one_line, say
from latentviz.runs.annotations import (
    Annotations,
    Findings,
    annotated,
    findings,
    fingerprint,
    read_annotations,
)
from latentviz.runs.files import AnyPath
from latentviz.runs.info import ClustersInfo
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.redrawn import Redrawn


@dataclass(frozen=True)
class Annotated(Redrawn):
    """An annotated clustering: `points` has the columns edited_cluster, tags and note where there are any.

    Attributes:
        folder: the clustering.
        findings: all that it is annotated with: names, merges, splits, tags, notes.
    """

    findings: Findings

    def __str__(self) -> str:
        return f"{self.folder.path}: {self.findings}"


def annotate(run: RunFolder, source: AnyPath | Mapping[str, object], *, clustering: str) -> Annotated:
    """Annotates a clustering; tables that are given replace those of before, so that a second time changes nothing.

    Args:
        run: the run.
        source: annotations.json, or its content.
        clustering: the name of the clustering.

    Raises:
        DataError: `source` is no annotations, or belongs to another clustering.
        RunError: there is no such clustering, it is damaged, or another process writes it.
    """
    given, where = read_annotations(source)
    folder = run.clustered(clustering)
    with folder.held("annotate"):
        before, info = folder.points(), folder.info()
        check_origin(given, before, where)
        found = findings(before, info).with_given(given)
        points, info = annotated(before, info, found, where)
        folder.write_annotated(points, info)
        from latentviz.stages.map import draw

        draw(folder, folder.config().map, folder.points(), folder.info())
    return Annotated(folder, findings(points, info))


def check_origin(given: Annotations, points: pa.Table, where: str) -> None:
    """Raises a DataError if annotations were made on the map of another clustering."""
    if given.get("fingerprint", own := fingerprint(points)) == own:
        return
    made = " of ".join(one_line(given[key], 80) for key in ("clustering", "run") if key in given)
    raise DataError(
        f"{where}: fingerprint: from the map of another clustering{f', {made}' if made else ''} "
        f"(got {one_line(given['fingerprint'], 20)}); give that one, or remove fingerprint, names, merges and splits "
        "to take over tags and notes"
    )


def kept(
    folder: ClusterFolder,
    points: pa.Table,
    info: ClustersInfo,
    names: Mapping[int, str],
    continued: ClusterFolder | None,
) -> tuple[pa.Table, ClustersInfo]:
    """Returns new points and clusters.json with the annotations of the clustering that they replace or continue.

    Tags and notes stay with the items; names, merges and splits only if the clusters are the same.

    Args:
        folder: the clustering that is replaced, if it exists.
        points: the new ones.
        info: the content of the new clusters.json.
        names: those of `cluster.names`, which replace earlier ones of the same clusters.
        continued: the clustering of the run before, if it is that one; its names are taken over already.
    """
    folder = continued or folder
    try:
        if not folder.finished or "annotations" not in folder.info():
            return points, info
        old = folder.points()
        found = findings(old, folder.info())
    except RunError as error:
        say(f"  the earlier annotations are lost: {error}")
        return points, info
    if fingerprint(old) != fingerprint(points):
        tables = {"names": () if continued else found.names, "merges": found.merges, "splits": found.splits}
        if lost := [name for name, table in tables.items() if table]:
            words = " and ".join([", ".join(lost[:-1]), lost[-1]] if lost[:-1] else lost)
            say(f"  other clusters than before: tags and notes are kept, {words} are not")
        found = Findings(tags=found.tags, notes=found.notes)
    for number, name in names.items():
        if found.names.get(number, name) != name:
            say(f"  cluster {number}: the name of cluster.names replaces {one_line(found.names[number], 80)!r}")
    found = replace(found, names={number: name for number, name in found.names.items() if number not in names})
    return annotated(points, info, found, str(folder.points_file))
