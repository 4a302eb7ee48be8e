"""Arguments of Python's functions: a wrong type is one line, and NumPy's numbers are numbers."""

from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.errors import ArgumentError, ConfigError, LatentvizError

WRONG = [
    ("generate", {"n": "3"}, "n"),
    ("generate", {"n": True}, "n"),
    ("generate", {"n": 3.0}, "n"),
    ("generate", {"at": "8,2"}, "at"),
    ("generate", {"at": (1, 2, 3)}, "at"),
    ("generate", {"at": 8}, "at"),
    ("generate", {"between": "ab"}, "between"),
    ("generate", {"between": [None, 1]}, "between"),
    ("generate", {"spread": "wide"}, "spread"),
    ("generate", {"traverse": 1}, "traverse"),
    ("generate", {"vector": -1}, "vector"),
    ("recommend", {"items": [0], "k": "5"}, "k"),
    ("recommend", {"items": [0], "where": 3}, "where"),
    ("cluster", {"reduce": "pca"}, "reduce"),
    ("cluster", {"name": None}, "name"),
    ("cluster", {"force": "no"}, "force"),
    ("map", {"title": 3}, "title"),
    ("map", {"layers": 3}, "layers"),
    ("evaluate", {"outputs": 0}, "outputs"),
    ("export", {"onnx": range(3)}, "onnx"),
    ("encode", {"data": "x", "clustering": np.float32(1)}, "clustering"),
    ("generate", {"like": 0, "spread": 10**400}, "spread"),
    ("generate", {"at": (0, float("nan"))}, "at"),
    ("generate", {"n": 10**30}, "n"),
    ("recommend", {"items": 0, "k": 0}, "k"),
    ("recommend", {"items": 0, "diverse": float("nan")}, "diverse"),
    ("verify", {"outputs": 3}, "outputs"),
    ("annotate", {"annotations": 3}, "annotations"),
]


@pytest.mark.parametrize(("function", "given", "name"), WRONG)
def test_a_wrong_type_is_one_line(mapped: Path, function, given, name) -> None:
    with pytest.raises(ArgumentError) as caught:
        getattr(lv, function)(mapped, **given)
    assert str(caught.value).startswith(f"{name}: must be ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", [3, -1, [None], b"small", object()])
def test_a_run_is_a_path_or_a_name(run) -> None:
    with pytest.raises(ArgumentError, match=r"^run: must be text or a path"):
        lv.open(run)


def test_numbers_of_numpy_and_row_numbers_are_taken(mapped: Path) -> None:
    made = lv.generate(mapped, between=[np.int64(0), 1], steps=np.int32(2), seed=np.uint8(3))
    assert len(made.z) == 4
    assert len(lv.generate(mapped, at=np.zeros(2, np.float32)).z) == 1
    assert len(lv.generate(mapped, like=3, spread=np.float32(0), n=2).z) == 2


def test_methods_are_checked(mapped: Path) -> None:
    run = lv.open(mapped)
    for mistake in (
        lambda: run.clustering(3),
        lambda: run.generate(n="3"),
        lambda: run.recommend(0, k=2).save(3),
        lambda: run.decode([[1, 2], [1]]),
        lambda: lv.LatentMap(trainer=3).fit(np.zeros((40, 3))),
    ):
        with pytest.raises(ValueError, match="must be") as caught:
            mistake()
        assert isinstance(caught.value, LatentvizError)


def test_keys_of_settings_are_texts(mapped: Path) -> None:
    with pytest.raises(ConfigError, match="3: unknown key; allowed here: method"):
        lv.cluster(mapped, reduce={3: 1}, name="keys")  # type: ignore[dict-item]


def test_an_unknown_name_is_pythons_own_error(mapped: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        lv.generate(mapped, m=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("given", [{"labels": "kind"}, {"columns": [1]}, {"model": np.zeros((9, 9))}])
def test_what_is_given_with_data_is_compared_too(given) -> None:
    with pytest.raises(ArgumentError) as caught:
        lv.fit(np.zeros((20, 3)), **given)
    assert str(caught.value).startswith(f"{next(iter(given))}: must be a ")
    assert "\n" not in str(caught.value)
    assert "another object" not in str(caught.value)


def test_a_widget_is_of_a_result_or_a_run() -> None:
    with pytest.raises(LatentvizError, match=r"run: must be .* \(got int\)"):
        lv.widget(5)  # type: ignore[arg-type]
