"""The result of an evaluation, as evaluation.json holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter

Level = Literal["good", "fair", "poor"]

TIGHT = 0.1  # nats that doubling the draws raises an importance-weighted bound by at most, once it stands still


@dataclass(frozen=True)
class Calibrated:
    """The bounds with the σ of p(x|z) as large as its residuals: comparable between runs whatever their C.

    Attributes:
        items: training items whose mean squared residual, at a draw each, gives σ (Rybkin et al. 2021).
        scale: that σ over the σ of the model, 1/√(2C).
        sigma: that σ; None if the model has several.
        log_likelihood: E[log p(x|z)].
        elbo: log-likelihood − KL.
        iwae: the importance-weighted bound, over `iwae_items` items with `iwae_samples` draws each. They are drawn from
            Gaussians fitted at this σ: those of the encoder fit that of the training, and miss this one.
        iwae_error: its standard error over the items.
        iwae_gain: by which the last doubling of the draws has raised it.
        effective_samples: of the draws: (Σw)²/Σw², the mean over the items.
    """

    items: int
    scale: float
    sigma: float | None
    log_likelihood: float
    elbo: float
    iwae: float
    iwae_error: float
    iwae_items: int
    iwae_samples: int
    iwae_gain: float
    effective_samples: float


@dataclass(frozen=True)
class Health:
    """Metrics of a trained VAE, in nats per item unless stated otherwise.

    Attributes:
        split: "val", or "all" if too few items are held out.
        items: over which log-likelihood, KL and ELBO are means, with one draw each.
        log_likelihood: E[log p(x|z)], higher is better. With a Normal p(x|z), this and the bounds are at the σ of the
            model, 1/√(2C), and so comparable between runs of equal C only; see `calibrated`.
        log_likelihood_error: its standard error.
        kl: KL[q(z|x) ‖ p(z)].
        elbo: log-likelihood − KL, a lower bound of log p(x).
        iwae: the tighter bound of Burda et al. 2016, over `iwae_items` items with `iwae_samples` draws each.
        iwae_error: its standard error over the items.
        iwae_elbo: the ELBO of the same items and draws.
        iwae_gain: nats by which the last doubling of the draws has raised the bound; draws are doubled until that is
            below .1, up to 400.
        effective_samples: of the draws: (Σw)²/Σw², the mean over the items; near 1 one draw decides, and the bound has
            not converged.
        beta: of the β-VAE that the loss is one of: the KL's weight against a likelihood at its calibrated σ; 1/C of
            texts.
        calibrated: the bounds at that σ; None if p(x|z) is not Normal.
        unexplained: share of the variance about the mean training item that reconstructions from mu leave unexplained;
            None if items are not numbers.
        train_items: training items that these are measured on too.
        train_log_likelihood: as `log_likelihood`.
        train_unexplained: as `unexplained`.
        decoder_gain: log p(x|z) lost when z is that of another item; 0 for a decoder that ignores z.
        kl_per_dimension: of each latent dimension.
        variance_of_mu: of each latent dimension, over the items.
        active_units: variance threshold → number of dimensions in which mu varies by more.
        mutual_information: I(x; z) between the item's index and z; "at least" if it is at its cap (`capped`).
        mutual_information_cap: log of the number of items it is estimated from.
        prior_kl_least: a lower bound of the KL from the aggregated posterior to the prior, from Gaussians fitted to
            other items than they are measured on.
        prior_kl_most: KL − mutual information (Hoffman & Johnson 2016); too high where the information is at its cap.
    """

    split: Literal["val", "all"]
    items: int
    log_likelihood: float
    log_likelihood_error: float
    kl: float
    elbo: float
    iwae: float
    iwae_error: float
    iwae_elbo: float
    iwae_items: int
    iwae_samples: int
    iwae_gain: float
    effective_samples: float
    beta: float
    calibrated: Calibrated | None
    unexplained: float | None
    train_items: int
    train_log_likelihood: float
    train_unexplained: float | None
    decoder_gain: float
    latent_dim: int
    content_dim: int
    kl_per_dimension: Sequence[float]
    variance_of_mu: Sequence[float]
    active_units: Mapping[str, int]
    mutual_information: float
    mutual_information_cap: float
    prior_kl_least: float
    prior_kl_most: float

    @property
    def capped(self) -> bool:
        """Whether the mutual information is the most that so few items can show, and so a lower bound."""
        return self.mutual_information > self.mutual_information_cap - 0.05

    @property
    def information(self) -> str:
        """The mutual information in nats, as text."""
        return f"{'at least ' if self.capped else ''}{self.mutual_information:.2f}"


@dataclass(frozen=True)
class Training:
    """How far the training went.

    Attributes:
        epochs: of the training.
        ended: what ended it: the limit, the time, or that the neighbours stand still; "" if that is unknown.
        loss_fall: share of the validation loss that the last half of the epochs has gained; None if it is unknown.
    """

    epochs: int
    ended: str
    loss_fall: float | None


@dataclass(frozen=True)
class Faithfulness:
    """How well the map preserves the `k` nearest neighbours in mu; all in [0, 1], 1 is best.

    Attributes:
        items: for which neighbours are compared, among all items.
        dimensions: of mu.
        trustworthiness: low if neighbours on the map are far apart in mu (Venna & Kaski 2001, equation 1).
        continuity: low if neighbours in mu are far apart on the map (equation 2).
        overlap: share of the k neighbours in mu that are among the k on the map.
        overlap_by_chance: the overlap of a random map.
    """

    k: int
    items: int
    dimensions: int
    trustworthiness: float
    continuity: float
    overlap: float
    overlap_by_chance: float


@dataclass(frozen=True)
class Clusters:
    """Metrics of the clusters, computed without labels; None where there are fewer than two clusters.

    Attributes:
        items: over which DBCV and silhouettes are computed.
        dbcv: density-based validity in [−1, 1] (Moulavi et al. 2014).
        silhouette: in [−1, 1], in the space that was clustered, noise left out (Rousseeuw 1987).
        silhouette_in_mu: the same in mu.
        modularity: normalised modularity of the neighbour graph's partition, up to 1.
        distinct: share of items in clusters with sparser places around them than a single cloud has.
        agreement_of_layouts: ARI of clusters from layouts with other seeds.
    """

    n_clusters: int
    noise_share: float
    items: int
    dbcv: float | None
    silhouette: float | None
    silhouette_in_mu: float | None
    modularity: float | None
    distinct: float | None
    agreement_of_layouts: float | None


@dataclass(frozen=True)
class Agreement:
    """Scores of clusters against labels, over a `share` of the items."""

    share: float
    acc: float
    nmi: float
    ari: float
    ami: float
    homogeneity: float


@dataclass(frozen=True)
class KNN:
    """Accuracy of the vote of the `k` nearest neighbours in mu and on the map, over `items`; None without items.

    Attributes:
        compared: labelled items among which the input's neighbours are compared with those in mu.
        balanced: mean over the labels of the accuracy in mu, among these.
        balanced_in_input: the same by the items as they are; None if these are neither numbers nor texts.
        input: what these are: pixels, columns, or terms (by TF-IDF).
        given_dim: leading dimensions of mu that are computed in closed form, the topic of texts; `in_mu` is about these
            alone where they alone were clustered.
        in_learnt: the accuracy in the other dimensions of mu; None if all are learnt or all were clustered.
    """

    k: int
    items: int
    in_mu: float | None
    in_picture: float | None
    compared: int
    balanced: float | None
    balanced_in_input: float | None
    input: str
    given_dim: int = 0
    in_learnt: float | None = None

    @property
    def space(self) -> str:
        """What the neighbours of `in_mu` are neighbours in."""
        return "mu" if self.in_learnt is None else f"the topic (first {self.given_dim} dimensions of mu, closed form)"


@dataclass(frozen=True)
class Confusion:
    """Labels (rows) against clusters (columns), best matches on the diagonal; `left_out` items are not shown."""

    labels: Sequence[str]
    clusters: Sequence[int]
    counts: Sequence[Sequence[int]]
    left_out: int


@dataclass(frozen=True)
class Labels:
    """How the map and its clusters compare with the labels of the `items` that have one.

    Attributes:
        largest_share: of the commonest label.
        balanced_match: mean over the labels of the share of items in the cluster that best matches, one to one.
        scores: "nearest_cluster" (noise in its nearest cluster), "cluster_with_noise_as_one", "clustered_only".
    """

    items: int
    n_labels: int
    largest_share: float
    balanced_match: float
    scores: Mapping[str, Agreement]
    knn: KNN
    confusion: Confusion


@dataclass(frozen=True)
class Verdict:
    """The verdict on one section.

    Attributes:
        section: health, faithfulness, clusters or labels.
        headline: one sentence.
        lines: the evidence.
        advice: what to change, as settings where possible.
        collapsed: whether the model is useless.
    """

    section: str
    level: Level
    headline: str
    lines: Sequence[str] = ()
    advice: Sequence[str] = ()
    collapsed: bool = False


@dataclass(frozen=True)
class Evaluation:
    """An evaluation; the sections of the map are None without a clustering, `labels` also without labels.

    Attributes:
        kind: of the data.
        clustering: its name.
        training: how far it went; not a section.
        seed: of every sample and draw.
        seconds: stage → duration.
    """

    run: str
    kind: str
    clustering: str | None
    n_items: int
    seed: int
    training: Training
    health: Health
    faithfulness: Faithfulness | None
    clusters: Clusters | None
    labels: Labels | None
    verdicts: Sequence[Verdict]
    seconds: Mapping[str, float]

    @property
    def collapsed(self) -> bool:
        """Whether the latents carry almost no information about the items."""
        return any(verdict.collapsed for verdict in self.verdicts)

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "Evaluation":
        """Returns what `to_json` made the content of.

        Raises:
            ValidationError: it is not one of this version.
        """
        sections = dict.fromkeys(("faithfulness", "clusters", "labels"))
        return TypeAdapter(cls).validate_python({**sections, **content})

    def to_json(self) -> dict[str, object]:
        """Returns the content of evaluation.json; sections that are None are left out."""
        content = {key: value for key, value in asdict(self).items() if value is not None or key == "clustering"}
        seconds = content.pop("seconds")
        return {**content, "collapsed": self.collapsed, "seconds": seconds}
