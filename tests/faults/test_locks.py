"""Two commands that want to write the same: the second is refused, and a dead one's lock is nobody's."""

import multiprocessing
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from latentviz.errors import RunError
from latentviz.runs.lock import held
from latentviz.runs.run import RunFolder
from tests.conftest import SMALL, fit_small
from tests.faults.shells import finish, shell, start, until

QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Path:
    """Returns the folder that a small run lies in, as `outputs/small`."""
    work = tmp_path_factory.mktemp("done")
    fit_small(digits, work / "outputs", settings=[*SMALL, "trainer.max_epochs=2"])
    return work


def test_a_second_fit_into_one_run_is_refused_and_goes_on_when_the_first_has_died(work, digits) -> None:
    words = ("fit", digits, *SMALL, "trainer.max_epochs=20", "--run", "small")
    first, log = start(work, *words)
    until("epoch 1/", log)
    os.kill(first.pid, signal.SIGSTOP)
    for option in ("--force", "--resume"):
        complaint = shell(work, *words, option).complaint
        assert re.search(
            rf"in use by `latentviz fit` \(process {first.pid} on {re.escape(os.uname().nodename)}, since "
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)",
            complaint,
        ), complaint
    assert first.is_alive(), "nothing befell the first one"
    os.kill(first.pid, signal.SIGKILL)
    assert finish(first, log).code == -9
    second = shell(work, *words, "--resume")
    assert second.code == 0, second.err
    assert f"taken over from `latentviz fit` (process {first.pid} " in second.err


def test_two_clusterings_into_one_name(done, work) -> None:
    shutil.copytree(done, work, dirs_exist_ok=True)
    both = [start(work, "cluster", "small", *QUICK) for _ in range(2)]
    ended = sorted((finish(*one) for one in both), key=lambda one: one.code)
    assert [one.code for one in ended] == [0, 2]
    assert re.search("in use by `latentviz cluster` .process|exists already", ended[1].complaint)
    assert shell(work, "evaluate", "small").code in {0, 1}


def test_a_clustering_that_is_held_is_refused_by_name_only(done, work) -> None:
    shutil.copytree(done, work, dirs_exist_ok=True)
    with RunFolder(work / "outputs" / "small").clustering("a").held("cluster"):
        complaint = shell(work, "cluster", "small", "--name", "a", *QUICK).complaint
        assert f"in use by `latentviz cluster` (process {os.getpid()} " in complaint
        assert shell(work, "cluster", "small", "--name", "b", *QUICK).code == 0
    assert shell(work, "cluster", "small", "--name", "a", *QUICK).code == 0


def test_a_run_that_is_replaced_while_it_is_clustered(done, work, digits) -> None:
    """The clustering of the old latents must not end up in the new run."""
    shutil.copytree(done, work, dirs_exist_ok=True)
    clustering, log = start(work, "cluster", "small", "cluster.n_clusters=3", "cluster.method=gmm")
    until("neighbours …", log)
    assert shell(work, "fit", digits, *SMALL, "trainer.max_epochs=1", "--run", "small", "--force").code == 0
    ended = finish(clustering, log)
    if ended.code == 2:
        assert "replaced the run" in ended.complaint
    clusters = work / "outputs" / "small" / "clusters" / "default" / "clusters.json"
    assert (ended.code == 0) == clusters.exists() or not clusters.exists()


def test_an_earlier_result_is_not_replaced_by_one_that_took_longer(done, work) -> None:
    shutil.copytree(done, work, dirs_exist_ok=True)
    run = RunFolder(work / "outputs" / "small")

    def slower() -> None:
        with run.adding("generated", "x", "x") as slow:
            (slow.path / "a.txt").write_text("slow")
            with run.adding("generated", "x", "x") as quick:
                (quick.path / "a.txt").write_text("quick")

    with pytest.raises(RunError, match="taken meanwhile"):
        slower()
    assert (work / "outputs" / "small" / "generated" / "x" / "a.txt").read_text() == "quick"


def _count_up(lock: Path, number: Path) -> None:
    done = 0
    while done < 40:
        try:
            with held(lock, "test", lock):
                value = int(number.read_text())
                number.write_text(str(value + 1))
                done += 1
        except RunError:
            continue


def test_of_many_processes_one_holds_a_lock_at_a_time(tmp_path) -> None:
    """Though each removes the file when it lets go: a count that all raise is raised by every one of them."""
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_count_up, args=(tmp_path / "lock", tmp_path / "number")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "number").read_text() == "160"
    assert not (tmp_path / "lock").exists()


class TestClock:
    """The clock was set back, or a folder was copied: the newest run is the one that was made last."""

    def test_the_last_fit_is_the_newest_run(self, work, digits) -> None:
        for name in ("first", "second"):
            assert shell(work, "fit", digits, *SMALL, "trainer.max_epochs=1", "--run", name).code == 0
            os.utime(work / "outputs" / name / "config.yaml", (4e9, 4e9))  # in the year 2096
        assert shell(work, "fit", digits, *SMALL, "trainer.max_epochs=1", "--run", "third").code == 0
        assert RunFolder.open(None, work / "outputs").name == "third"
        said = shell(work, "cluster", *QUICK)
        assert "third/clusters/default/map.html" in said.out

    def test_the_last_clustering_comes_first(self, done, work) -> None:
        shutil.copytree(done, work, dirs_exist_ok=True)
        run = RunFolder(work / "outputs" / "small")
        assert shell(work, "cluster", "small", "--name", "a", *QUICK).code == 0
        os.utime(run.clustering("a").info_file, (4e9, 4e9))
        assert shell(work, "cluster", "small", "--name", "b", *QUICK).code == 0
        assert run.clusterings == ["b", "a"]
