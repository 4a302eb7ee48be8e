"""A user's columns stay the user's: names that latentviz computes are kept as `data_…`, in every kind and table."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from latentviz.clustering.landmarks import Layout
from latentviz.clustering.partition import Clustering
from latentviz.config import MapSection
from latentviz.modalities import modality
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.sources import load_config
from latentviz.queries.filter import select
from latentviz.runs.items import RESERVED, own_names
from latentviz.stages import cluster, encode
from latentviz.stages.map import OWN_COLUMNS, check

N = 24
# Readers take these as ids and labels; `y` is a usual name of labels.
TAKEN = {"id", "label", "y"}
CLAIMED = sorted({*RESERVED} - TAKEN)


def user_columns(what: str) -> dict[str, list]:
    """Returns one column per reserved name, of numbers or of texts."""
    return {name: [f"{name}-{i % 5}" if what == "texts" else 1000 + i for i in range(N)] for name in CLAIMED}


def write_images(folder: Path, columns: dict[str, list]) -> str:
    random = np.random.default_rng(0)
    for i in range(N):
        Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(folder / f"{i:02}.png")
    pd.DataFrame({"file_name": [f"{i:02}.png" for i in range(N)], **columns}).to_csv(
        folder / "metadata.csv", index=False
    )
    return str(folder)


def write_texts(folder: Path, columns: dict[str, list]) -> str:
    texts = [f"the cat number {i} sat on the mat" for i in range(N)]
    pd.DataFrame({"text": texts, **columns}).to_csv(folder / "texts.csv", index=False)
    return str(folder / "texts.csv")


def write_vectors(folder: Path, columns: dict[str, list]) -> str:
    vectors = np.random.default_rng(0).normal(size=(N, 6)).tolist()
    rows = [{"vector": vectors[i], **{name: values[i] for name, values in columns.items()}} for i in range(N)]
    (folder / "vectors.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder / "vectors.jsonl")


WRITERS = {"image": write_images, "text": write_texts, "vectors": write_vectors}


def prepared(source: str, cache: Path, **data: str) -> Prepared:
    """Reads a source as `fit` does."""
    config, _ = load_config(source, {"data": data})
    return modality(config.data.kind).data_kind.prepare(config, cache)


def layout() -> Layout:
    """Returns where N items lie, all numbers below 1,000."""
    zeros, labels = np.zeros(N, np.float32), np.zeros(N, np.int32)
    return Layout(np.zeros((N, 2)), np.zeros((N, 2)), np.zeros((N, 2), int), Clustering(labels, zeros, zeros), labels)


@pytest.mark.parametrize("what", ["numbers", "texts"])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_reserved_name_is_kept_apart(kind: str, what: str, tmp_path: Path) -> None:
    """Reported of tools that compute columns: reconhub/epicontacts#71, scverse/anndata#871, scverse/anndata#590."""
    given = user_columns(what)
    folder = tmp_path / "source"
    folder.mkdir()
    found = prepared(WRITERS[kind](folder, given), tmp_path / "cache", kind=kind)
    items = found.items
    for name, values in given.items():
        assert items.column(f"data_{name}") == values
    said = [note for note in found.notes if "x → data_x" in note]
    assert len(said) == 1
    assert all(f"{name} → data_{name}" in said[0] for name in given)
    measured = {name: np.zeros(N, np.float32) for name in ("log_likelihood", "kl", "repeats")}
    placed = {name: np.zeros(N) for name in ("x", "y", "cluster", "distance", "unlike", "log_likelihood")}
    for table in (cluster.points_table(items, layout(), measured), encode.points_table(items, placed)):
        assert len(set(table.column_names)) == len(table.column_names)
        for name in ("x", "y", "cluster", "log_likelihood"):
            assert set(table.column(name).to_pylist()) == {0}, f"{name} is computed"
        for name, values in given.items():
            assert table.column(f"data_{name}").to_pylist() == values
        assert select("cluster == 0", table).all()
        assert select(f"data_cluster == {given['cluster'][0]!r}", table).any()
        for name in given:
            check(MapSection(colour_by=f"data_{name}"), table.column_names)


def test_all_that_a_clustering_writes_is_reserved(tmp_path: Path) -> None:
    found = prepared(write_texts(tmp_path, {"mood": ["a"] * N}), tmp_path / "cache")
    written = cluster.points_table(found.items, layout(), {})
    assert {*written.column_names} - {"mood", "text"} <= {*RESERVED}
    assert {*RESERVED} >= OWN_COLUMNS
    assert written.column("mood").to_pylist() == ["a"] * N


def test_runs_from_before_names_were_reserved(tmp_path: Path) -> None:
    found = prepared(write_texts(tmp_path, {}), tmp_path / "cache")
    old = type(found.items)(found.items.table.append_column("cluster", pa.array(["mine"] * N)))
    table = cluster.points_table(old, layout(), {})
    assert set(table.column("cluster").to_pylist()) == {0}
    assert table.column("data_cluster").to_pylist() == ["mine"] * N


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["x", "data_x"], ["data_data_x", "data_x"]),
        (["data_x", "x"], ["data_x", "data_data_x"]),
        (["X", "Cluster"], ["X", "Cluster"]),
        (["data_x", "x", "data_data_x"], ["data_x", "data_data_data_x", "data_data_x"]),
    ],
)
def test_a_name_that_is_free_stays(names: list[str], kept: list[str]) -> None:
    assert list(own_names(names).values()) == kept


class TestNamesThatOccurTwice:
    """Reported of others: pola-rs/polars#27393, apache/arrow#37428, apache/datafusion#24381, scverse/anndata#884."""

    @pytest.fixture(params=["csv", "tsv", "csv.gz", "parquet", "parquet.gz", "arrow"])
    def twice(self, request: pytest.FixtureRequest, tmp_path: Path) -> str:
        """A table with two columns `text` and two columns `mood`."""
        return write_twice(tmp_path, request.param)

    def test_both_are_kept_and_said(self, twice: str, tmp_path: Path) -> None:
        found = prepared(twice, tmp_path / "cache")
        assert found.items.column("text")[3] == "the first text 3"
        assert found.items.column("text 2")[3] == "the second text 3"
        assert [found.items.column(name)[3] for name in ("mood", "mood 4")] == ["glad", "sad"]
        (said,) = [note for note in found.notes if "occur twice" in note]
        assert "'text 2'" in said
        assert "'mood 4'" in said


def write_twice(folder: Path, suffix: str) -> str:
    """Writes a table with names that occur twice."""

    columns = [
        [f"the first text {i}" for i in range(N)],
        [f"the second text {i}" for i in range(N)],
        ["glad"] * N,
        ["sad"] * N,
    ]
    table = pa.table([pa.array(column) for column in columns], ["text", "text", "mood", "mood"])
    stream = io.BytesIO()
    if "parquet" in suffix:
        pq.write_table(table, stream)
    elif suffix == "arrow":
        with pa.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)
    else:
        pa.csv.write_csv(table, stream, pa.csv.WriteOptions(delimiter="\t" if suffix == "tsv" else ","))
    content = stream.getvalue()
    file = folder / f"twice.{suffix}"
    file.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    return str(file)


def written_ids(folder: Path, kind: str) -> str:
    """Writes items of which two share an id."""
    ids = ["a", "b", "a", *(f"i{i}" for i in range(N - 3))]
    if kind == "image":
        path = write_images(folder, {})
        frame = pd.read_csv(folder / "metadata.csv")
        frame.loc[2, "file_name"] = frame.file_name[0]
        frame.to_csv(folder / "metadata.csv", index=False)
        return path
    return {"text": write_texts, "vectors": write_vectors}[kind](folder, {"id": ids})


@pytest.mark.parametrize("kind", WRITERS)
def test_two_items_of_one_id_are_kept_and_said(kind: str, tmp_path: Path) -> None:
    """Reported of others: scverse/anndataR#256, rom1504/img2dataset#244 (an image with several captions)."""
    folder = tmp_path / "source"
    folder.mkdir()
    data = {"id_column": "id"} if kind == "text" else {}
    found = prepared(written_ids(folder, kind), tmp_path / "cache", kind=kind, **data)
    ids = found.items.column("id")
    assert len(set(ids)) == N
    assert ids[2] == f"{ids[0]} (2)"
    (said,) = [note for note in found.notes if note.startswith("ids:")]
    assert f"1 of {N}" in said
    assert ids[2] in said
