"""The types of what the commands print with `--json` that work on a run; `answers` makes the objects."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from latentviz.evaluation.comparison import Compared
from latentviz.runs.info import ClusterEntry, LabelledInfo, RunSummary


class ClusteringAnswer(TypedDict):
    """A clustering.

    Attributes:
        run: the name of the run.
        clustering: the name of the clustering.
        path: its folder.
        map: the HTML map.
        items: how many there are.
        n_clusters: how many clusters.
        noise: share of the items in no cluster, in [0, 1].
        clusters: the clusters, by number.
        lines: what was chosen and found, in words.
        seconds: per stage.
    """

    run: str
    clustering: str
    path: str
    map: str
    items: int
    n_clusters: int
    noise: float
    clusters: list[ClusterEntry]
    lines: list[str]
    seconds: dict[str, float]


class FitAnswer(TypedDict):
    """A trained run.

    Attributes:
        run: its name.
        path: its folder.
        kind: of the data.
        summary: what the training came to.
        seconds: per stage.
        clustering: with `--cluster`; else null.
    """

    run: str
    path: str
    kind: str
    summary: RunSummary
    seconds: dict[str, float]
    clustering: ClusteringAnswer | None


class TrialAnswer(TypedDict):
    """A trial.

    Attributes:
        trial: its number, from 1.
        state: complete, pruned or failed.
        value: of the objective; of one that was pruned, when it was.
        settings: setting → value.
        epochs: of the training.
        seconds: of the trial.
        note: why it failed, or which trial had the same settings.
    """

    trial: int
    state: str
    value: float | None
    settings: dict[str, str | int | float | bool | None]
    epochs: int | None
    seconds: float | None
    note: str


class TuneAnswer(TypedDict):
    """A search of settings.

    Attributes:
        run: of the best trial.
        path: its folder.
        objective: bound or clusters.
        value: of the best trial; higher is better.
        settings: of the best trial.
        trials: in their order.
        table: the trials as CSV.
        plot: the values over the trials and over each setting.
    """

    run: str
    path: str
    objective: str
    value: float
    settings: dict[str, str | int | float | bool | None]
    trials: list[TrialAnswer]
    table: str
    plot: str


_Origin = TypedDict("_Origin", {"from": str}, total=False)  # a keyword cannot be written as a class has it


class Output(_Origin):
    """A decoded latent.

    Attributes:
        file: its file in `folder`; several may share one, as in `outputs.txt#3`.
        from: what the latent comes from, if it has an origin.
        text: what was decoded, if that is a text.
        z: the latent.
    """

    file: str
    text: NotRequired[str]
    z: list[float]


class GenerateAnswer(TypedDict, total=False):
    """What was decoded; the content of generated.json, and where it is.

    Attributes:
        folder: with all files.
        way: how the latents were chosen: prior, cluster, between, at, like, parts, vector, reconstruct, traverse,
            manifold.
        asked: the value of that option.
        sampler: of fresh draws.
        seed: of every draw.
        latent_dim: dimensions of a latent.
        warnings: as they were printed.
        sheet: the files of the sheet.
        outputs: in the order of the sheet.
        near_data: of `--at`: whether there are points nearby.
        distance: of `--at`: to the 5th nearest point.
        near_below: of `--at`: the largest distance that is near.
        neighbours: of `--at`: ids of the nearest points.
        weights: of `--at`: their weights.
        given: of parts: what was given.
        units: of `--traverse`: the latent dimensions.
        variances: of `--traverse`: those of mu in these dimensions.
    """

    folder: str
    way: str
    asked: Any
    sampler: str
    seed: int
    latent_dim: int
    warnings: list[str]
    sheet: list[str]
    outputs: list[Output]
    near_data: bool
    distance: float
    near_below: float
    neighbours: list[str]
    weights: list[float]
    given: str
    units: list[int]
    variances: list[float]


class Recommended(TypedDict):
    """A similar item; cluster, label, source and text are there if the run has them.

    Attributes:
        rank: from 1.
        id: of the item.
        row: of the item in the run.
        score: the cosine, or minus the Euclidean distance.
        cluster: −1 for noise.
        label: of the item.
        source: where it was read from.
        text: the item, if it is a text.
    """

    rank: int
    id: str
    row: int
    score: float
    cluster: NotRequired[int]
    label: NotRequired[str | None]
    source: NotRequired[str | None]
    text: NotRequired[str | None]


class RecommendAnswer(TypedDict):
    """Similar items.

    Attributes:
        run: the name of the run.
        recommended: best first.
        folder: with `--save`; else null.
        files: of the sheet in `folder`.
    """

    run: str
    recommended: list[Recommended]
    folder: str | None
    files: list[str]


class Limits(TypedDict):
    """From where on a new item is unlike the training data.

    Attributes:
        log_likelihood: the least, in nats.
        distance: the largest, from the nearest mu.
        validation_items: that the two were measured on.
        share: of items like these that are beyond one of the two, at most, in expectation.
        meaning: the same in words.
    """

    log_likelihood: float | None
    distance: float | None
    validation_items: int
    share: float
    meaning: str


class EncodeAnswer(TypedDict):
    """New items on the map; the content of encode.json, and where it is.

    Attributes:
        folder: with points.parquet, mu.npy and the map.
        map: the HTML map.
        data: what was encoded.
        clustering: that the items were placed in.
        items: how many there are.
        noise: how many are in no cluster.
        unlike: how many are unlike the training data.
        clusters: cluster → how many are in it.
        thresholds: of `unlike`.
        bad_items: how many could not be read.
        seconds: per step.
    """

    folder: str
    map: str
    data: str
    clustering: str
    items: int
    noise: int
    unlike: int
    clusters: dict[str, int]
    thresholds: Limits
    bad_items: int
    seconds: dict[str, float]


class AnnotateAnswer(TypedDict):
    """An annotated clustering.

    Attributes:
        run: the name of the run.
        clustering: the name of the clustering.
        map: the HTML map, drawn again.
        names: cluster → name.
        merges: cluster → the cluster that it is a part of.
        splits: new cluster → ids of its items.
        tags: id → tags.
        notes: id → text.
    """

    run: str
    clustering: str
    map: str
    names: dict[str, str]
    merges: dict[str, int]
    splits: dict[str, list[str]]
    tags: dict[str, list[str]]
    notes: dict[str, str]


class ToLabel(TypedDict):
    """An item whose label helps.

    Attributes:
        id: of the item.
        label: empty.
        cluster: −1 for noise.
        hint: the name of the cluster, if it has one.
    """

    id: str
    label: str
    cluster: int
    hint: str


class AskAnswer(TypedDict):
    """What `label --ask` asks for.

    Attributes:
        folder: with all files.
        table: to fill in.
        files: of the sheet in `folder`.
        asked: the most useful first.
    """

    folder: str
    table: str
    files: list[str]
    asked: list[ToLabel]


class LabelAnswer(TypedDict):
    """Labels for all items.

    Attributes:
        run: the name of the run.
        clustering: whose points have the columns label_predicted and label_probability.
        map: the HTML map, drawn again.
        labelled: where they come from.
        unsure: how many items have a label of a probability below .5.
    """

    run: str
    clustering: str
    map: str
    labelled: LabelledInfo
    unsure: int


class CompareAnswer(Compared):
    """How far two clusterings agree; the content of compared.json, and where it is.

    Attributes:
        folder: with all files.
        map: the page with both maps.
        a: the first.
        b: the second.
        items: how many are in both.
        ari: the adjusted Rand index, noise in its nearest cluster.
        nmi: the normalised mutual information, noise in its nearest cluster.
        moved: how many items are not in the counterpart of their cluster.
        neighbours: how many of an item's nearest are the same; null with too few items.
        matched: pairs of counterparts.
        flow: items by their clusters in both, those that moved first.
        files: in `folder`.
    """

    folder: str
    map: str


class ExportAnswer(TypedDict):
    """What was exported.

    Attributes:
        files: that were written.
        url: of the repository on the hub; null without `--hub`.
    """

    files: list[str]
    url: str | None


class VerifyAnswer(TypedDict):
    """What was found in a run.

    Attributes:
        run: its name.
        ok: whether nothing is damaged.
        files: how many were compared with their checksums.
        damage: a line for each thing that is damaged, or that leads out of the run.
        notes: a line for each thing that cannot be checked, or that latentviz did not write.
    """

    run: str
    ok: bool
    files: int
    damage: list[str]
    notes: list[str]
