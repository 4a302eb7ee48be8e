"""What each column of a table is for: images, vectors, texts, numbers, ids, dates; judged by values and by name.

Pure Python on the first rows of a table, so that detecting the kind of a source loads nothing heavy.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from latentviz.modalities.io.header import is_number
from latentviz.modalities.io.names import LABEL_NAMES, by_name, printable

SAMPLED = 200  # rows that columns are judged by
# Names of columns that hold texts; the first that exists is used.
TEXT_NAMES = (
    *("text", "texts", "sentence", "sentences", "content", "contents", "body", "document", "review", "comment"),
    *("message", "tweet", "post", "question", "abstract", "description", "caption", "headline", "summary", "title"),
)
# And those of captions of images.
CAPTION_NAMES = ("caption", "captions", "alt", "alt_text", *TEXT_NAMES)
VECTOR_NAMES = ("vector", "vectors", "embedding", "embeddings", "emb", "features", "feature")
_STRONG_WORDS = 4.0  # mean words of a sentence; a name has fewer
_STRONG_LETTERS = 8.0  # mean letters of a sentence in a script without spaces
_FIRST_WIDE = 0x2E7F  # code points above are of scripts whose words have no spaces between
_LETTERS = 6  # of a word
_REPEATED = 0.5  # share of different values up to which a column of short texts is one of categories
_FEWEST_STEPS = 16  # rows from which equal steps are no accident
_FEWEST_LISTED = 8  # numbers in a cell without brackets from which it is a vector
_MOSTLY = 0.9
IMAGE_SUFFIXES = frozenset(
    ".apng .avif .bmp .gif .heic .jfif .jpe .jpeg .jpg .png .ppm .tif .tiff .webp".split()  # noqa: SIM905 - one line
)
_INDEX_NAME = re.compile(
    r"(|unnamed: ?\d+|column 1|index|idx|level_\d+|__index_level_\d+__|row([ _]?(id|number|nr|no))?)$", re.IGNORECASE
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID)$")
_TIME_NAME = re.compile(r"(^|.*[\W_])(date|time|datetime|timestamp|ts|epoch|created|updated)(_?at)?$", re.IGNORECASE)
_IMAGE_NAME = re.compile(r"(^|.*[\W_])(image|img|photo|picture|thumbnail|jpg|png)", re.IGNORECASE)
_URL = re.compile(r"(https?|ftp|s3|gs)://\S+$", re.IGNORECASE)
_PATH = re.compile(r"[^\n]*[/\\][^\n/\\]+\.\w{1,5}$|[\w.-]+\.[a-zA-Z]\w{1,4}$")
_KEY = re.compile(r"[A-Za-z0-9_\-:.#/]*\d[A-Za-z0-9_\-:.#/]*$")
_HEX = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$|[0-9a-f]{16,}$")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"(\d{{4}}[-/.]\d{{1,2}}([-/.]\d{{1,2}})?|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}\.? {_MONTH} \d{{4}}|{_MONTH} \d{{1,2}},? \d{{4}}|\d{{4}}-W\d\d)"
    r"([T ]\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[ap]m)?( ?(Z|UTC|[+-]\d\d:?\d\d))?)?$|\d{1,2}:\d\d(:\d\d([.,]\d+)?)?$",
    re.IGNORECASE,
)
_MONEY = re.compile(r"^[$€£¥]\s?|\s?[$€£¥%]$|(?<=\d)[\s'\u00a0\u2009\u202f](?=\d{3})")
_POINT = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)?(\.\d+)?([eE][-+]?\d+)?$")  # 1,234.50
_COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][-+]?\d+)?$")  # 1.234,50
_LISTED = re.compile(r"\s*[-+\d.][-+\d.eE,;\snainf]*$")


class Role(StrEnum):
    """What a column is."""

    IMAGES = "images"
    IMAGE_PATHS = "paths of images"
    IMAGE_URLS = "URLs of images"
    URLS = "URLs"
    PATHS = "paths"
    VECTORS = "lists of numbers"
    VECTOR_TEXTS = "lists of numbers written as text"
    CUT_VECTORS = "lists of numbers cut by '...'"
    ID = "an id"
    INDEX = "a row number"
    DATE = "a date"
    NUMBERS = "numbers"
    FORMATTED = "formatted numbers"  # with a decimal comma, thousands separators, a currency or %
    CATEGORY = "a category"
    TAGS = "tags"
    OBJECTS = "objects"
    NAMES = "short texts"
    TEXT = "texts"
    BYTES = "bytes"
    EMPTY = "empty"


@dataclass(frozen=True)
class Column:
    """A column with its role.

    Attributes:
        name: as in the table.
        role: what it is.
        strong: a `TEXT` of sentences, or with the name of one.
        length: numbers per row of vectors; 0: not vectors, or of different lengths.
        decimal: of `FORMATTED` numbers: "." or ","; "?" if every cell can be read both ways, as "1,234".
        words: mean words per row of texts, less if texts are repeated.
    """

    name: str
    role: Role
    strong: bool = False
    length: int = 0
    decimal: str = "."
    words: float = 0.0

    @property
    def shown(self) -> str:
        """The name and the role, as in "customer_id (an id)"."""
        return f"{printable(self.name)} ({self.role})"


def judge(columns: Mapping[str, Sequence[Any]]) -> dict[str, Column]:
    """Find the role of each column.

    Args:
        columns: the values of the first rows, at most `SAMPLED`; numbers may be strings, as in CSV files.
    """
    found = {name: _judge(name, [v for v in values if not _missing(v)]) for name, values in columns.items()}
    numbers = [c.name for c in found.values() if c.role in {Role.NUMBERS, Role.FORMATTED, Role.INDEX}]
    stepping = [name for name in numbers if found[name].role is Role.INDEX and not _INDEX_NAME.match(name)]
    if len(stepping) > 1 or len(stepping) == len(numbers):  # rows sorted by what they hold, or a table of ranges
        for name in stepping:
            found[name] = Column(name, Role.NUMBERS)
    return _one_comma(found)


def _one_comma(found: dict[str, Column]) -> dict[str, Column]:
    """Let the columns whose decimal mark is certain decide for those that can be read both ways."""
    certain = {c.decimal for c in found.values() if c.role is Role.FORMATTED and c.decimal != "?"}
    if len(certain) == 1:
        mark = certain.pop()
        for name, c in found.items():
            if c.role is Role.FORMATTED and c.decimal == "?":
                found[name] = Column(name, c.role, decimal=mark)
    return found


def _missing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())  # noqa: PLR0124 - NaN


def _judge(name: str, values: Sequence[Any]) -> Column:  # noqa: PLR0911 - one per type
    """Judge one column by its values that are not missing."""
    if not values:
        return Column(name, Role.EMPTY)
    first = values[0]
    if isinstance(first, bool):
        return Column(name, Role.CATEGORY)
    if isinstance(first, date | time | timedelta):
        return Column(name, Role.DATE)
    if isinstance(first, bytes):
        return Column(name, Role.BYTES)
    if isinstance(first, dict):
        return Column(name, Role.IMAGES if {"bytes", "path"} <= set(first) else Role.OBJECTS)
    if isinstance(first, list | tuple):
        return _lists(name, values)
    if isinstance(first, str):
        return _strings(name, [str(value).strip() for value in values])
    return _numbers(name, [float(value) for value in values])


def _lists(name: str, values: Sequence[Any], role: Role = Role.VECTORS) -> Column:
    """Judge a column of lists."""
    flat = [inner for value in values[:20] if isinstance(value, list | tuple) for inner in value]
    if flat and all((isinstance(x, int | float) and not isinstance(x, bool)) or x is None for x in flat):
        lengths = {len(value) for value in values}
        if max(lengths) > 1:
            return Column(name, role, length=lengths.pop() if len(lengths) == 1 else 0)
    return Column(name, Role.TAGS if all(isinstance(x, str) for x in flat) else Role.OBJECTS)


def _numbers(name: str, values: Sequence[float], *, padded: bool = False) -> Column:
    """Judge a column of numbers: an id by its name; a row number if it steps evenly or only rises."""
    whole = all(value.is_integer() for value in values)
    unique = len(set(values)) == len(values)
    if (is_id_name(name) and (whole or unique)) or (padded and unique):
        return Column(name, Role.ID)
    if _INDEX_NAME.match(name) and whole and unique:
        return Column(name, Role.INDEX)
    if _TIME_NAME.match(name) and whole and _time_like(values):
        return Column(name, Role.DATE)
    if len(values) >= _FEWEST_STEPS:
        steps = [b - a for a, b in pairwise(values)]
        even = max(steps) - min(steps) <= 1e-6 * max(1.0, abs(values[-1])) and steps[0] != 0
        if even or (whole and min(steps) > 0):
            return Column(name, Role.INDEX)
    return Column(name, Role.NUMBERS)


def is_id_name(name: str) -> bool:
    """Return whether a name says that a column holds ids.

    >>> [is_id_name(name) for name in ("id", "customer_id", "userId", "ID", "Unnamed: 0", "paid", "humid")]
    [True, True, True, True, False, False, False]
    """
    return bool(_CAMEL_ID.match(name) or re.match(r"(.*[\W_])?(ids?|uid|uuid|guid|key|pk)$", name, re.IGNORECASE))


def _time_like(values: Sequence[float]) -> bool:
    """Return whether whole numbers may be seconds or milliseconds since 1970, or dates such as 20240131."""
    low, high = min(values), max(values)
    return (low >= 5e8 and high <= 4e9) or (low >= 5e11 and high <= 4e12) or (low >= 19000101 and high <= 21001231)


def _strings(name: str, values: Sequence[str]) -> Column:
    """Judge a column of strings, as in CSV files also of numbers."""
    for matches, judged in _SHAPES:
        if _all(values, matches):
            return judged(name, values)
    if sum(map(bool, map(_is_date, values))) >= _MOSTLY * len(values):
        return Column(name, Role.DATE)
    if (mark := decimal_of(values)) is not None:
        return Column(name, Role.FORMATTED, decimal=mark)
    if sum(bool(_URL.match(v)) for v in values) >= _MOSTLY * len(values):
        return _urls(name, values)
    return _words(name, values)


def _all(values: Sequence[str], matches: Callable[[str], object]) -> bool:
    return all(map(matches, values))


def _is_date(value: str) -> bool:
    return len(value) < 40 and _DATE.match(value) is not None


def _plain_numbers(name: str, values: Sequence[str]) -> Column:
    padded = any(re.match(r"-?0\d", value) for value in values)
    return _numbers(name, [float(value) for value in values], padded=padded)


def _json_lists(name: str, values: Sequence[str]) -> Column:
    if any("..." in value for value in values) and all(re.match(r"\[[-+\d.eE,\s\[\]]*\]$", v) for v in values):
        return Column(name, Role.CUT_VECTORS)
    parsed = [found for value in values if (found := parse_list(value)) is not None]
    if len(parsed) < _MOSTLY * len(values):
        return _words(name, values)
    return _lists(name, parsed, Role.VECTOR_TEXTS)


def _bare_lists(name: str, values: Sequence[str]) -> Column:
    lengths = {len(re.split(r"[,;\s]+", value)) for value in values}
    return Column(name, Role.VECTOR_TEXTS, length=lengths.pop() if len(lengths) == 1 else 0)


def parse_list(text: str) -> list[Any] | None:
    """Parse a list written as JSON, as Python or as NumPy prints it; None if it is none.

    >>> parse_list("[1, 2.5]"), parse_list("[1.  2.]"), parse_list("['a', 'b']"), parse_list("[see below]")
    ([1, 2.5], [1.0, 2.0], ['a', 'b'], None)
    """
    try:
        found = json.loads(text)
        return found if isinstance(found, list) else None
    except (ValueError, RecursionError):
        pass
    inner = text.strip()[1:-1].strip()
    try:
        return [float(cell) for cell in re.split(r"[,;\s]+", inner)]
    except ValueError:
        pass
    quoted = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", inner)
    rest = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "", inner)
    return [a or b for a, b in quoted] if quoted and not rest.strip(" ,\n") else None


def _is_bare_list(value: str) -> bool:
    return _LISTED.match(value) is not None and _counted(value) >= _FEWEST_LISTED


def _counted(value: str) -> int:
    cells = re.split(r"[,;\s]+", value.strip())
    return len(cells) if all(map(is_number, cells)) else 0


_SHAPES: Sequence[tuple[Callable[[str], object], Callable[[str, Sequence[str]], Column]]] = (
    (is_number, _plain_numbers),
    (lambda value: value.startswith("[") and value.endswith("]"), _json_lists),
    (lambda value: value.startswith("{") and value.endswith("}"), lambda name, _: Column(name, Role.OBJECTS)),
    (_is_bare_list, _bare_lists),
)


def decimal_of(values: Sequence[str]) -> str | None:
    """Return the decimal mark of formatted numbers: "." or ","; "?" if both readings fit; None if they are none.

    >>> decimal_of(["1,5", "2"]), decimal_of(["1,234.5"]), decimal_of(["1,234", "5,678"]), decimal_of(["3 kg"])
    (',', '.', '?', None)
    """
    bare = [_MONEY.sub("", value) for value in values]
    if not all(re.search(r"\d", value) for value in bare):
        return None
    point, comma = _all(bare, _POINT.match), _all(bare, _COMMA.match)
    if point and comma:
        return "?" if any("," in value for value in bare) else "."
    return "." if point else "," if comma else None


def unformatted(value: str, decimal: str) -> float:
    """Return a formatted number as a float; raises a ValueError if it is none.

    >>> unformatted("1.234,50 €", ","), unformatted("1,234.50", "."), unformatted("12%", ".")
    (1234.5, 1234.5, 12.0)
    """
    bare = _MONEY.sub("", value.strip())
    if decimal == ",":
        bare = bare.replace(".", "").replace(",", ".")
    return float(bare.replace(",", ""))


def _urls(name: str, values: Sequence[str]) -> Column:
    pictures = sum(_is_image(re.split(r"[?#]", value)[0]) for value in values)
    return Column(name, Role.IMAGE_URLS if pictures * 2 > len(values) or _IMAGE_NAME.match(name) else Role.URLS)


def _is_image(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def _words(name: str, values: Sequence[str]) -> Column:
    """Judge a column of strings that are neither numbers, dates, lists nor URLs."""
    n, distinct = len(values), len(set(values))
    for role, matches in _NAMED:
        if sum(map(bool, map(matches, values))) >= _MOSTLY * n:
            return Column(name, role)
    named = name.lower() in TEXT_NAMES
    keys = distinct == n and sum(bool(_KEY.match(value)) for value in values) >= _MOSTLY * n
    if (keys and n > 1) or (is_id_name(name) and not named):
        return Column(name, Role.ID)
    share = distinct / n
    words = sum(len(value.split()) for value in values) / n
    wide = sum(ord(c) > _FIRST_WIDE for value in values for c in value) / n
    sentences = words >= _STRONG_WORDS or wide >= _STRONG_LETTERS
    varied = max(words, sum(map(len, values)) / n / _LETTERS) * share
    if named or sentences:
        return Column(name, Role.TEXT, strong=named or share > _REPEATED, words=varied)
    if share <= _REPEATED or name.lower() in LABEL_NAMES:
        return Column(name, Role.CATEGORY, words=varied)
    return Column(name, Role.NAMES, words=varied)


def _is_image_path(value: str) -> bool:
    return "\n" not in value and _is_image(value)


_NAMED: Sequence[tuple[Role, Callable[[str], object]]] = (
    (Role.IMAGE_PATHS, _is_image_path),
    (Role.PATHS, _PATH.match),
    (Role.ID, _HEX.match),
)


def caption_note(names: Sequence[str]) -> list[str]:
    """Returns the line on captions that lie next to images and are not learnt; none without any.

    >>> caption_note(["id", "caption"])
    ['captions: column caption, shown alone; data.parts=image,caption learns them with the images']
    >>> caption_note(["id", "height"])
    []
    """
    found = by_name(names, CAPTION_NAMES)
    if found is None:
        return []
    return [f"captions: column {printable(found)}, shown alone; data.parts=image,caption learns them with the images"]
