"""What a person finds out: tags, notes, names, merges and splits, kept, undone, saved and opened again."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

FOUND = {
    "run": "blobs",
    "clustering": "default",
    "fingerprint": "0123abcd",
    "names": [(1, "Boots")],
    "merges": [(2, 3)],
    "splits": [(9, [1, 2, 5])],
    "tags": [("odd", [3, 4])],
    "notes": [(3, "look again")],
}
STATE = """[map.state.values.tags, map.state.values.notes, map.state.values.names, map.state.values.merges,
            map.state.values.splits].map((table) => table.size)"""
SIZES = "Object.fromEntries(map.store.groups.filter((g) => g.size).map((g) => [g.id, g.size]))"


@pytest.fixture
def page(open_map: Any, make_data: Any) -> Any:
    opened = open_map(make_data(annotations={key: FOUND[key] for key in ("run", "clustering", "fingerprint")}))
    yield opened
    assert opened.errors == []


def choose(page: Any, rows: range) -> None:
    page.js("map.select(arg.map((row) => map.store.pointOf(row)), '')", [*rows])
    page.settle()


def reload(page: Any) -> None:
    page.page.reload()
    page.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    page.settle()


def test_tags_of_a_selection_and_of_an_item(page: Any) -> None:
    choose(page, range(10))
    page.page.fill(".selection .word", "  odd ")
    page.page.keyboard.press("Enter")
    page.js("map.pin(map.store.pointOf(20))")
    page.settle()
    page.page.fill(".item-card .word", "odd")
    page.page.keyboard.press("Enter")
    page.page.fill(".item-card textarea", "a note")
    page.js("map.state.set({pinned: -1})")
    content = page.js("map.annotations.content()")
    assert content["tags"] == {f"item-{row:04d}": ["odd"] for row in (*range(10), 20)}
    assert content["notes"] == {"item-0020": "a note"}
    page.page.click(".selection .tag button:last-child")  # from the selected items alone
    assert [*page.js("map.annotations.content()")["tags"]] == ["item-0020"]
    page.js("map.select(null)")
    page.page.keyboard.press("a")
    page.page.click(".annotations .tag button:first-child")
    page.settle()
    assert page.js("map.selected.map((i) => map.store.row[i])") == [20]


def test_clusters_are_merged_split_and_taken_apart(page: Any) -> None:
    before = page.js(SIZES)
    page.js("map.openCluster(2)")
    page.settle()
    page.page.select_option(".cluster-card .annotate select", "3")
    page.settle()
    sizes = page.js(SIZES)
    assert "2" not in sizes
    assert sizes["3"] == before["2"] + before["3"]
    listed = page.js("[...document.querySelectorAll('.cluster-list li')].map((e) => Number(e.dataset.cluster))")
    assert {*listed} == {-1, 0, 1, 3}
    choose(page, range(1, 9))
    page.page.click(".selection .annotate >> text=New cluster")
    page.settle()
    assert page.js(SIZES)["4"] == 8
    assert page.js("map.state.values.openCluster") == 4
    row = page.js("map.nameOf(map.store.groups[map.store.group[map.store.pointOf(1)]].id)")
    assert row == page.js("map.nameOf(4)")
    reload(page)
    assert page.js(SIZES)["4"] == 8, "kept in the browser"
    for number in (4, 3):
        page.js("map.openCluster(arg)", number)
        page.settle()
        page.page.click(".cluster-card >> text=Take apart")
    assert page.js(SIZES) == before


def test_what_was_split_off_can_be_merged_and_named(page: Any) -> None:
    choose(page, range(1, 9))
    number = page.js("map.annotations.split(map.selected, 'eight')")
    page.js("(map.annotations.merge([arg], 0), 1)", number)
    page.js("(map.annotations.merge([0], 1), 1)")
    content = page.js("map.annotations.content()")
    assert content["merges"] == {"0": 1}
    assert [*content["splits"]] == ["1"]
    assert len(content["splits"]["1"]) == 8
    assert 0 not in page.js("[...new Set(Array.from({length: map.store.n}, (_, i) => map.store.nearest(i)))]")


def test_undo_and_redo(page: Any) -> None:
    choose(page, range(10))
    page.js("(map.annotations.tag('odd', map.selected), map.annotations.merge([1, 2], 3), 1)")
    page.page.fill(".selection .word", "x")
    page.page.keyboard.press("Control+z")  # of the field
    assert page.js(STATE) == [1, 0, 0, 2, 0]
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Control+z")
    assert page.js(STATE) == [1, 0, 0, 0, 0]
    page.page.keyboard.press("Control+z")
    page.page.keyboard.press("Control+z")
    assert page.js("[map.state.values.tags.size, map.selected.length]") == [0, 0]
    for _ in range(3):
        page.page.keyboard.press("Control+Shift+z")
    assert page.js(STATE) == [1, 0, 0, 2, 0]
    assert page.js("map.selected.length") == 10
    page.page.keyboard.press("Control+y")
    assert page.js(STATE) == [1, 0, 0, 2, 0]


def test_a_shape_adds_and_takes_away(page: Any) -> None:
    page.js("map.select(Array.from({length: map.store.n}, (_, i) => i).filter((i) => map.store.group[i] === 1))")
    first = page.js("map.selected.length")
    for mode, expected in (("add", 600), ("subtract", 0)):
        page.js("(map.view.fit(false), map.state.set({combine: arg, tool: 'lasso'}))", mode)
        page.settle()
        page.js("""(() => {
          const { x0, x1, y0, y1 } = map.store.bounds;
          const corners = [[x0 - 1, y0 - 1], [x1 + 1, y0 - 1], [x1 + 1, y1 + 1], [x0 - 1, y1 + 1]];
          const at = ([x, y]) => ({ px: map.view.toScreenX(x), py: map.view.toScreenY(y) });
          map.tools.lasso.start(at(corners[0]));
          for (const corner of corners.slice(1)) map.tools.lasso.move(at(corner));
          map.tools.lasso.end();
        })()""")
        assert page.js("map.selected.length") == expected, mode
    page.js("map.select(Array.from({length: map.store.n}, (_, i) => i).filter((i) => map.store.group[i] === 1))")
    page.page.click(".selection .annotate >> text=Invert")
    assert page.js("map.selected.length") == 600 - first


def test_the_run_s_annotations_are_shown_and_the_browser_s_go_before(open_map: Any, make_data: Any) -> None:
    page = open_map(make_data(annotations=FOUND))
    assert page.js(STATE) == [1, 1, 1, 1, 1]
    assert page.js(SIZES)["9"] == 3
    assert page.js("map.nameOf(1)") == "Boots"
    page.js("(map.annotations.tag('odd', map.state.values.tags.get('odd'), false), 1)")
    reload(page)
    assert page.js(STATE) == [0, 1, 1, 1, 1]
    assert page.errors == []


def test_the_file_is_saved_and_opened(open_map: Any, make_data: Any, tmp_path: Path) -> None:
    page = open_map(make_data(annotations=FOUND))
    page.page.keyboard.press("a")
    with page.page.expect_download() as saving:
        page.page.click(".annotations >> text=Save")
    assert saving.value.suggested_filename == "annotations.json"
    saving.value.save_as(tmp_path / "annotations.json")
    content = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))
    assert content == {
        "format": "latentviz annotations",
        "version": 1,
        **{key: FOUND[key] for key in ("run", "clustering", "fingerprint")},
        "names": {"1": "Boots"},
        "merges": {"2": 3},
        "splits": {"9": ["item-0001", "item-0002", "item-0005"]},
        "tags": {"item-0003": ["odd"], "item-0004": ["odd"]},
        "notes": {"item-0003": "look again"},
    }
    other = open_map(make_data(annotations={"fingerprint": "0123abcd"}))
    other.page.keyboard.press("a")
    other.page.set_input_files(".annotations input", tmp_path / "annotations.json")
    other.until("map.state.values.tags.size === 1")
    opened = other.js("map.annotations.content()")
    assert opened == {key: value for key, value in content.items() if key not in {"run", "clustering"}}
    wrong = {"none.json": "{}", "bad.json": "{", "fine.json": json.dumps({**content, "fingerprint": "ffff0000"})}
    for name, text in wrong.items():
        (tmp_path / name).write_text(text)
        other.page.set_input_files(".annotations input", tmp_path / name)
        other.page.wait_for_function(
            "(name) => document.querySelector('.annotations [role=alert]').textContent.startsWith(name)", arg=name
        )
        assert other.js(STATE) == [1, 1, 1, 1, 1]
    assert page.errors == other.errors == []


@pytest.mark.parametrize(
    "stored", ["{", "[]", "null", '{"tags": 3, "names": [3, [1]], "splits": [["x", 1]], "notes": [[1e9, "x"]]}']
)
def test_damaged_storage_is_no_obstacle(stored: str, open_map: Any, make_data: Any) -> None:
    key = f"latentviz annotations {FOUND['fingerprint']} "
    script = f"localStorage.setItem({json.dumps(key)}, {json.dumps(stored)})"
    page = open_map(make_data(annotations={"fingerprint": FOUND["fingerprint"]}), script=script)
    assert page.js(STATE) == [0, 0, 0, 0, 0]
    assert page.errors == []


WHERE = """({
  only: [...map.state.values.isolated].join(), names: [...map.state.values.names].flat().join(),
  filters: [...map.state.values.filters.keys()].join(), selected: map.state.values.selection ? map.selected.length : 0,
  colour: map.state.values.colour.key, cluster: map.state.values.openCluster, search: map.state.values.query,
})"""


def is_at(page: Any, expected: dict[str, Any]) -> None:
    """Waits for a state that the address leads to, and for the address."""
    page.until(f"JSON.stringify({WHERE}) === JSON.stringify({json.dumps(expected)})")
    page.page.wait_for_timeout(500)
    assert page.js(WHERE) == expected


def test_back_goes_back_one_step_and_the_address_holds_it_all(page: Any) -> None:
    steps = [
        "map.state.set({isolated: new Set([1])})",
        "map.state.set({names: new Map([[1, 'Boots & co']])})",
        "map.setFilters(new Map([['year', {from: 1995, to: 2010}], ['label', {off: [1]}]]))",
        "map.select([5, 6, 7, 20])",
        "map.colourBy('label')",
        "map.openCluster(2)",
        "(map.openCluster(null), map.search('item-000'))",
    ]
    seen = [page.js(WHERE)]
    for step in steps:
        address = page.js("location.hash")
        page.js(step)
        page.page.wait_for_function("(before) => location.hash !== before", arg=address)
        seen.append(page.js(WHERE))
    assert len({json.dumps(each) for each in seen}) == len(steps) + 1
    assert seen[3]["filters"] == "year,label"
    addresses = [page.js("location.href")]
    for before in reversed(seen[:-1]):
        page.page.go_back()
        is_at(page, before)
        addresses.append(page.js("location.href"))
    for after in seen[1:3]:
        page.page.go_forward()
        is_at(page, after)
    # In another window, without what this browser keeps.
    for address, expected in ((addresses[1], seen[-2]), (addresses[0], seen[-1])):
        page.js("localStorage.clear()")
        page.page.goto("about:blank")
        page.page.goto(address)
        page.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
        is_at(page, expected)


def test_a_dragged_filter_is_one_step_and_a_moved_map_is_none(page: Any) -> None:
    before = page.js("history.length")
    for year in range(1991, 1994):
        page.js("map.setFilters(new Map([['year', {from: arg, to: 2010}]]))", year)
        page.page.wait_for_function("(year) => location.hash.includes(year)", arg=str(year))
    page.js("map.view.zoom(2)")
    page.page.wait_for_timeout(500)
    assert page.js("history.length") == before + 1
