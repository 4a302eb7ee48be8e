"""`latentviz evaluate` on real, small runs."""

import base64
import io
import json
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import latentviz as lv
from latentviz.evaluation.metrics import knn_accuracy, nearest
from latentviz.evaluation.report import Group, render
from latentviz.evaluation.report.charts import Tick, rank_ticks, size_ticks, value_ticks
from latentviz.evaluation.results import TIGHT, Calibrated, Confusion, Evaluation, Health, Labels, Training, Verdict
from latentviz.evaluation.table import evaluation_table
from latentviz.evaluation.verdicts import judge, judge_clusters, judge_health, judge_labels
from tests.conftest import fit_small, write_labelled_digits

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
    folder = fit_small(write_labelled_digits(place), place)
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
    stored = json.loads((clustered / "clusters/default/evaluation.json").read_text())
    found = json.loads(outcome.out)
    del stored["format_version"]
    assert {key: found[key] for key in stored} == stored


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
    iwae_gain=0.05,
    effective_samples=30.0,
    beta=0.1,
    calibrated=Calibrated(
        items=9000,
        scale=10**0.5,
        sigma=0.3,
        log_likelihood=20.0,
        elbo=8.0,
        iwae=9.0,
        iwae_error=1.0,
        iwae_items=190,
        iwae_samples=100,
        iwae_gain=0.05,
        effective_samples=35.0,
    ),
    unexplained=0.10,
    train_items=2000,
    train_log_likelihood=-49.0,
    train_unexplained=0.09,
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
MODEL = {"c": 0.5, "kl_warmup": 0.1, "free_bits": 0.0, "contrast": 0.0, "latent_dim": 4, "width": 8}
ENDED = Training(epochs=40, ended="the limit", loss_fall=0.03)
LONGER = "`latentviz fit x --resume`"


def healthy(health: Health, model: Mapping[str, object] = MODEL, training: Training = ENDED) -> Verdict:
    return judge_health(health, model, training, LONGER)


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
    verdict = healthy(replace(HEALTH, **change), MODEL)
    assert (verdict.collapsed, verdict.level) == (collapsed, level)
    if collapsed:
        assert "ollapse" in verdict.headline
        assert any(line.startswith("model.c=auto") and "0.5" in line for line in verdict.advice)


def test_information_at_its_cap_is_a_lower_bound_wherever_it_is_said(evaluated: Evaluation) -> None:
    for information, capped in ((6.88, True), (6.0, False)):
        health = replace(HEALTH, mutual_information=information)
        said = f"{'at least ' if capped else ''}{information:.2f}"
        found = replace(evaluated, health=health, verdicts=[healthy(health)])
        assert f"carries {said} nats" in found.verdicts[0].lines[0]
        for text in (evaluation_table(found), render(found)):
            assert said in text
            assert (f"at least {information:.2f}" in text) == capped


def test_a_kl_without_information_asks_for_more_training_first() -> None:
    assert healthy(replace(HEALTH, mutual_information=0.1), MODEL).advice[0].startswith("more trainer.max_epochs")
    never = healthy(replace(HEALTH, mutual_information=0.1, kl=0.1), MODEL).advice
    assert never[0].startswith("model.c=auto")
    assert never[-1].startswith("more trainer.max_epochs")


def test_advice_names_only_settings_that_the_data_kind_has() -> None:
    verdict = healthy(replace(HEALTH, mutual_information=0.0), {"c": 1.0, "kl_warmup": 0.5, "free_bits": 0.25})
    assert not any("contrast" in line or "kl_warmup" in line or "free_bits" in line for line in verdict.advice)


BLURRED = {"unexplained": 0.29, "train_unexplained": 0.28}
FALLING, STILL = Training(20, "the limit", 0.3), Training(20, "neighbours stand still", 0.3)


@pytest.mark.parametrize(
    ("change", "training", "level", "said", "advised"),
    [
        ({}, ENDED, "good", "Healthy", []),
        ({}, FALLING, "fair", "too short", [f"train longer: {LONGER}"]),
        ({}, replace(FALLING, loss_fall=None), "good", "Healthy", []),
        ({}, STILL, "good", "Healthy", []),  # it was seen to stand still; what fell is due to the learning rate
        (BLURRED, FALLING, "fair", "too short and the decoder is coarse", [f"train longer: {LONGER}"]),
        (BLURRED, ENDED, "fair", "coarse", ["model.latent_dim=8 and model.width=16", f"or train longer: {LONGER}"]),
        ({**BLURRED, "train_unexplained": 0.1}, STILL, "fair", "coarse", ["more items"]),
        (BLURRED, replace(ENDED, epochs=1, loss_fall=None), "fair", "coarse", [f"train longer: {LONGER}"]),
        ({"unexplained": 0.95, "train_unexplained": 0.95}, FALLING, "poor", "mean item", ["train longer"]),
        ({"unexplained": None, "train_unexplained": None, "calibrated": None}, ENDED, "good", "Healthy", []),
    ],
)
def test_health_counts_what_is_not_reconstructed_and_whether_the_loss_still_falls(
    change: dict[str, Any], training: Training, level: str, said: str, advised: list[str]
) -> None:
    verdict = healthy(replace(HEALTH, **change), training=training)
    assert (verdict.level, verdict.collapsed) == (level, False)
    assert said in verdict.headline
    assert len(verdict.advice) == len(advised)
    assert all(line.startswith(start) for line, start in zip(verdict.advice, advised, strict=True))


@pytest.mark.parametrize(
    ("change", "overfitted"),
    [
        ({}, False),
        ({"train_unexplained": 0.05}, True),
        ({"train_unexplained": 0.05, "split": "all"}, False),
        ({"unexplained": None, "train_unexplained": None, "train_log_likelihood": -45.0}, True),
        ({"unexplained": None, "train_unexplained": None, "train_log_likelihood": -49.0}, False),
    ],
)
def test_overfitting_is_said_and_is_no_fault_of_the_map(change: dict[str, Any], overfitted: bool) -> None:
    verdict = healthy(replace(HEALTH, **change))
    assert any(line.startswith("Overfitting") for line in verdict.lines) == overfitted
    assert verdict.level == "good"


@pytest.mark.parametrize(("agreement", "advised"), [(0.3, True), (0.9, False), (None, False)])
def test_clusters_that_differ_from_seed_to_seed_have_a_next_step(
    evaluated: Evaluation, agreement: float | None, advised: bool
) -> None:
    clusters = replace(evaluated.clusters, n_clusters=3, agreement_of_layouts=agreement)
    verdict = judge_clusters(clusters, "`latentviz compare x`")
    assert any("`latentviz compare x`" in line for line in verdict.advice) == advised


def test_bounds_at_the_c_of_training_are_named_as_such(evaluated: Evaluation) -> None:
    found = replace(evaluated, health=HEALTH, verdicts=[healthy(HEALTH)])
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in evaluation_table(found).splitlines()[1:])
    assert rows["log-likelihood, calibrated σ 0.3 (nats)"] == "20.0"
    assert rows["log-likelihood, this C, for equal C only (nats)"] == "-50.0"
    assert rows["importance-weighted bound, calibrated σ 0.3 (nats)"] == "9.0"
    assert rows["effective draws, calibrated σ 0.3"] == "35.0 of 100"
    assert rows["effective draws, this C, for equal C only"] == "30.0 of 50"
    without = replace(found, health=replace(HEALTH, calibrated=None))
    assert not [
        name for line in evaluation_table(without).splitlines() for name in ("calibrated", "this C") if name in line
    ]
    for name in ("Log-likelihood at this C", "ELBO at this C", "β-equivalent of C"):
        assert (name in render(found), name in render(without)) == (True, False)


@pytest.mark.parametrize(
    ("gain", "calibrated_gain"), [(0.05, 0.05), (3.0, 0.05), (3.0, 3.0), (0.05, None), (3.0, None)]
)
def test_bounds_that_more_draws_would_raise_are_said_not_to_have_converged(
    evaluated: Evaluation, gain: float, calibrated_gain: float | None
) -> None:
    assert HEALTH.calibrated is not None
    calibrated = None if calibrated_gain is None else replace(HEALTH.calibrated, iwae_gain=calibrated_gain)
    health = replace(HEALTH, iwae_gain=gain, calibrated=calibrated)
    loose = (gain > TIGHT) + (calibrated_gain is not None and calibrated_gain > TIGHT)
    found = replace(evaluated, health=health, verdicts=[healthy(health)], labels=None, clusters=None)
    bounds = [line for line in evaluation_table(found).splitlines() if line.startswith("importance-weighted bound")]
    assert [sum("converged" in line for line in lines) for lines in (healthy(health).lines, bounds)] == [loose, loose]
    assert len(bounds) == (1 if calibrated is None else 2)
    if calibrated is not None:
        assert "calibrated" in bounds[0]
    assert render(found).count("It has not converged") == loose


@pytest.mark.parametrize(
    ("balanced", "in_input", "match", "lossy"),
    [
        (0.95, 0.80, 0.50, True),
        (0.95, 0.95, 0.50, True),  # the items were separable before
        (0.95, 0.80, 0.90, False),
        (0.33, 0.35, 0.10, False),  # one label is most of the items, and raw kNN is .7
        (0.60, 0.75, 0.30, False),  # it is the latent that loses them
        (0.95, None, 0.50, True),
    ],
)
def test_a_cut_loses_groups_only_if_the_latent_holds_what_the_input_does(
    evaluated: Evaluation, balanced: float, in_input: float | None, match: float, lossy: bool
) -> None:
    labels = with_labels(evaluated)
    knn = replace(labels.knn, in_mu=0.7, balanced=balanced, balanced_in_input=in_input)
    verdict = judge_labels(replace(labels, balanced_match=match, knn=knn))
    assert any("the cut loses them" in line for line in verdict.advice) == lossy
    assert any("neighbours by" in line for line in verdict.lines) == (in_input is not None)


WORDS = ("red cat", "old sea", "tall tree", "warm bread")


def labelled(kind: str, place: Path) -> Path:
    """Writes 80 labelled items."""
    if kind == "text":
        lines = [f"{WORDS[i % 4]} {i % 7},{'xy'[i % 2]}" for i in range(80)]
        (place / "texts.csv").write_text("\n".join(["text,label", *lines]))
        return place / "texts.csv"
    if kind == "vectors":
        groups = np.repeat([0, 1], 40)
        values = np.random.default_rng(0).normal(size=(80, 5)) + 9 * groups[:, None]
        rows = [
            ",".join([*(f"{value:.3f}" for value in row), "xy"[group]])
            for row, group in zip(values, groups, strict=True)
        ]
        (place / "vectors.csv").write_text("\n".join(["a,b,c,d,e,label", *rows]))
        return place / "vectors.csv"
    digits = load_digits()
    np.savez(place / "digits.npz", images=(digits.images[:80] * 15).astype(np.uint8), labels=digits.target[:80])
    return place / "digits.npz"


@pytest.mark.parametrize(("kind", "name"), [("image", "pixels"), ("text", "terms"), ("vectors", "columns")])
def test_neighbours_in_mu_are_compared_with_those_by_the_input_of_each_kind(
    kind: str, name: str, tmp_path: Path
) -> None:
    run = lv.fit(
        labelled(kind, tmp_path), outputs=tmp_path, model={"latent_dim": 4, "width": 8}, trainer={"max_epochs": 1}
    )
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    knn = with_labels(lv.evaluate(run).metrics).knn
    assert (knn.input, knn.compared) == (name, 80)
    assert knn.balanced_in_input is not None
    assert knn.balanced_in_input > 0.7, "the items tell the groups apart"


def test_of_a_computed_topic_and_the_learnt_dimensions_each_is_named_with_its_accuracy(tmp_path: Path) -> None:
    model = {"latent_dim": 4, "width": 8, "topic_dim": 4}
    run = lv.fit(
        labelled("text", tmp_path), outputs=tmp_path, model=model, data={"tokens": "bpe"}, trainer={"max_epochs": 1}
    )
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    found = lv.evaluate(run).metrics
    knn, mu = with_labels(found).knn, run.mu / np.linalg.norm(run.mu[:, :4], axis=1, keepdims=True)
    codes = np.unique(run.items["label"], return_inverse=True)[1]
    learnt = run.mu[:, 4:] / np.linalg.norm(run.mu[:, 4:], axis=1, keepdims=True)
    for vectors, accuracy in ((mu[:, :4], knn.in_mu), (learnt, knn.in_learnt)):
        near = nearest(vectors, vectors, knn.k, np.arange(80))
        expected = knn_accuracy(codes, np.ones(80, bool), np.arange(80), near)
        assert accuracy == pytest.approx(expected, abs=0.03), "up to ties"
    assert knn.given_dim == 4
    said = evaluation_table(found) + render(found) + " ".join(found.verdicts[-1].lines)
    assert said.count("topic (first 4 dimensions of mu") >= 5
    assert said.count("learnt dimensions") >= 3
    assert "first 4 are the topic" in repr(run)


def test_the_advice_to_train_longer_is_a_command_that_works(shell: Any, run_folder: Path) -> None:
    found = lv.evaluate(run_folder).metrics
    assert found.training.epochs == 3
    assert (found.training.loss_fall or 0) > 0.15
    assert found.verdicts[0].level in {"fair", "poor"}
    command = re.search(r"`latentviz (.* trainer.max_epochs=6)`", " ".join(found.verdicts[0].advice))
    assert command is not None
    assert f"<code>{command[0].strip('`')}</code>" in (run_folder / "evaluation.html").read_text(encoding="utf-8")
    assert shell(*shlex.split(command[1])).code == 0
    after = lv.evaluate(run_folder).metrics
    assert after.training.epochs == 6
    assert (after.health.unexplained or 1) < (found.health.unexplained or 0)


def with_labels(evaluated: Evaluation) -> Labels:
    assert evaluated.labels is not None
    return evaluated.labels


def test_no_clusters_are_reported_and_a_lossy_cut_is_distinguished_from_poor_latents(evaluated: Evaluation) -> None:
    assert evaluated.clusters is not None
    labels = with_labels(evaluated)
    scores = {"nearest_cluster": replace(labels.scores["nearest_cluster"], acc=0.5, ari=0.3)}
    labels = replace(
        labels, scores=scores, balanced_match=0.5, knn=replace(labels.knn, balanced=0.95, balanced_in_input=0.8)
    )
    clusters = replace(evaluated.clusters, n_clusters=1, distinct=None)
    judged = judge(ENDED, evaluated.health, evaluated.faithfulness, clusters, labels, MODEL, LONGER)
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
    groups = {number: Group(evil, 9) for number in confusion.clusters}
    page = render(hostile, groups=groups, sweep=[row, {**row, "clusters": 4}], chosen=row, map_file='map"onload=x.html')
    assert page.count("&lt;script&gt;") >= 4 * len(groups), "a name and its tooltip, in the list and in the table"
    assert "<script" not in page
    assert "onload=x" not in page.replace("%22onload%3Dx", "")
    assert "&lt;script&gt;" in page
    assert page.count("{{style}}") >= 4, "user text is not read as a template"
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_clusters_are_shown_by_their_medoid_and_name_and_lead_to_the_map(clustered: Path) -> None:
    report = lv.evaluate(clustered).report
    page, folder = report.read_text(encoding="utf-8"), report.parent
    entries = json.loads((folder / "clusters.json").read_text(encoding="utf-8"))["clusters"]
    items = pq.read_table(folder / "points.parquet").column("id").to_pylist()
    links = re.findall(r'<a href="map.html#cluster=(\d+)"[^>]*>\s*(?:<img src="data:image/webp;base64,([^"]+)")?', page)
    assert [number for number, _ in links] == [
        *(f"{entry['cluster']}" for entry in sorted(entries, key=lambda entry: -entry["size"])),
        *(
            f"{number}"
            for number in json.loads((folder / "evaluation.json").read_text())["labels"]["confusion"]["clusters"]
        ),
    ]
    pixels = load_digits().images * 15
    for number, picture in links:
        medoid = pixels[items.index(entries[int(number)]["exemplars"][0])]
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L"), float)
        assert np.abs(shown - medoid).mean() < 20, "the medoid, not another item"
        assert np.abs(shown - medoid).mean() == min(np.abs(shown - other).mean() for other in pixels[:200])
    assert "mostly " in page
    assert "<details>" in page
    assert "<details open" not in page


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        (value_ticks(0.0, 5.4), ["0", "2", "4"]),
        (value_ticks(-0.5, 1.0), ["−0.5", "0", "0.5", "1"]),
        (value_ticks(0.0, 2500.0), ["0", "1,000", "2,000"]),
        (value_ticks(0.0, 0.0), ["0"]),
        (rank_ticks(1), ["1"]),
        (rank_ticks(3), ["1", "2", "3"]),
        (rank_ticks(128), ["1", "50", "100"]),
        (size_ticks(5, 5), ["5"]),
        (size_ticks(5, 20), ["5", "10", "20"]),
        (size_ticks(46, 92), ["46", "92"]),
        (size_ticks(10, 10_000), ["10", "100", "1,000", "10,000"]),
    ],
)
def test_axes_have_round_ticks_inside_the_chart(ticks: list[Tick], texts: list[str]) -> None:
    assert [tick.text for tick in ticks] == texts
    places = [tick.at for tick in ticks]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)


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
    assert 'aria-label="clusters of 6 cuts, from 5 to 20; the chosen one has 5"' in page
    assert page.count(' chosen"') == 2, "one in each of two panels"
    assert 'class="panels"' in page
    assert 'class="panels"' not in render(evaluated, sweep=[{"depth": 1}])
