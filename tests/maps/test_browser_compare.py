"""The page with two maps side by side: linked item by item, in one file without the network, hostile text as text."""

import numpy as np
import pytest

from latentviz.maps.compare import write_comparison
from latentviz.maps.palette import NOISE
from tests.maps.conftest import Page
from tests.maps.test_browser_hostile import EVIL

pytestmark = pytest.mark.browser

MOVERS = 20  # items of cluster 0 of A that are in cluster 7 of B; clusters 1 to 3 are called 4 to 6 there
MATCHED = {0: 3, 1: 4, 2: 5, 3: 6}
TWIN = "((k, row) => { const s = latentviz.maps[k].store; return s.pointOf(row); })"


@pytest.fixture(scope="module")
def sides(make_data):
    a = make_data(title="A: one", cluster_names={1: EVIL[0]})
    cluster = np.where(a.cluster < 0, -1, a.cluster + 3)
    movers = np.flatnonzero(a.cluster == 0)[:MOVERS]
    cluster[movers] = 7
    names = {3: EVIL[1], 7: EVIL[7]}
    columns = {
        "cluster in A": [f"a{c} {EVIL[0]}" for c in a.cluster],
        "cluster in B": [f"b{c} {EVIL[8]}" for c in cluster],
        "moved": ["moves" if row in set(movers.tolist()) else "stays" for row in range(len(a))],
    }
    shades = {"moved": {"moves": "#d6406b", "stays": NOISE}}
    ids = [f"{EVIL[row % len(EVIL)]} {row}" for row in range(len(a))]
    changes = {"ids": ids, "columns": columns, "column_colours": shades}
    left = make_data(title="A: one", cluster_names={1: EVIL[0]}, **changes)
    right = make_data(
        title=f"B: {EVIL[1]}", cluster=cluster, points=-a.points, cluster_names=names, neighbours=None, **changes
    )
    return left, right, movers.tolist()


@pytest.fixture(scope="module")
def page(chromium, sides, tmp_path_factory):
    path = tmp_path_factory.mktemp("compared") / "compare.html"
    write_comparison(path, *sides[:2], figures=[("ARI", "0.912"), (EVIL[0], EVIL[1])], matched=MATCHED)
    assert path.stat().st_size < 600_000, "the code of the map is there once, and without Plotly"
    opened = Opened(chromium, path)
    yield opened
    opened.context.close()


class Opened(Page):
    """The page of a comparison."""

    def settle(self) -> None:
        self.page.wait_for_timeout(300)

    def js(self, code, argument=None):
        return self.page.evaluate(f"async (arg) => {{ const [a, b] = latentviz.maps; return {code}; }}", argument)

    def chosen(self, side: int) -> list[int]:
        """The selected rows of a side."""
        rows = "[...map.store.row].filter((_, i) => map.state.values.selection?.[i])"
        return sorted(self.js(f"((map) => {rows})(latentviz.maps[arg])", side))


@pytest.fixture(autouse=True)
def nothing_ran(page):
    yield
    frames = "[window, ...[...document.querySelectorAll('iframe')].map((f) => f.contentWindow)]"
    assert page.js(f"{frames}.map((w) => w.hit ?? null)") == [None] * 3
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:", "about:"))] == []
    assert page.js("document.querySelectorAll('#comparison :is(img, script, svg[onload], a)').length") == 0


def test_both_maps_show_the_same_items(page, sides):
    assert page.js("[a.store.n, b.store.n]") == [len(sides[0])] * 2
    assert page.js("[...document.querySelectorAll('iframe')].map((f) => f.title)") == [s.title for s in sides[:2]]
    assert page.page.inner_text(".figures dd") == "0.912"
    assert EVIL[1] in page.page.inner_text(".figures")
    policy = page.page.get_attribute("meta[http-equiv]", "content")
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_hover_and_card_show_the_twin_on_the_other_map(page, sides):
    row = sides[2][0]
    page.js(f"a.state.set({{ hovered: {TWIN}(0, arg) }})", row)
    note = page.page.inner_text(".selected")
    assert sides[0].ids[row][:20] in note
    assert EVIL[7] in note, "its cluster in B"
    page.js("a.state.set({ hovered: -1 })")
    page.js("b.view.place(b.store.x[0] + 500, b.store.y[0], b.view.scale)")
    page.js(f"a.state.set({{ pinned: {TWIN}(0, arg) }})", row)
    x = f"b.view.toScreenX(b.store.x[{TWIN}(1, {row})])"
    page.page.wait_for_function(f"() => {{ const b = latentviz.maps[1]; return {x} > 0 && {x} < b.view.width; }}")
    page.js("a.state.set({ pinned: -1 })")
    page.js("b.view.fit(false)")


def test_selections_and_isolated_clusters_are_linked_both_ways(page, sides):
    for k in (0, 1):
        rows = [3, 50, 77]
        page.js(f"latentviz.maps[arg[0]].select(arg[1].map((row) => {TWIN}(arg[0], row)))", [k, rows])
        assert page.chosen(1 - k) == rows
        page.js("latentviz.maps[arg].select(null)", k)
        assert page.chosen(1 - k) == []
    page.js("b.state.set({ isolated: new Set([7]) })")
    assert page.chosen(0) == sides[2]
    page.js("b.state.set({ isolated: new Set() })")
    assert page.chosen(0) == []


def test_what_moved_and_the_flows_select_on_both_maps(page, sides):
    button = page.page.get_by_role("button", name="Show what moved")
    button.click()
    assert page.chosen(0) == page.chosen(1) == sides[2]
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.chosen(1) == []
    cells = page.js("[...document.querySelectorAll('.flows td button')].map((e) => e.textContent)")
    sizes = np.bincount(sides[0].cluster + 1)
    assert sorted(map(int, cells)) == sorted([*sizes[[0, 2, 3, 4]].tolist(), sizes[1] - MOVERS, MOVERS])
    assert page.page.locator(".flows td.same").count() == 5  # four clusters and noise
    page.page.locator(".flows td:not(.same) button").click()
    assert page.chosen(0) == page.chosen(1) == sides[2]
    assert button.get_attribute("aria-pressed") == "false"
    page.js("a.select(null)")


@pytest.mark.parametrize("key", ["moved", "cluster in A", "cluster in B", "label", "cluster"])
def test_both_maps_are_coloured_alike(page, key):
    page.page.select_option(".controls select", key)
    page.page.wait_for_function("(key) => latentviz.maps.every((map) => map.state.values.colour.key === key)", arg=key)
    if key == "moved":
        shades = page.js("latentviz.maps.map(({ state }) => [...state.values.colour.table].slice(1))")
        assert shades[0] == shades[1]
        assert shades[0][0] & 0xFFFFFF == 0x6B40D6  # blue, green, red


def test_the_theme_is_that_of_both(page):
    before = page.js("a.state.values.dark")
    page.js("b.switchTheme()")
    assert page.js("[a.state.values.dark, b.state.values.dark]") == [not before] * 2
    assert page.js("document.documentElement.dataset.theme") == ("light" if before else "dark")
    page.js("a.switchTheme()")


@pytest.mark.parametrize(("width", "height", "least"), [(1400, 900, 550), (800, 600, 180), (390, 844, 180)])
def test_everything_is_inside_the_window(page, width, height, least):
    page.page.set_viewport_size({"width": width, "height": height})
    page.settle()
    box = "(e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }"
    parts = page.js(f"[...document.querySelectorAll('.compared, iframe, .flows summary')].map({box})")
    for left, top, right, bottom in parts:
        assert min(left, top) >= 0
        assert right <= width + 1
        assert bottom <= height + 1
    assert min(bottom - top for _, top, _, bottom in parts[1:3]) > least
