"""The tables that the commands print."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentviz.clustering.description import given_names, label_names
from latentviz.config import read_yaml
from latentviz.display import columns, table
from latentviz.progress import one_line, plural
from latentviz.runs.run import ClusterFolder, RunFolder

LISTED = 12  # clusters whose keywords are printed: more scroll the metrics off a small terminal
NAMED = 100  # characters of them


def _seconds(seconds: dict[str, float]) -> list[tuple[str, str]]:
    return [(f"{name} (s)", f"{value:.1f}") for name, value in seconds.items()]


def _model(run: RunFolder) -> list[tuple[str, str]]:
    summary, content = run.info()["summary"], read_yaml(run.config_file)
    model, at = content.get("model"), ""
    own = content.get("networks") or run.info()["kind"] == "text"
    if not own and isinstance(model, dict) and model.get("likelihood", "normal") == "normal" and "c" in model:
        at = f" at C = {model['c']:g}"  # a Normal's log-likelihood depends on it
    return [
        ("active units", f"{summary['active_units']} of {summary['latent_dim']}"),
        (f"log-likelihood{at} (nats, validation)", f"{summary['log_likelihood']:.1f}"),
        ("KL (nats, validation)", f"{summary['kl']:.1f}"),
    ]


def fit_table(run: RunFolder) -> str:
    """Formats the result of a training: items, active units, log-likelihood, KL, seconds per stage."""
    info = run.info()
    summary = info["summary"]
    rows = [
        ("items", f"{summary['items']:,}"),
        *([("left out, unreadable", f"{summary['bad_items']:,}")] if summary["bad_items"] else []),
        ("epochs", summary["epochs"]),
        *_model(run),
        *_seconds(info["seconds"]),
    ]
    return table(rows)


def cluster_table(folder: ClusterFolder, *, trained: bool = False) -> str:
    """Formats the result of a clustering, with that of its training if it was `trained` just now."""
    run = RunFolder(folder.run_path)
    info, made = folder.info(), run.info()
    rows = [
        ("items", f"{info['n_items']:,}"),
        ("clusters", info["n_clusters"]),
        ("noise", f"{info['noise_share']:.1%}"),
        *(_model(run) if trained else []),
        *_seconds({**(made["seconds"] if trained else {}), **info["seconds"]}),
    ]
    points = folder.points()
    names = label_names(points.column("cluster").to_numpy(), points.column("label").to_pylist())
    words = {entry["cluster"]: ", ".join(entry.get("keywords", [])[:6]) for entry in info["clusters"]}
    names |= {number: text for number, text in words.items() if text}
    names |= {entry["cluster"]: entry["name"] for entry in info["clusters"] if "name" in entry} | given_names(info)
    called = {entry["cluster"]: one_line(names.get(entry["cluster"], ""), NAMED) for entry in info["clusters"][:LISTED]}
    listed = [
        (f"cluster {entry['cluster']}", f"{entry['size']:,}  {called[entry['cluster']]}".rstrip())
        for entry in info["clusters"][:LISTED]
        if any(called.values())
    ]
    more = len(info["clusters"]) - len(listed)
    if listed and more > 0:
        listed.append((f"{more} more", f"{folder.info_file}"))
    events = [
        (
            change["change"],
            f"{_numbers(change['before'])} → {_numbers(change['after'])}  {plural(change['items'], 'item')}",
        )
        for change in info.get("continued", {}).get("changes", [])
        if change["change"] != "kept"
    ]
    return "\n".join([table([*rows, *listed, *events]), *info["lines"][1:]])


def _numbers(clusters: Sequence[int]) -> str:
    return ", ".join(map(str, clusters)) or "none"


def encode_table(info: Mapping[str, Any]) -> str:
    """Formats what became of new items: their clusters, and how many are unlike the training data."""
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


def runs_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats the runs, newest last."""
    cells = []
    for row in rows:
        state = "damaged" if "problem" in row else "none" if row["finished"] else "training has not finished"
        found = "; ".join(
            f"{c['name']}: {c['clusters']}, noise {c['noise']:.0%}{', outdated' if 'outdated' in c else ''}"
            for c in row.get("clusterings", [])
        )
        items = f"{row['items']:,}" if "items" in row else None
        cells.append({**row, "items": items, "date": row["date"].replace("T", " "), "clusters": found or state})
    return columns(cells, ("run", "kind", "items", "date", "clusters"), {"items"})
