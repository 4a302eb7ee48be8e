"""What the metrics of an evaluation mean: one verdict per section, and what to change."""

import math
from collections.abc import Mapping

from latentviz.clustering.cut import RELIABLE
from latentviz.evaluation.results import Clusters, Faithfulness, Health, Labels, Level, Verdict
from latentviz.progress import plural

# Nats of information about an item. With less, mu distinguishes fewer than e² ≈ 7 kinds of items. The usual count of
# active units misses this: small variances that carry nothing pass its threshold.
COLLAPSED_BELOW = 2.0
IGNORED_BELOW = 0.5  # nats lost with another item's z, below which the decoder ignores the latent
PRIOR_GAP = 0.25  # nats per dimension between latents and prior, above which draws from the prior mislead
LEVELS: tuple[Level, ...] = ("good", "fair", "poor")


def judge(
    health: Health,
    faithfulness: Faithfulness | None,
    clusters: Clusters | None,
    labels: Labels | None,
    model: Mapping[str, object],
) -> list[Verdict]:
    """Judges each section that there is; `model` holds the run's model settings, to which the advice refers."""
    verdicts = [judge_health(health, model)]
    if faithfulness is not None:
        verdicts.append(judge_faithfulness(faithfulness))
    if clusters is not None:
        verdicts.append(judge_clusters(clusters))
    if labels is not None:
        verdicts.append(judge_labels(labels))
    return verdicts


def judge_health(health: Health, model: Mapping[str, object]) -> Verdict:
    """Judges the VAE."""
    information, cap, d = health.mutual_information, health.mutual_information_cap, health.latent_dim
    amount = f"{health.information} nats"
    used = health.active_units["0.2"]
    if min(information, health.kl) < min(COLLAPSED_BELOW, cap / 2):
        kinds = round(math.exp(information))
        apart = "does not tell items apart" if kinds < 2 else f"distinguishes about {kinds} kinds of items"
        lines = [
            f"A draw from q(z|x) carries {information:.2f} nats about its item, of {cap:.1f} possible: it {apart}.",
            f"The KL is {health.kl:.2f} nats, and {used} of {d} dimensions have a variance above .2.",
            "A map of such latents shows noise.",
        ]
        headline = "Posterior collapse: the latent carries almost no information about an item."
        return Verdict("health", "poor", headline, lines, _collapse_advice(health, model), collapsed=True)
    if health.decoder_gain < IGNORED_BELOW:
        line = (
            f"With another item's z the decoder loses only {health.decoder_gain:.2f} nats: it decodes all items alike, "
            f"although mu carries {amount}."
        )
        headline = "Posterior collapse in the decoder: it ignores the latent."
        return Verdict("health", "poor", headline, [line], _collapse_advice(health, model), collapsed=True)
    limit = ", the most measurable with so few items" if health.capped else ""
    lines = [
        f"mu carries {amount} about an item{limit}; {used} of {d} dimensions are in use.",
        f"With another item's z the decoder would lose {health.decoder_gain:,.0f} nats: it uses the latent.",
    ]
    level: Level = "good"
    headline = "Healthy: the latent holds what tells items apart, and the decoder uses it."
    advice = []
    if health.prior_kl_least > PRIOR_GAP * d:
        level = "fair"
        headline = "Good enough for a map; draws from the prior are unreliable."
        lines.append(
            f"The aggregated posterior is at least {health.prior_kl_least:.0f} nats from the prior, so draws from the "
            "prior fall where there are no items. This does not affect the map."
        )
        advice.append("for new items, draw near the latents of existing items, or train again with a lower model.c")
    if used < d / 2:
        lines.append(f"{plural(d - used, 'dimension is', 'dimensions are')} unused, which does no harm.")
        advice.append(f"model.latent_dim={max(2, used + used // 4)} is enough")
    return Verdict("health", level, headline, lines, advice)


def _collapse_advice(health: Health, model: Mapping[str, object]) -> list[str]:
    """Lists what to change about a collapsed model, most likely cause first."""
    # A KL without information: the posterior has not learnt to tell items apart yet.
    undertrained = health.kl >= COLLAPSED_BELOW > health.mutual_information
    settings = {key: value for key, value in model.items() if isinstance(value, (int, float))}
    advice = []
    if undertrained:
        advice.append("more trainer.max_epochs: the posterior pays its KL and does not tell items apart yet")
    if "c" in settings:
        advice.append(
            f"model.c=auto, or ten times larger (it is {settings['c']:g}): C weighs the reconstruction against the KL; "
            "with a small C an empty latent has the lowest loss"
        )
    if settings.get("kl_warmup", 1) < 0.3:
        advice.append(
            f"model.kl_warmup=0.3 (it is {settings['kl_warmup']:g}): lets the decoder learn to use z before the KL has "
            "its full weight"
        )
    if settings.get("free_bits") == 0:
        advice.append("model.free_bits=0.25: removes the reward for unused dimensions")
    if settings.get("contrast") == 0:
        advice.append("model.contrast=1000 (it is 0): trains mu itself to tell items apart")
    return advice if undertrained else [*advice, "more trainer.max_epochs, if the training was short"]


def judge_faithfulness(faithful: Faithfulness) -> Verdict:
    """Judges the map as a picture of mu."""
    level = _level(min(faithful.trustworthiness, faithful.continuity), 0.95, 0.85)
    headline = {
        "good": "Neighbourhoods on the map are reliable.",
        "fair": "The map shows the coarse order; single neighbours may mislead.",
        "poor": "The map misleads: neighbours on it are often far apart in mu.",
    }[level]
    k, by_chance = faithful.k, faithful.overlap_by_chance * faithful.k
    line = f"Of an item's {k} nearest in mu, {faithful.overlap * k:.1f} are among its {k} nearest on the map "
    line += f"(by chance {by_chance:.2g})."
    advice = ["reduce.n_neighbors=30 keeps more of the coarse order; where it matters, rely on mu, not on the map"]
    return Verdict("faithfulness", level, headline, [line], [] if level == "good" else advice)


def judge_clusters(clusters: Clusters) -> Verdict:
    """Judges the clusters without labels."""
    if clusters.n_clusters < 2:
        headline = "No clusters were found: read the map as a continuous landscape."
        advice = ["a smaller cluster.min_cluster_size, with it cluster.selection=leaf for finer groups"]
        return Verdict("clusters", "poor", headline, [], advice)
    criteria: list[tuple[float | None, float, float, str, str]] = [  # value, good, fair, evidence, advice
        (
            clusters.distinct,
            0.75,  # every data set with known groups has more
            RELIABLE,
            "{:.0%} of the items are in clusters with sparser places around them than a single cloud has.",
            "items lie about as densely between the others as in them: read the map as a continuous landscape",
        ),
        (
            clusters.dbcv,
            0.5,
            0.0,
            "DBCV {:.2f}: how much denser clusters are inside than between them.",
            "the density has no deep valleys: cluster borders are uncertain",
        ),
        (
            clusters.agreement_of_layouts,
            0.8,
            0.5,
            "Layouts with other seeds give the same clusters at ARI {:.2f}.",
            "not reproducible from seed to seed: cut coarser, or keep to what several seeds agree on",
        ),
        (
            1 - clusters.noise_share,
            0.8,
            0.5,
            "{:.0%} of the items are in a cluster.",
            "much noise: use nearest_cluster, or a cluster.min_cluster_size with a lower cluster.min_samples",
        ),
    ]
    known = [
        (_level(value, good, fair), evidence.format(value), advice)
        for value, good, fair, evidence, advice in criteria
        if value is not None
    ]
    level = max((level for level, *_ in known), key=LEVELS.index)
    number = plural(clusters.n_clusters, "cluster")
    headline = {
        "good": f"{number}, well separated and reproducible.",
        "fair": f"{number}, some with uncertain borders.",
        "poor": plural(clusters.n_clusters, "cluster that is not reliable.", "clusters that are not reliable."),
    }[level]
    lines, advice = [line for _, line, _ in known], [advice for level, _, advice in known if level != "good"]
    return Verdict("clusters", level, headline, lines, advice)


def judge_labels(labels: Labels) -> Verdict:
    """Judges the clusters by the labels."""
    score, knn = labels.scores["nearest_cluster"], labels.knn.in_mu
    level = _level(score.ari, 0.8, 0.4)
    headline = {
        "good": "The clusters match the labels, which they were found without.",
        "fair": "The clusters match the labels in part.",
        "poor": "The clusters differ from the labels.",
    }[level]
    scores = f"ARI {score.ari:.3f}, NMI {score.nmi:.3f}, ACC {score.acc:.3f}"
    lines = [
        f"Over all items (noise in its nearest cluster): {scores}.",
        f"The commonest label alone has {labels.largest_share:.0%} of the items.",
    ]
    advice = []
    if knn is not None:
        lines.append(f"Neighbours in mu predict the label correctly for {knn:.1%} of the items.")
        if knn > 0.5 and knn - score.acc > 0.1:
            advice.append(
                "the latent separates the groups and the cut loses them: try another cluster.min_cluster_size, also "
                "with cluster.selection=leaf"
            )
    return Verdict("labels", level, headline, lines, advice)


def _level(value: float, good: float, fair: float) -> Level:
    return "good" if value >= good else "fair" if value >= fair else "poor"
