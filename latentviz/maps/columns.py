"""The columns of a map: of which kind each one is, and how the page gets it."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np

from latentviz.maps import blocks
from latentviz.maps.data import MapData
from latentviz.maps.palette import cluster_colours

MANY = 20_000  # points above which numbers are stored in 8 instead of 16 bits and the page finds neighbours itself
COLOURED = 80  # categories with a colour each; the eye does not tell more apart
LISTED = 20  # of more categories, the commonest that have a colour; the others share one
STEPS = 65_534  # values that 16 bits tell apart, besides the missing one
TAGS = 255  # of one item, at most
UNITS = (1, 60, 3600, 86_400)  # seconds

# A text of more than 15 digits, or with zeros in front, is the name of something and not a number.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d{0,14})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?)?")


@dataclass(frozen=True)
class Packed:
    """A column for the page."""

    meta: dict[str, object]  # its kind and what its values mean
    values: str  # packed
    names: Sequence[str] = field(default=())  # of the categories or tags, which the values count from 1


def pack_column(
    values: Sequence[object], data: MapData, *, named: bool = False, given: Mapping[str, str] | None = None
) -> Packed:
    """Packs one column: numbers, dates, lists of tags, categories or texts; with `named` no text is read as a number.

    `given` are the colours of categories.

    Step 0 of numbers and dates, and category 0, stand for a missing value. A column is of categories if its values
    occur twice on average.
    """
    taken = [None if _missing(values[row]) else values[row] for row in data.order]
    if not named:
        for read, pack in ((_numbers, _pack_numbers), (_dates, _pack_dates)):
            found = read(taken)
            if found is not None:
                return pack(found)
        lists = _tags(taken)
        if lists is not None:
            return _pack_tags(lists, data)
    counts = Counter(str(value) for value in taken if value is not None)
    if not counts or len(counts) > min(STEPS, max(LISTED, counts.total() // 2)):
        return Packed({"kind": "text"}, blocks.pack_json(blocks.texts([None if _missing(v) else v for v in values])))
    names = sorted(counts, key=_natural)
    index = {name: i + 1 for i, name in enumerate(names)}
    steps = np.array([0 if value is None else index[str(value)] for value in taken], np.uint16)
    meta = {"kind": "category", "bits": _bits(len(names))}
    return Packed(meta | _colours(names, counts, steps, data, given or {}), _planes(steps, len(names)), names)


def _missing(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, (list, tuple, np.ndarray)):
        return not len(value)
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return value is None or (isinstance(value, (float, np.floating)) and math.isnan(value))


def _natural(name: str) -> tuple[list[tuple[int, float, str]], str]:
    """Returns a key that sorts numbers in texts by their value.

    >>> sorted(["b", "a 10", "a 9", "-1", "2"], key=_natural)
    ['-1', '2', 'a 9', 'a 10', 'b']
    """
    if _NUMBER.fullmatch(name):
        return [(0, float(name), "")], name
    parts = re.split(r"(\d{1,15})", name.casefold())
    return [(0, float(part), "") if odd % 2 else (1, 0.0, part) for odd, part in enumerate(parts) if part], name


def _bits(top: int) -> int:
    return 8 if top < 256 else 16


def _planes(steps: np.ndarray, top: int) -> str:
    return blocks.pack(blocks.planes(steps.astype(np.uint8 if top < 256 else np.uint16)))


def _numbers(taken: Sequence[object]) -> np.ndarray | None:
    """Returns the numbers (n,), NaN where there is none; None if a value is not a number."""

    def number(value: object) -> bool:
        if isinstance(value, str):
            return _NUMBER.fullmatch(value.strip()) is not None
        return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)

    if not _all(taken, number):
        return None
    return np.array([math.nan if value is None else float(value) for value in taken])  # type: ignore[arg-type]


def _all(taken: Iterable[object], holds: Callable[[object], bool]) -> bool:
    """Returns whether there are values and something holds for each."""
    some = False
    for value in taken:
        if value is not None:
            if not holds(value):
                return False
            some = True
    return some


def _pack_numbers(numbers: np.ndarray) -> Packed:
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    whole = bool((finite == np.rint(finite)).all())
    exact = whole and high - low < STEPS
    bits = 8 if (exact and high - low < 254) or (not exact and len(numbers) > MANY) else 16
    meta, packed = _quantised(numbers, low, high, bits, exact=exact)
    return Packed({"kind": "number", "whole": whole, **meta}, packed)


def _quantised(
    numbers: np.ndarray, low: float, high: float, bits: int, *, exact: bool
) -> tuple[dict[str, object], str]:
    """Packs numbers as steps from `low`, 1 each if exact."""
    top = 2**bits - 2
    reach = top if exact else (high - low) or 1.0
    steps = blocks.quantise(numbers, low - reach / top, low + reach, bits)
    steps[~np.isfinite(numbers)] = 0
    return {"bits": bits, "low": low, "step": reach / top, "high": high}, blocks.pack(blocks.planes(steps))


def _dates(taken: Sequence[object]) -> np.ndarray | None:
    """Returns times (n,) in seconds since 1970, NaN where there is none; None if a value is not a date."""

    def dated(value: object) -> bool:
        return (
            _DATE.fullmatch(value.strip()) is not None
            if isinstance(value, str)
            else isinstance(value, (date, np.datetime64))
        )

    if not _all(taken, dated):
        return None
    try:
        return np.array([math.nan if value is None else _seconds(value) for value in taken])
    except ValueError:  # such as 31 February
        return None


def _seconds(value: object) -> float:
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[s]").astype(np.int64))
    if isinstance(value, str):
        text = value.strip()
        value = datetime.fromisoformat(f"{text}-01" if len(text) == len("2024-05") else text)
    if not isinstance(value, datetime):
        assert isinstance(value, date)
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _pack_dates(seconds: np.ndarray) -> Packed:
    """Packs times in the finest unit that 16 bits hold and the values need: what the page then shows is exact."""
    finite = seconds[np.isfinite(seconds)]
    low, high = float(finite.min()), float(finite.max())
    coarsest = max(unit for unit in UNITS if (finite % unit == 0).all()) if (finite % 1 == 0).all() else 1
    unit = next((unit for unit in UNITS if unit >= coarsest and (high - low) / unit < STEPS), None)
    if unit is None:  # over 179 years: the page shows the year
        meta, packed = _quantised(seconds, low, high, 16, exact=False)
        return Packed({"kind": "date", "unit": 0, **meta}, packed)
    counts = np.floor(seconds / unit)
    start, end = math.floor(low / unit), math.floor(high / unit)
    meta, packed = _quantised(counts, start, end, 8 if end - start < 254 else 16, exact=True)
    scaled = {"low": start * unit, "high": end * unit, "step": unit, "bits": meta["bits"]}
    return Packed({"kind": "date", "unit": unit, **scaled}, packed)


def _tags(taken: Sequence[object]) -> list[list[str]] | None:
    """Returns each item's tags, or None if the column is not of lists: real ones, or texts such as "red; small".

    Texts are lists if a third of them have several parts, which are short and occur three times on average.
    """
    if _all(taken, lambda value: isinstance(value, (list, tuple, np.ndarray))):
        return [_unique(str(part) for part in value) if value is not None else [] for value in taken]  # type: ignore[attr-defined]
    if not _all(taken, lambda value: isinstance(value, str)):
        return None
    texts = ["" if value is None else str(value) for value in taken]
    some = [text for text in texts if text]
    if all(text.startswith("[") and text.endswith("]") for text in some):
        return _split([text.strip("[]").replace('"', "").replace("'", "") for text in texts], ",")
    for mark in (";", "|", ","):
        if sum(mark in text for text in some[:2000]) * 3 > len(some[:2000]):
            found = _split(texts, mark)
            parts = Counter(part for one in found for part in one)
            short = sum(map(len, parts)) <= 24 * len(parts) and max(map(len, found)) <= TAGS
            whole = len(set(some))
            # A comma is also in names such as "Paris, France".
            most = min(STEPS, whole // 2 if mark == "," else whole)
            if short and parts.total() >= 3 * len(parts) and len(parts) <= most:
                return found
    return None


def _split(texts: Sequence[str], mark: str) -> list[list[str]]:
    return [_unique(part.strip() for part in text.split(mark)) for text in texts]


def _unique(parts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(part for part in parts if part))[:TAGS]


def _pack_tags(lists: Sequence[Sequence[str]], data: MapData) -> Packed:
    """Packs how many tags each item has, then all tags; beyond what 16 bits count the rarest are left out."""
    counts = Counter(tag for tags in lists for tag in tags)
    names = sorted((tag for tag, _ in counts.most_common(STEPS)), key=_natural)
    index = {tag: i + 1 for i, tag in enumerate(names)}
    rows = [[index[tag] for tag in tags if tag in index] for tags in lists]
    flat = np.array([tag for row in rows for tag in row], np.uint16)
    # Colours are chosen by where the commonest of an item's tags are.
    commonest = np.array([max(row, key=lambda tag: counts[names[tag - 1]]) if row else 0 for row in rows], np.uint16)
    colours = _colours(names, counts, commonest, data, {})
    lengths = np.array([len(row) for row in rows], np.uint8)
    bits = _bits(len(names))
    packed = lengths.tobytes() + blocks.planes(flat.astype(np.uint8 if bits == 8 else np.uint16))
    return Packed({"kind": "tags", "bits": bits, "count": len(flat), **colours}, blocks.pack(packed), names)


def _colours(
    names: Sequence[str], counts: Counter[str], steps: np.ndarray, data: MapData, given: Mapping[str, str]
) -> dict[str, object]:
    """Chooses colours, next to each other on the map different ones, as for clusters; of many, for the commonest."""
    known = {i: given[name] for i, name in enumerate(names) if name in given}
    chosen = list(range(len(names)))
    if len(names) > COLOURED:
        chosen = sorted(chosen, key=lambda i: -counts[names[i]])[:LISTED]
    colours = cluster_colours(np.asarray(data.points)[data.order], steps.astype(np.int32) - 1, chosen, known)
    listed = {"listed": chosen} if len(names) > COLOURED else {}
    return {"colours": [colours[i] for i in chosen], **listed}
