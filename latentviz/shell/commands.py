"""One function a subcommand: wiring, no logic. The shell's words and Python's are the same."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from latentviz.config import parse_overrides
from latentviz.errors import RunError
from latentviz.progress import say

Overrides = Sequence[str] | Mapping[str, Any]


def _nested(overrides: Overrides) -> dict[str, Any]:
    return dict(overrides) if isinstance(overrides, Mapping) else parse_overrides(overrides)


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


def fit(
    source: str,
    overrides: Overrides = (),
    *,
    run: str | None = None,
    outputs: str = "outputs",
    resume: bool = False,
    force: bool = False,
) -> int:
    """Trains, exports μ and log σ², and prints the table of the run."""
    from latentviz.api import train
    from latentviz.shell.tables import fit_table

    finished = train(source, _nested(overrides), run=run, outputs=outputs, resume=resume, force=force)
    print(fit_table(finished))
    print(
        f"run {finished.path}; its map: latentviz cluster {finished.name}"
        + ("" if outputs == "outputs" else f" --outputs {outputs}")
    )
    return 0


def cluster(
    run: str | None = None,
    overrides: Overrides = (),
    *,
    name: str = "default",
    outputs: str = "outputs",
    force: bool = False,
) -> int:
    """Reduces, clusters, draws the map, and prints the table and the map's path."""
    from latentviz.api import make_clustering
    from latentviz.runs.run import RunFolder
    from latentviz.shell.tables import cluster_table

    folder = make_clustering(RunFolder.open(run, outputs), _nested(overrides), name=name, force=force)
    print(cluster_table(folder))
    print(f"map {folder.map_file}")
    return 0


def evaluate(
    run: str | None = None, *, clustering: str | None = None, outputs: str = "outputs", json: bool = False
) -> int:
    """Evaluates, prints the verdicts and the figures, or the JSON; returns 1 for a collapsed model."""
    from latentviz import api

    found = api.evaluate(run, clustering=clustering, outputs=outputs)
    if json:
        print(found.json_file.read_text(encoding="utf-8"), end="")
    else:
        print(found)
        print(f"report {found.report}")
    return 1 if found.collapsed else 0


def map(
    run: str | None = None, overrides: Overrides = (), *, clustering: str = "default", outputs: str = "outputs"
) -> int:
    """Draws a clustering's map again and prints its path."""
    from latentviz.api import draw_map
    from latentviz.runs.run import RunFolder

    print(f"map {draw_map(RunFolder.open(run, outputs), _nested(overrides), clustering=clustering).map_file}")
    return 0


def generate(
    run: str | None = None, *, outputs: str = "outputs", json: bool = False, at: str | None = None, **options: Any
) -> int:
    """Decodes what is asked for, and prints texts, the sheet's path, or with `json` all there is to know."""
    from latentviz.modalities import modality
    from latentviz.queries.ways import parse_spot
    from latentviz.runs.run import RunFolder
    from latentviz.stages.generate import generate as draw

    handle = RunFolder.open(run, outputs)
    made = draw(handle, at=None if at is None else parse_spot(at), **options)
    if json:
        _print_json({"folder": str(made.folder.path), **made.info})
    else:
        for line in modality(str(handle.info()["kind"])).show.lines(list(made.outputs)):
            print(line)
        sheet = made.folder.path / made.info["sheet"][0]
        print(f"{len(made.z)} output{'' if len(made.z) == 1 else 's'}, sheet {sheet}")
    return 0


def recommend(
    items: Sequence[str], *, name: str | None = None, outputs: str = "outputs", json: bool = False, **options: Any
) -> int:
    """Prints the items most like the given ones as a table or as JSON, and writes their sheet."""
    from latentviz.queries.lookup import check_first
    from latentviz.runs.run import RunFolder
    from latentviz.shell.tables import recommendation_table
    from latentviz.stages.recommend import recommend as find

    run, words = RunFolder.open_first(items, outputs)
    if len(words) == len(items):
        check_first(run, words)
    found = find(run, words, **options)
    folder, files = found.save(name)
    if json:
        _print_json(found.rows)
    else:
        print(recommendation_table(found.rows))
    for file in files:
        say(f"sheet {folder.path / file}")
    return 0


def encode(run: str, data: str, *, outputs: str = "outputs", **options: Any) -> int:
    """Places new data on a run's map, and prints what became of it and the map's path."""
    from latentviz.runs.run import RunFolder
    from latentviz.shell.tables import encode_table
    from latentviz.stages.encode import encode as place

    placed = place(RunFolder.open(run, outputs), data, **options)
    print(encode_table(placed.info))
    print(f"map {placed.folder.map_file}")
    return 0


def export(run: str | None = None, *, outputs: str = "outputs", **options: Any) -> int:
    """Writes encoder and decoder for other programs, and prints the files."""
    from latentviz.runs.run import RunFolder
    from latentviz.stages.export import export as write

    for file in write(RunFolder.open(run, outputs), **options):
        print(file)
    return 0


def recipes() -> int:
    """Prints each recipe's name and its line."""
    from latentviz.modalities.sources import recipes as table

    found = table()
    if not found:
        raise RunError("configs: no recipes are installed; reinstall latentviz")
    width = max(len(name) for name in found)
    for name, (_, line) in found.items():
        print(f"{name:<{width}}  {line}")
    return 0


def config(source: str, overrides: Overrides = ()) -> int:
    """Prints the config of a source with a comment a key; it can be saved and fitted."""
    from latentviz.config import dump_commented
    from latentviz.modalities.sources import load_config

    resolved, _ = load_config(source, _nested(overrides))
    print(f"# latentviz fit {source}\n{dump_commented(resolved)}", end="")
    return 0


def schema() -> int:
    """Prints the JSON schema of the configs: one branch a data kind, and the settings of `cluster`."""
    from latentviz.config import ClusterConfig
    from latentviz.modalities import MODALITIES, modality

    kinds = {kind: modality(kind).config.model_json_schema() for kind in MODALITIES}
    print(
        json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "latentviz",
                "fit": {"oneOf": list(kinds.values())},
                "cluster": ClusterConfig.model_json_schema(),
            },
            indent=2,
            ensure_ascii=False,
        )
    )
    return 0
