"""Hostile text everywhere: nothing runs, nothing is lost, the text is shown as text."""

import csv
import io
import json

import numpy as np
import pytest

from latentviz.maps import ClusterInfo
from latentviz.runs.cells import original_cell
from tests.maps.conftest import NO_WEBGL

pytestmark = pytest.mark.browser

EVIL = [
    "<img src=x onerror=window.hit=1>",
    "</script><script>window.hit=1</script>",
    "%{x} ${1+1} {{boot}} {plot_id}",
    "javascript:window.hit=1",
    "a\u2028b\u2029c",
    "\u202eabc\u202c mirrored",
    "x" * 10_000,
    '"><svg onload=window.hit=1>',
    "<b>bold</b> &amp; &lt;",
    '=HYPERLINK("http://x")',
    "\x00\x07control\ufffe",
]


@pytest.fixture(scope="module")
def data(make_data):
    n = 220
    cycle = [EVIL[i % len(EVIL)] for i in range(n)]
    plain = make_data(n)
    return make_data(
        n,
        regions=[
            {"level": i % 3, "row": i, "size": 9, "cluster": -1, "keywords": [text]} for i, text in enumerate(EVIL)
        ],
        ids=[f"{text} {i}" for i, text in enumerate(cycle)],
        labels=cycle,
        sources=cycle,
        texts=cycle,
        images=None,
        columns={
            EVIL[0]: cycle,
            EVIL[2]: [f"{text} {i}" for i, text in enumerate(cycle)],
            EVIL[7]: np.arange(n) / 7,
            "tags": [EVIL[i % 3 : i % 11] for i in range(n)],
        },
        cluster_names={c: EVIL[c] for c in range(4)},
        title=EVIL[1] + EVIL[6],
        annotations={
            "run": EVIL[0],
            "clustering": EVIL[1],
            "fingerprint": EVIL[2],
            "names": [(5, EVIL[0])],
            "merges": [],
            "splits": [(5, [5, 6, 7])],
            "tags": [(text[:200], [1, 2, 3]) for text in EVIL],
            "notes": [(row, text[:10_000]) for row, text in enumerate(EVIL)],
        },
        summary=[EVIL[0], *EVIL],
        cluster_info={
            c: ClusterInfo(keywords=EVIL, exemplars=np.flatnonzero(plain.cluster == c)[:4]) for c in range(4)
        },
        tree=[
            {"node": 0, "parent": None, "size": n, "birth": 0.0, "death": 1.0, "cluster": None, "row": 1},
            *(
                {"node": c + 1, "parent": 0, "size": 50, "birth": 1.0, "death": 2.0, "cluster": c, "row": c + 1}
                | ({"keywords": EVIL} if c == 1 else {})
                for c in range(4)
            ),
            {
                "node": 9,
                "parent": 1,
                "size": 20,
                "birth": 2.0,
                "death": 3.0,
                "cluster": None,
                "row": 4,
                "name": EVIL[0],
            },
        ],
    )


@pytest.fixture(scope="module")
def page(open_map, data):
    return open_map(data)


@pytest.fixture(autouse=True)
def nothing_ran(page):
    yield
    assert page.js("window.hit") is None
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    foreign = ", ".join(f"#app {tag}" for tag in ("img", "script", "svg[onload]", "b b", "a", "iframe"))
    assert page.js("document.querySelectorAll(arg).length", foreign) == 0


def test_title_summary_and_labels(page):
    assert page.js("document.title").startswith(EVIL[1])
    header = page.page.inner_text(".header")
    assert EVIL[1] in header
    assert EVIL[0] in header
    labels = page.js("map.visibleLabels().map((m) => m.text.textContent)")
    assert any(text.startswith("<img src=x") for text in labels)
    assert max(len(text) for text in labels) <= 34


def test_hover_and_card(page, data):
    for row in range(1, 1 + len(EVIL)):
        page.page.mouse.move(3, 450)
        i = page.point_of(row)
        page.js("map.state.set({hovered: -1, pinned: -1})")
        page.js("(map.view.set(map.store.x[arg], map.store.y[arg], map.view.home * 3000), 1)", i)
        page.page.wait_for_timeout(120)
        px, py = page.place(row)
        page.page.mouse.move(px, py)
        page.page.wait_for_selector("#tip:not([hidden])")
        tip = page.page.inner_text("#tip")
        assert len(tip) < 1200
        text = EVIL[row % len(EVIL)]
        page.page.mouse.click(px, py)
        page.page.wait_for_selector(".item-card:not([hidden])")
        shown = page.js("document.querySelector('.item-card .text').textContent")
        assert shown == text.replace("\x00", "\x00")
        box = page.js(
            "(() => { const b = document.querySelector('.item-card').getBoundingClientRect(); "
            "return [b.width, b.bottom]; })()"
        )
        assert box[0] <= 301
        assert box[1] <= 900
    page.js("map.state.set({pinned: -1})")
    page.js("map.view.fit(false)")


def test_cluster_list_card_and_rename(page):
    names = page.js("[...document.querySelectorAll('.cluster-list .name')].map((e) => e.textContent)")
    assert EVIL[0] in names
    page.js("map.openCluster(0)")
    page.settle()
    assert EVIL[7] in page.page.inner_text(".cluster-card .chips")
    page.page.fill(".cluster-card .rename", EVIL[7])
    page.page.keyboard.press("Enter")
    page.settle()
    assert EVIL[7] in page.js("[...document.querySelectorAll('.cluster-list .name')].map((e) => e.textContent)")
    page.js("map.state.set({names: new Map()})")
    page.js("map.openCluster(null)")


def test_search_table_and_exports(page, data):
    page.js("map.search(arg)", EVIL[0])
    page.settle()
    assert page.page.locator(".results .result").count() == 40
    page.page.click("text=show as table")
    page.settle()
    assert EVIL[0] in page.page.inner_text(".selection table")
    records = page.js("JSON.stringify(map.records())")
    tags = data.columns["tags"]
    hits = [i for i in range(220) if i % len(EVIL) == 0 or data.cluster[i] == 0 or EVIL[0] in tags[i]]
    assert [record["id"] for record in json.loads(records)] == [data.ids[i] for i in hits]
    svg = page.js("map.exports.svg()")
    assert "<img" not in svg
    assert "&lt;img" in svg
    assert page.js("map.exports.png().then((b) => b.size)") > 10_000
    page.js("map.search('')")


def test_the_table_sorts_and_marks(page, data):
    page.js("(map.select([...map.store.row.keys()]), 1)")
    page.settle()
    heads = page.page.locator(".selection th button")
    assert {EVIL[k][:20] for k in (0, 2, 7)} <= {name[:20] for name in heads.all_text_contents()}
    for k in range(heads.count()):
        heads.nth(k).click()
        assert page.page.locator(".selection th[aria-sort='ascending']").count() == 1
        assert page.page.locator(".selection tr[data-point]").count() > 5
    for text in (EVIL[0], EVIL[7], EVIL[8], EVIL[5]):
        page.js("map.search(arg)", text)
        page.page.click("text=show as table")
        page.settle()
        marked = page.js("[...document.querySelectorAll('.selection mark')].map((m) => m.textContent)")
        assert {*marked} <= {*text.lower().split(), *text.split()}
        assert len(marked) > 5
    page.js("map.search('')")


def test_the_items_shown(page):
    page.page.keyboard.press("s")
    page.settle()
    assert page.page.locator(".standing tr[data-point]").count() > 5
    assert EVIL[0] in page.page.inner_text(".standing table")
    page.page.keyboard.press("s")


def test_figures_and_names_hold_labels_as_text(page):
    for text in EVIL[2:]:  # the cluster's own name is not repeated
        page.js("(map.cluster(1).label = [arg, 0.9], map.state.set({ names: new Map() }), 1)", text)
        under = page.js("[...document.querySelectorAll('.label .under')].map((u) => u.textContent).join('')")
        assert text[:20] in under
    page.js("dispatchEvent(new Event('beforeprint'))")
    assert page.page.locator(".printed").count() == 1
    page.js("dispatchEvent(new Event('afterprint'))")
    page.js("(delete map.cluster(1).label, map.state.set({ names: new Map() }), 1)")


def test_colour_filter_and_tree(page):
    for name in (EVIL[0], EVIL[7], "label"):
        page.js("map.colourBy(arg)", name)
        page.settle()
    assert EVIL[0] in page.js("[...document.querySelectorAll('.legend-row .name')].map((e) => e.textContent)")
    page.page.click(".filter .fold")
    page.until("document.querySelectorAll('.column .histogram, .column .checks').length === map.columns.size")
    shown = page.js("document.querySelector('.columns-list').textContent")
    assert all(text.replace("x" * 10_000, "x" * 50) in shown for text in EVIL)
    for column in (EVIL[0], "tags", "label"):
        page.page.locator(f".column:has(h3[title={json.dumps(column)}]) .only").first.dispatch_event("click")
        page.settle()
        assert 0 < page.js("map.paint.shown") < 220
        page.js("map.setFilters(new Map())")
    page.js(
        "map.setFilters(new Map([[arg, { off: ['<b>'], from: '1', to: NaN }], ['__proto__', {}], ['x', null]]))",
        EVIL[7],
    )
    assert page.js("map.state.values.filters.size") == 0
    page.page.click(".filter .fold")
    page.page.keyboard.press("t")
    page.settle()
    page.js("[...document.querySelectorAll('.tree [aria-expanded=false] .fold-mark')].forEach((e) => e.click())")
    rows = page.js("[...document.querySelectorAll('.tree-row')].map((e) => [e.title, e.innerText])")
    assert len(rows) == 5
    assert any(EVIL[2] in title for title, _ in rows)  # among the keywords
    assert sum(EVIL[0] in text for _, text in rows) == 2
    page.page.locator(".tree-row").first.click()
    page.js("map.state.set({isolated: new Set()})")


def test_tags_notes_and_edited_clusters(page, data):
    page.js("map.state.set({names: new Map([[5, arg]])})", EVIL[0])
    page.page.keyboard.press("a")
    listed = page.js("[...document.querySelectorAll('.annotations .tag .name')].map((e) => e.textContent)")
    assert {EVIL[0], EVIL[7]} <= {*listed}
    assert len(listed) == len(EVIL)
    assert EVIL[0] in page.js("[...document.querySelectorAll('.annotations .result')].map((e) => e.textContent)")
    page.js("map.select(Array.from({length: 9}, (_, row) => map.store.pointOf(row)))")
    assert EVIL[0] in page.js("[...document.querySelectorAll('.selection .tag .name')].map((e) => e.textContent)")
    for number in range(len(EVIL)):
        page.js("map.pin(map.store.pointOf(arg))", number)
        assert page.js("document.querySelector('.item-card textarea').value") == EVIL[number]
    page.js("map.openCluster(5)")
    assert EVIL[0] in page.js("document.querySelector('.cluster-card .rename').value")
    page.page.fill(".selection .word", EVIL[7])
    page.page.keyboard.press("Enter")
    content = page.js("map.annotations.content()")
    assert content["run"] == EVIL[0]
    assert EVIL[7] in content["tags"][data.ids[8]]
    page.js("(map.openCluster(null), map.select(null), map.state.set({annotating: false, names: new Map()}), 1)")


def test_plotly_shows_names_unchanged(open_map, data):
    bare = open_map(data, script=NO_WEBGL)
    names = bare.js("document.getElementById('plot').data.map((t) => t.name)")
    assert "&lt;img src=x onerror=window.hit=1&gt;" in names
    assert bare.js("window.hit") is None
    assert bare.errors == []


def test_the_hash_is_data_too(page):
    page.js(
        "(location.hash = '#at=%3Cimg%20src=x%20onerror=hit=1%3E&only=__proto__,1e9&colour=constructor&search=' + "
        "encodeURIComponent(arg) + '&item=-5&cluster=x', 1)",
        EVIL[7],
    )
    page.page.wait_for_timeout(600)
    assert page.js("[...map.state.values.isolated]") == []
    damaged = [
        "{",
        "[[1]]",
        '[["year", null], [3, {}]]',
        '[[0, 5], ["__proto__", "x"]]',
        "-1,9",
        "zzzzzz.zzzzzz,0.zzzzzz",
    ]
    for text in [*damaged, EVIL[0]]:
        page.js("(location.hash = new URLSearchParams({ filter: arg, names: arg, selected: arg }), 1)", text)
        page.page.wait_for_timeout(400)
        assert page.js("[map.state.values.filters.size, map.state.values.names.size]") == [0, 0]
    page.js("(location.hash = '', map.select(null), 1)")


def test_no_cell_of_the_csv_is_a_formula(page, data):
    page.js("map.select(Array.from(map.store.group, (_, i) => i))")
    page.page.wait_for_selector(".selection:not([hidden])")
    with page.page.expect_download() as waiting:
        page.page.click(".selection >> text=CSV")
    content = waiting.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert len(rows) == 220
    assert not [cell for row in rows for cell in row.values() if cell[:1] in set("=+@")]
    assert all(float(cell) < 0 for row in rows for cell in row.values() if cell[:1] == "-")
    assert any(float(row["x"]) < 0 for row in rows), "numbers stay"
    assert {original_cell(row["id"]) for row in rows} == set(data.ids)
