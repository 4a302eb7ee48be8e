"""Try a thousand hostile and odd cases, and count what must not happen: `python benchmarks/hostile.py`.

    python benchmarks/hostile.py --only links          # one group
    python benchmarks/hostile.py --only links:17       # one case, with everything it printed
    python benchmarks/hostile.py --examples 20         # at most 20 of each group

A case is a command (of the shell or of Python), run in a folder of its own that holds a finished run of one data kind,
a sentinel folder outside the run, and whatever the case plants first: damage, links, devices. `hostile_cases/` lists
the cases and draws the random ones. Each runs in a child that is forked from this process, which has imported
everything, with its own environment, streams and limits. Cases that need Python's own start are run with `python -m
latentviz`. What is counted:

- tracebacks: "Traceback" on standard error, exit code 1 (but of `evaluate`: a collapsed model), or a crash.
- hangs: still running after LIMIT seconds.
- wrong endings: an exit code that the case does not allow (by default 0 or 2), 2 without a line that says why, or
  "damaged" where only a permission is missing.
- touched: something in the sentinel folder is not as before: contents, links, permissions, times.
- lost: a file of a finished result has changed or gone, though the command was not to replace it or did not succeed.
- left over: temporary files or locks.

All must be 0; otherwise the exit code is 1.
"""

import argparse
import hashlib
import os
import random
import re
import resource
import runpy
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hostile_cases import GROUPS  # noqa: E402 - after the path is set
from hostile_cases.around import stream  # noqa: E402
from hostile_cases.tables import QUICK, SMALL, Case  # noqa: E402

from tests.faults.shells import PRELOADED  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "hostile.md"
LIMIT = 90  # seconds; the slowest case that is right takes about 10
MEMORY = 16 * 2**30  # bytes of address space, so that a mistake does not take the machine down
FAULTS = ("tracebacks", "hangs", "wrong endings", "touched", "lost", "left over")
STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
# Made again without --force: drawings and reports; the list of what was exported grows.
REDRAWN = re.compile(r"(^|/)(map\.(html|png|svg)|evaluation\.(html|json)|outdated\.txt|export\.json|\.[^/]*)$")
FINISHED = re.compile(r"/(run|clusters|generated|recommended|encode)\.json$")


@dataclass(frozen=True)
class Ended:
    """How a case ended: exit code (None: it hung), what it printed, seconds."""

    code: int | None
    out: str
    err: str
    seconds: float


# ------------------------------------------------------------------------------------------------ the folder of a case


def prepare(kind: str, folder: Path) -> None:
    """Fill `folder` with a finished run `outputs/r` and the sentinel folder `outside/`, which also holds the data."""
    outside = folder / "outside"
    (outside / "precious").mkdir(parents=True)
    (folder / "home").mkdir()
    (outside / "thesis.tex").write_text("years of work\n", encoding="utf-8")
    (outside / "precious" / "config.yaml").write_text("mine: yes\n", encoding="utf-8")
    rng = np.random.default_rng(0)
    for name, count in (("data", 60), ("new", 5)):
        if kind == "image":
            np.save(outside / f"{name}.npy", rng.integers(0, 255, (count, 8, 8), dtype=np.uint8))
        elif kind == "vectors":
            np.save(outside / f"{name}.npy", rng.normal(size=(count, 6)).astype(np.float32))
        else:
            words = [[rng.choice(["sea", "sky", "hill", "rain", "moon"]) for _ in range(5)] for _ in range(count)]
            (outside / f"{name}.txt").write_text("".join(f"{' '.join(line)}\n" for line in words), encoding="utf-8")
    for command in (
        f"fit DATA --run r {SMALL[kind]}",
        f"cluster r {QUICK}",
        "cluster r --name tree reduce.method=pca cluster.min_cluster_size=5",
        "generate r --n 3 --name kept",
        "recommend r 0 --name kept",
        "encode r NEW --name kept",
        "export r --safetensors",
    ):
        ended = in_child(folder, Case(kind, command), random.Random(0))
        if ended.code != 0:
            sys.exit(f"{kind}: {command}: exit code {ended.code}\n{ended.err}")


def words_of(case: Case) -> list[str]:
    """Return the words of a case's command, with the paths of the data in them."""
    suffix = "txt" if case.kind == "text" else "npy"
    names = {"DATA": f"outside/data.{suffix}", "NEW": f"outside/new.{suffix}"}
    words = shlex.split(case.command) if isinstance(case.command, str) else list(case.command)
    tiny = [*SMALL[case.kind].split()[1:], "trainer.max_epochs=1"]
    return [each for word in words for each in (tiny if word == "TINY" else [names.get(word, word)])]


def fingerprint(folder: Path, *, times: bool) -> dict[str, tuple[object, ...]]:
    """Describe every file, link and folder below `folder`, without following links."""
    found: dict[str, tuple[object, ...]] = {}
    for top, folders, files in os.walk(folder):
        for name in [*folders, *files, "."] if times else files:
            path = Path(top, name)
            state = path.lstat()
            content: object = path.readlink() if path.is_symlink() else None
            if stat.S_ISREG(state.st_mode) and state.st_size > 2**28:  # planted, and full of holes
                content = state.st_size, state.st_mtime_ns
            elif stat.S_ISREG(state.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            when = (state.st_mtime_ns, stat.S_IMODE(state.st_mode)) if times else ()
            found[os.path.relpath(path, folder)] = (stat.S_IFMT(state.st_mode), content, *when)
    return found


def temporary(folder: Path) -> set[Path]:
    """Return the locks and the half-written files in the outputs of a case."""
    return {path for path in (folder / "outputs").rglob(".*") if path.suffix in {".tmp", ".lock"}}


def results(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return the fingerprint of the finished results in the outputs of a case."""
    files = fingerprint(folder / "outputs", times=False)
    return {name: value for name, value in files.items() if not REDRAWN.search(name)}


# ------------------------------------------------------------------------------------------------------ running a case


def in_child(folder: Path, case: Case, draw: random.Random) -> Ended:
    """Run a case's command in a forked child, in `folder`."""
    out, err = folder.parent / "out", folder.parent / "err"
    sys.stdout.flush()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = _command(folder, case, draw, out, err)
        finally:
            os._exit(code)
    if case.stop:
        time.sleep(draw.uniform(0, 1.2))
        os.kill(child, case.stop)
    return _wait(child, began, out, err)


def _wait(child: int, began: float, out: Path, err: Path) -> Ended:
    """Wait for a child of its own process group, at most LIMIT seconds."""
    code = None
    while time.monotonic() < began + LIMIT:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.005)
    seconds = time.monotonic() - began
    with_group = False
    try:
        os.killpg(child, signal.SIGKILL)  # whatever it started
        with_group = True
    except (ProcessLookupError, PermissionError):
        pass
    if code is None:
        if not with_group:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    texts = (file.read_text(encoding="utf-8", errors="replace") if file.exists() else "" for file in (out, err))
    return Ended(code, *texts, seconds)


def _command(folder: Path, case: Case, draw: random.Random, out: Path, err: Path) -> int:
    """In the child: set the surroundings up, run the command, and return its exit code."""
    os.setsid()
    os.chdir(folder)
    for file, number in ((os.devnull, 0), (out, 1), (err, 2)):
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ.update(HOME=str(folder / "home"), LATENTVIZ_COMPILE_AHEAD="0", COLUMNS="120", TERM="xterm")
    sys.stdin, sys.stdout, sys.stderr = stream(0, "r"), stream(1), stream(2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if case.around:
        case.around(folder, draw)
    try:
        code = _python(case.command[1]) if case.command[:1] == ("py",) else _shell(words_of(case))
    except BaseException:  # noqa: BLE001 - what Python does with an exception that nobody handles
        if sys.stderr is not None:
            traceback.print_exc()
        code = 1
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        code = 120  # as Python ends if it cannot write what is left
    return code


def _shell(words: list[str]) -> int:
    sys.argv = ["latentviz", *words]
    try:
        runpy.run_module("latentviz", run_name="__main__")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    return 0


def _python(expression: str) -> int:
    """Evaluate an expression of Python; return 2 for a LatentvizError, as the shell would."""
    import latentviz as lv
    from latentviz.errors import LatentvizError

    try:
        repr(eval(expression, {"lv": lv, "np": np, "Path": Path}))
    except LatentvizError as error:
        print(f"latentviz: {error}", file=sys.stderr)
        return 2
    return 0


def started(folder: Path, case: Case, draw: random.Random) -> Ended:
    """Run a case's command in a shell, with Python's own start: `latentviz` in it is `python -m latentviz`."""
    out, err = folder.parent / "out", folder.parent / "err"
    line = case.command[1].replace("latentviz", f"{shlex.quote(sys.executable)} -m latentviz")
    began = time.monotonic()
    child = subprocess.Popen(
        ["sh", "-c", f"exec >{out} 2>{err}\n{line}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    if case.stop:
        time.sleep(draw.uniform(0, 0.3))
        os.kill(child.pid, case.stop)  # `send_signal` would reap a child that has ended
    ended = _wait(child.pid, began, out, err)
    child.returncode = 0  # reaped above
    return ended


# ------------------------------------------------------------------------------------------------------------- judging


def judge(case: Case, ended: Ended, before: dict[str, tuple[object, ...]], folder: Path) -> list[str]:
    """Return what is wrong with how a case ended, without what it touched."""
    if ended.code is None:
        return ["hangs"]
    found = []
    native = bool(case.dies and re.search(case.dies, ended.err))
    line = " ".join(words_of(case))
    allowed = {0, 2} | ({1} if "evaluate" in line else set()) | ({STOPPED[case.stop]} if case.stop else set())
    code = 128 - ended.code if ended.code < 0 else ended.code
    crashed = (code == 1 and 1 not in allowed) or -ended.code in {6, 7, 11}
    if "Traceback (most recent call last)" in ended.err or (crashed and not native):
        found.append("tracebacks")
    elif not native:
        said = re.search("(?m)^latentviz", ended.err) or (line.startswith("verify") and ended.out)
        silent = code == 2 and case.says and not said
        if code not in (case.codes or allowed) or silent or (case.never and re.search(case.never, ended.err)):
            found.append("wrong endings")
    replaces = re.search(r"--force|--resume|(force|resume)=True", line)
    succeeded = code in {0, 1} or "files are complete" in ended.err  # only the table could not be printed
    after = results(folder)
    gone = [name for name, value in before.items() if after.get(name) != value]
    if case.stop and replaces:
        gone = [name for name in gone if name not in after and FINISHED.search(name)]
    elif succeeded and "map" in line:
        gone = [name for name in gone if not name.endswith("/config.yaml")]
    if gone and not (succeeded and replaces):
        found.append("lost")
    return found


def attempt(case: Case, template: Path, folder: Path, draw: random.Random) -> tuple[list[str], Ended, str]:
    """Copy the template, plant, run, judge: return the faults, how it ended, and what was planted."""
    subprocess.run(["chmod", "-R", "u+rwX", folder], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder, symlinks=True)
    planted = case.plant if isinstance(case.plant, str) else case.plant(folder, draw)
    if isinstance(case.plant, str) and case.plant:
        subprocess.run(["sh", "-ec", case.plant], cwd=folder, check=True, stdin=subprocess.DEVNULL)
    before, outside, left = results(folder), fingerprint(folder / "outside", times=True), temporary(folder)
    run = started if case.command[:1] == ("sh",) else in_child
    ended = run(folder, case, draw)
    faults = judge(case, ended, before, folder)
    if fingerprint(folder / "outside", times=True) != outside:
        faults.append("touched")
    if ended.code in {0, 1, 2, *STOPPED.values()} and temporary(folder) - left:
        faults.append("left over")
    return faults, ended, planted


# ----------------------------------------------------------------------------------------------------------- reporting


def cases(only: str, seed: int, examples: int | None) -> Iterator[tuple[str, int, Case, Callable[[], random.Random]]]:
    """Draw the cases: group, number, case, and a function that starts the case's own random numbers."""
    wanted, _, which = only.partition(":")
    for group, make in GROUPS.items():
        if wanted not in {"", group}:
            continue
        listed = list(make(random.Random(f"{seed} {group}")))
        some = random.Random(seed).sample(range(len(listed)), min(len(listed), examples or len(listed)))
        for number, case in enumerate(listed):
            if str(number) == which or (not which and number in some):
                yield group, number, case, lambda g=group, n=number: random.Random(f"{seed} {g} {n}")


def table(tried: Counter[str], faults: Counter[tuple[str, str]]) -> str:
    r"""Format the counts as a table.

    >>> print(table(Counter(links=3), Counter({("links", "lost"): 1})))
    | cases | tried | tracebacks | hangs | wrong endings | touched | lost | left over |
    |---|--:|--:|--:|--:|--:|--:|--:|
    | links | 3 | 0 | 0 | 0 | 0 | 1 | 0 |
    | **all** | **3** | **0** | **0** | **0** | **0** | **1** | **0** |
    """
    rows = [[group, tried[group], *(faults[group, fault] for fault in FAULTS)] for group in tried]
    total = ["all", *(sum(row[column] for row in rows) for column in range(1, len(FAULTS) + 2))]
    lines = [
        ["cases", "tried", *FAULTS],
        ["---", *["--:"] * (len(FAULTS) + 1)],
        *rows,
        [f"**{cell}**" for cell in total],
    ]
    return (
        "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
        .replace("| --- |", "|---|")
        .replace(" --: |", "--:|")
    )


def main() -> None:
    """Run the cases, print each fault with the line that repeats it, and write the table unless --only is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="GROUP[:NUMBER]", help=", ".join(GROUPS))
    parser.add_argument("--examples", type=int, help="at most this many cases of each group")
    parser.add_argument("--seed", type=int, default=0, help="of the random cases")
    options = parser.parse_args()
    for name in PRELOADED:
        import_module(name)
    os.nice(5)
    tried: Counter[str] = Counter()
    faults: Counter[tuple[str, str]] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostile-") as top:
        templates: dict[str, Path] = {}
        for group, number, case, draw in cases(options.only, options.seed, options.examples):
            if case.kind not in templates:
                templates[case.kind] = Path(top, case.kind)
                prepare(case.kind, templates[case.kind])
            wrong, ended, planted = attempt(case, templates[case.kind], Path(top, "case", "work"), draw())
            tried[group] += 1
            faults.update((group, fault) for fault in wrong)
            if wrong or ":" in options.only:
                seed = f" --seed {options.seed}" if options.seed else ""
                around = f" [{case.around.__name__}]" if case.around else ""
                print(f"{', '.join(wrong) or 'right'}: python benchmarks/hostile.py --only {group}:{number}{seed}")
                print(f"    {planted}\n    {case.kind}{around}: {words_of(case)} → {ended.code}, {ended.seconds:.1f} s")
                print(
                    "    " + (ended.err if ":" in options.only else ended.err[-300:]).replace("\n", "\n    "),
                    flush=True,
                )
        subprocess.run(["chmod", "-R", "u+rwX", top], check=False, stderr=subprocess.DEVNULL)
    text = table(tried, faults)
    print(f"{text}\n{time.monotonic() - began:.0f} s")
    if not options.only:
        most = f", at most {options.examples} cases of a group" if options.examples else ""
        meaning = __doc__.split("What is counted:")[1].split("All must be 0")[0].strip().replace("LIMIT", str(LIMIT))
        head = f"# Hostile and odd cases\n\nWritten by `python benchmarks/hostile.py`, seed {options.seed}{most}."
        RESULT.write_text(f"{head}\n\n{meaning}\n\n{text}\n", encoding="utf-8")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
