"""Every argument of Lightning's Trainer works in a training, or is refused before data are read."""

import inspect
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pytorch_lightning.loggers import CSVLogger

import latentviz as lv
from latentviz.config.trainer import TRAINER_KEYS, TrainerSection
from latentviz.errors import ConfigError, LatentvizError

MODEL = {"latent_dim": 2}
KEYS = [name for name in inspect.signature(pl.Trainer.__init__).parameters if name != "self"]
DEFAULTS = {name: p.default for name, p in inspect.signature(pl.Trainer.__init__).parameters.items() if name != "self"}
# Further processes are started by tests/model/test_distributed.py, and what waits for them would hang here.
ALONE = {"devices", "num_nodes", "strategy"}
HOSTILE = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.sampled_from([0.01, 0.5, 1.0, 1000, 1e308, -1, "auto", "x", "", "none", "simple", "norm", "warn", "64-true"])
    | st.sampled_from(["16-true", "16-mixed", "csv", "learning_rate", "os.system", "00:00:00:01", "tpu", "cpu", "gpu"])
    | st.lists(st.sampled_from(["csv", "none", "learning_rate", 0, -1, None]), max_size=2)
    | st.dictionaries(st.sampled_from(["seconds", "x"]), st.floats(), max_size=2)
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a file with 40 vectors."""
    file: Path = tmp_path_factory.mktemp("data") / "tiny.npy"
    np.save(file, np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    return file


def train(source: object, outputs: Path, **trainer: object) -> lv.Run:
    """Fits for one epoch, unless `trainer` says otherwise."""
    return lv.fit(str(source), outputs=outputs, force=True, model=MODEL, trainer={"max_epochs": 1, **trainer})


def outcome(fit: Callable[[], lv.Run]) -> lv.Run | LatentvizError:
    """Returns the run, or the user's mistake."""
    try:
        return fit()
    except LatentvizError as error:
        return error


def test_each_argument_is_in_the_table() -> None:
    assert set(TRAINER_KEYS) == set(KEYS)


@settings(
    max_examples=int(os.environ.get("LATENTVIZ_EXAMPLES", "25")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.dictionaries(st.sampled_from([key for key in KEYS if key not in ALONE]), HOSTILE, min_size=1, max_size=2))
@example({"limit_val_batches": 0.5, "overfit_batches": 0.01})
@example({"val_check_interval": 1000, "limit_train_batches": 1})
@example({"check_val_every_n_epoch": 2, "val_check_interval": 0.5})
@example({"max_steps": 1, "check_val_every_n_epoch": 2})
@example({"accumulate_grad_batches": 1000, "max_steps": 3})
@pytest.mark.filterwarnings("ignore")
def test_any_value_works_or_is_refused_before_data_are_read(tiny, tmp_path_factory, capsys, trainer) -> None:
    outputs = tmp_path_factory.mktemp("outputs")
    if "max_epochs" in trainer:  # one epoch is enough for what works
        trainer = {**trainer, "max_steps": 1}
    capsys.readouterr()
    found = outcome(lambda: train(tiny, outputs, **trainer))
    if isinstance(found, lv.Run):
        assert np.isfinite(found.mu).all()
        assert found.summary["epochs"] >= 1
    else:
        assert isinstance(found, ConfigError)
        assert any(key in str(found) for key in trainer)
        assert "reading" not in capsys.readouterr().err
        assert not list(outputs.glob("[!.]*"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("max_epochs", value) for value in (1.5, "abc", 0, -5, True, -1)),
        *(("precision", value) for value in ("16-true", "bf16-true", "fp8", "transformer-engine", True)),
        *(("accelerator", value) for value in ("tpu", "tpuu", None)),
        *(("devices", value) for value in (0, -2, [], True, "x")),
        *(("limit_train_batches", value) for value in (0, 0.0, 1.5, -1, True, "x")),
        *(("limit_val_batches", value) for value in (0, 0.0, True)),
        *(("max_time", value) for value in ("x", "00:00:00:00", {"seconds": 0}, {"x": 1}, 5)),
        *(("val_check_interval", value) for value in (0, -1, "x")),
        *(("check_val_every_n_epoch", value) for value in (0, -1)),
        *(("gradient_clip_val", value) for value in (-1, float("nan"), float("inf"), 1e300)),
        *(("accumulate_grad_batches", value) for value in (0, -1, 1.5)),
        *(("min_epochs", value) for value in (5, "x", 0)),
        *(("logger", value) for value in ("os.system", "wandbb", 3, ["csv", 3])),
        *(("callbacks", value) for value in ("os.system", 3, {"a": 1}, pl.Callback)),
        *((name, True) for name in ("barebones", "fast_dev_run", "enable_checkpointing", "enable_progress_bar")),
        *((name, 1) for name in ("limit_test_batches", "limit_predict_batches", "model_registry", "max_epoch")),
        ("num_nodes", 2),
        ("plugins", "x"),
        ("strategy", "x"),
    ],
)
def test_what_is_refused(tiny: Path, tmp_path: Path, capsys, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key.removesuffix("s")):
        train(tiny, tmp_path, **{key: value})
    assert "reading" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "trainer",
    [
        {"precision": "64-true"},
        {"max_epochs": None, "max_steps": 1},
        {"max_epochs": np.int64(1)},
        {"max_time": timedelta(milliseconds=1)},
        {"limit_val_batches": 0.5},
        {"overfit_batches": 0.01},
        {"val_check_interval": 1000},
        {"val_check_interval": "00:00:10:00"},
        {"check_val_every_n_epoch": 2},
        {"accumulate_grad_batches": 1000},
        {"logger": ["csv"], "callbacks": "learning_rate"},
    ],
    ids=str,
)
def test_what_works(tiny: Path, tmp_path: Path, trainer: dict[str, object]) -> None:
    run = train(tiny, tmp_path, **trainer)
    assert run.mu.dtype == np.float32
    lv.generate(run, n=2)
    assert lv.open("tiny", outputs=tmp_path).config["trainer"].keys() == {"max_epochs", *trainer}


@pytest.mark.parametrize("kind", ["image", "text"])
def test_other_kinds_train_in_double_precision(tmp_path: Path, kind: str) -> None:
    if kind == "image":
        np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (40, 8, 8), np.uint8))
    else:
        (tmp_path / "x.txt").write_text("".join(f"the cat number {row} sat\n" for row in range(40)))
    source = tmp_path / ("x.npy" if kind == "image" else "x.txt")
    run = lv.fit(source, outputs=tmp_path, model={"latent_dim": 2}, trainer={"max_epochs": 1, "precision": "64-true"})
    assert run.mu.dtype == np.float32
    assert len(lv.generate(run, n=2).z) == 2


def test_the_same_in_yaml_and_in_the_shell(shell: Callable, tiny: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(yaml.safe_dump({"data": {"kind": "vectors", "path": str(tiny)}, "trainer": {"max_epochs": 1.5}}))
    said = {shell("fit", recipe).complaint, shell("fit", recipe, "trainer.max_epochs=1.5").complaint}
    assert len(said) == 1
    assert "trainer.max_epochs" in said.pop()
    assert shell("fit", recipe, "trainer.max_epochs=1", "trainer.logger=csv", "--outputs", tmp_path / "o").code == 0
    assert (tmp_path / "o" / "mine" / "csv" / "metrics.csv").exists()


class Count(pl.Callback):
    """Counts epochs."""

    def __init__(self) -> None:
        self.epochs, self.metrics = 0, set[str]()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs += 1
        self.metrics |= set(trainer.callback_metrics)


def test_objects_from_python(tiny: Path, tmp_path: Path) -> None:
    """They act; the config names their classes, opens, and is not fitted again without them."""
    count, logger = Count(), CSVLogger(tmp_path / "log", name="", version="mine")
    run = train(tiny, tmp_path / "o", callbacks=[count, "learning_rate"], logger=logger)
    assert count.epochs == 1
    assert {"train_loss", "val_loss"} <= count.metrics
    assert "lr-Adam" in (tmp_path / "log" / "mine" / "metrics.csv").read_text().splitlines()[0]
    kept = run.config["trainer"]
    assert kept["callbacks"] == ["Count, an object from Python", "learning_rate"]
    config = run.path / "config.yaml"
    with pytest.raises(ConfigError, match=r"trainer.callbacks: .*Count.*\n.*trainer.logger: .*CSVLogger"):
        lv.fit(config, outputs=tmp_path / "o", run="again")
    more = {"max_epochs": 2, "callbacks": count, "logger": None}
    assert lv.fit(config, outputs=tmp_path / "o", run="tiny", resume=True, trainer=more).summary["epochs"] == 2
    assert count.epochs == 2
    without = {"callbacks": None, "logger": "none"}  # what the message suggests
    assert lv.fit(config, outputs=tmp_path / "o", run="again", trainer=without).summary["epochs"] == 2


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_whose_package_is_missing(tiny: Path, tmp_path: Path, monkeypatch, name: str) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package == name else find(package))
    with pytest.raises(ConfigError, match=rf"pip install 'latentviz\[{name}\]'"):
        train(tiny, tmp_path, logger=name)


@pytest.mark.parametrize("setting", ["lr=1e20", "c=1e30", "free_bits=1e30"])
def test_numbers_that_overflow(tiny: Path, tmp_path: Path, setting: str) -> None:
    name, value = setting.split("=")
    settings = {"model": {**MODEL, name: float(value)}, "trainer": {"max_epochs": 2}}
    found = outcome(lambda: lv.fit(tiny, outputs=tmp_path, **settings))
    if isinstance(found, lv.Run):
        assert np.isfinite(found.mu).all()
    else:
        assert f"model.{name} ({float(value):g})" in str(found)
        assert len(str(found).splitlines()) == 1


def test_settings_of_the_table_are_described_by_the_schema(shell: Callable) -> None:
    import json

    fit = json.loads(shell("schema").out)["fit"]["oneOf"]
    for branch in fit:
        assert set(branch["properties"]["trainer"]["properties"]) == set(TrainerSection.model_fields)
