"""What the figures of an evaluation mean, in plain words: one verdict a section, and what to change."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Nats that μ must hold about an item: with less it tells fewer than e² ≈ 7 kinds of items apart, and no map can show
# more than it is given. The usual count of active units does not see this: small, useless variances pass it.
COLLAPSED_BELOW = 2.0
IGNORED_BELOW = 0.5  # nats that the decoder loses with another item's z, below which it does not listen
PRIOR_GAP = 0.25  # nats a dimension by which the latents may lie off the prior before draws from it mislead

MODULARITY = (0.63, 0.55)  # good, fair: every set with known groups was above the one, single clouds below .5


class Verdict(NamedTuple):
    """One section's verdict.

    Attributes:
        section: health, faithfulness, clusters or labels.
        level: "good", "fair" or "poor".
        headline: one sentence.
        lines: what it rests on.
        advice: what to change, as commands where there are some.
        collapsed: whether the model is of no use at all.
    """

    section: str
    level: str
    headline: str
    lines: Sequence[str] = ()
    advice: Sequence[str] = ()
    collapsed: bool = False


def judge(content: Mapping[str, Any], model: Mapping[str, Any]) -> list[Verdict]:
    """Returns the verdicts on the sections that `content` has.

    Args:
        content: what `evaluation.json` holds: `health`, and maybe `faithfulness`, `clusters`, `labels`.
        model: the run's `model` settings, which the advice refers to.
    """
    verdicts = [judge_health(content["health"], model)]
    if "faithfulness" in content:
        verdicts.append(judge_faithfulness(content["faithfulness"]))
    if "clusters" in content:
        verdicts.append(judge_clusters(content["clusters"]))
    if "labels" in content:
        verdicts.append(judge_labels(content["labels"]))
    return verdicts


def judge_health(health: Mapping[str, Any], model: Mapping[str, Any]) -> Verdict:
    """Returns the verdict on the VAE; a collapse is called by its name."""
    held, cap, d = health["mutual_information"], health["mutual_information_cap"], health["latent_dim"]
    capped = held > cap - 0.05
    amount = f"{'at least ' if capped else ''}{held:.1f} nats"
    used = health["active_units"]["0.2"]
    kinds = round(math.exp(held))
    apart = "no two items" if kinds < 2 else f"about {kinds} kinds of items"
    if min(held, health["kl"]) < min(COLLAPSED_BELOW, cap / 2):
        return Verdict(
            "health",
            "poor",
            "Posterior collapse: the latent says next to nothing about an item.",
            [
                (
                    f"A draw from q(z|x) holds {held:.2f} nats about its item, of {cap:.1f} that it could: it tells {apart} "
                    f"apart. The KL is {health['kl']:.2f} nats, and {used} of {d} dimensions vary by more than .2."
                ),
                "A map of such latents shows noise.",
            ],
            collapse_advice(health, model),
            collapsed=True,
        )
    if health["decoder_gain"] < IGNORED_BELOW:
        return Verdict(
            "health",
            "poor",
            "Posterior collapse in the decoder: it ignores the latent.",
            [
                (
                    f"Given another item's z, the decoder loses {health['decoder_gain']:.2f} nats: it draws the same for all, "
                    f"though μ holds {amount}."
                )
            ],
            collapse_advice(health, model),
            collapsed=True,
        )
    lines = [
        f"μ holds {amount} about an item"
        + (", all that can be measured with so many items" if capped else "")
        + f"; {used} of {d} dimensions carry it.",
        f"Given another item's z, the decoder would lose {health['decoder_gain']:,.0f} nats: it listens.",
    ]
    advice = []
    gap = health["prior_kl_least"]
    if gap > PRIOR_GAP * d:
        lines.append(
            f"All latents together lie at least {gap:.0f} nats off the prior, so a draw from the prior falls "
            "where no item is. For the map this does not matter."
        )
        advice.append("for new items, draw near the items' own latents, or train with a smaller model.c")
    if used < d / 2:
        lines.append(f"{d - used} dimensions are unused, which does no harm.")
        advice.append(f"model.latent_dim={max(2, used + used // 4)} would do")
    level = "fair" if gap > PRIOR_GAP * d else "good"
    headline = (
        "Healthy: the latent holds what tells items apart, and the decoder uses it."
        if level == "good"
        else "Sound for a map; draws from the prior are not to be trusted."
    )
    return Verdict("health", level, headline, lines, advice)


def collapse_advice(health: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """Returns what to change about a collapsed model, the likeliest cause first.

    A KL that is paid and buys no information is that of a posterior which has not yet learnt to tell items apart.
    """
    longer = "more trainer.max_epochs: the posterior pays its KL and does not tell items apart yet"
    paid = health["kl"] >= COLLAPSED_BELOW > health["mutual_information"]
    advice = [longer] if paid else []
    if model.get("c") is not None:
        advice.append(
            f"model.c=auto, or ten times larger (it is {model['c']:g}): C weighs the reconstruction "
            "against the KL, and a small one makes an empty latent the cheapest"
        )
    if model.get("kl_warmup", 1) < 0.3:
        advice.append(
            f"model.kl_warmup=0.3 (it is {model['kl_warmup']:g}): let the decoder learn to use z before "
            "z costs its full price"
        )
    if model.get("free_bits", 1) == 0:
        advice.append("model.free_bits=0.25: no dimension gains by falling silent")
    if model.get("contrast") == 0:
        advice.append("model.contrast=1000 (it is 0): it tells items apart in μ itself")
    return advice if paid else [*advice, "more trainer.max_epochs, if the training was short"]


def judge_faithfulness(faithful: Mapping[str, Any]) -> Verdict:
    """Returns the verdict on the picture."""
    least = min(faithful["trustworthiness"], faithful["continuity"])
    level = _level(least, 0.95, 0.85)
    headline = {
        "good": "Neighbourhoods in the picture can be trusted.",
        "fair": "The picture shows the coarse order; single neighbours may mislead.",
        "poor": "The picture misleads: neighbours on it are often strangers in truth.",
    }[level]
    k, kept = faithful["k"], faithful["overlap"] * faithful["k"]
    chance = f"{faithful['overlap_by_chance'] * k:.2g}"
    lines = [f"Of an item's {k} nearest in μ, {kept:.1f} are among its {k} in the picture (by chance {chance})."]
    advice = ["reduce.n_neighbors=30 keeps more of the coarse order; where it matters, trust μ, not the picture"]
    return Verdict("faithfulness", level, headline, lines, [] if level == "good" else advice)


def judge_clusters(clusters: Mapping[str, Any]) -> Verdict:
    """Returns the verdict on the clusters, labels unseen."""
    if clusters["n_clusters"] < 2:
        return Verdict(
            "clusters",
            "poor",
            "No clusters were found: read the map as a landscape.",
            [],
            ["cluster.min_cluster_size: a smaller one, cluster.selection=leaf for finer groups"],
        )
    stability = clusters["stability"]["mean"] if clusters["stability"] else None
    seeded = clusters["agreement_of_layouts"]
    levels, lines, advice = [], [], []
    for value, good, fair, line, remedy in (
        (
            clusters["modularity"],
            *MODULARITY,
            "modularity {:.2f} of 1: how far neighbours share a cluster",
            "no reliable clusters: single clouds reach .5; read the map as a landscape",
        ),
        (
            clusters["dbcv"],
            0.5,
            0.0,
            "DBCV {:.2f}: how much denser clusters are inside than between them",
            "the density has no deep valleys: take the borders with a pinch of salt",
        ),
        (
            stability,
            0.8,
            0.5,
            "posterior draws agree with the clusters at ARI {:.2f}",
            "the encoder is unsure where items belong: train longer, or cut coarser (cluster.min_cluster_size)",
        ),
        (
            seeded,
            0.8,
            0.5,
            "layouts from other seeds give the same clusters at ARI {:.2f}",
            "not reproducible from seed to seed: cut coarser, or look for what several seeds agree on",
        ),
        (
            1 - clusters["noise_share"],
            0.8,
            0.5,
            "{:.0%} of the items are in a cluster",
            "much noise: colour by nearest_cluster, or lower cluster.min_samples",
        ),
    ):
        if value is None:
            continue
        levels.append(_level(value, good, fair))
        lines.append(line.format(value))
        if levels[-1] != "good":
            advice.append(remedy)
    level = max(levels, key=["good", "fair", "poor"].index)
    count = f"{clusters['n_clusters']} clusters"
    headline = {
        "good": f"{count}, well apart and reproducible.",
        "fair": f"{count}, of which some borders are soft.",
        "poor": f"{count} that should not be relied on.",
    }[level]
    return Verdict("clusters", level, headline, [f"{line}." for line in _capital(lines)], advice)


def judge_labels(labels: Mapping[str, Any]) -> Verdict:
    """Returns the verdict on the clusters as the labels see them."""
    score = labels["scores"]["nearest_cluster"]
    level = _level(score["ari"], 0.8, 0.4)
    headline = {
        "good": "The clusters match the labels, which they were found without.",
        "fair": "The clusters follow the labels in part.",
        "poor": "The clusters are not what the labels name.",
    }[level]
    knn, lines, advice = labels["knn"]["in_mu"], [], []
    lines.append(
        f"Over all items (noise in its nearest cluster): ARI {score['ari']:.3f}, NMI {score['nmi']:.3f}, "
        f"ACC {score['acc']:.3f}; the largest label alone has {labels['largest_share']:.0%}."
    )
    if knn is not None:
        lines.append(f"Neighbours in μ guess the label right {knn:.1%} of the time.")
        if knn > 0.5 and knn - score["acc"] > 0.1:
            advice.append(
                "the latent holds the groups and the cut loses them: try cluster.selection=leaf, or another "
                "cluster.min_cluster_size"
            )
    return Verdict("labels", level, headline, lines, advice)


def _level(value: float, good: float, fair: float) -> str:
    return "good" if value >= good else "fair" if value >= fair else "poor"


def _capital(lines: Sequence[str]) -> list[str]:
    return [line[0].upper() + line[1:] for line in lines]
