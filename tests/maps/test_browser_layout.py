"""Nothing covers the map: panels are docked next to it, and the map moves into the free area."""

import pytest

pytestmark = pytest.mark.browser

SIZES = [(1400, 900), (1024, 768), (800, 600), (844, 390), (390, 844)]
STATES = {
    "home": "0",
    "lists": "document.documentElement.classList.add('show-panels')",
    "card": "map.pin(50, false)",
    "cluster": "map.isolate(1), map.openCluster(1)",
    "table": "map.select([...map.store.group].flatMap((g, i) => g === 2 ? [i] : []))",
    "card and table": "map.select([50, 51, 52]), map.pin(50, false)",
    "search": "map.search('item')",
    "results and table": "map.search('item').then(() => map.showSelection())",
    "items shown": "map.keys.find(({ key }) => key === 's').run()",
}
# The visible panels that reach into the map's area, and the parts of the toolbar outside of the window.
COVERED = """(() => {
  const box = (element) => element.getBoundingClientRect();
  const inner = box(map.stage);
  const shown = [...document.querySelectorAll(".panel, .results")].filter((each) => each.getClientRects().length);
  const over = shown.map((each) => [each.className, box(each)]).filter(([, b]) => b.left < inner.right - 1 &&
    b.right > inner.left + 1 && b.top < inner.bottom - 1 && b.bottom > inner.top + 1).map(([name]) => name);
  const buttons = [...map.toolbar.querySelectorAll("button")].filter((b) => b.getClientRects().length);
  const away = buttons.filter((each) => {
    const b = box(each);
    return b.left < 0 || b.right > innerWidth || b.bottom > innerHeight || b.width < 24;
  }).map((each) => each.title);
  const rows = new Set(buttons.map((b) => box(b).top)).size;
  const scrolls = document.documentElement.scrollWidth > innerWidth;
  return { over, away, rows, area: [inner.width, inner.height], scrolls };
})()"""


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def sized(request, open_map, full):
    width, height = request.param
    return open_map(full, viewport={"width": width, "height": height})


@pytest.mark.parametrize("state", STATES)
def test_nothing_covers_the_map(sized, state):
    page = sized
    page.js(f"(({STATES[state]}), 1)")
    page.settle()
    found = page.js(COVERED)
    assert found["over"] == []
    assert found["away"] == []
    assert found["rows"] <= 2
    assert not found["scrolls"]
    assert min(found["area"]) >= 150
    if state in ("card", "table", "cluster"):  # what the panel is about is in the free area
        members = "map.state.values.selection[i]"
        mine = {"card": "i === 50", "table": members, "cluster": "map.store.group[i] === 2"}[state]
        outside = page.js(f"""Array.from(map.store.x, (_, i) => i).filter((i) => ({mine})).filter((i) => {{
          const [px, py] = [map.view.toScreenX(map.store.x[i]), map.view.toScreenY(map.store.y[i])];
          return px < 0 || py < 0 || px > map.view.width || py > map.view.height;
        }}).length""")
        assert outside == 0
    if state == "results and table":
        both = "['.results', '.selection'].map((s) => document.querySelector(s).getClientRects().length)"
        small = page.js("matchMedia('(max-width: 999px), (max-height: 499px)').matches")
        assert page.js(both) == [0 if small else 1, 1]
    page.js("""(async () => {
      document.documentElement.classList.remove("show-panels");
      if (document.querySelector(".standing:not([hidden])")) map.keys.find(({ key }) => key === "s").run();
      map.state.set({ pinned: -1, isolated: new Set() });
      map.openCluster(null);
      await map.search("");
      map.select(null);
      map.view.fit(false);
    })()""")
    page.settle()
    assert page.errors == []


def test_the_map_comes_back_when_a_panel_closes(sized):
    page = sized
    place = "[map.view.x, map.view.y, map.view.scale, map.view.width, map.view.height]"
    before = page.js(place)
    page.js("(map.select([50, 51, 52]), 1)")
    page.settle()
    assert page.js(place)[3:] != before[3:]
    page.js("(map.select(null), 1)")
    page.settle()
    assert page.js(place) == pytest.approx(before)


@pytest.mark.parametrize(
    "state", ["0", "map.pin(50, false)", "map.state.set({ tree: true })"], ids=["home", "card", "tree"]
)
def test_the_key_of_the_columns_brings_them_into_sight(sized, state):
    page = sized
    charts = "[...document.querySelectorAll('.column canvas')].filter((c) => c.getClientRects().length).length"
    page.js(f"(({state}), 1)")
    page.settle()
    page.page.locator("#surface").focus()
    page.page.keyboard.press("f")
    page.until(f"{charts} > 0")
    # On a phone the lists scroll in their dock, so that it is the dock that must not reach into the map.
    left, stage = page.js("[map.left, map.stage].map((e) => e.getBoundingClientRect().toJSON())")
    assert left["right"] <= stage["left"] + 1 or left["bottom"] <= stage["top"] + 1
    page.page.keyboard.press("f")
    page.until(f"{charts} === 0")
    page.js("(map.openLists(false), map.state.set({ pinned: -1, tree: false }), map.view.fit(false), 1)")
    assert page.errors == []
