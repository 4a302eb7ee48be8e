"""Odd surroundings of a command: closed and full streams, other encodings, no home, few open files, signals."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SMALL

if sys.platform != "linux":
    pytest.skip("needs /dev/full and the signals of Linux", allow_module_level=True)

LATENTVIZ = f"{sys.executable} -m latentviz"


def sh(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of the shell; LATENTVIZ in it is the command."""
    return subprocess.run(
        ["/bin/sh", "-c", line.replace("LATENTVIZ", LATENTVIZ)],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


def ends(ended: subprocess.CompletedProcess[str], code: int) -> None:
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "Exception ignored" not in ended.stderr
    if code == 2:
        assert ended.stderr.startswith("latentviz: ")
        assert ended.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, mapped: Path) -> Path:
    """A folder whose outputs/ hold a run with a name beyond ASCII."""
    folder = tmp_path_factory.mktemp("surroundings")
    shutil.copytree(mapped, folder / "outputs" / "kätzchen")
    return folder


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("LATENTVIZ schema > /dev/full", 2),
        ("LATENTVIZ --version > /dev/full", 2),
        ("LATENTVIZ fit --help > /dev/full", 2),
        ("LATENTVIZ runs --json > /dev/full", 2),
        ("LATENTVIZ runs >&-", 0),
        ("LATENTVIZ runs <&- >&- 2>&-", 0),
        ("LATENTVIZ cluster nowhere 2>&-", 2 + 100),
        ("LATENTVIZ cluster nowhere 2>/dev/full", 2 + 100),
        ("LATENTVIZ nonsense 2>/dev/full", 2 + 100),
        ("LATENTVIZ schema | head -c 1", 0),
        ("PYTHONIOENCODING=ascii LATENTVIZ runs", 0),
        ("LC_ALL=C LATENTVIZ runs", 0),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 LATENTVIZ runs", 0),
        ("PYTHONIOENCODING=ascii LATENTVIZ --help", 0),
        ("env -u HOME LATENTVIZ runs", 0),
        ("HOME=/proc LATENTVIZ config outputs/kätzchen/config.yaml", 0),
        ("TERM=dumb NO_COLOR=1 COLUMNS=1 LATENTVIZ runs", 0),
        ("COLUMNS=1 LATENTVIZ fit --help", 0),
        ("TMPDIR=/nowhere LATENTVIZ runs", 0),
        ("ulimit -n 32; LATENTVIZ runs", 0),
        ("ulimit -v 200000; LATENTVIZ recipes", 0),
        ("ulimit -v 400000; LATENTVIZ map kätzchen", 2),
    ],
)
def test_light_commands(done, line, code) -> None:
    ended = sh(line, done)
    if code > 100:  # nobody can be told
        assert (ended.returncode, ended.stdout, ended.stderr) == (code - 100, "", "")
    else:
        ends(ended, code)


def test_what_programs_read_is_utf_8_in_every_locale(done) -> None:
    for line in ("LATENTVIZ runs --json", "LATENTVIZ schema"):
        plain, odd = sh(line, done), sh(line, done, PYTHONIOENCODING="ascii")
        assert json.loads(odd.stdout) == json.loads(plain.stdout)
    assert (
        json.loads(sh("LATENTVIZ runs --json", done, PYTHONIOENCODING="latin-1").stdout)["runs"][0]["run"] == "kätzchen"
    )


@pytest.mark.parametrize("streams", ["> /dev/full", "2> /dev/full", ">&- 2>&-"])
def test_a_map_is_complete_although_nothing_can_be_printed(done, streams) -> None:
    file = done / "outputs/kätzchen/clusters/default/map.html"
    file.unlink(missing_ok=True)
    ends(sh(f"LATENTVIZ map kätzchen {streams}", done), 2 if streams == "> /dev/full" else 0)
    assert file.read_text(encoding="utf-8").rstrip().endswith("</html>")


@pytest.mark.slow
def test_a_fit_is_finished_although_its_table_cannot_be_printed(few, tmp_path) -> None:
    settings = " ".join([*SMALL, "trainer.max_epochs=1"])
    said = sh(f"LATENTVIZ fit {few} {settings} --run überall > /dev/full", tmp_path, LC_ALL="C").stderr
    assert said.splitlines()[-1].startswith("latentviz: standard output")
    assert np.load(tmp_path / "outputs/überall/mu.npy").shape == (200, 4)
    assert (tmp_path / "outputs/überall/run.json").exists()


WAITS = """
import sys, time
from latentviz.shell.process import run, stopped
def command():
    try:
        print("ready", flush=True)
        time.sleep(20)
    except KeyboardInterrupt:
        return stopped(sys.argv[1])
    return 0
sys.exit(run(command))
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_a_signal_ends_a_command_with_one_line(number, code) -> None:
    for command in ("fit", "cluster"):
        with subprocess.Popen(
            [sys.executable, "-c", WAITS, command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            process.send_signal(number)  # as `timeout` does
            _, said = process.communicate(timeout=10)
            assert process.returncode == code
            assert said.startswith("latentviz: ")
            assert said.count("\n") == 1
            assert ("--resume" in said) == (command == "fit")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "words", "when"),
    [
        (signal.SIGTERM, "fit DATA --run new trainer.max_epochs=100000 model.width=8", "training on"),
        (signal.SIGTERM, "cluster kätzchen --name other", "neighbours …"),
    ],
)
def test_a_signal_leaves_no_lock_and_no_temporary_file(done, few, number, words, when) -> None:
    words = words.replace("DATA", str(few)).split()
    with subprocess.Popen(
        [sys.executable, "-m", "latentviz", *words],
        cwd=done,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        said = next(line for line in process.stderr if when in line)
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait(30) == 128 + number, said
        assert "Traceback" not in said
        assert {path.name for path in (done / "outputs").rglob(".*")} <= {".latentviz.json"}
        if words[0] == "fit":
            ends(sh(f"LATENTVIZ {' '.join(words)} --resume trainer.max_epochs=1", done), 0)
            shutil.rmtree(done / "outputs/new")


def test_nohup_is_respected() -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", f"trap '' HUP; exec {sys.executable} -c \"$0\" fit", WAITS.replace("20", "0.5")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=10)
        assert process.returncode == 0


INTERRUPTS = """
import os, signal, sys
class Finder:
    def find_spec(name, *_):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)
MODULE = sys.argv.pop(1)
sys.meta_path.insert(0, Finder)
from latentviz.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    "module",
    ["latentviz.shell.process", "latentviz.shell.cli", "argparse", "latentviz.shell.commands", "numpy", "yaml"],
)
def test_ctrl_c_while_modules_are_imported(module, tmp_path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTS, module, "runs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode in {130, -signal.SIGINT}, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") <= 1
