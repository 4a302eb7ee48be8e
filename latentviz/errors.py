"""The error family: a user's mistake is a `LatentvizError`, shown as one line and exit code 2."""

import difflib
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TypeVar

T = TypeVar("T")


class LatentvizError(Exception):
    """A mistake that its message tells the user how to mend; anything else that is raised is a bug."""


class ConfigError(LatentvizError):
    """A config key, value or override that does not fit. Holds one line a mistake, all of them at once."""


class DataError(LatentvizError):
    """Data that cannot be read, or that nothing can be learnt from."""


class RunError(LatentvizError):
    """A run folder that is missing, unfinished, damaged, taken, or of another format."""


class ResourceError(LatentvizError):
    """Work that this machine has not the memory for."""


class WriteError(RunError):
    """A file that cannot be written: the disk is full, or closed to writing.

    Attributes:
        path: the file.
        reason: what the system says.
    """

    def __init__(self, path: "str | PathLike[str]", reason: str) -> None:
        super().__init__(
            f"{path}: cannot be written ({reason}); mend that, or choose another folder with --outputs DIR"
        )
        self.path, self.reason = path, reason


class TrainingError(LatentvizError):
    """A training that went wrong, such as a loss that is no longer a number."""


def did_you_mean(got: str, allowed: Iterable[str]) -> str:
    """Returns " Did you mean 'x'?" for the allowed name nearest to `got`, or an empty string.

    >>> did_you_mean("umpa", ["umap", "pca"])
    " Did you mean 'umap'?"
    >>> did_you_mean("zzz", ["umap", "pca"])
    ''
    """
    near = difflib.get_close_matches(got, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def choose(table: Mapping[str, T], name: str, key: str) -> T:
    """Returns `table[name]`; the config key `key` is what the error names.

    Raises:
        ConfigError: `name` is not in the table; the message lists what is.

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
