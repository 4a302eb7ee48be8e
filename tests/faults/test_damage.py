"""Artefacts that were cut off or whose bits flipped: one line says which file, and which command makes it again."""

import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from latentviz.runs.checksums import FORMAT_VERSION
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder
from tests.conftest import Outcome, fit_small, write_digits


@pytest.fixture
def copied(treed: Path, tmp_path: Path) -> Path:
    """Returns a copy of it to damage."""
    return Path(shutil.copytree(treed, tmp_path / "outputs" / "small"))


def cut_off(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def flipped(content: bytes) -> bytes:
    """Returns the content with one bit flipped in the middle: of an array that is one of its numbers."""
    middle = len(content) * 2 // 3
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


# Each artefact, and words that read it.
ARTEFACTS: dict[str, tuple[str, ...]] = {
    "run.json": ("recommend", "small", "3"),
    "config.yaml": ("generate", "small", "--n", "2"),
    "items.parquet": ("recommend", "small", "3"),
    "mu.npy": ("recommend", "small", "3"),
    "logvar.npy": ("generate", "small", "--like", "3", "--n", "2"),
    "checkpoints/last.ckpt": ("generate", "small", "--n", "2"),
    "cache/images.npy": ("generate", "small", "--reconstruct", "3"),
    "clusters/default/clusters.json": ("map", "small"),
    "clusters/default/config.yaml": ("map", "small"),
    "clusters/default/points.parquet": ("generate", "small", "--cluster", "0", "--n", "2"),
    "clusters/default/coordinates.npy": ("encode", "small", "DATA"),
    "clusters/default/neighbours.npy": ("map", "small"),
    "clusters/default/tree.npy": ("map", "small"),
}


def assert_names(complaint: str, name: str) -> None:
    """Asserts that a complaint names the file, says that it is damaged, and names a command."""
    assert re.search(rf"{name}: (the decoded images are missing or )?damaged", complaint), complaint
    command = "cluster" if name.startswith("clusters/") else "fit"
    assert re.search(rf"`latentviz {command} .*--force`", complaint), complaint


@pytest.mark.parametrize("damage", [cut_off, flipped, lambda _: b""], ids=["cut off", "flipped bit", "empty"])
@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_damaged_artefact_is_told_in_one_line(shell, copied, digits, name, damage) -> None:
    file = copied / name
    file.write_bytes(damage(file.read_bytes()))
    words = [digits if word == "DATA" else word for word in ARTEFACTS[name]]
    assert_names(shell(*words, "--outputs", copied.parent).complaint, name)


def test_undamaged_they_are_all_read(shell, copied, digits) -> None:
    """Otherwise the complaints above could have any other cause."""
    for words in {tuple(digits if word == "DATA" else word for word in words) for words in ARTEFACTS.values()}:
        said = shell(*words, "--outputs", copied.parent)
        assert said.code == 0, said.err


def test_the_command_that_a_complaint_names_makes_the_artefact_again(shell, copied, monkeypatch) -> None:
    (copied / "mu.npy").write_bytes(cut_off((copied / "mu.npy").read_bytes()))
    complaint = shell("recommend", "small", "3", "--outputs", copied.parent).complaint
    words = re.search(r"`latentviz (.*)`", complaint)[1].split()
    assert shell(*words).code == 0
    assert shell("recommend", "small", "3", "--outputs", copied.parent).code == 0


def test_evaluate_looks_at_every_byte_however_large_a_file_is(shell, copied, monkeypatch) -> None:
    monkeypatch.setattr("latentviz.runs.run.CHEAP", 100)
    file = copied / "cache" / "images.npy"
    file.write_bytes(flipped(file.read_bytes()))
    said = shell("generate", "small", "--n", "2", "--outputs", copied.parent)
    assert said.code == 0, "too large to be looked at each time"
    assert_names(shell("evaluate", "small", "--outputs", copied.parent).complaint, "cache/images.npy")


@pytest.mark.parametrize("damage", [cut_off, flipped], ids=["cut off", "flipped bit"])
def test_a_damaged_checkpoint_is_not_gone_on_from(shell, copied, damage) -> None:
    for name in ("run.json", "mu.npy", "logvar.npy"):
        (copied / name).unlink()
    file = copied / "checkpoints" / "last.ckpt"
    file.write_bytes(damage(file.read_bytes()))
    complaint = shell("fit", copied / "config.yaml", "--run", "small", "--outputs", copied.parent, "--resume").complaint
    assert "last.ckpt: damaged" in complaint
    assert "--force` makes it again" in complaint


@pytest.mark.parametrize("left", [b"", b"epo", b"epoch,step\n1,2\n", b"\xff\xfe\n"])
def test_a_table_of_epochs_that_was_cut_off_is_no_traceback(shell, copied, left) -> None:
    for name in ("run.json", "mu.npy"):
        (copied / name).unlink()
    (copied / "metrics.csv").write_bytes(left)
    complaint = shell("fit", copied / "config.yaml", "--run", "small", "--outputs", copied.parent, "--resume").complaint
    assert "metrics.csv: missing or damaged" in complaint


class TestFormats:
    """`format-1.tar.gz` is a run on 24 drawn squares and discs, as the first version of the format wrote it."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        with tarfile.open(Path(__file__).with_name("format-1.tar.gz")) as archive:
            archive.extractall(tmp_path / "outputs", filter="data")
        return tmp_path / "outputs" / "format-1"

    def test_a_run_of_the_first_version_goes_through_every_command(
        self, shell: Callable[..., Outcome], old: Path, tmp_path: Path
    ) -> None:
        data = write_digits(tmp_path, 20)
        commands = [
            ("evaluate", "format-1"),
            ("map", "format-1"),
            ("recommend", "format-1", "3"),
            ("generate", "format-1", "--n", "4"),
            ("encode", "format-1", data),
            ("cluster", "format-1", "--name", "fine", "reduce.method=pca", "cluster.method=gmm"),
        ]
        for words in commands:
            said = shell(*words, "--outputs", old.parent)
            assert said.code in {0, 1}, said.err
            assert "Traceback" not in said.err
        assert "checksums" not in RunFolder.open(old).info(), "that version knew none"

    @pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 99, 0, -1, 1.5, None, "2"])
    def test_a_version_that_nobody_knows_is_refused(self, shell, old, version) -> None:
        write_json(old / "run.json", {**RunFolder(old).info(), "format_version": version})
        assert "format version" in shell("evaluate", "format-1", "--outputs", old.parent).complaint


class TestMoved:
    @pytest.mark.parametrize("how", [shutil.move, pytest.param(shutil.copytree, marks=pytest.mark.soak)])
    def test_a_run_works_elsewhere(self, shell, tmp_path, how) -> None:
        """Its data and the folder that it was made in are gone."""
        data = write_digits(tmp_path / "data", 60)
        made = fit_small(data, tmp_path / "made")
        assert shell("cluster", made, "reduce.method=pca", "cluster.method=gmm").code == 0
        elsewhere = tmp_path / "else where" / "it's here"
        elsewhere.parent.mkdir()
        how(made, elsewhere)
        shutil.rmtree(tmp_path / "made")
        (tmp_path / "new").mkdir()
        data = data.rename(tmp_path / "new" / "few.npy")
        for words in (
            ("evaluate",),
            ("map",),
            ("generate", "--n", "2"),
            ("recommend", "3"),
            ("encode", data),
            ("cluster", "--name", "b", "reduce.method=pca", "cluster.method=gmm"),
        ):
            said = shell(words[0], elsewhere, *words[1:])
            assert said.code in {0, 1}, said.err
        (elsewhere / "mu.npy").unlink()
        assert f"--outputs '{elsewhere.parent}'" in shell("recommend", elsewhere, "3").complaint
