"""What `fit --dry-run` and `lv.inspect` say, and that they read little and write nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import latentviz as lv
from latentviz.errors import ConfigError, DataError
from latentviz.modalities.inspecting import Inspection, inspect_source

N = 40
ROWS = [
    {
        "id": f"k-{i}",
        "text": f"the text of number {i}",
        "label": "ab"[i % 2],
        "x": i * 7 % 11,
        "y": 1000.0 * (i * 3 % 7),
    }
    for i in range(N)
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return tmp_path / "x.jsonl"


def lines(found: Inspection) -> list[str]:
    """Returns what is printed, after checking its length."""
    said = str(found).splitlines()
    assert said.index("first items:") <= 5
    assert len(said) <= 9
    return said


def test_a_table_of_texts(table: Path) -> None:
    found = lv.inspect(table)
    assert (found.kind, found.taken, found.shown) == ("text", ["text"], {"labels": "label"})
    assert found.left == ["id (an id)", "x (numbers)", "y (numbers)"]
    assert found.items == [row["text"] for row in ROWS[:3]]
    assert lines(found)[1] == "learnt from: column text"


def test_the_same_table_as_vectors(table: Path) -> None:
    found = lv.inspect(table, data={"kind": "vectors"})
    assert found.taken == ["x", "y"]
    assert found.shown == {"labels": "label", "texts": "text"}
    assert "own deviation" in found.scaling
    assert "same number" in lv.inspect(table, data={"kind": "vectors", "scale": "global"}).scaling
    assert found.items[1] == "x 7, y 3000.0"
    assert lv.inspect(table, data={"columns": "y"}).taken == ["y"]


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_counts_where_they_are_cheap(tmp_path: Path, name: str) -> None:
    rows = pa.table({"text": [f"the text of number {i}" for i in range(N)]})
    if name == "x.csv":
        (tmp_path / name).write_text("text\n" + "\n".join(rows.column("text").to_pylist()))
    else:
        pq.write_table(rows, tmp_path / name)
    found = lv.inspect(tmp_path / name)
    assert found.count == (N if name == "x.parquet" else None)


def test_images_by_path_and_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for i in range(20):
        Image.new("L", (8, 8)).save(tmp_path / "pictures" / f"{i}.png")
    (tmp_path / "x.csv").write_text("file,kind\n" + "\n".join(f"pictures/{i}.png,{i % 2}" for i in range(20)))
    assert lv.inspect(tmp_path / "x.csv").items == [f"pictures/{i}.png" for i in range(3)]
    found = lv.inspect(tmp_path / "pictures")
    assert (found.kind, found.count) == ("image", 20)
    assert list(found.items) == ["0.png", "1.png", "2.png"]
    lines(found)


def test_encoded_images(tmp_path: Path) -> None:
    table = pa.table({"image": [{"bytes": b"x", "path": "a"}] * N, "n": list(range(N))})
    pq.write_table(table, tmp_path / "x.parquet")
    assert lv.inspect(tmp_path / "x.parquet").items == ["image 1", "image 2", "image 3"]


def test_arrays_lines_and_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(20))
    assert lv.inspect(tmp_path / "x.npy").count == 20
    (tmp_path / "x.txt").write_text("a b\n\nc d\n" * 30)
    assert list(lv.inspect(tmp_path / "x.txt").items) == ["a b", "c d", "a b"]
    (tmp_path / "many").mkdir()
    for i in range(20):
        (tmp_path / "many" / f"{i}.txt").write_text(f"text {i}")
    (tmp_path / "many" / "notes.rst").write_text("other")
    found = lv.inspect(tmp_path / "many")
    assert found.items[0] == "0.txt: text 0"
    assert any(".rst" in note for note in found.notes)


def test_objects_in_memory() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(ROWS)
    found = lv.inspect(frame)
    assert (found.kind, found.count, found.taken, found.shown) == ("text", N, ["text"], {"labels": "label"})
    numbers = frame[["x", "y"]].rename(columns={"y": "z"}).assign(odd=frame["x"] % 2 == 1)
    assert lv.inspect(numbers).taken == ["x", "z"]
    assert lv.inspect(numbers, data={"columns": "x,odd"}).taken == ["x", "odd"]
    pixels = np.arange(N * 8 * 9 * 3, dtype=np.uint8)
    for shape, said in (((N, 8, 9, 3), "8 × 9 pixels, 3 channels"), ((N, 3, 8, 9), "axes (n, c, h, w)")):
        assert any(said in line for line in lines(lv.inspect(pixels.reshape(shape))))


def test_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    kinds = {"id": "int64", "text": "string", "title": "string"}
    features = datasets.Features({name: datasets.Value(kind) for name, kind in kinds.items()})
    builder = type("Builder", (), {"info": datasets.DatasetInfo(features=features)})
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: builder)
    found = inspect_source("hf:me/words", {})
    assert (found.kind, found.taken) == ("text", ["text"])


def test_only_the_first_rows_of_a_table_are_read(tmp_path: Path) -> None:
    with (tmp_path / "x.jsonl").open("w") as file:
        file.writelines(json.dumps({"text": f"the text of number {i}"}) + "\n" for i in range(1_000))
        file.write("no JSON\n")
    assert lv.inspect(tmp_path / "x.jsonl").kind == "text"


def test_mistakes(table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.text_column: no column 'body'; there are id, text"):
        lv.inspect(table, data={"text_column": "body"})
    with pytest.raises(ConfigError, match=r"data\.textcolumn"):
        lv.inspect(table, data={"textcolumn": "text"})
    with pytest.raises(DataError, match="no recipe, config, file or folder"):
        lv.inspect(tmp_path / "nowhere")


def test_a_source_without_items_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.zeros((0, 8), np.float32))
    (tmp_path / "lines.txt").write_text("\n\n")
    (tmp_path / "table.csv").write_text("text,label\n")
    for file in ("vectors.npy", "lines.txt", "table.csv"):
        with pytest.raises(DataError, match=f"{file}: holds no items"):
            lv.inspect(tmp_path / file)


def test_dry_run_prints_and_writes_nothing(shell: Callable, table: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = shell("fit", table, "--dry-run", "--outputs", tmp_path / "outputs")
    assert said.code == 0
    assert said.out.splitlines()[0] == f"{table}: text"
    assert sorted(tmp_path.rglob("*")) == before
    assert shell("fit", table, "--dry-run", "data.text_column=nothing").code == 2
