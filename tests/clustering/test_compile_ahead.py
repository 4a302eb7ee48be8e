"""The background compiler: only where something is missing, one at a time, never longer than its parent."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from latentviz.clustering import compile_ahead
from latentviz.clustering.compile_ahead import COMPILED, missing, start

SLEEPER = (
    "from latentviz.clustering.compile_ahead import end_with_parent; end_with_parent(); import time; time.sleep(60)"
)
PARENT = f"""
import sys, time
from latentviz.clustering import compile_ahead
compile_ahead.WORKER = {SLEEPER!r}
print(compile_ahead.start().pid, flush=True)
time.sleep(60 if sys.argv[1] == "sleep" else 0)
if sys.argv[1] == "fail":
    raise ValueError("fit failed")
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty numba cache, and a compiler that does nothing but wait."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setenv("LATENTVIZ_COMPILE_AHEAD", "1")
    monkeypatch.setattr(compile_ahead, "WORKER", SLEEPER)
    return tmp_path / "numba"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def fill(cache: Path, numba: str = version("numba")) -> list[Path]:
    """Writes what numba would: one index file for each function, which begins with numba's version."""
    indexes = []
    for package, functions in COMPILED.items():
        for function in functions:
            name = f"{function}-1.py{sys.version_info[0]}{sys.version_info[1]}.nbi"
            index = next(iter(compile_ahead._indexes(folder(package), function)), None) or (
                cache / f"{package}_{compile_ahead.hashlib.sha1(str(folder(package)).encode()).hexdigest()}" / name
            )
            index.parent.mkdir(parents=True, exist_ok=True)
            index.write_bytes(b"\x80\x04\x95" + numba.encode() + b"\x94.")
            indexes.append(index)
    return indexes


def ended(pid: int, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


class TestMissing:
    def test_an_empty_cache_lacks_everything(self, cache: Path) -> None:
        assert missing()
        indexes = fill(cache)
        assert not missing()
        indexes[-1].unlink()
        assert missing(), "one function is enough"

    def test_an_index_older_than_its_source_is_stale(self, cache: Path) -> None:
        os.utime(fill(cache)[0], (1, 1))
        assert missing()

    def test_an_index_of_another_numba_is_stale(self, cache: Path) -> None:
        fill(cache, "0.1.2")
        assert missing()

    def test_the_functions_exist_in_the_installed_packages(self) -> None:
        for package, functions in COMPILED.items():
            for function in functions:
                module, _, name = function.partition(".")
                assert re.search(rf"^def {name}\(", (folder(package) / f"{module}.py").read_text(), re.MULTILINE)

    def test_it_imports_no_compiler(self) -> None:
        code = "import sys; from latentviz.clustering.compile_ahead import missing; missing(); print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert not {"numba", "umap", "fast_hdbscan", "numpy", "scipy"} & set(loaded)


class TestStart:
    def test_nothing_starts_where_all_is_compiled(self, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fill(cache)
        assert start() is None
        assert capsys.readouterr().err == ""

    def test_nothing_starts_where_it_is_switched_off(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LATENTVIZ_COMPILE_AHEAD", "0")
        assert start() is None

    def test_one_at_a_time_reported_in_one_line(
        self, cache: Path, started: list[subprocess.Popen[bytes]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = start()
        assert first is not None
        started.append(first)
        assert capsys.readouterr().err.count("\n") == 1
        assert start() is None, "another one compiles already"
        assert capsys.readouterr().err == ""
        first.kill()
        first.communicate()
        second = start()
        assert second is not None, "the lock went with the process"
        started.append(second)

    @pytest.mark.parametrize("how", ["end", "fail", "sleep"])
    def test_it_ends_with_its_parent(self, cache: Path, how: str) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            if how == "sleep":
                parent.send_signal(signal.SIGKILL)
        assert ended(pid)


@pytest.mark.soak
def test_the_real_compiler_leaves_nothing_missing(
    cache: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    monkeypatch.setenv("LATENTVIZ_COMPILE_AHEAD", "1")
    process = start()
    assert process is not None
    started.append(process)
    assert process.wait(600) == 0
    assert not missing()
