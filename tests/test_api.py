"""`import latentviz as lv`: the shell's verbs, words and defaults."""

import inspect
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.errors import ConfigError, LatentvizError, RunError
from latentviz.shell.cli import COMMANDS, Parser

SETTINGS = {"model": {"latent_dim": 4, "width": 8}, "data": {"batch_size": 64}, "trainer": {"max_epochs": 3}}


CLASSES = ("Run", "Result", "Evaluation", "LatentMap", "Tuning", "VAE")


def test_the_package_names_its_commands() -> None:
    verbs = {
        "fit",
        "cluster",
        "map",
        "evaluate",
        "generate",
        "recommend",
        "encode",
        "export",
        "annotate",
        "tune",
        "compare",
        "label",
        "open",
        "inspect",
        "verify",
        "widget",
    }
    assert set(dir(lv)) == set(lv.__all__) == verbs | {*CLASSES, "__version__"}
    assert all(inspect.isfunction(getattr(lv, verb)) for verb in verbs)
    assert all(hasattr(lv, name) for name in lv.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = lv.fitt


def test_version_and_model_are_public() -> None:
    import pytorch_lightning as pl

    assert lv.__version__ == version("latentviz")
    assert issubclass(lv.VAE, pl.LightningModule)


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


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory) -> lv.Run:
    """Returns a run with one quick clustering; add to it, but change nothing."""
    run = lv.open(shutil.copytree(trained, tmp_path_factory.mktemp("api") / "small"))
    run.cluster(reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 3})
    return run


def test_a_run_shows_what_users_need(run: lv.Run) -> None:
    shown = {name for name in dir(run) if not name.startswith("_")}
    verbs = {"cluster", "map", "evaluate", "generate", "recommend", "encode", "export", "transform", "decode", "verify"}
    verbs |= {"annotate", "compare", "label"}
    facts = {"path", "name", "summary", "config", "mu", "logvar", "items", "clusterings"}
    assert shown == verbs | facts | {"clustering"}
    assert run.mu.shape == run.logvar.shape == (200, 4)
    assert run.items["id"].tolist() == run.clustering().points["id"].tolist()
    assert run.clusterings == ["default"]
    assert run.config["model"]["latent_dim"] == run.summary["latent_dim"] == 4
    rows = dict(line.split(None, 1) for line in repr(run).splitlines()[1:])
    assert (rows["items"], rows["clusterings"], rows["path"]) == ("200", "default", str(run.path))
    assert str(run.path) in run._repr_html_()
    assert Path(run) == run.path
    assert run == lv.open("small", outputs=run.path.parent)


def test_a_result_shows_what_users_need(run: lv.Run) -> None:
    result = run.clustering("default")
    shown = {name for name in dir(result) if not name.startswith("_")}
    assert shown == {"run", "name", "path", "mu", "points", "changes", "clusters", "labels", "map", "show"}
    assert result.run == run
    title, *lines = repr(result).splitlines()
    rows = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in lines)
    assert ("'default'" in title, "'small'" in title) == (True, True)
    assert (rows["items"], rows["clusters"], rows["map"]) == ("200", "3", str(result.map))
    assert sum(int(rows[f"cluster {number}"].split()[0]) for number in range(3)) == 200
    html = result._repr_html_()
    assert "srcdoc=" in html
    assert len(html) < 1_100_000 < result.map.stat().st_size


def test_a_result_outside_notebooks_opens_its_map_in_the_browser(run: lv.Run, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    run.clustering().show()
    assert opened == [run.clustering().map.as_uri()]


def test_results_show_themselves_in_a_few_lines(run: lv.Run, few: Path) -> None:
    results = [
        run.generate(n=2, name="shown"),
        run.recommend(3, k=12),
        run.encode(few, name="shown"),
        run.evaluate(),
        lv.inspect(few),
    ]
    for result in results:
        assert 3 <= len(repr(result).splitlines()) <= 40, result
        assert len(repr(result)) < 3000, result


def test_a_run_that_is_not_whole_still_shows_itself(run_folder: Path) -> None:
    run = lv.open(run_folder)
    result = run.cluster(reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 3})
    (run_folder / "clusters" / "default" / "clusters.json").write_text("{")
    assert "damaged" in repr(result)
    assert "damaged" in result._repr_html_()
    (run_folder / "run.json").write_text("{")
    assert "damaged" in repr(run)
    (run_folder / "run.json").unlink()
    assert "not finished" in repr(run)
    shutil.rmtree(run_folder)
    assert "deleted" in repr(run)
    assert str(run_folder) in repr(result)


def test_a_clustering_that_does_not_exist_names_the_command(run: lv.Run) -> None:
    with pytest.raises(RunError, match=r"latentviz cluster .* --name fine"):
        run.clustering("fine")
    with pytest.raises(RunError, match="latentviz fit"):
        lv.open(outputs=run.path / "nowhere")


def test_a_run_answers_all_commands(run: lv.Run, few: Path) -> None:
    assert len(run.generate(cluster=1, n=2).z) == 2
    assert run.recommend(3, k=2).ids == run.recommend([3], k=2).ids == lv.recommend(run.path, "few/3", k=2).ids
    assert len(run.encode(few).points) == 200
    assert run.evaluate().report == run.path / "clusters" / "default" / "evaluation.html"
    assert run.export(safetensors=True) == [run.path / "exported" / "model.safetensors"]


def test_the_map_is_drawn_again(run: lv.Run) -> None:
    before = run.clustering().map.read_bytes()
    again = run.map(title="Mine", theme="dark")
    assert again.map.read_bytes() != before
    assert b"Mine" in again.map.read_bytes()


def test_mistakes_are_latentviz_errors(tmp_path, run_folder) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'latent_dim'"):
        lv.fit("digits", outputs=tmp_path, model={"latentdim": 3})
    with pytest.raises(ConfigError, match="Did you mean 'min_cluster_size'"):
        lv.cluster(run_folder, cluster={"min_clustersize": 5})
    with pytest.raises(TypeError, match="clutser"):
        lv.cluster(run_folder, clutser={})
    with pytest.raises(LatentvizError):
        lv.cluster("nothing", outputs=tmp_path)
    assert list(tmp_path.glob("digits")) == []


def test_messages_name_an_object_by_what_it_is(tmp_path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    with pytest.raises(ConfigError, match=r"^ndarray \(60, 4\): model\.latentdim"):
        lv.fit(x, outputs=tmp_path, model={"latentdim": 3})
    assert str(lv.inspect(x)).startswith("ndarray (60, 4): vectors")


SECTIONS = {"data", "model", "trainer", "reduce", "cluster", "map", "preset", "seed_everything", "check_memory"}
OPTIONS = {
    "fit": SECTIONS - {"cluster"}
    | {"preview"}
    | {"ids", "labels", "captions", "columns", "features"}
    | {"encoder", "decoder", "likelihood", "objective"},
    "cluster": SECTIONS,
    "map": {"title", "theme", "colour_by", "layers"},
}


@pytest.mark.parametrize(
    "verb",
    ["fit", "cluster", "map", "evaluate", "generate", "recommend", "encode", "annotate", "compare", "export", "label"],
)
def test_the_shell_has_the_same_words_and_defaults(verb: str) -> None:
    parser = Parser()
    COMMANDS[verb].arguments(parser)
    shell = {action.dest: action.default for action in parser._actions} | {"run": None}
    python = inspect.signature(getattr(lv, verb)).parameters
    words = set(shell) - {"help", "json", "overrides", "words", "dry_run", "show"}  # lv.inspect, result.show()
    assert words == set(python) - OPTIONS.get(verb, set())
    for name in words - {"source", "data", "items", "annotations", "run"}:
        assert (shell[name] or None) == (python[name].default or None), name
