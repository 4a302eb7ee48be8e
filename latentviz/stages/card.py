"""The model card of a run, a part of `latentviz export`: README.md with metadata for the Hugging Face hub."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import yaml
from pydantic import ValidationError

from latentviz.clustering.description import cluster_names
from latentviz.config import read_yaml
from latentviz.errors import WriteError
from latentviz.evaluation.results import Evaluation
from latentviz.progress import one_line, plural
from latentviz.runs.files import atomic_write, read_json
from latentviz.runs.hub import SCHEME
from latentviz.runs.run import ClusterFolder, RunFolder

LISTED = 50  # clusters in the table
TASKS = {"image": "image-feature-extraction", "text": "feature-extraction"}  # kind → the hub's name of the task

LOAD = """\
```python
import latentviz as lv  # pip install latentviz

run = lv.open({address!r})
run.mu  # the latents, float32 ({n}, {d})
result = run.clustering({clustering!r})
result.points  # position and cluster of each item
result.show()  # the map
run.generate(n=16)  # new items
```"""
LIMITS = """\
Distances on the map are faithful within neighbourhoods only, as far as the figures above say. The run holds its items:
whoever can read it can see them, and the names of the files that they come from."""


def write_card(run: RunFolder, folder: ClusterFolder, hub: str | None = None) -> list[Path]:
    """Writes README.md and, if the map has one, its picture; a clustering without an evaluation is evaluated first.

    Args:
        run: what the card is about.
        folder: its clustering.
        hub: the name that the run will have on the hub.

    Returns:
        the files.
    """
    card, picture = run.exported.card, run.exported.card_picture
    found = evaluation_of(run, folder)
    with atomic_write(card) as temporary:
        temporary.write_text(text(run, folder, found, hub, pictured=folder.picture_file.exists()), encoding="utf-8")
    if not folder.picture_file.exists():
        return [card]
    try:
        shutil.copyfile(folder.picture_file, picture)
    except OSError as error:
        raise WriteError(picture, error.strerror or str(error)) from None
    return [card, picture]


def evaluation_of(run: RunFolder, folder: ClusterFolder) -> Evaluation:
    """Reads the evaluation of a clustering, or makes it if there is none of this version."""
    if folder.evaluation_file.exists():
        with suppress(ValidationError):
            return Evaluation.from_json(read_json(folder.evaluation_file, "`latentviz evaluate` makes it again"))
    from latentviz.stages.evaluate import evaluate

    return evaluate(run, folder.name)


def text(run: RunFolder, folder: ClusterFolder, found: Evaluation, hub: str | None, *, pictured: bool) -> str:
    """Returns the card: metadata, the map, data, verdicts, figures, clusters, settings, and how to load it."""
    from huggingface_hub import ModelCard

    info, clusters = run.info(), folder.info()
    summary, kind = info["summary"], info["kind"]
    address = f"{SCHEME}{hub}" if hub else str(run.path)
    about = (
        f"A variational autoencoder by latentviz on {plural(summary['items'], 'item')} ({kind}), and the map of its "
        f"latent space: {plural(clusters['n_clusters'], 'cluster')}, {clusters['noise_share']:.0%} noise."
    )
    sections = [
        f"---\n{metadata(run, found)}\n---",
        f"# {run.name}",
        about,
        *([f"![the map of {run.name}](map.png)"] if pictured else []),
        "## How to load it",
        LOAD.format(address=address, clustering=folder.name, n=summary["items"], d=summary["latent_dim"]),
        "## Data",
        "\n".join(data_lines(run, found)),
        "## Verdicts",
        "\n\n".join(verdict_lines(found)),
        "## Figures",
        table(("metric", "value"), figures(found)),
        "## Clusters",
        "\n".join(cluster_lines(folder)),
        "## Settings",
        f"```yaml\n{settings(run, folder)}```",
        "## Limits",
        LIMITS,
    ]
    return str(ModelCard("\n\n".join(sections) + "\n"))


def metadata(run: RunFolder, found: Evaluation) -> str:
    """Returns the card's YAML: library, task, tags, data set, and the figures as a model index."""
    from huggingface_hub import EvalResult, ModelCardData

    kind, data = found.kind, data_name(run)
    on_hub = data.removeprefix(SCHEME).split(":")[0] if data.startswith(SCHEME) else None
    results = [
        EvalResult(
            task_type="clustering",
            dataset_type=on_hub or data,
            dataset_name=data,
            metric_type=name.lower().replace(" ", "_"),
            metric_name=name,
            metric_value=round(value, 4),
        )
        for name, value in scores(found)
    ]
    card = ModelCardData(
        library_name="latentviz",
        pipeline_tag=TASKS.get(kind),
        tags=["variational-autoencoder", "clustering", "visualization", kind],
        datasets=[on_hub] if on_hub else None,
        model_name=run.name if results else None,
        eval_results=results or None,
    )
    return str(card.to_yaml(line_break="\n"))


def data_name(run: RunFolder) -> str:
    """Returns the name of the data, without the folder that they are in."""
    data = read_yaml(run.config_file).get("data")
    path = str(data.get("path", run.name)) if isinstance(data, dict) else run.name
    return path if ":" in path.split("/")[0] else Path(path).name


def data_lines(run: RunFolder, found: Evaluation) -> Iterator[str]:
    """Yields what the run learnt from."""
    summary = run.info()["summary"]
    yield f"- {data_name(run)}: {plural(summary['items'], 'item')} ({found.kind}), a part of them held out"
    if summary["bad_items"]:
        yield f"- {plural(summary['bad_items'], 'item was', 'items were')} left out as unreadable"
    for line in summary.get("about", []):
        yield f"- {one_line(line)}"
    if found.labels is not None:
        yield f"- {plural(found.labels.items, 'item')} with {plural(found.labels.n_labels, 'label')}"


def verdict_lines(found: Evaluation) -> Iterator[str]:
    """Yields a paragraph a section: its verdict, the evidence, and what to change."""
    for verdict in found.verdicts:
        lines = [
            f"**{verdict.section}: {verdict.level}.** {verdict.headline}",
            *(f"- {line}" for line in verdict.lines),
        ]
        yield "\n".join([lines[0], "", *lines[1:]])


def scores(found: Evaluation) -> Iterator[tuple[str, float]]:
    """Yields the figures between −1 and 1 that other models and maps have too."""
    if found.faithfulness is not None:
        yield "trustworthiness", found.faithfulness.trustworthiness
        yield "continuity", found.faithfulness.continuity
        yield "neighbour overlap", found.faithfulness.overlap
    if found.clusters is not None and found.clusters.silhouette is not None:
        yield "silhouette", found.clusters.silhouette
    if found.labels is not None:
        agreement = found.labels.scores["nearest_cluster"]
        yield "ARI", agreement.ari
        yield "NMI", agreement.nmi


def figures(found: Evaluation) -> Iterator[tuple[str, str]]:
    """Yields names and values of the table of figures."""
    health = found.health
    yield "log-likelihood (nats, held out)", f"{health.log_likelihood:.1f}"
    yield "KL (nats)", f"{health.kl:.1f}"
    yield "mutual information (nats)", health.information
    yield "dimensions of the latent", f"{health.latent_dim}"
    for name, value in scores(found):
        yield name, f"{value:.3f}"


def cluster_lines(folder: ClusterFolder) -> Iterator[str]:
    """Yields the table of clusters, and a line on those that it leaves out."""
    info = folder.info()
    names, entries = cluster_names(folder.points(), info), info["clusters"]
    rows = [(f"{e['cluster']}", f"{e['size']:,}", names.get(e["cluster"], "")) for e in entries[:LISTED]]
    yield table(("cluster", "items", "name"), iter(rows))
    if len(entries) > LISTED:
        yield f"\nand {plural(len(entries) - LISTED, 'smaller cluster')}"


def settings(run: RunFolder, folder: ClusterFolder) -> str:
    """Returns the settings of training and clustering as YAML, without the path of the data."""
    trained, content = read_yaml(run.config_file), folder.config().model_dump(mode="json")
    data = trained.get("data")
    kept: dict[str, object] = {key: trained[key] for key in ("seed_everything", "model", "trainer") if key in trained}
    if isinstance(data, dict):
        kept["data"] = {key: value for key, value in data.items() if key not in {"path", "items"}}
    kept |= {key: content[key] for key in ("reduce", "cluster")}
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def table(heading: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Formats rows as a table in Markdown."""
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "\n".join("| " + " | ".join(one_line(cell).replace("|", r"\|") for cell in line) + " |" for line in lines)
