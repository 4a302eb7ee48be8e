"""Data in memory is read as files are: the same cache, labels and latents, the same refusals."""

import doctest
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from scipy import sparse
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import latentviz as lv
from latentviz.config import read_yaml
from latentviz.errors import LatentvizError, ObjectError, RunError
from latentviz.modalities import modality
from latentviz.modalities.io.memory import index_of
from latentviz.modalities.memory import source_of
from latentviz.modalities.sources import load_config
from latentviz.runs.run import RunFolder

N = 60
LABELS = ["even" if row % 2 == 0 else "odd" for row in range(N)]
VECTORS = (np.random.default_rng(0).normal(size=(N, 6)) + 9 * np.repeat([[0], [1]], 30, axis=0)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (N, 8, 9), np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (N, 8, 9, 3), np.uint8)
TEXTS = [f"{a} {b} {c}" for a, b in (("red", "cat"), ("old", "sea")) for c in range(N // 2)]
MODELS = {
    "image": {"latent_dim": 3, "width": 4, "neighbors": 2},
    "text": {"latent_dim": 3, "width": 8, "memory": 8},
    "vectors": {"latent_dim": 3, "width": 8},
}
SHORT = {"max_epochs": 1}
SETTINGS: dict[str, Any] = {"data": {"batch_size": 32}, "trainer": SHORT}


class Pairs(Dataset):
    """Items with labels, and names of the classes."""

    classes = ("even", "odd")

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.items[row], row % 2


class Stream(IterableDataset):
    """Items with labels, one after the other; nobody knows how many."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        return iter(zip(self.items, LABELS, strict=True))


def hugging_face(columns: dict[str, Any], feature: Any) -> Any:
    import datasets

    features = datasets.Features({next(iter(columns)): feature, "label": datasets.ClassLabel(names=["even", "odd"])})
    return datasets.Dataset.from_dict({**columns, "label": [row % 2 for row in range(N)]}, features=features)


def of_images() -> dict[str, tuple[Any, bool]]:
    """The images of `i.npy` in every form, and whether it has the labels."""
    import datasets

    pictures = [Image.fromarray(image) for image in IMAGES]
    table = {"image": pictures, "label": LABELS}
    return {
        "array": (IMAGES, False),
        "array with a channel": (IMAGES[..., None], False),
        "array, channel first": (IMAGES[:, None], False),
        "tensor": (torch.from_numpy(IMAGES), False),
        "list of arrays": (list(IMAGES), False),
        "list of tensors": (list(torch.from_numpy(IMAGES)), False),
        "list of images": (pictures, False),
        "dict of arrays": ({"images": IMAGES, "labels": np.array(LABELS)}, True),
        "dict of an array and a list": ({"images": IMAGES, "labels": LABELS}, True),
        "frame": (pd.DataFrame(table), True),
        "series": (pd.Series(pictures), False),
        "Dataset": (Pairs(pictures), True),
        "Subset": (Subset(Pairs(list(IMAGES)), range(N)), True),
        "IterableDataset": (Stream(list(torch.from_numpy(IMAGES))), True),
        "Hugging Face": (hugging_face({"image": pictures}, datasets.Image()), True),
        "Hugging Face stream": (hugging_face({"image": pictures}, datasets.Image()).to_iterable_dataset(), True),
    }


def of_vectors() -> dict[str, tuple[Any, bool]]:
    """The vectors of `v.npy` in every form."""
    import datasets

    numbers = {f"x{i}": VECTORS[:, i] for i in range(6)}
    lists = {"embedding": list(VECTORS), "label": LABELS}
    forms = {
        "array": (VECTORS, False),
        "tensor": (torch.from_numpy(VECTORS), False),
        "tensor that needs a gradient": (torch.from_numpy(VECTORS.copy()).requires_grad_(), False),
        "Fortran order": (np.asfortranarray(VECTORS), False),
        "sparse": (sparse.csr_matrix(VECTORS), False),
        "sparse array": (sparse.coo_array(VECTORS), False),
        "list of arrays": (list(VECTORS), False),
        "tuple of lists": (tuple(VECTORS.tolist()), False),
        "dict": ({"embedding": VECTORS, "label": np.array(LABELS)}, True),
        "dict with a list": ({"embedding": torch.from_numpy(VECTORS), "label": LABELS}, True),
        "dict with a series": ({"embedding": VECTORS, "label": pd.Series(LABELS)}, True),
        "series of arrays": (pd.Series(list(VECTORS)), False),
        "sparse frame": (pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(VECTORS)), False),
        "frame of numbers": (pd.DataFrame({**numbers, "label": LABELS}), True),
        "frame without names": (pd.DataFrame(VECTORS), False),
        "frame of lists": (pd.DataFrame(lists), True),
        "Arrow table": (pa.table({**numbers, "label": LABELS}), True),
        "record batch": (pa.RecordBatch.from_pydict({**numbers, "label": LABELS}), True),
        "rows": ([{**dict(zip("abcdef", row, strict=True))} for row in VECTORS.tolist()], False),
        "Dataset": (Pairs(list(torch.from_numpy(VECTORS))), True),
        "IterableDataset": (Stream(list(VECTORS)), True),
        "Hugging Face": (
            hugging_face({"embedding": VECTORS.tolist()}, datasets.Sequence(datasets.Value("float32"))),
            True,
        ),
    }
    if polars := _optional("polars"):
        forms["polars"] = polars.DataFrame({**numbers, "label": LABELS}), True
        forms["lazy polars"] = polars.DataFrame({**numbers, "label": LABELS}).lazy(), True
    if anndata := _optional("anndata"):
        obs = pd.DataFrame({"label": LABELS}, index=[f"cell{row}" for row in range(N)])
        forms["AnnData"] = anndata.AnnData(VECTORS, obs=obs), True
        forms["sparse AnnData"] = anndata.AnnData(sparse.csr_matrix(VECTORS), obs=obs), True
    return forms


def of_texts() -> dict[str, tuple[Any, bool]]:
    """The texts of `t.txt` in every form."""
    import datasets

    forms = {
        "list": (TEXTS, False),
        "tuple": (tuple(TEXTS), False),
        "list with blank ones": ([*TEXTS, "", " ", None], False),
        "array": (np.array(TEXTS), False),
        "array of objects": (np.array(TEXTS, object), False),
        "series": (pd.Series(TEXTS), False),
        "index": (pd.Index(TEXTS), False),
        "Arrow array": (pa.array(TEXTS), False),
        "frame": (pd.DataFrame({"text": TEXTS, "label": LABELS}), True),
        "frame of categories": (pd.DataFrame({"text": TEXTS, "label": pd.Categorical(LABELS)}), True),
        "dict of lists": ({"text": TEXTS, "label": LABELS}, True),
        "Arrow table": (pa.table({"text": TEXTS, "label": LABELS}), True),
        "Dataset": (Pairs(TEXTS), True),
        "Hugging Face": (hugging_face({"text": TEXTS}, datasets.Value("string")), True),
    }
    if polars := _optional("polars"):
        forms["polars series"] = polars.Series(TEXTS), False
        forms["polars"] = polars.DataFrame({"text": TEXTS, "label": LABELS}), True
    return forms


def _optional(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        return None


FORMS = {"image": of_images, "vectors": of_vectors, "text": of_texts}


def prepared(source: Any, cache: Path, **given: Any) -> tuple[str, dict[str, bytes], dict[str, list[Any]]]:
    """Reads data as `fit` does; returns its kind, the arrays of the cache and the items."""
    with source_of(source, **given) as path:
        config, _ = load_config(path, {})
        found = modality(config.data.kind).data_kind.prepare(config, cache)
    arrays = {file.name: file.read_bytes() for file in cache.glob("*.np[yz]")}
    return config.data.kind, arrays, found.items.table.to_pydict()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    np.save(folder / "i.npy", IMAGES)
    np.save(folder / "v.npy", VECTORS)
    (folder / "t.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return {"image": folder / "i.npy", "vectors": folder / "v.npy", "text": folder / "t.txt"}


@pytest.mark.parametrize("kind", FORMS)
def test_every_form_is_read_as_the_file_is(kind: str, files: dict[str, Path], tmp_path: Path) -> None:
    wanted_kind, arrays, items = prepared(files[kind], tmp_path / "file")
    assert wanted_kind == kind
    main = {"image": "images.npy", "vectors": "vectors.npy", "text": "tokens.npy"}[kind]
    for number, (name, (x, labelled)) in enumerate(FORMS[kind]().items()):
        found, stored, rows = prepared(x, tmp_path / str(number))
        assert found == kind, name
        assert stored[main] == arrays[main], name
        assert rows["split"] == items["split"], name
        assert rows["label"] == (LABELS if labelled else [None] * N), name
        assert len(set(rows["id"])) == N, name


@pytest.mark.parametrize("kind", FORMS)
def test_a_run_on_memory_has_the_latents_of_a_run_on_the_file(
    kind: str, files: dict[str, Path], tmp_path: Path
) -> None:
    x = {"image": IMAGES, "vectors": VECTORS, "text": TEXTS}[kind]
    runs = [
        lv.fit(source, run=name, outputs=tmp_path, model=MODELS[kind], **SETTINGS)
        for name, source in (("file", files[kind]), ("memory", x))
    ]
    assert (runs[0].path / "mu.npy").read_bytes() == (runs[1].path / "mu.npy").read_bytes()
    run = runs[1]
    assert run.transform(x) == pytest.approx(run.mu, abs=0), "to the last bit"
    assert run.transform(x[7:9]) == pytest.approx(run.mu[7:9], abs=0), "whatever other items there are"
    decoded = run.decode(run.mu[:2])
    assert np.shape(decoded) == {"image": (2, 1, 8, 9), "vectors": (2, 6), "text": (2,)}[kind]
    assert run.recommend(x[3:4] if kind == "text" else x[3], k=2).nearest.rows[0] in range(N)
    assert not (run.path / "encoded").exists()
    said = str(read_yaml(run.path / "config.yaml")["data"]["path"])  # type: ignore[index]
    assert said.startswith("memory:")
    assert str(N) in said
    with pytest.raises(LatentvizError, match="Python object"):
        lv.fit(run.path / "config.yaml", run="again", outputs=tmp_path)
    assert not (tmp_path / "again").exists()


def test_what_is_given_along_with_an_array_comes_back(tmp_path: Path) -> None:
    ids = [f"v{row}" for row in range(N)]
    captions = pd.Series([f"about {row}" for row in range(N)])
    given = {"ids": ids, "labels": np.array(LABELS), "captions": captions, "columns": {"size": torch.arange(N)}}
    for number, x in enumerate((VECTORS, IMAGES, TEXTS, pd.DataFrame({"text": ["", *TEXTS[1:]]}))):
        _, _, rows = prepared(x, tmp_path / str(number), **given)
        first = N - len(rows["id"])  # a blank text is left out, with what belongs to it
        assert rows["id"] == ids[first:]
        assert rows["label"] == LABELS[first:]
        assert rows["size"] == list(range(first, N))
        assert rows["text" if number == 0 else "caption"] == [f"about {row}" for row in range(first, N)]


INDEXES = {
    "strings": pd.Index([f"k{row}" for row in range(N)], name="sku"),
    "dates": pd.date_range("2024-01-01", periods=N),
    "steps": pd.RangeIndex(5, 5 + 2 * N, 2),
    "levels": pd.MultiIndex.from_product([["a", "b"], range(N // 2)], names=["batch", "number"]),
    "repeated": pd.Index([1.5] * N),
    "mixed": pd.Index([1, "a"] * (N // 2)),
}


def test_the_index_of_a_frame_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(VECTORS, columns=list("abcdef"), index=INDEXES["strings"])
    frame.iloc[1] = frame.iloc[0]  # left out, because it repeats the first
    run = lv.fit(frame, run="f", outputs=tmp_path, model=MODELS["vectors"], data={"duplicates": "drop"}, trainer=SHORT)
    result = run.cluster(reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    kept = frame.index.delete(1)
    pd.testing.assert_index_equal(run.items.index, kept)
    pd.testing.assert_index_equal(result.points.index, kept)
    assert run.items["id"].tolist() == kept.tolist()
    joined = frame.join(result.points[["cluster"]])
    assert joined["cluster"].isna().tolist() == [False, True] + [False] * (N - 2)


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_of_any_type_survives_the_file(name: str, tmp_path: Path) -> None:
    index = INDEXES[name]
    with source_of(pd.DataFrame(VECTORS, index=index)) as path:
        found = index_of(path, [f"DataFrame (60, 6)#{row}" for row in range(2, N)])
    RunFolder(tmp_path).write_index(found)
    back = RunFolder(tmp_path).index().to_pandas().index
    expected = index[2:].map(str) if name == "mixed" else index[2:]
    pd.testing.assert_index_equal(back, expected, exact="equiv", check_freq=False)


def test_paths_are_files_and_texts_are_texts(tmp_path: Path) -> None:
    for row in range(N):
        folder = tmp_path / "photos" / LABELS[row]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[row]).save(folder / f"{row:02}.png")
    paths = sorted((tmp_path / "photos").glob("*/*.png"))
    of_folder = prepared(tmp_path / "photos", tmp_path / "folder")
    for number, x in enumerate((paths, [str(path) for path in paths], pd.Series(paths))):
        kind, arrays, items = prepared(x, tmp_path / f"list-{number}")
        assert (kind, arrays["images.npy"]) == ("image", of_folder[1]["images.npy"])
        assert (items["id"], items["label"]) == (of_folder[2]["id"], of_folder[2]["label"])
    kind, _, items = prepared(pd.DataFrame({"photo": paths, "label": "x"}), tmp_path / "frame")
    assert (kind, len(items["id"])) == ("image", N)
    with source_of([str(path) for path in paths], kind="text") as path:
        assert load_config(path, {})[0].data.kind == "text"
    lost = [paths[0], "/nowhere/else/0.png", *paths[1:]]  # ids and labels stay those of the folder
    _, _, items = prepared(list(map(Path, lost)), tmp_path / "lost")
    assert (items["id"], items["label"]) == (of_folder[2]["id"], of_folder[2]["label"])
    _, _, items = prepared(list(map(Path, lost)), tmp_path / "numbered", labels=range(N + 1))
    assert items["label"] == ["0", *map(str, range(2, N + 1))]


def test_an_array_goes_on_where_it_was_interrupted_and_another_one_does_not(tmp_path: Path) -> None:
    settings = {"run": "r", "outputs": tmp_path, "model": MODELS["vectors"], "data": {"batch_size": 32}}
    lv.fit(VECTORS, **settings, trainer={"max_epochs": 1})
    with pytest.raises(RunError, match="other items"):
        lv.fit(VECTORS[::-1], **settings, trainer={"max_epochs": 2}, resume=True)
    longer = lv.fit(VECTORS, **settings, trainer={"max_epochs": 2}, resume=True)
    assert longer.summary["epochs"] == 2
    (longer.path / "run.json").unlink()
    assert lv.fit(longer.path / "config.yaml", run="r", outputs=tmp_path, resume=True).summary["epochs"] == 2
    (longer.path / "mu.npy").write_bytes(b"damaged")
    with pytest.raises(RunError) as caught:
        _ = longer.mu
    assert f"`lv.fit(x, run='r', outputs={str(tmp_path)!r}, force=True)`" in str(caught.value)


def test_channels_that_could_be_two_axes_are_said(tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(0, 256, (N, 3, 9, 3), np.uint8)
    assert "moveaxis" in str(lv.inspect(values))
    assert "moveaxis" not in str(lv.inspect(COLOUR))
    _, stored, _ = prepared(values, tmp_path)
    assert np.load(io.BytesIO(stored["images.npy"])).shape == (N, 3, 8, 9)  # sides are 8 pixels at least


@pytest.mark.skipif(_optional("anndata") is None, reason="needs anndata")
def test_the_matrices_of_an_anndata_are_columns(tmp_path: Path) -> None:
    obs = pd.DataFrame({"label": LABELS}, index=[f"c{row}" for row in range(N)])
    x = _optional("anndata").AnnData(VECTORS, obs=obs)
    x.obsm["X_pca"] = VECTORS[:, :3].copy()
    with source_of(x) as path:
        config, _ = load_config(path, {"data": {"vector_column": "X_pca"}})
        found = modality("vectors").data_kind.prepare(config, tmp_path)
    assert np.load(tmp_path / "vectors.npy") == pytest.approx(VECTORS[:, :3], abs=0)
    assert found.items.column("id")[:2] == ["c0", "c1"]
    assert found.items.column("label") == LABELS


def test_new_items_have_the_black_and_white_of_the_training_data(tmp_path: Path) -> None:
    """A dark image alone was read as a bright one, because its own range decided."""
    dim = (IMAGES // 4).astype(np.float32)
    dim[0] /= 4
    run = lv.fit(dim, run="dim", outputs=tmp_path, model=MODELS["image"], **SETTINGS)
    assert run.transform(dim[:1]) == pytest.approx(run.mu[:1], abs=0)
    np.save(tmp_path / "one.npy", dim[:2])
    run.cluster(reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    assert run.encode(tmp_path / "one.npy").mu == pytest.approx(run.mu[:2], abs=0)


def test_encoded_frames_keep_their_index_and_writing_is_optional(tmp_path: Path) -> None:
    frame = pd.DataFrame(VECTORS, columns=list("abcdef"), index=[f"k{row}" for row in range(N)])
    run = lv.fit(frame, run="v", outputs=tmp_path, model=MODELS["vectors"], **SETTINGS)
    run.cluster(reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    new = frame.iloc[10:20]
    assert run.transform(new) == pytest.approx(run.mu[10:20], abs=0)
    encoded = run.encode(new, name="new")
    assert encoded.points.index.tolist() == encoded.points["id"].tolist() == new.index.tolist()
    assert len(new.join(encoded.points[["cluster"]])) == 10
    found = run.recommend(frame.iloc[[3]], k=3, disliked=VECTORS[40])
    assert len(found.rows) == 3
    assert found.asked[0].mu == pytest.approx(run.mu[3], abs=1e-6)


def test_new_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    frame = pd.DataFrame(VECTORS * [1, 2, 3, 4, 5, 6], columns=list("abcdef"))
    run = lv.fit(frame, run="v", outputs=tmp_path, model=MODELS["vectors"], **SETTINGS)
    turned = frame[list("fedcba")].assign(more=1.0)
    turned.to_csv(tmp_path / "turned.csv", index=False)
    for x in (turned, pa.Table.from_pandas(turned), tmp_path / "turned.csv", frame.to_numpy(), frame.add_prefix("x")):
        assert run.transform(x) == pytest.approx(run.mu, abs=1e-5)
    with pytest.raises(LatentvizError, match="no column f"):
        run.transform(turned.rename(columns={"f": "g"}))
    on = lv.fit(turned.head(20) + 1, start=run, run="on", outputs=tmp_path, **SETTINGS)
    assert on.transform(turned.head(3) + 1) == pytest.approx(on.mu[N : N + 3], abs=1e-5)


def test_files_of_a_series_have_its_index_and_what_is_given_with_them(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    images = [tmp_path / f"{row}.png" for row in range(20)]
    texts = [tmp_path / "d" / f"{row}.txt" for row in range(20)]
    for row in range(20):
        Image.fromarray(IMAGES[row]).save(images[row])
        texts[row].write_text("" if row == 3 else f"{TEXTS[row]}\nlast {TEXTS[row]}")
    images[3].write_bytes(b"")
    index, rows = [f"k{row}" for row in range(20)], [str(row) for row in range(20) if row != 3]
    for kind, files in (("image", images), ("text", texts)):
        series = pd.Series([str(file) for file in files], index)
        settings = {"outputs": tmp_path / "outputs", "model": MODELS[kind], "trainer": SHORT}
        run = lv.fit(series, run=kind, labels=range(20), **settings)
        assert run.items.index.tolist() == [f"k{row}" for row in rows]
        assert run.items["label"].tolist() == rows
    lines = lv.fit(pd.Series([str(f) for f in texts[4:14]], index[4:14]), run="lines", labels=range(10), **settings)
    assert lines.items["label"].tolist() == [str(row) for row in range(10) for _ in range(2)]


def test_truth_values_are_learnt_from_as_the_message_says(tmp_path: Path) -> None:
    truths = FRAME > 5
    with pytest.raises(LatentvizError, match=r"data.kind=vectors data.columns=A,B"):
        lv.inspect(truths)
    settings = {"kind": "vectors", "columns": "a,b,c"}
    assert lv.inspect(truths, data=settings).taken == ["a", "b", "c"]


def test_the_bins_of_pandas_cut_are_a_column(tmp_path: Path) -> None:
    _, _, items = prepared(FRAME.assign(size=pd.cut(VECTORS[:, 0], 2)), tmp_path)
    assert len(set(items["size"])) == 2


ARRAY = np.zeros((N, 6))
NAN = np.where(np.arange(N * 6).reshape(N, 6) == 13, np.nan, 1.0 * np.arange(N * 6).reshape(N, 6))
FRAME = pd.DataFrame(VECTORS, columns=list("abcdef"), index=[f"k{row}" for row in range(N)])
BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "nothing": (None, {}, "NoneType"),
    "a number": (3, {}, "int"),
    "a generator": ((text for text in TEXTS), {}, "generator"),
    "a set": (set(TEXTS), {}, "set"),
    "a DataLoader": (DataLoader(Pairs(TEXTS)), {}, "loader.dataset"),
    "the name of a column as labels": (FRAME, {"labels": "a"}, r"labels: .*data=\{\"label_column\": 'a'\}"),
    "the name of a column as ids": (FRAME, {"ids": "a"}, r"ids: .*ids=frame\['a'\]"),
    "an empty list": ([], {}, "empty"),
    "an empty dict": ({}, {}, "dict"),
    "an empty array": (np.zeros((0, 8, 8)), {}, r"\(0, 8, 8\)"),
    "an empty frame": (pd.DataFrame(), {}, "no columns"),
    "a frame without rows": (pd.DataFrame({"text": []}), {}, "no rows"),
    "an empty series": (pd.Series([], dtype=object), {}, "no rows"),
    "too few": (VECTORS[:3], {}, "3 vectors"),
    "identical rows": (ARRAY, {}, "identical"),
    "NaN": (NAN, {}, "row 2"),
    "NaN in images": (np.where(np.arange(N)[:, None, None] == 7, np.nan, 1.0 * IMAGES), {}, "row 7"),
    "NaN in a frame": (pd.DataFrame(NAN, columns=list("abcdef")), {}, "column b"),
    "an array of objects": (np.array([[object()] * 3] * N), {}, "astype"),
    "complex numbers": (VECTORS.astype(complex), {}, "complex"),
    "dates": (np.full((N, 3), np.datetime64("2024-01-01")), {}, "datetime64"),
    "one vector": (VECTORS[0], {}, r"\(6,?\)"),
    "five axes": (np.zeros((2, 2, 2, 2, 2)), {}, "2, 2, 2, 2, 2"),
    "one image": (COLOUR[0], {}, "one image"),
    "masked values": (np.ma.masked_less(VECTORS, 0), {}, "filled"),
    "ragged lists": ([[1.0, 2.0], [1.0]] * N, {}, "row 1"),
    "ragged arrays": ([np.zeros((8, 8)), np.zeros((9, 9))] * N, {}, "row 1"),
    "images and strings": ([Image.fromarray(IMAGES[0]), "a"] * N, {}, "Image.*str"),
    "images and strings in a frame": (pd.DataFrame({"image": [Image.fromarray(IMAGES[0]), "a"] * N}), {}, "row 1"),
    "images with gaps": ([Image.fromarray(IMAGES[0]), None] * N, {}, "None"),
    "strings and numbers": (["a", 1] * N, {}, "str.*int"),
    "unknown objects": ([object()] * N, {}, "object"),
    "blank texts": (["", " "] * N, {}, "blank"),
    "columns of two lengths": ({"text": TEXTS, "label": LABELS[1:]}, {}, "length"),
    "mixed paths": ([__file__, np.__file__, sys.executable], {}, "paths"),
    "an empty Dataset": (Pairs([]), {}, "no items"),
    "a Dataset of dicts": (Pairs([{"x": 1}] * N), {}, "dict"),
    "a Dataset of two shapes": (Pairs([np.zeros(3), np.zeros(4)] * N), {}, "item 1"),
    "a Dataset of two kinds": (Pairs([np.zeros(3), "a"] * N), {}, "item 1"),
    "ids that repeat": (VECTORS, {"ids": ["a"] * N}, "'a'"),
    "too few ids": (VECTORS, {"ids": ["a", "b"]}, "2 values for 60"),
    "labels of another length": (VECTORS, {"labels": LABELS[1:]}, "59 values for 60"),
    "a string of labels": (VECTORS, {"labels": "a" * N}, "labels"),
    "columns of another length": (VECTORS, {"columns": {"size": [1]}}, "size"),
    "columns that are no dict": (VECTORS, {"columns": [1]}, "columns"),
    "labels of a file": ("digits", {"labels": LABELS}, "labels"),
    "labels of a row per class": (VECTORS, {"labels": np.eye(2)[np.arange(N) % 2]}, "labels: row 0"),
    "captions that are lists": (VECTORS, {"captions": [["a"]] * N}, "captions: row 0"),
    "an id that is missing": (VECTORS, {"ids": [None, *map(str, range(1, N))]}, "ids: row 0"),
    "labels in another order": (FRAME, {"labels": pd.Series(LABELS, FRAME.index[::-1])}, "labels.*order"),
    "a column in another order": (FRAME, {"columns": {"q": pd.Series(LABELS, FRAME.index[::-1])}}, "q.*order"),
    "single values in a dict": ({"x": 1, "y": 2}, {}, "x is of type int"),
    "a single value next to an array": ({"x": VECTORS, "label": "a"}, {}, "label is of type str"),
    "too few values next to an array": ({"x": VECTORS, "label": LABELS[1:]}, {}, "label has 59 values for 60"),
    "complex numbers in a frame": (FRAME.assign(z=1j), {}, "column z.*complex"),
    "a Dataset of three tensors": (TensorDataset(*[torch.zeros(N, 3)] * 3), {}, "item 0.*tuple of 3"),
    "a Dataset whose label is an array": (TensorDataset(*[torch.zeros(N, 3)] * 2), {}, "label of item 0"),
    "paths of images that are not there": ([f"nowhere/{row}.png" for row in range(N)], {}, "nowhere/0.png"),
    "a vector in images": (VECTORS, {"data": {"kind": "image"}}, r"\(60, 6\)"),
    "texts as vectors": (TEXTS, {"data": {"kind": "vectors"}}, "list"),
}


@pytest.mark.parametrize("name", BAD)
def test_objects_that_cannot_be_learnt_from_are_one_line(name: str, tmp_path: Path) -> None:
    x, given, part = BAD[name]
    with pytest.raises(LatentvizError, match=part) as caught:
        lv.fit(x, run="bad", outputs=tmp_path, **given)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)
    assert "\n" not in str(caught.value)
    assert "memory:" not in str(caught.value)
    assert not list(tmp_path.glob("[!.]*"))


def test_what_cannot_be_placed_or_decoded_is_one_line(tmp_path: Path) -> None:
    run = lv.fit(VECTORS, run="v", outputs=tmp_path, model=MODELS["vectors"], **SETTINGS)
    for x in (VECTORS[:, :5], NAN[:, :6], TEXTS, np.zeros((0, 6)), "nothing.npy"):
        with pytest.raises(LatentvizError):
            run.transform(x)
    for z in (np.zeros((2, 4)), np.zeros(3), np.full((1, 3), np.nan), [["a", "b", "c"]], np.zeros((0, 3))):
        with pytest.raises(ObjectError, match="z"):
            run.decode(z)


def test_a_frame_read_from_parquet_is_the_file(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(content, "PNG")
    table = pa.table({"x": VECTORS[:, 0], "y": VECTORS[:, 1], "when": ["2024-01-02"] * N, "label": LABELS})
    pq.write_table(table, tmp_path / "t.parquet")
    _, arrays, items = prepared(tmp_path / "t.parquet", tmp_path / "file")
    for number, x in enumerate((pd.read_parquet(tmp_path / "t.parquet"), table)):
        _, found, rows = prepared(x, tmp_path / str(number))
        assert found == arrays
        assert {k: v for k, v in rows.items() if k not in {"id", "source"}} == {
            k: v for k, v in items.items() if k not in {"id", "source"}
        }


def test_the_examples_of_the_page_are_what_they_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```pycon\n(.*?)```", page, re.DOTALL)
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "python.md", None, 0)
    assert len(examples.examples) > 10
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples).failed == 0
