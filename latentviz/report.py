"""The short tables that the commands end with."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentviz.run import ClusterFolder, Run

WIDEST = 60  # characters of a table's cell


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _seconds(seconds: dict[str, float]) -> list[tuple[str, str]]:
    return [(f"{name} (s)", f"{value:.1f}") for name, value in seconds.items()]


def fit_table(run: Run) -> str:
    """Returns what a training came to: items, units, log-likelihood, KL, seconds a stage."""
    info = run.info()
    summary = info["summary"]
    rows = [
        ("items", f"{summary['items']:,}"),
        *([("left out, unreadable", f"{summary['bad_items']:,}")] if summary["bad_items"] else []),
        ("epochs", summary["epochs"]),
        ("active units", f"{summary['active_units']} of {summary['latent_dim']}"),
        ("log-likelihood (nats, validation)", f"{summary['log_likelihood']:.1f}"),
        ("KL (nats, validation)", f"{summary['kl']:.1f}"),
        *_seconds(info["seconds"]),
    ]
    return _table(rows)


def cluster_table(folder: ClusterFolder) -> str:
    """Returns what a run came to: the training's figures and the clustering's."""
    info, run = folder.info(), folder.run.info()
    summary = run["summary"]
    rows = [
        ("items", f"{info['n_items']:,}"),
        ("clusters", info["n_clusters"]),
        ("noise", f"{info['noise_share']:.1%}"),
        ("active units", f"{summary['active_units']} of {summary['latent_dim']}"),
        ("log-likelihood (nats, validation)", f"{summary['log_likelihood']:.1f}"),
        ("KL (nats, validation)", f"{summary['kl']:.1f}"),
        *_seconds({**run["seconds"], **info["seconds"]}),
    ]
    return "\n".join([_table(rows), *info["lines"][1:]])


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
    return "\n".join([_table(rows), info["thresholds"]["meaning"]])


def recommendation_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns recommended items as a table, best first; columns that say nothing are left out."""
    names = [name for name in ("rank", "id", "score", "cluster", "label", "source", "text")
             if any(row.get(name) is not None for row in rows)]
    if not rows:
        return "no item"
    cells = [names, *([_cell(name, row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    numbers = {"rank", "score", "cluster"}
    return "\n".join("  ".join(cell.rjust(width) if name in numbers else cell.ljust(width) for name, cell, width in
                               zip(names, line, widths, strict=True)).rstrip() for line in cells)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if name == "score" else " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
