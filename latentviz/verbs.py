"""The commands that use a trained run, from evaluate to verify. `lv.Run` has them as methods.

Each raises a LatentvizError for a user's mistake; its message names the next step.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentviz.display import INLINE, frame, link
from latentviz.modalities.memory import Given, source_of, words_of
from latentviz.progress import say
from latentviz.runs.files import AnyPath
from latentviz.runs.run import RunFolder
from latentviz.stages.arguments import checked

if TYPE_CHECKING:
    from latentviz.evaluation.results import Evaluation as Metrics
    from latentviz.modalities.inspecting import Inspection
    from latentviz.stages.annotate import Annotated
    from latentviz.stages.compare import Comparison
    from latentviz.stages.encode import Encoded
    from latentviz.stages.generate import Generated
    from latentviz.stages.label import Asked, Labelled
    from latentviz.stages.recommend import Recommendation
    from latentviz.stages.verify import Verification


@checked
def inspect(source: Given, *, data: Mapping[str, Any] | None = None) -> "Inspection":
    """Finds what `lv.fit(source)` would learn from; reads the first rows and writes nothing.

    Args:
        source: as for `lv.fit`.
        data: settings of the data, such as `{"text_column": "body"}`.
    """
    from latentviz.modalities.inspecting import inspect_source

    with source_of(source, kind=data.get("kind") if data else None) as path:
        return inspect_source(path, {"data": data} if data else {})


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The evaluation of a run.

    Attributes:
        metrics: what `evaluation.json` holds: health, faithfulness, clusters, labels, verdicts.
        report: the HTML report.
        json_file: `evaluation.json`.
    """

    metrics: "Metrics"
    report: Path
    json_file: Path

    @property
    def collapsed(self) -> bool:
        """Whether the latents say almost nothing about the items."""
        return self.metrics.collapsed

    def __str__(self) -> str:
        from latentviz.evaluation.table import evaluation_table

        return evaluation_table(self.metrics)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Returns the report, or the table if the report is too large for a notebook, and a link to it."""
        page = self.report.read_text(encoding="utf-8")
        shown = frame(page, "evaluation") if len(page) <= INLINE else f"<pre>{html.escape(str(self))}</pre>"
        return f"{shown}<div>{link(self.report, f'Open {self.report.name}')}</div>"


@checked
def evaluate(
    run: AnyPath | None = None, *, clustering: str | None = None, outputs: AnyPath = "outputs"
) -> "Evaluation":
    """Evaluates a run and writes the report: the VAE's health, the map, the clusters, and the labels if there are any.

    Args:
        run: an `lv.Run`, a name or a path; the newest by default.
        clustering: which clustering; by default "default", and the model alone where that does not exist.
        outputs: folder of the runs.
    """
    from latentviz.stages.evaluate import evaluate as measure

    folder = RunFolder.open(run, outputs)
    metrics = measure(folder, clustering)
    place = folder if metrics.clustering is None else folder.clustering(metrics.clustering)
    return Evaluation(metrics, place.evaluation_report, place.evaluation_file)


@checked
def generate(
    run: AnyPath | None = None,
    *,
    cluster: int | None = None,
    between: Sequence[AnyPath | int] | None = None,
    at: tuple[float, float] | None = None,
    like: AnyPath | int | None = None,
    caption: str | None = None,
    label: str | None = None,
    image: AnyPath | None = None,
    vector: str | None = None,
    reconstruct: Sequence[AnyPath | int] | None = None,
    traverse: bool = False,
    manifold: int | None = None,
    n: int = 64,
    seed: int = 0,
    steps: int = 9,
    spread: float = 1.0,
    sampler: str = "auto",
    clustering: str = "default",
    name: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> "Generated":
    """Decodes new items from the latent space and writes them to `generated/<name>/`.

    Without one of the first eleven options the z are fresh draws; items are ids, row numbers or files.

    Args:
        run: an `lv.Run`, a name or a path; the newest by default.
        cluster: draw from the aggregated posterior of this cluster; −1: of the items in none.
        between: two items or clusters (`"cluster:3"`): decode the path from one to the other.
        at: a position (x, y) on the map.
        like: draw around the posterior of this item.
        caption: draw from the posterior of a text, in runs that have learnt captions; with `label` and `image`, of all
            that are given.
        label: the same of a label.
        image: the same of the image in a file.
        vector: a sum of items or clusters, such as `"a - b + c"`.
        reconstruct: items to encode and decode.
        traverse: vary each active unit from −3 to 3.
        manifold: decode a grid of this many cells a side over a latent of 2 dimensions.
        n: how many draws.
        seed: of every draw.
        steps: of `between` and `traverse`.
        spread: of `like` and of parts, as a factor on the posterior's standard deviation.
        sampler: of fresh draws: prior, gmm (a mixture over mu), kde (around the items), or auto: prior, and gmm where
            the run was trained with contrast.
        clustering: the clustering that clusters and map positions refer to.
        name: of the new folder; by default from the options.
        outputs: folder of the runs.
        force: replace an earlier result of this name.
    """
    from latentviz.stages.generate import generate as stage

    return stage(
        RunFolder.open(run, outputs),
        cluster=cluster,
        between=None if between is None else [str(end) for end in between],
        at=at,
        like=None if like is None else str(like),
        caption=caption,
        label=label,
        image=None if image is None else str(image),
        vector=vector,
        reconstruct=None if reconstruct is None else [str(item) for item in reconstruct],
        traverse=traverse,
        manifold=manifold,
        n=n,
        seed=seed,
        steps=steps,
        spread=spread,
        sampler=sampler,
        clustering=clustering,
        name=name,
        force=force,
    )


@checked
def recommend(
    run: AnyPath | None,
    items: Given,
    *,
    k: int = 10,
    disliked: Given = (),
    metric: str = "cosine",
    diverse: float = 0.0,
    where: str | None = None,
    on: str = "auto",
    clustering: str = "default",
    save: bool = False,
    name: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> "Recommendation":
    """Finds the items most similar to the given ones, best first.

    Args:
        run: an `lv.Run`, a name or a path; None: the newest.
        items: ids, row numbers, files or texts, or items in memory: an image, an array, a list of images, a DataFrame;
            several are averaged. New ones are encoded first.
        k: how many.
        disliked: items to move away from.
        metric: cosine or euclidean.
        diverse: 0 to 1: how much the results should differ from each other.
        where: only items that meet this condition, such as `"cluster == 3"`.
        on: dimensions of mu to compare: all, content (the clustered ones), or auto: all, except of sentences the topic.
        clustering: the clustering that `where` and the table refer to.
        save: write a sheet and the table to `recommended/<name>/`.
        name: of that folder; by default from the request.
        outputs: folder of the runs.
        force: replace an earlier result of this name.
    """
    from latentviz.stages.recommend import recommend as stage

    folder = RunFolder.open(run, outputs)
    kind = folder.info()["kind"]
    with words_of(items, kind) as liked, words_of(disliked, kind) as unwanted:
        found = stage(
            folder,
            liked,
            k=k,
            disliked=unwanted,
            metric=metric,
            diverse=diverse,
            where=where,
            on=on,
            clustering=clustering,
        )
    if save or name is not None:
        found.save(name, force=force)
    return found


@checked
def encode(
    run: AnyPath | None,
    data: Given,
    *,
    clustering: str = "default",
    name: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> "Encoded":
    """Encodes new data with the trained model, places it on the map, and writes `encoded/<name>/`.

    Args:
        run: an `lv.Run`, a name or a path; None: the newest.
        data: whatever `fit` reads: a folder, a file, `hf:NAME`, or an object in memory.
        clustering: the clustering to place the items in.
        name: of the new folder; by default from `data`.
        outputs: folder of the runs.
        force: replace an earlier result of this name.
    """
    from latentviz.stages.encode import encode as stage

    folder = RunFolder.open(run, outputs)
    with source_of(data, kind=folder.info()["kind"]) as path:
        return stage(folder, path, clustering=clustering, name=name, force=force)


@checked
def export(
    run: AnyPath | None = None,
    *,
    onnx: bool = False,
    safetensors: bool = False,
    card: bool = False,
    embedding_atlas: bool = False,
    site: bool = False,
    hub: str | None = None,
    public: bool = False,
    clustering: str = "default",
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> list[Path]:
    """Writes a run for other programs and people to `exported/`, on request puts it on the hub; returns the files.

    Args:
        run: an `lv.Run`, a name or a path; the newest by default.
        onnx: write encoder.onnx and decoder.onnx.
        safetensors: write model.safetensors, the weights.
        card: write a model card, README.md, with the verdicts of `evaluate`.
        embedding_atlas: write atlas.parquet and atlas-labels.parquet for the program embedding-atlas.
        site: write a folder for static pages, with all maps of the run.
        hub: put the run and its card into `user/name` on the Hugging Face hub; `lv.open("hf:user/name")` opens it.
        public: of `hub`: a new repository is for everybody; private by default.
        clustering: the clustering that card and table show.
        outputs: folder of the runs.
        force: replace earlier exports, and the files of a repository that exists.
    """
    from latentviz.stages.export import export as stage

    found = stage(
        RunFolder.open(run, outputs),
        onnx=onnx,
        safetensors=safetensors,
        card=card,
        embedding_atlas=embedding_atlas,
        site=site,
        hub=hub,
        public=public,
        clustering=clustering,
        force=force,
    )
    if found.url is not None:
        say(f"on the hub: {found.url}")
    return found.files


@checked
def annotate(
    run: AnyPath | None,
    annotations: AnyPath | Mapping[str, Any],
    *,
    clustering: str = "default",
    outputs: AnyPath = "outputs",
) -> "Annotated":
    """Puts names, merges, splits, tags and notes into a clustering and draws its map again.

    A table that is given replaces that of before; one that is absent stays.

    Args:
        run: an `lv.Run`, a name or a path; None: the newest.
        annotations: the file that the map saves, or a dict with some of its tables: `names` (cluster → name),
            `merges` (cluster → the cluster that it becomes a part of), `splits` (cluster → ids of its items), `tags`
            (id → tags) and `notes` (id → text).
        clustering: which clustering.
        outputs: folder of the runs.
    """
    from latentviz.stages.annotate import annotate as stage

    return stage(RunFolder.open(run, outputs), annotations, clustering=clustering)


@checked
def label(
    run: AnyPath | None,
    labels: AnyPath | Mapping[str, str] | None = None,
    *,
    ask: int | None = None,
    clustering: str = "default",
    name: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> "Asked | Labelled":
    """Asks for the labels that help most, or spreads a few labels to all items and draws the map again.

    Args:
        run: an `lv.Run`, a name or a path; None: the newest.
        labels: a table with the columns id and label, or a dict of them; items without a label are left out. None, in
            runs that have learnt labels: those that the decoder of labels predicts.
        ask: how many items to ask for; they go to `labelled/<name>/`. With `labels`: further ones, and nothing is
            spread.
        clustering: which clustering.
        name: of the new folder; by default from `ask`.
        outputs: folder of the runs.
        force: replace an earlier result of this name, and the labels that were filled in there.
    """
    from latentviz.stages.label import label as stage

    return stage(RunFolder.open(run, outputs), labels, ask=ask, clustering=clustering, name=name, force=force)


@checked
def compare(
    run: AnyPath | None,
    other: AnyPath | None = None,
    *,
    clusterings: Sequence[str] = ("default", "default"),
    name: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> "Comparison":
    """Compares two clusterings of a run, or two runs over the same items, and writes `compared/<name>/` into the first.

    Args:
        run: the first: an `lv.Run`, a name or a path; None: the newest.
        other: the second; None: another clustering of the first.
        clusterings: the names of the clusterings, of the first and of the second.
        name: of the new folder; by default from the second run, or from the clusterings.
        outputs: folder of the runs.
        force: replace an earlier result of this name.
    """
    from latentviz.stages.compare import compare as stage

    first = RunFolder.open(run, outputs)
    second = first if other is None else RunFolder.open(other, outputs)
    return stage(first, second, clusterings, name=name, force=force)


@checked
def verify(run: AnyPath | None = None, *, outputs: AnyPath = "outputs") -> "Verification":
    """Checks a run: every byte that has a checksum, what its files hold, its links, and files of others in it.

    Args:
        run: an `lv.Run`, a name or a path; the newest by default.
        outputs: folder of the runs.
    """
    from latentviz.stages.verify import verify as stage

    return stage(RunFolder.find(run, outputs))
