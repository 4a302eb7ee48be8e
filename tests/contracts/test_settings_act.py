"""A setting that is accepted acts, or is refused: every key of the data × every form of source, every key × method."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from latentviz.clustering.clusterers import CLUSTERERS
from latentviz.clustering.reducers import REDUCERS
from latentviz.config import ClusterSection, ReduceSection, read_yaml
from latentviz.errors import ConfigError, LatentvizError
from latentviz.modalities import MODALITIES, modality
from latentviz.modalities.acting import DATA, MODEL, check_resolved
from latentviz.modalities.sources import load_config

N = 40
ROWS = [
    {
        "id": f"k{row}",
        "code": f"c{row:02}",
        "text": f"the café of {'north' if row % 2 else 'south'} wind number {row} sings",
        "title": f"a title of {row} words",
        "label": "ab"[row % 2],
        "author": "xyz"[row % 3],
    }
    for row in range(N)
]
VECTORS = np.random.default_rng(0).normal(size=(N, 5))
VECTORS[-1] = VECTORS[0]
PIXELS = np.random.default_rng(1).integers(0, 255, (N, 8, 10), np.uint8)
PIXELS[-1] = PIXELS[0]
ROWS[-1]["text"] = ROWS[0]["text"]  # one item of each kind occurs twice

# What a user would write for each key; a key that is not here fails the test.
VALUES: dict[str, Any] = {
    "size": 9,
    "channels": 3,
    "fit": "stretch",
    "binarise": True,
    "image_column": "other",
    "label_column": "author",
    "split": "train",
    "encoding": "latin-1",
    "text_column": "title",
    "id_column": "code",
    "group_column": "author",
    "tokens": "character",
    "vocab_size": 20,
    "min_count": 3,
    "max_length": 4,
    "array": "other",
    "vector_column": "other",
    "items": "ITEMS",
    "labels": "LABELS",
    "metric": "cosine",
    "duplicates": "drop",
    "frames": "first",
    "columns": "x1,x2",
    "exclude": "x1",
    "decimal": "comma",
    "scale": "standard",
}
TRAINING = {"kind", "path", "batch_size", "val_fraction", "max_bad", "duplicates"}  # these act on every source


def sources(folder: Path) -> dict[tuple[str, str], Path]:
    """Writes one source of each form; returns them by kind and name."""
    names = list(ROWS[0])
    (folder / "t.csv").write_text(
        "\n".join([",".join(names), *(",".join(map(str, r.values())) for r in ROWS)]), "utf-8"
    )
    (folder / "t.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), "utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "t.parquet")
    (folder / "t.txt").write_text("\n".join(row["text"] for row in ROWS), "utf-8")
    for row in ROWS:
        place = folder / "texts" / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row['id']}.txt").write_text(row["text"], "utf-8")
    lists = [{"id": row["id"], "author": row["author"], "title": row["title"]} for row in ROWS]
    lists = [
        {**row, "vector": v.tolist(), "other": (v[:3] * 2).tolist()} for row, v in zip(lists, VECTORS, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(lists), folder / "v.parquet")
    (folder / "v.jsonl").write_text("\n".join(json.dumps(row) for row in lists), "utf-8")
    heading = [*(f"x{i}" for i in range(5)), "author", "title"]
    cells = [[*map(str, v), row["author"], row["title"]] for v, row in zip(VECTORS, ROWS, strict=True)]
    (folder / "v.csv").write_text("\n".join(",".join(line) for line in [heading, *cells]), "utf-8")
    np.save(folder / "v.npy", VECTORS)
    extra = {"author": np.array([r["author"] for r in ROWS]), "title": np.array([r["title"] for r in ROWS])}
    np.savez(folder / "v.npz", vectors=VECTORS, other=VECTORS[:, :3], **extra)
    np.save(folder / "i.npy", PIXELS)
    np.savez(folder / "i.npz", images=PIXELS, other=PIXELS[:, ::-1], author=np.arange(N) % 3)
    for row, pixels in zip(ROWS, PIXELS, strict=True):
        place = folder / "photos" / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{row['id']}.png")
    pages = [Image.fromarray(page) for page in PIXELS[:3]]
    pages[0].save(folder / "photos" / "pages.tiff", save_all=True, append_images=pages[1:])
    (folder / "LABELS.txt").write_text("\n".join(row["author"] for row in ROWS))
    (folder / "ITEMS.txt").write_text("\n".join(f"about {row['title']}" for row in ROWS))
    texts = {("text", name): folder / name for name in ("t.csv", "t.jsonl", "t.parquet", "t.txt", "texts")}
    vectors = {("vectors", name): folder / name for name in ("v.csv", "v.jsonl", "v.parquet", "v.npy", "v.npz")}
    images = {("image", name): folder / name for name in ("i.npy", "i.npz", "photos")}
    return {**texts, **vectors, **images}


def read(kind: str, path: Path, cache: Path, values: dict[str, Any]) -> dict[str, object]:
    """Reads a source as `fit` does; returns what came of it."""
    config, _ = load_config(str(path), {"data": {"kind": kind, **values}})
    cache.mkdir(parents=True)
    prepared = modality(kind).data_kind.prepare(config, cache)
    arrays = {file.name: file.read_bytes() for file in cache.rglob("*") if file.is_file()}
    return {**arrays, "items": prepared.items.table.to_pydict()}


@pytest.mark.parametrize("kind", MODALITIES)
def test_every_key_of_the_data_acts_on_every_source_or_is_refused(kind: str, tmp_path: Path) -> None:
    """Reported of other loaders: LiberTEM/LiberTEM #936, NVIDIA-NeMo/RL #3270 (arguments that are swallowed)."""
    found, silent, number = sources(tmp_path), [], itertools.count()
    known = {"items": str(tmp_path / "ITEMS.txt"), "labels": str(tmp_path / "LABELS.txt")}
    data = modality(kind).config.model_fields["data"].annotation
    keys = [key for key in data.model_fields if key not in TRAINING]  # type: ignore[union-attr]
    for (of, name), path in found.items():
        if of != kind:
            continue
        unsized = read(kind, path, tmp_path / f"cache-{next(number)}", {})
        sized = read(kind, path, tmp_path / f"cache-{next(number)}", {"size": 9}) if kind == "image" else {}
        for key in keys:
            value = "author" if (kind, key) == ("vectors", "text_column") else known.get(key, VALUES[key])
            values = {key: value, **({"size": 9} if key == "fit" else {})}  # how to reach a size
            plain = sized if key == "fit" else unsized
            try:
                other: object = read(kind, path, tmp_path / f"cache-{next(number)}", values)
            except LatentvizError as error:
                other = None if str(value) in str(error) or key in str(error) else plain
            if other == plain and not (key == "decimal" and name in {"v.csv", "v.jsonl"}):  # for cells such as 1,234
                silent.append(f"{key} on {name}")
    assert not silent


@pytest.mark.parametrize("kind", MODALITIES)
def test_a_refused_key_is_said_with_where_it_acts_and_its_default_is_no_mistake(kind: str, tmp_path: Path) -> None:
    for key, needs in MODEL[kind].items():
        field = modality(kind).config.model_fields["model"].annotation.model_fields[key]  # type: ignore[union-attr]
        off = {"likelihood": "bernoulli", "decoder": "position", "contrast": 0.0, "negatives": 0, "sampling": 0.0}
        off |= {"contrast": 1.0} if key == "topic_dim" else {}
        value = {float: 0.5, bool: True}.get(type(field.default), 7) if field.default != "auto" else 7
        value = {"flip": True, "c": 3.0}.get(key, value)
        parts = {"parts": "image,caption"} if kind == "joint" else {}
        settings = {"data": {"kind": kind, **parts}, "model": {needs.other: off[needs.other]}}
        load_config(str(tmp_path), {**settings, "model": {**settings["model"], key: field.default}})
        with pytest.raises(ConfigError, match=rf"model\.{key}: has no effect with model\.{needs.other}=.*it acts with"):
            load_config(str(tmp_path), {**settings, "model": {**settings["model"], key: value}})


def test_a_key_of_another_kind_is_said_to_be_one(few: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.items: image has no such setting.*vectors.*data\.kind=vectors"):
        load_config(str(few), {"data": {"kind": "image", "items": "x.txt"}})
    with pytest.raises(ConfigError, match=r"model\.decoder: image has no such setting.*text"):
        load_config(str(few), {"data": {"kind": "image"}, "model": {"decoder": "position"}})


def test_a_contrast_that_auto_sets_to_zero_refuses_what_is_for_it(shell: Callable, tmp_path: Path) -> None:
    """The message comes after the reading, before the training, and leaves nothing behind."""
    line = np.linspace(-1, 1, 60)[:, None] * np.ones(20) + np.random.default_rng(0).normal(0, 0.01, (60, 20))
    np.save(tmp_path / "line.npy", line)
    complaint = shell(
        "fit", tmp_path / "line.npy", "model.temperature=0.5", "--outputs", tmp_path / "outputs"
    ).complaint
    assert "model.temperature" in complaint
    assert "model.contrast=0" in complaint
    assert not (tmp_path / "outputs" / "line").exists()


def test_the_config_of_a_run_is_fitted_again_whatever_it_holds(trained: Path, tmp_path: Path) -> None:
    """It holds every key, also those that its user did not set."""
    values = read_yaml(trained / "config.yaml")
    load_config(str(trained / "config.yaml"), {"model": {"contrast": 0.0}})
    load_config(str(trained / "config.yaml"), values)
    with pytest.raises(ConfigError, match=r"model\.temperature"):
        load_config(str(trained / "config.yaml"), {"model": {"contrast": 0.0, "temperature": 0.7}})
    config, _ = load_config(str(trained / "config.yaml"), {})
    check_resolved(config, config)


SET = {
    "min_dist": 0.1,
    "backend": "cpu",
    "repeatable": False,
    "layouts": 2,
    "min_cluster_size": 9,
    "min_samples": 4,
    "selection": "leaf",
    "max_noise": 0.05,
}
ACTS = {  # with which methods, as the command `cluster` is documented
    "min_dist": {"umap", "densmap", "parametric"},
    "backend": {"umap"},
    "repeatable": {"umap", "densmap", "parametric"},
    "layouts": {"umap"},
    "min_cluster_size": {"hdbscan", "plscan"},
    "min_samples": {"hdbscan", "plscan"},
    "selection": {"hdbscan"},
    "max_noise": {"hdbscan", "plscan"},
}
EVERYWHERE = {"method", "n_neighbors", "n_components", "metric", "landmarks", "sample", "on", "n_clusters"}
EVERYWHERE |= {"merge", "split", "names"}


@pytest.mark.parametrize("name", sorted(ACTS))
def test_settings_of_other_methods_of_cluster_are_refused_and_the_advice_works(
    shell: Callable, run_folder: Path, name: str
) -> None:
    section, methods = ("reduce", REDUCERS) if name in ReduceSection.model_fields else ("cluster", CLUSTERERS)
    fast = ["reduce.method=pca"] if section == "cluster" else []
    for method in methods:
        words = [*fast, f"{section}.method={method}", f"{section}.{name}={SET[name]}"]
        words += ["cluster.min_cluster_size=10"] if name in {"min_samples", "selection"} and method == "hdbscan" else []
        if method in ACTS[name]:
            continue
        complaint = shell("cluster", run_folder, *words).complaint
        assert f"{section}.{name}: has no effect with {section}.method={method}" in complaint
        assert all(f"{section}.method={right}" in complaint for right in ACTS[name])
    known = {*ReduceSection.model_fields, *ClusterSection.model_fields}
    assert known == {*ACTS, *EVERYWHERE}, "a new setting of `cluster` needs a line here"


def test_settings_of_a_cut_that_is_chosen_are_refused_and_the_advice_works(shell: Callable, run_folder: Path) -> None:
    """Reported of BERTopic, whose `min_topic_size` gives way to a model's own: MaartenGr/BERTopic #1144, #726."""
    for word in ("cluster.min_samples=4", "cluster.selection=leaf"):
        complaint = shell("cluster", run_folder, "reduce.method=pca", word).complaint
        assert "cluster.min_cluster_size=20" in complaint
    words = ["reduce.method=pca", "cluster.min_samples=4", "cluster.min_cluster_size=20"]
    assert shell("cluster", run_folder, *words).code == 0
    for word in ("reduce.layouts=2", "reduce.sample=100"):
        complaint = shell("cluster", run_folder, "cluster.min_cluster_size=20", word).complaint
        assert "cluster.min_cluster_size=auto" in complaint


def test_the_rules_name_settings_that_exist() -> None:
    for rules, section in ((DATA, "data"), (MODEL, "model")):
        for kind, keys in rules.items():
            fields = modality(kind).config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
            assert set(keys) <= set(fields)
