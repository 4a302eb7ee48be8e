"""`lv.widget` without a browser: what can be set from Python, and what is refused."""

import sys

import pytest

import latentviz as lv
from latentviz.errors import ArgumentError, LatentvizError

pytest.importorskip("anywidget")


@pytest.fixture
def widget(mapped):
    return lv.widget(mapped)


def test_a_selection_is_a_part_of_the_points(widget, mapped) -> None:
    points = lv.open(mapped).clustering().points
    assert widget.selection.empty
    assert list(widget.selection.columns) == list(points.columns)
    for given in (["few/3", "few/1"], points["id"].isin(["few/1", "few/3"]), points.iloc[[1, 3]]):
        widget.selection = given
        assert (widget.rows, widget.selection["id"].tolist()) == ([1, 3], ["few/1", "few/3"])
    widget.selection = None
    assert widget.rows == []


def test_names_are_those_of_all_clusters(widget, mapped) -> None:
    first = dict(widget.names)
    assert sorted(first) == [0, 1, 2]
    widget.names = {1: "ones"}
    assert widget.names == {**first, 1: "ones"}
    named = lv.open(mapped).clustering().points["cluster"].map(widget.names)
    assert (named == "ones").sum() == lv.open(mapped).clustering().clusters["size"][1]
    widget.names = {}
    assert widget.names == first


def test_tags_belong_to_items(widget) -> None:
    seen = []
    widget.observe(lambda change: seen.append(change.new), "tags")
    widget.tags = {"few/1": "a", "few/2": ["a", "b", "a"], "few/3": []}
    assert widget.tags == {"few/1": ("a",), "few/2": ("a", "b")}
    assert seen == [widget.tags]


def test_what_the_browser_sends_arrives_as_python_reads_it(widget) -> None:
    widget.set_state({"names": {"0": "zeros", "1": ""}, "tags": {"few/4": ["x"]}, "rows": [4]})
    assert widget.names[0] == "zeros"
    assert widget.names[1]
    assert widget.tags == {"few/4": ("x",)}
    assert widget.selection["id"].tolist() == ["few/4"]
    assert widget.get_state("names")["names"]["0"] == "zeros"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("selection", ["few/3", "fwe/1"], "'fwe/1'"),
        ("selection", [True, False], "got 2"),
        ("rows", [200], "0 to 199"),
        ("rows", [-1], "0 to 199"),
        ("names", {7: "x"}, "7"),
        ("names", {0: 3}, "got 0: 3"),
        ("names", ["x"], "list"),
        ("tags", {"few/1": [1]}, "few/1"),
        ("tags", {"nowhere": "x"}, "nowhere"),
        ("tags", "x", "str"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(widget, name, value, says) -> None:
    with pytest.raises(ArgumentError) as refused:
        setattr(widget, name, value)
    assert str(refused.value).startswith(f"widget.{name}: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_cannot_be_changed_without_anybody_noticing(widget) -> None:
    with pytest.raises(TypeError):
        widget.names[0] = "x"


def test_a_missing_package_is_named_with_the_extra(mapped, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "latentviz.maps.widget", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(LatentvizError, match=r"pip install 'latentviz\[notebook\]'"):
        lv.widget(mapped)
