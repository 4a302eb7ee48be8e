"""Cluster numbers follow their items from one clustering to the next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentviz.clustering.matching import Earlier, match, matched_again
from latentviz.clustering.neighbors import neighbours

# before → after, as {(before, after): items}; then the numbers expected of the new clusters, and the events.
CASES = {
    "renumbered by size": ({(0, 1): 50, (1, 0): 60, (2, 2): 40}, {0: 1, 1: 0, 2: 2}, {}),
    "noise in between": ({(0, 0): 50, (0, -1): 9, (-1, 0): 9, (1, 1): 30}, {0: 0, 1: 1}, {}),
    "split": ({(0, 0): 50, (1, 1): 30, (1, 2): 20}, {0: 0, 1: 1, 2: 2}, {"split": [([1], [1, 2])]}),
    "split, the larger part from others": (
        {(0, 1): 40, (0, 0): 40, (1, 0): 90},
        {0: 1, 1: 0},
        {"split": [([0], [0, 1])]},
    ),
    "a fragment breaks off": ({(0, 0): 90, (0, 1): 10}, {0: 0, 1: 1}, {"split": [([0], [0, 1])]}),
    "merged": ({(0, 0): 60, (1, 0): 40, (2, 1): 30}, {0: 0, 1: 2}, {"merged": [([0, 1], [0])]}),
    "born": ({(0, 0): 50, (None, 1): 40}, {0: 0, 1: 1}, {"born": [([], [1])]}),
    "gone": ({(0, 0): 50, (1, -1): 40}, {0: 0}, {"gone": [([1], [])]}),
    "gone, its number is not used again": (
        {(0, 0): 50, (1, -1): 40, (None, 1): 40},
        {0: 0, 1: 2},
        {"born": [([], [2])], "gone": [([1], [])]},
    ),
    "most became noise": ({(0, 0): 30, (0, -1): 70, (None, 0): 500}, {0: 0}, {}),
    "a few of it in a cluster of new items": (
        {(0, 0): 3, (0, -1): 97, (None, 0): 500},
        {0: 1},
        {"born": [([], [1])], "gone": [([0], [])]},
    ),
    "everything is noise": ({(0, -1): 50}, {}, {"gone": [([0], [])]}),
    "nothing before": ({(-1, 0): 50, (-1, 1): 40}, {0: 0, 1: 1}, {"born": [([], [0]), ([], [1])]}),
}


def labellings(flows: dict[tuple[int | None, int], int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels before, of the items that existed, and after."""
    rows = [(before, after) for (before, after), times in flows.items() for _ in range(times)]
    rows.sort(key=lambda row: row[0] is None)
    return (
        np.array([before for before, _ in rows if before is not None], np.int32),
        np.array([after for _, after in rows], np.int32),
    )


@pytest.mark.parametrize("case", CASES)
def test_numbers_and_events(case: str) -> None:
    flows, numbers, events = CASES[case]
    earlier, labels = labellings(flows)
    found = match(earlier, labels)
    assert found.numbers == numbers
    reported: dict[str, list[tuple[list[int], list[int]]]] = {}
    for change in found.changes:
        if change["change"] != "kept":
            reported.setdefault(change["change"], []).append((change["before"], change["after"]))
    assert reported == events
    clustered = sum(times for (before, _), times in flows.items() if before is not None and before >= 0)
    same = sum(times for (before, after), times in flows.items() if (before or 0) >= 0 and numbers.get(after) == before)
    assert found.kept == same / max(1, clustered)


def test_numbers_that_were_ever_used_are_not_used_again() -> None:
    earlier, labels = labellings({(0, 0): 50, (None, 1): 40})
    assert match(earlier, labels, unused=7).numbers == {0: 0, 1: 7}


@given(st.data())
def test_every_cluster_gets_one_number_and_every_one_is_reported(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 60))
    labels = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=n, max_size=n)), np.int32)
    m = data.draw(st.integers(0, n))
    earlier = np.array(data.draw(st.lists(st.integers(-1, 9), min_size=m, max_size=m)), np.int32)
    found = match(earlier, labels)
    assert set(found.numbers) == set(labels[labels >= 0].tolist())
    assert len(set(found.numbers.values())) == len(found.numbers)
    before = {number for change in found.changes for number in change["before"]}
    after = {number for change in found.changes for number in change["after"]}
    assert before == set(earlier[earlier >= 0].tolist())
    assert after == set(found.numbers.values())
    assert 0 <= found.kept <= 1


def test_a_layout_starts_where_items_were_and_new_ones_between_their_neighbours() -> None:
    random = np.random.default_rng(0)
    vectors = np.concatenate([random.normal(size=(200, 3)), random.normal((100, 0, 0), size=(40, 3))])
    vectors = vectors.astype(np.float32)
    placed = vectors[:, :2].copy()
    new = np.append(np.arange(0, 200, 7), np.arange(200, 240))  # the last 40 are an island of new items
    placed[new] = np.nan
    none = np.full(240, -1, np.int32)
    earlier = Earlier(none, none, placed)
    start = earlier.start(neighbours(vectors, 10))
    assert start is not None
    old = np.setdiff1d(np.arange(240), new)
    assert np.array_equal(start[old], placed[old])
    inside = new[new < 200]
    assert np.linalg.norm(start[inside] - vectors[inside, :2], axis=1).mean() < 1
    assert np.allclose(start[200:], start[:200].mean(axis=0), atol=1e-4)
    assert Earlier(none, none, None).start(neighbours(vectors, 10)) is None


def test_merges_and_splits_after_the_match_are_described() -> None:
    earlier = np.repeat([0, 1, 2, -1], [50, 40, 30, 10])
    found = match(earlier, earlier)
    assert (found.kept, {change["change"] for change in found.changes}) == (1.0, {"kept"})
    assert matched_again(found, earlier, earlier) == found
    labels = np.repeat([0, 2, 3, -1], [90, 20, 10, 10])
    again = matched_again(found, earlier, labels)
    events = [(change["change"], change["before"], change["after"]) for change in again.changes]
    assert events == [("kept", [0], [0]), ("kept", [2], [2]), ("split", [2], [2, 3]), ("merged", [0, 1], [0])]
    assert again.kept == (50 + 20) / 120
