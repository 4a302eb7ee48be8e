"""What --force may remove: runs and results of latentviz, and never a folder that holds anything else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from latentviz.runs.ours import MARKER, foreign, foreign_to_result, is_run, mark, remove_run
from latentviz.runs.run import RunFolder
from tests.conftest import SMALL, Outcome, fit_small, write_digits

QUICK = ("trainer.max_epochs=1", *SMALL[1:])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def plant(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


# Folders that only look like runs, by the names of their files.
LOOKALIKES: dict[str, dict[str, str]] = {
    "text alone": {"thesis.tex": "years"},
    "a config of a user": {"config.yaml": "data:\n  kind: image\n", "thesis.tex": "years"},
    "run.json of another program": {"run.json": '{"status": "done"}', "thesis.tex": "years"},
    "run.json that is no JSON": {"run.json": "years of notes"},
    "run.json with a list": {"run.json": "[1, 2]"},
    "a cache alone": {"cache/index.db": "years"},
    "the names of a cache": {"cache/images.npy": "years"},
    "names of a run that was killed early": {"items.parquet": "years", "bad_items.csv": "years"},
    "a marker of another program": {MARKER: '{"format_version": 1}', "thesis.tex": "years"},
    "a marker that is empty": {MARKER: "", "thesis.tex": "years"},
    "hidden files": {".git/config": "years"},
}


@pytest.mark.parametrize("option", [(), ("--force",), ("--resume",), ("--force", "--resume")], ids=" ".join)
@pytest.mark.parametrize("files", LOOKALIKES.values(), ids=LOOKALIKES)
def test_a_folder_that_is_no_run_is_never_replaced(
    shell: Callable[..., Outcome], few: Path, tmp_path: Path, files: dict[str, str], option: tuple[str, ...]
) -> None:
    folder = plant(tmp_path / "outputs" / "mine", files)
    before = contents(tmp_path)
    complaint = shell("fit", few, *QUICK, "--run", "mine", "--outputs", folder.parent, *option).complaint
    assert str(folder) in complaint or complaint.startswith("mine: no run of this name")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["notes.md", "cache/mine.db", "clusters/default/notes.md", "generated/x/selection.txt"]
)
def test_a_run_with_a_file_of_the_user_is_not_replaced(shell, few, run_folder, name) -> None:
    plant(run_folder, {name: "notes"})
    before = contents(run_folder)
    words = ("fit", few, *QUICK, "--run", "small", "--outputs", run_folder.parent, "--force")
    assert f"holds {name}," in shell(*words).complaint
    assert contents(run_folder) == before
    (run_folder / name).rename(run_folder.parent / "kept")  # what the message says
    assert shell(*words).code == 0


def test_what_file_managers_leave_is_not_the_users(run_folder: Path) -> None:
    plant(run_folder, {".DS_Store": "", "samples/Thumbs.db": ""})
    assert foreign(run_folder) == []


def test_a_run_after_every_command_holds_nothing_foreign(shell, mapped: Path, few: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(mapped, tmp_path / "outputs" / "small"))
    for words in (("generate",), ("recommend", "3", "--save"), ("encode", few), ("evaluate",), ("map",)):
        name, *rest = words
        assert shell(
            name, *([run] if name != "recommend" else []), *([run] if name == "recommend" else []), *rest
        ).code in {0, 1}
    assert foreign(run) == []
    for group in ("generated", "recommended", "encoded"):
        made = list((run / group).iterdir())
        assert made
        assert [foreign_to_result(result) for result in made] == [[]] * len(made)


@pytest.mark.parametrize("kept", [("config.yaml", "items.parquet"), ("run.json",), (MARKER,)], ids=" ".join)
def test_a_run_is_known_by_what_any_version_left_of_it(trained: Path, tmp_path: Path, kept: tuple[str, ...]) -> None:
    """Versions before the marker left run.json, and of an unfinished run its config and items."""
    for name in kept:
        shutil.copy(trained / name, tmp_path)
    assert is_run(tmp_path)


@pytest.mark.parametrize(
    "command",
    [("generate", "small", "--n", "2"), ("recommend", "small", "3"), ("encode", "small", "DATA")],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "left", ["a folder of the user", "a file of the user", "a link", "a result and a file of the user"]
)
def test_a_result_with_files_of_the_user_is_not_replaced(shell, mapped, few, tmp_path, command, left) -> None:
    run = Path(shutil.copytree(mapped, tmp_path / "outputs" / "small"))
    group = {"generate": "generated", "recommend": "recommended", "encode": "encoded"}[command[0]]
    words = [few if word == "DATA" else word for word in command]
    target, elsewhere = run / group / "x", plant(tmp_path / "elsewhere", {"thesis.tex": "years"})
    if left == "a folder of the user":
        plant(target, {"thesis.tex": "years", f"{group}.json": "{}"})
    elif left == "a file of the user":
        plant(target.parent, {"x": "years"})
    elif left == "a link":
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(elsewhere)
    else:
        assert shell(*words, "--name", "x", "--outputs", run.parent).code == 0
        plant(target, {"notes.md": "years"})
    before = contents(tmp_path)
    assert str(target) in shell(*words, "--name", "x", "--force", "--outputs", run.parent).complaint
    assert contents(tmp_path) == before


class TestLinkedRun:
    """`outputs/small` is a link to a run elsewhere."""

    @pytest.fixture
    def linked(self, run_folder: Path, tmp_path: Path) -> Path:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        run_folder.rename(elsewhere / "real")
        run_folder.symlink_to(elsewhere / "real")
        return run_folder

    def test_it_is_not_replaced_through_the_link(self, shell, few, linked, tmp_path) -> None:
        before = contents(tmp_path)
        complaint = shell("fit", few, *QUICK, "--run", "small", "--outputs", linked.parent, "--force").complaint
        assert contents(tmp_path) == before
        assert linked.is_symlink()
        assert f"--outputs {tmp_path / 'elsewhere'} --run real" in complaint
        again = shell("fit", few, *QUICK, "--outputs", tmp_path / "elsewhere", "--run", "real", "--force")
        assert again.code == 0, again.err

    def test_it_is_added_to_and_trained_for_longer_at_its_target(self, shell, few, linked, tmp_path) -> None:
        words = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=2")
        assert shell("cluster", "small", *words, "--outputs", linked.parent).code == 0
        assert (tmp_path / "elsewhere" / "real" / "clusters" / "default" / "map.html").is_file()
        said = shell(
            "fit", few, "--run", "small", "--outputs", linked.parent, "--resume", "trainer.max_epochs=4", *SMALL[1:]
        )
        assert said.code == 0, said.err
        assert linked.is_symlink()
        assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["real"]
        assert RunFolder.open("small", linked.parent).info()["summary"]["epochs"] == 4


class TestReplaced:
    """The earlier run waits in `.small.replaced` until the new one is whole."""

    def stopped(self, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
        """Makes `fit` fail at a moment, as a kill would: nothing is tidied up."""

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("killed")

        monkeypatch.setattr(when, fail)

    @pytest.mark.parametrize(
        ("when", "restored"),
        [("latentviz.stages.fit._trainer", True), ("latentviz.stages.fit.encode", False)],
        ids=["before the first epoch", "after the last epoch"],
    )
    def test_a_fit_that_failed_loses_neither_run(self, shell, few, run_folder, monkeypatch, when, restored) -> None:
        old = contents(run_folder)
        words = ("fit", few, *QUICK, "--run", "small", "--outputs", run_folder.parent)
        with monkeypatch.context() as patch:
            self.stopped(patch, when)
            with pytest.raises(RuntimeError):
                shell(*words, "--force")
        RunFolder.open("small", run_folder.parent)
        assert (contents(run_folder) == old) == restored
        if not restored:
            assert contents(run_folder.parent / ".small.replaced").items() >= old.items()
            assert shell(*words, "--resume").code == 0
        assert [path.name for path in run_folder.parent.iterdir()] == ["small"]

    def test_force_again_keeps_the_run_that_was_finished(self, shell, few, run_folder, monkeypatch) -> None:
        old = contents(run_folder)
        words = ("fit", few, *QUICK, "--run", "small", "--outputs", run_folder.parent, "--force")
        for _ in range(2):
            with monkeypatch.context() as patch:
                self.stopped(patch, "latentviz.stages.fit.encode")
                with pytest.raises(RuntimeError):
                    shell(*words)
            assert contents(run_folder.parent / ".small.replaced").items() >= old.items()
        ended = shell(*words)
        assert ended.code == 0
        assert f"{run_folder}: a training that had not finished is replaced" in ended.err
        assert [path.name for path in run_folder.parent.iterdir()] == ["small"]
        assert "had not finished" not in shell(*words).err

    def test_a_folder_of_the_user_under_that_name_stays(self, shell, few, run_folder) -> None:
        theirs = plant(run_folder.parent / ".small.replaced", {"thesis.tex": "years"})
        words = ("fit", few, *QUICK, "--run", "small", "--outputs", run_folder.parent, "--force")
        assert str(theirs) in shell(*words).complaint
        shutil.rmtree(run_folder)
        assert shell(*words).code == 0
        assert contents(theirs) == {"thesis.tex": b"years"}


def test_what_a_kill_leaves_of_a_removed_run_is_still_a_run(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run_folder / MARKER).unlink()
    removed = 0

    def remove(path: Path) -> None:
        nonlocal removed
        removed += 1
        if removed > 3:
            raise KeyboardInterrupt
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    monkeypatch.setattr("latentviz.runs.ours.remove", remove)
    with pytest.raises(KeyboardInterrupt):
        remove_run(run_folder)
    assert is_run(run_folder)
    monkeypatch.undo()
    remove_run(run_folder)
    assert not run_folder.exists()


def test_the_marker_says_its_version(tmp_path: Path) -> None:
    mark(tmp_path)
    assert json.loads((tmp_path / MARKER).read_text()) == {"format_version": 1, "made_by": "latentviz"}
    assert os.listdir(tmp_path) == [MARKER]  # noqa: PTH208


def test_a_new_run_carries_the_marker_from_its_first_moment(tmp_path: Path) -> None:
    data = write_digits(tmp_path, 40)
    assert (fit_small(data, tmp_path / "outputs", settings=QUICK) / MARKER).is_file()
