"""The standing table and contact sheet of the items that are shown, in a real browser."""

import pytest

pytestmark = pytest.mark.browser

TITLE = "document.querySelector('.standing h2').textContent"
ITEMS = "[...document.querySelectorAll('.standing [data-point]')].filter((e) => e.getClientRects().length)"
ROWS = f"{ITEMS}.map((e) => map.store.row[e.dataset.point])"


@pytest.fixture
def sheet(whole):
    whole.page.keyboard.press("s")
    whole.settle()
    yield whole
    whole.js("map.state.set({ pinned: -1 })")
    whole.js("document.activeElement.blur()")
    whole.page.keyboard.press("s")
    assert whole.page.locator(".standing").is_hidden()


def test_it_shows_what_is_shown(sheet, full):
    page = sheet
    assert page.js(TITLE) == "600 shown"
    assert page.js(ROWS)[:3] == [0, 1, 2]
    assert page.page.locator(".standing .tile canvas[data-drawn]").count() > 20
    assert page.page.locator(".standing .tile").count() < 450
    page.js("(map.isolate(2), map.openCluster(null), 1)")
    page.settle()
    mine = [row for row in range(600) if full.cluster[row] == 2]
    assert page.js(TITLE) == f"{len(mine)} shown"
    assert page.js(ROWS) == mine[: len(page.js(ROWS))]
    page.page.click(".standing >> text=Select these")
    page.settle()
    assert page.js("map.selected.map((i) => map.store.row[i])") == mine
    assert page.page.locator(".standing").is_hidden(), "the selection's table takes its place"
    page.js("(map.select(null), 1)")
    assert page.page.locator(".standing").is_visible()


@pytest.mark.parametrize("form", ["pictures", "table"])
def test_it_is_linked_both_ways(sheet, form):
    page = sheet
    page.page.click(f".standing .action:text-is('{form}')")
    page.settle()
    assert page.page.get_attribute(f".standing .action:text-is('{form}')", "aria-pressed") == "true"
    page.js("map.pin(map.store.pointOf(431), false)")
    page.settle()
    assert page.js("map.store.row[document.querySelector(`.standing [aria-current='true']`).dataset.point]") == 431
    inside = """(() => {
      const [item, frame] = [document.querySelector(".standing [aria-current='true']"), document.querySelector(arg)];
      const [a, b] = [item.getBoundingClientRect(), frame.getBoundingClientRect()];
      return a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
    })()"""
    assert page.js(inside, ".standing .scroll:not([hidden])")
    page.js(f"{ITEMS}.find((e) => e.tabIndex === 0).focus()")
    page.page.keyboard.press("Home")
    page.page.keyboard.press("ArrowDown")
    across = page.js("document.querySelector('.sheet').style.gridTemplateColumns.match(/repeat\\((\\d+)/)[1]")
    expected = int(across) if form == "pictures" else 1
    assert page.js("map.store.row[map.state.values.hovered]") == expected
    page.page.keyboard.press("Enter")
    page.settle()
    assert page.js("map.store.row[map.state.values.pinned]") == expected
    assert page.js(f"{ITEMS}.filter((e) => e.tabIndex === 0).length") == 1
    page.page.keyboard.press("End")
    assert page.js("map.store.row[map.state.values.hovered]") == 599


def test_a_map_without_pictures_has_the_table(open_map, make_data):
    page = open_map(make_data(images=None))
    page.page.keyboard.press("s")
    page.settle()
    assert page.page.locator(".standing table").is_visible()
    assert page.page.locator(".standing .action").count() == 1
    page.js("map.pin(50, false)")
    near = page.page.locator(".item-card .rows .tile").first
    assert near.get_attribute("aria-label") is None, "the text is the name"
    assert near.inner_text().startswith("item-")
    assert page.errors == []
