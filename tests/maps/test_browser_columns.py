"""Colours, columns and filters of the map in a real browser, on columns of every kind."""

from datetime import date, timedelta

import numpy as np
import pytest

pytestmark = pytest.mark.browser
N = 600
LINKS = [
    "https://example.org/{}",
    "javascript:window.hit={}",
    "HTTP://a.b/?{}&x",
    "https://a.b/{} c",
    "x https://a.b/{}",
]
TAGS = [["red"], ["red", "small"], [], ["small", "old"]]


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(3)
    return {
        "year": 1990 + np.arange(N) % 30,
        "score": [f"{v:.3f}" for v in rng.normal(0, 1, N)],
        "price": np.exp(rng.normal(2, 1.8, N)),
        "day": [(date(2024, 1, 1) + timedelta(int(i % 300))).isoformat() for i in range(N)],
        "tags": [TAGS[i % 4] for i in range(N)],
        "town": [f"town {min(i % 97, i % 211)}" for i in range(N)],
        "page": [LINKS[i % 5].format(i) for i in range(N)],
        "caption": [f"caption {i}" for i in range(N)],
    }


@pytest.fixture(scope="module")
def page(open_map, make_data, columns):
    page = open_map(make_data(columns=columns))
    page.page.keyboard.press("f")
    page.until("document.querySelectorAll('.column .histogram, .column .checks').length === map.columns.size")
    return page


@pytest.fixture
def clean(page):
    page.js("(map.select(null), map.setFilters(new Map()))")
    page.js("map.state.set({ isolated: new Set(), hidden: new Set() })")
    page.js("map.colourBy('cluster')")
    yield page
    assert page.errors == []


def slide(page, column, name, value):
    page.page.locator(f"[data-column='{column}'] [aria-label^={name}]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )
    page.settle()


def test_every_column_has_a_chart(clean, columns):
    shown = clean.js("[...document.querySelectorAll('.column')].map((e) => e.dataset.column)")
    assert shown == [
        "label",
        *[name for name in columns if name not in ("page", "caption")],
        "probability",
        "outlier score",
    ]
    assert "caption" in clean.page.inner_text(".columns-list > .note")


def test_filters_of_several_columns_hide_what_does_not_pass(clean, columns, data):
    page = clean
    slide(page, "year", "Least", 500)
    assert page.js("map.paint.shown") == np.count_nonzero(columns["year"] >= 2004.5)
    for k in (0, 4):
        page.page.locator("[data-column=label] input").nth(k).uncheck()
    page.settle()
    passing = [y >= 2004.5 and label not in (None, "a") for y, label in zip(columns["year"], data.labels, strict=True)]
    assert page.js("map.paint.shown") == sum(passing)
    assert page.page.inner_text(".shown-count").startswith(f"{sum(passing)} of 600 shown")
    counts = {c: int(np.sum(np.array(passing) & (data.cluster == c))) for c in range(4)}
    listed = {c: page.page.inner_text(f'[data-cluster="{c}"] .size') for c in range(4)}
    assert listed == {c: f"{counts[c]} of 140" for c in range(4)}
    assert counts[0] == 0
    assert "Cluster 0" not in page.js("map.visibleLabels().map((m) => m.text.textContent)")
    assert page.page.inner_text(".clusters h2") == "3 of 4 clusters"
    page.page.locator("[data-column=year] .clear").click()
    page.page.click(".shown-count button")
    page.settle()
    assert page.js("[map.paint.shown, map.state.values.filters.size]") == [600, 0]


@pytest.mark.parametrize(
    ("column", "name", "passes"),
    [
        ("tags", "small", lambda i, _: "small" in TAGS[i % 4]),
        ("tags", "(none)", lambda i, _: not TAGS[i % 4]),
        ("label", "c", lambda _, label: label == "c"),
    ],
)
def test_only_one_value(column, name, passes, clean, data):
    page = clean
    box = page.page.locator(f"[data-column={column}] .check", has_text=name)
    box.hover()
    box.locator(".only").click()
    page.settle()
    assert page.js("map.paint.shown") == sum(passes(i, label) for i, label in enumerate(data.labels))
    page.page.locator(f"[data-column={column}] .check-all >> text=none").click()
    page.settle()
    assert page.js("map.paint.shown") == 0
    page.page.locator(f"[data-column={column}] .check-all >> text=all").click()
    page.settle()
    assert page.js("map.paint.shown") == 600


def test_many_values_are_the_commonest_and_other(clean, columns):
    page = clean
    names, counts = np.unique(columns["town"], return_counts=True)
    rows = page.js("[...document.querySelectorAll('[data-column=town] .check')].map((e) => e.innerText.split('\\n'))")
    assert len(rows) == 21
    assert sorted((int(row[1]) for row in rows[:20]), reverse=True) == sorted(counts, reverse=True)[:20]
    assert rows[20][:2] == [f"other ({len(names) - 20} values)", str(600 - sum(int(row[1]) for row in rows[:20]))]
    page.js("map.colourBy('town')")
    assert page.page.locator(".legend-row").count() == 21


def test_a_range_is_brushed_and_moved_on_the_chart(clean, columns):
    page = clean
    chart = page.page.locator("[data-column=day] .histogram")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()

    def drag(start, end):
        page.page.mouse.move(box["x"] + start * box["width"], box["y"] + 20)
        page.page.mouse.down()
        page.page.mouse.move(box["x"] + end * box["width"], box["y"] + 20, steps=4)
        page.page.mouse.up()
        page.settle()
        return page.js("(({ from, to }) => [from, to])(map.state.values.filters.get('day'))")

    whole = 299 * 86_400
    start = 1_704_067_200
    from_, to = drag(0.26, 0.49)
    assert np.allclose([(from_ - start) / whole, (to - start) / whole], [0.25, 0.5], atol=1e-6)
    days = np.arange(N) % 300
    assert page.js("map.paint.shown") == np.count_nonzero((days >= 0.25 * 299) & (days <= 0.5 * 299))
    moved = drag(0.4, 0.6)
    assert np.allclose(np.subtract(moved, [from_, to]) / whole, 0.2, atol=0.01)
    chart.click(position={"x": 3, "y": 20})
    page.settle()
    assert page.js("map.state.values.filters.size") == 0


def test_a_range_plays(clean):
    page = clean
    page.page.locator("[data-column=day] [title^=Play]").click()
    page.until("map.state.values.filters.has('day')")
    first = page.js("map.state.values.filters.get('day').from")
    page.until(f"map.state.values.filters.get('day').from > {first}")
    page.page.locator("[data-column=day] [title^=Play]").click()
    stopped = page.js("map.state.values.filters.get('day').to")
    page.page.wait_for_timeout(400)
    assert page.js("map.state.values.filters.get('day').to") - stopped < 86_400 * 20


def test_charts_leave_their_own_filter_out_and_follow_the_others(clean, columns):
    page = clean
    page.js("map.setFilters(new Map([['label', { off: [1, 2, 3] }], ['nowhere', { off: [1] }]]))")
    page.page.locator("[data-column=label]").scroll_into_view_if_needed()
    page.settle()
    assert page.js("[...map.state.values.filters.keys()]") == ["label"]
    assert page.page.locator("[data-column=label] .check .size").all_inner_texts() == ["144", "150", "144", "150", "12"]
    tags = page.page.locator("[data-column=tags]")
    tags.scroll_into_view_if_needed()
    page.settle()
    small = page.page.locator("[data-column=tags] .check", has_text="small").locator(".size").inner_text()
    assert small == "150 of 300"  # those of the label d, and of none


def test_dates_and_numbers_kept_as_texts_are_shown_as_such(clean, columns):
    page = clean
    i = page.point_of(33)
    for name, text in (("day", "2024-02-03"), ("year", "1993"), ("tags", "red; small")):
        page.js("map.colourBy(arg)", name)
        page.settle()
        assert page.js("map.state.values.colour.value(arg)", i) == text
    page.js("map.colourBy('day')")
    assert page.page.locator(".legend .ends span").all_inner_texts() == ["2024-01-03", "2024-10-23"]


@pytest.mark.parametrize("row", range(5))
def test_web_addresses_are_links_and_nothing_else_is(row, clean):
    page = clean
    page.js("map.pin(arg)", page.point_of(row))
    page.settle()
    links = page.js("[...document.querySelectorAll('.item-card a')].map((a) => [a.getAttribute('href'), a.rel])")
    assert links == ([[LINKS[row].format(row), "noopener noreferrer"]] if row in (0, 2) else [])
    assert LINKS[row].format(row) in page.page.inner_text(".item-card")
    page.js("map.state.set({ pinned: -1 })")


def test_noise_is_smaller_and_coloured_by_columns(clean):
    page = clean
    shades = """(() => {
      const s = new Set(), n = new Set();
      for (let i = 0; i < map.store.n; i++)
        (i < map.store.noise ? n : s).add([0, 1, 2].map((k) => map.paint.rgba[4 * i + k]).join());
      return [s.size, n.size];
    })()"""
    assert page.js(shades) == [4, 1]
    assert page.js("map.paint.sizeOf(0) < map.paint.sizeOf(map.store.noise)")
    for key, least in (("score", 25), ("label", 4), ("price", 25), ("day", 25), ("outlier score", 25)):
        page.js("map.colourBy(arg)", key)
        coloured, noise = page.js(shades)
        assert coloured >= least
        assert noise >= min(least, 15)


def test_a_skewed_column_has_colours_by_rank(clean, columns):
    page = clean
    shade = "[0, 1, 2].map((k) => map.paint.rgba[4 * arg + k])"
    middle = int(np.argsort(columns["price"])[N // 2])
    page.js("map.colourBy('price')")
    assert page.page.locator(".legend .ends span").count() == 5
    blue = page.js(shade, page.point_of(middle))
    assert blue[1] > 120  # the middle of the scale, green
    page.js("map.colourBy('score')")
    assert page.page.locator(".legend .ends span").count() == 2


@pytest.mark.parametrize("dark", [False, True])
def test_a_swatch_has_the_colour_of_its_points(dark, clean):
    page = clean
    if page.js("map.state.values.dark") != dark:
        page.js("map.switchTheme()")
    point = "`rgb(${[0, 1, 2].map((k) => map.paint.rgba[4 * arg + k]).join(', ')})`"
    swatch = "getComputedStyle(document.querySelector(arg)).backgroundColor"
    for row in (1, 2, 3, 5):
        cluster = page.js("map.store.groups[map.store.group[arg]].id", page.point_of(row))
        assert page.js(point, page.point_of(row)) == page.js(swatch, f'[data-cluster="{cluster}"] .swatch')
    page.js("map.colourBy('label')")
    for row, b in ((4, 1), (1, 2), (2, 3)):
        assert page.js(point, page.point_of(row)) == page.js(swatch, f'.legend-row[data-bin="{b}"] .swatch')
    neutral = {page.js(swatch, f'[data-cluster="{cluster}"] .swatch') for cluster in range(4)}
    assert len(neutral) == 1
