"""Reading texts from lines, files, tables and the hub."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latentviz.errors import DataError
from latentviz.modalities import detect
from latentviz.modalities.io.source import TextSource as Source
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read

WORDS = [f"some words about number {i} and more" for i in range(20)]


def read_path(path: Path | str, **settings: str) -> Source:
    """Reads the texts at a path."""
    return read(TextData(path=str(path), **settings))


def write(file: Path, content: str) -> Path:
    """Writes a file, gzipped if its name says so; returns its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content.encode()) if file.suffix == ".gz" else content.encode())
    return file


def column(source: Source, name: str) -> list[Any]:
    """Returns one of the data's own columns as a list."""
    values = source.columns[name]
    return list(values) if isinstance(values, list) else values.to_pylist()


class TestLines:
    @pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.text", "noted.log"])
    def test_an_item_a_line_and_blank_ones_counted(self, tmp_path: Path, name: str) -> None:
        source = read_path(write(tmp_path / name, "\n first \r\n\n\t\nsecond\rthird\u2028still\n"))
        assert source.texts.to_pylist() == ["first", "second", "third\u2028still"]
        stem = name.split(".", maxsplit=1)[0]
        assert source.ids == [f"{stem}/2", f"{stem}/5", f"{stem}/6"]
        assert source.origins[1] == f"{name}:5"
        assert source.labels == [None] * 3
        assert len(source.notes) == 1
        assert "3 blank lines" in source.notes[0]

    def test_only_blank_ones(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"x.txt: only blank lines \(3 of them\)"):
            read_path(write(tmp_path / "x.txt", "\n  \n\u3000\n"))

    def test_a_few_files_are_corpora_and_say_the_part(self, tmp_path: Path) -> None:
        write(tmp_path / "train.txt", "a b\nc d")
        write(tmp_path / "test.txt", "e f")
        source = read_path(tmp_path)
        assert source.ids == ["test/1", "train/1", "train/2"]
        assert source.columns == {"part": ["test", "train", "train"]}


class TestFolder:
    def test_an_item_a_file_with_subfolders_for_labels(self, tmp_path: Path) -> None:
        for i in range(20):
            write(tmp_path / "x" / ("pos" if i % 2 else "neg") / f"{i}.txt", f"text {i}\nof two lines\n")
        write(tmp_path / "x" / "pos" / "blank.txt", " \n")
        write(tmp_path / "x" / "pos" / "none.txt", "")
        write(tmp_path / "x" / ".hidden" / "h.txt", "hidden")
        (tmp_path / "x" / "neg" / "bad.txt").write_bytes(b"caf\xe9 au lait")
        (tmp_path / "out.txt").write_text("outside")
        (tmp_path / "x" / "neg" / "link.txt").symlink_to(tmp_path / "out.txt")
        source = read_path(tmp_path / "x")
        assert source.ids[:2] == ["neg/0", "neg/2"], "in natural order"
        assert source.texts[0].as_py() == "text 0\nof two lines"
        assert source.labels == ["neg"] * 10 + ["pos"] * 10
        assert [bad.source for bad in source.bad] == ["neg/bad.txt"]
        assert source.bad[0].reason.startswith("line 1 is not UTF-8")
        assert "20 files" in source.notes[0]
        assert "2 blank files" in source.notes[0]
        assert set(read_path(tmp_path / "x", label_column="none").labels) == {None}

    def test_train_and_test_are_parts(self, tmp_path: Path) -> None:
        for i in range(20):
            write(tmp_path / ("train" if i < 10 else "test") / ("pos" if i % 2 else "neg") / f"{i}.txt", f"text {i}")
        source = read_path(tmp_path)
        assert set(source.labels) == {"pos", "neg"}
        assert source.columns["part"] == ["test"] * 10 + ["train"] * 10

    def test_of_nothing_and_of_other_things(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="the folder is empty"):
            read_path(tmp_path)
        write(tmp_path / "a.bin", "?")
        with pytest.raises(DataError, match=r"holds no texts \(got 1 .bin file\)"):
            read_path(tmp_path)
        with pytest.raises(DataError, match="b: no such file or folder"):
            read_path(tmp_path / "b")


def table(rows: int = 20) -> list[dict[str, Any]]:
    """Returns rows with an id, a label, a number and a text."""
    return [{"code": f"{i:03}", "kind": "ab"[i % 2], "stars": i % 5, "remark": WORDS[i % 20]} for i in range(rows)]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    """Returns rows as CSV."""
    lines = [rows[0].keys(), *(row.values() for row in rows)]
    return "".join(
        delimiter.join(f'"{value}"' if delimiter in str(value) else str(value) for value in line) + "\n"
        for line in lines
    )


class TestTables:
    @pytest.mark.parametrize(
        "name",
        ["x.csv", "x.tsv", "x.csv.gz", "x.jsonl", "x.json", "x.jsonl.gz", "x.json.gz", "x.parquet", "columns.json"],
    )
    def test_every_format_gives_the_same(self, tmp_path: Path, name: str) -> None:
        rows, file = table(), tmp_path / name
        if "parquet" in name:
            pq.write_table(pa.Table.from_pylist(rows), file)
        else:
            write(
                file,
                as_csv(rows, "\t" if ".tsv" in name else ",")
                if "sv" in name
                else "\n".join(map(json.dumps, rows))
                if "jsonl" in name
                else json.dumps({"version": 1, "rows": rows} if "columns" in name else rows),
            )
        assert detect(str(file)) == "text"
        source = read_path(file, label_column="kind")
        assert source.texts.to_pylist() == WORDS
        assert source.labels == ["a", "b"] * 10
        assert column(source, "stars") == [i % 5 for i in range(20)], "numbers stay numbers"
        assert column(source, "code")[7] == "007", "a name stays a name"
        assert set(source.columns) == {"code", "stars"}
        assert len(set(source.ids)) == len(set(source.origins)) == 20
        assert source.notes[-1] == "texts: column remark; labels: column kind"

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_found(self, tmp_path: Path, delimiter: str) -> None:
        source = read_path(write(tmp_path / "x.csv", as_csv(table(), delimiter)))
        assert (source.texts.to_pylist(), list(source.columns)) == (WORDS, ["code", "kind", "stars"])

    def test_a_single_column_with_commas_in_it(self, tmp_path: Path) -> None:
        source = read_path(write(tmp_path / "x.csv", 'text\nHello, world\n"Quoted, you"\nplain\n'))
        assert source.texts.to_pylist() == ["Hello, world", "Quoted, you", "plain"]

    def test_fields_over_many_lines_keep_the_line_they_begin_in(self, tmp_path: Path) -> None:
        source = read_path(write(tmp_path / "x.csv", 'text,label\n"a\nb",x\nc d,y\n'))
        assert source.texts.to_pylist() == ["a\nb", "c d"]
        assert source.origins == ["x.csv:2", "x.csv:4"]

    def test_quotes_that_mean_nothing(self, tmp_path: Path) -> None:
        rows = "".join(f'"Well{i}\tx\n' for i in range(30))
        assert len(read_path(write(tmp_path / "x.tsv", f"text\tlabel\n{rows}"))) == 30

    def test_ragged_rows_are_left_out_and_listed(self, tmp_path: Path) -> None:
        source = read_path(write(tmp_path / "x.csv", as_csv(table()) + "a,b\n\n1,2,3,4,5\n"))
        assert len(source) == 20
        assert [(bad.source, bad.reason) for bad in source.bad] == [
            ("x.csv:22", "2 fields, and the table has 4 columns"),
            ("x.csv:24", "5 fields, and the table has 4 columns"),
        ]

    def test_a_field_of_megabytes(self, tmp_path: Path) -> None:
        before = csv.field_size_limit()
        source = read_path(write(tmp_path / "x.csv", f"text,label\n{'word ' * 400_000},a\nb,b\n"))
        assert len(source.texts[0].as_py()) == 5 * 400_000 - 1
        assert csv.field_size_limit() == before

    def test_names_that_are_missing_or_twice(self, tmp_path: Path) -> None:
        source = read_path(write(tmp_path / "x.csv", "text,,n,n\na b,1,2,3\n"))
        assert list(source.columns) == ["column 2", "n", "n 4"]

    def test_bad_json_lines(self, tmp_path: Path) -> None:
        source = read_path(write(tmp_path / "x.jsonl", '{"text": "a"}\n\n{"text"\n"b"\n3\n{"text": null, "k": [1]}\n'))
        assert source.texts.to_pylist() == ["a", "b"]
        assert [bad.source for bad in source.bad] == ["x.jsonl:3", "x.jsonl:5"]
        left, found = source.notes
        assert left.endswith("left out: k")
        assert found.startswith("texts: column text; labels: none found; 1 row without a text")

    def test_halves_of_characters_which_json_can_spell(self, tmp_path: Path) -> None:
        source = read_path(write(tmp_path / "x.jsonl", '{"text": "a \\ud83d"}\n{"text": "\\ud83d\\udc08"}\n'))
        assert source.texts.to_pylist() == ["a \N{REPLACEMENT CHARACTER}", "🐈"]

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            ('[{"text": "a"},', "not JSON .*column 16"),
            ("[1, 2]", "no list of texts"),
            ("3", "no list of texts"),
            ("[" * 100_000, "nested too deeply"),
        ],
    )
    def test_bad_json(self, tmp_path: Path, content: str, match: str) -> None:
        with pytest.raises(DataError, match=match):
            read_path(write(tmp_path / "x.json", content))

    def test_json_lines_by_the_name_of_json(self, tmp_path: Path) -> None:
        assert len(read_path(write(tmp_path / "x.json", '{"text": "a"}\n{"text": "b"}\n'))) == 2

    def test_a_folder_of_tables_is_one(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", as_csv(table(3)))
        write(tmp_path / "test.csv", as_csv(table(2)))
        write(tmp_path / "readme.txt", "about them")
        source = read_path(tmp_path)
        assert source.ids == ["test/2", "test/3", "train/2", "train/3", "train/4"]
        assert column(source, "part") == ["test"] * 2 + ["train"] * 3

    def test_damaged_parquet(self, tmp_path: Path) -> None:
        (tmp_path / "x.parquet").write_bytes(b"PAR1 rubbish")
        with pytest.raises(DataError, match="not a whole Parquet file"):
            read_path(tmp_path / "x.parquet")


class TestColumns:
    def source(self, tmp_path: Path, table: dict[str, list[Any]], **settings: str) -> Source:
        pq.write_table(pa.table(table), tmp_path / "x.parquet")
        return read_path(tmp_path / "x.parquet", **settings)

    @pytest.mark.parametrize(
        ("names", "wanted"),
        [
            (("a", "Text"), "Text"),
            (("title", "body"), "body"),
            (("url", "sentence"), "sentence"),
            (("title", "url"), "title"),
        ],
    )
    def test_by_the_name(self, tmp_path: Path, names: tuple[str, str], wanted: str) -> None:
        source = self.source(tmp_path, {name: [f"{name} {i}" for i in range(3)] for name in names})
        assert source.texts[0].as_py() == f"{wanted} 0"

    def test_by_the_values(self, tmp_path: Path) -> None:
        rows = {
            "same": ["always the very same long words"] * 9,
            "short": list("abcdefghi"),
            "number": list(range(9)),
            "remark": [f"varied words {i}" for i in range(9)],
        }
        assert self.source(tmp_path, rows).texts[0].as_py() == "varied words 0"

    def test_as_the_user_says_even_numbers(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, {"n": [12, 7], "text": ["a", "b"]}, text_column="n", label_column="text")
        assert (source.texts.to_pylist(), source.labels) == (["12", "7"], ["a", "b"])

    def test_labels_are_found_unless_they_are_texts_too(self, tmp_path: Path) -> None:
        rows = {"text": [f"t {i}" for i in range(6)], "category": ["x", "y"] * 3}
        assert self.source(tmp_path, rows).labels == ["x", "y"] * 3
        assert set(self.source(tmp_path, rows, label_column="none").labels) == {None}
        source = self.source(tmp_path, {"text": [f"t {i}" for i in range(6)], "target": [f"u {i}" for i in range(6)]})
        assert set(source.labels) == {None}
        assert "target" in source.columns
        assert "none (target has 6 different values)" in source.notes[-1]

    def test_ids(self, tmp_path: Path) -> None:
        rows = {"id": [5, 6, 7], "text": ["a", "b", "c"], "name": ["x", "x", None]}
        source = self.source(tmp_path, rows)
        assert source.ids == ["5", "6", "7"]
        assert set(source.columns) == {"name"}
        assert self.source(tmp_path, rows, id_column="none").ids == ["x/0", "x/1", "x/2"]
        assert self.source(tmp_path, rows, id_column="name").ids == ["x", "x", "x/2"]
        assert self.source(tmp_path, {**rows, "id": [1, 1, 2]}).ids[0] == "x/0", "not all different: no names"

    def test_a_group_column_stays_whatever_else_it_is(self, tmp_path: Path) -> None:
        source = self.source(tmp_path, {"text": ["a", "b"], "label": ["x", "x"]}, group_column="label")
        assert source.labels == ["x", "x"]
        assert "label" in source.columns

    def test_what_is_missing(self, tmp_path: Path) -> None:
        rows = {"text": ["a"], "n": [1]}
        with pytest.raises(DataError, match=r"text_column: no column 'tetx'; there are text, n. Did you mean 'text'"):
            self.source(tmp_path, rows, text_column="tetx")
        for setting in ("label_column", "id_column"):
            with pytest.raises(DataError, match=f"data.{setting}: no column 'x'"):
                self.source(tmp_path, rows, **{setting: "x"})
        with pytest.raises(DataError, match=r"no column of text; it has a \(numbers\), b \(numbers\)"):
            self.source(tmp_path, {"a": [1], "b": [0.5]})
        with pytest.raises(DataError, match="the column text holds no text in 2 rows"):
            self.source(tmp_path, {"text": ["", None]})


class TestHub:
    def test_splits_are_joined_and_classes_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        datasets = pytest.importorskip("datasets")
        features = datasets.Features(
            {
                "text": datasets.Value("string"),
                "label": datasets.ClassLabel(names=["no", "yes"]),
                "vector": datasets.List(datasets.Value("float32")),
            }
        )
        tables = datasets.DatasetDict(
            {
                name: datasets.Dataset.from_dict(
                    {
                        "text": [f"{name} {i}" for i in range(n)],
                        "label": [i % 2 for i in range(n)],
                        "vector": [[0.0]] * n,
                    },
                    features=features,
                )
                for name, n in (("test", 2), ("train", 3))
            }
        )
        monkeypatch.setattr(
            datasets, "load_dataset", lambda name, config, split=None: tables[split] if split else tables
        )
        monkeypatch.setattr(
            datasets,
            "load_dataset_builder",
            lambda name, config: type("Builder", (), {"info": datasets.DatasetInfo(features=features)}),
        )
        assert detect("hf:me/words") == "vectors"  # of a column with that name; the texts are shown with them
        source = read_path("hf:me/words")
        assert source.ids == ["train/0", "train/1", "train/2", "test/0", "test/1"]
        assert source.labels == ["no", "yes", "no", "no", "yes"]
        assert source.texts[3].as_py() == "test 0"
        assert column(source, "part")[-1] == "test"
        assert "vector" not in source.columns
        assert read_path("hf:me/words", split="test").ids == ["test/0", "test/1"]


class TestDetect:
    @pytest.mark.parametrize("name", ["a.txt", "a.TXT.GZ", "b.tsv", "c.ndjson"])
    def test_by_suffix(self, tmp_path: Path, name: str) -> None:
        write(tmp_path / name, "x")
        assert detect(str(tmp_path / name)) == detect(str(tmp_path)) == "text"

    def test_tables_with_images_are_images(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"image": [b"x"], "text": ["x"]}), tmp_path / "x.parquet")
        assert detect(str(tmp_path / "x.parquet")) == "image"

    def test_docstrings(self) -> None:
        assert detect("python:docstrings") == "text"
        with pytest.raises(DataError, match="python:docstrings"):
            read_path("python:nothing")

    def test_what_is_imported_is_light(self) -> None:
        code = (
            "import sys, latentviz.modalities.text.config, latentviz.modalities.text.detect\n"
            "print({'numpy', 'pyarrow', 'tokenizers'} & set(sys.modules))\n"
            "import latentviz.modalities.text.new, latentviz.modalities.text.show\n"
            "print({'torch', 'datasets', 'pandas'} & set(sys.modules))"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\nset()\n"
