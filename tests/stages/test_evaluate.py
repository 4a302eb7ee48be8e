"""`latentviz evaluate` on real, small runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import latentviz as lv
from latentviz.evaluation.report import render
from latentviz.evaluation.results import Confusion, Evaluation, Health, Labels
from latentviz.evaluation.table import evaluation_table
from latentviz.evaluation.verdicts import judge, judge_health
from tests.conftest import fit_small

COLLAPSING = (
    "trainer.max_epochs=2",
    "model.latent_dim=4",
    "model.width=8",
    "data.batch_size=64",
    "model.c=0.001",
    "model.contrast=0",
)


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clustered run on 200 labelled digits; read-only."""
    place = tmp_path_factory.mktemp("clustered")
    digits = load_digits()
    np.savez(place / "digits.npz", images=(digits.images[:200] * 15).astype(np.uint8), labels=digits.target[:200])
    folder = fit_small(place / "digits.npz", place)
    lv.cluster(folder, reduce={"layouts": 2})
    return folder


@pytest.fixture(scope="module")
def evaluated(clustered: Path) -> Evaluation:
    return lv.evaluate(clustered).metrics


def test_everything_is_evaluated_and_written(shell: Any, clustered: Path) -> None:
    outcome = shell("evaluate", clustered)
    folder = clustered / "clusters" / "default"
    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert outcome.code == (1 if content["collapsed"] else 0)
    assert {"health", "faithfulness", "clusters", "labels", "verdicts"} <= set(content)
    assert f"report {folder / 'evaluation.html'}" in outcome.out
    assert "items in distinct clusters (share)" in outcome.out


def test_the_option_json_prints_json_only(shell: Any, clustered: Path) -> None:
    outcome = shell("evaluate", clustered, "--json")
    assert json.loads(outcome.out) == json.loads((clustered / "clusters/default/evaluation.json").read_text())


def test_without_a_clustering_the_model_alone_is_judged(shell: Any, run_folder: Path) -> None:
    outcome = shell("evaluate", run_folder, "--json")
    content = json.loads(outcome.out)
    assert content["clustering"] is None
    assert [verdict["section"] for verdict in content["verdicts"]] == ["health"]
    assert "clusters/default" in outcome.err
    assert (run_folder / "evaluation.html").exists()


def test_an_unknown_clustering_is_an_error(shell: Any, run_folder: Path) -> None:
    assert "clusters/fine" in shell("evaluate", run_folder, "--clustering", "fine").complaint


def test_a_collapsed_model_is_reported_with_what_to_change(shell: Any, few: Path, tmp_path: Path) -> None:
    run = fit_small(few, tmp_path, settings=COLLAPSING)
    outcome = shell("evaluate", run)
    assert outcome.code == 1
    assert "COLLAPSED" in outcome.out
    assert "Posterior collapse" in outcome.out
    assert "model.c=auto" in outcome.out
    assert "model.contrast=1000" in outcome.out
    assert "Posterior collapse" in (run / "evaluation.html").read_text(encoding="utf-8")


def test_a_new_clustering_removes_the_evaluation_of_the_earlier_one(clustered: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clustered, tmp_path / "again"))
    lv.evaluate(folder)
    lv.cluster(folder, force=True, reduce={"method": "pca"}, cluster={"min_cluster_size": 20})
    assert not (folder / "clusters" / "default" / "evaluation.json").exists()


def test_evaluate_can_be_called_twice_from_python(clustered: Path) -> None:
    first, second = lv.evaluate(clustered), lv.evaluate(clustered)
    assert replace(first.metrics, seconds={}) == replace(second.metrics, seconds={})
    assert str(first) == str(second)
    assert first.report.exists()
    assert "<iframe" in first._repr_html_()


HEALTH = Health(
    split="val",
    items=1000,
    log_likelihood=-50.0,
    log_likelihood_error=1.0,
    kl=12.0,
    elbo=-62.0,
    iwae=-60.0,
    iwae_error=1.0,
    iwae_elbo=-62.0,
    iwae_items=1000,
    iwae_samples=50,
    decoder_gain=30.0,
    latent_dim=4,
    content_dim=2,
    kl_per_dimension=[4.0, 4.0, 4.0, 0.0],
    variance_of_mu=[1.0, 1.0, 1.0, 0.0],
    active_units={"0.01": 3, "0.2": 3},
    mutual_information=6.0,
    mutual_information_cap=6.9,
    prior_kl_least=0.3,
    prior_kl_most=6.0,
)
MODEL = {"c": 0.5, "kl_warmup": 0.1, "free_bits": 0.0, "contrast": 0.0}


@pytest.mark.parametrize(
    ("change", "collapsed", "level"),
    [
        ({}, False, "good"),
        ({"mutual_information": 1.2, "kl": 1.3, "active_units": {"0.01": 64, "0.2": 5}}, True, "poor"),
        ({"decoder_gain": 0.1}, True, "poor"),
        ({"prior_kl_least": 3.0}, False, "fair"),
        ({"mutual_information": 3.2, "mutual_information_cap": 3.3}, False, "good"),  # few items: the cap is low
    ],
)
def test_collapse_is_judged_by_information_and_not_by_active_units(
    change: dict[str, Any], collapsed: bool, level: str
) -> None:
    verdict = judge_health(replace(HEALTH, **change), MODEL)
    assert (verdict.collapsed, verdict.level) == (collapsed, level)
    if collapsed:
        assert "ollapse" in verdict.headline
        assert any(line.startswith("model.c=auto") and "0.5" in line for line in verdict.advice)


def test_information_at_its_cap_is_a_lower_bound_wherever_it_is_said(evaluated: Evaluation) -> None:
    for information, capped in ((6.88, True), (6.0, False)):
        health = replace(HEALTH, mutual_information=information)
        said = f"{'at least ' if capped else ''}{information:.2f}"
        found = replace(evaluated, health=health, verdicts=[judge_health(health, MODEL)])
        assert f"carries {said} nats" in found.verdicts[0].lines[0]
        for text in (evaluation_table(found), render(found)):
            assert said in text
            assert ("at least" in text) == capped


def test_a_kl_without_information_asks_for_more_training_first() -> None:
    assert judge_health(replace(HEALTH, mutual_information=0.1), MODEL).advice[0].startswith("more trainer.max_epochs")
    never = judge_health(replace(HEALTH, mutual_information=0.1, kl=0.1), MODEL).advice
    assert never[0].startswith("model.c=auto")
    assert never[-1].startswith("more trainer.max_epochs")


def test_advice_names_only_settings_that_the_data_kind_has() -> None:
    verdict = judge_health(replace(HEALTH, mutual_information=0.0), {"c": 1.0, "kl_warmup": 0.5, "free_bits": 0.25})
    assert not any("contrast" in line or "kl_warmup" in line or "free_bits" in line for line in verdict.advice)


def with_labels(evaluated: Evaluation) -> Labels:
    assert evaluated.labels is not None
    return evaluated.labels


def test_no_clusters_are_reported_and_a_lossy_cut_is_distinguished_from_poor_latents(evaluated: Evaluation) -> None:
    assert evaluated.clusters is not None
    labels = with_labels(evaluated)
    scores = {"nearest_cluster": replace(labels.scores["nearest_cluster"], acc=0.5, ari=0.3)}
    labels = replace(labels, scores=scores, knn=replace(labels.knn, in_mu=0.95))
    clusters = replace(evaluated.clusters, n_clusters=1, distinct=None)
    judged = judge(evaluated.health, evaluated.faithfulness, clusters, labels, MODEL)
    verdicts = {verdict.section: verdict for verdict in judged}
    assert verdicts["clusters"].level == "poor"
    assert "cluster.min_cluster_size" in verdicts["clusters"].advice[0]
    assert "cluster.selection=leaf" in verdicts["labels"].advice[0]


def test_the_report_makes_no_network_request_and_escapes_what_users_named(evaluated: Evaluation) -> None:
    evil = '"><script>alert(1)</script>&{{style}}{% raw %}'
    labels = with_labels(evaluated)
    confusion: Confusion = replace(labels.confusion, labels=[evil, *labels.confusion.labels[1:]])
    hostile = replace(evaluated, run=evil, clustering=evil, labels=replace(labels, confusion=confusion))
    row = {"min_cluster_size": 5, "selection": evil, "clusters": 3}
    page = render(hostile, sweep=[row, {**row, "clusters": 4}], chosen=row, map_file='map"onload=x.html')
    assert "<script" not in page
    assert "onload=x" not in page.replace("%22onload%3Dx", "")
    assert "&lt;script&gt;" in page
    assert page.count("{{style}}") >= 4, "user text is not read as a template"
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_sweep_is_drawn_with_a_ring_around_the_chosen_cut_and_an_unknown_one_left_out(evaluated: Evaluation) -> None:
    sweep = [
        {
            "layout": 0,
            "min_cluster_size": size,
            "selection": kind,
            "clusters": 100 // size,
            "noise": 0.1,
            "separation": None,
        }
        for size in (5, 10, 20)
        for kind in ("eom", "leaf")
    ]
    page = render(evaluated, sweep=sweep, chosen={"min_cluster_size": 20, "selection": "eom"})
    assert page.count(' chosen"') == 2, "one in each of two panels"
    assert 'class="panels"' in page
    assert 'class="panels"' not in render(evaluated, sweep=[{"depth": 1}])
