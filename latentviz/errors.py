"""The exceptions: a user's mistake is a `LatentvizError`, reported in one line with exit code 2."""

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TypeVar

T = TypeVar("T")
CHECK_DISK = "check the disk or the network, then run the command again"
# What the system refuses to read and to write alike.
_LIMITS = {
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "too many files are open: raise the limit, as with `ulimit -n 4096`"),
    errno.ENOMEM: "close other programs, or use a machine with more memory",
    errno.ENAMETOOLONG: "use a shorter name or path",
}
READ_ADVICE = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "check the permissions of the file and of the folders above it"),
    **_LIMITS,
}
# The system's reason → what to do; errors that are neither here nor about room and permissions have none of their own.
_WRITE_ADVICE = {
    os.strerror(number): advice
    for number, advice in {
        **dict.fromkeys(
            (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV), CHECK_DISK
        ),
        **dict.fromkeys(
            (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT),
            "a file is in the way, or a folder above it is missing; pass another --outputs DIR",
        ),
        **_LIMITS,
    }.items()
}


def message_of(error: BaseException, most: int | None = None) -> str:
    r"""Returns what an exception says as one line, cut after `most` characters.

    >>> message_of(ValueError("a\n  b c")), message_of(ValueError("abc"), 2)
    ('a b c', 'ab')
    """
    return " ".join(str(error).split())[:most]


def write_advice(reason: str | None) -> str:
    """Says what to do about a file that cannot be written, for the system's reason.

    >>> write_advice(os.strerror(errno.EIO))
    'check the disk or the network, then run the command again'
    """
    return _WRITE_ADVICE.get(reason or "", "free space or fix the permissions, or pass --outputs DIR")


# Options that have no value in the shell.
FLAGS = {"dry-run", "force", "json", "resume", "save", "traverse"}
FLAGS |= {"card", "embedding-atlas", "onnx", "public", "safetensors", "site"}
_in_shell: list[bool] = []
_OPTION = re.compile(
    r"(?<![\w-])--?(?P<name>k\b|(?<=--)[a-z][a-z-]*)"
    r"(?:[ =](?P<value>'[^']*'|\"[^\"]*\"|[A-Z]+\b|-?[\d.]+(?:,-?[\d.]+)?(?![\w.])|(?<==)\w+|[^\s:`]+(?=: )))?"
    r"(?P<settings>(?: \w+\.\w+=\w+)*)"
)


@contextmanager
def shell_words() -> Iterator[None]:
    """While it is open, messages name options as the shell does; otherwise as Python does."""
    _in_shell.append(True)
    try:
        yield
    finally:
        _in_shell.pop()


def worded(message: str) -> str:
    """Renames the options in a message for its reader, in the shell or in Python; commands in backticks stay.

    Messages are written in the shell's words.

    >>> worded("--n: must be 1 or more (got 0)")
    'n: must be 1 or more (got 0)'
    >>> worded("replace it with --force, or name the new one with --name NAME; `latentviz runs --json`")
    'replace it with force=True, or name the new one with name="NAME"; `latentviz runs --json`'
    >>> worded("continue it with --resume trainer.max_epochs=N; write --at 1.5,-2, or leave out --not")
    'continue it with resume=True, trainer={"max_epochs": N}; write at=(1.5, -2), or leave out disliked='
    """
    return message if _in_shell else _worded(message)


def _worded(message: str) -> str:
    parts = message.split("`")
    parts[::2] = [_OPTION.sub(_python_words, part) for part in parts[::2]]
    return "`".join(parts)


def _python_words(option: re.Match[str]) -> str:
    name, value = option["name"], option["value"]
    key = {"not": "disliked", "continue": "start"}.get(name, name.replace("-", "_"))
    settings = re.sub(r" (\w+)\.(\w+)=(\w+)", r', \1={"\2": \3}', option["settings"])
    if name in FLAGS:
        text = f"{key}=True"
        settings += f" {value}" if value else ""
    elif value is None:
        text = key if option.string[option.end() :].startswith(":") else f"{key}="
    elif re.match(r"-?[\d.]", value):
        text = f"{key}=({value.replace(',', ', ')})" if "," in value else f"{key}={value}"
    else:
        text = f"{key}={value}" if value[0] in "'\"" else f'{key}="{value}"'
    return text + settings


class LatentvizError(Exception):
    """A user's mistake; the message says what to do. Any other exception is a bug.

    Messages are written in the shell's words, such as `--name NAME`; as text they have those of the caller.
    """

    def __str__(self) -> str:
        return worded(super().__str__())

    def in_python(self) -> str:
        """Returns the message in Python's words also in the shell: for programs that call functions."""
        return _worded(Exception.__str__(self))


class ConfigError(LatentvizError):
    """Config keys, values or overrides that are wrong; one line per mistake."""


class ArgumentError(ConfigError, ValueError, TypeError):
    """An argument of a wrong type, or a value that is not allowed: an array, an option, or a keyword."""


class DataError(LatentvizError):
    """Data that cannot be read or cannot be learnt from."""


class ObjectError(DataError, ValueError, TypeError):
    """An object in memory, such as an array, that cannot be read or cannot be learnt from."""


class RunError(LatentvizError):
    """A run folder that is missing, unfinished, damaged, already taken, or of another format."""


class ResourceError(LatentvizError):
    """Work that does not fit into the memory of this machine."""


class WriteError(RunError):
    """A file that cannot be written, with the system's reason: a full or read-only disk, missing permissions."""

    def __init__(self, path: "str | PathLike[str]", reason: str) -> None:
        super().__init__(f"{path}: cannot be written ({reason}); {write_advice(reason)}")
        self.path, self.reason = path, reason


class ReadError(LatentvizError):
    """A file that cannot be read although it may be whole: missing permissions, too many open files, a stale handle."""

    def __init__(self, path: "str | PathLike[str]", error: OSError) -> None:
        advice = READ_ADVICE.get(error.errno or 0, CHECK_DISK)
        super().__init__(f"{path}: cannot be read ({error.strerror or error}); {advice}")


class TrainingError(LatentvizError):
    """A training that failed, for example because the loss became NaN."""


def mistakes(where: str, lines: Sequence[str]) -> ConfigError:
    """Makes the error of one or more mistakes, a line for each.

    >>> print(mistakes("mine.yaml", ["model.lr: missing", "data: missing"]))
    mine.yaml: 2 mistakes
      model.lr: missing
      data: missing
    """
    return ConfigError(
        f"{where}:" + (f" {lines[0]}" if len(lines) == 1 else "\n  ".join([f" {len(lines)} mistakes", *lines]))
    )


COMPARED_IDS = 20_000  # ids that a mistyped one is compared with, at 10 µs each


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
