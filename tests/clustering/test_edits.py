"""Noise given to clusters, and clusters merged, split and named by settings: exact shares, stable numbers."""

from typing import Any

import numpy as np
import pytest

from latentviz.clustering.clusterers import cluster
from latentviz.clustering.cut import Choice, nearest_clusters
from latentviz.clustering.edits import edited, with_names
from latentviz.clustering.landmarks import Layout, with_repeats
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.noise import assign_noise, membership
from latentviz.clustering.repeats import Repeats, find_repeats
from latentviz.config import ClusterSection, validate
from latentviz.errors import ConfigError
from latentviz.runs.info import ClusterEntry


def laid_out(points: np.ndarray, counts: np.ndarray | None = None, **settings: Any) -> Layout:
    """Returns the layout of points (n, 2) clustered by HDBSCAN."""
    graph = neighbours(points, 15)
    given = {"min_cluster_size": 30, "min_samples": 5, **settings}
    found = cluster("hdbscan", points, graph=graph, counts=counts, **given)
    others = graph.indices[:, 1:]
    return Layout(points, points, others, found, nearest_clusters(found.labels, others, points))


@pytest.fixture(scope="module")
def clouds() -> np.ndarray:
    """Returns a pair of clouds, two further ones far away, and stragglers: float32 (n, 2)."""
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [7, 0], [60, 0], [0, 60]])
    sizes = (120, 90, 80, 70)
    parts = [centre + random.normal(size=(size, 2)) for centre, size in zip(centres, sizes, strict=True)]
    return np.concatenate([*parts, random.uniform(-30, 90, (60, 2))]).astype(np.float32)


@pytest.fixture(scope="module")
def layout(clouds: np.ndarray) -> Layout:
    """Returns their layout."""
    found = laid_out(clouds, min_cluster_size=40)
    assert found.clusters.k == 4
    assert found.clusters.noise_share > 0.05
    return found


def changed(layout: Layout, repeats: Repeats | None = None, unused: int = 0, **settings: Any) -> Layout:
    """Returns the layout with clusters edited by settings."""
    return edited(layout, ClusterSection.model_validate(settings), repeats, unused)


class TestNoise:
    @pytest.mark.parametrize("most", [0.0, 0.02, 0.05, 0.5, 1.0])
    def test_at_most_that_share_is_noise_and_no_less_than_before_where_it_fits(
        self, layout: Layout, most: float
    ) -> None:
        n, before = len(layout.points), layout.clusters.noise_share
        found = assign_noise(layout, most, None, None)
        assert found.clusters.noise_share == min(before, int(most * n) / n)
        if found.clusters.noise_share == before:
            assert found is layout
            assert "cluster_raw" not in found.columns()

    def test_items_in_clusters_stay_the_most_certain_are_given_and_the_raw_clusters_are_kept(
        self, layout: Layout
    ) -> None:
        found = assign_noise(layout, 0.05, None, None)
        raw, after = found.columns()["cluster_raw"], found.clusters.labels
        assert (raw[raw >= 0] == after[raw >= 0]).all()
        assert ((raw < 0) == (layout.clusters.labels < 0)).all()
        given = (raw < 0) & (after >= 0)
        assert (after[given] == found.nearest[given]).all()
        certain = membership(layout, np.flatnonzero(raw < 0))
        taken = given[raw < 0]
        assert certain[taken].min() >= certain[~taken].max()
        np.testing.assert_allclose(found.clusters.probabilities[given], certain[taken])
        assert found.assigned is not None
        assert found.assigned["items"] == given.sum()
        assert found.assigned["raw_share"] == layout.clusters.noise_share
        assert (np.diff(np.bincount(after[after >= 0])) <= 0).all(), "numbered by size"

    def test_an_item_between_clusters_or_far_away_is_less_certain(self) -> None:
        random = np.random.default_rng(0)
        two = np.concatenate([centre + random.normal(size=(100, 2)) for centre in ([0, 0], [12, 0])])
        odd = np.array([[2.9, 0], [6.0, 0], [-40, 0]])
        found = laid_out(np.concatenate([two, odd]).astype(np.float32))
        near, between, far = membership(found, np.array([200, 201, 202]))
        assert near > between
        assert near > far

    def test_repeated_items_stay_together_and_count(self, clouds: np.ndarray) -> None:
        points = np.concatenate([clouds, np.repeat(clouds[-40:], 3, axis=0)])
        repeats = find_repeats(points)
        assert repeats is not None
        laid = laid_out(clouds, repeats.counts)
        found = with_repeats(assign_noise(laid, 0.1, repeats.counts, None), repeats)
        assert found.clusters.noise_share <= 0.1
        for name in ("cluster", "cluster_raw", "probability"):
            values = found.columns()[name]
            assert (values == values[repeats.first][repeats.which]).all()

    def test_what_it_costs_is_the_agreement_of_layouts_on_more_items(self, layout: Layout) -> None:
        other = layout.nearest.copy()
        noise = np.flatnonzero(layout.clusters.labels < 0)
        other[noise] = (other[noise] + 1) % layout.clusters.k  # another layout differs on noise alone
        choice = Choice(cut=None, points=layout.points, sweep=[], agreement=0.9, others=[other])  # type: ignore[arg-type]
        assigned = assign_noise(layout, 0.0, None, choice).assigned
        assert assigned is not None
        assert assigned["agreement"] == 1
        assert assigned["agreement_after"] is not None
        assert assigned["agreement_after"] < 1

    def test_without_clusters_noise_stays(self) -> None:
        found = laid_out(np.random.default_rng(0).uniform(size=(200, 2)).astype(np.float32), min_cluster_size=90)
        assert found.clusters.k == 0
        assert assign_noise(found, 0.05, None, None) is found


class TestMergeAndSplit:
    def test_merged_clusters_get_the_least_number_and_others_keep_theirs(self, layout: Layout) -> None:
        before = layout.clusters.labels
        found = changed(layout, merge=[[2, 0]])
        after = found.clusters.labels
        assert (after[(before == 0) | (before == 2)] == 0).all()
        assert (after[before == 1] == 1).all()
        assert (after[before < 0] == -1).all()
        assert 2 not in found.clusters.numbers
        assert 2 not in found.nearest
        assert found.columns()["cluster_raw"].tolist() == before.tolist()
        assert set(found.clusters.exemplars) == set(found.clusters.numbers)
        assert 0 not in found.clusters.persistence

    def test_a_pair_of_clouds_is_split_between_them(self, layout: Layout) -> None:
        pair = sorted({int(layout.clusters.labels[0]), int(layout.clusters.labels[130])})
        assert len(pair) == 2
        layout, pair = changed(layout, merge=[pair]), pair[0]
        found = changed(layout, split=[pair])
        after, first, second = found.clusters.labels, np.arange(120), np.arange(120, 210)
        new = max(layout.clusters.numbers) + 1
        assert (after[first] == pair).mean() > 0.9
        assert (after[second] == new).mean() > 0.9
        assert set(found.clusters.numbers) == {*layout.clusters.numbers, new}
        assert set(found.clusters.exemplars) == set(found.clusters.numbers)
        assert ((after < 0) == (layout.clusters.labels < 0)).all(), "no item becomes noise"
        inside = after >= 0
        assert (found.nearest[inside] == after[inside]).all()
        assert changed(layout, split=[pair], unused=17).clusters.numbers[-1] == 17

    def test_repeats_stay_together_in_a_split(self, clouds: np.ndarray) -> None:
        points = np.concatenate([clouds, clouds[:150]])
        repeats = find_repeats(points)
        assert repeats is not None
        whole = with_repeats(laid_out(clouds, repeats.counts), repeats)
        pair = sorted({int(whole.clusters.labels[0]), int(whole.clusters.labels[130])})
        whole = changed(whole, merge=[pair])
        found = changed(whole, repeats, split=[pair[0]])
        labels = found.clusters.labels
        assert found.clusters.k == whole.clusters.k + 1
        assert (labels == labels[repeats.first][repeats.which]).all()

    def test_max_noise_keeps_its_raw_clusters_through_a_merge(self, layout: Layout) -> None:
        assigned = assign_noise(layout, 0.0, None, None)
        found = changed(assigned, merge=[[0, 1]])
        assert found.raw is not None
        assert (found.raw < 0).sum() == (layout.clusters.labels < 0).sum()
        assert set(np.unique(found.raw)) == {-1, *range(layout.clusters.k)}

    def test_names_are_in_the_clusters(self) -> None:
        entries = [ClusterEntry(cluster=number, size=1, persistence=None, exemplars=[]) for number in (0, 1)]
        with_names(entries, {1: "ones"})
        assert [entry.get("name") for entry in entries] == [None, "ones"]

    def test_without_settings_nothing_changes(self, layout: Layout) -> None:
        assert changed(layout) is layout
        assert changed(layout, names={0: "zeros"}) is layout

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"merge": [[0, 9]]}, r"cluster\.merge: no cluster 9; the clusters are 0, 1"),
            ({"split": [9]}, r"cluster\.split: no cluster 9; the clusters are 0, 1"),
            ({"names": {9: "x"}}, r"cluster\.names: no cluster 9; the clusters are 0, 1"),
            ({"merge": [[0, 1]], "names": {1: "x"}}, r"cluster\.names: no cluster 1; the clusters are 0, 2"),
            ({"merge": [[0, 1]], "split": [1]}, r"cluster\.split: cluster 1 is in cluster\.merge, too"),
        ],
    )
    def test_unknown_clusters_are_refused_with_those_that_there_are(
        self, layout: Layout, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            changed(layout, **settings)

    def test_a_cluster_that_does_not_split_is_refused_with_those_that_do(self, layout: Layout) -> None:
        points = np.concatenate([layout.points[:210], np.full((40, 2), 90.0) + np.linspace(0, 1, 40)[:, None]])
        found = laid_out(points.astype(np.float32))
        line, pair = (
            int(found.clusters.labels[-1]),
            sorted({int(found.clusters.labels[0]), int(found.clusters.labels[130])}),
        )
        found, pair = changed(found, merge=[pair]), pair[0]
        with pytest.raises(ConfigError, match=rf"cluster\.split: cluster {line} has no branch.*that split are {pair}"):
            changed(found, split=[line])


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ({"max_noise": "5%"}, ("max_noise", 0.05)),
            ({"max_noise": 0.05}, ("max_noise", 0.05)),
            ({"max_noise": 0}, ("max_noise", 0.0)),
            ({"merge": [[3, 0], [5, 6]]}, ("merge", [[0, 3], [5, 6]])),
            ({"merge": [0, 3]}, ("merge", [[0, 3]])),
            ({"split": 2}, ("split", [2])),
            ({"names": {"0": "zeros", 3: "threes"}}, ("names", {0: "zeros", 3: "threes"})),
            ({"names": {np.int64(0): np.str_(" zeros "), 1: 5}}, ("names", {0: "zeros", 1: "5"})),
            ({"names": {0: "👩‍🚀 & <b>"}}, ("names", {0: "👩‍🚀 & <b>"})),
            ({"merge": [[np.int64(3), np.int32(0)], np.array([5, 6])]}, ("merge", [[0, 3], [5, 6]])),
            ({"split": [np.int64(2)]}, ("split", [2])),
            ({"max_noise": " 5e-2 "}, ("max_noise", 0.05)),
        ],
    )
    def test_ways_to_write_them(self, given: dict[str, Any], kept: tuple[str, Any]) -> None:
        section = validate(ClusterSection, given, "x")
        assert getattr(section, kept[0]) == kept[1]
        assert validate(ClusterSection, section.model_dump(mode="json"), "x") == section

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"max_noise": "5"}, r"max_noise: must be a share from 0 to 1, such as 0\.05 or 5% \(got '5'\)"),
            ({"max_noise": "120%"}, "max_noise: must be a share"),
            ({"max_noise": "much"}, "max_noise: must be a share"),
            ({"max_noise": True}, "max_noise: must be"),
            ({"max_noise": "5%abc"}, r"max_noise: must be a share.*\(got '5%abc'\)"),
            ({"max_noise": "1_0%"}, "max_noise: must be a share"),
            ({"max_noise": "nan"}, "max_noise: must be a share"),
            ({"merge": [[0]]}, r"merge: must be groups of two clusters or more, such as \[\[0, 3\]"),
            ({"merge": "all"}, "merge: must be groups"),
            ({"merge": [[0, -1]]}, "merge: must be groups"),
            ({"merge": [[0, 3], [3, 4]]}, "merge: cluster 3 is there twice"),
            ({"merge": [[True, 0]]}, "merge: must be groups"),
            ({"split": "two"}, r"split: must be numbers of clusters, such as \[2, 5\]"),
            ({"split": [1.5]}, "split: must be numbers"),
            ({"names": {0: ""}}, "names: the name of cluster 0 must have 1 to 200 characters"),
            ({"names": {"a": "x"}}, "names: must be names by cluster"),
            ({"names": ["zeros"]}, "names: must be names by cluster"),
            (
                {"names": {-1: "x"}},
                r"names: must be names by cluster.*keys are numbers of clusters, 0, 1, … \(got -1\)",
            ),
            ({"names": {1.5: "x"}}, r"keys are numbers of clusters, 0, 1, … \(got 1\.5\)"),
            ({"names": {True: "x"}}, r"keys are numbers of clusters, 0, 1, … \(got True\)"),
            ({"names": {1: "a", "01": "b"}}, "names: cluster 1 is named twice"),
            ({"names": {0: "\ud800"}}, "names: the name of cluster 0 must be one line of text without control"),
            ({"names": {0: "a\nb"}}, "names: the name of cluster 0 must be one line"),
            ({"names": {0: "a\0b"}}, "names: the name of cluster 0 must be one line"),
            ({"names": {0: "x" * 100_000}}, "names: the name of cluster 0 must have 1 to 200 characters"),
            ({"names": {0: float("nan")}}, r"names: the name of cluster 0 must be text \(got nan\)"),
            ({"names": {0: True}}, r"names: the name of cluster 0 must be text \(got True\)"),
            ({"names": {0: None}}, r"names: the name of cluster 0 must be text \(got None\)"),
        ],
    )
    def test_others_are_refused_in_one_line(self, given: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message) as caught:
            validate(ClusterSection, given, "x")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
