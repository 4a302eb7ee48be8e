"""Names that are none: control characters, newlines, paths, nothing at all; in every option that takes one."""

import os
from pathlib import Path

import pytest
import yaml

from latentviz.errors import LatentvizError
from latentviz.runs.files import folder_path
from tests.conftest import write_digits

UNDECODABLE = os.fsdecode(b"\xff")
NO_NAMES = [
    "a\nb",
    "a\x1b[2Jb",
    "a\x00b",
    "..",
    ".",
    "a/b",
    "a\\b",
    "",
    " ",
    UNDECODABLE,
    "\x85",
    "CON",
    "nul.txt",
    "x" * 300,
]


@pytest.fixture
def here(mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own as the working directory; a run is reached through `RUN` in a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_digits(tmp_path, 30, "d.npy")
    return tmp_path


def refused(shell, *words: str) -> str:
    """Returns the complaint about a command, one line that no terminal obeys."""
    complaint = shell(*words).complaint
    assert complaint.isprintable()
    return complaint


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_a_name_that_is_none(here, mapped, shell, name) -> None:
    for words in (
        ("fit", "d.npy", "--run", name),
        ("cluster", mapped, "--name", name),
        ("cluster", mapped, "--name", "x", "--force", f"--name={name}"),
        ("encode", mapped, "d.npy", "--name", name),
        ("evaluate", mapped, "--clustering", name),
        ("map", mapped, "--clustering", name),
        ("recommend", mapped, "3", "--name", name),
        ("compare", mapped, "--clusterings", "default", name),
    ):
        assert refused(shell, *words).startswith(("--run ", "--name ", "--clustering ", "--clusterings "))
    assert [path.name for path in here.iterdir()] == ["d.npy"]
    assert sorted(path.name for path in (mapped / "clusters").iterdir()) == ["default"]


@pytest.mark.parametrize("path", ["a\nb", "a\x1b[2Jb", "a\x00b", "", " ", UNDECODABLE, "a\u2028b"], ids=ascii)
def test_a_path_that_is_none(here, mapped, shell, path) -> None:
    for words in (
        ("fit", "d.npy", "--outputs", path),
        ("cluster", "--outputs", path),
        ("cluster", path),
        ("runs", "--outputs", path),
        ("export", path, "--onnx"),
        ("recommend", mapped, "3", "--outputs", path, "--name", "x"),
        ("fit", path),
        ("config", path),
        ("encode", mapped, path),
        ("compare", mapped, path),
        ("config", "d.npy", f"data.path={path}"),
    ):
        refused(shell, *words)
    assert [file.name for file in here.iterdir()] == ["d.npy"]


def test_home_is_expanded_in_every_path(here, shell) -> None:
    (here / "home").mkdir()
    (here / "d.npy").rename(here / "home/d.npy")
    assert shell("config", "~/d.npy", "data.size=8").code == 0
    assert "~/nowhere" in refused(shell, "config", "~/nowhere")
    assert str(here / "home/runs") in refused(shell, "cluster", "--outputs", "~/runs")
    assert folder_path("RUN", "~") == here / "home"
    assert folder_path("RUN", "~no such user") == Path("~no such user")


def test_a_text_of_several_lines_in_a_commented_config(here, shell) -> None:
    odd = here / "a\n# b: c"
    write_digits(odd, 30, "d.npy")
    printed = shell("config", str(odd / "d.npy")).out
    assert yaml.safe_load(printed)["data"]["path"] == str(odd / "d.npy")
    (here / "mine.yaml").write_text(printed, encoding="utf-8")
    assert shell("config", "mine.yaml").code == 0


@pytest.mark.parametrize("title", ["\ud800", UNDECODABLE, "x" * 1001])
def test_a_title_that_cannot_be_written(mapped, shell, title) -> None:
    before = (mapped / "clusters/default/map.html").read_bytes()
    assert "title" in refused(shell, "map", mapped, f"title={title}")
    assert (mapped / "clusters/default/map.html").read_bytes() == before


@pytest.mark.parametrize("words", [("recommend", "RUN", UNDECODABLE), ("generate", "RUN", "--like", "\ud800")])
def test_words_that_no_file_is_named_by(mapped, shell, words) -> None:
    refused(shell, *(str(mapped) if word == "RUN" else word for word in words))


def test_python_refuses_the_same(here) -> None:
    import latentviz as lv

    for call in (
        lambda: lv.fit(here / "d.npy", run="a\nb"),
        lambda: lv.fit(here / "d.npy", outputs=""),
        lambda: lv.open("a\nb"),
        lambda: lv.open("x", outputs=UNDECODABLE),
    ):
        with pytest.raises(LatentvizError):
            call()
