"""What a command says while it works: one line a stage on standard error, with the seconds it took."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_beside: list[Callable[[str], None]] = []


def say(line: str) -> None:
    """Prints one line on standard error, where progress belongs; results go to standard output."""
    if _beside:
        _beside[-1](line)
    else:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


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
