"""`import latentviz as lv`: the shell's verbs, words and defaults."""

import inspect

import numpy as np
import pytest

import latentviz as lv
from latentviz.errors import ConfigError, LatentvizError
from latentviz.shell import commands

SETTINGS = {"model": {"latent_dim": 4, "width": 8}, "data": {"batch_size": 64}, "trainer": {"max_epochs": 3}}


def test_the_package_names_its_verbs() -> None:
    assert (
        set(dir(lv))
        == set(lv.__all__)
        == {"fit", "cluster", "redraw", "evaluate", "generate", "encode", "export", "Run", "Result", "Evaluation"}
    )
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = lv.fitt


def test_the_verbs_stay_verbs_when_the_modules_of_their_names_are_imported() -> None:
    import importlib

    importlib.import_module("latentviz.stages.fit")
    importlib.import_module("latentviz.clustering.clusterers")
    assert inspect.isfunction(lv.fit)
    assert inspect.isfunction(lv.cluster)


def test_fit_does_what_the_shell_does(few, trained, tmp_path) -> None:
    run = lv.fit(few, run="small", outputs=tmp_path, **SETTINGS)
    assert run.path == tmp_path / "small"
    assert (run.path / "mu.npy").read_bytes() == (trained / "mu.npy").read_bytes()


def test_cluster_does_what_the_shell_does(run_folder, shell) -> None:
    shell("cluster", "small", "reduce.method=pca", "--name", "shell", "--outputs", run_folder.parent)
    result = lv.cluster("small", name="python", outputs=run_folder.parent, reduce={"method": "pca"})
    points = [(run_folder / "clusters" / name / "points.parquet").read_bytes() for name in ("shell", "python")]
    assert points[0] == points[1]
    assert result.run.path == run_folder
    assert result.mu.shape == (200, 4)
    assert len(result.points) == 200
    assert result.labels.dtype == np.int32
    assert result.labels.tolist() == result.points["cluster"].tolist()
    assert result.map == run_folder / "clusters" / "python" / "map.html"


def test_a_notebook_shows_the_map(run_folder) -> None:
    result = lv.cluster(lv.Run(run_folder), reduce={"method": "pca"}, cluster={"method": "gmm"})
    html = result._repr_html_()
    assert html.startswith("<iframe")
    assert html.endswith("</iframe>")


def test_dotted_keys_and_sections_mean_the_same(run_folder) -> None:
    both = [
        lv.cluster(run_folder, name=name, **settings).points
        for name, settings in (
            ("a", {"reduce": {"method": "pca"}, "cluster": {"method": "gmm"}}),
            ("b", {"reduce.method": "pca", "cluster.method": "gmm"}),
        )
    ]
    assert both[0].equals(both[1])


def test_mistakes_are_latentviz_errors(tmp_path, run_folder) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'latent_dim'"):
        lv.fit("digits", outputs=tmp_path, model={"latentdim": 3})
    with pytest.raises(ConfigError, match="Did you mean 'cluster'"):
        lv.cluster(run_folder, clutser={})
    with pytest.raises(LatentvizError):
        lv.cluster("nothing", outputs=tmp_path)
    assert list(tmp_path.glob("digits")) == []


@pytest.mark.parametrize("verb", ["fit", "cluster"])
def test_the_shell_has_the_same_words_and_defaults(verb: str) -> None:
    shell, python = (inspect.signature(getattr(module, verb)).parameters for module in (commands, lv))
    assert set(shell) - {"overrides"} == set(python) - {"settings"}
    for name in set(python) - {"settings"}:
        assert shell[name].default == python[name].default, name
