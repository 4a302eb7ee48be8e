"""The arguments of Python's functions, compared with their annotations; the shell's are checked by argparse."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from latentviz.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")
WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    os.PathLike: "a path",
    tuple: "two numbers",
    Mapping: "a dict of settings",
    Literal: "text",
    NoneType: "None",
}
COLUMN = {  # what to do with the name of a column
    "labels": '; a column of the data is named with data={{"label_column": {}}}',
    "ids": "; give the values of a column, as in ids=frame[{}]",
    "captions": "; give the values of a column, as in captions=frame[{}]",
}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Wraps a function so that an argument of a wrong type raises an ArgumentError; NumPy's numbers become Python's.

    >>> import numpy as np
    >>> @checked
    ... def draw(n: int = 1, at: tuple[float, float] | None = None) -> int:
    ...     return n
    >>> draw(n=np.int64(2), at=[0, 1])
    2
    >>> draw(n="3")
    Traceback (most recent call last):
    ...
    latentviz.errors.ArgumentError: n: must be a whole number (got '3')
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*positional: P.args, **named: P.kwargs) -> R:
        try:
            bound = signature.bind(*positional, **named)
        except TypeError as error:
            raise TypeError(f"{function.__name__}() {error}") from None
        for name, value in bound.arguments.items():
            wanted = signature.parameters[name].annotation
            try:
                bound.arguments[name] = converted(wanted, value)
            except TypeError:
                shown = " ".join(repr(value).split())[:80]
                hint = COLUMN.get(name, "").format(shown) if isinstance(value, str) else ""
                raise ArgumentError(f"{name}: must be {described(wanted)} (got {shown}){hint}") from None
        return function(*bound.args, **bound.kwargs)

    return call


def converted(wanted: Any, value: Any) -> Any:
    """Returns `value` as the annotated type; what is annotated as a string, `Any` or a class of ours is left as it is.

    Raises:
        TypeError: it has another type.
    """
    kind = get_origin(wanted) or wanted
    if kind in {Union, UnionType}:
        return _first(get_args(wanted), value)
    if kind in {int, float, bool}:
        return _number(kind, value)
    if kind is tuple:
        if isinstance(value, str) or len(value) != len(get_args(wanted)):
            raise TypeError
        return tuple(map(converted, get_args(wanted), value))
    if kind is Sequence:
        if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__getitem__"):
            raise TypeError
        return value if get_args(wanted) == (object,) else [converted(get_args(wanted)[0], each) for each in value]
    if kind is Mapping and hasattr(value, "columns") and get_origin(get_args(wanted)[1]) is Sequence:
        return dict(value.items())  # a DataFrame is a dict of columns
    expected = str if kind is Literal else kind
    if expected in WORDS and not isinstance(value, expected):
        raise TypeError
    return value


def _first(choices: Sequence[Any], value: Any) -> Any:
    for choice in choices:
        try:
            return converted(choice, value)
        except TypeError:
            continue
    raise TypeError


def _number(kind: type, value: Any) -> int | float | bool:
    """Returns a Python number; True is no number, and 1 is not True."""
    truth = isinstance(value, bool) or type(value).__name__ == "bool"  # NumPy's, too
    allowed = {int: isinstance(value, Integral), float: isinstance(value, Real), bool: True}[kind]
    if truth != (kind is bool) or not allowed:
        raise TypeError
    try:
        return kind(value)  # type: ignore[no-any-return]
    except OverflowError:
        raise TypeError from None


def described(wanted: Any) -> str:
    """Describes an annotation in words."""
    kind = get_origin(wanted) or wanted
    if kind in {Union, UnionType}:
        words = [described(choice) for choice in get_args(wanted)]
        return " or ".join(dict.fromkeys(words))
    if kind is Sequence:
        entry = get_args(wanted)[0]
        return "a list, an array or a Series" if entry is object else f"a list whose entries are {described(entry)}"
    if kind is Mapping and get_origin(get_args(wanted)[1]) is Sequence:
        return "a dict of lists, or a DataFrame"
    return WORDS.get(kind, "another object")
