"""What a run and a clustering show of themselves: a small table, or an entry of a list. Does not import torch."""

from datetime import datetime
from pathlib import Path
from typing import Required

from typing_extensions import TypedDict

from latentviz.clustering.description import cluster_names
from latentviz.display import LISTED, Rows
from latentviz.errors import LatentvizError, RunError
from latentviz.runs.ours import check_links
from latentviz.runs.run import ClusterFolder, RunFolder


class ClusteringOverview(TypedDict, total=False):
    """A clustering of a run.

    Attributes:
        name: of the clustering.
        clusters: how many there are.
        noise: share of the items in no cluster, in [0, 1].
        outdated: true, if the run was trained on since; else absent.
        date: when it was made.
    """

    name: Required[str]
    clusters: Required[int]
    noise: Required[float]
    outdated: bool
    date: Required[str]


class RunOverview(TypedDict, total=False):
    """A run.

    Attributes:
        run: its name.
        path: its folder.
        date: when its training ended, or began if it has not ended.
        finished: whether the training has ended.
        kind: of the data; this and the next two are absent if the training has not ended.
        items: how many there are.
        clusterings: oldest first.
        problem: what is damaged, if something is.
    """

    run: Required[str]
    path: Required[str]
    date: Required[str]
    finished: Required[bool]
    kind: str
    items: int
    clusterings: list[ClusteringOverview]
    problem: str


def run_overview(run: RunFolder) -> RunOverview:
    """Describes a run and its clusterings; `problem` is set instead where a file is damaged."""
    row = RunOverview(run=run.name, path=str(run.path), date=_date(run.config_file), finished=False)
    try:
        check_links(run.path)
        if not run.finished:
            return row
        info, clusterings = run.info(), list[ClusteringOverview]()
        row |= {"finished": True, "date": _date(run.info_file), "kind": info["kind"]}
        row |= {"items": info["summary"]["items"], "clusterings": clusterings}
        for name in reversed(run.clusterings):
            folder = run.clustering(name)
            found = folder.info()
            entry = ClusteringOverview(
                name=name, clusters=found["n_clusters"], noise=found["noise_share"], date=_date(folder.info_file)
            )
            clusterings.append(entry | {"outdated": True} if folder.outdated else entry)
    except LatentvizError as error:
        row["problem"] = str(error)
    return row


def _date(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime).isoformat(timespec="minutes")


def run_rows(run: RunFolder) -> Rows:
    """Describes a run; one that is unfinished, damaged or deleted by its state."""
    path = ("path", run.path)
    if not run.finished:
        return [("state", "training has not finished" if run.path.exists() else "deleted"), path]
    try:
        info = run.info()
    except RunError as error:
        return [("state", error), path]
    summary = info["summary"]
    active = f", {summary['active_units']} active" if "active_units" in summary else ""
    if given := summary.get("given_dim", 0):
        active += f"; the first {given} are the topic, computed and clustered, the others are learnt"
    return [
        ("kind", info["kind"]),
        ("items", f"{summary['items']:,}"),
        ("epochs", summary["epochs"]),
        ("latent_dim", f"{summary['latent_dim']}{active}"),
        ("log-likelihood (nats)", f"{summary['log_likelihood']:.1f}"),
        ("KL (nats)", f"{summary['kl']:.1f}"),
        ("clusterings", ", ".join(run.clusterings) or "none; run.cluster() makes one"),
        path,
    ]


def result_rows(folder: ClusterFolder) -> Rows:
    """Describes a clustering and its largest clusters; one that is damaged or deleted by its state."""
    try:
        info = folder.info()
        names = cluster_names(folder.points(), info)
    except (RunError, OSError) as error:
        return [("state", error), ("path", folder.path)]
    entries = info["clusters"]
    rows: list[tuple[str, object]] = [
        (f"cluster {c['cluster']}", f"{c['size']:,}  {names.get(c['cluster'], '')}".rstrip()) for c in entries[:LISTED]
    ]
    if (more := len(entries) - len(rows)) > 0:
        rows.append((f"{more:,} more", "result.clusters"))
    return [
        ("items", f"{info['n_items']:,}"),
        ("clusters", info["n_clusters"]),
        ("noise", f"{info['noise_share']:.1%}"),
        *rows,
        ("map", folder.map_file),
    ]
