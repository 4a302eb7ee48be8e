"""An evaluation as the text that the shell and notebooks print."""

from latentviz.display import table
from latentviz.evaluation.results import TIGHT, Calibrated, Evaluation, Health

_SCORED = {
    "nearest_cluster": "all items, by nearest_cluster",
    "cluster_with_noise_as_one": "all items, by cluster, noise as one",
    "clustered_only": "clustered items only",
}


def _bounds(health: Health) -> list[tuple[str, object]]:
    """Returns the rows of the bounds; those at the C of training are named as such, and come last."""
    best, kl = health.calibrated, ("KL (nats)", f"{health.kl:.2f}")
    if best is None:
        return [("log-likelihood (nats)", f"{health.log_likelihood:.1f}"), kl, *_bound(health, "")]
    at, only = "calibrated σ" if best.sigma is None else f"calibrated σ {best.sigma:.3g}", "this C, for equal C only"
    return [
        (f"log-likelihood, {at} (nats)", f"{best.log_likelihood:.1f}"),
        *_bound(best, f", {at}"),
        kl,
        ("β-equivalent of C", f"{health.beta:.3g}"),
        (f"log-likelihood, {only} (nats)", f"{health.log_likelihood:.1f}"),
        *_bound(health, f", {only}"),
    ]


def _bound(bound: Health | Calibrated, at: str) -> list[tuple[str, object]]:
    still = "" if bound.iwae_gain <= TIGHT else ", not converged"
    return [
        (f"importance-weighted bound{at} (nats)", f"{bound.iwae:.1f}{still}"),
        (f"effective draws{at}", f"{bound.effective_samples:.1f} of {bound.iwae_samples}"),
    ]


def evaluation_table(evaluation: Evaluation) -> str:
    """Formats the verdicts, what to change, and the main metrics."""
    lines: list[str] = []
    for verdict in evaluation.verdicts:
        word = "COLLAPSED" if verdict.collapsed else verdict.level
        lines.append(f"{verdict.section}: {word}. {verdict.headline}")
        lines += [f"  → {advice}" for advice in verdict.advice]
    health, units = evaluation.health, evaluation.health.active_units
    rows: list[tuple[str, object]] = _bounds(health)
    if health.unexplained is not None:
        held_out = "held-out" if health.split == "val" else "all"
        rows.append(
            (
                f"unexplained variance, {held_out} / training items",
                f"{health.unexplained:.3f} / {health.train_unexplained:.3f}",
            )
        )
    rows += [
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
            rows.append((f"kNN accuracy in {labels.knn.space}", f"{labels.knn.in_mu:.3f}"))
        if labels.knn.in_learnt is not None:
            rows.append(("kNN accuracy in the learnt dimensions of mu", f"{labels.knn.in_learnt:.3f}"))
        if labels.knn.balanced is not None:
            rows.append((f"balanced kNN accuracy in {labels.knn.space}", f"{labels.knn.balanced:.3f}"))
        if labels.knn.balanced_in_input is not None:
            rows.append((f"balanced kNN accuracy by {labels.knn.input}", f"{labels.knn.balanced_in_input:.3f}"))
    return "\n".join([*lines, table(rows)])
