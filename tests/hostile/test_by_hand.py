"""What people do in a hurry: the wrong folder, runs inside the data, names in macOS's form, a disk that fills."""

import os
import shlex
import shutil
import time
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from latentviz.modalities.io.files import names_below, walk
from latentviz.queries.lookup import Lookup
from latentviz.runs.files import atomic_write
from latentviz.runs.ours import mark
from latentviz.runs.run import RunFolder
from latentviz.stages import cluster as stage
from tests.conftest import SMALL

QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=2")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("map", "--outputs", "RUN"), "this is a run, not a folder of runs; write it as RUN"),
        (("cluster", "--outputs", "RUN", "--name", "x"), "this is a run, not a folder of runs"),
        (("fit", "digits", "--outputs", "RUN"), "this is a run; give the folder that holds the runs"),
        (("fit", "digits", "--outputs", "RUN/cache"), "it lies in the run"),
        (("fit", "digits", "--outputs", "RUN/clusters/default/new"), "it lies in the run"),
        (("fit", "digits"), "it lies in the run"),  # in the run's folder, with the default for --outputs
        (("map",), "the present folder is one; write `.` as RUN"),
    ],
)
def test_a_run_for_a_folder_of_runs(shell, run_folder: Path, monkeypatch, words, says) -> None:
    monkeypatch.chdir(run_folder)
    before = sorted(run_folder.rglob("*"))
    complaint = shell(*(word.replace("RUN", str(run_folder)) for word in words)).complaint
    assert says in complaint
    assert sorted(run_folder.rglob("*")) == before


def test_no_runs_names_the_folder(shell, tmp_path: Path) -> None:
    ended = shell("runs", "--outputs", tmp_path)
    assert (ended.code, str(tmp_path) in ended.out) == (0, True)


def test_a_file_of_the_runs_name(shell, few: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    for force in ((), ("--force",)):
        complaint = shell("fit", few, "--run", "taken", "--outputs", tmp_path, *force).complaint
        assert "taken: a file has this name" in complaint
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_runs_inside_the_data_are_no_data(run_folder: Path) -> None:
    data = run_folder.parent.parent
    Image.new("L", (8, 8)).save(data / "a.png")
    assert any(run_folder.rglob("*.png"))
    assert [name for name in walk(data).files if name.endswith(".png")] == ["a.png"]
    assert "epoch-1.png" not in set(names_below(data))
    assert "a.png" in set(names_below(data))


def test_a_missing_file_is_not_called_damaged(shell, run_folder: Path) -> None:
    shutil.rmtree(run_folder / "cache")
    complaint = shell("generate", run_folder, "--sampler", "prior", "--n", "1").complaint
    assert "missing" in complaint
    assert "damaged" not in complaint
    assert "Errno" not in complaint


def test_ids_are_found_in_either_form_of_unicode(run_folder: Path) -> None:
    lookup = Lookup(RunFolder(run_folder))
    lookup.__dict__["ids"] = [normalize("NFD", "é"), *lookup.ids[1:]]
    assert lookup.row(normalize("NFC", "é")) == lookup.row(normalize("NFD", "é")) == 0
    assert lookup.row("ö") is None


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_the_earlier_clustering_comes_back(shell, run_folder: Path, monkeypatch, error) -> None:
    assert shell("cluster", run_folder, *QUICK).code == 0
    folder = run_folder / "clusters" / "default"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def fails(folder, *_: object) -> None:
        with atomic_write(folder.map_file):
            raise error

    monkeypatch.setattr(stage, "draw", fails)
    ended = shell("cluster", run_folder, *QUICK, "cluster.n_clusters=3", "--force")
    assert ended.code in {2, 130}
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert np.load(folder / "coordinates.npy").shape[0] == 200
    assert [path.name for path in folder.parent.iterdir()] == ["default"]


@pytest.mark.parametrize("command", [("evaluate",), ("verify",), ("map",)])
def test_a_file_of_holes_is_not_read(shell, run_folder: Path, command) -> None:
    """All of its 3 TB could be read in ten minutes."""
    assert shell("cluster", run_folder, *QUICK).code == 0
    os.truncate(run_folder / "clusters" / "default" / "points.parquet", 3 * 10**12)
    ended = shell(*command, run_folder)
    assert ended.code == 2
    assert "nearly none are on the disk" in ended.out + ended.err


def test_the_command_that_fit_prints_can_be_pasted(shell, few: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "my runs"
    ended = shell("fit", few, *SMALL, "--run", "a b", "--outputs", outputs)
    command = ended.out.splitlines()[-1].split("its map: latentviz ")[1]
    assert shlex.split(command) == ["cluster", "a b", "--outputs", str(outputs)]
    assert shell(*shlex.split(command), *QUICK).code == 0


@pytest.fixture
def begun(run_folder: Path) -> Path:
    """A run whose training was stopped, and `early` next to it, which was stopped while it read its data."""
    for name in ("run.json", "mu.npy", "logvar.npy"):
        (run_folder / name).unlink()
    early = run_folder.with_name("early")
    early.mkdir()
    mark(early)
    return run_folder


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "RUN"),
        ("cluster", "RUN"),
        ("map", "RUN"),
        ("map", "RUN", "--clustering", "fine"),
        ("generate", "RUN", "--clustering", "fine"),
        ("evaluate", "RUN", "--clustering", "fine"),
        ("recommend", "RUN", "3"),
        ("encode", "RUN", "DATA"),
        ("export", "RUN", "--onnx"),
        ("compare", "RUN", "--clusterings", "default", "fine"),
        ("fit", "--continue", "RUN", "DATA"),
    ],
    ids=" ".join,
)
def test_a_run_that_is_not_finished(shell, begun: Path, few: Path, words) -> None:
    """Every command names the one that finishes it, or says that there is nothing to finish yet."""
    given = [begun if word == "RUN" else few if word == "DATA" else word for word in words]
    complaint = shell(*given).complaint
    assert f"`latentviz fit {begun}/config.yaml --run small --outputs {begun.parent} --resume`" in complaint
    given = [begun.with_name("early") if word == "RUN" else few if word == "DATA" else word for word in words]
    complaint = shell(*given).complaint
    assert complaint.startswith(f"{begun.parent}/early: its fit has not read the data")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("generate", "RUN", "--clustering", "nope"), "no clustering of this name"),
        (("generate", "RUN", "--traverse", "--clustering", "nope"), "no clustering of this name"),
        (("recommend", "RUN", "3", "--clustering", "nope"), "no clustering of this name"),
        (("generate", "RUN", "--spread", "2"), "or give --like"),
        (("generate", "RUN", "--steps", "3"), "or give --between"),
        (("generate", "RUN", "--at", "0,0", "--n", "3"), "or leave out --at"),
        (("recommend", "RUN", "3", "--not", "3"), "--not"),
        (("config", "nowhere.yaml"), "nowhere.yaml: cannot be read (No such file or directory); give"),
        (("config", "RUN/nowhere.yml"), "nowhere.yml: cannot be read (No such file or directory); give"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_would_be_ignored_or_misadvised(shell, mapped: Path, words, says) -> None:
    assert says in shell(*(word.replace("RUN", str(mapped)) for word in words)).complaint


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
def test_a_file_in_place_of_the_outputs(shell, few: Path, tmp_path: Path, place) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    complaint = shell("fit", few, "--run", "new", "--outputs", tmp_path / place).complaint
    assert "a file is in the way" in complaint
    assert "free space" not in complaint
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_a_folder_of_runs_alone_is_said_to_hold_no_data(shell, run_folder: Path) -> None:
    for words in (("fit", run_folder.parent), ("fit", run_folder.parent, "data.kind=image", "--dry-run")):
        assert "runs and hidden files apart" in shell(*words).complaint


def test_more_processes_than_cores_are_not_started(shell, few: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    complaint = shell("fit", few, *SMALL, "trainer.devices=999", "trainer.accelerator=cpu", "--outputs", tmp_path)
    assert complaint.complaint.startswith("trainer.devices: must be 1 to")
    assert time.monotonic() - started < 60
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("command", [("config",), ("fit",), ("fit", "--dry-run")])
@pytest.mark.parametrize("made", ["a pipe", "a link to a device"])
def test_a_config_that_never_ends_is_not_read(shell, tmp_path: Path, monkeypatch, command, made) -> None:
    monkeypatch.chdir(tmp_path)
    if made == "a pipe":
        os.mkfifo("mine.yaml")
    else:
        Path("mine.yaml").symlink_to("/dev/zero")
    assert "mine.yaml: a pipe or a device" in shell(*command, "mine.yaml").complaint
