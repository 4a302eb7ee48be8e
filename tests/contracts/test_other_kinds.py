"""Generate, recommend, encode and export know no images: a kind of five-letter words goes through all of them."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import latentviz as lv
from latentviz import modalities
from latentviz.runs.items import Items
from latentviz.runs.run import RunFolder
from tests.words.config import WordConfig
from tests.words.kind import WordKind


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a finished, clustered run on 54 words around two corners of the alphabet."""
    monkeypatch.setattr(modalities, "MODALITIES", {"words": "tests.words"})
    run = RunFolder(tmp_path / "outputs" / "words")
    texts = [
        "".join(letters) + end for end in ("ab", "yz") for letters in product("abc" if end == "ab" else "xyz", repeat=3)
    ]
    n = len(texts)
    run.write_items(
        Items(
            pa.table(
                {
                    "id": [f"w{row}" for row in range(n)],
                    "split": ["val" if row % 9 == 0 else "train" for row in range(n)],
                    "label": pa.nulls(n, pa.string()),
                    "source": ["x.words"] * n,
                    "text": texts,
                }
            )
        )
    )
    run.write_config(WordConfig.model_validate({"data": {"path": "x.words"}, "model": {"latent_dim": 5}}))
    run.cache.mkdir()
    (run.cache / "words.txt").write_text(" ".join(texts))
    vae = WordKind.load(None, run.cache, run.items()).build()
    run.checkpoints.mkdir()
    for file in (run.best_checkpoint, run.last_checkpoint):
        torch.save({"state_dict": vae.state_dict()}, file)
    mu, logvar = vae.encode(WordKind(run.items()).dataset().__getitems__(range(n)))
    np.save(run.mu_file, mu.numpy())
    np.save(run.logvar_file, logvar.numpy())
    run.write_info(
        {
            "kind": "words",
            "versions": {},
            "seconds": {},
            "summary": {
                "items": n,
                "content_dim": 5,
                "latent_dim": 5,
                "active_units": 5,
                "log_likelihood": 0.0,
                "kl": 0.0,
            },
        }
    )
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    return run.path


def test_generate(shell: Callable, words: Path) -> None:
    outcome = shell("generate", words, "--between", "w0", "w53", "--steps", 3)
    said = outcome.out.splitlines()
    assert (said[0], said[2]) == ("aaaab", "zzzyz")
    assert said[-1] == f"6 outputs, sheet {words}/generated/between-w0-w53/sheet.txt"
    outcome = shell("generate", words, "--reconstruct", "w7", " hello", "--json")
    info = json.loads(outcome.out)
    assert [output["text"] for output in info["outputs"]] == ["acbab", "hello"]
    assert (Path(info["folder"]) / "002.txt").read_text() == "hello"
    assert "a new word" in outcome.err
    made = lv.generate(words, cluster=1, n=3)
    assert all(len(word) == 5 for word in made.outputs)
    assert made._repr_png_() is None


def test_recommend(shell: Callable, words: Path) -> None:
    rows = json.loads(shell("recommend", words, " xyxyz", "-k", 3, "--metric", "euclidean", "--json").out)
    assert rows[0]["text"] == "xyxyz"
    assert all(row["text"].endswith("yz") for row in rows)
    assert "no item of words has this id" in shell("recommend", words, "hello").complaint


def test_encode(words: Path, tmp_path: Path) -> None:
    (tmp_path / "new.words").write_text("abcab\nzzzyz")
    placed = lv.encode(words, tmp_path / "new.words")
    old = RunFolder.open(words).clustering().points().to_pandas()
    for new, text in enumerate(("abcab", "zzzyz")):
        row = int(np.flatnonzero(old["text"] == text)[0])
        assert placed.points["x"][new] == old["x"][row]
        assert placed.points["cluster"][new] == old["cluster"][row]
    assert "abcab" in placed.points["text"].tolist()
    assert placed.map.exists()


def test_keywords_name_the_clusters(shell: Callable, words: Path) -> None:
    result = lv.cluster(words, name="again", reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    found = result.clusters.set_index("cluster")
    ends = {"ab": set("abc"), "yz": set("xyz")}
    for number in range(2):
        end = result.points["text"][result.labels == number].iloc[0][-2:]
        assert set(found["keywords"][number]) <= ends[end]
        assert found["keywords"][number]
    outcome = shell(
        "cluster",
        words,
        "--name",
        "again",
        "--force",
        "reduce.method=pca",
        "cluster.method=gmm",
        "cluster.n_clusters=2",
    )
    assert f"27  {', '.join(found['keywords'][0])}" in outcome.out


def test_export(words: Path) -> None:
    pytest.importorskip("safetensors")
    assert [path.name for path in lv.export(words, safetensors=True)] == ["model.safetensors"]
