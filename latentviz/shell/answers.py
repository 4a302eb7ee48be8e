"""What the commands print with `--json`: one object a command; `answer_types` has the types."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from latentviz.config import FitConfig
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.shell.answer_types import ClusteringAnswer, ExportAnswer, FitAnswer, TrialAnswer, TuneAnswer
from latentviz.shell.schemas import ConfigAnswer

if TYPE_CHECKING:
    from latentviz.stages.annotate import Annotated
    from latentviz.stages.compare import Comparison
    from latentviz.stages.encode import Encoded
    from latentviz.stages.export import Exported
    from latentviz.stages.generate import Generated
    from latentviz.stages.label import Asked, Labelled
    from latentviz.stages.recommend import Recommendation
    from latentviz.stages.tune import Tuned
    from latentviz.stages.verify import Verification
    from latentviz.verbs import Evaluation


def fit_answer(run: RunFolder, clustering: ClusterFolder | None) -> FitAnswer:
    """Describes a finished run, and its clustering if it was to be clustered."""
    info = run.info()
    return FitAnswer(
        run=run.name,
        path=str(run.path),
        kind=info["kind"],
        summary=info["summary"],
        seconds=info["seconds"],
        clustering=None if clustering is None else clustering_answer(clustering),
    )


def tune_answer(found: "Tuned") -> TuneAnswer:
    """Describes a search."""
    best = found.best
    return TuneAnswer(
        run=found.best_run.name,
        path=str(found.best_run.path),
        objective=found.objective,
        value=0.0 if best.value is None else best.value,
        settings=dict(best.settings),
        trials=[
            TrialAnswer(
                trial=row.number,
                state=row.state,
                value=row.value,
                settings=dict(row.settings),
                epochs=row.epochs,
                seconds=row.seconds,
                note=row.note,
            )
            for row in found.rows
        ],
        table=str(found.folder.table),
        plot=str(found.plot),
    )


def clustering_answer(folder: ClusterFolder) -> ClusteringAnswer:
    """Describes a finished clustering."""
    info = folder.info()
    return ClusteringAnswer(
        run=folder.run_path.name,
        clustering=folder.name,
        path=str(folder.path),
        map=str(folder.map_file),
        items=info["n_items"],
        n_clusters=info["n_clusters"],
        noise=info["noise_share"],
        clusters=info["clusters"],
        lines=info["lines"],
        seconds=info.get("seconds", {}),
    )


def evaluate_answer(found: "Evaluation") -> Mapping[str, object]:
    """Describes an evaluation."""
    sections = dict.fromkeys(("faithfulness", "clusters", "labels"))
    return {**sections, **found.metrics.to_json(), "report": str(found.report)}


def generate_answer(made: "Generated") -> Mapping[str, object]:
    """Describes decoded outputs."""
    return {"folder": str(made.folder.path), **made.info}


def recommend_answer(found: "Recommendation", saved: tuple[Any, list[str]] | None) -> Mapping[str, object]:
    """Describes similar items, and the folder that they were saved in."""
    folder, files = saved or (None, [])
    path = None if folder is None else str(folder.path)
    return {"run": found.lookup.run.name, "recommended": found.rows, "folder": path, "files": files}


def encode_answer(placed: "Encoded") -> Mapping[str, object]:
    """Describes new items on the map."""
    return {"folder": str(placed.folder.path), "map": str(placed.map), **placed.info}


def annotate_answer(found: "Annotated") -> Mapping[str, object]:
    """Describes an annotated clustering."""
    return {**_redrawn(found), **asdict(found.findings)}


def label_answer(found: "Asked | Labelled") -> Mapping[str, object]:
    """Describes the items to label, or the labels that were spread."""
    from latentviz.stages.label import Asked

    if not isinstance(found, Asked):
        return {**_redrawn(found), "labelled": found.info, "unsure": found.unsure}
    return {
        "folder": str(found.folder.path),
        "table": str(found.table),
        "files": list(found.files),
        "asked": list(found.rows),
    }


def _redrawn(found: "Annotated | Labelled") -> Mapping[str, object]:
    return {"run": found.folder.run_path.name, "clustering": found.folder.name, "map": str(found.map)}


def compare_answer(found: "Comparison") -> Mapping[str, object]:
    """Describes a comparison."""
    return {"folder": str(found.folder.path), "map": str(found.map), **found.info}


def export_answer(found: "Exported") -> ExportAnswer:
    """Describes what was exported."""
    return ExportAnswer(files=[str(file) for file in found.files], url=found.url)


def verify_answer(found: "Verification") -> Mapping[str, object]:
    """Describes what was found in a run."""
    return {**asdict(found), "ok": found.ok}


def config_answer(source: str, length: str, config: FitConfig) -> ConfigAnswer:
    """Describes the config of a source."""
    return ConfigAnswer(source=source, length=length, config=config.model_dump(mode="json"))
