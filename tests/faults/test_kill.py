"""Commands that are killed with SIGKILL: what they leave is whole or not there, and running them again finishes."""

import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from latentviz.runs.files import TEMPORARY
from tests.conftest import SMALL
from tests.faults.conftest import KILLED, LOST
from tests.faults.shells import UNDISTURBED, Conditions, Ended, finish, shell, start, until

FIT = (*SMALL, "trainer.max_epochs=4", "--run", "small")
QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")
# What follows from config and data alone, so that an undisturbed run has the same bytes.
REPEATABLE = (
    "items.parquet",
    "mu.npy",
    "logvar.npy",
    "metrics.csv",
    "config.yaml",
    "cache/images.npy",
    "clusters/*/points.parquet",
    "clusters/*/coordinates.npy",
    "clusters/*/neighbours.npy",
    "clusters/*/config.yaml",
    "generated/*/*",
    "encoded/*/mu.npy",
    "encoded/*/points.parquet",
    "compared/*/items.parquet",
)
SOAK = 4  # random moments a command

# The stages by the command that goes through them; each begins where the one before it is done.
COMMANDS: dict[str, tuple[str, ...]] = {
    "fit": ("fit", "DATA", *FIT),
    "fit --force": ("fit", "DATA", *FIT, "model.latent_dim=3", "--force"),
    "cluster": ("cluster", "small", *QUICK),
    "cluster --force": ("cluster", "small", *QUICK, "cluster.n_clusters=2", "--force"),
    "generate": ("generate", "small", "--name", "drawn", "--n", "9"),
    "generate --force": ("generate", "small", "--name", "drawn", "--n", "9", "--seed", "1", "--force"),
    "encode": ("encode", "small", "DATA", "--name", "new"),
    "map": ("map", "small", "title=again"),
    "cluster --name": ("cluster", "small", "--name", "four", *QUICK[:-1], "cluster.n_clusters=4"),
    "compare": ("compare", "small", "--clusterings", "default", "four", "--name", "both"),
}


def run(work: Path, command: str, data: Path, conditions: Conditions = UNDISTURBED) -> Ended:
    return shell(work, *(data if word == "DATA" else word for word in COMMANDS[command]), conditions=conditions)


def bytes_of(work: Path) -> dict[str, bytes]:
    """Returns every file that must be repeated byte for byte."""
    folder = work / "outputs" / "small"
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for pattern in REPEATABLE
        for file in folder.glob(pattern)
        if file.is_file() and "/." not in file.as_posix()
    }


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> dict[str, tuple[Path, Path, Ended]]:
    """Returns for each command the folder before it, the folder after it, undisturbed, and how it ended."""
    top = tmp_path_factory.mktemp("undisturbed")
    found: dict[str, tuple[Path, Path, Ended]] = {}
    before = top / "0" / "work"
    before.mkdir(parents=True)
    for number, command in enumerate(COMMANDS, 1):
        if command == "cluster":  # go on from the first fit
            before = found["fit"][1]
        after = top / str(number) / "work"
        shutil.copytree(before, after)
        ended = run(after, command, digits)
        assert ended.code == 0, ended.err
        found[command] = before, after, ended
        before = after
    return found


def kill(
    states: dict[str, tuple[Path, Path, Ended]], command: str, data: Path, work: Path, conditions: Conditions
) -> None:
    """Kills a command, looks at what it left, and runs it again."""
    before, after, _ = states[command]
    shutil.copytree(before, work, dirs_exist_ok=True)
    old, new = bytes_of(before), bytes_of(after)
    killed = run(work, command, data, conditions)
    if killed.code == 0:
        return  # it was done before the moment came
    KILLED[command] += 1
    try:
        assert killed.code == -9, killed.err
        whole(work, old, new)
        finished(work, command, data)
        assert bytes_of(work) == new
        assert leftovers(work) == []
    except AssertionError:
        LOST.append(f"{command}, {conditions}")
        raise


def whole(work: Path, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Asserts that whatever has an artefact's name is the old one or the new one, byte for byte."""
    for name, content in bytes_of(work).items():
        if name == "metrics.csv":  # grows by a line an epoch
            assert new[name].startswith(content) or content == old.get(name), name
        else:
            assert content in (old.get(name), new.get(name)), f"{name} is neither the old one nor the new one"


def finished(work: Path, command: str, data: Path) -> None:
    """Does what the user would: the same again, and where that is refused, what the refusal says."""
    again = run(work, command, data)
    if again.code == 2:
        option = re.search(r"--(resume|force)", again.complaint)
        assert option, again.err
        words = [data if word == "DATA" else word for word in COMMANDS[command] if word != "--force"]
        again = shell(work, *words, option[0])
        if again.code == 2 and re.search("this run has finished|epochs already", again.complaint):
            # It was killed behind its last act.
            again = shell(work, "evaluate", "small", "--json")
            assert "Traceback" not in again.err
            return
    assert again.code == 0, again.err


def leftovers(work: Path) -> list[str]:
    """Returns the half-written files and the locks that nobody cleared away."""
    return [
        str(path)
        for path in work.rglob(".*")
        if TEMPORARY.fullmatch(path.name) or path.suffix in {".lock", ".replaced"}
    ]


def moments(steps: int, count: int) -> Sequence[int]:
    """Returns numbers of steps that lie evenly between the first and the last."""
    return sorted({round(1 + share * (steps - 1)) for share in np.linspace(0, 1, count)})


@pytest.mark.parametrize(
    ("command", "share"),
    [
        ("fit", 0.08),
        ("fit", 0.6),
        ("fit", 0.97),
        ("fit --force", 0.1),
        ("cluster", 0.5),
        ("cluster --force", 0.85),
        ("generate --force", 0.99),
        ("encode", 0.7),
        ("compare", 0.9),
    ],
)
def test_a_killed_command_is_run_again(states, digits, work, command, share) -> None:
    kill(states, command, digits, work, Conditions(step=max(1, round(share * states[command][2].steps))))
    assert KILLED[command], "it was killed"


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_before_each_of_many_changes_on_the_disk(states, digits, tmp_path, command) -> None:
    for number in moments(states[command][2].steps, 10):
        kill(states, command, digits, tmp_path / str(number) / "work", Conditions(step=number))


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_random_moments(states, digits, tmp_path, command) -> None:
    moment = random.Random(command)
    for number in range(SOAK):
        seconds = moment.uniform(0.05, 0.95) * states[command][2].seconds
        kill(states, command, digits, tmp_path / str(number) / "work", Conditions(seconds=seconds))


@pytest.mark.soak
@pytest.mark.parametrize("stage", ["neighbours …", "reducing …", "clustering …", "drawing …", "writing the map …"])
def test_killed_in_each_stage_of_clustering_with_umap(states, tmp_path, stage) -> None:
    """UMAP and HDBSCAN are compiled and slow: here the stage is waited for."""
    before = states["cluster"][0]
    words = ("cluster", "small")
    outcomes = []
    for name in ("undisturbed", "killed"):
        work = tmp_path / name / "work"
        shutil.copytree(before, work)
        if name == "killed":
            process, log = start(work, *words)
            until(stage, log)
            finish(process, log, seconds=0.02)
            KILLED["umap"] += 1
        assert shell(work, *words).code == 0
        outcomes.append(bytes_of(work))
    if outcomes[0] != outcomes[1]:
        LOST.append(f"cluster with UMAP, {stage}")
    assert outcomes[0] == outcomes[1]


def test_a_run_killed_by_force_is_not_lost(states, digits, work) -> None:
    """A fit that was to replace a finished run and was killed while it read: the finished run is there as before."""
    before, _, ended = states["fit --force"]
    shutil.copytree(before, work, dirs_exist_ok=True)
    killed = run(work, "fit --force", digits, Conditions(step=max(4, round(0.05 * ended.steps))))
    assert killed.code == -9
    assert not (work / "outputs" / "small" / "run.json").exists(), "the moment was meant to lie behind the renaming"
    assert shell(work, "evaluate", "small", "--json").code in {0, 1}
    assert bytes_of(work) == bytes_of(before)


def test_points_are_read_back_whole(states) -> None:
    """What the comparisons above compare is really there."""
    after = states["cluster"][1] / "outputs" / "small"
    assert pq.read_table(after / "clusters" / "default" / "points.parquet").num_rows == 120
    names = set(bytes_of(states["encode"][1]))
    assert {
        "mu.npy",
        "cache/images.npy",
        "clusters/default/points.parquet",
        "generated/drawn/sheet.png",
        "encoded/new/mu.npy",
    } <= names
