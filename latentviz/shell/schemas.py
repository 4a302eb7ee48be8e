"""The JSON schema of what each command prints with `--json`, and the types of the commands that need no run."""

import re
from typing import Any

from typing_extensions import TypedDict

from latentviz.shell import answer_types as types
from latentviz.stages.overview import RunOverview

ATTRIBUTES = re.compile(r"\n\s*Attributes:\n(?P<entries>(?:\s+.*\n?)+)")
ENTRY = re.compile(r"^    (?P<name>\w+): (?P<text>(?:.*\n?)(?:     +.*\n?)*)", re.MULTILINE)


class ExploreAnswer(TypedDict):
    """A map that is served until the command is interrupted; the only answer that is printed before the end.

    Attributes:
        run: the name of the run.
        address: of the map.
    """

    run: str
    address: str


class RunsAnswer(TypedDict):
    """The runs in a folder.

    Attributes:
        runs: newest last.
    """

    runs: list[RunOverview]


class Recipe(TypedDict):
    """A recipe.

    Attributes:
        name: to give to `fit`.
        description: what it trains on.
    """

    name: str
    description: str


class RecipesAnswer(TypedDict):
    """The recipes.

    Attributes:
        recipes: by name.
    """

    recipes: list[Recipe]


class ConfigAnswer(TypedDict):
    """The config of a source.

    Attributes:
        source: as it was named.
        length: how long `fit` would train, in words.
        config: all settings; the branch `fit` of `latentviz schema` describes them.
    """

    source: str
    length: str
    config: dict[str, Any]


class PresetAnswer(TypedDict):
    """A preset.

    Attributes:
        preset: its name.
        meaning: what it is for.
        fit: settings of every kind of data.
        kinds: further settings, by the kind of data.
        cluster: settings of `cluster`.
    """

    preset: str
    meaning: str
    fit: dict[str, Any]
    kinds: dict[str, dict[str, Any]]
    cluster: dict[str, Any]


_Head = TypedDict("_Head", {"$schema": str, "title": str})


class SchemaAnswer(_Head):
    """JSON schemas: those of the configs, and of the answers.

    Attributes:
        fit: of the configs, a branch per kind of data.
        cluster: of the settings of `cluster`.
        answers: command → the schema of what it prints with `--json`.
    """

    fit: dict[str, Any]
    cluster: dict[str, Any]
    answers: dict[str, Any]


def answer_types() -> dict[str, Any]:
    """Returns the type of what each command prints with `--json`."""
    from latentviz.modalities.inspecting import Inspection

    return {
        "fit": types.FitAnswer | Inspection,
        "tune": types.TuneAnswer,
        "cluster": types.ClusteringAnswer,
        "evaluate": _evaluate_type(),
        "map": types.ClusteringAnswer,
        "explore": ExploreAnswer,
        "generate": types.GenerateAnswer,
        "recommend": types.RecommendAnswer,
        "encode": types.EncodeAnswer,
        "annotate": types.AnnotateAnswer,
        "label": types.AskAnswer | types.LabelAnswer,
        "compare": types.CompareAnswer,
        "export": types.ExportAnswer,
        "verify": types.VerifyAnswer,
        "runs": RunsAnswer,
        "recipes": RecipesAnswer,
        "config": ConfigAnswer | PresetAnswer,
        "schema": SchemaAnswer,
    }


def _evaluate_type() -> Any:
    """The evaluation as a type whose JSON has two further keys."""
    from typing import get_type_hints

    from pydantic import create_model

    from latentviz.evaluation.results import Evaluation

    fields: dict[str, Any] = {name: (kind, ...) for name, kind in get_type_hints(Evaluation).items()}
    further = (
        "        collapsed: whether the model is useless; the exit code is 1 then.\n        report: the HTML report.\n"
    )
    return create_model(
        "EvaluateAnswer",
        __doc__=f"{(Evaluation.__doc__ or '').rstrip()}\n{further}",
        collapsed=(bool, ...),
        report=(str, ...),
        **fields,
    )


def schema() -> dict[str, Any]:
    """Returns what `latentviz schema` prints."""
    from latentviz.config import ClusterConfig
    from latentviz.modalities import kinds, modality

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "latentviz",
        "fit": {"oneOf": [modality(kind).config.model_json_schema() for kind in kinds()]},
        "cluster": ClusterConfig.model_json_schema(),
        "answers": schemas(),
    }


def schemas() -> dict[str, Any]:
    """Returns the JSON schema of what each command prints with `--json`; the docstrings describe each key."""
    from pydantic import TypeAdapter

    found = {}
    for command, kind in answer_types().items():
        schema = TypeAdapter(kind).json_schema(mode="serialization")
        for part in (schema, *schema.get("$defs", {}).values()):
            _describe(part)
        found[command] = schema
    return found


def _describe(schema: dict[str, Any]) -> None:
    """Moves the entries of `Attributes:` in a docstring to the keys that they are about."""
    text = schema.get("description", "")
    if (section := ATTRIBUTES.search(f"{text}\n")) is None:
        return
    schema["description"] = " ".join(text[: section.start()].split())
    indent = min(len(line) - len(line.lstrip()) for line in section["entries"].splitlines() if line.strip())
    entries = "\n".join(line[max(0, indent - 4) :] for line in section["entries"].splitlines())
    for entry in ENTRY.finditer(entries):
        if (key := schema.get("properties", {}).get(entry["name"])) is not None:
            key["description"] = " ".join(entry["text"].split())
