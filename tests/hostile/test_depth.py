"""Depth and size: refused, or done in bounded time."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

LAUGHS = "a: &a [x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with 3,000 folders in each other; their path is longer than the system reads."""
    folder = tmp_path_factory.mktemp("deep")
    inner = os.open(folder, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)  # pytest itself, and shutil, would recurse


@pytest.mark.parametrize("words", [("config", "DEEP"), ("fit", "DEEP", "--dry-run"), ("fit", "DEEP", "data.kind=text")])
def test_folders_in_folders(deep, shell, tmp_path, monkeypatch, words) -> None:
    monkeypatch.chdir(tmp_path)
    assert shell(*(deep if word == "DEEP" else word for word in words)).complaint.startswith(str(deep))


@pytest.mark.parametrize(
    "content",
    [LAUGHS + "data: {kind: image, path: *i}\n", "data: " + "[" * 100_000, "data: " + "{a: " * 50_000],
    ids=["laughs", "lists", "mappings"],
)
def test_configs(tmp_path, shell, content) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content, encoding="utf-8")
    assert shell("config", file).complaint.startswith(str(file))


def test_a_few_aliases_are_read(tmp_path, shell) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: {kind: image, path: digits}\nmodel: &m {lr: 0.002}\n", encoding="utf-8")
    assert shell("config", file).code == 0


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("cluster", "RUN", "--name", "x", "reduce.method=pca", "reduce.n_components=100"), "reduce.n_components"),
        (("cluster", "RUN", "--name", "x", "reduce.n_components=5"), "reduce.n_components"),
        (("recommend", "RUN", "3", "--where", "not " * 490 + "cluster"), "--where"),
        (("recommend", "RUN", "3", "--where", "(" * 1_500), "--where"),
        (("recommend", "RUN", "3", "--where", "x" * 100_000), "--where"),
        (("recommend", "RUN", "9" * 100_000), "row 9"),
        (("recommend", "RUN", "x" * 100_000), "x"),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else value,
)
def test_more_than_there_is(mapped, shell, words, key) -> None:
    complaint = shell(*(mapped if word == "RUN" else word for word in words)).complaint
    assert complaint.find(key) >= 0
    assert len(complaint) < 1_000
    assert not (mapped / "clusters/x/clusters.json").exists()
