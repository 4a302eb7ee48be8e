"""`latentviz tune`: spaces, resuming, pruning, and the best run as a normal one."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentviz as lv
from latentviz.config.space import Choices, Range, grid, parted_space, size
from latentviz.errors import ConfigError, LatentvizError
from latentviz.runs.run import RunFolder
from tests.conftest import SMALL

pytest.importorskip("optuna")

FIXED = [word for word in SMALL if "latent_dim" not in word]
SPACE = ["model.latent_dim=2..9", "model.lr=1e-4,1e-2"]


@pytest.fixture(scope="module")
def tuned(few: Path, tmp_path_factory: pytest.TempPathFactory) -> lv.Tuning:
    """A search of three trials; add trials to it, but change nothing."""
    space = {"model.latent_dim": (2, 9), "model.lr": [1e-4, 1e-2]}
    settings: dict[str, Any] = {"trainer": {"max_epochs": 3}, "model": {"width": 8}, "data": {"batch_size": 64}}
    return lv.tune(str(few), space, trials=3, outputs=tmp_path_factory.mktemp("tune"), run="t", **settings)


class TestSpace:
    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("model.latent_dim=8..64", Range(8, 64)),
            ("model.lr=1e-4..1e-2", Range(1e-4, 1e-2)),
            ("model.lr=0.001..0.01", Range(0.001, 0.01)),
            ("model.contrast=0,300,1000", Choices((0, 300, 1000))),
            ("model.net=conv,mlp", Choices(("conv", "mlp"))),
            ("data.batch_size=64,128", Choices((64, 128))),
            ("trainer.gradient_clip_val=1.5..3", Range(1.5, 3)),
        ],
    )
    def test_words(self, word: str, expected: object) -> None:
        space, fixed = parted_space([word])
        assert list(space.values()) == [expected]
        assert fixed == {}

    def test_a_doubling_counts_the_same_in_a_wide_range_of_positive_numbers(self) -> None:
        assert Range(8, 64).log
        assert Range(1e-4, 1e-2).log
        assert not Range(8, 63).log
        assert not Range(0, 64).log
        assert not Range(-8, 64).log

    def test_one_value_and_lists_of_the_data_are_fixed(self) -> None:
        space, fixed = parted_space(["data.parts=image,caption", "model.width=8", "cluster.n_clusters=5..12"])
        assert space == {}
        assert fixed == {
            "data": {"parts": "image,caption"},
            "model": {"width": 8},
            "cluster": {"n_clusters": "5..12"},
        }

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("model.latent_dim=64..8", "begins with its smaller end"),
            ("model.latent_dim=8..many", "two numbers"),
            ("model.contrast=0,,3", "an empty value"),
            ("model.contrast=0,0", "different texts or numbers"),
            ("model.contrast=0,0.0", "different texts or numbers"),
            ("model.latent_dim=8..", "two dots between"),
            ("model.latent_dim=..8", "two dots between"),
            ("model.latent_dim=", "an empty value"),
            ("model.lr=1e-3...1e-2", "two dots between"),
            ("seed_everything=1,2", "tune searches"),
            ("reduce.n_neighbors=5..30", "tune searches"),
        ],
    )
    def test_mistakes(self, word: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            parted_space([word])

    def test_all_combinations(self) -> None:
        space = {"model.latent_dim": Range(2, 4), "model.net": Choices(("conv", "mlp"))}
        assert size(space) == 6
        assert len({tuple(each.items()) for each in grid(space) or ()}) == 6
        assert math.isinf(size({"model.lr": Range(0.1, 0.2)}))
        assert grid({"model.lr": Range(0.1, 0.2)}) is None


def test_the_best_trial_is_a_normal_run(tuned: lv.Tuning) -> None:
    complete = tuned.trials[tuned.trials["state"] == "complete"]
    best = complete.loc[complete["value"].idxmax()]
    assert tuned.value == best["value"]
    assert {key: best[key] for key in tuned.settings} == tuned.settings
    config = tuned.best.config
    assert config["model"]["latent_dim"] == tuned.settings["model.latent_dim"]
    assert tuned.best.mu.shape == (200, tuned.settings["model.latent_dim"])
    assert tuned.best.verify().ok
    assert str(tuned.best.path) in (tuned.best.path / "config.yaml").read_text().splitlines()[0]
    assert len(tuned.best.recommend([3], k=2).rows) == 2
    outputs = tuned.best.path.parent
    assert [run.name for run in RunFolder.all(outputs)] == ["t"], "other trials leave no run"


def test_the_table_and_the_page_have_every_trial(tuned: lv.Tuning) -> None:
    with (tuned.plot.parent / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == tuned.trials["value"].tolist()
    page = tuned.plot.read_text(encoding="utf-8")
    assert page.count("<tr><td>") == len(rows)
    assert "http" not in page.replace("http-equiv", "")
    assert str(tuned).splitlines()[1].split()[2] == f"{tuned.value:.4g}"


@pytest.mark.parametrize("c", [1.0, 30.0])
def test_the_bound_is_that_at_the_sigma_of_the_residuals_whatever_the_c(c: float) -> None:
    """Against the definition: a Normal with one σ, the root mean square of the residuals."""
    import torch

    from latentviz.evaluation.bound import Bound

    random, numbers = np.random.default_rng(0), 12
    residuals = random.normal(0, 0.3, (500, numbers))
    sigma = 1 / math.sqrt(2 * c)
    normal = torch.distributions.Normal(0.0, sigma)
    watch = Bound(lambda *_: None)
    watch.numbers, watch.log_sigmas = numbers, numbers * math.log(sigma)
    log_likelihood = float(normal.log_prob(torch.from_numpy(residuals)).sum(1).mean())
    own = math.sqrt(float((residuals**2).mean()))
    expected = float(torch.distributions.Normal(0.0, own).log_prob(torch.from_numpy(residuals)).sum(1).mean())
    assert watch.of(log_likelihood, 2.5) == pytest.approx(expected - 2.5, abs=1e-4)


def test_the_bound_of_a_run_is_that_of_its_evaluation(tuned: lv.Tuning) -> None:
    found = tuned.best.evaluate().metrics.health.calibrated
    assert found is not None
    assert tuned.value == pytest.approx(found.elbo, rel=0.2)  # another draw, and σ of other items


def test_more_trials_continue_the_search(tuned: lv.Tuning, few: Path, shell: Callable) -> None:
    outputs = tuned.best.path.parent
    before = tuned.trials["value"].tolist()
    said = shell("tune", few, *SPACE, *FIXED, "--trials", 4, "--outputs", outputs, "--run", "t", "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert [trial["value"] for trial in answer["trials"]][:3] == before
    assert len(answer["trials"]) == 4
    assert "trial 4 of 4" in said.err
    assert "trial 3 of" not in said.err
    assert Path(answer["path"]).is_dir()


def test_a_killed_search_goes_on(few: Path, tmp_path: Path, shell: Callable) -> None:
    """The process ends in the middle of its third training; the journal may end in the middle of a line, too."""
    code = (
        "import os, sys; from latentviz.stages import trials as stage; count = [0]; own = stage.fit\n"
        "def fit(*given, **options):\n"
        "    count[0] += 1\n"
        "    if count[0] == 3: os._exit(9)\n"
        "    return own(*given, **options)\n"
        "stage.fit = fit\n"
        "from latentviz.shell.cli import main; main(sys.argv[1:])"
    )
    words = ["tune", str(few), *SPACE, *FIXED, "--trials", "4", "--outputs", str(tmp_path), "--run", "t"]
    ended = subprocess.run([sys.executable, "-c", code, *words], check=False, capture_output=True, text=True)
    assert ended.returncode == 9, ended.stderr
    with (tmp_path / "t.tune" / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 5, "wor')
    said = shell(*words)
    assert said.code == 0, said.err
    with (tmp_path / "t.tune" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete"] * 4
    assert "trial 1 of" not in said.err
    assert not any((tmp_path / "t.tune" / "trials").iterdir())


def test_each_combination_is_tried_once(few: Path, tmp_path: Path, shell: Callable) -> None:
    words = ["model.latent_dim=2,3", *FIXED, "--trials", 9, "--outputs", tmp_path, "--json"]
    trials = json.loads(shell("tune", few, *words).out)["trials"]
    assert sorted(trial["settings"]["model.latent_dim"] for trial in trials) == [2, 3]


def test_no_combination_is_tried_twice_while_others_are_left(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampler always proposes the same combination; the search takes others, and ends when there are none."""
    from latentviz.stages.trials import Trials

    monkeypatch.setattr(Trials, "_value", lambda *_: 1.0)
    monkeypatch.setattr(Trials, "keep", lambda self, best: RunFolder(self.folder.run(best.number).path))
    monkeypatch.setattr(Trials, "_sweep", lambda _: None)
    import optuna

    monkeypatch.setattr(
        optuna.samplers.TPESampler, "sample_independent", lambda _self, _study, _trial, _name, space: space.choices[0]
    )
    space = {"model.latent_dim": [2, 3], "model.width": [8, 9]}
    trials = lv.tune(str(few), space, trials=3, outputs=tmp_path, run="t").trials
    assert len(trials[["model.latent_dim", "model.width"]].drop_duplicates()) == 3
    assert len(lv.tune(str(few), space, trials=9, outputs=tmp_path, run="t").trials) == 4


def test_a_poor_trial_is_ended_early(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentviz.stages.trials.STARTUP", 1)
    settings: dict[str, Any] = {"trainer": {"max_epochs": 4}, "model": {"width": 8, "latent_dim": 4}}
    found = lv.tune(
        str(few), {"model.lr": [1e-2, 1e-9]}, trials=2, outputs=tmp_path, run="t", data={"batch_size": 64}, **settings
    )
    trials = found.trials.set_index("model.lr")
    assert found.settings == {"model.lr": 1e-2}
    if trials.loc[1e-2, "trial"] == 0:
        assert trials.loc[1e-9, "state"] == "pruned"
        assert trials.loc[1e-9, "epochs"] < 4


def test_a_training_that_fails_is_one_trial_less(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentviz.errors import TrainingError
    from latentviz.stages import trials as stage

    own = stage.fit

    def fit(config: Any, *given: Any, **options: Any) -> Any:
        if config.model.latent_dim == 2:
            raise TrainingError("the loss is not a number")
        return own(config, *given, **options)

    monkeypatch.setattr(stage, "fit", fit)
    settings: dict[str, Any] = {"trainer": {"max_epochs": 1}, "model": {"width": 8}}
    found = lv.tune(str(few), {"model.latent_dim": [2, 3]}, trials=2, outputs=tmp_path, run="t", **settings)
    assert set(found.trials["state"]) == {"complete", "failed"}
    assert "not a number" in " ".join(found.trials["note"])
    with pytest.raises(TrainingError, match="no trial could be trained; the first one: the loss"):
        lv.tune(str(few), {"model.latent_dim": [2]} | {"model.width": [7, 8]}, trials=2, outputs=tmp_path, run="u")


@pytest.mark.slow
def test_the_objective_of_clusters(few: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"trainer": {"max_epochs": 8}, "model": {"width": 8}}
    found = lv.tune(
        str(few), {"model.latent_dim": [2, 4]}, trials=2, objective="clusters", outputs=tmp_path, run="t", **settings
    )
    info = RunFolder(found.best.path).clustering().info()
    expected = (info.get("agreement") or 0) * (info.get("separation") or 0)
    assert found.value == pytest.approx(expected)
    assert found.best.clustering().map.stat().st_size > 10_000


MISTAKES = [
    ((), "nothing to search"),
    (("model.latent_dim=8",), "nothing to search"),
    (("model.latentdim=8..64",), "model.latentdim: unknown key"),
    (("dta=1,2", "model.lr=1e-3,1e-2"), "dta: unknown key.*Did you mean 'data'"),
    (("dta=1..2",), "dta: unknown key"),
    (("model.lr=1e-3,1e-2", "model.lr=1e-3,1e-1"), "model.lr: given twice"),
    (("model.lr=1e-3,1e-2", "model.width=8", "model.width=9"), "model.width: given twice"),
    (("model.latent_dim=0..64",), "model.latent_dim: must be greater than 0|model.latent_dim: must be"),
    (("model.net=conv,cnn",), "model.net: must be"),
    (("model.lr=1e-3..1e-2", "--trials", 0), "--trials: must be 1"),
    (("model.lr=1e-3..1e-2", "--objective", "loss"), "--objective: unknown value 'loss'"),
    (("model.likelihood=normal,bernoulli",), "cannot be compared"),
    (("model.lr=1e-3..1e-2", "reduce.n_neighbors=5..9"), "tune searches"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=lambda value: None)
def test_mistakes_are_one_line(few: Path, tmp_path: Path, shell: Callable, words: tuple, message: str) -> None:
    import re

    complaint = shell("tune", few, *words, "--outputs", tmp_path / "outputs").complaint
    assert re.search(message, complaint), complaint
    assert not (tmp_path / "outputs").exists()


def test_another_search_of_this_name_is_kept(tuned: lv.Tuning, few: Path, tmp_path: Path, shell: Callable) -> None:
    outputs = tuned.best.path.parent
    where = ("--outputs", outputs, "--run", "t")
    assert "searches other settings" in shell("tune", few, "model.lr=1e-4..1e-3", *FIXED, *where).complaint
    assert "another objective" in shell("tune", few, *SPACE, *FIXED, *where, "--objective", "clusters").complaint
    assert "other fixed settings" in shell("tune", few, *SPACE, *FIXED, "model.free_bits=0.1", *where).complaint
    np.save(tmp_path / "few.npy", np.load(few)[:150])
    assert "over other items" in shell("tune", tmp_path / "few.npy", *SPACE, *FIXED, *where).complaint


def test_a_damaged_journal_is_one_line(tuned: lv.Tuning, few: Path, tmp_path: Path, shell: Callable) -> None:
    import shutil

    shutil.copytree(tuned.plot.parent, tmp_path / "t.tune")
    (tmp_path / "t.tune" / "journal.log").write_text('{"op_code": "x"}\nnonsense\n')
    complaint = shell("tune", few, *SPACE, *FIXED, "--outputs", tmp_path, "--run", "t").complaint
    assert "journal.log: damaged" in complaint


def test_without_the_package_the_line_says_what_to_install(
    few: Path, tmp_path: Path, shell: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'latentviz[tune]'" in shell("tune", few, "model.lr=1e-3,1e-2", "--outputs", tmp_path).complaint


def test_a_space_in_python_is_checked(few: Path, tmp_path: Path) -> None:
    with pytest.raises(LatentvizError, match="must be a tuple"):
        lv.tune(str(few), {"model.lr": 3}, outputs=tmp_path)
