"""The condensed tree and the named regions, for labels that appear as one zooms in."""

from collections.abc import Sequence

import numpy as np

from latentviz.maps.contents import Part, dominant
from latentviz.maps.data import MapData, TreeNode

FINE_SHARE = 0.12  # of a cluster's size; smaller nodes get no label
IN_NAME = 3  # keywords in a name
LARGE = 4  # a cluster with more than 1 in so many items gets the coarse regions' names too


def pack_tree(data: MapData) -> Part:
    """Lists the tree's nodes; those inside a selected cluster carry the name that zooming in shows."""
    if not data.tree or "node" not in data.tree[0]:
        return Part()
    parent = {row["node"]: row.get("parent") for row in data.tree}
    cluster = {row["node"]: row.get("cluster") for row in data.tree}
    sizes = {row["cluster"]: row["size"] for row in data.tree if row.get("cluster") is not None}
    nodes: list[dict[str, object]] = []
    for row in data.tree:
        entry: dict[str, object] = {
            **{key: row.get(key) for key in ("node", "parent", "size", "birth", "death", "cluster")},
            "keywords": list(row.get("keywords", []))[:IN_NAME],
            "point": int(data.place[row["row"]]) if row.get("row") is not None else -1,
        }
        inside, above = None, row.get("parent")
        while above is not None and inside is None:
            inside, above = cluster.get(above), parent.get(above)
        if inside is not None and row["size"] >= FINE_SHARE * sizes[inside]:
            entry |= {"inside": inside, "name": row.get("name") or _fine_name(data, row, inside, nodes)}
        nodes.append(entry)
    return Part({}, {"nodes": nodes})


def pack_regions(data: MapData) -> Part:
    """Lists the named regions; the coarsest level names only noise and clusters too large for their own name."""
    cluster = np.asarray(data.cluster)
    large = {-1, *(c for c in data.clusters if np.count_nonzero(cluster == c) > len(data) / LARGE)}
    named = [
        {
            "point": int(data.place[region["row"]]),
            "level": region["level"],
            "size": region["size"],
            "cluster": region["cluster"],
            "name": _joined(region["keywords"]),
        }
        for region in data.regions
        if region["keywords"] and (region["level"] or region["cluster"] in large) and data.place[region["row"]] >= 0
    ]
    return Part({}, {"regions": named}) if named else Part()


def _joined(keywords: Sequence[str]) -> str:
    return " · ".join(list(keywords)[:IN_NAME])


def _fine_name(data: MapData, row: TreeNode, cluster: int, before: Sequence[dict[str, object]]) -> str | None:
    """Names a part of a cluster: its keywords, its label if that is not the cluster's, else a letter.

    None where labels are known and add nothing.
    """
    if row.get("keywords"):
        return _joined(row["keywords"])
    if data.labels is not None and row.get("rows") is not None:
        own = dominant([data.labels[r] for r in np.flatnonzero(np.asarray(data.cluster) == cluster).tolist()])
        part = dominant([data.labels[r] for r in row["rows"]])
        return part[0] if own and part and part[0] != own[0] and part[1] > 0.5 else None
    count = sum(1 for node in before if node.get("inside") == cluster)
    return f"{data.name(cluster)} {chr(ord('a') + count % 26)}"
