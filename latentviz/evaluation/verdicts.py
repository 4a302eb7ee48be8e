"""What the metrics of an evaluation mean: one verdict per section, and what to change."""

import math
from collections.abc import Mapping, Sequence

from latentviz.clustering.cut import RELIABLE
from latentviz.evaluation.results import TIGHT, Clusters, Faithfulness, Health, Labels, Level, Training, Verdict
from latentviz.progress import plural
from latentviz.runs.info import STANDS_STILL

# Nats of information about an item. With less, mu distinguishes fewer than e² ≈ 7 kinds of items. The usual count of
# active units misses this: small variances that carry nothing pass its threshold.
COLLAPSED_BELOW = 2.0
IGNORED_BELOW = 0.5  # nats lost with another item's z, below which the decoder ignores the latent
PRIOR_GAP = 0.25  # nats per dimension between latents and prior, above which draws from the prior mislead
# Share of the validation loss that the last half of the epochs gains; docs/experiments.md has trainings.
STILL_FALLING = 0.1
# Share of the variance left unexplained in held-out items: .12 for digits that are sharp, .29 for colour pictures that
# are blobs to the eye; 1 for a decoder that draws the mean item.
COARSE, MEAN_ITEM = 0.25, 0.8
OVERFITTED = 1.25  # unexplained share of held-out items over that of training items
OVERFITTED_NATS = 0.05  # where items are not numbers: share of the log-likelihood lost from training to held-out items
NO_BETTER = 0.02  # in balanced accuracy: mu counts as good as the input
LEVELS: tuple[Level, ...] = ("good", "fair", "poor")


def judge(
    training: Training,
    health: Health,
    faithfulness: Faithfulness | None,
    clusters: Clusters | None,
    labels: Labels | None,
    model: Mapping[str, object],
    longer: str,
    again: str = "",
) -> list[Verdict]:
    """Judges each section that there is.

    Args:
        training: how far it went.
        health: of the model.
        faithfulness: of the map.
        clusters: without labels.
        labels: what the clusters have to do with them.
        model: the run's model settings, to which the advice refers.
        longer: the command that trains on.
        again: the commands that cluster again with another seed and compare the two; empty without a clustering.
    """
    verdicts = [judge_health(health, model, training, longer)]
    if faithfulness is not None:
        verdicts.append(judge_faithfulness(faithfulness))
    if clusters is not None:
        verdicts.append(judge_clusters(clusters, again))
    if labels is not None:
        verdicts.append(judge_labels(labels))
    return verdicts


def judge_health(health: Health, model: Mapping[str, object], training: Training, longer: str) -> Verdict:
    """Judges the VAE; arguments as those of `judge`."""
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
    lines += _bounds(health)
    falling = training.ended != STANDS_STILL and (training.loss_fall or 0) > STILL_FALLING
    faults, advice = [], []
    if falling:
        faults.append("the training was too short")
        lines.append(
            f"The validation loss fell by {training.loss_fall:.0%} over the last half of the "
            f"{plural(training.epochs, 'epoch')}: the training ended before it stood still."
        )
        advice.append(f"train longer: {longer}")
    left = health.unexplained
    if left is not None:
        lines.append(
            f"Reconstructions leave {left:.0%} of the variance of {_measured(health)} unexplained, and "
            f"{health.train_unexplained:.0%} of that of training items."
        )
        if left > COARSE:
            faults.append("the decoder is coarse" if left < MEAN_ITEM else "the decoder draws little but the mean item")
            if training.loss_fall is None:
                advice.append(f"train longer: {longer}")
            elif not falling:
                advice += _coarse_advice(health, model, longer)
    if overfits(health):
        lines.append(
            "Overfitting: held-out items are reconstructed worse than training items (log-likelihood "
            f"{_nats(health.log_likelihood)} and {_nats(health.train_log_likelihood)} nats); more items are what helps."
        )
    if health.prior_kl_least > PRIOR_GAP * d:
        faults.append("draws from the prior are unreliable")
        lines.append(
            f"The aggregated posterior is at least {health.prior_kl_least:.0f} nats from the prior, so draws from the "
            "prior fall where there are no items. This does not affect the map."
        )
        advice.append("for new items, draw near the latents of existing items, or train again with a lower model.c")
    if used < d / 2:
        lines.append(f"{plural(d - used, 'dimension is', 'dimensions are')} unused, which does no harm.")
        advice.append(f"model.latent_dim={max(2, used + used // 4)} is enough")
    headline = "Healthy: the latent holds what tells items apart, and the decoder uses it."
    if faults:
        headline = f"The latent tells items apart, but {listed(faults)}."
    level: Level = "poor" if left is not None and left >= MEAN_ITEM else "fair" if faults else "good"
    return Verdict("health", level, headline, lines, advice)


def overfits(health: Health) -> bool:
    """Whether training items are reconstructed clearly better than held-out ones."""
    if health.split != "val":
        return False
    if health.unexplained is not None and health.train_unexplained is not None:
        return health.unexplained > OVERFITTED * health.train_unexplained
    return health.train_log_likelihood - health.log_likelihood > OVERFITTED_NATS * abs(health.log_likelihood)


def listed(parts: Sequence[str]) -> str:
    """Joins parts of a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(parts[:-1]), *parts[-1:]][len(parts) < 2 :])


def _nats(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}".replace("-", "−")


def _measured(health: Health) -> str:
    return "held-out items" if health.split == "val" else "all items"


def _bounds(health: Health) -> list[str]:
    """Says which bounds can be compared, and how tight they are."""
    best, lines = health.calibrated, []
    if best is not None:
        sigma = "σ" if best.sigma is None else f"σ = {best.sigma:.3g}"
        lines.append(
            f"With a calibrated {sigma}, log p(x) is at least {_nats(best.iwae, 1)} nats: comparable between runs on "
            f"the same data. C makes p(x|z) {best.scale:.2g} times as sharp, as a β-VAE with β = {health.beta:.2g} "
            f"would, and log-likelihood and bounds at that C ({_nats(health.iwae)}) compare runs of equal C only."
        )
    for bound, at in ((best, "at the calibrated σ"), (health, "" if best is None else "at the C of the training")):
        if bound is not None and bound.iwae_gain > TIGHT:
            named = f"The bound {at}".rstrip()
            lines.append(
                f"{named} is a lower bound that has not converged: of {bound.iwae_samples} draws "
                f"{bound.effective_samples:.1f} count, and their last doubling raised it by {bound.iwae_gain:.1f} nats."
            )
    return lines


def _coarse_advice(health: Health, model: Mapping[str, object], longer: str) -> list[str]:
    """What to change about a decoder that is coarse although its loss stands still."""
    if overfits(health) and (health.train_unexplained or 0) <= COARSE:
        return ["more items: training items are reconstructed well"]
    larger = [
        f"model.{name}={2 * value}"
        for name, value in model.items()
        if name in {"latent_dim", "width"} and isinstance(value, int)
    ]
    return [f"{' and '.join(larger)}, in a new run, for more detail", f"or train longer: {longer}"]


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


def judge_clusters(clusters: Clusters, again: str) -> Verdict:
    """Judges the clusters without labels; `again` is as that of `judge`."""
    if clusters.n_clusters < 2:
        headline = "No clusters were found: read the map as a continuous landscape."
        advice = ["a smaller cluster.min_cluster_size, with it cluster.selection=leaf for finer groups"]
        return Verdict("clusters", "poor", headline, [], advice)
    criteria: list[tuple[float | None, float, float, str, str]] = [  # value, good, fair, evidence, advice
        (
            clusters.distinct,
            0.75,  # 9 of the 11 sets of groups in benchmarks/results/reliability.md have more
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
            f"not reproducible from seed to seed: cut coarser, or keep to what seeds agree on, as {again} show",
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
    score, knn = labels.scores["nearest_cluster"], labels.knn
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
    if knn.in_mu is not None:
        learnt = "" if knn.in_learnt is None else f", those in its learnt dimensions for {knn.in_learnt:.1%}"
        lines.append(f"Neighbours in {knn.space} predict the label correctly for {knn.in_mu:.1%} of the items{learnt}.")
    if knn.balanced is not None:
        gain, than = knn.balanced - (knn.balanced_in_input or 0), ""
        if knn.balanced_in_input is not None:
            than = "better than" if gain > NO_BETTER else "worse than" if gain < -NO_BETTER else "no better than"
            than = f", {than} neighbours by {knn.input} alone ({knn.balanced_in_input:.1%})"
        lines.append(f"Averaged over the labels, they do so for {knn.balanced:.1%}{than}.")
        if knn.balanced > 0.5 and gain >= -NO_BETTER and knn.balanced - labels.balanced_match > 0.1:
            advice.append(
                "the latent separates the groups and the cut loses them: try another cluster.min_cluster_size, also "
                "with cluster.selection=leaf"
            )
    return Verdict("labels", level, headline, lines, advice)


def _level(value: float, good: float, fair: float) -> Level:
    return "good" if value >= good else "fair" if value >= fair else "poor"
