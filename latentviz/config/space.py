"""The settings that `latentviz tune` searches: `model.latent_dim=8..64` and `model.contrast=0,300,1000`."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from latentviz.config import FitConfig, merge, parse_overrides
from latentviz.errors import ConfigError

Plain: TypeAlias = str | int | float | bool | None
LOG_FROM = 8  # ratio of a range's ends from which on it is searched by its logarithm
SECTIONS = ("model.", "trainer.", "data.batch_size")  # what a training on the same items may differ in
_RANGE = re.compile(r"(?P<low>[^.,\s]+(?:\.\d+)?(?:e[+-]?\d+)?)\.\.(?P<high>[^.,\s][^,\s]*)", re.IGNORECASE)
_LISTS = ("data.", "reduce.", "cluster.")  # sections with settings that are lists or ranges themselves
EXAMPLE = "model.latent_dim=8..64 model.contrast=0,300,1000"


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, whole ones if both ends are."""

    low: int | float
    high: int | float

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def log(self) -> bool:
        """Whether each doubling counts the same: of a positive range whose ends differ by 8 times or more."""
        return self.low > 0 and self.high >= LOG_FROM * self.low

    @property
    def ends(self) -> tuple[Plain, ...]:
        """The values that must be allowed for all others to be."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


@dataclass(frozen=True)
class Choices:
    """A few values."""

    values: tuple[Plain, ...]

    @property
    def ends(self) -> tuple[Plain, ...]:
        """All of them."""
        return self.values

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


Dimension: TypeAlias = Range | Choices
Space: TypeAlias = Mapping[str, Dimension]


def searched(key: str) -> bool:
    """Whether a setting may differ between the trainings of a search."""
    return key.startswith(SECTIONS)


def parted_space(words: Sequence[str]) -> tuple[dict[str, Dimension], dict[str, object]]:
    """Parts `key=value` into those with several values, and the other settings, nested.

    >>> parted_space(["model.latent_dim=8..64", "model.contrast=0,300", "data.parts=image,caption"])
    ({'model.latent_dim': Range(low=8, high=64), 'model.contrast': Choices(values=(0, 300))}, \
{'data': {'parts': 'image,caption'}})

    Raises:
        ConfigError: a range cannot be read, or is one of a setting that is not searched.
    """
    space: dict[str, Dimension] = {}
    fixed: dict[str, object] = {}
    seen: set[str] = set()
    for word in words:
        key, _, text = word.partition("=")
        if key in seen:
            raise ConfigError(f"{key}: given twice; keep one, as in {EXAMPLE}")
        seen.add(key)
        found = dimension(key, text) if searched(key) else None
        if found is not None:
            space[key] = found
        elif (key in FitConfig.model_fields and "," in text) or _unsearched_range(key, text):
            raise ConfigError(
                f"{key}: tune searches model.…, trainer.… and data.batch_size (got {text}); give one value"
            )
        else:
            fixed = merge(fixed, parse_overrides([word]))
    return space, fixed


def _unsearched_range(key: str, text: str) -> bool:
    return key.startswith(_LISTS) and key != "cluster.n_clusters" and _RANGE.fullmatch(text) is not None


def dimension(key: str, text: str) -> Dimension | None:
    """Reads `8..64` or `0,300,1000`; None if the text is one value.

    Raises:
        ConfigError: it is a range without two numbers in order, or a list with an empty or a doubled value.
    """
    if found := _RANGE.fullmatch(text):
        return range_of(key, *(parse(key, found[end]) for end in ("low", "high")))
    if not text.strip():
        raise ConfigError(f"{key}: an empty value; write a range or a list as in {EXAMPLE}")
    if ".." in text and "/" not in text and "," not in text:
        raise ConfigError(
            f"{key}: a range is two numbers with two dots between (got {text[:60]}); write one as in {EXAMPLE}"
        )
    if "," in text and not text.startswith(("[", "{")):
        return choices_of(key, [parse(key, part) for part in text.split(",")])
    return None


def parse(key: str, text: str) -> object:
    """Reads one value, as YAML has it."""
    value: object = parse_overrides([f"value={text}"])["value"]
    if text.strip() == "":
        raise ConfigError(f"{key}: an empty value; write a list as in {EXAMPLE}")
    return value


def range_of(key: str, low: object, high: object) -> Range:
    """Makes a range of two numbers.

    Raises:
        ConfigError: they are no numbers, or not in order.
    """
    ends = [end for end in (low, high) if isinstance(end, int | float) and not isinstance(end, bool)]
    if len(ends) < 2 or not all(map(math.isfinite, ends)):
        raise ConfigError(f"{key}: a range has two numbers (got {low}..{high}); write one as in {EXAMPLE}")
    if not ends[0] < ends[1]:
        raise ConfigError(
            f"{key}: a range begins with its smaller end (got {low}..{high}); swap them, or give one value"
        )
    return Range(*ends)


def choices_of(key: str, values: Sequence[object]) -> Choices:
    """Makes a list of values to try.

    Raises:
        ConfigError: there is none, one is there twice, or one is no plain value.
    """
    plain = tuple(value for value in values if value is None or isinstance(value, str | int | float | bool))
    if len(plain) < len(values) or not plain or len({*plain}) < len(plain):
        got = ", ".join(map(str, values))[:80] or "none"
        raise ConfigError(f"{key}: needs different texts or numbers to try (got {got}); write a list as in {EXAMPLE}")
    return Choices(plain)


def check_space(space: Space) -> None:
    """Raises a ConfigError if there is nothing to search."""
    if not any(len(each.ends) > 1 for each in space.values()):
        raise ConfigError(f"tune: nothing to search (got no setting with several values); give some, as in {EXAMPLE}")


def grid(space: Space) -> Iterator[dict[str, Plain]] | None:
    """Yields all combinations; None if a range makes them too many to list."""
    lists = []
    for each in space.values():
        if isinstance(each, Range) and not each.whole:
            return None
        lists.append(range(int(each.low), int(each.high) + 1) if isinstance(each, Range) else each.values)
    return (dict(zip(space, values, strict=True)) for values in product(*lists))


def size(space: Space) -> float:
    """Returns how many combinations there are."""
    counts = [
        len(each.values) if isinstance(each, Choices) else each.high - each.low + 1 if each.whole else math.inf
        for each in space.values()
    ]
    return math.prod(counts)


def nested(values: Mapping[str, Plain]) -> dict[str, object]:
    """Returns settings by dotted key as nested ones.

    >>> nested({"model.latent_dim": 8, "model.lr": 0.1})
    {'model': {'latent_dim': 8, 'lr': 0.1}}
    """
    found: dict[str, object] = {}
    for key, value in values.items():
        inner: object = value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        assert isinstance(inner, dict)
        found = merge(found, inner)
    return found
