"""Full disks and disks that may not be written to: one line, exit code 2, and nothing that was there is lost."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from latentviz.runs.files import TEMPORARY
from latentviz.runs.run import RunFolder
from tests.conftest import SMALL, fit_small
from tests.faults.shells import Conditions, shell

FIT = (*SMALL, "trainer.max_epochs=2", "--run", "small")
QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """Returns the folder that a small, clustered run lies in, as `outputs/small`."""
    from latentviz.shell import commands

    work = tmp_path_factory.mktemp("done")
    folder = fit_small(digits, work / "outputs", settings=FIT[:-2])
    commands.cluster(str(folder), QUICK, outputs=str(folder.parent))
    commands.cluster(str(folder), [*QUICK[:-1], "cluster.n_clusters=2"], outputs=str(folder.parent), name="two")
    return work


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What takes more than so many bytes in one file: the images, a checkpoint, the page with the map, μ of many items.
@pytest.mark.parametrize(("file_size", "what"), [(4_000, "images.npy"), (100_000, ".ckpt")])
def test_a_fit_on_a_full_disk(work, digits, file_size, what) -> None:
    complaint = shell(work, "fit", digits, *FIT, conditions=Conditions(file_size=file_size)).complaint
    assert what in complaint
    assert "cannot be written (File too large)" in complaint
    assert not [path for path in work.rglob(".*") if TEMPORARY.fullmatch(path.name)]
    again = shell(work, "fit", digits, *FIT, *(["--resume"] if (work / "outputs" / "small").exists() else []))
    assert again.code == 0, again.err
    undisturbed = shell(work, "fit", digits, *FIT[:-1], "other")
    assert undisturbed.code == 0
    mus = [np.asarray(RunFolder(work / "outputs" / name).mu()) for name in ("small", "other")]
    assert np.array_equal(*mus)


def found(digits: Path) -> Path:
    """Returns a file of annotations next to the data."""
    file = digits.with_name("annotations.json")
    file.write_text('{"names": {"0": "round"}}')
    return file


@pytest.mark.parametrize(
    ("words", "file_size"),
    [
        (("cluster", "small", "--name", "b", *QUICK), 2_000),
        (("cluster", "small", "--force", *QUICK), 100_000),
        (("map", "small"), 100_000),
        (("annotate", "small", "FOUND"), 2_000),
        (("evaluate", "small"), 5_000),
        (("generate", "small", "--force", "--name", "x"), 1_000),
        (("recommend", "small", "3", "--name", "x"), 1_000),
        (("encode", "small", "DATA", "--name", "x"), 4_000),
        (("compare", "small", "--clusterings", "default", "two"), 10_000),
        (("export", "small", "--safetensors"), 10_000),
        pytest.param(("export", "small", "--onnx"), 10_000, marks=pytest.mark.soak),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_adds_to_a_run_on_a_full_disk(done, digits, work, words, file_size) -> None:
    if words[0] == "export":
        pytest.importorskip("onnx" if "--onnx" in words else "safetensors")
    shutil.copytree(done, work, dirs_exist_ok=True)
    before = contents(work)
    complaint = shell(
        work,
        *({"DATA": digits, "FOUND": found(digits)}.get(word, word) for word in words),
        conditions=Conditions(file_size=file_size),
    ).complaint
    assert "cannot be written (" in complaint
    after = contents(work)
    assert {name: after.get(name) for name in before} == before
    assert not [path for path in work.rglob("*") if TEMPORARY.fullmatch(path.name)]


def test_a_fit_on_a_disk_that_is_really_full(work, digits) -> None:
    """A file system of its own, where a page that is mapped and cannot be stored would end the process."""
    (work / "outputs").mkdir()
    for size in (60_000, 300_000, 1_500_000):
        complaint = shell(work, "fit", digits, *FIT, conditions=Conditions(disk=size)).complaint
        assert "cannot be written (No space left on device)" in complaint


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "DATA", *FIT[:-1], "new"),
        ("fit", "DATA", *FIT, "--force"),
        ("cluster", "small", "--force", *QUICK),
        ("cluster", "small", "--name", "b"),
        ("map", "small"),
        ("annotate", "small", "FOUND"),
        ("evaluate", "small"),
        ("generate", "small"),
        ("recommend", "small", "3", "--save"),
        ("encode", "small", "DATA"),
        ("compare", "small", "--clusterings", "default", "two"),
        ("export", "small", "--safetensors"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_outputs_that_may_not_be_written_to(done, digits, words) -> None:
    before = contents(done)
    complaint = shell(
        done,
        *({"DATA": digits, "FOUND": found(digits)}.get(word, word) for word in words),
        conditions=Conditions(read_only=True),
    ).complaint
    assert "cannot be written (Read-only file system)" in complaint
    assert contents(done) == before
