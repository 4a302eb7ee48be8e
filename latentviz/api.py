"""The verbs of `import latentviz as lv`, the same as the shell's."""

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from latentviz.config import ClusterConfig, MapSection, changes, merge, read_yaml, validate
from latentviz.errors import RunError
from latentviz.modalities.sources import load_config
from latentviz.progress import may_follow
from latentviz.runs.files import check_name
from latentviz.runs.run import ClusterFolder, Run

if TYPE_CHECKING:
    from latentviz.stages.encode import Placed
    from latentviz.stages.generate import Generated


def _settings(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings from keyword arguments: sections as mappings, or dotted keys."""
    nested: dict[str, Any] = {}
    for key, value in sections.items():
        nested = merge(nested, reduce(lambda inner, part: {part: inner}, reversed(key.split(".")), value))
    return nested


def fit(
    source: "str | os.PathLike[str]",
    *,
    run: str | None = None,
    outputs: "str | os.PathLike[str]" = "outputs",
    resume: bool = False,
    force: bool = False,
    **settings: Any,
) -> Run:
    """Trains a VAE on `source` and returns the run, its μ exported.

    Args:
        source: a recipe's name, a YAML file, or data: a folder, a file, `hf:NAME`.
        run: name of the run; from `source` by default.
        outputs: folder of the runs.
        resume: go on with an interrupted run.
        force: replace an existing run.
        **settings: sections, as in `model={"latent_dim": 16}, trainer={"max_epochs": 5}`.

    Raises:
        LatentvizError: a mistake in the config, the data, or the run folder; the message says how to mend it.
    """
    return fit_run(os.fspath(source), _settings(settings), run=run, outputs=outputs, resume=resume, force=force)


def fit_run(
    source: str,
    overrides: Mapping[str, Any],
    *,
    run: str | None,
    outputs: "str | os.PathLike[str]",
    resume: bool,
    force: bool,
) -> Run:
    """Does what `fit` says, with the settings as one nested mapping."""
    config, name = load_config(source, overrides)
    check_name("--run", name if run is None else run)
    handle = Run(Path(outputs) / (run or name))
    if may_follow():
        from latentviz.stages.fit import follow

        follow(config, handle)
    if resume and not handle.begun:
        handle = Run.open(handle.name, outputs)
    with handle.held("fit"):
        handle.recover()
        if resume and handle.config_file.exists():
            return _resume(handle, overrides)
        # A fit that was killed while it read its data left nothing to go on from, and nothing to lose.
        handle = Run.create(handle.path, force=force or (resume and handle.begun))
        from latentviz.clustering.reducers import compile_in_background
        from latentviz.stages.fit import fit as train

        compile_in_background()
        return train(config, handle)


def _resume(run: Run, overrides: Mapping[str, Any]) -> Run:
    """Goes on with an interrupted run."""
    if run.finished:
        raise RunError(f"{run.path}: this run has finished; there is nothing to resume. Replace it with --force")
    stored = read_yaml(run.config_file)
    config, _ = load_config(str(run.config_file), merge(stored, overrides))
    began, _ = load_config(str(run.config_file), {})
    if changed := [key for key in changes(began, config) if not key.startswith("trainer.") and key != "check_memory"]:
        raise RunError(
            f"{run.path}: --resume goes on with the settings that the run began with, and "
            f"{', '.join(changed)} would be another; leave that out, or begin anew with --force"
        )
    from latentviz.stages.fit import fit as train

    run.sweep()
    return train(config, run, resume=True)


@dataclass(frozen=True)
class Result:
    """A clustering of a run, as a notebook wants it.

    Attributes:
        folder: where it is on disk.
    """

    folder: ClusterFolder

    @property
    def run(self) -> Run:
        """The run that was clustered."""
        return self.folder.run

    @property
    def mu(self) -> np.ndarray:
        """The posterior means μ, float32 (n, d), in item order."""
        return self.run.mu()

    @cached_property
    def points(self) -> pd.DataFrame:
        """The table: id, x, y, cluster, nearest_cluster, probability, outlier_score, label, source, and more."""
        frame: pd.DataFrame = self.folder.points().to_pandas()
        return frame

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """The clusters: cluster, size, size_with_nearest, persistence, exemplars (ids); of texts also keywords."""
        return pd.DataFrame(self.folder.info()["clusters"])

    @property
    def labels(self) -> np.ndarray:
        """The cluster of each item, int32 (n,), −1 for noise."""
        labels: np.ndarray = self.points["cluster"].to_numpy()
        return labels

    @property
    def map(self) -> Path:
        """The HTML map."""
        path: Path = self.folder.map_file
        return path

    def _repr_html_(self) -> str:
        """Returns the map in a frame of its own, for notebooks."""
        import base64

        content = base64.b64encode(self.map.read_bytes()).decode()
        return (
            f'<iframe title="latentviz map" style="width:100%;height:640px;border:0" '
            f'src="data:text/html;base64,{content}"></iframe>'
        )


def cluster(
    run: "Run | str | os.PathLike[str] | None" = None,
    *,
    name: str = "default",
    outputs: "str | os.PathLike[str]" = "outputs",
    force: bool = False,
    **settings: Any,
) -> Result:
    """Reduces and clusters a run's latents, draws its map, and returns the result.

    Args:
        run: a run, its name or its path; the newest by default.
        name: of this clustering.
        outputs: folder of the runs.
        force: replace an existing clustering of this name.
        **settings: sections, as in `cluster={"min_cluster_size": 50}`.

    Raises:
        LatentvizError: a mistake in the settings or the run folder; the message says how to mend it.
    """
    return Result(cluster_run(Run.open(run, outputs), _settings(settings), name=name, force=force))


def redraw(
    run: "Run | str | os.PathLike[str] | None" = None,
    *,
    name: str = "default",
    outputs: "str | os.PathLike[str]" = "outputs",
    **settings: Any,
) -> Result:
    """Draws a clustering's map again, without clustering, and returns the result.

    Args:
        run: a run, its name or its path; the newest by default.
        name: of the clustering.
        outputs: folder of the runs.
        **settings: of the map, as in `title="My photos", theme="dark", colour_by="label"`.

    Raises:
        LatentvizError: a mistake in the settings, or no such clustering; the message says how to mend it.
    """
    return Result(redraw_run(Run.open(run, outputs), settings, name=name))


def redraw_run(run: Run, overrides: Mapping[str, Any], *, name: str) -> ClusterFolder:
    """Does what `redraw` says, with the settings as one mapping, on their own or under `map`."""
    folder = run.clustering(name).require()
    given = {**overrides.get("map", {}), **{key: value for key, value in overrides.items() if key != "map"}}
    config = validate(MapSection, merge(folder.config().map.model_dump(), given), "map settings")
    from latentviz.stages.map import redraw as draw_again

    with folder.held("map"):
        draw_again(folder, config)
    return folder


def cluster_run(run: Run, overrides: Mapping[str, Any], *, name: str, force: bool) -> ClusterFolder:
    """Does what `cluster` says, with the settings as one nested mapping."""
    config = validate(ClusterConfig, overrides, "cluster settings")
    from latentviz.stages.cluster import make_clustering

    with run.clustering(name).held("cluster"):
        return make_clustering(run, config, name=name, force=force)


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a run.

    Attributes:
        figures: what `evaluation.json` holds: health, faithfulness, clusters, labels, verdicts.
        report: the HTML report.
        json_file: `evaluation.json`.
    """

    figures: Mapping[str, Any]
    report: Path
    json_file: Path

    @property
    def collapsed(self) -> bool:
        """Whether the latents say next to nothing about the items."""
        return bool(self.figures["collapsed"])

    def __str__(self) -> str:
        from latentviz.shell.tables import evaluation_table

        return evaluation_table(self.figures)

    def _repr_html_(self) -> str:
        """Returns the report in a frame of its own, for notebooks."""
        return (
            f'<iframe title="latentviz evaluation" style="width:100%;height:640px;border:0" '
            f'srcdoc="{html.escape(self.report.read_text(encoding="utf-8"))}"></iframe>'
        )


def evaluate(
    run: "Run | str | os.PathLike[str] | None" = None,
    *,
    name: str | None = None,
    outputs: "str | os.PathLike[str]" = "outputs",
) -> Evaluation:
    """Judges a run and writes the report: health of the VAE, faithfulness of the map, clusters, labels if any.

    Args:
        run: a run, its name or its path; the newest by default.
        name: of the clustering; "default" if there is one, else the model alone is judged.
        outputs: folder of the runs.

    Raises:
        LatentvizError: the run or the clustering is missing, unfinished or damaged.
    """
    from latentviz.stages.evaluate import appraise

    opened = Run.open(run, outputs)
    figures = appraise(opened, name)
    place = opened if figures["clustering"] is None else opened.clustering(figures["clustering"])
    return Evaluation(figures, place.evaluation_report, place.evaluation_file)


def generate(
    run: "Run | str | os.PathLike[str] | None" = None, *, outputs: "str | os.PathLike[str]" = "outputs", **options: Any
) -> "Generated":
    """Decodes new items from a run's latent space, and writes them to `generated/<name>/`.

    Args:
        run: a run, its name or its path; the newest by default.
        outputs: folder of the runs.
        **options: as `latentviz.stages.generate.generate` takes them: nothing for fresh draws, or one of cluster=3,
            between=("a", "b"), at=(1.5, -2), like="a", vector="a - b + c", reconstruct=["a"], traverse=True,
            manifold=20; and n, seed, steps, spread, sampler, name.

    Raises:
        LatentvizError: an item or cluster is not there, or the run cannot give what is asked.
    """
    from latentviz.stages.generate import generate as draw

    return draw(Run.open(run, outputs), **options)


def encode(
    run: "Run | str | os.PathLike[str] | None",
    data: "str | os.PathLike[str]",
    *,
    outputs: "str | os.PathLike[str]" = "outputs",
    **options: Any,
) -> "Placed":
    """Places new data on a run's map with the frozen model, and writes `encoded/<name>/`.

    Args:
        run: a run, its name or its path; None: the newest.
        data: whatever `fit` reads: a folder, a file, `hf:NAME`.
        outputs: folder of the runs.
        **options: as `latentviz.stages.encode.encode` takes them: clustering, name, force.

    Raises:
        LatentvizError: the data cannot be read, or the run has no such clustering.
    """
    from latentviz.stages.encode import encode as place

    return place(Run.open(run, outputs), os.fspath(data), **options)


def export(
    run: "Run | str | os.PathLike[str] | None" = None, *, outputs: "str | os.PathLike[str]" = "outputs", **options: Any
) -> list[Path]:
    """Writes a run's encoder and decoder for other programs, and returns the files.

    Args:
        run: a run, its name or its path; the newest by default.
        outputs: folder of the runs.
        **options: as `latentviz.stages.export.export` takes them: onnx, safetensors, force.

    Raises:
        LatentvizError: a package is missing, or the files are there already.
    """
    from latentviz.stages.export import export as write

    return write(Run.open(run, outputs), **options)
