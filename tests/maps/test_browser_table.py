"""The table of a selection, names on the map, and what marks the words that a search found, in a real browser."""

import numpy as np
import pytest

pytestmark = pytest.mark.browser

ROWS = "[...document.querySelectorAll('.selection tr[data-point]')].map((r) => map.store.row[r.dataset.point])"
# The numbers of the rows that are wholly in view below the head of the table.
SEEN = """(() => {
  const frame = document.querySelector(".selection .scroll");
  const { bottom } = frame.getBoundingClientRect();
  const { bottom: top } = frame.querySelector("th").getBoundingClientRect();
  return [...frame.querySelectorAll("tr[data-point]")].filter((row) => {
    const box = row.getBoundingClientRect();
    return box.top >= top - 1 && box.bottom <= bottom + 1;
  }).map((row) => Number(row.getAttribute("aria-rowindex")) - 2);
})()"""
STOPS = """((selector) => [...document.querySelectorAll(selector)].filter((one) => one.tabIndex === 0).length)(arg)"""


@pytest.fixture
def table(whole):
    whole.js("(map.select(Array.from(map.store.row, (_, i) => i), 'all'), 1)")
    whole.settle()
    return whole


def cluster_name(data, row):
    return f"Cluster {data.cluster[row]}" if data.cluster[row] >= 0 else "Noise"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("year", lambda data, row: data.columns["year"][row]),
        ("caption", lambda data, row: row),  # by the number in it, not by its digits
        ("cluster", cluster_name),
        ("label", lambda data, row: data.labels[row]),
    ],
)
def test_a_head_sorts_up_down_and_not_at_all(table, full, column, value):
    head = table.page.locator(".selection th", has=table.page.locator(f"button:text-is('{column}')"))
    known = [row for row in range(600) if value(full, row) is not None]
    missing = [row for row in range(600) if value(full, row) is None]
    for order in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        expected = sorted(known, key=lambda row: value(full, row), reverse=order == "descending")
        found = table.js(ROWS)
        assert found == expected[: len(found)], "items of one value stay in their order"
        table.page.locator(".selection tr[tabindex='0']").focus()
        table.page.keyboard.press("End")
        found = table.js(ROWS)
        assert found == [*expected, *missing][-len(found) :], "missing values are last in both"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert table.js(ROWS)[:3] == [0, 1, 2]


@pytest.mark.parametrize("n", [600, 300_000])
def test_all_rows_are_in_the_table_and_few_in_the_page(whole, n):
    page = whole
    page.js("(map.select(Array.from({ length: arg }, (_, k) => map.store.pointOf(k % 600))), 1)", n)
    page.settle()
    assert page.page.get_attribute(".selection table", "aria-rowcount") == str(n + 1)
    assert page.page.locator(".selection tr[data-point]").count() < 60
    assert page.js("document.querySelector('.selection tr[data-point]').offsetHeight") == 32
    number = "Number(document.activeElement.getAttribute('aria-rowindex')) - 2"
    page.page.locator(".selection tr[tabindex='0']").focus()
    for key, row in [("End", n - 1), ("ArrowUp", n - 2), ("Home", 0), ("ArrowDown", 1), ("ArrowDown", 2)]:
        page.page.keyboard.press(key)
        page.settle()
        assert page.js(number) == row
        assert row in page.js(SEEN)
    for _ in range(12):
        page.page.keyboard.press("PageDown")
        assert page.js(number) in page.js(SEEN)
    page.js("(document.querySelector('.selection .scroll').scrollTop = 1e9, 1)")
    page.settle()
    assert n - 1 in page.js(SEEN)


def test_cells_and_links_between_table_and_map(table, full):
    page = table
    align = "[...document.querySelectorAll('.selection th')].map((h) => [h.textContent, getComputedStyle(h).textAlign])"
    aligned = dict(page.js(align))
    assert {name: aligned[name] for name in ("year", "probability", "id")} == {
        "year": "end",
        "probability": "end",
        "id": "start",
    }
    assert page.page.locator(".selection td canvas[data-drawn]").count() > 5
    page.page.locator(".selection tr[data-point]").nth(2).hover()
    assert page.js("map.store.row[map.state.values.hovered]") == 2
    page.page.locator(".selection tr[tabindex='0']").focus()
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("Enter")
    page.settle()
    assert page.js("map.store.row[map.state.values.pinned]") == 1
    assert page.page.locator(".selection tr[aria-current='true']").count() == 1
    widths = "[...document.querySelectorAll('.selection th')].map((h) => h.offsetWidth)"
    before = page.js(widths)
    page.page.keyboard.press("End")
    assert page.js(widths) == before


def test_what_a_search_found_is_marked(whole):
    page = whole
    page.js("map.search('123 CAPTION')")
    page.page.click("text=show as table")
    page.settle()
    assert {*page.js("[...document.querySelectorAll('.selection mark')].map((m) => m.textContent)")} == {
        "caption",
        "123",
    }
    page.js("map.search('item-00')")
    page.settle()
    assert {*page.js("[...document.querySelectorAll('.results mark')].map((m) => m.textContent)")} == {"item-00"}


@pytest.mark.parametrize(
    ("selector", "open_it"),
    [
        (".cluster-list button", "0"),
        (".toolbar button", "0"),
        (".results button", "map.search('item')"),
        (".selection tr[data-point]", "map.select([...map.store.row.keys()])"),
    ],
    ids=["clusters", "toolbar", "results", "table"],
)
def test_a_list_is_one_tab_stop(whole, selector, open_it):
    page = whole
    page.js(f"(async () => {{ await {open_it}; }})()")
    page.settle()
    assert page.page.locator(selector).count() > 4
    assert page.js(STOPS, selector) == 1
    focused = f"[...document.querySelectorAll({selector!r})].indexOf(document.activeElement)"
    page.js("[...document.querySelectorAll(arg)].find((one) => one.tabIndex === 0).focus()", selector)
    before = page.js(focused)
    page.page.keyboard.press("ArrowDown")
    assert page.js(focused) > before >= 0
    assert page.js(STOPS, selector) == 1
    page.page.keyboard.press("End")
    page.page.keyboard.press("Home")
    assert page.js(focused) == 0


def test_names_of_images_have_a_picture_and_what_most_items_are(whole):
    page = whole
    marks = page.js("map.visibleLabels().map((m) => [m.text.textContent, m.under.textContent, Boolean(m.at.picture)])")
    assert {(name, words.split(",")[0]) for name, words, _ in marks} == {
        (f"Cluster {c}", f"mostly {'abcd'[c]}") for c in range(4)
    }
    assert all(pictured for *_, pictured in marks)
    assert page.page.locator(".label.shown canvas[data-drawn]").count() == 4
    assert page.page.locator(".cluster-list li:not(.noise) canvas").count() == 4
    page.js("map.state.set({ names: new Map([[1, 'All of b']]) })")
    assert page.js("map.visibleLabels().find((m) => m.cluster.id === 1).under.textContent") == ""
    page.js("map.state.set({ names: new Map() })")


@pytest.mark.parametrize(("share", "over"), [(0.1, False), (1.6, True)], ids=["small", "large"])
def test_names_are_beside_small_clusters_and_over_large_ones(open_map, make_data, data, share, over):
    centres = np.array([data.points[data.cluster == c].mean(0) for c in range(4)])[data.cluster]
    points = np.where(data.cluster[:, None] < 0, data.points, centres + share * (data.points - centres))
    page = open_map(make_data(points=points.astype(np.float32), images=None))
    covered = page.js("""map.visibleLabels().map(({ at, cluster }) => [...map.store.row.keys()].filter((i) => {
      const [px, py] = [map.view.toScreenX(map.store.x[i]), map.view.toScreenY(map.store.y[i])];
      return map.store.groups[map.store.group[i]].id === cluster.id &&
        px > at.left && py > at.top && px < at.left + at.width && py < at.top + at.height;
    }).length)""")
    assert [count > 8 for count in covered] == 4 * [over]
    assert page.errors == []


def test_a_print_is_the_figure_alone(whole):
    page = whole
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.page.emulate_media(media="print")
    shown = page.js("[...document.body.children].filter((e) => e.getClientRects().length).map((e) => e.className)")
    assert shown == ["printed"]
    page.page.emulate_media(media="screen")
    page.js("dispatchEvent(new Event('afterprint'))")
    assert page.page.locator("#app").is_visible()
