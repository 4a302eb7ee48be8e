"""Docstrings of installed packages as texts."""

import gc
import sys
from pathlib import Path

import pytest

from latentviz.errors import DataError
from latentviz.modalities.text import docstrings
from latentviz.modalities.text.docstrings import documented, first_sentence, package_files, read_docstrings, spread

CODE = '''"""Solvers for many kinds of equation. More below."""

def solve(a):
    """Solve a linear system of equations.

    At length.
    """
    def inner():
        """Names inside functions are nobody's business."""

def _hidden():
    """Private names are left out here."""

class Solver:
    """A solver that keeps its state."""

    def __init__(self):
        """Make a solver with nothing in it."""

    async def step(self):
        """Go on by a single step, e.g. with `self.x`."""
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a folder of packages that are the only ones installed."""

    def put(name: str, code: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)

    put("alpha/__init__.py", '"""The alpha package and what it does."""')
    put("alpha/_solve.py", CODE)
    put("alpha/tests/test_solve.py", '"""Tests of what alpha does here."""')
    put("alpha/_inner/deep.py", '"""Inner workings that nobody calls."""')
    put("alpha/broken.py", "def (:")
    put(
        "beta/__init__.py",
        "".join(
            f'def f{i}():\n    """Return the number {w} of it all."""\n'
            for i, w in enumerate(["one", "two", "three", "four"])
        ),
    )
    put("beta/again.py", '"""Solve a linear system of equations."""')
    put("latentviz/__init__.py", '"""This package itself is not among them."""')
    for package in ("alpha", "beta", "latentviz"):
        files = [p.relative_to(tmp_path).as_posix() for p in (tmp_path / package).rglob("*.py")]
        put(f"{package}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        put(f"{package}-1.0.dist-info/RECORD", "".join(f"{file},,\n" for file in sorted(files)))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_public_names_with_their_kinds_and_lines() -> None:
    found = [(d.name, d.kind, d.line, d.text) for d in documented(CODE.encode(), "alpha/_solve.py")]
    assert found == [
        ("alpha", "module", 1, "Solvers for many kinds of equation."),
        ("alpha.solve", "function", 3, "Solve a linear system of equations."),
        ("alpha.Solver", "class", 14, "A solver that keeps its state."),
        ("alpha.Solver.step", "method", 20, "Go on by a single step, e.g. with self.x."),
    ]


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Short one.", ""),
        ("norm(x, ord=None, axis=None) -> float of it", ""),
        ("A ``matrix`` *of* `numbers <https://a.b>`_ here.\n\nMore.", "A matrix of numbers here."),
        ("One line\n    and its second\n", "One line and its second"),
        ("Cf. what A. Turing wrote, i.e. this! And more.", "Cf. what A. Turing wrote, i.e. this!"),
        ("0 1 2 3 4 5 6 7 8", ""),
        ("many words " * 30, ""),
        ("", ""),
    ],
)
def test_first_sentence(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


def test_read(installed: Path) -> None:
    assert [name for name, _ in package_files()["alpha"]] == ["alpha/__init__.py", "alpha/_solve.py", "alpha/broken.py"]
    source = read_docstrings()
    assert list(source.ids) == [
        "alpha",
        "alpha.Solver",
        "alpha.Solver.step",
        "alpha.solve",
        "beta.f0",
        "beta.f1",
        "beta.f2",
        "beta.f3",
    ]
    assert set(source.labels) == {"alpha", "beta"}
    assert source.origins[3] == "alpha/_solve.py:3", "the place below the folder of packages"
    assert "left out" in source.notes[0]
    assert read_docstrings() == source, "the same packages, the same texts in the same order"
    assert gc.isenabled(), "paused while files are parsed"


def test_a_giant_is_thinned_evenly(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "MOST_ITEMS", 3)
    source = read_docstrings()
    assert list(source.ids) == ["alpha", "alpha.Solver.step", "alpha.solve", "beta.f0", "beta.f2", "beta.f3"]
    assert spread([1, 2, 3, 4, 5], 3) == [1, 3, 5]


def test_nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "distributions", list)
    with pytest.raises(DataError, match="no installed package has docstrings"):
        read_docstrings()
