"""The short tables that the commands end with."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentviz.evaluation.table import table
from latentviz.progress import one_line
from latentviz.runs.run import ClusterFolder, RunFolder

LISTED = 12  # clusters of which the table tells the keywords
WIDEST = 60  # characters of a table's cell


def _seconds(seconds: dict[str, float]) -> list[tuple[str, str]]:
    return [(f"{name} (s)", f"{value:.1f}") for name, value in seconds.items()]


def _model(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("active units", f"{summary['active_units']} of {summary['latent_dim']}"),
        ("log-likelihood (nats, validation)", f"{summary['log_likelihood']:.1f}"),
        ("KL (nats, validation)", f"{summary['kl']:.1f}"),
    ]


def fit_table(run: RunFolder) -> str:
    """Returns what a training came to: items, units, log-likelihood, KL, seconds a stage."""
    info = run.info()
    summary = info["summary"]
    rows = [
        ("items", f"{summary['items']:,}"),
        *([("left out, unreadable", f"{summary['bad_items']:,}")] if summary["bad_items"] else []),
        ("epochs", summary["epochs"]),
        *_model(summary),
        *_seconds(info["seconds"]),
    ]
    return table(rows)


def cluster_table(folder: ClusterFolder) -> str:
    """Returns what a run came to: the training's figures and the clustering's."""
    info, run = folder.info(), folder.run.info()
    rows = [
        ("items", f"{info['n_items']:,}"),
        ("clusters", info["n_clusters"]),
        ("noise", f"{info['noise_share']:.1%}"),
        *_model(run["summary"]),
        *_seconds({**run["seconds"], **info["seconds"]}),
    ]
    listed = [
        (f"cluster {entry['cluster']}", f"{entry['size']:,}  {', '.join(entry['keywords'][:6])}")
        for entry in info["clusters"][:LISTED]
        if entry.get("keywords")
    ]
    more = len(info["clusters"]) - len(listed)
    if listed and more > 0:
        listed.append((f"{more} more", f"{folder.info_file}"))
    return "\n".join([table([*rows, *listed]), *info["lines"][1:]])


def encode_table(info: Mapping[str, Any]) -> str:
    """Returns what became of new items: how many, where they went, how many are unlike all that is known."""
    clusters = info["clusters"]
    rows = [
        ("items", f"{info['items']:,}"),
        *([("left out, unreadable", f"{info['bad_items']:,}")] if info["bad_items"] else []),
        ("clusters", ", ".join(f"{name}: {size:,}" for name, size in clusters.items()) or "none"),
        ("noise", f"{info['noise'] / max(1, info['items']):.1%}"),
        ("unlike the training data", f"{info['unlike']:,}"),
        *_seconds(info["seconds"]),
    ]
    return "\n".join([table(rows), info["thresholds"]["meaning"]])


def recommendation_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns recommended items as a table, best first; columns that say nothing are left out."""
    names = [
        name
        for name in ("rank", "id", "score", "cluster", "label", "source", "text")
        if any(row.get(name) is not None for row in rows)
    ]
    if not rows:
        return "no item"
    cells = [names, *([_cell(name, row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    numbers = {"rank", "score", "cluster"}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(names, line, widths, strict=True)
        ).rstrip()
        for line in cells
    )


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if name == "score" else one_line(str(value), WIDEST)
