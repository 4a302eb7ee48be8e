"""One function per command: it calls `latentviz.api` and prints. The shell's words and Python's are the same."""

import io
import json as jsonlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentviz.config import parse_overrides
from latentviz.errors import ArgumentError, RunError
from latentviz.progress import plural, say

if TYPE_CHECKING:
    from latentviz.runs.run import ClusterFolder, RunFolder

Overrides = Sequence[str] | Mapping[str, Any]


def _nested(overrides: Overrides) -> dict[str, Any]:
    return dict(overrides) if isinstance(overrides, Mapping) else parse_overrides(overrides)


def _print_json(content: Any) -> None:
    from latentviz.runs.files import without_nan

    _print_utf8(jsonlib.dumps(without_nan(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _print(text: object, answer: Mapping[str, object] | None) -> None:
    """Prints a text, or the answer in its place."""
    if answer is None:
        print(text, flush=True)
    else:
        _print_json(answer)


def _print_utf8(text: str) -> None:
    """Prints a text that programs read as UTF-8, whatever the locale; JSON and YAML know the escape of a surrogate."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    print(text, end="")


def fit(
    source: str,
    overrides: Overrides = (),
    *,
    outputs: str = "outputs",
    dry_run: bool = False,
    cluster: bool = False,
    show: bool = False,
    json: bool = False,
    **options: Any,
) -> None:
    """Trains, on request clusters and opens the map, and prints a summary; or prints what would be learnt from."""
    from latentviz.stages.start import parted, train_and_cluster

    settings, clustering = parted(_nested(overrides), wanted=cluster or show)
    if dry_run:
        _print_inspection(source, settings, json=json)
        return
    run = train_and_cluster(source, settings, clustering, outputs=outputs, show=show, **options)
    _print_fitted(run, None if clustering is None else run.clustering(), show=show, json=json)


def cluster(
    run: str | None = None,
    overrides: Overrides = (),
    *,
    outputs: str = "outputs",
    show: bool = False,
    json: bool = False,
    **options: Any,
) -> None:
    """Reduces, clusters, draws the map, and prints a summary and the path of the map; `show` opens it."""
    from latentviz.runs.run import RunFolder
    from latentviz.stages.start import make_clustering

    found = make_clustering(RunFolder.open(run, outputs), _nested(overrides), **options)
    _print_clusters(found, show=show, json=json)


def tune(
    source: str, overrides: Sequence[str] = (), *, outputs: str = "outputs", json: bool = False, **options: Any
) -> None:
    """Searches settings and prints the trials, best first, and the paths of the plot and of the best run."""
    from latentviz.config.space import parted_space
    from latentviz.stages.start import parted

    space, fixed = parted_space(overrides)
    settings, clustering = parted(fixed, wanted=True)
    from latentviz.shell.answers import tune_answer
    from latentviz.stages.tune import tune as stage

    found = stage(source, space, settings, clustering or {}, outputs=outputs, **options)
    if json:
        _print_json(tune_answer(found))
        return
    print(f"{found}\nplot {found.plot}")
    _print_place(found.best_run)


def _print_inspection(source: str, settings: Mapping[str, Any], *, json: bool) -> None:
    from latentviz.modalities.inspecting import inspect_source

    found = inspect_source(source, settings)
    _print(found, asdict(found) if json else None)


def _print_fitted(run: "RunFolder", clustering: "ClusterFolder | None", *, show: bool, json: bool) -> None:
    if json:
        from latentviz.shell.answers import fit_answer

        _print_json(fit_answer(run, clustering))
        if clustering is not None:
            _show(clustering.map_file, wanted=show)
    elif clustering is None:
        _print_run(run)
    else:
        _print_clusters(clustering, show=show, trained=True)


def _print_run(folder: "RunFolder") -> None:
    from latentviz.shell.tables import fit_table

    print(fit_table(folder))
    _print_place(folder)


def _print_place(folder: "RunFolder") -> None:
    where = [] if folder.path.parent == Path("outputs") else ["--outputs", str(folder.path.parent)]
    print(f"run {folder.path}; its map: {shlex.join(['latentviz', 'cluster', folder.name, *where])}")


def _print_clusters(folder: "ClusterFolder", *, show: bool, json: bool = False, trained: bool = False) -> None:
    from latentviz.shell.tables import cluster_table

    if not json:
        print(cluster_table(folder, trained=trained))
    _print_map(folder, show=show, json=json)


def _print_map(folder: "ClusterFolder", *, show: bool, json: bool) -> None:
    if json:
        from latentviz.shell.answers import clustering_answer

        _print_json(clustering_answer(folder))
    else:
        print(f"map {folder.map_file}", flush=True)
    _show(folder.map_file, wanted=show)


def _show(page: Path, *, wanted: bool) -> None:
    if wanted:
        from latentviz.display import in_browser

        in_browser(page)


def evaluate(
    run: str | None = None, *, clustering: str | None = None, outputs: str = "outputs", json: bool = False
) -> int:
    """Evaluates, prints the verdicts and the metrics or the JSON, and returns 1 for a collapsed model."""
    from latentviz import verbs

    found = verbs.evaluate(run, clustering=clustering, outputs=outputs)
    if json:
        from latentviz.shell.answers import evaluate_answer

        _print_json(evaluate_answer(found))
    else:
        print(found)
        print(f"report {found.report}")
    return 1 if found.collapsed else 0


def map(
    run: str | None = None,
    overrides: Overrides = (),
    *,
    clustering: str = "default",
    outputs: str = "outputs",
    show: bool = False,
    json: bool = False,
) -> None:
    """Draws the map of a clustering again and prints its path; `show` opens it."""
    from latentviz.runs.run import RunFolder
    from latentviz.stages.start import draw_map

    found = draw_map(RunFolder.open(run, outputs), _nested(overrides), clustering=clustering)
    _print_map(found, show=show, json=json)


def explore(run: str | None = None, *, outputs: str = "outputs", json: bool = False, **options: Any) -> None:
    """Serves the map and prints its address, as JSON on one line; ends with Ctrl-C."""
    from latentviz.runs.run import RunFolder
    from latentviz.stages.explore import explore as stage

    folder = RunFolder.open(run, outputs)

    def announce(address: str) -> None:
        line = jsonlib.dumps({"run": folder.name, "address": address}) if json else f"map {address}\nCtrl-C ends it"
        print(line, flush=True)

    stage(folder, announce, **options)
    say(f"{folder.path}: no longer served")


def generate(
    run: str | None = None, *, outputs: str = "outputs", json: bool = False, at: str | None = None, **options: Any
) -> None:
    """Decodes new items and prints texts and the path of the sheet, or generated.json."""
    from latentviz.queries.ways import parse_spot
    from latentviz.runs.run import RunFolder
    from latentviz.stages.generate import generate as stage

    made = stage(RunFolder.open(run, outputs), at=None if at is None else parse_spot(at), **options)
    if json:
        from latentviz.shell.answers import generate_answer

        _print_json(generate_answer(made))
        return
    for line in made.lines:
        print(line)
    print(f"{plural(len(made.z), 'output')}, sheet {made.folder.path / made.sheet[0]}")


def recommend(items: Sequence[str], *, outputs: str = "outputs", json: bool = False, **options: Any) -> None:
    """Prints the items most similar to the given ones as a table or JSON; with `save` or a name, writes a sheet too."""
    from latentviz.queries.lookup import check_first
    from latentviz.runs.run import RunFolder
    from latentviz.stages.recommend import recommend as stage

    run, words = RunFolder.open_first(items, outputs)
    if len(words) == len(items):
        check_first(run, words)
    save, name, force = (options.pop(option, None) for option in ("save", "name", "force"))
    found = stage(run, words, **options)
    saved = found.save(name, force=bool(force)) if save or name is not None else None
    if json:
        from latentviz.shell.answers import recommend_answer

        _print_json(recommend_answer(found, saved))
    else:
        print(found)
    if saved:
        folder, files = saved
        for file in files:
            say(f"sheet {folder.path / file}")


def encode(run: str, data: str, *, outputs: str = "outputs", json: bool = False, **options: Any) -> None:
    """Encodes new data, places it on the map, and prints a summary and the path of the map."""
    from latentviz import verbs
    from latentviz.shell.answers import encode_answer
    from latentviz.shell.tables import encode_table

    placed = verbs.encode(run, data, outputs=outputs, **options)
    _print(f"{encode_table(placed.info)}\nmap {placed.map}", encode_answer(placed) if json else None)


def export(run: str | None = None, *, outputs: str = "outputs", json: bool = False, **options: Any) -> None:
    """Writes a run for other programs and people, and prints the files and the address on the hub."""
    from latentviz.runs.run import RunFolder
    from latentviz.shell.answers import export_answer
    from latentviz.stages.export import export as stage

    found = stage(RunFolder.open(run, outputs), **options)
    lines = [*(str(file) for file in found.files), *([] if found.url is None else [found.url])]
    _print("\n".join(lines), export_answer(found) if json else None)


def annotate(run: str, annotations: str, *, outputs: str = "outputs", json: bool = False, **options: Any) -> None:
    """Puts what was found out on the map into its clustering, and prints what that is and the path of the new map."""
    from latentviz import verbs
    from latentviz.shell.answers import annotate_answer

    found = verbs.annotate(run, annotations, outputs=outputs, **options)
    _print(f"{found}\nmap {found.map}", annotate_answer(found) if json else None)


def label(run: str, labels: str | None = None, *, outputs: str = "outputs", json: bool = False, **options: Any) -> None:
    """Prints the items to label and the file to fill in; or how the labels were spread, and the path of the map."""
    from latentviz import verbs
    from latentviz.stages.label import Asked

    found = verbs.label(run, labels, outputs=outputs, **options)
    if json:
        from latentviz.shell.answers import label_answer

        _print_json(label_answer(found))
        return
    print(found)
    if not isinstance(found, Asked):
        print(f"map {found.map}")
        return
    for file in found.files:
        print(f"sheet {found.folder.path / file}")
    where = [] if options["clustering"] == "default" else ["--clustering", options["clustering"]]
    place = [] if outputs == "outputs" else ["--outputs", outputs]
    print(f"fill in the labels, then: {shlex.join(['latentviz', 'label', run, str(found.table), *where, *place])}")


def compare(
    run: str,
    other: str | None = None,
    *,
    outputs: str = "outputs",
    json: bool = False,
    show: bool = False,
    **options: Any,
) -> None:
    """Compares two clusterings and prints how far they agree and the path of the page, or compared.json."""
    from latentviz import verbs
    from latentviz.shell.answers import compare_answer

    found = verbs.compare(run, other, outputs=outputs, **options)
    _print(f"{found}\nmaps {found.map}", compare_answer(found) if json else None)
    _show(found.map, wanted=show)


def mcp(*, outputs: str = "outputs") -> None:
    """Answers an agent on standard input and output until the input ends."""
    from latentviz.stages.mcp import serve

    serve(outputs)


def verify(run: str | None = None, *, outputs: str = "outputs", json: bool = False) -> int:
    """Prints a line for everything that is damaged or not from latentviz, and returns 2 if something is damaged."""
    from latentviz import verbs
    from latentviz.shell.answers import verify_answer

    found = verbs.verify(run, outputs=outputs)
    _print(found, verify_answer(found) if json else None)
    return 0 if found.ok else 2


def runs(*, outputs: str = "outputs", json: bool = False) -> None:
    """Prints the runs and their clusterings, newest last."""
    from latentviz.runs.files import folder_path
    from latentviz.runs.ours import no_runs
    from latentviz.runs.run import RunFolder
    from latentviz.shell.tables import runs_table
    from latentviz.stages.overview import run_overview

    folder = folder_path("--outputs", outputs)
    rows = [run_overview(run) for run in RunFolder.all(folder)]
    _print(runs_table(rows) if rows else no_runs(folder), {"runs": rows} if json else None)


def recipes(*, json: bool = False) -> None:
    """Prints the name and the description of each recipe."""
    from latentviz.modalities.sources import recipes as table

    found = table()
    if not found:
        raise RunError("configs: no recipes are installed; reinstall latentviz")
    rows = [{"name": name, "description": line} for name, (_, line) in found.items()]
    width = max(len(name) for name in found)
    text = "\n".join(f"{row['name']:<{width}}  {row['description']}" for row in rows)
    _print(text, {"recipes": rows} if json else None)


def config(
    source: str | None = None, overrides: Overrides = (), *, preset: str | None = None, json: bool = False
) -> None:
    """Prints the config of a source with a comment per key, and how long `fit` would train; or a preset."""
    from latentviz.modalities.sources import load_config
    from latentviz.shell.plan import config_text, planned, preset_answer, preset_text

    if preset is not None:
        _print(preset_text(preset), preset_answer(preset) if json else None)
        return
    if source is None:
        raise ArgumentError(
            "SOURCE: missing; give a recipe, a YAML file, a folder, a file, or hf:NAME, or --preset NAME"
        )
    found, _ = load_config(source, _nested(overrides))
    if json:
        from latentviz.shell.answers import config_answer

        _print_json(config_answer(source, *planned(found)))
    else:
        _print_utf8(config_text(source, found))


def schema(*, json: bool = True) -> None:
    """Prints the JSON schemas of the configs, one branch per data kind, of the settings of `cluster`, and of answers.

    They are JSON in any case.
    """
    from latentviz.shell.schemas import schema as found

    del json
    _print_json(found())
