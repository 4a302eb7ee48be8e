"""Exports for other people: the card, the hub and back, the table of embedding-atlas, the site; mistakes in a line."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import latentviz as lv
from latentviz.errors import RunError
from tests.stages.hub import Hub, serving


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(monkeypatch) as found:
        yield found


@pytest.fixture(scope="module")
def shared(mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a copy of the clustered run, with its card."""
    run = Path(shutil.copytree(mapped, tmp_path_factory.mktemp("shared") / "small"))
    lv.export(run, card=True, force=True)
    return run


def test_the_card_has_metadata_figures_and_the_map(shared: Path) -> None:
    _, head, body = (shared / "exported" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    metadata, found = yaml.safe_load(head), json.loads((shared / "clusters/default/evaluation.json").read_text())
    assert metadata["library_name"] == "latentviz"
    assert metadata["pipeline_tag"] == "image-feature-extraction"
    measured = {m["name"]: m["value"] for m in metadata["model-index"][0]["results"][0]["metrics"]}
    assert measured["trustworthiness"] == round(found["faithfulness"]["trustworthiness"], 4)
    assert "More Information Needed" not in body
    assert str(shared.parent) not in body.replace(f"lv.open('{shared}')", "")
    for verdict in found["verdicts"]:
        assert verdict["headline"] in body
    assert (shared / "exported" / "map.png").read_bytes() == (shared / "clusters/default/map.png").read_bytes()


def test_a_run_goes_to_the_hub_and_back(shell: Callable, shared: Path, hub: Hub, tmp_path: Path) -> None:
    assert "http://127.0.0.1" in shell("export", shared, "--hub", "me/small").out
    files = hub.repositories["me/small"]
    assert hub.visibility["me/small"] == "private"
    assert hub.cards == [files["README.md"].decode()]
    assert "lv.open('hf:me/small')" in hub.cards[0]
    assert {"map.png", "mu.npy", "checkpoints/best.ckpt", "clusters/default/points.parquet"} <= set(files)
    assert not any(name.startswith(("samples/", "exported/")) for name in files)
    run = lv.open("hf:me/small", outputs=tmp_path)
    assert run.path == tmp_path / "me--small"
    assert np.array_equal(run.mu, lv.open(shared).mu)
    assert run.clustering().points.equals(lv.open(shared).clustering().points)
    assert run.verify().ok
    assert run.decode(run.mu[:2]).shape == (2, 1, 8, 8)
    del hub.repositories["me/small"]
    assert lv.open("hf:me/small", outputs=tmp_path) == run  # it is not asked for again
    assert shell("recommend", "hf:me/small", "0", "-k", "2", "--json", "--outputs", tmp_path).code == 0


def test_a_name_that_exists_is_kept_unless_forced(shell: Callable, shared: Path, hub: Hub) -> None:
    hub.repositories["me/taken"] = {"thesis.tex": b"mine", "clusters/gone/map.html": b"old"}
    assert "--force" in shell("export", shared, "--hub", "me/taken").complaint
    assert set(hub.repositories["me/taken"]) == {"thesis.tex", "clusters/gone/map.html"}
    assert shell("export", shared, "--hub", "me/taken", "--force").code == 0
    assert hub.repositories["me/taken"]["thesis.tex"] == b"mine"
    assert "clusters/gone/map.html" not in hub.repositories["me/taken"]


def test_what_is_on_the_hub_is_not_trusted(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["me/other"] = {"model.bin": b"x"}
    with pytest.raises(RunError, match="not a run of latentviz"):
        lv.open("hf:me/other", outputs=tmp_path)
    with pytest.raises(RunError, match="hf:me/none"):
        lv.open("hf:me/none", outputs=tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_the_table_is_what_embedding_atlas_reads(shared: Path) -> None:
    table, labels = map(pq.read_table, lv.export(shared, embedding_atlas=True, force=True))
    points, mu = lv.open(shared).clustering().points, lv.open(shared).mu
    assert table.column("x").to_pylist() == points["x"].tolist()
    near = table.column("neighbors")[5].as_py()
    assert near["ids"]
    assert 5 not in near["ids"]
    unit = mu / np.linalg.norm(mu, axis=1, keepdims=True)  # for the cosine metric
    assert near["distances"] == pytest.approx([np.linalg.norm(unit[5] - unit[row]) for row in near["ids"]], rel=1e-4)
    assert near["distances"] == sorted(near["distances"])
    assert table.column("image")[0].as_py()["bytes"][8:12] == b"WEBP"
    assert labels.column_names == ["x", "y", "text", "level", "priority"]
    assert labels.num_rows == points["cluster"].max() + 1


def test_the_site_holds_all_that_it_links_to(shared: Path) -> None:
    import re

    [index] = lv.export(shared, site=True, clustering="none", force=True)  # it has all of them
    links = re.findall(r'(?:href|src)="([^"]+)"', index.read_text(encoding="utf-8"))
    assert {"default/map.html", "default/map.png", "default/evaluation.html"} == set(links)
    assert all((index.parent / link).is_file() for link in links)
    assert lv.open(shared).verify().ok
    from latentviz.runs.ours import foreign

    assert foreign(shared) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--hub", "a/b/c"], "--hub"),
        (["--hub", "../x"], "--hub"),
        (["--hub", ""], "--hub"),
        (["--public"], "--public"),
        (["--card", "--clustering", "none"], "none"),
        (["--card"], "--force"),
    ],
)
def test_mistakes(shell: Callable, shared: Path, words: list[str], named: str) -> None:
    assert named in shell("export", shared, *words).complaint
