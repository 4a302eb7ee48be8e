"""Runs that somebody sent: every command ends in time, with one line, and touches nothing outside the run."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SMALL, fit_small, write_digits
from tests.hostile import strangers
from tests.hostile.strangers import Plant

LIMIT = 60  # seconds after which a command counts as hanging
QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=2")
# RUN and DATA stand for paths. The first ones read and write between them every file of a run.
COMMANDS: dict[str, tuple[str, ...]] = {
    "runs": ("runs",),
    "verify": ("verify", "RUN"),
    "evaluate": ("evaluate", "RUN"),
    "map": ("map", "RUN"),
    "annotate": ("annotate", "RUN", "FOUND"),
    "encode": ("encode", "RUN", "DATA"),
    "cluster": ("cluster", "RUN", "--name", "b", *QUICK),
    "cluster --force": ("cluster", "RUN", "--force", *QUICK),
    "generate": ("generate", "RUN", "--n", "2", "--sampler", "gmm"),
    "generate --cluster": ("generate", "RUN", "--cluster", "0", "--n", "2"),
    "generate --like": ("generate", "RUN", "--like", "3", "--n", "2"),
    "generate --at": ("generate", "RUN", "--at", "0,0"),
    "generate --traverse": ("generate", "RUN", "--traverse"),
    "recommend": ("recommend", "RUN", "3", "--save", "--where", "cluster == 0"),
    "compare": ("compare", "RUN", "OTHER"),
    "compare as the second": ("compare", "OTHER", "RUN"),
    "export": ("export", "RUN", "--safetensors"),
    "fit --resume": ("fit", "DATA", "--run", "small", "--resume", "trainer.max_epochs=5", *SMALL[1:]),
    "fit --force": ("fit", "DATA", "--run", "small", "--force", "trainer.max_epochs=1", *SMALL[1:]),
}
ALWAYS = ("runs", "verify", "generate --like")  # the others, of all plants, with `make soak`
# Plants that leave a run which is whole, though its settings or its words are odd.
HARMLESS = {
    *("model.width another", "exemplars that do not exist", "no lines", "cluster.on another"),
    *("sweep of nothing", "sweep of odd values", "tree of nothing", "tree that is infinite", "map.title a script"),
    *("regions of items that do not exist", "map.layers unknown", "map.colour_by unknown", "reduce.method unknown"),
    *("probability NaN", "ids of other items", "a lock that is a file of the user", "a link to itself"),
    *("generated is a file", "exported is a file", "clusters is a file"),
    *("data.size too large", "data.channels another", "model.latent_dim another", "model.net another"),
    *("a checkpoint of another model", "a checkpoint that is a list", "a checkpoint of NaN", "images of another size"),
    "a clustering with a name of control characters",
}
PLANTS: dict[str, Plant] = {
    **strangers.RUN_JSON,
    **strangers.CONFIG,
    **strangers.ARRAYS,
    **strangers.CLUSTERINGS,
    **strangers.OTHERS,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data"), 120)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Returns a run with a clustering that has a tree."""
    from latentviz.shell import commands

    folder = fit_small(data, tmp_path_factory.mktemp("sent"), settings=[*SMALL, "trainer.max_epochs=2"])
    commands.cluster(str(folder), ["reduce.method=pca", "cluster.min_cluster_size=10"], outputs=str(folder.parent))
    return folder


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    def hang(*_: object) -> None:
        pytest.fail(f"no end after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(LIMIT * 3)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def watched(folder: Path) -> dict[str, tuple[bytes | None, int]]:
    """Returns the content and the time of everything in a folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in (folder, *sorted(folder.rglob("*")))
    }


def planted(sent: Path, plant: Plant, work: Path) -> tuple[Path, Path]:
    """Returns a copy of the run with something planted, and the folder outside it that is watched."""
    run, outside = Path(shutil.copytree(sent, work / "outputs" / "small")), work / "elsewhere"
    (outside / "empty").mkdir(parents=True)
    (outside / "secret.txt").write_text("years of work")
    plant(run, outside)
    return run, outside


def try_it(shell, sent: Path, data: Path, work: Path, name: str, command: str) -> None:
    run, outside = planted(sent, PLANTS[name], work)
    before = watched(outside)
    found = work / "annotations.json"
    found.write_text('{"names": {"0": "round"}, "merges": {}}', encoding="utf-8")
    other = Path(shutil.copytree(sent, work / "outputs" / "other"))
    meant = {"RUN": run, "OTHER": other, "DATA": data, "FOUND": found}
    words = [meant.get(word, word) for word in COMMANDS[command]]
    said = shell(*words, "--outputs", run.parent)
    assert watched(outside) == before
    assert said.code in {0, 1, 2}, said.err
    assert "Traceback" not in said.err
    if said.code == 2 and command != "verify":
        assert said.complaint
    if command == "verify" and name not in HARMLESS:
        assert said.code == 2, f"{name}: nothing found\n{said.out}"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs devices, pipes and links")
@pytest.mark.parametrize("name", PLANTS)
def test_a_run_that_somebody_sent(shell, sent, data, tmp_path, name) -> None:
    for command in ALWAYS:
        try_it(shell, sent, data, tmp_path / command, name, command)


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", PLANTS)
def test_every_command_on_a_run_that_somebody_sent(shell, sent, data, tmp_path, name, command) -> None:
    try_it(shell, sent, data, tmp_path, name, command)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "name", ["a lock that is a link", "generated is a link", "a checksum of /dev/zero", "mu of NaN"]
)
def test_the_worst_with_every_command(shell, sent, data, tmp_path, name, command) -> None:
    try_it(shell, sent, data, tmp_path, name, command)


def test_a_lock_of_somebody_else_is_not_truncated(shell, sent, tmp_path) -> None:
    run = Path(shutil.copytree(sent, tmp_path / "outputs" / "small"))
    (run / ".clusters-b.lock").write_text("years of work")
    (run.parent / ".new.lock").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "secret.txt").write_text("years of work")
    assert ".clusters-b.lock: not a lock file" in shell("cluster", run, "--name", "b", *QUICK).complaint
    complaint = shell("fit", tmp_path / "few.npy", "data.kind=image", "--run", "new", "--outputs", run.parent).complaint
    assert complaint
    assert (run / ".clusters-b.lock").read_text() == "years of work"
    assert (tmp_path / "secret.txt").read_text() == "years of work"


class TestVerify:
    def test_a_whole_run_has_no_findings(self, shell, sent) -> None:
        from latentviz import verbs

        found = verbs.verify(sent)
        assert found.ok
        assert found.notes == ()
        assert found.files > 8
        assert shell("verify", sent).code == 0

    def test_it_finds_every_damaged_file_at_once(self, shell, sent, tmp_path) -> None:
        run = Path(shutil.copytree(sent, tmp_path / "outputs" / "small"))
        names = ("mu.npy", "items.parquet", "checkpoints/best.ckpt", "clusters/default/tree.npy")
        for name in names:
            content = (run / name).read_bytes()
            (run / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        (run / "notes.md").write_text("mine")
        said = shell("verify", run)
        assert said.code == 2
        assert all(f"{run / name}: damaged" in said.out for name in names), said.out
        assert f"{run / 'notes.md'}: not written by latentviz" in said.out

    def test_a_file_of_the_user_is_no_damage(self, shell, sent, tmp_path) -> None:
        run = Path(shutil.copytree(sent, tmp_path / "outputs" / "small"))
        (run / "notes.md").write_text("mine")
        assert shell("verify", run).code == 0
