"""Faults need Linux's processes and limits; what the soak counted is told at its end."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SMALL, fit_small, write_digits

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

KILLED: Counter[str] = Counter()  # by stage
LOST: list[str] = []  # what was lost, with the stage and the moment


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Returns an empty folder to run commands in, so that `outputs/` is theirs."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an .npy file with 120 digits."""
    return write_digits(tmp_path_factory.mktemp("digits"), 120)


@pytest.fixture(scope="session")
def treed(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """Returns a run with a clustering that has a tree."""
    from latentviz.shell import commands

    folder = fit_small(digits, tmp_path_factory.mktemp("done"), settings=[*SMALL, "trainer.max_epochs=4"])
    commands.cluster(str(folder), ["reduce.method=pca", "cluster.min_cluster_size=10"], outputs=str(folder.parent))
    return folder


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many processes were killed, and what came of it."""
    if not KILLED:
        return
    killed = sum(KILLED.values())
    terminalreporter.section("kill -9")
    for stage, count in KILLED.items():
        terminalreporter.line(f"{stage:<12} {count:>4}")
    terminalreporter.line(f"killed {killed}, survived {killed - len(LOST)}, lost {len(LOST)}")
    for line in LOST:
        terminalreporter.line(f"  {line}")
