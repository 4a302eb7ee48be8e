"""The map of a clustering, drawn from the run's files and redrawn."""

import base64
import gzip
import json
import re

import numpy as np
import pytest

import latentviz as lv
from latentviz.modalities.loading import load_model
from latentviz.model.encoding import kl_of_posteriors, log_likelihoods
from latentviz.runs.run import RunFolder


def blocks(page: str) -> dict[str, str]:
    """The page's packed blocks by name."""
    return dict(re.findall(r'<script type="text/plain" id="([\w-]+)">([^<]*)</script>', page))


def meta(page: str) -> dict:
    """The page's metadata."""
    found = blocks(page)
    name = next(key for key in found if key.endswith("meta"))
    return json.loads(gzip.decompress(base64.b64decode(found[name])))


@pytest.fixture(scope="module")
def clustered(trained, tmp_path_factory):
    """The result of clustering a small run; read-only."""
    import shutil

    folder = shutil.copytree(trained, tmp_path_factory.mktemp("drawn") / "small")
    return lv.cluster(folder, cluster={"min_cluster_size": 8, "selection": "leaf"})


def test_the_map_carries_decoder_tree_and_neighbours(clustered) -> None:
    content = meta(clustered.map.read_text(encoding="utf-8"))
    assert [layer["type"] for layer in content["decoder"]["layers"]].count("conv_transpose2d") == 2
    assert content["decoder"]["shape"] == [1, 8, 8]
    assert len(content["tree"]["nodes"]) > 1


def test_every_item_has_its_likelihood_and_kl(clustered) -> None:
    run = RunFolder.open(clustered.run)
    loaded = load_model(run)
    vae, data = loaded.vae, loaded.kind
    expected = log_likelihoods(vae, data.dataset(), data.to_input, run.mu(), batch_size=7)
    np.testing.assert_allclose(clustered.points["log_likelihood"], expected, rtol=1e-3)
    np.testing.assert_array_equal(clustered.points["kl"], kl_of_posteriors(run.mu(), run.logvar()))
    # As in run.json's summary, which is the mean over the validation items at draws: never better than at the mean.
    val = run.items().val
    assert clustered.points["kl"].to_numpy()[val].mean() == pytest.approx(run.info()["summary"]["kl"], rel=0.02)


def test_neighbours_exclude_the_item(clustered) -> None:
    rows = RunFolder.open(clustered.run).clustering().neighbours()
    assert rows.shape[0] == len(clustered.points)
    assert not (rows == np.arange(len(rows))[:, None]).any()


def test_redrawing_changes_the_map_and_nothing_else(clustered, tmp_path, shell) -> None:
    import shutil

    folder = shutil.copytree(clustered.run.path, tmp_path / "outputs" / "small")
    before = (folder / "clusters" / "default" / "points.parquet").read_bytes()
    outcome = shell(
        "map", "small", "--outputs", tmp_path / "outputs", "title=<b>Mine</b>", "theme=dark", "colour_by=outlier_score"
    )
    assert outcome.code == 0
    drawn = RunFolder.open(folder).clustering()
    content = meta(drawn.map_file.read_text(encoding="utf-8"))
    assert content["title"] == "<b>Mine</b>"
    assert content["options"] == {"theme": "dark", "colour_by": "outlier_score"}
    assert drawn.points_file.read_bytes() == before
    assert drawn.config().map.theme == "dark"


@pytest.mark.parametrize(
    ("setting", "fact"),
    [
        ("colour_by=labl", "map.colour_by: unknown value 'labl'"),
        ("colour_by=nearest_cluster", "map.colour_by: unknown value 'nearest_cluster'"),
        ("layers=[labls]", "map.layers: unknown value 'labls'"),
        ("theme=drak", "theme"),
        ("titel=x", "titel: unknown key"),
    ],
)
def test_a_wrong_map_setting_is_reported_in_one_line(clustered, shell, setting: str, fact: str) -> None:
    page = clustered.map.read_bytes()
    outcome = shell("map", clustered.run.path, setting)
    assert outcome.code == 2
    assert fact in outcome.err
    assert clustered.map.read_bytes() == page


def test_a_wrong_map_setting_is_reported_before_clustering(clustered, shell) -> None:
    outcome = shell("cluster", clustered.run.path, "--name", "other", "map.colour_by=labl")
    assert outcome.code == 2
    assert "map.colour_by: unknown value 'labl'" in outcome.complaint
    assert not (clustered.run.path / "clusters" / "other").exists()


def test_a_map_needs_a_clustering(run_folder, shell) -> None:
    outcome = shell("map", run_folder)
    assert outcome.code == 2
    assert "run `latentviz cluster" in outcome.err
