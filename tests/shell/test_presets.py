"""`preset=quick`: which settings it stands for, where it acts, and that settings that are given go before it."""

import re
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.config import ClusterConfig, read_yaml, validate
from latentviz.config.presets import PRESETS
from latentviz.errors import ConfigError
from latentviz.modalities import MODALITIES, modality
from latentviz.modalities.sources import load_config, preset_settings
from latentviz.runs.run import RunFolder
from tests.conftest import SMALL, write_digits

QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """An .npy file with images of 40×60 pixels."""
    np.save(tmp_path / "large.npy", np.random.default_rng(0).integers(0, 255, (60, 40, 60), np.uint8))
    return tmp_path / "large.npy"


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", MODALITIES)
def test_its_settings_are_valid_and_printed_as_they_can_be_given(shell, tmp_path, kind, name) -> None:
    """The lines of `latentviz config --preset` make the same config as the preset itself."""
    lines = [line.split() for line in shell("config", "--preset", name).out.splitlines()[1:]]
    words = [word for word, *of in lines if of in ([], [f"({kind})"])]
    np.save(tmp_path / "x.npy", np.zeros((9, 9, 9) if kind == "image" else (9, 9)))
    (tmp_path / "x.txt").write_text("a line")
    source = "glyphs" if kind == "joint" else str(tmp_path / ("x.txt" if kind == "text" else "x.npy"))
    both = [shell("config", source, *each).out.splitlines()[2:] for each in (words, [f"preset={name}"])]
    assert [line for line in both[0] if "preset" not in line] == [line for line in both[1] if "preset" not in line]
    assert load_config(source, {"preset": name})[0].preset == name
    validate(ClusterConfig, PRESETS[name].cluster, "the preset")
    fields = modality(kind).config.model_fields
    for section, part in preset_settings(kind, name).items():  # what is its own acts
        known = {} if section == "trainer" else fields[section].annotation.model_fields
        assert all(value != known[key].default for key, value in part.items() if key in known)


def test_a_name_that_does_not_exist(shell, few) -> None:
    for words in (("config", "--preset", "quik"), ("fit", few, "preset=quik"), ("config", few, "preset=quik")):
        assert re.search("preset: .*quick.*default.*best.* Did you mean 'quick'", shell(*words).complaint)
    assert "SOURCE" in shell("config").complaint
    with pytest.raises(ConfigError, match="preset: unknown value 'fast'"):
        lv.fit(few, preset="fast")


def test_given_settings_go_before_it(large) -> None:
    assert load_config(str(large), {"preset": "quick"})[0].data.size == "small"
    assert load_config(str(large), {"preset": "quick", "data": {"size": 16}})[0].data.size == 16
    mine = large.with_name("mine.yaml")
    mine.write_text(f"preset: quick\ndata: {{path: {large}, size: 24}}\n")
    config, _ = load_config(str(mine), {})
    assert (config.preset, config.data.size, config.trainer["max_time"]) == ("quick", 24, "00:00:00:15")
    assert "max_time" not in load_config(str(mine), {"preset": "best"})[0].trainer


def test_a_run_has_the_resolved_values_and_the_name(shell, large, tmp_path) -> None:
    out = ("--outputs", tmp_path / "out")
    assert shell("fit", large, "preset=quick", *SMALL, *QUICK, *out).code == 0
    run = RunFolder(tmp_path / "out/large")
    config, clustering = read_yaml(run.config_file), read_yaml(run.clustering().config_file)
    assert (config["preset"], config["data"]["size"]) == ("quick", [21, 32])
    assert (clustering["preset"], clustering["reduce"]["layouts"]) == ("quick", 1)
    assert {"kl", "log_likelihood"} & {*run.clustering().points().column_names} == {"kl"}
    # Its config repeats it; another preset takes the place of all that it has set.
    again, _ = load_config(str(run.config_file), {})
    assert again.model_dump(mode="json")["data"] == config["data"]
    assert load_config(str(run.config_file), {"preset": "quick"})[0] == again
    best, _ = load_config(str(run.config_file), {"preset": "best"})
    assert (best.preset, best.data.size, best.trainer["max_time"], best.model.stop) == ("best", "auto", None, "limit")
    assert load_config(str(run.config_file), {"preset": "default", "data": {"size": 24}})[0].data.size == 24
    complaint = shell("fit", large, "--resume", "preset=best", "trainer.max_epochs=4", *out).complaint
    assert "--resume cannot change preset" in complaint


def test_a_run_without_one_is_as_before(shell, trained) -> None:
    """Earlier versions read its config, whose settings know no presets."""
    assert "preset" not in read_yaml(trained / "config.yaml")


def test_cluster_takes_it_alone(shell, tmp_path) -> None:
    data = write_digits(tmp_path, 60)
    shell("fit", data, *SMALL, "--outputs", tmp_path)
    layouts = {}
    for name in PRESETS:
        words = ("few", f"preset={name}", "--name", name, "--outputs", tmp_path)
        assert shell("cluster", *words).code == 0
        folder = RunFolder(tmp_path / "few").clustering(name)
        layouts[name] = folder.config().reduce.layouts
        assert "preset" not in folder.info()["config"]
    assert layouts == {"quick": 1, "default": "auto", "best": 7}
    assert lv.cluster("few", name="given", outputs=tmp_path, preset="best", reduce={"layouts": 2}).path.exists()
    assert RunFolder(tmp_path / "few").clustering("given").config().reduce.layouts == 2
