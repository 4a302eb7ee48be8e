"""Tables next to files: which rows mean which files, and what they say about them."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities import detect
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.read import read
from latentviz.modalities.io.file_index import FileIndex


def images(folder: Path, names) -> Path:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((10, 10), i, np.uint8)).save(folder / name)
    return folder


def write(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def read_path(path: Path, **settings):
    return read(ImageData(path=str(path), **settings))


NAMES = [f"train/{i}.png" for i in range(20)]


class TestFileIndex:
    @pytest.mark.parametrize(
        ("files", "name", "found"),
        [
            (["train/1.png", "train/2.png"], "1.png", "train/1.png"),
            (["train/1.png", "train/2.png"], "1", "train/1.png"),
            (["train/1.png", "train/2.png"], 1, "train/1.png"),
            (["train/1.png", "train/2.png"], "train\\1.png", "train/1.png"),
            (["train/1.png", "train/2.png"], "./train/1.png", "train/1.png"),
            (["1.png", "2.png"], "/home/me/pictures/1.png", "1.png"),
            (["1.PNG", "2.PNG"], "1.png", "1.PNG"),
            (["a b.png"], "a%20b.png", "a b.png"),
            (["100%.png"], "100%.png", "100%.png"),
            (["0001.png", "0010.png"], 1, "0001.png"),
            (["1.2.png"], "1.2", "1.2.png"),
            (["a/1.png", "b/1.png"], "1.png", None),
            (["a/1.png", "b/1.png"], "b/1.png", "b/1.png"),
            (["A.png", "a.png"], "a.png", "a.png"),
            (["A.png", "a.png", "b.png"], "A.PNG", None),
            (["1.png"], "2.png", None),
            (["1.png"], None, None),
            (["1.png"], "", None),
            (["1.png"], "../images/1.png", "1.png"),
            (["train/1.png"], "test/1.png", None),
            (["@2x.png", "1.png"], "'@2x.png", "@2x.png"),
            (["'1.png", "1.png"], "'1.png", "'1.png"),
            (["a/=1.png"], "'=1.png", "a/=1.png"),
        ],
    )
    def test_names(self, files, name, found):
        assert FileIndex(files).find_all([name]) == [found]

    def test_composed_and_decomposed_names(self):
        """Reported: llmsresearch/paperbanana#240."""
        for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
            file = unicodedata.normalize(form, "Café Zoë.png")
            assert FileIndex([file]).find_all([unicodedata.normalize(other, "Café Zoë.png")]) == [file]

    def test_folders_that_all_names_share_are_dropped(self):
        """Reported: mikeyEcology/MLWIC2#4."""
        index = FileIndex(["1.png", "2.png"])
        assert index.find_all(["images/1.png", "images/2.png"]) == ["1.png", "2.png"]
        assert index.find_all(["a/1.png", "b/2.png"]) == [None, None]

    def test_a_table_of_a_part_means_the_files_of_that_part(self):
        index = FileIndex(["train/1.png", "test/1.png"])
        assert index.find_all(["1"], "train_labels.csv") == ["train/1.png"]
        assert index.find_all(["1"], "test.csv") == ["test/1.png"]
        assert index.find_all(["1"], "labels.csv") == [None]

    def test_the_folder_may_be_the_part(self):
        assert FileIndex(["1.png"], "train").find_all(["train/1.png"]) == ["1.png"]
        assert FileIndex(["1.png"], "train").find_all(["test/1.png"]) == [None]

    @given(
        st.lists(st.text("ab/%é.0", min_size=1, max_size=8), min_size=1, max_size=8), st.text("ab/%é.0\\", max_size=8)
    )
    def test_any_names(self, files, name):
        index = FileIndex(files)
        assert index.find_all([name])[0] in {None, *files}
        assert index.find_all(files)[0] is None or index.find_all(files)[0] in files


class TestFolder:
    def test_kaggle(self, tmp_path):
        """Reported: EdjeElectronics/TensorFlow-Object-Detection-API-Tutorial-Train-Multiple-Objects-Windows-10#225."""
        images(tmp_path, [f"train/{i:02x}ff.png" for i in range(20)])
        write(tmp_path / "labels.csv", "id,breed", *(f"{i:02x}ff,{'pug' if i % 2 else 'boxer'}" for i in range(20)))
        assert detect(str(tmp_path)) == "image"
        source = read_path(tmp_path)
        assert source.labels[:3] == ["boxer", "pug", "boxer"]
        assert any("labels.csv: column id names 20 of 20 images" in note for note in source.notes)
        assert any("breed" in note for note in source.notes)

    def test_unlisted_images_stay_and_lost_rows_are_said(self, tmp_path):
        """Reported: marco-c/autowebcompat#140."""
        images(tmp_path, NAMES)
        write(tmp_path / "train.csv", "file,label,score", *(f"{i}.png,{'ab'[i % 2]},{i / 2}" for i in range(4, 24)))
        source = read_path(tmp_path)
        assert len(source) == 20
        assert source.labels[3:6] == [None, "a", "b"]
        assert source.columns["score"][4:6] == [2.0, 2.5]
        assert any(
            "16 of 20 images" in note and "4 of its 20 rows" in note and "20.png" in note for note in source.notes
        )

    @pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet", ".arrow", ".csv.gz"])
    def test_every_format(self, tmp_path, suffix):
        images(tmp_path, NAMES)
        table = pa.table({"path": NAMES, "label": list("ab" * 10), "caption": [f"no. {i}" for i in range(20)]})
        file = tmp_path / f"about{suffix}"
        if suffix == ".parquet":
            pq.write_table(table, file)
        elif suffix == ".arrow":
            with pa.ipc.new_file(str(file), table.schema) as out:
                out.write_table(table)
        elif suffix.startswith(".json"):
            lines = [json.dumps(row) for row in table.to_pylist()]
            file.write_text("\n".join(lines) if suffix == ".jsonl" else f"[{','.join(lines)}]")
        else:
            from pandas import DataFrame

            DataFrame(table.to_pydict()).to_csv(file, sep="\t" if suffix == ".tsv" else ",", index=False)
        source = read_path(tmp_path)
        assert source.labels == list("ab" * 10)
        assert source.columns["caption"][3] == "no. 3"

    def test_several_rows_of_an_image(self, tmp_path):
        images(tmp_path, NAMES)
        write(
            tmp_path / "captions.csv",
            "image,caption",
            *(f"{i}.png,caption {k} of {i}" for i in range(20) for k in "xy"),
        )
        source = read_path(tmp_path)
        assert source.columns["caption"][3] == "caption x of 3 | caption y of 3"
        assert any("20 of them in several rows" in note for note in source.notes)

    def test_a_table_of_something_else_is_passed_over(self, tmp_path):
        images(tmp_path, NAMES)
        write(tmp_path / "prices.csv", "item,price", *(f"thing {i},{i}" for i in range(20)))
        write(tmp_path / "notes.md", "hello")
        source = read_path(tmp_path)
        assert source.labels == [None] * 20
        assert any("1 .csv file" in note and "1 .md file" in note for note in source.notes)

    def test_a_damaged_table_is_said(self, tmp_path):
        images(tmp_path, NAMES)
        (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\0\1\2")
        assert any("passed over" in note and "labels.csv" in note for note in read_path(tmp_path).notes)

    def test_numbers_that_only_look_like_names(self, tmp_path):
        images(tmp_path, NAMES)
        write(tmp_path / "t.csv", "file,count,label", *(f"{i}.png,{i % 3},{'ab'[i % 2]}" for i in range(20)))
        source = read_path(tmp_path)
        assert source.labels[:2] == ["a", "b"]
        assert source.columns["count"][:4] == [0, 1, 2, 0]

    def test_columns_that_name_different_images(self, tmp_path):
        images(tmp_path, [f"before/b{i}.png" for i in range(20)] + [f"after/a{i}.png" for i in range(20)])
        write(tmp_path / "pairs.csv", "before,after,label", *(f"b{i}.png,a{i}.png,{'xy'[i % 2]}" for i in range(20)))
        with pytest.raises(DataError, match=r"data\.image_column=before or data\.image_column=after"):
            read_path(tmp_path)
        source = read_path(tmp_path, image_column="after")
        assert source.labels[:2] == ["x", "y"]
        assert source.ids[0] == "after/a0.png"
        assert len(source) == 40

    def test_two_tables(self, tmp_path):
        images(tmp_path, NAMES)
        write(tmp_path / "a.csv", "file,label,n", *(f"{i}.png,{'ab'[i % 2]},{i}" for i in range(20)))
        write(tmp_path / "b.csv", "file,caption,n", *(f"{i}.png,no. {i},{i + 1}" for i in range(20)))
        source = read_path(tmp_path)
        assert source.labels[:2] == ["a", "b"]
        assert source.columns["caption"][1] == "no. 1"
        assert source.columns["n"][1] == 1
        assert source.columns["n (b)"][1] == 2
        write(tmp_path / "c.csv", "file,label", *(f"{i}.png,{'ba'[i % 2]}" for i in range(20)))
        with pytest.raises(DataError, match=r"a\.csv and c\.csv.*label"):
            read_path(tmp_path)
        assert read_path(tmp_path / "c.csv").labels[:2] == ["b", "a"]  # the next step that the error names

    def test_metadata_in_another_composition(self, tmp_path):
        names = [unicodedata.normalize("NFD", f"Zoë {i}.png") for i in range(20)]
        images(tmp_path, names)
        write(tmp_path / "metadata.csv", "file_name,label", *(f"Zoë {i}.png,{'ab'[i % 2]}" for i in range(20)))
        source = read_path(tmp_path)
        assert not source.bad
        assert source.labels == list("ab" * 10)

    def test_many_tables_are_data_of_their_own(self, tmp_path):
        images(tmp_path, [f"{i}.png" for i in range(20)])
        for i in range(20):
            write(tmp_path / f"{i}.json", "{}")
        assert any("20 .json files" in note for note in read_path(tmp_path).notes)


class TestCoco:
    """Reported: open-edge-platform/geti-sdk#162, fcakyon/labelme2coco#17."""

    def content(self):
        return {
            "info": {"year": 2017},
            "images": [{"id": i + 7, "file_name": f"{i}.png", "height": 10, "license": 3} for i in range(20)],
            "annotations": [
                *({"id": i, "image_id": i + 7, "category_id": i % 2, "bbox": [0, 0, 1, 1]} for i in range(20)),
                {"id": 99, "image_id": 7, "category_id": 1},
                {"id": 98, "image_id": 8, "caption": " a dog "},
            ],
            "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        }

    @pytest.mark.parametrize("place", ["annotations.json", "annotations/instances_train.json"])
    def test_next_to_images(self, tmp_path, place):
        images(tmp_path, NAMES)
        write(tmp_path / place, json.dumps(self.content()))
        assert detect(str(tmp_path)) == "image"
        source = read_path(tmp_path)
        assert source.labels[:4] == [None, "dog", "cat", "dog"]
        assert source.columns["categories"][0] == "cat | dog"
        assert source.columns["caption"][:2] == [None, "a dog"]
        assert "license" not in source.columns
        assert any("column file_name names 20 of 20 images" in note for note in source.notes)

    def test_only_captions(self, tmp_path):
        images(tmp_path, NAMES)
        content = self.content() | {"categories": []}
        content["annotations"] = [{"image_id": i + 7, "caption": f"{k} {i}"} for i in range(20) for k in "ab"]
        write(tmp_path / "captions.json", json.dumps(content))
        assert read_path(tmp_path).columns["caption"][2] == "a 2 | b 2"

    @pytest.mark.parametrize(
        "content", [{"images": [], "annotations": []}, {"images": [1], "annotations": [{}]}, {"images": [{}]}]
    )
    def test_what_only_looks_like_it(self, tmp_path, content):
        images(tmp_path, NAMES)
        write(tmp_path / "x.json", json.dumps(content))
        assert read_path(tmp_path).labels == [None] * 20


class TestTableAlone:
    """A table given in place of the folder: its rows are the items."""

    def kaggle(self, tmp_path: Path) -> Path:
        images(tmp_path, [f"train/{i:02x}ff.png" for i in range(20)])
        return write(
            tmp_path / "labels.csv", "id,breed", *(f"{i:02x}ff,{'pug' if i % 2 else 'boxer'}" for i in range(20))
        )

    def test_ids_of_images(self, tmp_path):
        table = self.kaggle(tmp_path)
        assert detect(str(table)) == "image"
        source = read_path(table)
        assert source.labels[:2] == ["boxer", "pug"]
        with source.open(3) as image:
            assert np.asarray(image)[0, 0] == 3
        assert any("found by name" in note for note in source.notes)

    @pytest.mark.parametrize(
        "spelling", ["{}.png", "images/{}.png", "/home/me/images/{}.png", "images\\{}.png", "{}.PNG"]
    )
    def test_paths_as_others_spell_them(self, tmp_path, spelling):
        images(tmp_path, [f"images/{i}.png" for i in range(20)])
        table = write(tmp_path / "t.csv", "path,label", *(f"{spelling.format(i)},{'ab'[i % 2]}" for i in range(20)))
        assert detect(str(table)) == "image"
        source = read_path(table)
        for row in (0, 13, 19):
            with source.open(row) as image:
                assert np.asarray(image)[0, 0] == row

    def test_coco(self, tmp_path):
        images(tmp_path, [f"val/{i}.png" for i in range(20)])
        content = {"licenses": [{"id": 1, "name": "x"}]} | TestCoco().content()
        table = write(tmp_path / "annotations" / "instances.json", json.dumps(content))
        assert detect(str(table)) == "image"
        assert read_path(table).labels[:3] == [None, "dog", "cat"]

    def test_texts_with_ids_of_images_are_two_near_readings(self, tmp_path):
        images(tmp_path, [f"images/{i:03}.png" for i in range(20)])
        table = write(
            tmp_path / "t.csv", "image_id,caption", *(f"{i:03},a dog that runs in field {i}" for i in range(20))
        )
        with pytest.raises(DataError, match=r"data\.kind=image or data\.kind=text"):
            detect(str(table))
        assert len(read_path(table)) == 20  # what data.kind=image reads
        assert detect(str(tmp_path)) == "image"

    def test_ids_without_images_are_ids(self, tmp_path):
        table = write(tmp_path / "t.csv", "id,text", *(f"{i},a dog that runs in field {i}" for i in range(20)))
        assert detect(str(table)) == "text"

    def test_paths_do_not_leave_the_folder(self, tmp_path):
        images(tmp_path, ["secret.png"])
        images(tmp_path / "data", [f"{i}.png" for i in range(20)])
        table = write(tmp_path / "data" / "t.csv", "path", *(f"{i}.png" for i in range(20)), "../secret.png")
        source = read_path(table)
        with pytest.raises(Exception, match="not there"):
            source.open(20)


def test_tags_and_objects_are_columns(tmp_path):
    images(tmp_path, NAMES)
    rows = [{"file": f"{i}.png", "tags": ["red", "big"], "meta": {"author": "me", "year": 2000 + i}} for i in range(20)]
    write(tmp_path / "about.jsonl", *map(json.dumps, rows))
    source = read_path(tmp_path)
    assert source.columns["tags"][0] == "red, big"
    assert source.columns["meta.year"][3] == 2003
    (tmp_path / "about.jsonl").unlink()
    rows = [{"file_name": f"train/{i}.png", "tags": ["red", "big"], "meta": {"author": "me"}} for i in range(20)]
    write(tmp_path / "metadata.jsonl", *map(json.dumps, rows))
    source = read_path(tmp_path)
    assert source.columns["tags"][0] == "red, big"
    assert source.columns["meta.author"][3] == "me"
