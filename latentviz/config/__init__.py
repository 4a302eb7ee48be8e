"""Configs: frozen pydantic sections, read from YAML and `key=value` overrides; all mistakes are reported at once."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_serializer, field_validator

from latentviz.config.base import AtLeast1 as AtLeast1
from latentviz.config.base import AtLeast2 as AtLeast2
from latentviz.config.base import Auto as Auto
from latentviz.config.base import Section as Section
from latentviz.config.base import resolved as resolved
from latentviz.config.edits import Groups, Names, Numbers, Share
from latentviz.config.methods import ClustererMethod, ReducerMethod
from latentviz.config.presets import PresetName
from latentviz.config.reading import LARGEST_YAML as LARGEST_YAML
from latentviz.config.reading import ValueLoader
from latentviz.config.reading import read_yaml as read_yaml
from latentviz.config.trainer import TrainerSection, is_object, noted, refusals
from latentviz.errors import ConfigError, did_you_mean, message_of, mistakes

S = TypeVar("S", bound="Section")

Role = Literal["encoder", "decoder", "likelihood", "objective"]  # parts of a model that a user can give
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # names of folders, by Windows
MEMORY = "memory:"  # the beginning of `data.path` where the data is a Python object


class DataSection(Section):
    """Settings of the data that every kind has."""

    kind: str = Field(description="data kind; detected if the source is data")
    path: str = Field(description="folder, file, hf:NAME, or sklearn:digits")
    batch_size: int = Field(256, ge=2, description="items in a training batch")
    val_fraction: float = Field(0.1, gt=0, lt=0.9, description="share of the items held out for validation")
    max_bad: float = Field(
        0.1, ge=0, le=1, description="share of unreadable items above which reading stops with an error"
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep", description="items equal to earlier ones; drop: they are left out and listed; keep: they are counted"
    )


class ModelSection(Section):
    """Settings of the model that every kind has."""

    latent_dim: int = Field(32, ge=1, le=4096, description="latent dimensions d")
    c: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto", description="C in the loss C·‖x − f(z)‖² + KL; auto: 10,000 / summed variance of the data"
    )
    kl_warmup: float = Field(
        0.1, ge=0, le=1, description="share of the training over which the weight of the KL rises from 0 to 1"
    )
    free_bits: float = Field(0.0, ge=0, description="nats of KL per latent dimension that are free")
    lr: float = Field(3e-3, gt=0, description="peak learning rate of Adam")
    stop: Literal["still", "limit"] | Auto = Field(
        "auto", description="what ends training; still: neighbours in mu stand still; limit: those of the trainer"
    )
    patience: int = Field(0, ge=0, description="epochs without a better validation loss before stopping; 0: never")


_PRESET = "bundle of settings that are not given: quick, default or best; `latentviz config --preset NAME` lists them"


class FitConfig(Section):
    """Settings of `latentviz fit`; each data kind narrows `data` and `model` to its own sections."""

    preset: PresetName = Field("default", description=_PRESET)
    seed_everything: int = Field(0, ge=0, lt=2**32, description="seed of the split, the weights and every draw")
    check_memory: bool = Field(True, description="refuse work that does not fit into memory; false: try it")
    preview: float = Field(
        60.0,
        ge=0,
        description="seconds of training until a first map of some items, again after twice as many; 0: none",
    )
    data: DataSection
    model: ModelSection
    trainer: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of pytorch_lightning.Trainer",
        json_schema_extra=lambda schema: schema.update(TrainerSection.model_json_schema()),
    )
    networks: dict[Role, str] = Field({}, description="names of the user's own networks, which only lv.fit can give")

    @field_validator("networks", mode="before")
    @classmethod
    def _known_parts(cls, value: object) -> object:
        if isinstance(value, dict) and (unknown := {*value} - {*get_args(Role)}):
            raise ValueError(f"{min(unknown)}: unknown key; allowed here: {', '.join(get_args(Role))}")
        return value

    @field_validator("trainer", mode="before")
    @classmethod
    def _known_trainer_arguments(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        given = {str(key): each for key, each in value.items()}
        known = {key: each for key, each in given.items() if key in TrainerSection.model_fields}
        checked = {key: each for key, each in known.items() if not is_object(key, each)}
        lines = refusals(given)
        try:
            found = TrainerSection.model_validate(checked)
        except ValidationError as error:
            lines += _mistakes(TrainerSection, error.errors())
        if lines:
            raise ValueError("\n".join(lines))  # one line per argument; `_lines` prefixes each with the section
        return {key: getattr(found, key) if key in checked else each for key, each in given.items()}

    @field_serializer("trainer")
    def _with_notes(self, value: dict[str, Any]) -> dict[str, Any]:
        return {key: noted(key, each) for key, each in value.items()}


class ReduceSection(Section):
    """Settings of the reducer: mu (n, d) → coordinates (n, k) to cluster, and points (n, 2) to draw."""

    method: ReducerMethod = Field(
        "umap", description="umap, parametric, densmap, tsne, pacmap or pca; in Python an object"
    )
    n_neighbors: int = Field(15, ge=2, le=1_000, description="neighbours per item in the graph that UMAP lays out")
    n_components: int = Field(2, ge=1, le=100, description="dimensions k of the coordinates that are clustered")
    metric: Literal["euclidean", "cosine"] | Auto = Field(
        "auto", description="distance between mu vectors; auto: cosine after a training with contrast"
    )
    landmarks: Annotated[int, Field(ge=0)] | Auto = Field(
        "auto", description="items to lay out, to place the others among; 0: all; auto: at most 150,000"
    )
    layouts: Annotated[int, Field(ge=1, le=20)] | Auto = Field(
        "auto",
        description="layouts from different seeds; the cut is chosen among them; auto: 3, up to 7 while they disagree",
    )
    sample: int = Field(
        30_000,
        ge=0,
        description="items that clusters are found among when their cut is chosen; others follow; 0: all",
    )
    min_dist: float = Field(0.3, ge=0, lt=1, description="minimum distance of points on the map; clustering uses 0")
    backend: Literal["auto", "cpu", "cuml"] = Field("auto", description="of UMAP; auto: cuml if there is a GPU")
    repeatable: bool = Field(True, description="same seed, same coordinates; false: faster, UMAP on all cores")


class ClusterSection(Section):
    """Settings of the clusterer: coordinates (n, k) → clusters."""

    method: ClustererMethod = Field(
        "hdbscan", description="hdbscan, plscan, kmeans, gmm or leiden; in Python also an object"
    )
    on: Literal["mu", "all"] = Field("mu", description="mu: the content dimensions of mu; all: every dimension")
    min_cluster_size: AtLeast2 | Auto = Field("auto", description="fewest items in a cluster")
    min_samples: AtLeast1 | Auto = Field("auto", description="a larger value makes more items noise")
    selection: Literal["eom", "leaf", "layer", "auto"] = Field(
        "auto", description="how clusters are chosen from the tree"
    )
    n_clusters: AtLeast1 | str = Field("auto", description="exactly so many, or the best of a range such as 5..12")
    max_noise: Share = Field(1.0, description="largest share of noise, such as 5%; the rest of it goes to clusters")
    merge: Groups = Field([], description="groups of the found clusters to merge, such as [[0, 3]]")
    split: Numbers = Field([], description="found clusters to split in two, such as [2]")
    names: Names = Field({}, description="names of clusters, such as {0: zeros}")

    @field_validator("n_clusters", mode="before")
    @classmethod
    def _count_or_range(cls, value: object) -> object:
        if isinstance(value, str) and value != "auto":
            first, dots, last = value.partition("..")
            if not (dots and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
                raise ValueError(f"must be a whole number, a range such as 5..12, or auto (got {value!r})")
        return value


class MapSection(Section):
    """Settings of the map."""

    title: str = Field("", max_length=1_000, description="heading of the map; empty: the run's name")
    theme: Literal["auto", "light", "dark"] = Field("auto", description="auto: follows the reader's system")
    colour_by: str = Field("cluster", description="cluster, label, outlier_score, probability, or a column")
    layers: list[str] | Literal["all"] = Field("all", description="features of the map to include")


class ClusterConfig(Section):
    """Settings of `latentviz cluster`."""

    preset: PresetName = Field("default", description=_PRESET)
    seed_everything: int = Field(0, ge=0, lt=2**32, description="seed of the reducer")
    check_memory: bool = Field(True, description="refuse work that does not fit into memory; false: try it")
    log_likelihood: bool = Field(
        True, description="add log p(x|z = mu) of each item to the points, for which all are decoded; false: faster"
    )
    reduce: ReduceSection = ReduceSection()
    cluster: ClusterSection = ClusterSection()
    map: MapSection = MapSection()


class ResolvedReduceSection(ReduceSection):
    """`ReduceSection` of a clustering: no value is "auto" but the backend, which depends on the machine."""

    metric: Literal["euclidean", "cosine"]
    landmarks: int = Field(0, ge=0)  # clusterings from before there were landmarks laid all items out
    sample: int = Field(0, ge=0)  # and those from before there was a sample clustered all


class ResolvedClusterConfig(ClusterConfig):
    """`ClusterConfig` of a clustering. Sizes that its method does not use may still be "auto"."""

    reduce: ResolvedReduceSection


def parse_overrides(overrides: Sequence[str]) -> dict[str, object]:
    """Parse `key.sub=value` strings to a nested mapping; values are read as YAML.

    >>> parse_overrides(["model.lr=1e-4", "trainer.max_epochs=5"])
    {'model': {'lr': 0.0001}, 'trainer': {'max_epochs': 5}}
    """
    nested: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"{text}: not an override; write key=value, as in model.latent_dim=32")
        *parents, last = key.split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
            if not isinstance(level, dict):
                raise ConfigError(f"{key}: '{parent}' has a value already; it cannot be a section too")
        try:
            level[last] = yaml.load(value, ValueLoader) if value else ""  # noqa: S506 - a subclass of SafeLoader
        except ConfigError as error:
            raise ConfigError(f"{key}: {str(error).removeprefix('line 1: ')}") from None
        except yaml.YAMLError:
            level[last] = value
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{key}: cannot be read ({message_of(error, 80)})") from None
    return nested


def merge(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Override the values of `base` by those of `over`, section by section.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = merge(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def changes(before: Section, after: Section) -> list[str]:
    """List the dotted keys whose values differ between two configs of one kind."""
    return _differing(before.model_dump(), after.model_dump(), "")


def _differing(before: Mapping[str, object], after: Mapping[str, object], prefix: str) -> list[str]:
    found = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _differing(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(prefix + key)
    return found


def validate(section: type[S], values: Mapping[str, object], source: str) -> S:
    """Build a section from nested values.

    Raises:
        ConfigError: one line per mistake: key, what is allowed, what was given, and the nearest allowed key.
    """
    try:
        return section.model_validate(dict(values))
    except ValidationError as error:
        raise mistakes(source, _mistakes(section, error.errors())) from None


def _mistakes(section: type[BaseModel], details: Iterable[Any]) -> list[str]:
    """Format pydantic's errors as "key.path: what is wrong (got value)", one line per key."""
    found: dict[str, list[Any]] = {}
    for detail in details:
        found.setdefault(_key(section, detail["loc"]), []).append(detail)
    return [line for key, group in found.items() for line in _lines(section, key, group)]


def _key(section: type[BaseModel], location: Sequence[Any]) -> str:
    """Return the key of an error, without the branch of a union or the index in a list that pydantic appends."""
    current: Any = section
    path = []
    for part in location:
        path.append(str(part))
        field = current.model_fields.get(str(part))
        current = field.annotation if field else None
        if not _is_section(current):
            break
    return ".".join(path)


def _lines(section: type[BaseModel], key: str, details: Sequence[Any]) -> list[str]:
    """Format the errors of one key."""
    last = key
    while (parent := last.partition("."))[1] and parent[0] in section.model_fields:  # unknown keys may have dots
        section, last = cast("type[BaseModel]", section.model_fields[parent[0]].annotation), parent[2]
    by_type = {detail["type"]: detail for detail in details}
    if {"extra_forbidden", "invalid_key"} & by_type.keys():
        names = section.model_fields
        return [f"{key}: unknown key; allowed here: {', '.join(names)}.{did_you_mean(last, names)}"]
    if "missing" in by_type:
        return [f"{key}: missing; give it a value"]
    if "value_error" in by_type:
        message = by_type["value_error"]["msg"].removeprefix("Value error, ")
        return [f"{key}.{line}" if re.match(r"\w+: ", line) else f"{key}: {line}" for line in message.splitlines()]
    # A number out of range has the right type, so the other branches of the union do not matter.
    bounds = [d for d in details if d["type"].startswith(("greater_than", "less_than", "finite_number"))]
    if bounds:
        rule = bounds[0]["msg"].removeprefix("Input should be ")
        return [f"{key}: must be {rule} (got {bounds[0]['input']!r})"]
    allowed = _allowed(section.model_fields[last].annotation)
    got = details[0]["input"]  # the first branch of a union sees the whole value
    near = did_you_mean(got, [word.strip("'") for word in allowed]) if isinstance(got, str) else ""
    return [f"{key}: must be {' or '.join(allowed)} (got {got!r}).{near}"]


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


def _allowed(annotation: Any) -> list[str]:
    """Describe the values that a type allows.

    >>> _allowed(int | Auto), _allowed(tuple[int, int]), _allowed(Literal["conv", "mlp"])
    (['a whole number', "'auto'"], ['[a whole number, a whole number]'], ["'conv'", "'mlp'"])
    """
    inner, origin = get_args(annotation), get_origin(annotation)
    if origin is Literal:
        return [repr(value) for value in inner]
    if origin is Annotated:
        return _allowed(inner[0])
    if origin in {Union, UnionType}:
        return [word for branch in inner for word in _allowed(branch)]
    if origin is tuple:
        return [f"[{', '.join(' or '.join(_allowed(branch)) for branch in inner)}]"]
    return ["a list"] if origin is list else [_WORDS.get(annotation, "a section of keys")]


def dump(config: Section) -> str:
    """Format the config as YAML; `read_yaml` restores the same values."""
    content = config.model_dump(mode="json")
    for name, default in (("networks", {}), ("preset", "default"), ("preview", 60.0)):
        if content.get(name) == default:
            del content[name]  # so that earlier versions read the config
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def dump_commented(config: Section) -> str:
    """Format the config as YAML with a comment per key."""
    lines: list[str] = []
    plain = config.model_dump(mode="json")
    for name, value in config:
        field = type(config).model_fields[name]
        if isinstance(value, Section):
            lines.append(f"{name}:")
            lines += [f"  {line}" if line else "" for line in dump_commented(value).splitlines()]
        else:
            text = yaml.safe_dump({name: plain[name]}, sort_keys=False, allow_unicode=True, width=1000).rstrip()
            if isinstance(value, str) and "\n" in text:  # a comment after its first line would be part of it
                text = f"{name}: {json.dumps(value)}"
            head, *rest = text.splitlines()
            lines += [f"{head}  # {field.description}" if field.description else head, *rest]
    return "\n".join(lines) + "\n"
