"""One frame in every format, read as images, as texts and as vectors; and the lines, bounds and damage of tables."""

import csv
import gzip
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import feather

from latentviz.errors import DataError
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.read import read as read_images
from latentviz.modalities.io.tables import read_table, table_files
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read as read_texts
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read as read_vectors

N = 18
VECTORS = np.random.default_rng(0).normal(size=(N, 3)).round(4)
ROWS: list[dict[str, Any]] = [
    {
        "code": f"{row:03}",
        "picture": f"pictures/{row}.png",
        "text": f"a picture of {'cats' if row % 2 else 'dogs, too'}\nnumber {row}",
        "label": "ab"[row % 2],
        "year": 1990 + row if row % 5 else None,
        **{f"c{column}": VECTORS[row, column] for column in range(3)},
    }
    for row in range(N)
]


def text_table(rows: list[dict[str, Any]], delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=5)
    return out.getvalue()


def arrow(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    feather.write_feather(pa.Table.from_pylist(rows), out)
    return out.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "x.csv": lambda rows: text_table(rows, ","),
    "semicolons.csv": lambda rows: text_table(rows, ";"),
    "x.tsv": lambda rows: text_table(rows, "\t"),
    "x.json": lambda rows: json.dumps(rows).encode(),
    "x.jsonl": lambda rows: "\n".join(map(json.dumps, rows)).encode(),
    "x.ndjson": lambda rows: "\n".join(map(json.dumps, rows)).encode(),
    "x.parquet": parquet,
    "x.arrow": arrow,
    "x.feather": arrow,
}
NAMES = [*WRITERS, *(f"{name}.gz" for name in WRITERS)]


def written(folder: Path, name: str, rows: list[dict[str, Any]] = ROWS) -> str:
    """Writes rows in the format of `name`; returns the path."""
    content = WRITERS[name.removesuffix(".gz")](rows)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(folder / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a folder with the pictures that the frame names."""
    (tmp_path / "pictures").mkdir()
    for row in range(N):
        Image.new("L", (9, 9), 10 * row).save(tmp_path / "pictures" / f"{row}.png")
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns the name of a data set on the hub that holds the frame."""
    import datasets

    tables = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, split=None: tables[split] if split else tables)
    return "hf:me/frame"


class TestEveryFormat:
    def texts(self, path: str) -> None:
        source = read_texts(TextData(path=path))
        assert source.texts.to_pylist() == [row["text"] for row in ROWS]
        assert source.labels == [row["label"] for row in ROWS]
        columns = {name: pa.array(values).to_pylist() for name, values in source.columns.items() if name != "part"}
        assert columns == {name: [row[name] for row in ROWS] for name in ROWS[0] if name not in {"text", "label"}}

    def vectors(self, path: str) -> None:
        source = read_vectors(VectorData(path=path, text_column="text", exclude="year"))
        found = np.concatenate(list(source.blocks()))
        assert np.array_equal(found[:, -3:], VECTORS)
        assert source.about.labels == [row["label"] for row in ROWS]
        assert source.about.texts == [row["text"] for row in ROWS]

    @pytest.mark.parametrize("name", NAMES)
    def test_as_texts_images_and_vectors(self, folder: Path, name: str) -> None:
        path = written(folder, name)
        self.texts(path)
        self.vectors(path)
        source = read_images(ImageData(path=path))
        assert [np.asarray(source.open(row))[0, 0] for row in range(N)] == [10 * row for row in range(N)]
        assert source.labels == [row["label"] for row in ROWS]
        assert list(source.columns["year"]) == [row["year"] for row in ROWS]

    def test_of_the_hub(self, hub: str) -> None:
        self.texts(hub)
        self.vectors(hub)

    @pytest.mark.parametrize("name", [name for name in NAMES if "sv" not in name])
    def test_lists_of_numbers(self, tmp_path: Path, name: str) -> None:
        rows = [{"text": row["text"], "embedding": VECTORS[i].tolist()} for i, row in enumerate(ROWS)]
        source = read_vectors(VectorData(path=written(tmp_path, name, rows)))
        assert np.array_equal(np.concatenate(list(source.blocks())), VECTORS)
        assert source.about.texts == [row["text"] for row in ROWS]

    @pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.parquet.gz", "x.arrow.gz"])
    def test_bytes_of_images(self, folder: Path, name: str) -> None:
        pictures = [(folder / row["picture"]).read_bytes() for row in ROWS]
        rows = [{"image": {"bytes": picture, "path": None}, "n": i} for i, picture in enumerate(pictures)]
        source = read_images(ImageData(path=written(folder, name, rows)))
        assert [np.asarray(source.open(row))[0, 0] for row in range(N)] == [10 * row for row in range(N)]
        assert list(source.columns) == ["n"]

    def test_a_column_that_a_setting_names_is_used_or_refused(self, folder: Path) -> None:
        path = written(folder, "x.csv")
        assert read_images(ImageData(path=path, image_column="picture", label_column="code")).labels[7] == "007"
        for read, data in (
            (read_images, ImageData(path=path, image_column="pictur")),
            (read_texts, TextData(path=path, text_column="txt")),
            (read_vectors, VectorData(path=path, vector_column="c")),
        ):
            with pytest.raises(DataError, match=r"data\.\w+_column.*(pictur|txt|'c')"):
                read(data)


class TestLines:
    def numbers(self, tmp_path: Path, content: str) -> tuple[list[str], list[str]]:
        (tmp_path / "x.csv").write_bytes(content.encode())
        table = read_table(str(tmp_path / "x.csv"))
        return table.origins(), [bad.source for bad in table.bad]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_inside_cells_blank_lines_and_bad_rows_count(self, tmp_path: Path, end: str) -> None:
        lines = ["", "a,b", '"x', 'y",1', "", '"one', 'two",2,3', "z,4", "only"]
        assert self.numbers(tmp_path, end.join(lines)) == (["x.csv:3", "x.csv:8"], ["x.csv:6", "x.csv:9"])

    def test_a_row_longer_than_a_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("latentviz.modalities.io.text_tables._CSV_BLOCKS", (64, 2**20))
        content = 'a,b\n1,2\n3\n"' + "word\n" * 100 + '",4\n5,6\n'
        assert self.numbers(tmp_path, content) == (["x.csv:2", "x.csv:4", "x.csv:105"], ["x.csv:3"])

    def test_lines_do_not_depend_on_the_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [f'"{"x" * (i % 7)}\n{i}",{i}' if i % 3 else f"{i}" for i in range(200)]
        whole = self.numbers(tmp_path, "a,b\n" + "\n".join(rows))
        monkeypatch.setattr("latentviz.modalities.io.text_tables._CSV_BLOCKS", (256,))
        assert self.numbers(tmp_path, "a,b\n" + "\n".join(rows)) == whole


class TestFolders:
    def test_tables_of_the_commonest_format_in_natural_order(self, tmp_path: Path) -> None:
        for name in ("10.csv", "9.csv", "x.parquet", ".hidden.csv"):
            (tmp_path / name).write_text("a\n1\n")
        (tmp_path / "link.csv").symlink_to(tmp_path.parent / "outside.csv")
        (tmp_path.parent / "outside.csv").write_text("a\n2\n")
        assert [file.name for file in table_files(tmp_path)] == ["9.csv", "10.csv"]
        assert [file.name for file in table_files(tmp_path, links=True)] == ["9.csv", "10.csv", "link.csv"]
        assert read_table(str(tmp_path)).ids() == ["9/2", "10/2"]

    @pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.jsonl"])
    def test_columns_that_only_some_have_are_missing_in_the_others(self, tmp_path: Path, name: str) -> None:
        for part, row in (("train", {"a": 1, "b": "x"}), ("test", {"a": 2.5})):
            Path(written(tmp_path, name, [row])).rename(tmp_path / name.replace("x", part))
        table = read_table(str(tmp_path))
        assert table.column("a").to_pylist() == [2.5, 1]
        assert table.column("b").to_pylist() == [None, "x"]
        assert table.parts() == ["test", "train"]

    def test_types_that_do_not_fit_are_refused(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [[1]]}), tmp_path / "1.parquet")
        pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
        with pytest.raises(DataError, match="2 tables do not fit together"):
            read_table(str(tmp_path))


def test_views_of_strings(tmp_path: Path) -> None:
    texts = pa.array([row["text"] for row in ROWS], pa.string_view())
    feather.write_feather(pa.table({"text": texts}), tmp_path / "x.arrow", compression="uncompressed")
    assert read_texts(TextData(path=str(tmp_path / "x.arrow"))).texts.to_pylist() == texts.to_pylist()


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.parquet.gz", "x.arrow.gz"])
@pytest.mark.parametrize("kept", [0, 4, 100])
def test_damaged_files(tmp_path: Path, name: str, kept: int) -> None:
    content = WRITERS[name.removesuffix(".gz")](ROWS)[:kept]
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(DataError, match=f"{name}: not a whole (Parquet|Arrow) file") as error:
        read_table(str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_columns_are_read_when_they_are_asked_for_and_lie_on_disk(tmp_path: Path) -> None:
    """The bytes of images never lie in memory as a whole."""
    pictures = [np.random.default_rng(i).bytes(20_000) for i in range(500)]
    pq.write_table(pa.table({"image": pictures, "n": range(500)}), tmp_path / "x.parquet", row_group_size=50)
    before = pa.total_allocated_bytes()
    table = read_table(str(tmp_path / "x.parquet"))
    column = table.mapped("image")
    deadline = time.monotonic() + 10  # Arrow's threads free what they read ahead a little later
    while pa.total_allocated_bytes() - before >= 1_000_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert column[499].as_py() == pictures[499]
    assert table.column("n")[7].as_py() == 7


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.parquet.gz"])
def test_columns_of_one_name_are_kept_apart_and_said(tmp_path: Path, name: str) -> None:
    table = pa.table([pa.array(["x", "y"]), pa.array(["z", "w"]), pa.array([1, 2])], ["text", "text", "n"])
    out = io.BytesIO()
    if "parquet" in name:
        pq.write_table(table, out)
    else:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    (tmp_path / name).write_bytes(gzip.compress(out.getvalue()) if name.endswith(".gz") else out.getvalue())
    found = read_table(str(tmp_path / name))
    assert {name: found.column(name).to_pylist() for name in found.schema.names} == {
        "text": ["x", "y"],
        "text 2": ["z", "w"],
        "n": [1, 2],
    }
    assert ["'text 2'" in note for note in found.notes] == [True]
