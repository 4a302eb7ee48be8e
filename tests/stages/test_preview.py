"""Maps that are drawn while a training goes on: when, of what, and that nothing else changes by them."""

import base64
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.model import preview
from latentviz.runs.files import TEMPORARY
from latentviz.runs.ours import foreign
from latentviz.runs.run import RunFolder
from latentviz.stages.preview import Drawing, draw
from tests.conftest import SMALL

SETTINGS = {"model": {"latent_dim": 4, "width": 8}, "data": {"batch_size": 64}, "trainer": {"max_epochs": 3}}


class Recorded(Drawing):
    """Writes down what is to be drawn."""

    asked: list[tuple[np.ndarray, np.ndarray, str]]

    def begin(self, rows: np.ndarray, mu: np.ndarray, line: str) -> None:
        self.run.preview_file.write_text("a map")
        self.asked.append((rows, mu, line))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray, str]]:
    monkeypatch.setattr(Recorded, "asked", [], raising=False)
    monkeypatch.setattr("latentviz.stages.preview.Drawing", Recorded)
    return Recorded.asked


class Seconds:
    """A clock that goes a second with each look; `model.preview` looks once a batch, and while it encodes."""

    def __init__(self) -> None:
        self.now = 0

    def perf_counter(self) -> int:
        self.now += 1
        return self.now


def test_they_are_asked_for_at_doubling_times_and_change_nothing(few, trained, tmp_path, monkeypatch, asked) -> None:
    monkeypatch.setattr(preview, "time", Seconds())
    run = lv.fit(few, run="small", outputs=tmp_path, **SETTINGS, preview=4)
    batches = 3 * 8
    assert 2 <= len(asked) <= np.log2(batches / 4) + 1
    for rows, mu, line in asked:
        assert (mu.shape, mu.dtype, len(rows)) == ((len(rows), 4), np.float32, 200)
        assert (np.diff(rows) > 0).all()
        assert re.fullmatch(r"training: epoch [123], \d+%; this is a preview of 200 items", line)
    assert not np.array_equal(asked[0][1], asked[-1][1])
    for name in ("mu.npy", "logvar.npy", "metrics.csv", "items.parquet"):
        assert (run.path / name).read_bytes() == (trained / name).read_bytes()
    assert "preview" in run.config
    assert not run._folder.preview_file.exists()


@pytest.mark.parametrize("words", [{"preview": 0}, {"preview": 1e9}, {}])
def test_there_are_none_of_short_trainings_or_if_they_are_not_wanted(few, tmp_path, asked, words) -> None:
    lv.fit(few, outputs=tmp_path, **SETTINGS, **words)
    assert asked == []


def test_fewer_items_are_shown_where_encoding_takes_long(few, tmp_path, monkeypatch, asked) -> None:
    monkeypatch.setattr(preview, "time", Seconds())
    monkeypatch.setattr(preview, "AT_ONCE", 50)
    lv.fit(few, outputs=tmp_path, **SETTINGS, preview=4)
    assert {len(rows) for rows, *_ in asked} == {100}


def test_a_run_that_is_trained_for_longer_keeps_its_map_and_has_none(few, run_folder, monkeypatch, asked) -> None:
    monkeypatch.setattr(preview, "time", Seconds())
    more = {"trainer": {"max_epochs": 5}, "preview": 4}
    run = lv.fit(few, run="small", outputs=run_folder.parent, resume=True, **more)
    assert (run.summary["epochs"], asked) == (5, [])


def meta_of(page: Path) -> dict:
    """The description inside a map."""
    text = re.search(r'id="lv-meta">([^<]*)<', page.read_text(encoding="utf-8"))[1]
    return json.loads(gzip.decompress(base64.b64decode(text)))


def test_it_is_a_map_of_the_given_items(trained, tmp_path, run_folder) -> None:
    run, rows = RunFolder(run_folder), np.arange(0, 200, 2)
    draw(run, rows, np.load(run.mu_file)[rows], "training: epoch 3")
    meta = meta_of(run.preview_file)
    assert (meta["title"], meta["points"]["count"]) == ("small", 100)
    told = meta["preview"]
    assert (told["line"], told["final"]) == ("training: epoch 3", "clusters/default/map.html")
    assert f'width="{told["stamp"]}"' in (run_folder / told["mark"]).read_text()
    assert foreign(run_folder) == []  # `--force` may replace the run, and `verify` knows the files
    assert lv.verify(run_folder).ok


def drawn(drawer: Drawing, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not drawer.check():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_a_process_draws_it_and_says_so_once(run_folder, capsys, monkeypatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("latentviz.stages.preview.in_browser", opened.append)
    drawer, mu = Drawing(RunFolder(run_folder), show=True), np.load(run_folder / "mu.npy")
    for _ in range(2):
        drawer.begin(np.arange(200), mu, "training: epoch 1")
        drawn(drawer)
    assert capsys.readouterr().err.count(str(run_folder / "preview.html")) == 1
    assert opened == [run_folder / "preview.html"]
    assert not [file for file in run_folder.iterdir() if TEMPORARY.fullmatch(file.name)]


@pytest.mark.slow
def test_what_cannot_be_drawn_is_said_once_and_the_training_goes_on(run_folder, capsys) -> None:
    drawer = Drawing(RunFolder(run_folder), show=False)
    for _ in range(2):
        drawer.begin(np.arange(100, 300), np.zeros((200, 4), np.float32), "rows that do not exist")
        drawn(drawer)
    said = capsys.readouterr().err
    assert said.count("warning: no preview could be drawn") == 1
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_kill_ends_what_draws_and_the_run_goes_on(few, tmp_path, shell: Callable) -> None:
    words = ["fit", str(few), *SMALL, "--outputs", str(tmp_path), "--run", "small"]
    fit = subprocess.Popen(
        [sys.executable, "-m", "latentviz", *words, "preview=0.1", "trainer.max_epochs=10000"],
        stderr=subprocess.DEVNULL,
        cwd=Path(lv.__file__).parents[1],
    )
    run, end = tmp_path / "small", time.monotonic() + 120
    while not (items := [file for file in run.glob(".preview.html*") if TEMPORARY.fullmatch(file.name)]):
        assert time.monotonic() < end
        time.sleep(0.02)
    while not any(run.glob("checkpoints/*")):
        time.sleep(0.02)
    fit.send_signal(signal.SIGKILL)
    fit.wait()
    while (
        subprocess.run(["pgrep", "-f", re.escape(str(items[0]))], stdout=subprocess.DEVNULL, check=False).returncode
        == 0
    ):
        assert time.monotonic() < end + 60
        time.sleep(0.1)
    more = len((run / "metrics.csv").read_text().splitlines()) + 1
    outcome = shell(*words, "--resume", "preview=0", f"trainer.max_epochs={more}")
    assert outcome.code == 0, outcome.err
    assert not [file for file in run.iterdir() if "preview" in file.name]
