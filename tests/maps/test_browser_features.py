"""Every layer of the map in a real browser, on small data with known results."""

import csv
import io
import json

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def test_click_pins_a_card_and_neighbours_open_theirs(whole, full):
    page = whole
    page.page.mouse.click(*page.place(77))
    page.page.wait_for_selector(".item-card:not([hidden])")
    card = page.page.inner_text(".item-card")
    assert "item-0077" in card
    assert "caption number 77" in card
    assert "folder/77.png" in card
    shown = page.js("[...document.querySelectorAll('.item-card .tile')].map((b) => map.store.row[b.dataset.point])")
    assert shown == full.neighbours[77].tolist()
    page.page.locator(".item-card .tile").nth(2).click()
    page.settle()
    assert f"item-{full.neighbours[77, 2]:04d}" in page.page.inner_text(".item-card header")
    page.page.keyboard.press("Escape")
    assert page.page.locator(".item-card").is_hidden()


def test_rename_is_kept_and_exported(whole):
    page = whole
    page.js("map.openCluster(1)")
    page.page.fill(".cluster-card .rename", "Boots")
    page.page.keyboard.press("Enter")
    page.settle()
    assert "Boots" in page.page.inner_text(".cluster-list")
    assert "Boots" in page.js("map.visibleLabels().map((m) => m.text.textContent)")
    assert page.js("map.exports.names()")["1"] == "Boots"
    page.page.reload()
    page.page.wait_for_selector("html[data-ready]", state="attached")
    assert page.js("map.nameOf(1)") == "Boots"
    page.js("map.state.set({names: new Map()})")


def test_names_given_on_an_earlier_map_stay_with_the_numbers(open_map, make_data):
    kept = "localStorage.setItem('latentviz names Before 500', '[[1, \"Boots\"], [77, \"Gone\"]]')"
    page = open_map(make_data(earlier=[("Never opened", 550), ("Before", 500)]), script=kept)
    assert page.js("[map.nameOf(0), map.nameOf(1)]") == ["Cluster 0", "Boots"]
    assert "77" not in page.js("map.exports.names()")
    assert page.errors == []


def test_hide_and_sort(whole):
    page = whole
    page.page.hover('[data-cluster="3"]')
    page.page.click('[data-cluster="3"] .eye')
    page.settle()
    assert page.js("map.paint.shown") == 460
    page.page.select_option(".clusters select", "persistence")
    page.page.click(".clusters .link")
    page.settle()
    assert page.js("map.paint.shown") == 600


def test_search_finds_and_highlights(whole):
    page = whole
    page.page.keyboard.press("/")
    page.page.keyboard.type("caption 123")
    page.page.wait_for_selector(".results .result")
    assert page.page.inner_text(".header .note").startswith("1 found")
    assert page.js("map.paint.shown") == 1
    page.page.keyboard.press("Enter")
    page.settle()
    assert "item-0123" in page.page.inner_text(".item-card header")
    page.js("map.search('b cluster')")
    page.settle()
    assert page.page.locator(".results .result").count() == 40


def test_lasso_exports_exactly_the_selected_ids(whole, full):
    page = whole
    page.page.keyboard.press("l")
    corners = [(-1.5, -1.5), (4, -1.5), (4, 4), (-1.5, 4)]
    for k, (x, y) in enumerate([*corners, corners[0]]):
        page.page.mouse.move(*page.spot(x, y), steps=3)
        if k == 0:
            page.page.mouse.down()
    page.page.mouse.up()
    page.page.wait_for_selector(".selection:not([hidden])")
    inside = np.flatnonzero((full.points > [-1.5, -1.5]).all(1) & (full.points < [4, 4]).all(1))
    assert f"{len(inside)} selected" in page.page.inner_text(".selection h2")
    with page.page.expect_download() as waiting:
        page.page.click(".selection >> text=CSV")
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    assert [row["id"] for row in rows] == [f"item-{i:04d}" for i in inside]
    assert [int(row["cluster"]) for row in rows] == full.cluster[inside].tolist()
    assert [row["caption"] for row in rows] == [f"caption number {i}" for i in inside]
    assert [int(row["year"]) for row in rows] == [full.columns["year"][i] for i in inside]
    with page.page.expect_download() as waiting:
        page.page.click(".selection >> text=JSON")
    assert [row["id"] for row in json.loads(waiting.value.path().read_text())] == [row["id"] for row in rows]


def test_box_with_shift(whole):
    page = whole
    page.page.keyboard.down("Shift")
    page.page.mouse.move(340, 60)
    page.page.mouse.down()
    page.page.mouse.move(1100, 800, steps=3)
    page.page.mouse.up()
    page.page.keyboard.up("Shift")
    page.settle()
    assert page.js("map.selected.length") == page.js("map.state.values.selection.reduce((a, b) => a + b)") > 300
    page.page.keyboard.press("Escape")
    assert page.js("map.state.values.selection") is None


def test_tree_isolates_the_branch(whole):
    page = whole
    page.page.keyboard.press("t")
    page.page.wait_for_selector(".tree:not([hidden])")
    assert page.js("[...document.querySelectorAll('.tree-row .size')].map((e) => e.textContent)") == ["140"] * 4
    row = page.page.locator(".tree-row", has_text="Cluster 2")
    row.click()
    page.settle()
    assert page.js("[...map.state.values.isolated]") == [2]
    assert row.get_attribute("aria-selected") == "true"
    assert page.js("map.view.scale > map.view.home * 1.5")
    row.click()
    page.settle()
    assert page.js("map.state.values.isolated.size") == 0
    page.page.keyboard.press("t")


def test_the_tree_is_walked_by_keys_and_follows_names(whole):
    page = whole
    page.page.keyboard.press("t")
    names = "[...document.querySelectorAll('.tree-row')].filter((e) => e.checkVisibility()).map((e) => e.innerText)"
    focused = "document.activeElement.querySelector('.name').textContent"
    assert page.js("document.querySelectorAll('.tree-row[tabindex=\"0\"]').length") == 1
    page.page.locator(".tree-row[tabindex='0']").focus()
    page.page.keyboard.press("End")
    assert page.js(focused) == "Cluster 0"
    page.page.keyboard.press("ArrowRight")
    assert len(page.js(names)) == 5
    page.page.keyboard.press("ArrowDown")
    assert page.js(focused) == "a part"
    before = page.js("map.view.scale")
    page.page.keyboard.press("Enter")
    page.settle()
    assert page.js("map.view.scale") > 3 * before
    page.page.keyboard.press("ArrowUp")
    page.page.keyboard.press("ArrowLeft")
    assert len(page.js(names)) == 4
    page.page.keyboard.press("Enter")
    page.settle()
    assert page.js("[...map.state.values.isolated]") == [0]
    page.js("map.state.set({names: new Map([[0, 'Boots']]), merges: new Map([[1, 3]])})")
    assert "Boots" in page.page.inner_text(".tree")
    page.page.locator(".tree-row", has_text="Cluster 3").first.click()
    page.settle()
    assert page.js("[...map.state.values.isolated]") == [3]
    page.js("map.state.set({names: new Map(), merges: new Map(), isolated: new Set()})")
    page.page.keyboard.press("t")


def test_contours_are_where_the_points_are(whole, full):
    page = whole
    assert page.js("map.contourLines()") == []
    page.page.keyboard.press("c")
    ends = [np.reshape(line, (-1, 2)) for line in page.js("map.contourLines().map((line) => line.ends)")]
    assert len(ends) > 4
    centres = np.array([[0, 0], [8, 1], [2, 9], [9, 8]])
    innermost = np.linalg.norm(ends[-1][:, None] - centres, axis=2).min(axis=1)
    assert innermost.max() < 0.7  # the spread of a group
    assert np.linalg.norm(ends[0][:, None] - centres, axis=2).min(axis=1).max() > 1
    with_lines = page.js("map.exports.svg()")
    assert with_lines.count("<path") == len(ends)
    page.js("map.state.set({isolated: new Set([2])})")
    page.settle()
    alone = np.concatenate(
        [np.reshape(line, (-1, 2)) for line in page.js("map.contourLines().map((line) => line.ends)")]
    )
    assert np.linalg.norm(alone - centres[2], axis=1).max() < 4
    page.js("map.state.set({isolated: new Set()})")
    page.page.keyboard.press("c")
    assert "<path" not in page.js("map.exports.svg()")


def test_contours_are_on_at_first_on_a_landscape(open_map, make_data):
    page = open_map(make_data(landscape=True, cluster=np.full(600, -1, np.int32)))
    assert page.js("map.contourLines().length") > 4
    assert page.page.get_attribute("button[title^='Contours']", "aria-pressed") == "true"
    drawn = "map.exports.png().then((blob) => blob.size)"
    with_lines = page.js(drawn)
    page.page.keyboard.press("c")
    assert page.js(drawn) != with_lines
    assert page.errors == []


def test_finer_labels_appear_on_zooming_in(whole):
    page = whole

    def shown():
        return page.js("map.visibleLabels().map((m) => m.text.textContent)")

    assert "a part" not in shown()
    page.js("map.view.set(map.store.x[arg], map.store.y[arg], map.view.home * 9)", page.point_of(4))
    page.until("map.visibleLabels().some((m) => m.text.textContent === 'a part')")


def test_labels_never_overlap(whole):
    page = whole
    for zoom in (0.5, 1, 3):
        page.js(f"map.view.set(map.view.x, map.view.y, map.view.home * {zoom})")
        page.settle()
        boxes = page.js(
            "map.visibleLabels().map((m) => { const b = m.box.getBoundingClientRect(); "
            "return [b.left, b.top, b.right, b.bottom]; })"
        )
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert a[0] >= b[2] or a[2] <= b[0] or a[1] >= b[3] or a[3] <= b[1]


def test_images_on_the_map_when_there_is_room(whole):
    page = whole
    page.js("map.view.set(map.store.x[300], map.store.y[300], map.view.home * 8)")
    painted = """(() => {
      map.redraw();
      const c = document.getElementById("overlay");
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      return data.filter((v, i) => i % 4 === 3 && v > 0).length;
    })()"""
    page.until(f"{painted} > 5000")  # sheets appear once they are decoded
    with_pictures = page.js(painted)
    page.js("map.state.set({ images: false })")
    page.until(f"{with_pictures} > {painted} + 5000")  # the overlay follows a frame later
    page.page.keyboard.press("p")
    assert page.js("map.state.values.images") is True


def test_view_survives_in_the_address(whole, open_map, full):
    page = whole
    page.js("map.state.set({ isolated: new Set([1]) })")
    page.js("map.view.set(3, 4, map.view.home * 2.5)")
    page.js("map.colourBy('year')")
    page.page.wait_for_timeout(900)
    hash_ = page.js("location.hash")
    page.page.goto("about:blank")
    page.page.go_back()
    page.page.wait_for_selector("html[data-ready]", state="attached")
    page.settle()
    assert page.js("[...map.state.values.isolated]") == [1]
    assert page.js("map.state.values.colour.key") == "year"
    assert np.allclose(page.js("[map.view.x, map.view.y, map.view.scale / map.view.home]"), [3, 4, 2.5], atol=0.05)
    assert "only=1" in hash_


def test_keys(whole):
    page = whole
    before = page.js("[map.view.x, map.view.y]")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowUp")
    page.settle()
    after = page.js("[map.view.x, map.view.y]")
    assert after[0] > before[0]
    assert after[1] > before[1]
    page.page.keyboard.press("+")
    page.until("map.view.scale / map.view.home > 1.4")
    page.page.keyboard.press("?")
    assert page.page.locator("dialog.help").is_visible()
    page.page.keyboard.press("Escape")
    page.page.focus("#surface")
    page.page.keyboard.press("Enter")
    assert page.page.locator(".item-card").is_visible()


def test_dark_and_light(open_map, data, page):
    dark = open_map(data, color_scheme="dark")
    assert dark.js("map.state.values.dark") is True
    assert dark.js("getComputedStyle(document.body).backgroundColor") == "rgb(14, 16, 20)"
    dark.page.click("[title='Light or dark']")
    dark.settle()
    assert dark.js("document.documentElement.dataset.theme") == "light"
    fixed = open_map(data, map_arguments={"options": {"theme": "dark", "colour_by": "label"}})
    assert fixed.js("[map.state.values.dark, map.state.values.colour.key]") == [True, "label"]


def test_png_and_svg_export(whole):
    page = whole
    size = page.js("createImageBitmap(await map.exports.png()).then((b) => [b.width, b.height])")
    assert size == page.js("[2 * (map.view.width + 230), 2 * (map.view.height + 64)]")  # with legend and title
    svg = page.js("map.exports.svg()")
    assert svg.count("<circle") == 600
    assert svg.count(">Cluster 1</text>") == 2, "on the map and in the legend"
    assert "600 items, 4 clusters" in svg
    page.js("map.colourBy('label')")
    assert ">label</text>" in page.js("map.exports.svg()")
    page.js("dispatchEvent(new Event('beforeprint'))")
    assert page.js("[document.querySelector('.printed').width, document.querySelector('.printed').height]") == size
    page.js("dispatchEvent(new Event('afterprint'))")
    assert page.page.locator(".printed").count() == 0
    assert ">Four blobs</text>" in svg


def test_on_a_phone(open_map, full):
    phone = open_map(
        full, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    assert phone.errors == []
    assert phone.js("document.documentElement.scrollWidth") == 390
    phone.page.touchscreen.tap(*phone.place(33))
    phone.page.wait_for_selector(".item-card:not([hidden])")
    assert phone.page.locator("#tip").is_hidden()
    phone.page.keyboard.press("Escape")
    phone.page.tap("[title='Clusters, colours, filters']")
    phone.page.tap('[data-cluster="1"] .main')
    phone.settle()
    assert phone.js("[...map.state.values.isolated]") == [1]


def test_accessible_names(whole):
    page = whole
    unnamed = page.js(
        "[...document.querySelectorAll('button, select, input')].filter((b) => b.offsetParent && "
        "!(b.getAttribute('aria-label') || b.textContent.trim() || b.title || b.labels?.length)).length"
    )
    assert unnamed == 0
    assert "600 items" in page.page.get_attribute("#surface", "aria-label")
    page.page.click('[data-cluster="0"] .main')
    assert "Cluster 0" in page.page.inner_text("#live")
    assert page.page.get_attribute('[data-cluster="0"] .main', "aria-pressed") == "true"
