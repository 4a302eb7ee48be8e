"""Settings that cannot act: what the user set, and the source or another setting makes useless, is refused."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from latentviz.config import FitConfig, Role, Section
from latentviz.errors import ConfigError, mistakes
from latentviz.modalities.image.config import IDX_NAME
from latentviz.modalities.io import memory
from latentviz.modalities.io.files import ARROW_SUFFIXES, TABLE_SUFFIXES, suffix_of

FORMS = {
    "hub": "a data set of the Hugging Face hub",
    "bundled": "bundled data",
    "folder": "a folder with tables",
    "files": "a folder of files without a table",
    "npy": "a .npy file",
    "npz": "a .npz file",
    "idx": "an IDX file",
    "binary table": "a Parquet or Arrow file",
    "table": "a table of text",
    "lines": "a text file with one item per line",
    "array": "an array",
    "arrays": "a dict of arrays",
    "frame": "a table in memory",
    "list": "a list of items",
}
# Objects in memory on which settings act as on a file.
_AS_FILE = {"array": "npy", "arrays": "npz", "frame": "binary table", "list": "lines"}
NOT_HUB = frozenset(FORMS) - {"hub"}
HARMLESS = ("auto", "none", "all", "keep")  # values that ask for nothing


class Rule(NamedTuple):
    """Where a setting of the data acts not, and where it acts, for the message."""

    idle: frozenset[str]
    acts: str


class Needs(NamedTuple):
    """A setting that another one makes useless: its name, the values with which it acts, and these in words."""

    other: str
    acts: Any
    words: str


_TABLES = "in tables"
# Forms that a reader may come to read with a table are left out: only what cannot act whatever it holds is refused.
DATA: Mapping[str, Mapping[str, Rule]] = {
    "image": {
        "image_column": Rule(frozenset({"npy", "idx", "bundled", "files"}), "in tables and .npz files"),
        "label_column": Rule(frozenset({"npy", "idx", "bundled"}), "in tables, .npz files and folders with a table"),
        "split": Rule(NOT_HUB, "on data sets of the Hugging Face hub (hf:NAME)"),
        "frames": Rule(frozenset({"npy", "npz", "idx", "bundled", "hub"}), "on files such as TIFF, GIF and WebP"),
    },
    "text": {
        "text_column": Rule(frozenset({"lines", "bundled", "files"}), _TABLES),
        "label_column": Rule(frozenset({"lines", "files"}), _TABLES),
        "id_column": Rule(frozenset({"lines", "bundled", "files"}), _TABLES),
        "encoding": Rule(frozenset({"hub", "bundled", "binary table"}), "on text files, CSV, TSV and JSON"),
        "split": Rule(NOT_HUB, "on data sets of the Hugging Face hub (hf:NAME)"),
    },
    "vectors": {
        "array": Rule(frozenset(FORMS) - {"npz"}, "in .npz files"),
        "vector_column": Rule(frozenset({"npy", "npz"}), "in tables; for .npz files there is data.array"),
        "label_column": Rule(frozenset({"npy"}), "in tables and .npz files; data.labels names a separate file"),
        "text_column": Rule(frozenset({"npy"}), "in tables and .npz files, and with data.items"),
        **dict.fromkeys(("columns", "exclude"), Rule(frozenset({"npy", "npz"}), "in tables with columns of numbers")),
        "decimal": Rule(frozenset({"npy", "npz", "binary table", "hub"}), "in text tables such as CSV"),
    },
    "joint": {
        "image_column": Rule(frozenset({"npy", "idx", "bundled", "files"}), "in tables and .npz files"),
        "caption_column": Rule(frozenset({"npy", "idx", "bundled"}), "in tables and folders with a table"),
        "label_column": Rule(frozenset({"npy", "idx", "bundled"}), "in tables, .npz files and folders with a table"),
        "level": Rule(frozenset(FORMS) - {"bundled"}, "on the recipe shapes"),
        "split": Rule(NOT_HUB, "on data sets of the Hugging Face hub (hf:NAME)"),
    },
}


def _positive(value: object) -> bool:
    return value == "auto" or (isinstance(value, (int, float)) and value > 0)


_CONTRAST = Needs("contrast", _positive, "with model.contrast above 0")
_AUTOREGRESSIVE = Needs("decoder", lambda value: value == "autoregressive", "with model.decoder=autoregressive")
MODEL: Mapping[str, Mapping[str, Needs]] = {
    "image": {
        "c": Needs("likelihood", lambda value: value == "normal", "with model.likelihood=normal"),
        **dict.fromkeys(("content_dim", "temperature", "neighbors", "augment", "flip"), _CONTRAST),
    },
    "text": {
        **dict.fromkeys(("memory", "lag", "word_dropout", "dropout", "position_weight"), _AUTOREGRESSIVE),
        **dict.fromkeys(("content_dim", "temperature"), _CONTRAST),
        "topic_dim": Needs("contrast", lambda value: not _positive(value), "with model.contrast=0"),
        "all_tokens": Needs("negatives", _positive, "with model.negatives above 0"),
        "top_p": Needs("sampling", _positive, "with model.sampling above 0"),
    },
    "vectors": dict.fromkeys(("content_dim", "temperature", "neighbors", "noise"), _CONTRAST),
    "joint": dict.fromkeys(("content_dim", "temperature"), _CONTRAST),
}


def form(path: str) -> str | None:
    """Returns the form of a source, a name in `FORMS`; None where only reading it would tell."""
    scheme, colon, _ = path.partition(":")
    if colon and scheme in {"hf", "sklearn", "python", "memory"}:
        return {"hf": "hub", "memory": _form_in_memory(path)}.get(scheme, "bundled")
    place = Path(path)
    suffix = suffix_of(place.name)
    if place.is_dir():
        from latentviz.modalities.io.tables import table_files  # imports pyarrow

        return "folder" if table_files(place) else "files"
    if IDX_NAME.search(place.name):
        return "idx"
    if suffix in {".npy", ".npz"}:
        return suffix[1:]
    if suffix in TABLE_SUFFIXES:
        return "binary table" if suffix in {".parquet", *ARROW_SUFFIXES} else "table"
    return "lines" if suffix in {".txt", ".text"} else None


def _form_in_memory(path: str) -> str | None:
    content = memory.find(path)
    if content is None or content.files:
        return None
    if content.arrays:
        return "array" if "" in content.arrays else "arrays"
    return "frame" if content.table is not None else "list"


def check_acting(config: FitConfig, given: Iterable[str], origin: str) -> None:
    """Raises a ConfigError, a line per mistake, if settings that the user gave cannot act.

    Args:
        config: what to fit.
        given: dotted keys that the user set; a default value is no mistake.
        origin: what the settings are from, for the message.
    """
    found = [line for key in given if (line := idle(config, key))]
    if found:
        raise mistakes(origin, found)


# Kind → setting of the model → the parts that, where a user gives all of them, leave it without effect.
_DECODING = ["decoder", "memory", "lag", "word_dropout", "dropout", "position_weight", "bag_weight", "negatives"]
_DECODING += ["all_tokens", "noise_mix", "sampling", "top_p", "repeats", "candidates", "c"]
NETWORKS: Mapping[str, Mapping[str, Sequence[Role]]] = {
    "image": {
        **dict.fromkeys(("net", "width"), ("encoder", "decoder")),
        **dict.fromkeys(("likelihood", "c"), ("likelihood",)),
    },
    "text": {
        **dict.fromkeys(_DECODING, ("decoder",)),
        **dict.fromkeys(("width", "vectors"), ("encoder", "decoder")),
        "topic_dim": ("encoder",),
    },
    "vectors": {"width": ("encoder", "decoder"), "c": ("likelihood",)},
    "joint": {
        **dict.fromkeys(("net", "width", "hidden"), ("encoder", "decoder")),
        **dict.fromkeys(("c", "caption_weight", "label_weight", "vectors_weight", "text_weight"), ("decoder",)),
        **dict.fromkeys(("memory", "lag"), ("decoder",)),
    },
}


def check_networks(kind: str, given: object, roles: Collection[Role]) -> None:
    """Raises a ConfigError for a setting of the model that only latentviz's own networks read.

    Args:
        kind: of the data.
        given: the settings of the model that the user has chosen, by name.
        roles: the parts that the user has given.
    """
    for name, needed in NETWORKS.get(kind, {}).items():
        if isinstance(given, Mapping) and name in given and set(needed) <= set(roles):
            raise ConfigError(
                f"model.{name}: has no effect with {' and '.join(f'{role}=' for role in needed)} (got {given[name]}); "
                "leave it out"
            )


def check_resolved(asked: FitConfig, config: FitConfig) -> None:
    """Raises a ConfigError if a setting cannot act with the value that "auto" became, such as a contrast of 0."""
    fields = type(asked.model).model_fields
    given = [name for name in asked.model.model_fields_set if getattr(asked.model, name) != fields[name].default]
    check_acting(config, [f"model.{name}" for name in given if not idle(asked, f"model.{name}")], config.data.path)


def idle(config: FitConfig, key: str) -> str:
    """Says why a setting has no effect; an empty string if it has one, or has its default."""
    section, _, name = key.partition(".")
    part = getattr(config, section, None)
    if not isinstance(part, Section) or name not in type(part).model_fields:
        return ""
    value = getattr(part, name)
    if value == type(part).model_fields[name].default or value in HARMLESS:
        return ""
    if section == "model":
        needs = MODEL.get(config.data.kind, {}).get(name)
        if needs is None or needs.acts(other := getattr(part, needs.other)):
            return ""
        return (
            f"{key}: has no effect with model.{needs.other}={other} (got {value}); it acts {needs.words}; leave it out"
        )
    rule, source = DATA.get(config.data.kind, {}).get(name), form(config.data.path)
    idle_here = rule is not None and source is not None and _AS_FILE.get(source, source) in rule.idle
    if rule is None or source is None or not idle_here or (name.startswith(("text", "label")) and _has_items(part)):
        return ""
    return f"{key}: has no effect on {FORMS[source]} (got {value}); it acts {rule.acts}; leave it out"


def _has_items(data: Section) -> bool:
    return getattr(data, "items", "none") != "none"
