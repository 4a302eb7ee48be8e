"""What each column of a table is taken for, and which kind the table is: inputs reported to other tools."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latentviz.errors import DataError, LatentvizError
from latentviz.modalities import detect
from latentviz.modalities.io.roles import Role, judge
from latentviz.modalities.io.table_kind import NearReadingsError
from latentviz.modalities.sources import load_config
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read as read_texts
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read as read_vectors

N = 30
X = np.random.default_rng(0).normal(size=(N, 4)).round(4)


def table(folder: Path, header: str, row: Callable[[int], str], name: str = "x.csv") -> str:
    """Writes a table of N lines and returns its path."""
    (folder / name).write_text("\n".join([header, *(row(i) for i in range(N))]) + "\n", encoding="utf-8")
    return str(folder / name)


def numbers(i: int, mark: str = ".", between: str = ",") -> str:
    return between.join(f"{x:.4f}".replace(".", mark) for x in X[i])


def vectors(path: str, **settings: object) -> np.ndarray:
    assert detect(path) == "vectors"
    return np.concatenate(list(read_vectors(VectorData(path=path, **settings)).blocks()))


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("Unnamed: 0", list(range(5)), Role.INDEX),
        ("", [str(i) for i in range(5)], Role.INDEX),
        ("customer_id", [7, 7, 9], Role.ID),
        ("userId", [12, 15, 13], Role.ID),
        ("sku", ["A-1", "A-2", "B-9"], Role.ID),
        ("hash", ["0f8fad5b-d9cb-469f-a165-70867728950e"], Role.ID),
        ("age", [33, 21, 48, 33], Role.NUMBERS),
        ("salary", [51_200, 48_933, 60_001], Role.NUMBERS),
        ("when", ["2024-01-31", "2024-02-01T10:00:00Z"], Role.DATE),
        ("when", ["31.01.2024", "01.02.2024"], Role.DATE),
        ("timestamp", [1_700_000_000, 1_700_000_060], Role.DATE),
        ("price", ["1,234.50", "12.00"], Role.FORMATTED),
        ("price", ["1.234,50 €", "12,00 €"], Role.FORMATTED),
        ("share", ["12%", "7.5%"], Role.FORMATTED),
        ("image", ["a/1.png", "a/2.jpg"], Role.IMAGE_PATHS),
        ("file", ["a/1.wav", "a/2.wav"], Role.PATHS),
        ("image_url", ["https://a.b/1", "https://a.b/2"], Role.IMAGE_URLS),
        ("link", ["https://a.b/1", "https://a.b/2"], Role.URLS),
        ("e", ["[1, 2.5]", "[3, 4]"], Role.VECTOR_TEXTS),
        ("e", ["[1.  2.5]", "[3. -4e-1]"], Role.VECTOR_TEXTS),
        ("pixels", ["1 2 3 4 5 6 7 8 9"], Role.VECTOR_TEXTS),
        ("e", ["[0.1 0.2 ... 0.9]"], Role.CUT_VECTORS),
        ("e", [[1.0, 2.0], [3.0, 4.0]], Role.VECTORS),
        ("tags", [["a"], ["a", "b"], []], Role.TAGS),
        ("tags", ["['a', 'b']", "[]"], Role.TAGS),
        ("meta", [{"a": 1}], Role.OBJECTS),
        ("sex", ["m", "f", "f", "m"], Role.CATEGORY),
        ("text", ["good", "good"], Role.TEXT),
        ("remark", ["I liked it very much", "Not at all what I wanted"], Role.TEXT),
        ("诗", ["床前明月光,疑是地上霜", "春眠不觉晓,处处闻啼鸟"], Role.TEXT),
        ("name", ["apple", "pear", "plum"], Role.NAMES),
        ("empty", [None, "", float("nan")], Role.EMPTY),
    ],
)
def test_roles(name: str, values: list[object], role: Role) -> None:
    assert judge({name: values})[name].role is role


def test_what_counts_up_is_no_number_to_learn_from() -> None:
    steps = [i / 10 for i in range(20)]
    assert judge({"t": steps, "x": [i * i % 7 for i in range(20)]})["t"].role is Role.INDEX
    assert judge({"t": steps, "u": [2 * t for t in steps]})["t"].role is Role.NUMBERS  # rows that are sorted


class TestVectors:
    @pytest.mark.parametrize("header", ["", "Unnamed: 0", "index"])
    def test_an_index_is_no_dimension(self, tmp_path: Path, header: str) -> None:
        """As in huggingface/datasets#5490 and thinkingmachines/linksight-2018#174."""
        path = table(tmp_path, f"{header},a,b,c,d", lambda i: f"{i},{numbers(i)}")
        assert np.array_equal(vectors(path), X)
        notes = " ".join(read_vectors(VectorData(path=path)).about.notes)
        assert "a, b, c, d" in notes
        assert "(a row number)" in notes

    def test_lists_written_as_text(self, tmp_path: Path) -> None:
        """As in Arize-ai/phoenix#22 and openai/openai-cookbook#137."""
        path = table(tmp_path, "text,embedding", lambda i: f'text no. {i} of them,"{json.dumps(X[i].tolist())}"')
        assert np.array_equal(vectors(path), X)
        assert np.array_equal(vectors(path, vector_column="embedding"), X)
        assert read_vectors(VectorData(path=path)).about.texts[3] == "text no. 3 of them"

    def test_lists_as_numpy_prints_them(self, tmp_path: Path) -> None:
        path = table(tmp_path, "id;emb", lambda i: f'{i};"{np.array2string(X[i])}"')
        assert np.allclose(vectors(path), X, atol=1e-4)

    def test_a_list_that_is_none(self, tmp_path: Path) -> None:
        path = table(tmp_path, "id,emb", lambda i: f'{i},"[1, 2]"')
        with Path(path).open("a") as file:
            file.write('99,"[1, x]"\n')
        with pytest.raises(DataError, match=r"row 30 is not a list of numbers \(got '\[1, x\]'\)"):
            list(read_vectors(VectorData(path=path, vector_column="emb")).blocks())

    def test_cut_lists_are_refused(self, tmp_path: Path) -> None:
        """As in SDXorg/pysd#197."""
        path = table(tmp_path, "id,emb", lambda i: f'{i},"[0.1 0.2 ... 0.{i}]"')
        for attempt in (lambda: detect(path), lambda: read_vectors(VectorData(path=path, vector_column="emb"))):
            with pytest.raises(DataError, match="column emb holds vectors cut by"):
                attempt()

    def test_decimal_commas(self, tmp_path: Path) -> None:
        """As in akadan47/dbf2csv#6."""
        assert np.array_equal(vectors(table(tmp_path, "a;b;c;d", lambda i: numbers(i, ",", ";"))), X)

    def test_points_between_thousands(self, tmp_path: Path) -> None:
        """As in pola-rs/polars#18797."""
        path = table(tmp_path, "a;b", lambda i: f"1.{i:03},5;{i * i % 7},25")
        assert vectors(path)[2].tolist() == [1002.5, 4.25]

    def test_commas_between_thousands(self, tmp_path: Path) -> None:
        """As in tidyverse/readr#799."""
        path = table(tmp_path, "a,b", lambda i: f'"1,{i:03}.50",{X[i, 0]}')
        assert vectors(path)[2].tolist() == [1002.5, X[2, 0]]

    def test_a_comma_that_may_be_either(self, tmp_path: Path) -> None:
        """As in pandas-dev/pandas#22584."""
        path = table(tmp_path, "a,b", lambda i: f'"{1 + i % 9},{(i * 37) % 1000:03}",{X[i, 0]}')
        with pytest.raises(NearReadingsError, match=r"column a .*data.decimal=comma or data.decimal=point"):
            read_vectors(VectorData(path=path))
        assert vectors(path, decimal="comma")[1].tolist() == [2.037, X[1, 0]]
        assert vectors(path, decimal="point")[1].tolist() == [2037, X[1, 0]]

    def test_dates_ids_and_categories_are_left_out_by_name(self, tmp_path: Path) -> None:
        """As in thuml/iTransformer#59 and tensorflow/tensorflow#6215."""
        row = lambda i: f"2020-01-01 00:{i:02}:00,{numbers(i)},{i * 7 % 30 + 100},{'ab'[i % 2]}"  # noqa: E731
        path = table(tmp_path, "date,a,b,c,d,machine_id,state", row)
        assert np.array_equal(vectors(path), X)
        note = read_vectors(VectorData(path=path)).about.notes[1]
        for words in ("date (a date)", "machine_id (an id)", "state (a category)", "data.columns", "data.exclude"):
            assert words in note

    def test_columns_are_chosen(self, tmp_path: Path) -> None:
        path = table(tmp_path, "k_id,a,b,c,d", lambda i: f"{i * 7 % 30},{numbers(i)}")
        assert np.array_equal(vectors(path, columns="a,c"), X[:, [0, 2]])
        assert np.array_equal(vectors(path, columns=["[a-c]"], exclude="b"), X[:, [0, 2]])
        assert np.array_equal(vectors(path, exclude="a"), X[:, 1:])
        assert vectors(path, columns="k_id,a")[1].tolist() == [7, X[1, 0]]
        with pytest.raises(DataError, match=r"data.columns: no column 'e'; there are k_id, a, b, c, d"):
            vectors(path, columns="e")

    def test_empty_cells_are_named(self, tmp_path: Path) -> None:
        path = table(tmp_path, "a,b,c", lambda i: f"{i % 7},{'' if i % 9 == 0 else i % 5},{i % 4}")
        with pytest.raises(DataError, match=r"4 of 30 cells of column b are empty; .* data.exclude=b"):
            vectors(path)
        assert vectors(path, exclude="b").shape == (N, 2)

    def test_without_a_header_and_with_semicolons(self, tmp_path: Path) -> None:
        assert np.array_equal(
            vectors(table(tmp_path, numbers(0, between=";"), lambda i: numbers(i, between=";"))), X[[0, *range(N)]]
        )


class TestKinds:
    def test_urls_of_images_are_not_fetched(self, tmp_path: Path) -> None:
        path = table(tmp_path, "name,image_url,price", lambda i: f"p{i},https://example.com/{i}.jpg,{i % 5}.5")
        with pytest.raises(DataError, match="column image_url holds URLs of images, which are not fetched"):
            detect(path)

    def test_captions_of_urls_are_texts(self, tmp_path: Path) -> None:
        path = table(tmp_path, "url,caption", lambda i: f"https://example.com/{i}.jpg,a photo of cat {i}")
        assert detect(path) == "text"
        assert read_texts(TextData(path=path)).texts[1].as_py() == "a photo of cat 1"

    def test_ids_alone_are_nothing_to_learn_from(self, tmp_path: Path) -> None:
        path = table(tmp_path, "key,day", lambda i: f"A-{i},2024-01-{i % 28 + 1:02}")
        with pytest.raises(DataError, match=r"it has key \(an id\), day \(a date\); .*data.kind=text data.text_column"):
            detect(path)
        data = load_config(path, {"data": {"kind": "text", "text_column": "key"}})[0].data
        assert read_texts(data).texts[1].as_py() == "A-1"

    def test_images_that_are_not_there(self, tmp_path: Path) -> None:
        path = table(tmp_path, "image,n", lambda i: f"images/{i}.png,{i % 3}")
        with pytest.raises(DataError, match="column image lists images, but none of the first 20 exists"):
            detect(path)

    def test_texts_or_many_numbers(self, tmp_path: Path) -> None:
        path = table(tmp_path, "description,a,b,c,d,e,f", lambda i: f"a long text no. {i},{numbers(i)},{i % 5},{i % 7}")
        with pytest.raises(NearReadingsError, match=r"data.kind=text or data.kind=vectors"):
            detect(path)
        for kind in ("text", "vectors"):
            assert load_config(path, {"data": {"kind": kind}})[0].data.kind == kind
        assert load_config(path, {"data": {"columns": "a,b"}})[0].data.kind == "vectors"
        assert load_config(path, {"data": {"text_column": "description"}})[0].data.kind == "text"

    def test_two_columns_of_texts(self, tmp_path: Path) -> None:
        path = table(tmp_path, "src,tgt", lambda i: f"the source is number {i},the target is number {i}")
        with pytest.raises(NearReadingsError, match=r"texts in src or in tgt.*data.text_column="):
            read_texts(TextData(path=path))
        assert read_texts(TextData(path=path, text_column="tgt")).texts[0].as_py() == "the target is number 0"

    @pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
    def test_vectors_in_json(self, tmp_path: Path, name: str) -> None:
        rows = [{"id": f"thing {i} of many", "label": i % 3, "embedding": X[i].tolist()} for i in range(N)]
        content = json.dumps({"rows": rows}) if name == "x.json" else "\n".join(map(json.dumps, rows))
        (tmp_path / name).write_text(content)
        assert np.array_equal(vectors(str(tmp_path / name)), X)

    def test_a_damaged_table_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "x.parquet").write_bytes(b"PAR1")
        with pytest.raises(LatentvizError) as error:
            detect(str(tmp_path / "x.parquet"))
        assert "\n" not in str(error.value)
