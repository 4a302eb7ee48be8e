"""The commands of `import latentviz as lv`: the shell's words, options and defaults.

What a run or a result has is a property (`run.mu`, `result.points`); what it does is a method (`run.cluster()`).
"""

import base64
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from latentviz.config import ClusterConfig, MapSection, changes, merge, read_yaml, validate
from latentviz.errors import RunError
from latentviz.modalities.sources import load_config
from latentviz.progress import may_follow
from latentviz.runs.files import check_name
from latentviz.runs.run import ClusterFolder, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from latentviz.evaluation.results import Evaluation as Metrics
    from latentviz.stages.encode import Encoded
    from latentviz.stages.generate import Generated
    from latentviz.stages.recommend import Recommendation

AnyPath = str | os.PathLike[str]
Settings = Mapping[str, Any]


def fit(
    source: AnyPath,
    *,
    run: str | None = None,
    outputs: AnyPath = "outputs",
    resume: bool = False,
    force: bool = False,
    data: Settings | None = None,
    model: Settings | None = None,
    trainer: Settings | None = None,
    seed_everything: int | None = None,
    check_memory: bool | None = None,
) -> "Run":
    """Trains a VAE on `source` and exports mu and logvar of every item.

    Args:
        source: a recipe's name, a YAML file, or data: a folder, a file, `hf:NAME`.
        run: name of the new run; by default taken from `source`.
        outputs: folder of the runs.
        resume: continue an interrupted run.
        force: replace an existing run.
        data: settings of the data, such as `{"batch_size": 64}`; `latentviz config SOURCE` lists all settings.
        model: settings of the model, such as `{"latent_dim": 16}`.
        trainer: arguments of `pytorch_lightning.Trainer`, such as `{"max_epochs": 5}`.
        seed_everything: seed of the split, the weights and every draw; 0 by default.
        check_memory: False: try work that does not seem to fit into memory.

    Raises:
        LatentvizError: a mistake in the settings, the data or the run folder; the message names the next step.
    """
    sections = {"data": data, "model": model, "trainer": trainer}
    overrides = _given(**sections, seed_everything=seed_everything, check_memory=check_memory)
    return Run(train(os.fspath(source), overrides, run=run, outputs=outputs, resume=resume, force=force))


def cluster(
    run: "Run | AnyPath | None" = None,
    *,
    name: str = "default",
    outputs: AnyPath = "outputs",
    force: bool = False,
    reduce: Settings | None = None,
    cluster: Settings | None = None,
    map: Settings | None = None,
    seed_everything: int | None = None,
    check_memory: bool | None = None,
) -> "Result":
    """Reduces and clusters the mu of a run and draws its map.

    Args:
        run: a run, its name or its path; the newest by default.
        name: of the new clustering.
        outputs: folder of the runs.
        force: replace an existing clustering of this name.
        reduce: settings of the layout, such as `{"n_neighbors": 30}`.
        cluster: settings of the clusterer, such as `{"min_cluster_size": 50}`.
        map: settings of the map: title, theme, colour_by, layers.
        seed_everything: seed of the reducer; 0 by default.
        check_memory: False: try work that does not seem to fit into memory.

    Raises:
        LatentvizError: a mistake in the settings or the run folder; the message names the next step.
    """
    sections = {"reduce": reduce, "cluster": cluster, "map": map}
    overrides = _given(**sections, seed_everything=seed_everything, check_memory=check_memory)
    return Result(make_clustering(_folder(run, outputs), overrides, name=name, force=force))


def map(
    run: "Run | AnyPath | None" = None,
    *,
    clustering: str = "default",
    outputs: AnyPath = "outputs",
    title: str | None = None,
    theme: Literal["auto", "light", "dark"] | None = None,
    colour_by: str | None = None,
    layers: Sequence[str] | Literal["all"] | None = None,
) -> "Result":
    """Draws the map of a clustering again; settings that are not given stay as they were.

    Args:
        run: a run, its name or its path; the newest by default.
        clustering: which clustering to draw.
        outputs: folder of the runs.
        title: heading of the map; empty: the run's name.
        theme: auto follows the reader's system.
        colour_by: cluster, label, outlier_score, probability, or a column of the items.
        layers: features of the map, or "all".

    Raises:
        LatentvizError: a mistake in the settings, or no such clustering; the message names the next step.
    """
    overrides = _given(title=title, theme=theme, colour_by=colour_by, layers=layers)
    return Result(draw_map(_folder(run, outputs), overrides, clustering=clustering))


def evaluate(
    run: "Run | AnyPath | None" = None, *, clustering: str | None = None, outputs: AnyPath = "outputs"
) -> "Evaluation":
    """Evaluates a run and writes the report: the VAE's health, the map, the clusters, and the labels if there are any.

    Args:
        run: a run, its name or its path; the newest by default.
        clustering: which clustering; by default "default", and the model alone where that does not exist.
        outputs: folder of the runs.

    Raises:
        LatentvizError: the run or the clustering is missing, unfinished or damaged.
    """
    from latentviz.stages.evaluate import evaluate as measure

    folder = _folder(run, outputs)
    metrics = measure(folder, clustering)
    place = folder if metrics.clustering is None else folder.clustering(metrics.clustering)
    return Evaluation(metrics, place.evaluation_report, place.evaluation_file)


def generate(
    run: "Run | AnyPath | None" = None,
    *,
    cluster: int | None = None,
    between: Sequence[str] | None = None,
    at: tuple[float, float] | None = None,
    like: str | None = None,
    vector: str | None = None,
    reconstruct: Sequence[str] | None = None,
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

    Without one of the first eight options the z are fresh draws; items are ids, row numbers or files.

    Args:
        run: a run, its name or its path; the newest by default.
        cluster: draw from the aggregated posterior of this cluster.
        between: two items or clusters (`"cluster:3"`): decode the path from one to the other.
        at: a position (x, y) on the map.
        like: draw around the posterior of this item.
        vector: a sum of items or clusters, such as `"a - b + c"`.
        reconstruct: items to encode and decode.
        traverse: vary each active unit from −3 to 3.
        manifold: decode a grid of this many cells a side over a latent of 2 dimensions.
        n: how many draws.
        seed: of every draw.
        steps: of `between` and `traverse`.
        spread: of `like`, as a factor on the posterior's standard deviation.
        sampler: of fresh draws: prior, gmm (a mixture over mu), kde (around the items), or auto: prior, and gmm where
            the run was trained with contrast.
        clustering: the clustering that clusters and map positions refer to.
        name: of the new folder; by default from the options.
        outputs: folder of the runs.
        force: replace an earlier result of this name.

    Raises:
        LatentvizError: an item or cluster does not exist, or the run cannot give what is asked.
    """
    from latentviz.stages.generate import generate as stage

    return stage(
        _folder(run, outputs),
        cluster=cluster,
        between=between,
        at=at,
        like=like,
        vector=vector,
        reconstruct=reconstruct,
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


def recommend(
    run: "Run | AnyPath | None",
    items: "Sequence[str | int] | str | int",
    *,
    k: int = 10,
    disliked: Sequence[str | int] = (),
    metric: str = "cosine",
    diverse: float = 0.0,
    where: str | None = None,
    on: str = "auto",
    clustering: str = "default",
    outputs: AnyPath = "outputs",
) -> "Recommendation":
    """Finds the items most similar to the given ones, best first.

    Args:
        run: a run, its name or its path; None: the newest.
        items: ids, row numbers, files or texts; several are averaged. New ones are encoded first.
        k: how many.
        disliked: items to move away from.
        metric: cosine or euclidean.
        diverse: 0 to 1: how much the results should differ from each other.
        where: only items that meet this condition, such as `"cluster == 3"`.
        on: dimensions of mu to compare: all, content (the clustered ones), or auto: all, except of sentences the topic.
        clustering: the clustering that `where` and the table refer to.
        outputs: folder of the runs.

    Raises:
        LatentvizError: an item does not exist, or a setting is out of range; the message names the next step.
    """
    from latentviz.stages.recommend import recommend as stage

    given = [items] if isinstance(items, (str, int)) else items
    folder = _folder(run, outputs)
    return stage(
        folder,
        given,
        k=k,
        disliked=disliked,
        metric=metric,
        diverse=diverse,
        where=where,
        on=on,
        clustering=clustering,
    )


def encode(
    run: "Run | AnyPath | None",
    data: AnyPath,
    *,
    clustering: str = "default",
    name: str | None = None,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> "Encoded":
    """Encodes new data with the trained model, places it on the map, and writes `encoded/<name>/`.

    Args:
        run: a run, its name or its path; None: the newest.
        data: whatever `fit` reads: a folder, a file, `hf:NAME`.
        clustering: the clustering to place the items in.
        name: of the new folder; by default from `data`.
        outputs: folder of the runs.
        force: replace an earlier result of this name.

    Raises:
        LatentvizError: the data cannot be read, or the run has no such clustering.
    """
    from latentviz.stages.encode import encode as stage

    return stage(_folder(run, outputs), os.fspath(data), clustering=clustering, name=name, force=force)


def export(
    run: "Run | AnyPath | None" = None,
    *,
    onnx: bool = False,
    safetensors: bool = False,
    outputs: AnyPath = "outputs",
    force: bool = False,
) -> list[Path]:
    """Writes the encoder and decoder for other programs and returns the files.

    Args:
        run: a run, its name or its path; the newest by default.
        onnx: write encoder.onnx and decoder.onnx.
        safetensors: write model.safetensors, the weights.
        outputs: folder of the runs.
        force: replace earlier exports.

    Raises:
        LatentvizError: a package is missing, or the files exist already.
    """
    from latentviz.stages.export import export as stage

    return stage(_folder(run, outputs), onnx=onnx, safetensors=safetensors, force=force)


def open(run: AnyPath | None = None, *, outputs: AnyPath = "outputs") -> "Run":
    """Opens a run.

    Args:
        run: its name or its path; the newest by default.
        outputs: folder of the runs.

    Raises:
        LatentvizError: there is no such run, or a newer latentviz wrote it.
    """
    return Run(_folder(run, outputs))


class Run:
    """A trained run: its latents, items and clusterings, and the commands on it. It can be used as a path."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self._folder.name

    @property
    def summary(self) -> dict[str, Any]:
        """What the training came to: items, epochs, latent_dim, active_units, log_likelihood, kl, and more."""
        return dict(self._folder.info()["summary"])

    @property
    def config(self) -> dict[str, Any]:
        """The settings that the run was trained with."""
        return read_yaml(self._folder.config_file)

    @property
    def mu(self) -> np.ndarray:
        """The posterior means, float32 (n, d), memory-mapped; row i is item i."""
        return self._folder.mu()

    @property
    def logvar(self) -> np.ndarray:
        """The posterior log-variances, float32 (n, d), memory-mapped."""
        return self._folder.logvar()

    @cached_property
    def items(self) -> "pd.DataFrame":
        """The items: id, split, label, source, and the data's own columns."""
        frame: pd.DataFrame = self._folder.items().table.to_pandas()
        return frame

    @property
    def clusterings(self) -> list[str]:
        """The names of the finished clusterings, newest first."""
        return self._folder.clusterings

    def clustering(self, name: str = "default") -> "Result":
        """Returns a finished clustering.

        Raises:
            LatentvizError: the run has no clustering of this name.
        """
        return Result(self._folder.clustering(name).require())

    cluster = cluster
    map = map
    evaluate = evaluate
    generate = generate
    recommend = recommend
    encode = encode
    export = export

    def __fspath__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        if not self._folder.finished:
            return f"<Run {self.name!r}: not finished, {self.path}>"
        summary = self.summary
        clusterings = f", clusterings: {', '.join(self.clusterings)}" if self.clusterings else ""
        return f"<Run {self.name!r}: {summary['items']:,} items, latent_dim {summary['latent_dim']}{clusterings}>"


@dataclass(frozen=True, repr=False)
class Result:
    """A clustering of a run, with its map."""

    _folder: ClusterFolder

    @property
    def run(self) -> Run:
        """The run that was clustered."""
        return Run(self._folder.run)

    @property
    def name(self) -> str:
        """The name of the clustering."""
        return self._folder.name

    @property
    def path(self) -> Path:
        """The folder of the clustering."""
        return self._folder.path

    @property
    def mu(self) -> np.ndarray:
        """The posterior means, float32 (n, d), in item order."""
        return self._folder.run.mu()

    @cached_property
    def points(self) -> "pd.DataFrame":
        """The items: id, x, y, cluster, nearest_cluster, probability, outlier_score, label, source, and more."""
        frame: pd.DataFrame = self._folder.points().to_pandas()
        return frame

    @cached_property
    def clusters(self) -> "pd.DataFrame":
        """The clusters: cluster, size, size_with_nearest, persistence, exemplars (ids); of texts also keywords."""
        import pandas as pd

        return pd.DataFrame(self._folder.info()["clusters"])

    @property
    def labels(self) -> np.ndarray:
        """The cluster of each item, int32 (n,), −1 for noise."""
        labels: np.ndarray = self.points["cluster"].to_numpy()
        return labels

    @property
    def map(self) -> Path:
        """The HTML map."""
        path: Path = self._folder.map_file
        return path

    def __repr__(self) -> str:
        info = self._folder.info()
        return (
            f"<Result {self.name!r} of {self._folder.run.name!r}: {info['n_items']:,} items, "
            f"{info['n_clusters']} clusters, {info['noise_share']:.1%} noise, map {self.map}>"
        )

    def _repr_html_(self) -> str:
        """Returns the map in an iframe, for notebooks."""
        content = base64.b64encode(self.map.read_bytes()).decode()
        return _iframe("map", f'src="data:text/html;base64,{content}"')


@dataclass(frozen=True)
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

    def _repr_html_(self) -> str:
        """Returns the report in an iframe, for notebooks."""
        return _iframe("evaluation", f'srcdoc="{html.escape(self.report.read_text(encoding="utf-8"))}"')


def _iframe(title: str, source: str) -> str:
    return f'<iframe title="latentviz {title}" style="width:100%;height:640px;border:0" {source}></iframe>'


def _folder(run: "Run | AnyPath | None", outputs: AnyPath) -> RunFolder:
    return run._folder if isinstance(run, Run) else RunFolder.open(run, outputs)


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def train(
    source: str,
    overrides: Settings,
    *,
    run: str | None = None,
    outputs: AnyPath = "outputs",
    resume: bool = False,
    force: bool = False,
) -> RunFolder:
    """Does what `fit` says, with the settings as one nested mapping."""
    config, name = load_config(source, overrides)
    check_name("--run", name if run is None else run)
    folder = RunFolder(Path(outputs) / (run or name))
    if may_follow():
        from latentviz.stages.fit import follow

        follow(config, folder)
    if resume and not folder.begun:
        folder = RunFolder.open(folder.name, outputs)
    with folder.held("fit"):
        folder.recover()
        if resume and folder.config_file.exists():
            return _resume(folder, overrides)
        # A fit that was killed while it read its data left nothing to continue from, and nothing to lose.
        folder = RunFolder.create(folder.path, force=force or (resume and folder.begun))
        from latentviz.clustering import compile_ahead
        from latentviz.stages.fit import fit as stage

        compile_ahead.start()
        return stage(config, folder)


def _resume(folder: RunFolder, overrides: Settings) -> RunFolder:
    """Continues an interrupted run."""
    if folder.finished:
        raise RunError(f"{folder.path}: this run has finished; there is nothing to resume. Replace it with --force")
    source = str(folder.config_file)
    config, _ = load_config(source, merge(read_yaml(folder.config_file), overrides))
    began, _ = load_config(source, {})
    if changed := [key for key in changes(began, config) if not key.startswith("trainer.") and key != "check_memory"]:
        raise RunError(
            f"{folder.path}: --resume cannot change {', '.join(changed)}; leave that out, or start anew with --force"
        )
    from latentviz.stages.fit import fit as stage

    folder.sweep()
    return stage(config, folder, resume=True)


def make_clustering(
    folder: RunFolder, overrides: Settings, *, name: str = "default", force: bool = False
) -> ClusterFolder:
    """Does what `cluster` says, with the settings as one nested mapping."""
    config = validate(ClusterConfig, overrides, "cluster settings")
    from latentviz.stages.cluster import make_clustering as stage

    with folder.clustering(name).held("cluster"):
        return stage(folder, config, name=name, force=force)


def draw_map(run: RunFolder, overrides: Settings, *, clustering: str) -> ClusterFolder:
    """Does what `map` says, with the settings as one mapping, either bare or under `map`."""
    folder = run.clustering(clustering).require()
    given = {**overrides.get("map", {}), **{key: value for key, value in overrides.items() if key != "map"}}
    config = validate(MapSection, merge(folder.config().map.model_dump(), given), "map settings")
    from latentviz.stages.map import redraw

    with folder.held("map"):
        redraw(folder, config)
    return folder
