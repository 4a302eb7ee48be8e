"""What a run and a clustering show of themselves in Python: a small table. Does not import torch."""

from latentviz.clustering.description import cluster_names
from latentviz.display import LISTED, Rows
from latentviz.errors import RunError
from latentviz.runs.run import ClusterFolder, RunFolder


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
