"""What the tests share: small real data, the shell's side in this process, and one run that many tests look at."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# The tests compile what they need themselves; a process in the background would outlive them.
os.environ["LATENTVIZ_COMPILE_AHEAD"] = "0"

# A training of about a second. The latent space of so few epochs is poor, and no test here asks for more.
SMALL = ("trainer.max_epochs=3", "model.latent_dim=4", "model.width=8", "data.batch_size=64")


class Outcome(NamedTuple):
    """What a command left behind in the shell."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that a user's mistake is told in, without `latentviz: `; anything else fails the test."""
        assert self.code == 2, f"exit code {self.code}\n{self.err}"
        assert self.out == "", "a mistake leaves nothing on standard output"
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("latentviz: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip("\n").endswith(lines[0]), "the complaint is the last thing that is said"
        return lines[0].removeprefix("latentviz: ")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Returns a function that runs `latentviz WORDS…` in this process, as the shell would."""
    from latentviz.shell.cli import main

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as ending:  # argparse's way out
            code = int(ending.code or 0)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


def write_digits(folder: Path, n: int, name: str = "few.npy") -> Path:
    """Returns an .npy file with the first n of scikit-learn's digits, uint8 (n, 8, 8)."""
    from sklearn.datasets import load_digits

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / name, (load_digits().images[:n] * 15).astype(np.uint8))
    return folder / name


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns an .npy file with 200 digits."""
    return write_digits(tmp_path_factory.mktemp("data"), 200)


def write_labelled_digits(folder: Path) -> Path:
    """Returns an .npz file with the first 200 of scikit-learn's digits and their labels."""
    from sklearn.datasets import load_digits

    digits, file = load_digits(), folder / "digits.npz"
    np.savez(file, images=(digits.images[:200] * 15).astype(np.uint8), labels=digits.target[:200])
    return file


def fit_small(source: object, outputs: Path, *words: str, settings: Sequence[str] = SMALL) -> Path:
    """Returns the folder of a new, small run."""
    from latentviz.shell import commands

    commands.fit(str(source), settings, outputs=str(outputs), run="small", **dict.fromkeys(words, True))
    return outputs / "small"


def reseal(run: Path) -> None:
    """Puts the checksums of a run's files as they are now into its run.json, as somebody with a purpose could."""
    from latentviz.runs.run import RunFolder

    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    RunFolder(run).write_info({key: value for key, value in info.items() if key not in {"crc32", "checksums"}})


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, few: Path) -> Path:
    """Returns the folder of a finished run on 200 digits; nobody may change it."""
    return fit_small(few, tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run_folder(trained: Path, tmp_path: Path) -> Path:
    """Returns a copy of the finished run under `tmp_path`, to damage and to cluster."""
    return Path(shutil.copytree(trained, tmp_path / "outputs" / "small"))


@pytest.fixture(scope="session")
def mapped(tmp_path_factory: pytest.TempPathFactory, few: Path) -> Path:
    """Returns the folder of a run that has learnt something, clustered without UMAP; add to it, but change nothing."""
    from latentviz.shell import commands

    folder = fit_small(few, tmp_path_factory.mktemp("mapped"), settings=[*SMALL, "trainer.max_epochs=15"])
    settings = ["reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3"]
    commands.cluster(str(folder), settings, outputs=str(folder.parent))
    return folder
