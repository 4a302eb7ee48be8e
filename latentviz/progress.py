"""What a command says while it works: one line a stage on standard error, with the seconds it took."""

import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How launchers number the processes of one training; Lightning looks at the same names.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_beside: list[Callable[[str], None]] = []
_silent: list[bool] = []


def one_line(text: str, widest: int = 200) -> str:
    r"""Returns a text in one line of so many characters at most, and without what a terminal obeys.

    >>> one_line("a\n b"), one_line("abcdef", 4), one_line("\x1b[2J") == "\ufffd[2J"
    ('a b', 'abc…', True)
    """
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return line if len(line) <= widest else f"{line[: widest - 1]}…"


def say(line: str) -> None:
    """Prints one line on standard error, where progress belongs; results go to standard output."""
    if _silent:
        return
    if _beside:
        _beside[-1](line)
    else:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def silence() -> None:
    """Lets this process say nothing more: of several that train together, the first one speaks."""
    _silent[:] = [True]


def may_follow() -> bool:
    """Returns whether a launcher may have started this process beside a first one that speaks for all."""
    return any(value.isdigit() and int(value) > 0 for value in (os.environ.get(name, "") for name in RANKS))


def silent() -> bool:
    """Returns whether this process leaves speaking to another."""
    return bool(_silent)


def beside(write: Callable[[str], None] | None) -> None:
    """Sends lines through `write`, which leaves an open progress bar whole; None: the bar is closed."""
    _beside[:] = [write] if write else []


def warn(line: str) -> None:
    """Prints a line that a user should not miss."""
    say(f"warning: {line}")


@contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Says which stage runs, and on leaving puts the seconds it took into `seconds[name]`."""
    say(f"{name} …")
    start = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - start, 2)
    say(f"{name} done in {seconds[name]:.1f} s")


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's start-up remarks from the user, who can do nothing about them."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
