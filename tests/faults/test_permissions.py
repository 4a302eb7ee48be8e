"""Files that the system does not let us read are not damaged: the message has the system's reason and no --force."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentviz.errors import ReadError, WriteError
from latentviz.runs.files import read_json
from latentviz.runs.regular import damage
from latentviz.shell import process
from tests.faults.test_damage import ARTEFACTS

NOBODY = 65534
REASONS = (
    (13, "permissions"),  # EACCES
    (1, "permissions"),  # EPERM
    (24, "ulimit -n"),  # EMFILE
    (23, "ulimit -n"),  # ENFILE
    (116, "disk or the network"),  # ESTALE
    (5, "disk or the network"),  # EIO
    (110, "disk or the network"),  # ETIMEDOUT
    (12, "memory"),  # ENOMEM
)


@pytest.fixture
def private(treed: Path) -> Iterator[Path]:
    """Returns a copy of the run where another user may go; the test is that user if it would else be root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        run = Path(shutil.copytree(treed, Path(folder) / "outputs" / "small"))
        os.chmod(folder, 0o755)  # noqa: PTH101
        if os.geteuid() != 0:
            yield run
            return
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield run
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_file_that_may_not_be_read(shell, private, digits, name) -> None:
    (private / name).chmod(0)
    words = [digits if word == "DATA" else word for word in ARTEFACTS[name]]
    complaint = shell(*words, "--outputs", private.parent).complaint
    assert f"{name}: cannot be read (Permission denied); check the permissions" in complaint
    assert "damaged" not in complaint
    assert "--force" not in complaint


@pytest.mark.parametrize("name", ["cache", "clusters/default", "checkpoints", "."])
def test_a_folder_that_may_not_be_entered(shell, private, name) -> None:
    (private / name).chmod(0)
    try:
        for words in (("generate", private, "--n", "2"), ("map", private), ("runs",), ("verify", private)):
            said = shell(*words, "--outputs", private.parent)
            assert said.code in {0, 2}, said.err
            assert "Traceback" not in said.err
            assert "makes it again" not in said.err
    finally:
        (private / name).chmod(0o755)


@pytest.mark.parametrize(("number", "advice"), REASONS)
def test_each_reason_of_the_system_has_its_advice(tmp_path: Path, number: int, advice: str) -> None:
    with pytest.raises(ReadError) as caught, damage(tmp_path / "x", "`latentviz fit x --force` makes it again"):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(caught.value)
    assert advice in str(caught.value)
    assert "makes it again" not in str(caught.value)


def test_too_many_open_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(tmp_path, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(ReadError, match="ulimit -n"):
            read_json(tmp_path / "a.json")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (24, "ulimit -n"),  # EMFILE
        (28, "free space"),  # ENOSPC
        (13, "fix the permissions"),  # EACCES
        (30, "--outputs"),  # EROFS
        (116, "disk or the network"),  # ESTALE
        (5, "disk or the network"),  # EIO
        (110, "disk or the network"),  # ETIMEDOUT
        (36, "shorter"),  # ENAMETOOLONG
    ],
)
def test_advice_on_writing_fits_the_reason(number: int, advice: str) -> None:
    error = OSError(number, os.strerror(number), "x")
    for said in (str(WriteError("x", error.strerror)), str(process.refused(error))):
        assert advice in said.replace("outputs=", "--outputs ")
        assert ("free space" in said) == (number in {13, 28, 30})
