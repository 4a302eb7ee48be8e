"""The memory and time that commands estimate before they start, and when they refuse."""

from collections.abc import Callable
from pathlib import Path

import pytest

from latentviz import resources
from latentviz.config import ClusterConfig
from latentviz.errors import ResourceError

GB = 1e9
MILLION = (1_000_000, 16)


def having(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(resources, "available", lambda: gigabytes * GB)


def settings(**reduce: object) -> ClusterConfig:
    return ClusterConfig.model_validate({"reduce": reduce})


def group(folder: Path, limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def test_the_tightest_of_the_nested_groups_counts(tmp_path: Path) -> None:
    group(tmp_path / "outer", "max", 10, 0)
    group(tmp_path / "outer" / "inner", "1000", 400, 100)
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n")
    assert resources._groups(tmp_path, own) == [700.0]
    group(tmp_path / "outer", "500", 300, 0)
    assert min(resources._groups(tmp_path, own)) == 200.0
    assert resources._groups(tmp_path, tmp_path / "none") == []


def test_the_kernels_word_or_all_there_is(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable:   40 kB\n")
    assert resources._machine(meminfo) == 40 * 1024
    assert resources._machine(tmp_path / "none") > 1e6
    assert resources.available() > 1e6


def test_auto_lays_out_all_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, 64)
    assert resources.cluster(settings(), (150_000, 16), 784) == 0
    assert resources.cluster(settings(), MILLION, 784) == 120_000
    assert resources.cluster(settings(landmarks=0), MILLION, 784) == 0
    assert resources.cluster(settings(landmarks=7_000), MILLION, 784) == 7_000
    for size in (60_000, 30_000, 15_000):
        most = max(need.memory for need in resources.cluster_needs(*MILLION, size, size, 3, 784))
        having(monkeypatch, 1.001 * most / resources.SPARE / GB)
        assert resources.cluster(settings(), MILLION, 784) >= size, "a setting that fits is found"


def test_what_does_not_fit_is_refused_with_the_setting_that_would(monkeypatch: pytest.MonkeyPatch) -> None:
    most = max(need.memory for need in resources.cluster_needs(*MILLION, 120_000, 30_000, 3, 784))
    having(monkeypatch, 1.2 * most / GB)
    with pytest.raises(
        ResourceError,
        match=r"memory: .*needs about [\d.]+ GB.*reduce\.landmarks=\d+.*check_memory=false",
    ):
        resources.cluster(settings(landmarks=0), MILLION, 784)
    assert resources.cluster(settings(landmarks=0).model_copy(update={"check_memory": False}), MILLION, 784) == 0
    having(monkeypatch, 0.2)
    with pytest.raises(ResourceError, match="take fewer items"):
        resources.cluster(settings(), (1_000, 16), 784)


def test_more_items_never_need_less() -> None:
    for stage in range(4):
        needs = [resources.cluster_needs(n, 16, n, n, 3, 784)[stage] for n in (1_000, 10_000, 100_000, 1_000_000)]
        assert [need.memory for need in needs] == sorted(need.memory for need in needs)
        assert needs[0].seconds < needs[-1].seconds
    small, large = (resources.fit_needs(10_000, 784, batch, 10**6, 1e6, None, 300)[0].memory for batch in (256, 4096))
    assert small < large


def test_small_data_hear_nothing_and_large_data_each_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, 64)
    resources.cluster(settings(), (5_000, 16), 784)
    assert capsys.readouterr().err == ""
    resources.cluster(settings(), MILLION, 784)
    said = capsys.readouterr().err
    assert said.startswith("cluster of 1,000,000 items, about: neighbours ")
    assert "placing the others" in said
    assert len(said.splitlines()) == 1


def test_the_shell_refuses_in_one_line(
    monkeypatch: pytest.MonkeyPatch, shell: Callable, run_folder: Path, few: Path, tmp_path: Path
) -> None:
    having(monkeypatch, 0.2)
    assert "memory: " in shell("cluster", run_folder).complaint
    assert not (run_folder / "clusters" / "default" / "clusters.json").exists()
    complaint = shell("fit", few, "--outputs", tmp_path / "new", "trainer.max_epochs=1").complaint
    assert "GB are available" in complaint
    assert "--force" not in complaint


def test_a_kind_may_say_itself_how_long_its_items_take() -> None:
    by_bytes = resources.fit_needs(1000, 24, 128, 10_000, 5000.0)
    own = resources.fit_needs(1000, 24, 128, 10_000, 5000.0, (0.001, 0.0002))
    assert [need.seconds for need in own] == pytest.approx([5.0, 0.2])
    assert [need.memory for need in own] == [need.memory for need in by_bytes]
    assert own[0].seconds > by_bytes[0].seconds
