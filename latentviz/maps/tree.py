"""The condensed tree for the map: which clusters split into which, as density rises."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentviz.maps.contents import Part, dominant
from latentviz.maps.data import MapData

# Nodes smaller than this share of their cluster get no label of their own as one zooms in.
FINE_SHARE = 0.12
IN_NAME = 3  # keywords of a node
LARGE = 4  # parts of the items: a cluster with more than one of them gets its regions' names too


def pack_tree(data: MapData, order: np.ndarray) -> Part:
    """Returns the tree's nodes; those inside a selected cluster carry a name for the labels that zooming brings out."""
    if not data.tree or "node" not in data.tree[0]:
        return Part()
    place = np.full(len(data), -1, np.int64)
    place[order] = np.arange(len(order))
    above = {row["node"]: row.get("parent") for row in data.tree}
    cluster = {row["node"]: row.get("cluster") for row in data.tree}
    sizes = {row["node"]: row["size"] for row in data.tree}
    nodes: list[dict[str, Any]] = []
    for row in data.tree:
        entry = {key: row.get(key) for key in ("node", "parent", "size", "birth", "death", "cluster")}
        entry["keywords"] = list(row.get("keywords", []))[:IN_NAME]
        entry["point"] = int(place[row["row"]]) if row.get("row") is not None else -1
        inside, node = None, row.get("parent")
        while node is not None and inside is None:
            inside, node = cluster.get(node), above.get(node)
        within = [n for n, c in cluster.items() if c is not None and c == inside]
        if inside is not None and row["size"] >= FINE_SHARE * sizes[within[0]]:
            entry |= {"inside": inside, "name": row.get("name") or _fine_name(data, row, inside, nodes)}
        nodes.append(entry)
    return Part({}, {"nodes": nodes})


def pack_regions(data: MapData, order: np.ndarray) -> Part:
    """Returns the names of parts of the map, for the labels that zooming brings out; those without keywords have none.

    The coarsest name only what lies in no cluster, or in one so large that its own name says little.
    """
    cluster = np.asarray(data.cluster)
    large = {-1, *(c for c in data.clusters if np.count_nonzero(cluster == c) > len(data) / LARGE)}
    place = np.full(len(data), -1, np.int64)
    place[order] = np.arange(len(order))
    named = [
        {
            "point": int(place[region["row"]]),
            "level": region["level"],
            "size": region["size"],
            "cluster": region["cluster"],
            "name": " · ".join(list(region["keywords"])[:IN_NAME]),
        }
        for region in data.regions
        if region["keywords"] and (region["level"] or region["cluster"] in large)
    ]
    return Part({}, {"regions": [region for region in named if region["point"] >= 0]}) if named else Part()


def _fine_name(data: MapData, row: Any, cluster: int, before: Sequence[Any]) -> str | None:
    """Returns a name for a part of a cluster: its keywords, its label where that is not the cluster's, else a letter.

    None where labels are known and tell nothing new.
    """
    if row.get("keywords"):
        return " · ".join(list(row["keywords"])[:IN_NAME])
    rows = row.get("rows")
    if data.labels is not None and rows is not None:
        own = dominant([data.labels[r] for r in np.flatnonzero(np.asarray(data.cluster) == cluster).tolist()])
        part = dominant([data.labels[r] for r in rows])
        new = own and part and part[0] != own[0] and part[1] > 0.5
        return str(part[0]) if new and part else None
    count = sum(1 for node in before if node.get("inside") == cluster)
    return f"{data.name(cluster)} {chr(ord('a') + count % 26)}"
