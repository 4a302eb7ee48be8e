"""Keywords of groups: they distinguish groups and exclude common terms; unique names; regions of the map."""

import numpy as np
import pytest

from latentviz.clustering.keywords import Keywords, Terms, cells, distinct, named, regions
from latentviz.modalities.text.keywords import count_terms

TOPICS = ("harbour ship sail mast", "oven bread flour yeast", "violin cello quartet bow")


@pytest.fixture(scope="module")
def made() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Returns 600 texts about three topics in the same frame of stop words, their topics, and their places."""
    rng = np.random.default_rng(0)
    topic = np.arange(600) % 3
    words = [" und ".join(rng.choice(TOPICS[t].split(), 2, replace=False)) for t in topic]
    texts = [f"das {two} ist wie ein {rng.choice(list('xyz'))}q" for two in words]
    points = np.array([[0, 0], [9, 0], [0, 9.0]])[topic] + rng.normal(0, 1, (600, 2))
    return texts, topic, points.astype(np.float32)


@pytest.fixture(scope="module")
def keywords(made) -> Keywords:
    texts, _, points = made
    return Keywords(count_terms(texts), points)


def test_each_group_is_named_by_its_own_words_and_by_no_stop_word(made, keywords) -> None:
    _, topic, _ = made
    for number, found in enumerate(keywords.of([np.flatnonzero(topic == t) for t in range(3)])):
        assert set(found[:4]) == set(TOPICS[number].split())
        assert not set(found) & {"das", "und", "ist", "wie", "ein"}


def test_stop_words_of_no_known_language_are_found_from_the_data(keywords) -> None:
    assert {"das", "und", "ist", "wie", "ein"} <= set(keywords.names[~keywords.useful])


def test_a_group_of_all_items_has_keywords(made, keywords) -> None:
    found = keywords.of([np.arange(600)])[0]
    assert set(found) & {word for topic in TOPICS for word in topic.split()}


def test_a_part_stands_out_from_what_is_around_it(made, keywords) -> None:
    texts, topic, _ = made
    ships = np.flatnonzero(topic == 0)
    part = np.array([row for row in ships if "ship" in texts[row]])
    assert keywords.of([part], [ships])[0][0] == "ship"


def test_no_group_and_groups_without_terms_are_fine(made) -> None:
    _, _, points = made
    empty = Keywords(count_terms([""] * 600), points)
    assert empty.of([]) == []
    assert empty.of([np.arange(5), np.arange(5, 600)]) == [[], []]
    assert all(not entry.keywords for entry in regions(points, empty))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_items_will_do(n: int) -> None:
    points = np.zeros((n, 2), np.float32)
    found = Keywords(count_terms(["one two"] * n), points)
    assert len(found.of([np.arange(n)])) == 1
    assert regions(points, found) == []


def test_regions_cover_the_map_at_each_level_and_get_finer(made, keywords) -> None:
    _, _, points = made
    points = points.copy()
    points[7] = np.nan
    found = regions(points, keywords)
    counts = [sum(entry.level == level for entry in found) for level in range(3)]
    assert counts[0] >= 2
    for level in {entry.level for entry in found}:
        rows = np.concatenate([entry.rows for entry in found if entry.level == level])
        assert sorted(rows) == [row for row in range(600) if row != 7]
    for entry in found:
        assert entry.row in entry.rows


def test_the_same_data_give_the_same_regions(made, keywords) -> None:
    _, _, points = made
    first, again = regions(points, keywords), regions(points, keywords)
    assert [(e.row, e.keywords) for e in first] == [(e.row, e.keywords) for e in again]


def test_cells_leave_out_what_has_no_place() -> None:
    points = np.array([[0, 0], [np.nan, 1], [5, 5], [5, 5.1]])
    found = cells(points, 2)
    assert found[1] == -1
    assert found[2] == found[3] != found[0]
    assert cells(np.full((3, 2), np.nan), 2).tolist() == [-1] * 3


def test_forms_of_a_word_count_once_and_short_words_are_kept_apart() -> None:
    assert distinct(["tensor", "tensors", "art", "cart", "酒", "酒醉", "醉"], [7, 6, 5, 4, 3, 2, 1.0]) == [
        "tensor",
        "art",
        "酒醉",
    ]


def test_names_differ_where_keywords_do() -> None:
    names = named({0: list("abcd"), 1: list("abce"), 2: list("xy"), 3: []})
    assert names == {0: "a · b · c · d", 1: "a · b · c · e", 2: "x · y"}


def test_terms_are_any_sparse_matrix() -> None:
    from scipy.sparse import coo_matrix

    counts = coo_matrix(np.repeat(np.eye(2, dtype=int), 40, axis=0))
    points = np.repeat([[0, 0], [9, 9.0]], 40, axis=0) + np.random.default_rng(0).normal(size=(80, 2))
    assert Keywords(Terms(counts, ["a", "b"]), points).of([np.arange(40), np.arange(40, 80)]) == [["a"], ["b"]]
