"""The commands of `import latentviz as lv`: the shell's words, options and defaults.

What a run or a result has is a property (`run.mu`, `result.points`); what it does is a method (`run.cluster()`).
A user's mistake raises a LatentvizError; its message names the next step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from latentviz.config import read_yaml
from latentviz.display import Rows, Shown, html_map, show_page
from latentviz.modalities.features import known
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.memory import Given, source_of
from latentviz.modalities.networks import Networks, recall
from latentviz.runs.files import AnyPath
from latentviz.runs.info import RunSummary
from latentviz.runs.items import indexed
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.arguments import checked
from latentviz.stages.start import Settings, draw_map, introduce, make_clustering, parted, train_and_cluster
from latentviz.verbs import annotate, compare, encode, evaluate, export, generate, label, recommend, verify

if TYPE_CHECKING:
    import pandas as pd

    from latentviz.maps.widget import MapWidget
    from latentviz.modalities.features import Features
    from latentviz.model.own import LikelihoodOf, Network, Term


@checked
def fit(
    source: Given,
    *,
    ids: Sequence[object] | None = None,
    labels: Sequence[object] | None = None,
    captions: Sequence[object] | None = None,
    columns: Mapping[str, Sequence[object]] | None = None,
    run: str | None = None,
    outputs: AnyPath = "outputs",
    start: AnyPath | None = None,
    resume: bool = False,
    force: bool = False,
    data: Settings | None = None,
    model: Settings | None = None,
    trainer: Settings | None = None,
    seed_everything: int | None = None,
    check_memory: bool | None = None,
    encoder: "Network | None" = None,
    decoder: "Network | None" = None,
    likelihood: "LikelihoodOf | None" = None,
    objective: "Mapping[str, Term] | None" = None,
    cluster: bool | Settings = False,
    reduce: Settings | None = None,
    map: Settings | None = None,
    preset: str | None = None,
    preview: float | None = None,
    features: "Features | None" = None,
) -> "Run":
    """Trains a VAE on `source` and exports mu and logvar of every item.

    Args:
        source: a recipe's name, a YAML file, or data: a folder, a file, `hf:NAME`; or an object in memory: an array or
            tensor (n, h, w), (n, h, w, c), (n, c, h, w) or (n, d), a sparse matrix, a DataFrame or Series, an Arrow
            table, a list of strings, images or paths, a dict of arrays, an AnnData, or a Dataset of torch or Hugging
            Face. Its rows are read as those of a file.
        ids: of the n items of an object; by default its index or its column of ids, else "row/0", "row/1", ….
        labels: of its items; they colour the map and are used for scores, and the model never sees them.
        captions: texts to show with its images or vectors.
        columns: further columns of its items, by name.
        run: name of the new run; by default taken from `source`, or from `start` with a number.
        outputs: folder of the runs.
        start: a finished run, which stays, to go on from: the new one begins with its items and its weights.
        resume: continue an interrupted run, or a finished one, as with `trainer={"max_epochs": 60}`.
        force: replace an existing run.
        data: settings of the data, such as `{"batch_size": 64}`; `latentviz config SOURCE` lists all settings.
        model: settings of the model, such as `{"latent_dim": 16}`.
        trainer: arguments of `pytorch_lightning.Trainer`, such as `{"max_epochs": 5}`.
        seed_everything: seed of the split, the weights and every draw; 0 by default.
        check_memory: False: try work that does not seem to fit into memory.
        encoder: an `nn.Module`, or (shape, latent_dim) → one: x (b, …) → a Normal, or mu and logvar, (b, latent_dim).
        decoder: as `encoder`: z (b, latent_dim) → a Distribution over items, or the parameters of one.
        likelihood: the decoder's output → a Distribution over items; nats per item follow from its `log_prob`.
        objective: terms of the loss by name: functions of a step (x, target, posterior, z, likelihood, y) → a scalar.
        cluster: True: call `lv.cluster` as well, and find its result by `run.clustering()`; or settings for it.
        reduce: settings of `lv.cluster`, which is called then, too.
        map: as `reduce`.
        preset: "quick", "default" or "best": settings for those that are not given.
        preview: seconds until a first map of some items is drawn during the training, 60 by default; 0: none.
        features: a pretrained network whose vectors of the images or texts are learnt too, such as
            "sentence-transformers:NAME" or a folder; or a function: b images (Pillow) or texts → an array (b, m).
    """
    sections: dict[str, Any] = {"data": data, "model": model, "trainer": trainer, "reduce": reduce, "map": map}
    sections |= {"cluster": cluster if isinstance(cluster, Mapping) else None, "preset": preset, "preview": preview}
    sections |= {"seed_everything": seed_everything, "check_memory": check_memory, "features": known(features)}
    overrides, clustering = parted(_given(**sections), wanted=cluster is True)
    where: dict[str, Any] = {"run": run, "outputs": outputs, "start": start, "resume": resume, "force": force}
    networks = Networks(encoder, decoder, likelihood, objective or None)
    kind = (data or {}).get("kind") if start is None else open(start, outputs=outputs)._folder.info()["kind"]
    with source_of(source, kind=kind, ids=ids, labels=labels, captions=captions, columns=columns) as path:
        return Run(train_and_cluster(path, overrides, clustering, networks=networks, **where))


@checked
def cluster(
    run: AnyPath | None = None,
    *,
    name: str = "default",
    outputs: AnyPath = "outputs",
    force: bool = False,
    reduce: Settings | None = None,
    cluster: Settings | None = None,
    map: Settings | None = None,
    preset: str | None = None,
    seed_everything: int | None = None,
    check_memory: bool | None = None,
) -> "Result":
    """Reduces and clusters the mu of a run and draws its map.

    Args:
        run: an `lv.Run`, a name or a path; the newest by default.
        name: of the new clustering.
        outputs: folder of the runs.
        force: replace an existing clustering of this name.
        reduce: settings of the layout, such as `{"n_neighbors": 30}`.
        cluster: settings of the clusterer, such as `{"min_cluster_size": 50}`.
        map: settings of the map: title, theme, colour_by, layers.
        preset: "quick", "default" or "best": settings for those that are not given.
        seed_everything: seed of the reducer; 0 by default.
        check_memory: False: try work that does not seem to fit into memory.
    """
    sections = {"reduce": reduce, "cluster": cluster, "map": map}
    overrides = _given(**sections, preset=preset, seed_everything=seed_everything, check_memory=check_memory)
    return Result(make_clustering(RunFolder.open(run, outputs), overrides, name=name, force=force))


@checked
def map(
    run: AnyPath | None = None,
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
        run: an `lv.Run`, a name or a path; the newest by default.
        clustering: which clustering to draw.
        outputs: folder of the runs.
        title: heading of the map; empty: the run's name.
        theme: auto follows the reader's system.
        colour_by: cluster, label, outlier_score, probability, or a column of the items.
        layers: features of the map, or "all".
    """
    overrides = _given(title=title, theme=theme, colour_by=colour_by, layers=layers)
    return Result(draw_map(RunFolder.open(run, outputs), overrides, clustering=clustering))


@checked
def open(
    run: AnyPath | None = None,
    *,
    outputs: AnyPath = "outputs",
    encoder: "Network | None" = None,
    decoder: "Network | None" = None,
    likelihood: "LikelihoodOf | None" = None,
    features: "Features | None" = None,
) -> "Run":
    """Opens a run.

    A run does not hold the code of networks given to `fit`; given again, they are known while the result is kept.

    Args:
        run: its name or its path; the newest by default.
        outputs: folder of the runs.
        encoder: as in `fit`.
        decoder: as in `fit`.
        likelihood: as in `fit`.
        features: as in `fit`; the function of a run that was trained with one.
    """
    known(features)
    folder, networks = RunFolder.open(run, outputs), Networks(encoder, decoder, likelihood)
    if networks.names:
        introduce(folder, networks)
    return Run(folder)


@checked
def widget(
    result: "Result | AnyPath | None" = None,
    *,
    clustering: str = "default",
    outputs: AnyPath = "outputs",
    height: int = 640,
) -> "MapWidget":
    """Shows the map as a Jupyter widget, whose `selection`, `names` and `tags` can be read and set.

    Args:
        result: an `lv.Result`; or an `lv.Run`, a name or a path; the newest run by default.
        clustering: which clustering of a run.
        outputs: folder of the runs.
        height: in pixels.
    """
    from latentviz.stages.map import as_widget

    found = result if isinstance(result, Result) else Run(RunFolder.open(result, outputs)).clustering(clustering)
    return as_widget(found._folder, found.points, height)


class Run(Shown):
    """A trained run: its latents, items and clusterings, and the commands on it. It can be used as a path."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._networks = recall(folder)  # keeps them

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self._folder.name

    @property
    def summary(self) -> RunSummary:
        """What the training came to: items, epochs, latent_dim, active_units, log_likelihood, kl, and more."""
        return self._folder.info()["summary"]

    @property
    def config(self) -> dict[str, object]:
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
        """The items: id, split, label, source, and the data's own columns; indexed as the DataFrame of the data."""
        return indexed(self._folder.items().table, self._folder.index())

    @property
    def clusterings(self) -> list[str]:
        """The names of the finished clusterings, newest first."""
        return self._folder.clusterings

    @cached_property
    def _opened(self) -> OpenRun:
        return OpenRun(self._folder)

    def transform(self, x: Given) -> np.ndarray:
        """Returns the posterior means of new items, float32 (n, d), and writes nothing; the model stays loaded.

        Args:
            x: n items, as for `lv.fit`; row i of the result is item i. One that cannot be read is a LatentvizError.
        """
        from latentviz.stages.transform import transform as stage

        with source_of(x, kind=self._opened.info["kind"]) as path:
            return stage(self._opened, path)

    def decode(self, z: "np.ndarray | Sequence[Sequence[float]]") -> "np.ndarray | Sequence[str]":
        """Decodes z (m, d), such as rows of `mu` or what lies between them, without chance; writes nothing.

        Returns:
            images, uint8 (m, c, h, w) in [0, 255]; m texts; or vectors, float32 (m, D), in the units of the data.
        """
        from latentviz.stages.transform import decode as stage

        return stage(self._opened, z)

    @checked
    def clustering(self, name: str = "default") -> "Result":
        """Returns a finished clustering; a LatentvizError if the run has none of this name."""
        return Result(self._folder.clustered(name))

    cluster = cluster
    map = map
    evaluate = evaluate
    generate = generate
    recommend = recommend
    encode = encode
    annotate, label = annotate, label
    compare = compare
    export = export
    verify = verify

    def __fspath__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def _shown(self) -> tuple[str, Rows]:
        from latentviz.stages.overview import run_rows

        return f"Run {self.name!r}", run_rows(self._folder)


@dataclass(frozen=True, repr=False)
class Result(Shown):
    """A clustering of a run, with its map."""

    _folder: ClusterFolder

    @property
    def run(self) -> Run:
        """The run that was clustered."""
        return Run(RunFolder(self._folder.run_path))

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
        return self.run.mu

    @cached_property
    def points(self) -> "pd.DataFrame":
        """The items: id, x, y, cluster, nearest_cluster, probability, outlier_score, label, source, and more."""
        return indexed(self._folder.points(), self.run._folder.index())

    @cached_property
    def clusters(self) -> "pd.DataFrame":
        """The clusters: cluster, size, size_with_nearest, persistence, exemplars (ids); of texts also keywords."""
        import pandas as pd

        return pd.DataFrame(self._folder.info()["clusters"])

    @cached_property
    def changes(self) -> "pd.DataFrame":
        """What became of the clusters of the run that this one continues: change, before, after, items.

        `change` is kept, split, merged, born or gone; `before` and `after` list numbers. Empty if none continues.
        """
        import pandas as pd

        found = self._folder.info().get("continued")
        return pd.DataFrame(found["changes"] if found else [], columns=["change", "before", "after", "items"])

    @property
    def labels(self) -> np.ndarray:
        """The cluster of each item, int32 (n,), −1 for noise."""
        return np.asarray(self.points["cluster"])

    @property
    def map(self) -> Path:
        """The HTML map."""
        path: Path = self._folder.map_file
        return path

    def show(self) -> None:
        """Shows the whole map: in a notebook below the cell, else in the browser."""
        show_page(self.map, "latentviz map")

    def _shown(self) -> tuple[str, Rows]:
        from latentviz.stages.overview import result_rows

        return f"Result {self.name!r} of run {self.run.name!r}", result_rows(self._folder)

    def _repr_html_(self) -> str:
        """Returns the map, or a picture of a large one, and the table."""
        shown = html_map(self.map, self._folder.picture_file) if self.map.exists() else ""
        return shown + Shown._repr_html_(self)


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
