"""This process and what the system gives it: streams that may be closed or full, signals, memory, open files."""

import errno
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

TYPE_CHECKING = False  # typing would be imported before the signals are handled
if TYPE_CHECKING:
    from typing import Any, TextIO

INTERRUPTED = 128  # added to a signal's number: the exit code of a process that the signal ended
AGAIN = 1.0  # seconds: `timeout` and terminals may send a signal twice; a later one is a second request
# What the system refuses whatever the program does: a full disk, a read-only one, a name that is too long.
_FILES = {
    "ENOSPC",
    "EFBIG",
    "EROFS",
    "EACCES",
    "EPERM",
    "EIO",
    "ENAMETOOLONG",
    "EDQUOT",
    "ESTALE",
    "ENOTCONN",
    "ELOOP",
    "ETIMEDOUT",
    "ENXIO",
    "ENODEV",
}
_LIMITS = {
    "Too many open files": "too many open files; raise the limit, for example with `ulimit -n 1024`",
    "Cannot allocate memory": "not enough memory; close other programs, or raise the limit (`ulimit -v unlimited`)",
    "can't start new thread": "no more threads may be started; close other programs, or raise the limit (`ulimit -u`)",
    "No usable temporary directory": "no folder for temporary files can be written to; set TMPDIR to one that can",
}
_MEMORY = (
    "failed to map segment",
    "can't allocate memory",
    "not enough memory",
    "Unable to allocate",
    "bad_alloc",
    "create a primitive",
)
_stopped: list[tuple[int, float]] = []  # number and time of the first signal


class _Stream(io.FileIO):
    """Standard output or error. A write never fails: what has been made must not be lost for a line that cannot be."""

    failure: OSError | None = None

    def write(self, data: "Any", /) -> int:
        """Writes bytes, or drops them once the stream has failed."""
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def run(command: Callable[[], int]) -> int:
    """Runs the command line of this process and returns its exit code.

    A signal ends it with 128 + its number. Output that could not be written is reported, with exit code 2, unless
    the reader has ended, such as `head`.
    """
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores SIGHUP
            signal.signal(number, _stop)
    output = _streams()
    try:
        code = command()
    except KeyboardInterrupt:  # before the command was known
        code = stopped()
    except SystemExit as ending:  # argparse's way out
        code = ending.code if isinstance(ending.code, int) else 0
    sys.stdout.flush()
    if output is None or output.failure is None or output.failure.errno == errno.EPIPE:
        return code
    reason = output.failure.strerror
    print(
        f"latentviz: standard output cannot be written ({reason}); files are complete, only the text is lost",
        file=sys.stderr,
    )
    return code or 2


def _streams() -> _Stream | None:
    """Opens closed standard streams on the null device and makes writes to the others safe; returns the output."""
    if os.name != "posix":
        return None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would get the number, and what is printed
            os.open(os.devnull, os.O_RDWR)
    output, error = _Stream(1, "w", closefd=False), _Stream(2, "w", closefd=False)
    sys.stdout, sys.stderr = _text(output, sys.stdout), _text(error, sys.stderr)
    return output


def _text(stream: _Stream, before: "TextIO | Any") -> io.TextIOWrapper:
    encoding, lines = before.encoding if before else "utf-8", stream.fileno() == 2 or stream.isatty()
    return io.TextIOWrapper(io.BufferedWriter(stream), encoding, errors="backslashreplace", line_buffering=lines)


def _stop(number: int, _: FrameType | None) -> None:
    """Ends the command by a KeyboardInterrupt; a second request ends the process at once."""
    if _stopped and time.monotonic() < _stopped[0][1] + AGAIN:
        return
    if _stopped or os.getpid() != _OWNER:
        os._exit(INTERRUPTED + number)
    _stopped.append((number, time.monotonic()))
    sys.unraisablehook = _nothing  # libraries whose clean-up is cut short complain
    raise KeyboardInterrupt


def _nothing(_: object) -> None:
    pass


def stopped(command: str = "") -> int:
    """Says that the command was interrupted, by a signal or by a caller, and returns the exit code."""
    from latentviz.errors import shell_words
    from latentviz.progress import say

    number = _stopped[0][0] if _stopped else int(signal.SIGINT)
    how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    resume = ", with --resume if it had begun to train" if command == "fit" else ""
    kept = "" if command in {"mcp", "explore"} else f"; what was finished is kept; run the command again{resume}"
    # Python remembers a KeyboardInterrupt inside a string that it ran, as dataclasses do, and would end by SIGINT in
    # place of our exit code. Another string makes it forget.
    exec("0")  # noqa: S102
    with shell_words():
        say(f"latentviz: {how}{kept}")
    return INTERRUPTED + number


def signalled() -> bool:
    """Whether a signal asked this process to end."""
    return bool(_stopped)


def refused(error: BaseException) -> str | None:
    """Describes an error of the system that is no bug of ours: files, memory, limits; None: it is something else."""
    chain: BaseException | None = error
    while chain is not None:  # libraries report a failed import as another error than its cause
        for words, line in _LIMITS.items():
            if words in str(chain):
                return line
        if isinstance(chain, MemoryError) or any(words in str(chain) for words in _MEMORY):
            return _LIMITS["Cannot allocate memory"]
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in _FILES:
        file = f"{error.filename}: " if error.filename else ""
        from latentviz.errors import write_advice

        return f"{file}cannot be written or read ({error.strerror}); {write_advice(error.strerror)}"
    return None


_OWNER = os.getpid()
