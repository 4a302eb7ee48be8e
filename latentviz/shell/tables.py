"""The short tables that the commands end with."""

from collections.abc import Mapping, Sequence
from typing import Any

from latentviz.progress import one_line
from latentviz.runs.run import ClusterFolder, Run

LISTED = 12  # clusters of which the table tells the keywords
WIDEST = 60  # characters of a table's cell


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _seconds(seconds: dict[str, float]) -> list[tuple[str, str]]:
    return [(f"{name} (s)", f"{value:.1f}") for name, value in seconds.items()]


def _model(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("active units", f"{summary['active_units']} of {summary['latent_dim']}"),
        ("log-likelihood (nats, validation)", f"{summary['log_likelihood']:.1f}"),
        ("KL (nats, validation)", f"{summary['kl']:.1f}"),
    ]


def fit_table(run: Run) -> str:
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
    return _table(rows)


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
    return "\n".join([_table([*rows, *listed]), *info["lines"][1:]])


def evaluation_table(figures: Mapping[str, Any]) -> str:
    """Returns the verdicts of an evaluation, what to change, and its main figures."""
    lines: list[str] = []
    for verdict in figures["verdicts"]:
        word = "COLLAPSED" if verdict["collapsed"] else verdict["level"]
        lines.append(f"{verdict['section']}: {word}. {verdict['headline']}")
        lines += [f"  → {advice}" for advice in verdict["advice"]]
    health = figures["health"]
    units, iwae = health["active_units"], f"importance-weighted bound, {health['iwae_samples']} draws (nats)"
    rows: list[tuple[str, Any]] = [
        ("log-likelihood (nats)", f"{health['log_likelihood']:.1f}"),
        ("KL (nats)", f"{health['kl']:.2f}"),
        (iwae, f"{health['iwae']:.1f}"),
        ("active units at .01, .2", f"{units['0.01']}, {units['0.2']} of {health['latent_dim']}"),
        (
            "mutual information (nats)",
            f"{health['mutual_information']:.2f} of at most {health['mutual_information_cap']:.2f}",
        ),
    ]
    if "faithfulness" in figures:
        faithful, clusters = figures["faithfulness"], figures["clusters"]
        rows += [(name, f"{faithful[name]:.3f}") for name in ("trustworthiness", "continuity")]
        rows += [
            ("kNN overlap of μ and picture", f"{faithful['overlap']:.3f}"),
            ("clusters", clusters["n_clusters"]),
            ("noise", f"{clusters['noise_share']:.1%}"),
        ]
        stability = clusters["stability"] or {"mean": None}
        rows += [
            (name, f"{value:.3f}")
            for name, value in (
                ("DBCV", clusters["dbcv"]),
                ("silhouette", clusters["silhouette"]),
                ("stability under the posterior (ARI)", stability["mean"]),
                ("agreement of layouts (ARI)", clusters["agreement_of_layouts"]),
            )
            if value is not None
        ]
    if "labels" in figures:
        names = {
            "nearest_cluster": "all items, by nearest_cluster",
            "cluster_with_noise_as_one": "all items, by cluster, noise as one",
            "clustered_only": "clustered items only",
        }
        rows += [
            (f"ARI / NMI / ACC, {names[key]}", f"{score['ari']:.3f} / {score['nmi']:.3f} / {score['acc']:.3f}")
            for key, score in figures["labels"]["scores"].items()
        ]
        if figures["labels"]["knn"]["in_mu"] is not None:
            rows.append(("kNN accuracy in μ", f"{figures['labels']['knn']['in_mu']:.3f}"))
    return "\n".join([*lines, _table(rows)])


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
