"""What the report's tables say: each figure, its value, and in plain words what it means."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One figure of a table, as plain text."""

    name: str
    value: str
    meaning: str


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def health_rows(health: Mapping[str, Any]) -> list[Row]:
    """Returns the table of the VAE; nats an item."""
    d, units = health["latent_dim"], health["active_units"]
    measured = f"{health['items']:,} {'held-out ' if health['split'] == 'val' else ''}items"
    return [
        Row(
            "Log-likelihood",
            f"{_number(health['log_likelihood'], 1)} ± {_number(health['log_likelihood_error'], 1)}",
            f"log p(x|z) at a draw z ~ q(z|x), nats an item; {measured}. Compare it between runs on the same data "
            "with the same C only.",
        ),
        Row("KL", _number(health["kl"], 2), "KL[q(z|x) ‖ p(z)]: what the posterior says beyond the prior, nats."),
        Row("ELBO", _number(health["elbo"], 1), "Log-likelihood − KL: a lower bound of log p(x)."),
        Row(
            f"Importance-weighted bound, {health['iwae_samples']} draws",
            f"{_number(health['iwae'], 1)} ± {_number(health['iwae_error'], 1)}",
            f"A tighter bound of log p(x) (Burda et al. 2016); {health['iwae_items']:,} items, whose ELBO is "
            f"{_number(health['iwae_elbo'], 1)}. The gap is what the shape of q(z|x) costs.",
        ),
        Row(
            "Loss with another's z",
            _number(health["decoder_gain"], 1),
            "Nats of log-likelihood lost when the decoder is given another item's z; 0: it ignores z.",
        ),
        Row(
            "Active units",
            f"{units['0.01']} and {units['0.2']} of {d}",
            "Dimensions whose μ varies by more than .01 (Burda et al.) and .2. The first does not see every collapse.",
        ),
        Row(
            "Mutual information",
            f"{_number(health['mutual_information'], 2)} of at most {_number(health['mutual_information_cap'], 2)}",
            "I(x; z), nats: how well z says which item it came from (Hoffman & Johnson 2016); the most it can be is "
            "the log of the number of items measured.",
        ),
        Row(
            "Aggregated posterior off the prior",
            f"{_number(health['prior_kl_least'], 1)} to {_number(health['prior_kl_most'], 1)}",
            "KL[q(z) ‖ p(z)], nats: at least that of the Gaussian with the same mean and covariance, at most the KL "
            "less the mutual information, which is too high where the latter is at its cap.",
        ),
    ]


def faithfulness_rows(faithful: Mapping[str, Any]) -> list[Row]:
    """Returns the table of the picture."""
    k, asked = faithful["k"], f"{faithful['items']:,} items, each against all others"
    return [
        Row(
            "Trustworthiness",
            _number(faithful["trustworthiness"]),
            f"1: who is near in the picture is near in μ (Venna & Kaski 2001); k = {k}, {asked}.",
        ),
        Row("Continuity", _number(faithful["continuity"]), "1: who is near in μ is near in the picture."),
        Row(
            "kNN overlap",
            f"{faithful['overlap']:.1%}",
            f"Share of the {k} nearest in μ ({faithful['dimensions']} dimensions) that are among the {k} nearest in "
            f"the picture; by chance {faithful['overlap_by_chance']:.2%}.",
        ),
    ]


def cluster_rows(clusters: Mapping[str, Any]) -> list[Row]:
    """Returns the table of the clusters."""
    stability = clusters["stability"]
    rows = [
        Row("Clusters", str(clusters["n_clusters"]), "Found by density, their number too."),
        Row("Noise", f"{clusters['noise_share']:.1%}", "Share of the items in no cluster."),
        Row(
            "DBCV",
            _number(clusters["dbcv"]),
            f"−1 to 1: density inside clusters against between them (Moulavi et al. 2014), in the space that was "
            f"clustered; {clusters['items']:,} items.",
        ),
        Row(
            "Silhouette",
            _number(clusters["silhouette"]),
            "−1 to 1 in the space that was clustered, noise left out; it favours round clusters.",
        ),
        Row("Silhouette in μ", _number(clusters["silhouette_in_mu"]), "The same in the latents, before reducing."),
    ]
    if clusters["modularity"] is not None:
        rows.append(
            Row(
                "Modularity",
                _number(clusters["modularity"]),
                "0 to 1: how far neighbours share a cluster, over what these cluster sizes could have.",
            )
        )
    if stability:
        rows.append(
            Row(
                "Stability under the posterior",
                _number(stability["mean"]),
                f"ARI of the clusters with those of draws z ~ q(z|x), placed by the vote of their neighbours "
                f"in μ; {stability['items']:,} items, {stability['draws']} draws, least "
                f"{_number(stability['least'])}. With z = μ the vote gives {_number(stability['at_mu'])}.",
            )
        )
    if clusters["agreement_of_layouts"] is not None:
        rows.append(
            Row(
                "Agreement of layouts",
                _number(clusters["agreement_of_layouts"]),
                "ARI with the clusters of layouts that differ by their seed alone.",
            )
        )
    return rows


SCORED = {
    "nearest_cluster": "all items, noise in its nearest cluster (nearest_cluster)",
    "cluster_with_noise_as_one": "all items, noise as one cluster of its own (cluster)",
    "clustered_only": "items in a cluster only",
}


def label_rows(labels: Mapping[str, Any]) -> list[Row]:
    """Returns the table of the labels: each score over all items and over the clustered ones."""
    rows = []
    for key, score in labels["scores"].items():
        whom = SCORED[key] + (f", {score['share']:.0%} of all" if key == "clustered_only" else "")
        rows.append(
            Row(
                "ARI / NMI / ACC",
                " / ".join(_number(score[name]) for name in ("ari", "nmi", "acc")),
                f"Over {whom}; AMI {_number(score['ami'])}, homogeneity {_number(score['homogeneity'])}.",
            )
        )
    knn = labels["knn"]
    if knn["in_mu"] is not None:
        rows += [
            Row(
                "kNN accuracy in μ",
                f"{knn['in_mu']:.1%}",
                f"How often the {knn['k']} nearest items' vote is the item's label; {knn['items']:,} items. The "
                f"largest label alone: {labels['largest_share']:.1%}.",
            ),
            Row("kNN accuracy in the picture", f"{knn['in_picture']:.1%}", "The same in two dimensions."),
        ]
    return rows


TABLES: Mapping[str, Callable[[Mapping[str, Any]], list[Row]]] = {
    "health": health_rows,
    "faithfulness": faithfulness_rows,
    "clusters": cluster_rows,
    "labels": label_rows,
}
