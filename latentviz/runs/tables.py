"""Tables and arrays of a run: what columns they have, and whether they fit each other."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.errors import RunError
from latentviz.progress import one_line, plural
from latentviz.runs.files import atomic_write, read_parquet
from latentviz.runs.info import ClustersInfo


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _is_label(type_: pa.DataType) -> bool:
    return _is_text(type_) or bool(pa.types.is_null(type_))


def write_table(file: Path, table: pa.Table) -> None:
    """Writes a Parquet file."""
    with atomic_write(file) as temporary:
        pq.write_table(table, temporary, compression="zstd")


LARGEST = 1e15  # place on a map: squares of larger ones are not finite in single precision
# Column → the types that it may have.
ITEM_TYPES: dict[str, Callable[[pa.DataType], bool]] = {
    "id": _is_text,
    "split": _is_text,
    "label": _is_label,
    "source": _is_label,
}
POINT_TYPES: dict[str, Callable[[pa.DataType], bool]] = {
    "id": _is_text,
    **dict.fromkeys(("x", "y", "probability", "outlier_score"), pa.types.is_floating),
    **dict.fromkeys(("cluster", "nearest_cluster"), pa.types.is_integer),
    **dict.fromkeys(("label", "source"), _is_label),
}

# Column of annotations → its type; each is there if an item has a value.
ANNOTATED = {"edited_cluster": pa.int32(), "tags": pa.list_(pa.string()), "note": pa.string()}


def read_table(
    file: Path, columns: Mapping[str, Callable[[pa.DataType], bool]], again: str, crc32: str | None
) -> pa.Table:
    """Reads a Parquet file that has at least these columns, of types that these functions accept.

    Raises:
        RunError: the file is damaged; the message says how to make it `again`.
    """
    table = read_parquet(file, again, crc32)
    if missing := sorted(columns.keys() - set(table.column_names)):
        raise RunError(f"{file}: damaged (it has no column {', '.join(missing)}); {again}")
    for name, accepts in columns.items():
        if table.column_names.count(name) > 1 or not accepts(table.schema.field(name).type):
            raise RunError(f"{file}: damaged (its column {name} has another type, or is there twice); {again}")
        if accepts is not _is_label and table.column(name).null_count:
            raise RunError(f"{file}: damaged (its column {name} has gaps); {again}")
    return table


def items_problem(table: pa.Table, n: int) -> str | None:
    """Says what in items.parquet cannot be n items of a run; None if nothing."""
    if table.num_rows != n:
        return f"{plural(table.num_rows, 'row')} of {plural(n, 'item')}"
    if len(table.column("id").unique()) != n:
        return "ids that repeat"
    if "train" not in (splits := set(table.column("split").unique().to_pylist())) or not splits <= {"train", "val"}:
        return "a split other than train and val, or none that is train"
    return None


def clusters_problem(info: ClustersInfo) -> str | None:
    """Says what in a clusters.json does not fit the rest of it; None if all does."""
    numbers = [entry["cluster"] for entry in info["clusters"]]
    if info["n_clusters"] != len(numbers) or len(set(numbers)) != len(numbers):
        return f"n_clusters is {info['n_clusters']}, and the list has {plural(len(set(numbers)), 'cluster')}"
    samples = info["settings"].get("min_samples", 0)
    if not isinstance(samples, int) or not 0 <= samples < 2**31:
        return f"settings: min_samples is {one_line(str(samples), 40)}"
    if not {region["cluster"] for region in info.get("regions", [])} <= {-1, *numbers}:
        return "a region of a cluster that is not listed"
    return None


def points_problem(table: pa.Table, info: ClustersInfo) -> str | None:
    """Says what in points.parquet does not fit its clusters.json; None if all does."""
    if table.num_rows != info["n_items"]:
        return f"{plural(table.num_rows, 'row')} of {plural(info['n_items'], 'item')}"
    if len(table.column("id").unique()) != table.num_rows:
        return "ids that repeat"
    own = [field for field in table.schema if field.name in ANNOTATED] if "annotations" in info else []
    if any(field.type != ANNOTATED[field.name] or table.column_names.count(field.name) > 1 for field in own):
        return "a column of annotations that has another type, or is there twice"
    places = np.stack([table.column(name).to_numpy() for name in ("x", "y")], axis=1)
    if not np.isfinite(places).all(axis=1).any() or np.abs(places).max() > LARGEST:  # NaN: an item without a place
        return "no item that has a place, or one that is too far away"
    labels, nearest = (table.column(name).to_numpy() for name in ("cluster", "nearest_cluster"))
    sizes = {entry["cluster"]: entry["size"] for entry in info["clusters"]}
    numbers, counts = np.unique(labels, return_counts=True)
    found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    other = any(sizes.get(number) != count for number, count in found.items() if number != -1)
    other |= any(size and number not in found for number, size in sizes.items())
    if other or not set(nearest.tolist()) <= {-1, *sizes}:
        return "clusters that clusters.json has not, or of other sizes"
    return None


def are_coordinates(array: np.ndarray, n: int) -> bool:
    """Whether an array is the coordinates of n items, float (n, k), at least one of which has some."""
    fits = array.dtype.kind == "f" and array.ndim == 2 and len(array) == n and array.shape[1] > 0
    return fits and bool(np.isfinite(array).all(axis=1).any()) and not bool((np.abs(array) > LARGEST).any())


def are_rows(array: np.ndarray, n: int) -> bool:
    """Whether an array holds rows of n items."""
    return array.dtype.kind in "iu" and bool(array.min(initial=0) >= 0 and array.max(initial=-1) < n)


def are_landmarks(array: np.ndarray, n: int) -> bool:
    """Whether an array is an ascending choice of at least two of n items."""
    return (
        array.ndim == 1 and len(array) > 1 and are_rows(array, n) and bool((np.diff(array.astype(np.int64)) > 0).all())
    )


def is_tree(array: np.ndarray, n: int) -> bool:
    """Whether an array is a condensed tree of n items, whose nodes are numbered from n on, parents before children."""
    if array.ndim != 1 or not len(array) or not {"parent", "child", "lambda_val"} <= set(array.dtype.names or ()):
        return False
    parent, child = array["parent"], array["child"]
    if parent.dtype.kind not in "iu" or child.dtype.kind not in "iu" or array["lambda_val"].dtype.kind != "f":
        return False
    nodes = np.sort(child[child >= n])
    root = int(parent.min())
    return (
        root >= n
        and bool((child >= 0).all() and (parent < child)[child >= n].all())
        and np.array_equal(nodes, np.arange(root + 1, root + 1 + len(nodes)))
        and int(parent.max()) <= root + len(nodes)
    )


def are_layers(arrays: Mapping[str, np.ndarray], k: int) -> bool:
    """Whether arrays are the weights and biases of a network for coordinates of k dimensions, and points if k ≠ 2."""
    count = len(arrays) // 2
    if not count or set(arrays) != {f"{name}{number}" for name in ("weights", "biases") for number in range(count)}:
        return False
    if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()):
        return False
    shapes = [arrays[f"weights{number}"].shape for number in range(count)]
    fits = all(len(shape) == 2 and arrays[f"biases{number}"].shape == shape[1:] for number, shape in enumerate(shapes))
    return fits and all(a[1] == b[0] for a, b in pairwise(shapes)) and shapes[-1][1] in ({2, 4} if k == 2 else {k + 2})
