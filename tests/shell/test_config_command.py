"""`latentviz config SOURCE` says what `fit` would do: items, batches, epochs, seconds."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latentviz.config import read_yaml
from latentviz.modalities import modality
from latentviz.modalities.sources import load_config


def source(kind: str, folder: Path) -> Path:
    if kind == "image":
        np.save(folder / "i.npy", np.random.default_rng(0).integers(0, 255, (300, 9, 12), np.uint8))
        return folder / "i.npy"
    if kind == "vectors":
        np.save(folder / "v.npy", np.random.default_rng(0).normal(size=(300, 7)))
        return folder / "v.npy"
    (folder / "t.txt").write_text("\n".join(f"the wind of day {row} sings of night {row * 7}" for row in range(300)))
    return folder / "t.txt"


@pytest.mark.parametrize("kind", ["image", "text", "vectors"])
def test_it_says_what_fit_does(shell: Callable, tmp_path: Path, kind: str) -> None:
    path = source(kind, tmp_path)
    outcome = shell("config", path)
    assert outcome.code == 0, outcome.err
    said = re.search(
        r"# 300 items, 270 to learn from, batches of (\d+): (?:up to )?(\d+) epochs of (\d+) steps, "
        r"(about|at most) \d+ (s|min) on",
        outcome.out,
    )
    assert said is not None, outcome.out
    config, _ = load_config(str(path), {})
    heavy = modality(kind).data_kind
    prepared = heavy.prepare(config, tmp_path / "cache")
    resolved = heavy.resolve(config, prepared, tmp_path / "cache")
    assert resolved.trainer["max_epochs"] == int(said[2])
    kind_of_run = heavy.load(resolved, tmp_path / "cache", prepared.items)
    assert len(kind_of_run.training(tmp_path / "cache").batches.train_dataloader()) == int(said[3])
    # It can be saved and fitted: the same settings with the epochs in it.
    (tmp_path / "mine.yaml").write_text(outcome.out)
    again, _ = load_config(str(tmp_path / "mine.yaml"), {})
    model = config.model.model_copy(update={"stop": resolved.model.stop})
    limits = {key: resolved.trainer[key] for key in ("max_epochs", "min_epochs") if key in resolved.trainer}
    assert again == config.model_copy(update={"model": model, "trainer": {**config.trainer, **limits}})


def test_limits_that_the_user_sets_stay(shell: Callable, few: Path) -> None:
    out = shell("config", few, "trainer.max_epochs=3").out
    assert "3 epochs of" in out
    out = shell("config", few, "trainer.max_steps=30").out
    assert "trainer.max_steps, about" in out
    assert "  max_epochs:" not in out


def test_a_source_that_cannot_be_fitted_still_has_a_config_and_says_why(shell: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {kind: image, path: nowhere/}")
    outcome = shell("config", tmp_path / "mine.yaml")
    assert outcome.code == 0
    assert "# `fit` would stop: nowhere" in outcome.out
    (tmp_path / "x.yaml").write_text(outcome.out)
    assert read_yaml(tmp_path / "x.yaml")["trainer"] == {}


def test_nothing_is_downloaded(shell: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {kind: image, path: 'hf:ylecun/mnist'}")
    assert "takes the epochs from the number of items in hf:ylecun/mnist" in shell("config", tmp_path / "mine.yaml").out


def test_its_output_for_texts_can_be_fitted(shell: Callable, tmp_path: Path) -> None:
    """Pydantic applies the bounds of a union's field to each of its types: pydantic/pydantic #10143."""
    out = shell("config", source("text", tmp_path)).out
    assert "max_length: auto" in out
    (tmp_path / "mine.yaml").write_text(out)
    load_config(
        str(tmp_path / "mine.yaml"), {"model": {"memory": "auto", "lag": "auto"}, "data": {"max_length": "auto"}}
    )
