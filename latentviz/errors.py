"""The exceptions: a user's mistake is a `LatentvizError`, reported in one line with exit code 2."""

import difflib
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TypeVar

T = TypeVar("T")
ADVICE = "free space or fix the permissions, or pass --outputs DIR"


class LatentvizError(Exception):
    """A user's mistake; the message says what to do. Any other exception is a bug."""


class ConfigError(LatentvizError):
    """Config keys, values or overrides that are wrong; one line per mistake."""


class DataError(LatentvizError):
    """Data that cannot be read or cannot be learnt from."""


class RunError(LatentvizError):
    """A run folder that is missing, unfinished, damaged, already taken, or of another format."""


class ResourceError(LatentvizError):
    """Work that does not fit into the memory of this machine."""


class WriteError(RunError):
    """A file that cannot be written, with the system's reason: a full or read-only disk, missing permissions."""

    def __init__(self, path: "str | PathLike[str]", reason: str) -> None:
        super().__init__(f"{path}: cannot be written ({reason}); {ADVICE}")
        self.path, self.reason = path, reason


class TrainingError(LatentvizError):
    """A training that failed, for example because the loss became NaN."""


def did_you_mean(got: str, allowed: Iterable[str]) -> str:
    """Suggests the allowed name nearest to `got`, dashes aside; an empty string if none is near.

    >>> did_you_mean("umpa", ["umap", "pca"])
    " Did you mean 'umap'?"
    >>> did_you_mean("--k", ["-k", "--on"])
    " Did you mean '-k'?"
    >>> did_you_mean("zzz", ["umap", "pca"])
    ''
    """
    names = {name.lstrip("-"): name for name in allowed}
    near = difflib.get_close_matches(got.lstrip("-"), names, n=1, cutoff=0.5)
    return f" Did you mean {names[near[0]]!r}?" if near else ""


def choose(table: Mapping[str, T], name: str, key: str) -> T:
    """Returns `table[name]`.

    Raises:
        ConfigError: `name` is not in the table; the message names the config key `key` and what is allowed.

    >>> choose({"umap": 1, "pca": 2}, "pca", "reduce.method")
    2
    >>> choose({"umap": 1, "pca": 2}, "umpa", "reduce.method")
    Traceback (most recent call last):
    ...
    latentviz.errors.ConfigError: reduce.method: unknown value 'umpa'; choose one of umap, pca. Did you mean 'umap'?
    """
    if name not in table:
        raise ConfigError(
            f"{key}: unknown value {name!r}; choose one of {', '.join(table)}.{did_you_mean(name, table)}"
        )
    return table[name]
