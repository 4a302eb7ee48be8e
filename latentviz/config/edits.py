"""The settings of `cluster` that change found clusters: how much noise may stay, which to merge, split and name."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator

LARGEST_NUMBER = 10**6  # of a cluster, exclusive
LONGEST_NAME = 200  # characters


def _share(value: object) -> object:
    """Converts "5%" to 0.05.

    >>> _share("5%"), _share(0.05)
    (0.05, 0.05)
    """
    found = value
    if isinstance(value, str):
        number, percent, rest = value.strip().partition("%")
        try:
            found = float(number) / (100 if percent else 1)
        except ValueError:
            found = rest
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise ValueError(f"must be a share from 0 to 1, such as 0.05 or 5% (got {value!r})")
    return float(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_NUMBER


def _groups(value: object) -> object:
    """Checks groups of clusters; one group alone may be given without the outer list.

    >>> _groups([0, 3])
    [[0, 3]]
    """
    groups: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    if groups and all(map(_is_number, groups)):
        groups = [groups]
    found: list[list[int]] = []
    for group in groups:
        if not isinstance(group, list | tuple | set) or len(group) < 2 or not all(map(_is_number, group)):
            raise ValueError(f"must be groups of two clusters or more, such as [[0, 3], [5, 6, 7]] (got {value!r})")
        found.append(sorted(group))
    numbers = [number for group in found for number in group]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise ValueError(
            f"cluster {twice[0]} is there twice (got {value!r}); put all that it is merged with in one group"
        )
    return found


def _numbers(value: object) -> object:
    """Checks numbers of clusters; one may be given without a list.

    >>> _numbers(2)
    [2]
    """
    found = [value] if _is_number(value) else value
    if not isinstance(found, list | tuple | set) or not all(map(_is_number, found)):
        raise ValueError(f"must be numbers of clusters, such as [2, 5] (got {value!r})")
    return sorted(set(found))


def _names(value: object) -> object:
    """Checks names by the number of the cluster, which JSON has as a text.

    >>> _names({"0": "zeros"})
    {0: 'zeros'}
    """
    found: dict[int, str] = {}
    for key, name in value.items() if isinstance(value, Mapping) else ((None, None),):
        number = int(key) if isinstance(key, str) and key.isdecimal() else key
        if not isinstance(number, int) or not _is_number(number) or not isinstance(name, str | int | float):
            raise ValueError(f"must be names by cluster, such as {{0: zeros}} (got {value!r})")
        found[number] = str(name).strip()
        if not 1 <= len(found[number]) <= LONGEST_NAME:
            raise ValueError(f"the name of cluster {number} must have 1 to {LONGEST_NAME} characters (got {name!r})")
    return found


Share = Annotated[float, BeforeValidator(_share)]
Groups = Annotated[list[list[int]], BeforeValidator(_groups)]
Numbers = Annotated[list[int], BeforeValidator(_numbers)]
Names = Annotated[dict[int, str], BeforeValidator(_names)]
