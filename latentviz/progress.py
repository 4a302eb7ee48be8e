"""Progress lines on standard error: one per stage, with the seconds it took."""

import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from latentviz.errors import worded

# Process ranks as launchers set them; Lightning reads the same variables.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_writers: list[Callable[[str], None]] = []  # of an open progress bar
_silent: list[bool] = []
_hidden: list[bool] = []  # whether `say` leaves its lines out


def one_line(text: str, widest: int = 200) -> str:
    r"""Shortens a text to one line without control characters.

    >>> one_line("a\n b"), one_line("abcdef", 4), one_line("\x1b[2J") == "\ufffd[2J"
    ('a b', 'abc…', True)
    """
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return line if len(line) <= widest else f"{line[: widest - 1]}…"


def plural(n: int, one: str, many: str = "") -> str:
    """Formats a number with its noun, and where `many` is given with another plural than that in -s.

    >>> plural(1, "cluster"), plural(1200, "item"), plural(2, "item was", "items were")
    ('1 cluster', '1,200 items', '2 items were')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def say(line: str) -> None:
    """Prints one line on standard error, with options named as the caller names them.

    A notebook, which shows that as an error, gets it on standard output.
    """
    if not hidden():
        _write(line)


def _write(line: str) -> None:
    if _silent:
        return
    line = worded(line)
    if _writers:
        _writers[-1](line)
    else:
        print(line, file=sys.stderr if notebook() is None else sys.stdout, flush=True)


def notebook() -> Any:
    """Returns the shell of the notebook's kernel that runs this code; None outside notebooks."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell if hasattr(shell, "kernel") else None


def silence() -> None:
    """Silences this process: of several that train together, only the first one prints."""
    _silent[:] = [True]


@contextmanager
def quietly(verbose: bool) -> Iterator[None]:
    """Leaves out progress, but not warnings, unless `verbose`."""
    before = _hidden[:]
    _hidden[:] = [not verbose]
    try:
        yield
    finally:
        _hidden[:] = before


def hidden() -> bool:
    """Whether progress is left out."""
    return any(_hidden)


def may_follow() -> bool:
    """Whether a launcher may have started this process with a rank above 0."""
    return any(value.isdigit() and int(value) > 0 for value in (os.environ.get(name, "") for name in RANKS))


def print_through(write: Callable[[str], None] | None) -> None:
    """Sends lines through `write` of an open progress bar; None once the bar is closed."""
    _writers[:] = [write] if write else []


def warn(line: str) -> None:
    """Prints a warning."""
    _write(f"warning: {line}")


@contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Prints the start and end of a stage, and adds the seconds it took to `seconds[name]`."""
    say(f"{name} …")
    start = time.perf_counter()
    yield
    took = time.perf_counter() - start
    seconds[name] = round(seconds.get(name, 0) + took, 2)
    say(f"{name} done in {took:.1f} s")


@contextmanager
def quiet() -> Iterator[None]:
    """Hides Lightning's start-up messages and warnings, which users can do nothing about."""
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
