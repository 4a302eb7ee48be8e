"""From what stands behind `latentviz fit` (a recipe, a YAML file, or data) to a config and a run's name."""

import re
from collections.abc import Mapping
from pathlib import Path

from latentviz.config import FitConfig, merge, read_yaml, validate
from latentviz.errors import ConfigError, DataError, did_you_mean
from latentviz.modalities import MODALITIES, SCHEMES, detect, modality

YAML_SUFFIXES = {".yaml", ".yml"}


def recipe_folder() -> Path:
    """Returns the folder of the recipes: inside the installed package, or `configs/` of the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def recipes() -> dict[str, tuple[Path, str]]:
    """Returns each recipe's file and its line of description (the second comment of the file), by name."""
    found = {}
    for path in sorted(recipe_folder().glob("*.yaml")):
        comments = [line[1:].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        found[path.stem] = (path, comments[1] if len(comments) > 1 else "")
    return found


def load_config(source: str, overrides: Mapping[str, object]) -> tuple[FitConfig, str]:
    """Returns the config that `source` stands for, with the overrides put over it, and a name for the run.

    Args:
        source: a recipe's name, a YAML file, or data: a folder, a file, `hf:NAME`, `sklearn:digits`.
        overrides: nested settings, such as `{"model": {"latent_dim": 16}}`.

    Raises:
        ConfigError: the config has mistakes; all of them are named.
        DataError: the source is none of the above.
    """
    table = recipes()
    if source in table and not Path(source).is_dir():
        path, name, origin = table[source][0], source, f"recipe {source}"
        values = read_yaml(path)
    elif Path(source).suffix.lower() in YAML_SUFFIXES:
        path, origin = Path(source), source
        name = path.resolve().parent.name if path.name == "config.yaml" else path.stem
        values = read_yaml(path)
    else:
        name, origin = run_name(source), source
        if near := not source.startswith(SCHEMES) and not Path(source).exists() and (did_you_mean(source, table)):
            raise DataError(f"{source}: no recipe, config, file or folder of this name.{near}")
        values = {"data": {"kind": _kind(overrides) or detect(source), "path": source}}
    values = merge(values, overrides)
    data = values.get("data")
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if kind is None and isinstance(data, Mapping) and "path" in data:
        kind = detect(str(data["path"]))
        values = merge(values, {"data": {"kind": kind}})
    if not isinstance(kind, str) or kind not in MODALITIES:
        raise ConfigError(f"{origin}: data.kind: missing or unknown (got {kind!r}); one of {', '.join(MODALITIES)}")
    return validate(modality(kind).config, values, origin), name


def _kind(overrides: Mapping[str, object]) -> str | None:
    data = overrides.get("data")
    return data.get("kind") if isinstance(data, Mapping) else None


def run_name(source: str) -> str:
    """Returns a folder name for a run on `source`.

    >>> run_name("photos/cats/"), run_name("hf:ylecun/mnist"), run_name("a b.npy")
    ('cats', 'mnist', 'a-b')
    """
    last = re.split(r"[/\\:]", source.rstrip("/\\"))[-1]
    stem = last.split(".")[0] or last.strip(".") or Path.cwd().name
    return re.sub(r"[^\w-]+", "-", stem).strip("-") or "run"
