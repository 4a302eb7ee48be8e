"""Folders of texts: Markdown, tables that describe the files, and what is passed over."""

from pathlib import Path

import pytest

from latentviz.errors import DataError
from latentviz.modalities import detect
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read


def texts(folder: Path, *suffixes: str, n: int = 20) -> Path:
    folder.mkdir(exist_ok=True)
    for suffix in suffixes:
        for i in range(n):
            (folder / f"{i}{suffix}").write_text(f"the {suffix} text with number {i}", encoding="utf-8")
    return folder


def read_path(path: Path, **settings):
    return read(TextData(path=str(path), **settings))


def test_markdown_files_are_texts(tmp_path: Path) -> None:
    """Reported: ekatraone/alpaca-dataset-generator#5."""
    folder = texts(tmp_path / "my docs", ".txt", ".md")
    (folder / "README.md").write_text("about")
    (folder / "page.html").write_text("<p>")
    source = read_path(folder)
    assert len(source) == 40
    assert "3" in source.ids
    assert "3.md" in source.ids
    assert any("1 .md file" in note and "1 .html file" in note for note in source.notes)


def test_only_markdown(tmp_path: Path) -> None:
    folder = texts(tmp_path / "vault", ".md")
    assert detect(str(folder)) == "text"
    assert len(read_path(folder)) == 20


def test_a_few_notes_are_passed_over_and_said(tmp_path: Path) -> None:
    folder = texts(tmp_path / "x", ".txt")
    texts(folder, ".md", n=3)
    source = read_path(folder)
    assert len(source) == 20
    assert any("ignored files: 3 .md files" in note for note in source.notes)


def test_a_readme_next_to_a_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"a sentence with number {i}\n" for i in range(20)))
    (tmp_path / "readme.txt").write_text("about")
    source = read_path(tmp_path)
    assert len(source) == 20
    assert any("1 .txt file" in note for note in source.notes)


@pytest.mark.parametrize("spelling", ["{}.txt", "{}", "docs/{}.txt"])
def test_a_table_describes_the_files(tmp_path: Path, spelling: str) -> None:
    folder = texts(tmp_path / "docs", ".txt")
    rows = "".join(f"{spelling.format(i)},{'ham' if i % 2 else 'spam'},{i / 2}\n" for i in range(20))
    (folder / "labels.csv").write_text(f"filename,label,score\n{rows}")
    source = read_path(folder)
    assert len(source) == 20
    assert source.labels[:2] == ["spam", "ham"]
    assert list(source.columns["score"])[:2] == [0, 0.5]
    assert any("names 20 of 20 texts" in note for note in source.notes)


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("x")
    with pytest.raises(DataError, match=r"1 \.html file"):
        read_path(tmp_path)
