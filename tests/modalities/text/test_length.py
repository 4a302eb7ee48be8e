"""How long a training on texts is, and what ends it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentviz.modalities.text.config import TextFitConfig
from latentviz.modalities.text.kind import TextKind
from latentviz.modalities.text.length import epochs, item_seconds, least, mean_length

WORDS = ["red", "green", "small", "large", "old", "new", "house", "tree", "river", "stone"]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 short sentences, and twenty of sixty words, to whose length all are padded."""
    random = np.random.default_rng(0)
    lengths = np.r_[random.integers(5, 9, 1_980), np.full(20, 60)]
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    path.write_text("\n".join(" ".join(random.choice(WORDS, n)) + "." for n in lengths), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("settings", "stop", "limits"),
    [
        ({}, "still", ("max_epochs", "min_epochs")),
        ({"trainer": {"max_epochs": 3}}, "limit", ("max_epochs",)),
        ({"trainer": {"max_steps": 30}}, "limit", ("max_steps",)),
        ({"trainer": {"max_time": "00:00:05:00"}}, "limit", ("max_time", "max_epochs")),
        ({"model": {"patience": 4}}, "limit", ("max_epochs",)),
        ({"model": {"stop": "limit"}}, "limit", ("max_epochs",)),
        ({"model": {"stop": "still"}, "trainer": {"max_epochs": 5}}, "still", ("max_epochs", "min_epochs")),
    ],
)
def test_a_training_ends_by_itself_unless_a_limit_is_given(
    lines: Path, tmp_path: Path, settings: dict[str, Any], stop: str, limits: tuple[str, ...]
) -> None:
    config = TextFitConfig.model_validate({"data": {"path": str(lines), "max_length": 62}, **settings})
    prepared = TextKind.prepare(config, tmp_path)
    found = TextKind.resolve(config, prepared, tmp_path)
    assert found.model.stop == stop
    assert {key for key in found.trainer if key.startswith(("max_", "min_"))} == set(limits)
    tokens = np.load(tmp_path / "tokens.npy")
    n, mean = len(prepared.items.train), mean_length(tokens)
    assert tokens.shape[1] == 62
    assert mean == pytest.approx((tokens != 0).sum(1).mean())
    assert found.model.memory == 256, "the mean length decides, which is below 24"
    if not settings:
        assert found.trainer["max_epochs"] == min(60, round(epochs(n, 62)))
        assert found.trainer["min_epochs"] == min(found.trainer["max_epochs"], round(least(n, mean)))
    assert item_seconds(tokens[:500]).learn < item_seconds(tokens[-20:]).learn / 4, "padding costs nothing"
