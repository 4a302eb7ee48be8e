"""An evaluation as the text that the shell and notebooks print."""

from latentviz.display import table
from latentviz.evaluation.results import Evaluation

_SCORED = {
    "nearest_cluster": "all items, by nearest_cluster",
    "cluster_with_noise_as_one": "all items, by cluster, noise as one",
    "clustered_only": "clustered items only",
}


def evaluation_table(evaluation: Evaluation) -> str:
    """Formats the verdicts, what to change, and the main metrics."""
    lines: list[str] = []
    for verdict in evaluation.verdicts:
        word = "COLLAPSED" if verdict.collapsed else verdict.level
        lines.append(f"{verdict.section}: {word}. {verdict.headline}")
        lines += [f"  → {advice}" for advice in verdict.advice]
    health, units = evaluation.health, evaluation.health.active_units
    rows: list[tuple[str, object]] = [
        ("log-likelihood (nats)", f"{health.log_likelihood:.1f}"),
        ("KL (nats)", f"{health.kl:.2f}"),
        (f"importance-weighted bound, {health.iwae_samples} draws (nats)", f"{health.iwae:.1f}"),
        ("active units at .01, .2", f"{units['0.01']}, {units['0.2']} of {health.latent_dim}"),
        (
            "mutual information (nats)",
            health.information + ("" if health.capped else f" of at most {health.mutual_information_cap:.2f}"),
        ),
    ]
    if (faithful := evaluation.faithfulness) is not None:
        rows += [
            ("trustworthiness", f"{faithful.trustworthiness:.3f}"),
            ("continuity", f"{faithful.continuity:.3f}"),
            ("kNN overlap of mu and map", f"{faithful.overlap:.3f}"),
        ]
    if (clusters := evaluation.clusters) is not None:
        optional = {
            "DBCV": clusters.dbcv,
            "silhouette": clusters.silhouette,
            "items in distinct clusters (share)": clusters.distinct,
            "agreement of layouts (ARI)": clusters.agreement_of_layouts,
        }
        rows += [("clusters", clusters.n_clusters), ("noise", f"{clusters.noise_share:.1%}")]
        rows += [(name, f"{value:.3f}") for name, value in optional.items() if value is not None]
    if (labels := evaluation.labels) is not None:
        rows += [
            (f"ARI / NMI / ACC, {_SCORED[key]}", f"{score.ari:.3f} / {score.nmi:.3f} / {score.acc:.3f}")
            for key, score in labels.scores.items()
        ]
        if labels.knn.in_mu is not None:
            rows.append(("kNN accuracy in mu", f"{labels.knn.in_mu:.3f}"))
    return "\n".join([*lines, table(rows)])
