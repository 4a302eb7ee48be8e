"""An evaluation as the text that the shell and notebooks print."""

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[tuple[str, Any]]) -> str:
    """Formats names and values as two aligned columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


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
    return "\n".join([*lines, table(rows)])
