"""`fit --cluster --open`: from data to a map in the browser by one command, and `--open` of the other commands."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import latentviz as lv
from latentviz.config import read_yaml
from latentviz.display import DISPLAYS, in_browser
from latentviz.runs.run import RunFolder
from latentviz.shell.tables import fit_table
from tests.conftest import SMALL

QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[str]]:
    """A browser that writes down the addresses that it opens; returns a function that reads them."""
    import webbrowser

    addresses = tmp_path / "addresses"
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> {addresses}\n')
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(script))
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # so that it reads BROWSER again
    return lambda: addresses.read_text().split() if addresses.exists() else []


@pytest.mark.parametrize("words", [("--cluster",), ("--cluster", *QUICK), QUICK, ("--open", *QUICK)])
def test_one_command_trains_clusters_and_draws(shell, few, tmp_path, browser, words) -> None:
    settings = words if QUICK[0] in words else (*words, "reduce.method=pca")
    outcome = shell("fit", few, *SMALL, *settings, "seed_everything=3", "--outputs", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    run = tmp_path / "out" / "few"
    assert outcome.out.splitlines()[-1] == f"map {run / 'clusters/default/map.html'}"
    configs = [read_yaml(folder / "config.yaml") for folder in (run, run / "clusters/default")]
    assert [config["seed_everything"] for config in configs] == [3, 3]
    assert configs[1]["reduce"]["method"] == "pca"
    assert configs[1]["cluster"]["method"] == ("gmm" if QUICK[1] in words else "hdbscan")
    assert browser() == ([(run / "clusters/default/map.html").as_uri()] if "--open" in words else [])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("clutser.method=gmm", "clutser: unknown key; .* Did you mean 'cluster'"),
        ("reduce.n_neighbours=5", "reduce.n_neighbours: unknown key; .* Did you mean 'n_neighbors'"),
        ("reduce.method=umpa", "reduce.method: unknown value 'umpa'"),
        ("cluster.min_samples=3", "cluster.min_samples: has no effect while the cut is chosen"),
        ("map.theme=drak", "map.theme: must be .*'dark'"),
        ("model.latentdim=3", "model.latentdim: unknown key"),
    ],
)
@pytest.mark.parametrize("more", [(), ("reduce.n_neighbors=5",)])
def test_a_mistake_is_said_before_anything_is_read(shell, tmp_path, few, word, expected, more) -> None:
    import re

    complaint = shell("fit", few, "--cluster", word, *more, "--outputs", tmp_path / "out").complaint
    assert re.search(expected, complaint), complaint
    assert not (tmp_path / "out").exists()


def test_what_is_finished_is_not_made_again(shell, run_folder, few) -> None:
    """As after a kill between the training and the map: the same command with --resume goes on where it was."""
    again = ("fit", few, "--run", "small", "--outputs", run_folder.parent, "--resume", "--cluster")
    clusters = run_folder / "clusters/default/clusters.json"
    trained = (run_folder / "run.json").read_bytes()
    assert shell(*again, *QUICK).code == 0
    made = clusters.read_bytes()
    assert shell(*again).code == 0
    assert ((run_folder / "run.json").read_bytes(), clusters.read_bytes()) == (trained, made)
    complaint = shell(*again, *QUICK[:2], "cluster.n_clusters=2").complaint
    other = shlex.split(complaint.split("`")[1].replace("NAME", "two"))
    assert shell(*other[1:], *QUICK[:2], "cluster.n_clusters=2").code == 0
    assert shell(*again, *QUICK[:2], "cluster.n_clusters=2", "--force").code == 0
    assert (run_folder / "run.json").read_bytes() == trained
    assert clusters.read_bytes() != made
    assert (run_folder / "clusters/two/map.html").exists()


def test_a_run_that_is_trained_for_longer_is_clustered_again(shell, run_folder, few) -> None:
    shell("cluster", run_folder, *QUICK)
    words = ("--run", "small", "--outputs", run_folder.parent, "--resume", "trainer.max_epochs=4")
    assert shell("fit", few, *words, "--cluster", *QUICK).code == 0
    assert lv.open(run_folder).summary["epochs"] == 4
    assert not (run_folder / "clusters/default/outdated.txt").exists()


def test_a_dry_run_takes_the_settings_of_both(shell, few, tmp_path) -> None:
    outcome = shell("fit", few, "--cluster", "--dry-run", *QUICK, "--outputs", tmp_path / "out")
    assert (outcome.code, (tmp_path / "out").exists()) == (0, False)
    assert "cluster.n_clusters" in shell("fit", few, "--dry-run", "cluster.n_clusters=0").complaint


@pytest.mark.parametrize("command", ["cluster", "map"])
def test_the_map_is_opened_by_the_other_commands_too(shell, run_folder, browser, command) -> None:
    shell("cluster", run_folder, *QUICK)
    words = [*QUICK, "--force"] if command == "cluster" else []
    assert shell(command, run_folder, *words, "--open").code == 0
    assert browser() == [(run_folder / "clusters/default/map.html").as_uri()]


@pytest.mark.skipif(os.name == "nt", reason="there is always a display")
def test_without_a_display_nothing_is_started(tmp_path, browser, monkeypatch) -> None:
    """Browsers for terminals would take over the terminal."""
    assert in_browser(tmp_path)
    monkeypatch.delenv("BROWSER")
    assert not in_browser(tmp_path)
    assert browser() == [tmp_path.as_uri()]


def test_python_does_what_the_shell_does(shell, few, tmp_path) -> None:
    shell("fit", few, *SMALL, *QUICK, "--run", "shell", "--outputs", tmp_path)
    fitting = {"model": {"latent_dim": 4, "width": 8}, "data": {"batch_size": 64}, "trainer": {"max_epochs": 3}}
    clustering = {"reduce": {"method": "pca"}, "cluster": {"method": "gmm", "n_clusters": 3}}
    run = lv.fit(few, run="python", outputs=tmp_path, **fitting, **clustering)
    assert run.clusterings == ["default"]
    points = [tmp_path / name / "clusters/default/points.parquet" for name in ("shell", "python")]
    assert points[0].read_bytes() == points[1].read_bytes()
    assert lv.fit(few, run="python", outputs=tmp_path, resume=True, cluster=True) == run


@pytest.mark.parametrize(
    ("changes", "named"),
    [({}, True), ({"likelihood": "bernoulli"}, False), ({"networks": {"decoder": "Mine"}}, False)],
)
def test_the_table_names_the_c_that_a_log_likelihood_depends_on(
    run_folder: Path, changes: dict[str, Any], named: bool
) -> None:
    file = run_folder / "config.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    config["model"] |= {key: value for key, value in changes.items() if key != "networks"}
    config |= {key: value for key, value in changes.items() if key == "networks"}
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    row = next(line for line in fit_table(RunFolder(run_folder)).splitlines() if line.startswith("log-likelihood"))
    assert (f"C = {config['model']['c']:g}" in row) == named
