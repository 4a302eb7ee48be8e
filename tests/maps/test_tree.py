"""The condensed tree: HDBSCAN's record array becomes linked nodes."""

import base64
import gzip
import json
import re

import numpy as np
import pytest

from latentviz.clustering.tree import condensed_tree
from latentviz.maps.html import render


@pytest.fixture(scope="module")
def clustered():
    hdbscan = pytest.importorskip("hdbscan")
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10.0, 10.0]])
    points = np.repeat(centres, 150, axis=0) + rng.normal(0, 0.6, (600, 2))
    model = hdbscan.HDBSCAN(min_cluster_size=20).fit(points)
    return points.astype(np.float32), model.labels_, model.condensed_tree_._raw_tree


def test_nodes_are_linked_with_the_clusters(clustered):
    points, labels, raw = clustered
    nodes = condensed_tree(raw, labels, points)
    assert nodes[0]["parent"] is None
    assert nodes[0]["size"] == 600
    selected = {node["cluster"]: node for node in nodes if node["cluster"] is not None}
    assert sorted(selected) == sorted(set(labels.tolist()) - {-1})
    for cluster, node in selected.items():
        assert labels[node["row"]] == cluster
        assert set(np.flatnonzero(labels == cluster)) <= set(node["rows"].tolist())
    sizes = {node["node"]: node["size"] for node in nodes}
    assert all(sizes[node["parent"]] >= node["size"] for node in nodes[1:])


def test_clusters_are_found_where_a_few_items_have_another_label(clustered):
    """Repeated items are clustered as one and labelled like their neighbours."""
    points, labels, raw = clustered
    exact = {node["cluster"]: node["node"] for node in condensed_tree(raw, labels, points)}
    few = labels.copy()
    for cluster, other in ((0, 1), (1, 2), (2, -1)):
        few[np.flatnonzero(labels == cluster)[:2]] = other
    assert {node["cluster"]: node["node"] for node in condensed_tree(raw, few, points)} == exact


def test_keywords_take_precedence_over_labels_in_names(clustered, make_data):
    points, labels, raw = clustered
    tree = [*condensed_tree(raw, labels, points)]
    top = next(node for node in tree if node["cluster"] == 0)
    half = np.flatnonzero(labels == 0)[:60]
    tree.append(
        {
            "node": 99,
            "parent": top["node"],
            "size": 60,
            "birth": 3.0,
            "death": 4.0,
            "cluster": None,
            "row": int(half[0]),
            "rows": half,
            "keywords": ["oven", "bread", "flour", "yeast"],
        }
    )
    regions = [
        {"level": level, "row": 0, "size": 9, "cluster": cluster, "keywords": words}
        for level, cluster, words in ((0, 0, ["a"]), (0, -1, ["b"]), (1, 0, ["c", "d"]), (1, 1, []))
    ]
    content = meta(
        render(make_data(points=points, cluster=labels.astype(np.int32), tree=tree, neighbours=None, regions=regions))
    )
    assert next(node for node in content["tree"]["nodes"] if node["node"] == 99)["name"] == "oven · bread · flour"
    # Cluster 0 is small enough for its own name, so its coarse region gets none; no keywords, no label.
    assert [region["name"] for region in content["labels"]["regions"]] == ["b", "c · d"]


def meta(page):
    """The page's metadata."""
    return json.loads(gzip.decompress(base64.b64decode(re.search(r'id="lv-meta">([^<]*)<', page).group(1))))


def test_parts_of_clusters_get_informative_names(clustered, make_data):
    points, labels, raw = clustered
    tree = [*condensed_tree(raw, labels, points)]
    top = next(node for node in tree if node["cluster"] == 0)
    half = np.flatnonzero(labels == 0)[:60]
    tree.append(
        {
            "node": 99,
            "parent": top["node"],
            "size": 60,
            "birth": 3.0,
            "death": 4.0,
            "cluster": None,
            "row": int(half[0]),
            "rows": half,
        }
    )
    known = ["rest"] * 600
    for row in half:
        known[row] = "special"
    for labels_given, name in ((known, "special"), (["rest"] * 600, None), (None, "Cluster 0 a")):
        data = make_data(
            points=points, cluster=labels.astype(np.int32), labels=labels_given, tree=tree, neighbours=None
        )
        nodes = meta(render(data))["tree"]["nodes"]
        assert next(node for node in nodes if node["node"] == 99)["name"] == name
