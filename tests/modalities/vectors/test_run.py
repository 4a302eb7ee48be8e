"""A run on vectors from end to end: fit, cluster, generate, recommend, encode, evaluate, export."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from onnx.reference import ReferenceEvaluator
from PIL import Image

import latentviz as lv
from latentviz.modalities.vectors.config import VectorData, VectorFitConfig, VectorModel
from latentviz.modalities.vectors.data import variance_held
from latentviz.modalities.vectors.kind import VectorKind
from latentviz.modalities.vectors.nearest import nearest
from latentviz.modalities.vectors.new import read_item
from latentviz.modalities.vectors.prepare import load
from latentviz.runs.run import RunFolder

N, M = 150, 24
SETTINGS = {
    "trainer": {"max_epochs": 8},
    "model": {"latent_dim": 4, "width": 32, "lr": 0.01, "contrast": 10_000},
    "data": {"batch_size": 32},
}


def write(folder: Path) -> tuple[Path, Path]:
    """Writes unit vectors around three directions, and texts that name the direction."""
    random = np.random.default_rng(0)
    groups = np.arange(N) % 3
    vectors = 3 * np.eye(3, M)[groups] + random.normal(size=(N, M)) * 0.4
    np.save(folder / "vectors.npy", (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    (folder / "texts.txt").write_text("".join(f"{'abc'[group]} number {row}\n" for row, group in enumerate(groups)))
    return folder / "vectors.npy", folder / "texts.txt"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished, clustered run; tests may add files but change none."""
    folder = tmp_path_factory.mktemp("vectors")
    vectors, texts = write(folder)
    settings = {**SETTINGS, "data": {**SETTINGS["data"], "items": str(texts)}}
    run = lv.fit(vectors, outputs=folder / "outputs", **settings)
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 3})
    return Path(run.path)


def test_the_groups_are_found_and_the_map_names_the_file(fitted: Path) -> None:
    run = RunFolder.open(fitted)
    points = run.clustering().points().to_pandas()
    assert points.groupby("cluster")["text"].agg(lambda texts: len({text[0] for text in texts})).tolist() == [1, 1, 1]
    assert "vectors of vectors.npy, dimensions 24 → 4" in run.clustering().info()["lines"]


def test_the_same_seed_gives_the_same_mu_and_the_written_config_repeats_the_run(fitted: Path, tmp_path: Path) -> None:
    again = lv.fit(fitted / "config.yaml", run="again", outputs=tmp_path)
    assert ((again.path / "mu.npy").read_bytes()) == (fitted / "mu.npy").read_bytes()
    assert RunFolder.open(again).info()["fingerprint"] == RunFolder.open(fitted).info()["fingerprint"]


def test_the_plain_vae_is_one_setting_away(fitted: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "model": {**SETTINGS["model"], "contrast": 0}}
    run = lv.fit(fitted.parent.parent / "vectors.npy", outputs=tmp_path, **settings)
    assert run.summary["contrast"] == 0
    assert not (run.path / "cache" / "neighbours.npy").exists()


@pytest.mark.parametrize(("flat", "contrast"), [(0.01, 0), (3.0, 10_000)])
def test_contrast_is_for_vectors_that_the_latents_cannot_hold(tmp_path: Path, flat: float, contrast: float) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(N, 4)) @ random.normal(size=(4, M)) + flat * random.normal(size=(N, M))
    np.save(tmp_path / "v.npy", vectors)
    model = VectorModel(latent_dim=4)
    prepared = VectorKind.prepare(VectorFitConfig(data=VectorData(path=str(tmp_path / "v.npy"))), tmp_path)
    config = VectorKind.resolve(VectorFitConfig(data=prepared.data, model=model), prepared, tmp_path)
    assert config.model.contrast == contrast
    held = variance_held(load(tmp_path), 0, "euclidean", 4)
    variances = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False) ** 2
    assert held == pytest.approx(variances[:4].sum() / variances.sum(), rel=1e-4)


def test_samples_are_described_by_the_nearest_items(fitted: Path) -> None:
    text = (fitted / "samples" / "epoch-0008.txt").read_text()
    right = [
        line
        for line in text.splitlines()
        if " → " in line and line.split(" → ")[0].strip()[0] == line.split(" → ")[1][0]
    ]
    assert len(right) >= 10


def test_generate(shell: Callable, fitted: Path) -> None:
    outcome = shell("generate", fitted, "--between", "vectors/0", "vectors/1", "--steps", 3, "--name", "way")
    lines = outcome.out.splitlines()
    assert lines[0].startswith("a number")
    assert lines[2].startswith("b number")
    made = np.load(fitted / "generated" / "way" / "vectors.npy")
    info = json.loads((fitted / "generated" / "way" / "generated.json").read_text())
    assert made.shape == (len(info["outputs"]), M)
    assert info["outputs"][1]["file"] == "vectors.npy#1"
    assert info["outputs"][0]["text"].startswith("a number")
    original = np.load(fitted.parent.parent / "vectors.npy")
    assert made[0] @ original[0] > 0.5, "the decoder gives vectors in the unit of the data"
    assert "a number" in (fitted / "generated" / "way" / "sheet.txt").read_text()


def test_recommend_an_item_and_a_new_vector(shell: Callable, fitted: Path, tmp_path: Path) -> None:
    rows = json.loads(shell("recommend", fitted, "vectors/3", "-k", 5, "--json").out)["recommended"]
    assert [row["text"][0] for row in rows] == ["a"] * 5
    original = np.load(fitted.parent.parent / "vectors.npy")
    np.save(tmp_path / "new.npy", original[5:6])
    rows = json.loads(shell("recommend", fitted, tmp_path / "new.npy", "-k", 1, "--json").out)["recommended"]
    assert rows[0]["text"] == "c number 5"
    np.save(tmp_path / "new.npy", original[5:8])
    assert "holds 3 vectors" in shell("recommend", fitted, tmp_path / "new.npy").complaint


def test_encode(fitted: Path, tmp_path: Path, shell: Callable) -> None:
    original = np.load(fitted.parent.parent / "vectors.npy")
    np.save(tmp_path / "new.npy", original[[0, 4]])
    placed = lv.encode(fitted, tmp_path / "new.npy")
    old = RunFolder.open(fitted).clustering().points().to_pandas()
    assert placed.points["cluster"].tolist() == old["cluster"][[0, 4]].tolist()
    assert placed.points["x"].tolist() == old["x"][[0, 4]].tolist()
    assert "new" in placed.map.read_text()
    np.save(tmp_path / "wide.npy", np.zeros((3, 7)))
    said = shell("encode", fitted, tmp_path / "wide.npy").complaint
    assert "vectors have 7 numbers" in said
    assert "vectors of 24" in said


def test_evaluate(fitted: Path) -> None:
    found = lv.evaluate(fitted)
    assert found.metrics.kind == "vectors"
    assert np.isfinite(found.metrics.health.elbo)


def test_the_exported_encoder_takes_vectors_as_they_are(fitted: Path) -> None:
    files = lv.export(fitted, onnx=True)
    vectors = np.load(fitted.parent.parent / "vectors.npy")
    mu, _ = ReferenceEvaluator(str(files[0])).run(None, {"x": vectors[:9]})
    assert mu == pytest.approx(np.load(fitted / "mu.npy")[:9], abs=1e-3)


def test_images_of_the_items_are_on_the_map_and_on_sheets(tmp_path: Path) -> None:
    vectors, _ = write(tmp_path)
    (tmp_path / "photos").mkdir()
    for row in range(N):
        Image.new("L", (8, 8), 80 * (row % 3)).save(tmp_path / "photos" / f"{row}.png")
    run = lv.fit(vectors, outputs=tmp_path, **{**SETTINGS, "data": {"items": str(tmp_path / "photos")}})
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 3})
    made = lv.generate(run, between=("0.png", "1.png"), steps=2)
    assert "<img" in made._repr_html_()
    assert [int(output.image.max()) for output in made.texts[:2]] == [0, 80]
    np.save(tmp_path / "new.npy", np.load(vectors)[:2])
    assert lv.encode(run, tmp_path / "new.npy").map.exists()
    assert (run.recommend(["3.png"], k=2).save()[0].path / "sheet.png").exists()


def test_a_word_that_names_no_file_is_none(fitted: Path) -> None:
    config = VectorFitConfig.model_validate({"data": {"path": "x"}})
    assert read_item("nowhere.npy", config, fitted / "cache") is None
    assert read_item("x" * 5000, config, fitted / "cache") is None


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_is_exact_over_the_blocks(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.spatial.distance import cdist

    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    monkeypatch.setattr(
        "latentviz.modalities.vectors.nearest.blocks_of",
        lambda values: ((start, values[start : start + 7]) for start in range(0, 50, 7)),
    )
    near = nearest(vectors[:9] + 0.01, vectors, 5, metric)
    distances = cdist(vectors[:9] + 0.01, vectors, metric)
    assert np.array_equal(near.rows, np.argsort(distances, axis=1)[:, :5])


def test_tables_carry_texts_into_the_run(tmp_path: Path) -> None:
    import pyarrow as pa

    vectors, texts = write(tmp_path)
    pq.write_table(
        pa.table({"vec": np.load(vectors).tolist(), "text": texts.read_text().splitlines()}), tmp_path / "v.parquet"
    )
    run = lv.fit(tmp_path / "v.parquet", outputs=tmp_path, **SETTINGS)
    assert run.items["text"][1] == "b number 1"
