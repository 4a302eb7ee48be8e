"""The items of a run as embedding-atlas reads them, a part of `latentviz export`: one Parquet file and its labels."""

import shlex

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latentviz.clustering.description import cluster_names
from latentviz.maps.thumbnails import thumbnail
from latentviz.modalities.loading import OpenRun
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.runs.tables import write_table
from latentviz.stages.space import Space, read_space

SIDE = 128  # pixels of an image's longer side
LABELS = pa.schema(
    {"x": pa.float32(), "y": pa.float32(), "text": pa.string(), "level": pa.int32(), "priority": pa.int64()}
)


def write_atlas(run: RunFolder, folder: ClusterFolder) -> str:
    """Writes the points with neighbours, texts and images, and the names of clusters and regions with their places.

    Returns:
        the command that opens them.
    """
    opened = OpenRun(run)
    space, table, shown = read_space(opened, folder), folder.points(), opened.on_map
    names = cluster_names(table, folder.info())
    called = [names.get(number, f"cluster {number}") if number >= 0 else "noise" for number in space.labels.tolist()]
    options = {"x": "x", "y": "y"}
    added = {"cluster_name": pa.array(called)}
    if (near := folder.neighbours()) is not None:
        added[options.setdefault("neighbors", "neighbors")] = neighbours(space, near)
    if shown.texts is not None:
        added[options.setdefault("text", "text")] = pa.array(shown.texts, pa.string())
    if (images := shown.images) is not None:
        encoded = [{"bytes": thumbnail(images, row, SIDE)} for row in range(len(images))]
        added[options.setdefault("image", "image")] = pa.array(encoded, pa.struct({"bytes": pa.binary()}))
    for name, column in added.items():
        place = table.schema.get_field_index(name)
        table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
    write_table(run.exported.atlas, table.replace_schema_metadata(None))
    write_table(run.exported.atlas_labels, labels(folder, space, names))
    words = [word for option, column in options.items() for word in (f"--{option}", column)]
    place = [str(run.exported.atlas), *words, "--labels", str(run.exported.atlas_labels)]
    return f"open it with `{shlex.join(['embedding-atlas', *place])}`"


def neighbours(space: Space, rows: np.ndarray) -> pa.Array:
    """Returns each item's nearest neighbours in mu: their rows and distances, nearest first."""
    ids, distances = [], []
    for start in range(0, len(rows), 4096):  # (4096, k, d) at a time
        block = np.asarray(rows[start : start + 4096])
        apart = space.vectors[start : start + 4096, None] - space.vectors[block]
        ids += block.tolist()
        distances += np.linalg.norm(apart, axis=2).tolist()
    lists = [pa.array(ids, pa.list_(pa.int32())), pa.array(distances, pa.list_(pa.float32()))]
    return pa.StructArray.from_arrays(lists, ["ids", "distances"])


def labels(folder: ClusterFolder, space: Space, names: dict[int, str]) -> pa.Table:
    """Returns the names on the map: clusters at their medians, and regions at their items."""
    info, points = folder.info(), folder.points()
    rows = []
    for entry in info["clusters"]:
        x, y = np.median(space.points[space.labels == entry["cluster"]], axis=0)
        name = names.get(entry["cluster"], f"cluster {entry['cluster']}")
        rows.append({"x": x, "y": y, "text": name, "level": 0, "priority": entry["size"]})
    regions = info.get("regions", [])
    items = pc.index_in(pa.array([region["item"] for region in regions], pa.string()), points.column("id"))
    for region, row in zip(regions, items.to_pylist(), strict=True):
        if row is not None:
            x, y = space.points[row]
            name, level = ", ".join(region["keywords"][:3]), region["level"] + 1
            rows.append({"x": x, "y": y, "text": name, "level": level, "priority": region["size"]})
    return pa.Table.from_pylist(rows, LABELS)
