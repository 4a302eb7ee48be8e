"""The settings of `cluster` that change found clusters: how much noise may stay, which to merge, split and name."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator

from latentviz.config.base import plain

LARGEST_NUMBER = 10**6  # of a cluster, exclusive
LONGEST_NAME = 200  # characters
LONGEST_SHOWN = 80  # characters of a value in a message
SHARE = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?(%?)")


def _got(value: object) -> str:
    """Shows a value in a message, cut if it is long."""
    text = repr(value)
    return f"(got {text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + '…'})"


def _bare(value: object) -> object:
    """Converts numbers and arrays of NumPy, alone or in lists, to what Python has itself.

    >>> _bare([[0, 3]])
    [[0, 3]]
    """
    found = plain(value)
    return [_bare(each) for each in found] if isinstance(found, list | tuple | set) else found


def _share(value: object) -> object:
    """Converts "5%" to 0.05.

    >>> _share("5%"), _share(0.05)
    (0.05, 0.05)
    """
    found = value
    if isinstance(value, str) and (text := SHARE.fullmatch(value.strip())):
        found = float(text[0].rstrip("%")) / (100 if text[3] else 1)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise ValueError(f"must be a share from 0 to 1, such as 0.05 or 5% {_got(value)}")
    return float(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_NUMBER


def _groups(value: object) -> object:
    """Checks groups of clusters; one group alone may be given without the outer list.

    >>> _groups([0, 3])
    [[0, 3]]
    """
    given = _bare(value)
    groups: Sequence[object] = given if isinstance(given, list) else [given]
    if groups and all(map(_is_number, groups)):
        groups = [groups]
    found: list[list[int]] = []
    for group in groups:
        if not isinstance(group, list) or len(group) < 2 or not all(map(_is_number, group)):
            raise ValueError(f"must be groups of two clusters or more, such as [[0, 3], [5, 6, 7]] {_got(value)}")
        found.append(sorted(group))
    numbers = [number for group in found for number in group]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise ValueError(
            f"cluster {twice[0]} is there twice {_got(value)}; put all that it is merged with in one group"
        )
    return found


def _numbers(value: object) -> object:
    """Checks numbers of clusters; one may be given without a list.

    >>> _numbers(2)
    [2]
    """
    given = _bare(value)
    found = [given] if _is_number(given) else given
    if not isinstance(found, list) or not all(map(_is_number, found)):
        raise ValueError(f"must be numbers of clusters, such as [2, 5] {_got(value)}")
    return sorted(set(found))


def _names(value: object) -> object:
    """Checks names by the number of the cluster, which JSON has as a text.

    >>> _names({"0": "zeros"})
    {0: 'zeros'}
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"must be names by cluster, such as {{0: zeros}} {_got(value)}")
    found: dict[int, str] = {}
    for key, name in value.items():
        number = int(key) if isinstance(key, str) and re.fullmatch("[0-9]{1,9}", key) else plain(key)
        if not isinstance(number, int) or not _is_number(number):
            raise ValueError(
                f"must be names by cluster, such as {{0: zeros}}; keys are numbers of clusters, 0, 1, … {_got(key)}"
            )
        if number in found:
            raise ValueError(f"cluster {number} is named twice {_got(dict(value))}; keep one name")
        found[number] = _name(number, plain(name))
    return found


def _name(number: int, given: object) -> str:
    """Checks the name of a cluster; a number becomes a text.

    >>> _name(0, " zeros "), _name(1, 5)
    ('zeros', '5')
    """
    odd = isinstance(given, bool) or (isinstance(given, float) and not math.isfinite(given))
    if odd or not isinstance(given, str | int | float):
        raise ValueError(f"the name of cluster {number} must be text {_got(given)}")
    name = str(given).strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"the name of cluster {number} must have 1 to {LONGEST_NAME} characters {_got(given)}")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise ValueError(
            f"the name of cluster {number} must be one line of text without control characters {_got(given)}"
        )
    return name


Share = Annotated[float, BeforeValidator(_share)]
Groups = Annotated[list[list[int]], BeforeValidator(_groups)]
Numbers = Annotated[list[int], BeforeValidator(_numbers)]
Names = Annotated[dict[int, str], BeforeValidator(_names)]
