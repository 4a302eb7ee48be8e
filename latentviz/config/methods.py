"""The methods of `reduce` and `cluster`: a name, or in Python an object; a config on disk has the object's name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BeforeValidator, GetPydanticSchema, PlainSerializer
from pydantic_core.core_schema import any_schema

from latentviz.errors import ConfigError, choose

T = TypeVar("T")


class Reduces(Protocol):
    """Lays items out."""

    def fit_transform(self, vectors: Any, /) -> Any:
        """Returns coordinates (n, k) of vectors (n, d)."""


class Clusters(Protocol):
    """Clusters items; has `fit_predict`, or `fit` and then `labels_`."""

    labels_: Any  # int (n,), −1 for noise

    def fit(self, coordinates: Any, /) -> Any:
        """Finds the clusters of coordinates (n, k)."""

    def fit_predict(self, coordinates: Any, /) -> Any:
        """Returns the cluster of each item, int (n,), −1 for noise."""


def named(method: object) -> str:
    """Returns the name of a method, for settings and messages; of an object that of its class.

    >>> named("umap"), named(ConfigError("x"))
    ('umap', 'latentviz.errors.ConfigError')
    """
    return method if isinstance(method, str) else f"{type(method).__module__}.{type(method).__qualname__}"


def chosen(table: Mapping[str, T], method: object, key: str, of_object: T) -> T:
    """Returns what a table of methods has under a name, and `of_object` for an object.

    Raises:
        ConfigError: the table has no such name; that of an object's class is all that a config on disk has of it.
    """
    if not isinstance(method, str):
        return of_object
    if "." in method:
        raise ConfigError(
            f"{key}: {method} is an object, which a config does not hold; give it again in Python, or choose one of "
            f"{', '.join(table)}"
        )
    return choose(table, method, key)


def _able(ways: tuple[tuple[str, ...], ...]) -> Callable[[object], object]:
    """Returns a check that a value is a name, or an object with the methods of one of the `ways`."""
    wanted = " or ".join(" and ".join(way) for way in ways)

    def check(value: object) -> object:
        fitting = not isinstance(value, type) and any(
            all(name == "labels_" or callable(getattr(value, name, None)) for name in way) for way in ways
        )
        if isinstance(value, str) or fitting:
            return value
        got = f"the class {value.__qualname__}; give an object of it" if isinstance(value, type) else repr(value)[:80]
        raise ValueError(f"must be a name, or in Python an object with {wanted} (got {got})")

    return check


_NAME = PlainSerializer(named, return_type=str, when_used="json")
ReducerMethod = Annotated[
    str | Reduces,
    GetPydanticSchema(lambda _type, _handler: any_schema()),
    BeforeValidator(_able((("fit_transform",),))),
    _NAME,
]
ClustererMethod = Annotated[
    str | Clusters,
    GetPydanticSchema(lambda _type, _handler: any_schema()),
    BeforeValidator(_able((("fit_predict",), ("fit", "labels_")))),
    _NAME,
]


@contextmanager
def needs_extra(key: str, method: str, extra: str) -> Iterator[None]:
    """While it is open, a package that is not installed is a ConfigError with the extra that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{key}: {method} needs the package {error.name}; run `pip install 'latentviz[{extra}]'`"
        ) from None
