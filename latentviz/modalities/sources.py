"""Resolves the SOURCE of `latentviz fit` (a recipe, a YAML file, or data) to a config and the name of a run."""

import glob
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic.fields import FieldInfo

from latentviz.config import RESERVED, FitConfig, Section, merge, read_yaml, validate
from latentviz.config.presets import PRESETS, preset
from latentviz.errors import ConfigError, DataError, did_you_mean
from latentviz.modalities import MODALITIES, SCHEMES, detect, kinds, modality
from latentviz.modalities.acting import check_acting
from latentviz.modalities.io.memory import named

YAML_SUFFIXES = {".yaml", ".yml"}


class Source(NamedTuple):
    """The settings that a source stands for, a name for the run, and how messages call the source."""

    values: dict[str, Any]
    name: str
    origin: str


def recipe_folder() -> Path:
    """Returns the folder of the recipes: inside the installed package, or `configs/` of the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def recipes() -> dict[str, tuple[Path, str]]:
    """Returns the file and the description (its second comment) of each recipe, by name."""
    found = {}
    for path in sorted(recipe_folder().glob("*.yaml")):
        comments = [line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        found[path.stem] = (path, comments[1] if len(comments) > 1 else "")
    return found


def load_config(source: str, overrides: Mapping[str, object]) -> tuple[FitConfig, str]:
    """Returns the config that `source` stands for, with the overrides applied, and a name for the run.

    Args:
        source: a recipe's name, a YAML file, or data: a folder, a file, `hf:NAME`, `sklearn:digits`.
        overrides: nested settings, such as `{"model": {"latent_dim": 16}}`.

    Raises:
        ConfigError: the config has mistakes; the message lists all of them.
        DataError: the source is none of the above.
    """
    values, name, origin = _read(source)
    fitted = values if Path(source).name == "config.yaml" and values.get("seed_everything") is not None else {}
    values = merge(values, overrides)
    values = with_features(values)
    data = values.get("data")
    data = dict(data) if isinstance(data, Mapping) else {}
    asked = overrides.get("data")
    if isinstance(asked, Mapping) and "parts" in asked and "kind" not in asked:  # of a recipe of images
        data["kind"] = "joint"
        values = {**values, "data": data}
    if data.get("kind") is None and "path" in data:
        data["kind"] = detect(str(data["path"]), data)
        values = {**values, "data": data}
    kind = data.get("kind")
    if not isinstance(kind, str) or (kind not in MODALITIES and kind not in kinds()):
        raise ConfigError(f"{origin}: data.kind: missing or unknown (got {kind!r}); one of {', '.join(kinds())}")
    _check_kind_of_keys(values, kind, origin)
    # The resolved config of a run holds every setting, also those that its user did not set.
    given = _flat(overrides, fitted) if fitted else _flat(values, {})
    config = validate(modality(kind).config, _with_preset(values, fitted, overrides, kind), origin)
    check_acting(config, given, origin)
    return config, name


def with_features(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with `features=…` as a part of the items: `data.features`, and the part vectors.

    Raises:
        ConfigError: the items are vectors already.
    """
    section = values.get("data")
    data: dict[str, Any] = dict(section) if isinstance(section, Mapping) else {}
    name = values.get("features", data.get("features", "none"))
    rest = {key: value for key, value in values.items() if key != "features"}
    if name == "none" or "path" not in data:
        return rest
    parts = data.get("parts")
    if parts is None:
        kind = data.get("kind") or detect(str(data["path"]), data)
        if kind not in {"image", "text", "joint"}:
            raise ConfigError(
                f"features: makes vectors of images and texts, and {named(str(data['path']))} holds {kind} (got "
                f"{name}); leave it out"
            )
        parts = "image" if kind == "joint" else kind
    listed = parts.split(",") if isinstance(parts, str) else list(parts)
    return {**rest, "data": {**data, "kind": "joint", "features": name, "parts": [*{*listed, "vectors"}]}}


def _with_preset(
    values: Mapping[str, object], fitted: Mapping[str, object], overrides: Mapping[str, object], kind: str
) -> Mapping[str, object]:
    """Adds the settings of the preset below those that were given.

    In the config of a run all settings have a value, `fitted`: another preset than that of the run replaces them.
    """
    chosen = values.get("preset", "default")
    if not fitted:
        return merge(preset_settings(kind, chosen), values)
    if chosen == fitted.get("preset", "default"):
        return values
    bundles = [preset_settings(kind, name) for name in PRESETS]
    unset: dict[str, dict[str, object]] = {}
    for section, name in {(section, name) for bundle in bundles for section, part in bundle.items() for name in part}:
        field = _names(modality(kind).config, section).get(name)  # Lightning's arguments have none
        unset.setdefault(section, {})[name] = None if field is None else field.default
    return merge(merge(merge(values, unset), preset_settings(kind, chosen)), overrides)


def preset_settings(kind: str, name: object) -> Mapping[str, Mapping[str, object]]:
    """Returns the settings of `fit` in a preset for a kind of data, by section and name.

    Raises:
        ConfigError: there is no such preset.
    """
    return cast(
        "Mapping[str, Mapping[str, object]]", merge(preset(name).fit, modality(kind).presets.get(str(name), {}))
    )


def _flat(values: Mapping[str, object], known: Mapping[str, object], prefix: str = "") -> list[str]:
    """Returns the dotted keys in nested values, but for those that have the same value in `known`."""
    found = []
    for key, value in values.items():
        inner = known.get(key)
        if isinstance(value, Mapping):
            found += _flat(value, inner if isinstance(inner, Mapping) else {}, f"{prefix}{key}.")
        elif key not in known or inner != value:
            found.append(prefix + key)
    return found


def _check_kind_of_keys(values: Mapping[str, object], kind: str, origin: str) -> None:
    """Raises a ConfigError for settings that only other kinds have."""
    for section in ("data", "model"):
        given = values.get(section)
        given = given if isinstance(given, Mapping) else {}
        for key in given:
            others = [each for each in MODALITIES if key in _names(modality(each).config, section)]
            if key not in _names(modality(kind).config, section) and others:
                raise ConfigError(
                    f"{origin}: {section}.{key}: {kind} has no such setting (got {given[key]!r}); it acts for "
                    f"{' and '.join(others)}; leave it out, or set data.kind={others[0]}."
                    f"{did_you_mean(str(key), _names(modality(kind).config, section))}"
                )


def _names(config: type[FitConfig], section: str) -> Mapping[str, FieldInfo]:
    part = config.model_fields[section].annotation
    return part.model_fields if isinstance(part, type) and issubclass(part, Section) else {}


def _read(source: str) -> Source:
    if not source.strip():
        raise DataError(f"{source!r}: no source; name a recipe, a config, a file or a folder")
    table = recipes()
    if source in table and not Path(source).is_dir():
        return Source(read_yaml(table[source][0]), source, f"recipe {source}")
    if Path(source).suffix.lower() in YAML_SUFFIXES:
        path = Path(source)
        return Source(read_yaml(path), path.resolve().parent.name if path.name == "config.yaml" else path.stem, source)
    if not source.startswith(SCHEMES) and not Path(source).exists() and (near := did_you_mean(source, table)):
        raise DataError(f"{source}: no recipe, config, file or folder of this name.{near}")
    return Source({"data": {"path": source}}, run_name(source), named(source))


def run_name(source: str) -> str:
    """Derives the name of a run from `source`.

    >>> run_name("photos/cats/"), run_name("hf:ylecun/mnist"), run_name("a b.npy"), run_name("nul.txt")
    ('cats', 'mnist', 'a-b', 'nul-run')
    """
    pieces = re.split(r"[/\\:]", source.rstrip("/\\"))
    while len(pieces) > 1 and glob.has_magic(pieces[-1]):  # photos/*.jpg
        pieces.pop()
    last = pieces[-1]
    stem = last.split(".")[0] or last.strip(".") or Path.cwd().name
    name = re.sub(r"[^\w-]+", "-", stem).strip("-") or "run"
    return f"{name}-run" if RESERVED.match(name) else name
