"""Surroundings of a process: streams, limits, permissions, signals. The child that runs the case calls the function."""

import ctypes
import itertools
import os
import random
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from hostile_cases.damage import random_link
from hostile_cases.tables import KINDS, LOCKED, READING, Case, every


def stream(number: int, mode: str = "w", **options: str) -> TextIO:
    """Open a standard stream as Python does when it starts."""
    return open(number, mode, buffering=1 if number == 2 else -1, closefd=False, **options)


def no_home(folder: Path, _: random.Random) -> None:
    """HOME names a folder that cannot be made."""
    os.environ["HOME"] = str(folder / "outside" / "thesis.tex" / "home")


def home_is_unset(_folder: Path, _: random.Random) -> None:
    """There is no HOME."""
    os.environ.pop("HOME")


def stdout_is_closed(_folder: Path, _: random.Random) -> None:
    """As after `>&-`."""
    os.close(1)
    sys.stdout = None  # type: ignore[assignment] - as Python starts then


def stderr_is_closed(_folder: Path, _: random.Random) -> None:
    """As after `2>&-`."""
    os.close(2)
    sys.stderr = None  # type: ignore[assignment]


def _onto_full(number: int) -> None:
    handle = os.open("/dev/full", os.O_WRONLY)
    os.dup2(handle, number)


def stdout_is_full(_folder: Path, _: random.Random) -> None:
    """As after `>/dev/full`."""
    _onto_full(1)


def stderr_is_full(_folder: Path, _: random.Random) -> None:
    """As after `2>/dev/full`."""
    _onto_full(2)


def ascii_streams(_folder: Path, _: random.Random) -> None:
    """As with PYTHONIOENCODING=ascii."""
    sys.stdout, sys.stderr = stream(1, encoding="ascii"), stream(2, encoding="ascii", errors="backslashreplace")


def nobody_reads(_folder: Path, _: random.Random) -> None:
    """Standard output is a pipe whose reader has ended."""
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)


def few_handles(_folder: Path, draw: random.Random) -> None:
    """As after `ulimit -n`."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (draw.choice([12, 20, 32, 64]),) * 2)


def small_files(_folder: Path, draw: random.Random) -> None:
    """As on a full disk, which has room for what is printed only."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does
    resource.setrlimit(resource.RLIMIT_FSIZE, (draw.choice([5000, 30_000, 300_000]),) * 2)


def little_memory(_folder: Path, draw: random.Random) -> None:
    """As after `ulimit -v`: so much more than Python and the libraries take."""
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + draw.choice([2**20, 2**24, 2**26, 2**28]),) * 2)


def no_temporary_folder(folder: Path, _: random.Random) -> None:
    """TMPDIR names nothing."""
    os.environ["TMPDIR"] = str(folder / "nowhere")


def dumb_terminal(_folder: Path, draw: random.Random) -> None:
    """A terminal without size or colours."""
    os.environ.update(
        TERM=draw.choice(["dumb", "", "\x1b"]), COLUMNS=draw.choice(["1", "0", "-3", "x"]), NO_COLOR="1", LINES="0"
    )


def folder_is_gone(folder: Path, _: random.Random) -> None:
    """The folder that the command runs in has been removed."""
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


def permissions_hold(_folder: Path, _: random.Random) -> None:
    """Root without capabilities: file modes apply to it as to everybody."""
    version, process = 0x20080522, 0
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset((ctypes.c_uint32 * 2)(version, process), (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def nothing_is_writable(folder: Path, draw: random.Random) -> None:
    """The runs, HOME and the folder itself are read-only."""
    for path in [folder, *folder.rglob("*")]:
        if "outside" not in path.parts and not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    permissions_hold(folder, draw)


SURROUNDINGS = (
    *(
        no_home,
        home_is_unset,
        stdout_is_closed,
        stderr_is_closed,
        stdout_is_full,
        stderr_is_full,
        ascii_streams,
        nobody_reads,
    ),
    *(few_handles, small_files, little_memory, no_temporary_folder, dumb_terminal, folder_is_gone, nothing_is_writable),
)
DAMAGE = r"damaged|again with `?--force|--force` makes"  # is no advice where the system refuses
NATIVE = "bad_alloc|libgomp|OpenBLAS"  # C++ libraries end a process that has no memory; no Python code can prevent it
SILENT = {stderr_is_closed, stderr_is_full}
DOING = ("fit DATA --run again TINY", *READING)


def surrounded(_: random.Random) -> Iterator[Case]:
    """Run each command in each of the surroundings."""
    kinds = itertools.cycle(KINDS)
    for surroundings, command in itertools.product(SURROUNDINGS, DOING):
        never = DAMAGE if surroundings in {nothing_is_writable, few_handles, small_files} else ""
        codes = frozenset({0, 1, 2, 141}) if surroundings is nobody_reads else None
        yield Case(
            next(kinds),
            command,
            around=surroundings,
            says=surroundings not in SILENT,
            codes=codes,
            never=never,
            dies=NATIVE if surroundings is little_memory else "",
        )


def locked(draw: random.Random) -> Iterator[Case]:
    """Take permissions away from parts of the run."""
    for case in every([random_link(draw.choice(LOCKED)) for _ in range(60)], READING, 1):
        yield Case(
            case.kind,
            case.command,
            case.plant,
            around=draw.choice([permissions_hold, permissions_hold, nothing_is_writable]),
        )


def stopped(draw: random.Random) -> Iterator[Case]:
    """Send SIGINT, SIGTERM or SIGHUP to each command at a random moment."""
    for number, command in enumerate(DOING * 5):
        stop = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[draw.randrange(3)]
        yield Case(KINDS[number % 3], command, stop=stop)


def starts(draw: random.Random) -> Iterator[Case]:
    """Start Python itself: locales, streams that are closed before it starts, signals while it imports."""
    lines = (
        "latentviz --version",
        "latentviz runs",
        "latentviz",
        "latentviz nonsense",
        "latentviz config outputs/r/config.yaml",
    )
    before = (
        "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0",
        "LC_ALL=POSIX",
        "PYTHONIOENCODING=ascii",
        "TERM=dumb COLUMNS=1",
        "HOME=",
    )
    before += (
        "env -u HOME",
        "PYTHONWARNINGS=error",
        "PYTHONOPTIMIZE=2",
        "TZ=nowhere LANG=xx_YY",
        "PYTHONDONTWRITEBYTECODE=1",
    )
    for number, (first, line) in enumerate(itertools.product(before, lines)):
        yield Case(KINDS[number % 3], ("sh", f"{first} {line}"))
    after = (">&-", "2>&-", ">&- 2>&-", "<&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1", "<&- >&- 2>&-")
    for number, (line, last) in enumerate(itertools.product(lines, after)):
        yield Case(KINDS[number % 3], ("sh", f"{line} {last}"), says="2>" not in last)
    for number in range(30):
        stop = draw.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        yield Case(KINDS[number % 3], ("sh", f"exec {lines[number % 2]}"), stop=stop)
