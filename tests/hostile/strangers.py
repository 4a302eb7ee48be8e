"""Runs that somebody sent: what is planted in them. Each function damages the run in a folder."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from latentviz.runs.checksums import FORMAT_VERSION
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder
from tests.conftest import reseal

Plant = Callable[[Path, Path], None]  # (run, a folder outside it that must stay as it is)
CLUSTERS = "clusters/default/clusters.json"


def sealed(run: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes a JSON file, with a checksum that is right, as somebody who knows the format would."""
    content = json.loads((run / name).read_text())
    content.pop("crc32", None)
    changed = change(content)
    content = content if changed is None else changed
    if not isinstance(content, dict):
        (run / name).write_text(json.dumps(content))
        return
    text = json.dumps(content)  # also with NaN, which `write_json` does not write
    write_json(run / name, content, sealed=True)
    if "NaN" in text or "Infinity" in text:
        (run / name).write_text(text)


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Returns a change that puts a value at a key."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    """Returns a change that removes a key."""

    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def recount(run: Path, clustering: bool) -> None:
    """Makes the checksums those of the files as they are now."""
    if not clustering:
        reseal(run)
        return
    folder = RunFolder(run).clustering()
    content = json.loads((run / CLUSTERS).read_text())
    from latentviz.runs.checksums import checksums

    files = [folder.path / name for name in content["checksums"] if (folder.path / name).is_file()]
    content["checksums"] = checksums(folder.path, files)
    content.pop("crc32", None)
    write_json(run / CLUSTERS, content, sealed=True)


def in_run(change: Callable[[dict[str, Any]], Any]) -> Plant:
    return lambda run, _: sealed(run, "run.json", change)


def in_clusters(change: Callable[[dict[str, Any]], Any]) -> Plant:
    return lambda run, _: sealed(run, CLUSTERS, change)


def text(name: str, content: str | bytes) -> Plant:
    """Returns a plant that writes a file, with the checksum that belongs to it."""

    def plant(run: Path, _: Path) -> None:
        (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if not name.endswith(".json"):
            recount(run, name.startswith("clusters/"))

    return plant


def array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Plant:
    """Returns a plant that changes an array, with the checksum that belongs to it."""

    def plant(run: Path, _: Path) -> None:
        content = change(np.array(np.load(run / name)))
        np.save(run / name, content)
        recount(run, name.startswith("clusters/"))

    return plant


def table(name: str, change: Callable[[pa.Table], pa.Table]) -> Plant:
    """Returns a plant that changes a table, with the checksum that belongs to it."""

    def plant(run: Path, _: Path) -> None:
        pq.write_table(change(pq.ParquetFile(run / name).read()), run / name)
        recount(run, name.startswith("clusters/"))

    return plant


def setting(name: str, *path: str, value: object) -> Plant:
    """Returns a plant that changes a config, with the checksum that belongs to it."""

    def plant(run: Path, _: Path) -> None:
        content = yaml.safe_load((run / name).read_text())
        put(*path, value=value)(content)
        (run / name).write_text("# latentviz fit x\n" + yaml.safe_dump(content, sort_keys=False))
        if not name.startswith("clusters/"):
            recount(run, clustering=False)
            return
        stored = {key: each for key, each in content.items() if key != "map"}
        sealed(run, CLUSTERS, put("config", value=stored))

    return plant


def replaced(column: str, change: Callable[[list[Any]], Any]) -> Callable[[pa.Table], pa.Table]:
    def with_column(content: pa.Table) -> pa.Table:
        place = content.column_names.index(column)
        return content.set_column(place, column, pa.array(change(content.column(column).to_pylist())))

    return with_column


def link(name: str, to: str) -> Plant:
    """Returns a plant that puts a link in the place of a file or folder, to one outside the run."""

    def plant(run: Path, outside: Path) -> None:
        move_away(run / name)
        (run / name).symlink_to(outside / to)

    return plant


def special(name: str, make: Callable[[Path], None]) -> Plant:
    """Returns a plant that puts a pipe, a socket or a device in the place of a file."""

    def plant(run: Path, _: Path) -> None:
        move_away(run / name)
        make(run / name)

    return plant


def move_away(path: Path) -> None:
    """Removes what lies at a path, or makes the folder for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.rename(path.parent.parent / f"was-{path.name}") if path.is_dir() else path.unlink()


def bind(path: Path) -> None:
    """Makes a socket; its path may be longer than a socket's."""
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


def zeros(path: Path) -> None:
    """Makes a link to a device without end."""
    path.symlink_to("/dev/zero")


def checksum_of(name: str) -> Plant:
    """Returns a plant that lists another file among those of the run."""
    return in_run(lambda content: content["checksums"].update({name: "00000000"}))


def grown(name: str) -> Plant:
    """Returns a plant that makes a file of 5 GB, nearly all of it a hole."""

    def plant(run: Path, _: Path) -> None:
        os.truncate(run / name, 5 * 2**30)

    return plant


DEEP = "[" * 100_000
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

# What is planted → the plant; "fit" in front: `fit` makes it again; "cluster": `cluster` does.
RUN_JSON: Mapping[str, Plant] = {
    **{
        f"run.json is {value!r}"[:40]: text("run.json", value)
        for value in ("", "null", "7", '"x"', "[]", "{", "{}", DEEP)
    },
    "run.json in UTF-16": text("run.json", '{"format_version": 1}'.encode("utf-16")),
    "run.json of 5 GB": grown("run.json"),
    "format_version true": in_run(put("format_version", value=True)),
    "format_version 10^400": in_run(put("format_version", value=10**400)),
    "format_version a text without end": in_run(put("format_version", value="9" * 10**6)),
    "no kind": in_run(drop("kind")),
    "kind null": in_run(put("kind", value=None)),
    "kind a list": in_run(put("kind", value=["image"])),
    "kind unknown": in_run(put("kind", value="../x")),
    "kind another": in_run(put("kind", value="text")),
    "summary null": in_run(put("summary", value=None)),
    "summary a list": in_run(put("summary", value=[])),
    "no items": in_run(drop("summary", "items")),
    "items a text": in_run(put("summary", "items", value="120")),
    "items true": in_run(put("summary", "items", value=True)),
    "items negative": in_run(put("summary", "items", value=-1)),
    "items too many": in_run(put("summary", "items", value=10**30)),
    "items one less": in_run(put("summary", "items", value=119)),
    "latent_dim 0": in_run(put("summary", "latent_dim", value=0)),
    "latent_dim another": in_run(put("summary", "latent_dim", value=5)),
    "content_dim above latent_dim": in_run(put("summary", "content_dim", value=100)),
    "content_dim 0": in_run(put("summary", "content_dim", value=0)),
    "given_dim above latent_dim": in_run(put("summary", "given_dim", value=9)),
    "contrast a text": in_run(put("summary", "contrast", value="much")),
    "log_likelihood NaN": in_run(put("summary", "log_likelihood", value=float("nan"))),
    "kl infinite": in_run(put("summary", "kl", value=float("inf"))),
    "about a number": in_run(put("summary", "about", value=7)),
    "seconds a text": in_run(put("seconds", value="long")),
    "seconds of texts": in_run(put("seconds", "train", value="long")),
    "versions null": in_run(put("versions", value=None)),
    "checksums a list": in_run(put("checksums", value=[])),
    "checksums of numbers": in_run(put("checksums", "mu.npy", value=7)),
    "a checksum of /dev/zero": checksum_of("/dev/zero"),
    "a checksum of a file outside": checksum_of("../../elsewhere/secret.txt"),
    "a checksum of a folder": checksum_of("cache"),
    "a checksum of ..": checksum_of("cache/../../x"),
    "a checksum with NUL": checksum_of("a\0b"),
}
CONFIG: Mapping[str, Plant] = {
    "config.yaml is empty": text("config.yaml", ""),
    "config.yaml is a list": text("config.yaml", "[1, 2]"),
    "config.yaml makes objects": text("config.yaml", "data: !!python/object/apply:os.getcwd []\n"),
    "config.yaml has a billion values": text("config.yaml", LAUGHS),
    "config.yaml holds itself": text("config.yaml", "data: &a [*a]\n"),
    "config.yaml of 5 GB": grown("config.yaml"),
    "config.yaml is deep": text("config.yaml", DEEP),
    "config.yaml with a NUL": text("config.yaml", "data: \0\n"),
    "data.kind another": setting("config.yaml", "data", "kind", value="vectors"),
    "data.size too large": setting("config.yaml", "data", "size", value=10**9),
    "data.channels another": setting("config.yaml", "data", "channels", value=3),
    "model.width without end": setting("config.yaml", "model", "width", value=10**9),
    "model.width another": setting("config.yaml", "model", "width", value=4),
    "model.latent_dim another": setting("config.yaml", "model", "latent_dim", value=7),
    "model.net another": setting("config.yaml", "model", "net", value="mlp"),
}
ARRAYS: Mapping[str, Plant] = {
    "mu of NaN": array("mu.npy", lambda mu: np.full_like(mu, np.nan)),
    "mu infinite": array("mu.npy", lambda mu: np.full_like(mu, np.inf)),
    "mu too large to square": array("mu.npy", lambda mu: np.full_like(mu, 1e30)),
    "mu shorter": array("mu.npy", lambda mu: mu[:-1]),
    "mu narrower": array("mu.npy", lambda mu: mu[:, :-1]),
    "mu flat": array("mu.npy", np.ravel),
    "mu in double precision": array("mu.npy", lambda mu: mu.astype(np.float64)),
    "mu of texts": array("mu.npy", lambda mu: mu.astype(str)),
    "mu empty": array("mu.npy", lambda mu: mu[:0]),
    "logvar of NaN": array("logvar.npy", lambda logvar: np.full_like(logvar, np.nan)),
    "logvar too large": array("logvar.npy", lambda logvar: np.full_like(logvar, 1000)),
    "logvar shorter": array("logvar.npy", lambda logvar: logvar[:5]),
    "a header of 2^60 rows": text(
        "mu.npy",
        np.lib.format.magic(1, 0)
        + b"v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976, 4), }".ljust(120)
        + b"\n",
    ),
    "images shorter": array("cache/images.npy", lambda images: images[:5]),
    "images of floats": array("cache/images.npy", lambda images: images.astype(np.float32)),
    "images of another size": array("cache/images.npy", lambda images: images[..., :5, :5]),
    "images flat": array("cache/images.npy", lambda images: images.reshape(len(images), -1)),
    "images of objects": text(
        "cache/images.npy",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 60 + b"\n",
    ),
    "items shorter": table("items.parquet", lambda items: items.slice(0, 7)),
    "items without ids": table("items.parquet", lambda items: items.drop_columns(["id"])),
    "ids of numbers": table("items.parquet", replaced("id", lambda ids: list(range(len(ids))))),
    "ids with gaps": table("items.parquet", replaced("id", lambda ids: [None, *ids[1:]])),
    "ids that repeat": table("items.parquet", replaced("id", lambda ids: ["same"] * len(ids))),
    "splits of another word": table("items.parquet", replaced("split", lambda all_: ["test"] * len(all_))),
    "items with the column id twice": table(
        "items.parquet", lambda items: items.append_column("id", items.column("id"))
    ),
    "items that claim too many rows": table(
        "items.parquet",
        lambda items: pa.table(
            {
                name: pa.array(["a"]).take(pa.array(np.zeros(20_000_000, np.int8)))
                for name in ("id", "split", "label", "source")
            }
        ),
    ),
}
CLUSTERINGS: Mapping[str, Plant] = {
    **{f"clusters.json is {value!r}"[:40]: text(CLUSTERS, value) for value in ("", "null", "[]", "{}", DEEP)},
    "no clusters": in_clusters(drop("clusters")),
    "clusters null": in_clusters(put("clusters", value=None)),
    "clusters of numbers": in_clusters(put("clusters", value=[1, 2])),
    "one cluster less": in_clusters(lambda content: content["clusters"].pop()),
    "n_clusters another": in_clusters(put("n_clusters", value=99)),
    "a cluster of the number 10^12": in_clusters(put("clusters", 0, "cluster", value=10**12)),
    "a cluster of another size": in_clusters(put("clusters", 0, "size", value=1)),
    "exemplars of numbers": in_clusters(put("clusters", 0, "exemplars", value=[1, 2])),
    "exemplars that do not exist": in_clusters(put("clusters", 0, "exemplars", value=["nobody"])),
    "keywords a text": in_clusters(put("clusters", 0, "keywords", value="abc")),
    "persistence NaN": in_clusters(put("clusters", 0, "persistence", value=float("nan"))),
    "a colour that is a script": in_clusters(put("clusters", 0, "colour", value="red;}</style><script>")),
    "lines a text": in_clusters(put("lines", value="abc")),
    "no lines": in_clusters(put("lines", value=[])),
    "noise_share 7": in_clusters(put("noise_share", value=7)),
    "settings null": in_clusters(put("settings", value=None)),
    "min_samples a word": in_clusters(put("settings", "min_samples", value="many")),
    "min_samples negative": in_clusters(put("settings", "min_samples", value=-5)),
    "min_samples without end": in_clusters(put("settings", "min_samples", value=10**18)),
    "sweep of texts": in_clusters(put("sweep", value=["a"])),
    "sweep of nothing": in_clusters(put("sweep", value=[{}])),
    "sweep of odd values": in_clusters(
        put("sweep", value=[{"min_cluster_size": 5, "modularity": "x", "selection": 7}])
    ),
    "modularity a text": in_clusters(put("modularity", value="x")),
    "tree of texts": in_clusters(put("tree", value=["x"])),
    "tree of nothing": in_clusters(put("tree", value=[])),
    "tree that is infinite": in_clusters(put("tree", value=[{"parent": 1e308, "child": -1e308}])),
    "regions of items that do not exist": in_clusters(
        put("regions", value=[{"level": 0, "item": "nobody", "size": 1, "cluster": 0, "keywords": ["x"]}])
    ),
    "a checksum outside": in_clusters(lambda content: content["checksums"].update({"../../../secret.txt": "00000000"})),
    "config null": in_clusters(put("config", value=None)),
    "n_items another": in_clusters(put("n_items", value=3)),
    "the clustering's config.yaml is a list": text("clusters/default/config.yaml", "[]"),
    "map.layers unknown": setting("clusters/default/config.yaml", "map", "layers", value=["x"]),
    "map.colour_by unknown": setting("clusters/default/config.yaml", "map", "colour_by", value="x"),
    "map.title a script": setting("clusters/default/config.yaml", "map", "title", value="</script><script>"),
    "reduce.method unknown": setting("clusters/default/config.yaml", "reduce", "method", value="x"),
    "cluster.on another": setting("clusters/default/config.yaml", "cluster", "on", value="all"),
    "points shorter": table("clusters/default/points.parquet", lambda points: points.slice(0, 5)),
    "points without x": table("clusters/default/points.parquet", lambda points: points.drop_columns(["x"])),
    "points without probability": table(
        "clusters/default/points.parquet", lambda points: points.drop_columns(["probability"])
    ),
    "x of texts": table("clusters/default/points.parquet", replaced("x", lambda x: [str(each) for each in x])),
    "x of NaN": table("clusters/default/points.parquet", replaced("x", lambda x: np.full(len(x), np.nan, np.float32))),
    "x infinite": table(
        "clusters/default/points.parquet", replaced("x", lambda x: np.full(len(x), np.inf, np.float32))
    ),
    "x of 1e30": table("clusters/default/points.parquet", replaced("x", lambda x: np.full(len(x), 1e30, np.float32))),
    "cluster 10^6": table(
        "clusters/default/points.parquet", replaced("cluster", lambda all_: np.full(len(all_), 10**6, np.int32))
    ),
    "cluster −5": table(
        "clusters/default/points.parquet", replaced("cluster", lambda all_: np.full(len(all_), -5, np.int32))
    ),
    "nearest_cluster 10^6": table(
        "clusters/default/points.parquet", replaced("nearest_cluster", lambda all_: np.full(len(all_), 10**6, np.int32))
    ),
    "probability NaN": table(
        "clusters/default/points.parquet", replaced("probability", lambda p: np.full(len(p), np.nan, np.float32))
    ),
    "ids of other items": table(
        "clusters/default/points.parquet", replaced("id", lambda ids: [f"x{each}" for each in ids])
    ),
    "points with ids that repeat": table(
        "clusters/default/points.parquet", replaced("id", lambda ids: ["x"] * len(ids))
    ),
    "coordinates shorter": array("clusters/default/coordinates.npy", lambda content: content[:3]),
    "coordinates of NaN": array("clusters/default/coordinates.npy", lambda content: np.full_like(content, np.nan)),
    "coordinates of whole numbers": array("clusters/default/coordinates.npy", lambda content: content.astype(int)),
    "coordinates flat": array("clusters/default/coordinates.npy", np.ravel),
    "neighbours out of range": array("clusters/default/neighbours.npy", lambda content: np.full_like(content, 10**6)),
    "neighbours negative": array("clusters/default/neighbours.npy", lambda content: np.full_like(content, -1)),
    "neighbours of floats": array("clusters/default/neighbours.npy", lambda content: content.astype(np.float32)),
    "neighbours shorter": array("clusters/default/neighbours.npy", lambda content: content[:3]),
    "a tree without fields": array("clusters/default/tree.npy", lambda content: np.zeros(5)),
    "a tree without rows": array("clusters/default/tree.npy", lambda content: content[:0]),
    "a tree with a circle": array(
        "clusters/default/tree.npy", lambda content: with_field(content, "parent", content["child"])
    ),
    "a tree with nodes far away": array(
        "clusters/default/tree.npy", lambda content: with_field(content, "parent", content["parent"] + 10**9)
    ),
    "a tree of negative items": array(
        "clusters/default/tree.npy", lambda content: with_field(content, "child", -np.abs(content["child"]) - 1)
    ),
    "landmarks out of range": lambda run, _: landmarks(run, np.arange(10**6, 10**6 + 9)),
    "landmarks that repeat": lambda run, _: landmarks(run, np.zeros(9, np.int64)),
    "landmarks of floats": lambda run, _: landmarks(run, np.linspace(0, 5, 9)),
    "no landmarks": lambda run, _: landmarks(run, np.zeros(0, np.int64)),
}
OTHERS: Mapping[str, Plant] = {
    "a lock that is a link": link(".clusters-b.lock", "secret.txt"),
    "a lock that is a file of the user": lambda run, _: (run / ".clusters-b.lock").write_text("years of work") and None,
    "a lock that is a pipe": special(".clusters-b.lock", os.mkfifo),
    "clusters is a link": link("clusters", "empty"),
    "clusters/default is a link": link("clusters/default", "empty"),
    "clusters/b is a link": link("clusters/b", "empty"),
    "generated is a link": link("generated", "empty"),
    "recommended is a link": link("recommended", "empty"),
    "encoded is a link": link("encoded", "empty"),
    "exported is a link": link("exported", "empty"),
    "exported/model.safetensors is a link": link("exported/model.safetensors", "secret.txt"),
    "cache is a link": link("cache", "empty"),
    "checkpoints is a link": link("checkpoints", "empty"),
    "samples is a link": link("samples", "empty"),
    "metrics.csv is a link": link("metrics.csv", "secret.txt"),
    "mu.npy is a link": link("mu.npy", "secret.txt"),
    "map.html is a link": link("clusters/default/map.html", "secret.txt"),
    "run.json is a link": link("run.json", "secret.txt"),
    "config.yaml is a link": link("config.yaml", "secret.txt"),
    "a link to nowhere": link("generated", "nowhere"),
    "a link to itself": lambda run, _: (run / "generated").symlink_to(run / "generated"),
    "a link up": lambda run, _: (run / "cache" / "up").symlink_to("../.."),
    "run.json is a pipe": special("run.json", os.mkfifo),
    "config.yaml is a pipe": special("config.yaml", os.mkfifo),
    "mu.npy is a pipe": special("mu.npy", os.mkfifo),
    "items.parquet is a pipe": special("items.parquet", os.mkfifo),
    "last.ckpt is a pipe": special("checkpoints/last.ckpt", os.mkfifo),
    "clusters.json is a pipe": special(CLUSTERS, os.mkfifo),
    "the marker is a pipe": special(".latentviz.json", os.mkfifo),
    "mu.npy is a socket": special("mu.npy", bind),
    "mu.npy is /dev/zero": special("mu.npy", zeros),
    "run.json is /dev/zero": special("run.json", zeros),
    "mu.npy is a folder": special("mu.npy", Path.mkdir),
    "run.json is a folder": special("run.json", Path.mkdir),
    "config.yaml is a folder": special("config.yaml", Path.mkdir),
    "clusters is a file": special("clusters", Path.touch),
    "generated is a file": special("generated", Path.touch),
    "exported is a file": special("exported", Path.touch),
    "a checkpoint of another model": lambda run, _: checkpoint(run, {"state_dict": {}}),
    "a checkpoint that is a list": lambda run, _: checkpoint(run, [1]),
    "a checkpoint of NaN": lambda run, _: nan_weights(run),
    "a clustering with a name of control characters": lambda run, _: odd_name(run),
}


def with_field(content: np.ndarray, name: str, values: np.ndarray) -> np.ndarray:
    changed = content.copy()
    changed[name] = values
    return changed


def landmarks(run: Path, rows: np.ndarray) -> None:
    file = run / "clusters" / "default" / "landmarks.npy"
    np.save(file, rows)
    content = json.loads((run / CLUSTERS).read_text())
    content["checksums"]["landmarks.npy"] = ""
    write_json(run / CLUSTERS, content)
    recount(run, clustering=True)


def checkpoint(run: Path, content: object) -> None:
    import torch

    torch.save(content, run / "checkpoints" / "last.ckpt")
    reseal(run)


def nan_weights(run: Path) -> None:
    import torch

    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    for tensor in content["state_dict"].values():
        if tensor.is_floating_point():
            tensor.fill_(float("nan"))
    checkpoint(run, content)


def odd_name(run: Path) -> None:
    (run / "clusters" / "default").rename(run / "clusters" / "\x1b[2J\n")


assert FORMAT_VERSION == 1, "the plants are of this format"
