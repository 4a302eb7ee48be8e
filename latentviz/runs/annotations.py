"""What a person found out on a map: names, merges and splits of clusters, tags and notes of items.

The page saves it as `annotations.json`, and `latentviz annotate` puts it into a clustering: names and merges into
clusters.json, the rest into columns of points.parquet. The numbers in its column `cluster` stay; `edited_cluster` has
those after merges and splits.
"""

import json
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import ConfigDict, Field, StringConstraints, ValidationError, with_config
from typing_extensions import TypedDict

from latentviz.errors import DataError, ReadError, did_you_mean, message_of
from latentviz.progress import one_line, plural
from latentviz.runs.files import AnyPath
from latentviz.runs.info import ClusterAnnotations, ClusterNumber, ClustersInfo, adapter
from latentviz.runs.items import own_names
from latentviz.runs.tables import ANNOTATED

VERSION = 1
LARGEST = 2**30  # bytes of the file; a million items with a tag each have 30 MB
SAVE = "save it on the map with the button Annotations"
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


@with_config(ConfigDict(extra="forbid"))
class Annotations(TypedDict, total=False):
    """The content of annotations.json. A key that is absent leaves what the clustering has.

    Attributes:
        format: says what the file is.
        version: of the format.
        run: the name of the run, for people.
        clustering: the name of the clustering, for people.
        fingerprint: that of the clustering; absent in files that are written by hand.
        names: cluster → name.
        merges: cluster → the cluster that it is a part of.
        splits: cluster, a new or an existing one → ids of the items that are in it, whatever cluster had them.
        tags: id → tags.
        notes: id → text.
    """

    format: Literal["latentviz annotations"]
    version: Annotated[int, Field(ge=1)]
    run: str
    clustering: str
    fingerprint: str
    names: dict[ClusterNumber, Word]
    merges: dict[ClusterNumber, ClusterNumber]
    splits: dict[ClusterNumber, list[str]]
    tags: dict[str, list[Word]]
    notes: dict[str, Note]


@dataclass(frozen=True)
class Findings:
    """All annotations of a clustering; the attributes are as in `Annotations`."""

    names: Mapping[int, str] = field(default_factory=dict)
    merges: Mapping[int, int] = field(default_factory=dict)
    splits: Mapping[int, Sequence[str]] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def with_given(self, given: Annotations) -> "Findings":
        """Returns these with the given tables in the place of their own."""
        return Findings(
            given.get("names", self.names),
            given.get("merges", self.merges),
            given.get("splits", self.splits),
            given.get("tags", self.tags),
            given.get("notes", self.notes),
        )

    def __str__(self) -> str:
        counts = [
            plural(len(self.names), "name"),
            plural(len(self.merges), "merge"),
            plural(len(self.splits), "split"),
            plural(sum(map(bool, self.tags.values())), "tagged item"),
            plural(len(self.notes), "note"),
        ]
        return ", ".join(count for count in counts if not count.startswith("0 ")) or "no annotations"


def fingerprint(points: pa.Table) -> str:
    """Returns 8 hex digits that follow from the ids and the clusters of a clustering, in their order."""
    ids = "\0".join(points.column("id").to_pylist()).encode("utf-8", "surrogatepass")
    return f"{zlib.crc32(points.column('cluster').to_numpy().astype('<i4').tobytes(), zlib.crc32(ids)):08x}"


def read_annotations(source: AnyPath | Mapping[str, object]) -> tuple[Annotations, str]:
    """Reads annotations from a file or a dict; returns them, and what messages call their source.

    Raises:
        DataError: the file is missing or holds something else; the message names the key.
        ReadError: the system refuses to read it.
    """
    if isinstance(source, Mapping):
        return _checked(_plain(source), "annotations"), "annotations"
    file = Path(source).expanduser()
    try:
        if not file.is_file():
            raise DataError(f"{file}: no such file; {SAVE}")
        if (size := file.stat().st_size) > LARGEST:
            raise DataError(f"{file}: too large for annotations (got {size:,} bytes; at most {LARGEST:,}); {SAVE}")
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ReadError(file, error) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not valid JSON ({message_of(error, 80)}); {SAVE}") from None
    return _checked(content, str(file)), str(file)


def _plain(given: Mapping[str, object]) -> dict[str, object]:
    """Returns what Python gives as JSON would hold it: read-only views as dicts, a tag alone as a list of one."""
    found = {key: dict(value) if isinstance(value, Mapping) else value for key, value in given.items()}
    if isinstance(tags := found.get("tags"), dict):
        found["tags"] = {item: [words] if isinstance(words, str) else words for item, words in tags.items()}
    return found


def _checked(content: object, where: str) -> Annotations:
    version = content.get("version", VERSION) if isinstance(content, dict) else VERSION
    if isinstance(version, int) and version > VERSION:
        raise DataError(
            f"{where}: version: {version}, and this latentviz reads up to {VERSION}; upgrade with "
            "`pip install -U latentviz`"
        )
    try:
        given: Annotations = adapter(cast("Hashable", Annotations)).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = [str(part) for part in first["loc"] if part != "[key]"]
        if first["type"] == "extra_forbidden":
            known = list(Annotations.__annotations__)
            hint = f"allowed here: {', '.join(known)}.{did_you_mean(keys[-1], known)}"
            raise DataError(f"{where}: {one_line(keys[-1], 80)}: unknown key; {hint}") from None
        key = f"{one_line('.'.join(keys), 80)}: " if keys else ""
        reason = first["msg"].replace("Input should be", "must be").replace("String should", "must")
        got = one_line(repr(first["input"]), 60)
        raise DataError(
            f"{where}: {key}{reason} (got {got}); {SAVE}, or give names, merges, splits, tags, notes"
        ) from None
    return given


def findings(points: pa.Table, info: ClustersInfo) -> Findings:
    """Returns what a clustering is annotated with."""
    known = info.get("annotations")
    if known is None:
        return Findings()
    ids = points.column("id").to_pylist()
    values = {name: points.column(name).to_pylist() for name in ANNOTATED if name in points.column_names}
    merges = {int(number): into for number, into in known["merges"].items()}
    splits: dict[int, list[str]] = {}
    merged = _merged(points, merges).tolist()
    for item, before, after in zip(ids, merged, values.get("edited_cluster", merged), strict=True):
        if before != after:
            splits.setdefault(after, []).append(item)
    return Findings(
        {int(number): name for number, name in known["names"].items()},
        merges,
        splits,
        {item: tags for item, tags in zip(ids, values.get("tags", ()), strict=False) if tags},
        {item: note for item, note in zip(ids, values.get("note", ()), strict=False) if note},
    )


def merged(cluster: np.ndarray, merges: Mapping[int, int]) -> np.ndarray:
    """Returns the cluster of each item after merges, int32 (n,), from those before, int (n,)."""
    found = cluster.astype(np.int32)
    for number, into in merges.items():
        found[cluster == number] = into
    return found


def _merged(points: pa.Table, merges: Mapping[int, int]) -> np.ndarray:
    return merged(points.column("cluster").to_numpy(), merges)


def annotated(points: pa.Table, info: ClustersInfo, found: Findings, where: str) -> tuple[pa.Table, ClustersInfo]:
    """Returns the points and the content of clusters.json with these annotations in the place of their own.

    Raises:
        DataError: they name items or clusters that the clustering has not.
    """
    row = {item: number for number, item in enumerate(points.column("id").to_pylist())}
    for key, table in (
        ("tags", found.tags),
        ("notes", found.notes),
        *((f"splits.{k}", s) for k, s in found.splits.items()),
    ):
        if unknown := [item for item in table if item not in row]:
            near = did_you_mean(unknown[0], list(row)[:20_000])
            raise DataError(
                f"{where}: {key}: {plural(len(unknown), 'id is', 'ids are')} of no item of this run "
                f"(got {one_line(unknown[0], 80)!r}); ids are in the column id of points.parquet.{near}"
            )
    columns: dict[str, list[object]] = {}
    if found.merges or found.splits:
        columns["edited_cluster"] = _edited(points, info, found, row, where).tolist()
    _check_clusters(found, found.names, info, where)
    if any(found.tags.values()):
        columns["tags"] = [list(dict.fromkeys(found.tags.get(item, ()))) or None for item in row]
    if found.notes:
        columns["note"] = [found.notes.get(item) for item in row]
    table = _without_own(points, info)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, ANNOTATED[name]))
    bare = info.copy()
    bare.pop("annotations", None)
    if columns or found.names:
        names = {str(number): name for number, name in sorted(found.names.items())}
        merges = {str(number): into for number, into in sorted(found.merges.items())}
        bare["annotations"] = ClusterAnnotations(names=names, merges=merges)
    return table, bare


def _edited(points: pa.Table, info: ClustersInfo, found: Findings, row: Mapping[str, int], where: str) -> np.ndarray:
    """Returns the cluster of each item after merges and splits, int32 (n,)."""
    _check_clusters(found, [*found.merges.values()], info, f"{where}: merges")
    own = {entry["cluster"] for entry in info["clusters"]}
    if wrong := [number for number, into in found.merges.items() if number not in own or into in found.merges]:
        number, into = wrong[0], found.merges[wrong[0]]
        raise DataError(
            f"{where}: merges: {number} → {into}: must go from a cluster of clusters.json to one that is not merged "
            "itself; give the last cluster of the chain"
        )
    edited, given = _merged(points, found.merges), set[str]()
    for number, items in found.splits.items():
        if twice := given & set(items):
            item = one_line(min(twice), 80)
            raise DataError(f"{where}: splits.{number}: {item!r} is in another split, too; keep it in one")
        given |= set(items)
        edited[[row[item] for item in items]] = number
    return edited


def _check_clusters(
    found: Findings, numbers: "Sequence[int] | Mapping[int, str]", info: ClustersInfo, where: str
) -> None:
    known = [*(entry["cluster"] for entry in info["clusters"]), *found.splits]
    if unknown := [number for number in numbers if number not in set(known)]:
        raise DataError(f"{where}: no cluster {unknown[0]}; clusters are {listed(known)}")


def listed(numbers: Sequence[int]) -> str:
    """Lists the numbers of clusters for a message, 20 at most.

    >>> listed([0, 3]), listed([])
    ('0, 3', 'none')
    """
    return (", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")) or "none"


def _without_own(points: pa.Table, info: ClustersInfo) -> pa.Table:
    """Returns the points without the columns of annotations; columns of the data with their names get others."""
    if "annotations" in info:
        return points.drop_columns([name for name in ANNOTATED if name in points.column_names])
    others = [name for name in points.column_names if name not in ANNOTATED]
    kept = own_names(points.column_names, taken={*ANNOTATED}) if len(others) < points.num_columns else {}
    return points.rename_columns([kept.get(name, name) for name in points.column_names])
