"""What lies at the hidden names next to a run, `.<run>.longer` and `.<run>.replaced`, when a training needs them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from latentviz.runs.ours import mark
from tests.conftest import SMALL
from tests.hostile.test_strangers import watched

Plant = Callable[[Path, Path, Path], object]  # (the hidden name, the run, a folder outside)


def a_copy_outside(name: Path, run: Path, outside: Path) -> None:
    """Plants a link to what a training that was stopped leaves, elsewhere."""
    copy = shutil.copytree(run, outside / "copy")
    shutil.copy2(run / "run.json", copy / "origin.json")
    (copy / "run.json").unlink()
    name.symlink_to(copy)


def a_copy_with(inside: Callable[[Path, Path], object]) -> Plant:
    """Returns a plant of such a copy in its place, with something in it."""

    def plant(name: Path, run: Path, outside: Path) -> None:
        shutil.copytree(run, name)
        (name / "run.json").rename(name / "origin.json")
        inside(name, outside)

    return plant


def replace_by(made: str, make: Callable[[Path, Path], object]) -> Plant:
    def inside(copy: Path, outside: Path) -> None:
        path = copy / made
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        make(path, outside)

    return a_copy_with(inside)


def marked_with_a_file(name: Path, _: Path, __: Path) -> None:
    name.mkdir()
    mark(name)
    (name / "thesis.tex").write_text("years")


def folder_of_the_user(name: Path, _: Path, __: Path) -> None:
    name.mkdir()
    (name / "thesis.tex").write_text("years")


LONGER: dict[str, Plant] = {
    "a link to a copy": a_copy_outside,
    "a link to a folder": lambda name, _, outside: name.symlink_to(outside),
    "a link to nowhere": lambda name, _, outside: name.symlink_to(outside / "nowhere"),
    "a link to itself": lambda name, *_: name.symlink_to(name),
    "a folder of the user": folder_of_the_user,
    "a file of the user": lambda name, *_: name.write_text("years"),
    "a pipe": lambda name, *_: os.mkfifo(name),
    "a marked folder with a file of the user": marked_with_a_file,
    "a copy whose cache is a link": replace_by("cache", lambda path, outside: path.symlink_to(outside)),
    "a copy whose checkpoints are a link": replace_by("checkpoints", lambda path, outside: path.symlink_to(outside)),
    "a copy whose config is a link": replace_by(
        "config.yaml", lambda path, outside: path.symlink_to(outside / "secret.txt")
    ),
    "a copy whose metrics are a link": replace_by(
        "metrics.csv", lambda path, outside: path.symlink_to(outside / "secret.txt")
    ),
    "a copy whose origin is a pipe": replace_by("origin.json", lambda path, _: os.mkfifo(path)),
    "a copy whose samples are a link": replace_by("samples", lambda path, outside: path.symlink_to(outside)),
}
REPLACED: dict[str, Plant] = {
    name: LONGER[name]
    for name in ("a link to a folder", "a link to nowhere", "a folder of the user", "a file of the user", "a pipe")
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.txt").write_text("years of work")
    return folder


def refused(shell, few: Path, run: Path, name: Path, outside: Path) -> None:
    """Checks that training on is refused by name before it begins, and that nothing changes."""
    before, run_before = watched(outside), watched(run)
    words = ("--run", "small", "--outputs", run.parent, "--resume", "trainer.max_epochs=4", *SMALL[1:])
    complaint = shell("fit", few, *words).complaint
    assert complaint.startswith(str(name))
    assert os.path.lexists(name)
    assert watched(outside) == before
    assert watched(run) == run_before


@pytest.mark.parametrize("plant", LONGER)
def test_what_lies_where_a_longer_training_goes(shell, few, run_folder, outside, plant) -> None:
    name = run_folder.with_name(".small.longer")
    LONGER[plant](name, run_folder, outside)
    refused(shell, few, run_folder, name, outside)


@pytest.mark.parametrize("plant", REPLACED)
def test_what_lies_where_the_earlier_run_waits(shell, few, run_folder, outside, plant) -> None:
    name = run_folder.with_name(".small.replaced")
    REPLACED[plant](name, run_folder, outside)
    refused(shell, few, run_folder, name, outside)


def test_what_a_kill_left_of_the_copy_is_made_again(shell, few, run_folder) -> None:
    name = run_folder.with_name(".small.longer")
    a_copy_with(lambda copy, _: (copy / "config.yaml").unlink())(name, run_folder, run_folder)
    (name / "origin.json").write_text("{}")  # of a run that was there before
    words = ("--run", "small", "--outputs", run_folder.parent, "--resume", "trainer.max_epochs=4", *SMALL[1:])
    ended = shell("fit", few, *words)
    assert ended.code == 0, ended.err
    assert [path.name for path in run_folder.parent.iterdir()] == ["small"]
