"""Every layer of the map driven in a real browser, on data small enough to know what must come out."""

import csv
import io
import json
import re

import numpy as np
import pytest

from latentviz.maps import DecoderData, Layer, decoder_data
from latentviz.maps.decoder import blend

pytestmark = pytest.mark.browser

D = 6


def latents(points, seed=0):
    """Returns μ (n, d) that vary smoothly over the map."""
    rng = np.random.default_rng(seed)
    return np.tanh(points @ rng.normal(0, 0.2, (2, D)) + rng.normal(0, 0.05, (len(points), D))).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """A decoder like the image nets': linear, SiLU, reshape, transposed convolutions to 12×12, all of odd shapes."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(D, 20), nn.SiLU(), nn.Linear(20, 8 * 9), nn.SiLU(), nn.Unflatten(1, (8, 3, 3)),
        nn.ConvTranspose2d(8, 6, (4, 4), stride=2, padding=1), nn.BatchNorm2d(6), nn.SiLU(),
        nn.Conv2d(6, 5, 3, padding=1), nn.LeakyReLU(0.1), nn.ConvTranspose2d(5, 1, 4, stride=2, padding=1)).eval()
    net[6].running_mean.uniform_(-0.2, 0.2)
    net[6].running_var.uniform_(0.5, 2)
    for parameter in net.parameters():
        parameter.data *= 1.8

    def decode(z):
        with torch.no_grad():
            return net(torch.as_tensor(z)).sigmoid().numpy()

    return net, decode


@pytest.fixture(scope="module")
def full(make_data, network):
    plain = make_data()
    net, decode = network
    mu = latents(plain.points)
    return make_data(decoder=decoder_data(net, decode, mu, plain.points, (1, 12, 12)), tree=[
        {"node": 0, "parent": None, "size": 600, "birth": 0.0, "death": 1.0, "cluster": None, "row": 1},
        *({"node": c + 1, "parent": 0, "size": 140, "birth": 1.0, "death": 2.0 + c, "cluster": c, "row": c + 1}
          for c in range(4)),
        {"node": 5, "parent": 1, "size": 70, "birth": 2.0, "death": 3.0, "cluster": None, "row": 4, "name": "a part"}])


@pytest.fixture(scope="module")
def page(open_map, full):
    return open_map(full)


@pytest.fixture(autouse=True)
def reset(request):
    """Each test starts from the whole map with nothing open."""
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.js("""(async () => {
          document.activeElement.blur();
          map.openCluster(null);
          map.state.set({ pinned: -1, isolated: new Set(), hidden: new Set(), tool: "pan", images: true,
                          masks: new Map(), decoding: true });
          map.clearLine();
          await map.search("");
          map.select(null);
          await map.colourBy("cluster");
          map.view.fit(false);
        })()""")
        page.settle()
        yield
        assert page.errors == []
    else:
        yield


def grey(page, selector):
    """Returns the grey values of a canvas, in [0, 1]."""
    return np.array(page.js("(() => { const c = document.querySelector(arg); const d = c.getContext('2d')"
                            ".getImageData(0, 0, c.width, c.height).data; "
                            "return Array.from(d).filter((_, k) => k % 4 === 0); })()", selector)) / 255


def test_decoder_pane_equals_the_python_decoder(page, full, network):
    _, decode = network
    for spot in ([0.4, 0.3], [4.5, 4.4], [8.9, 8.2]):
        px, py = page.js("[map.view.toScreenX(arg[0]), map.view.toScreenY(arg[1])]", spot)
        page.page.mouse.move(px, py)
        page.page.wait_for_timeout(300)
        real = page.js("document.querySelector('.decoder-pane canvas').dataset.spot.split(',').map(Number)")
        expected = decode(blend(full.points, full.decoder.mu, np.array([real])))[0, 0].ravel()
        assert np.abs(grey(page, ".decoder-pane canvas") - expected).max() < 0.02


def test_decoder_is_greyed_far_from_data(page):
    page.js("map.view.set(map.view.x, map.view.y, map.view.home * 0.4)")
    page.settle()
    page.page.mouse.move(700, 820 - 60)
    page.page.wait_for_timeout(300)
    assert "far" in page.page.get_attribute(".decoder-pane", "class")
    page.js("map.view.fit(false)")
    page.settle()
    page.page.mouse.move(*page.place(33))
    page.page.wait_for_timeout(300)
    assert "far" not in page.page.get_attribute(".decoder-pane", "class")


def test_many_weights_travel_as_bytes(open_map, make_data, monkeypatch, network, full):
    monkeypatch.setattr("latentviz.maps.decoding.HALF_LIMIT", 10)
    coarse = open_map(full)
    z = full.decoder.mu[5]
    pixels = np.array(coarse.js("Array.from(await map.decoder.decode(Float32Array.from(arg)))", z.tolist()))
    assert np.abs(pixels - network[1](z[None])[0].ravel()).max() < 0.04


def test_a_pre_decoded_grid_stands_in_for_networks_the_page_cannot_run(open_map, make_data, monkeypatch, network):
    monkeypatch.setattr("latentviz.maps.export.PAGE_LIMIT", 10)
    net, decode = network
    plain = make_data()
    data = make_data(decoder=decoder_data(net, decode, latents(plain.points), plain.points, (1, 12, 12)))
    assert data.decoder.layers == ()
    assert data.decoder.grid.shape == (40, 40, 1, 12, 12)
    page = open_map(data)
    page.page.mouse.move(*page.place(33))
    page.page.wait_for_timeout(300)
    x, y = page.js("[map.state.values.spot.x, map.state.values.spot.y]")
    low, high = plain.points.min(0), plain.points.max(0)
    column, line = int((x - low[0]) / (high - low)[0] * 40), int((high[1] - y) / (high - low)[1] * 40)
    expected = data.decoder.grid[line, column, 0] / 255
    assert np.abs(grey(page, ".decoder-pane canvas").reshape(12, 12) - expected).mean() < 0.05
    assert page.errors == []


def test_decoded_texts(open_map, make_data):
    plain = make_data()
    texts = [f"line {k // 10}, {k % 10} <b>bold</b>" for k in range(100)]
    page = open_map(make_data(images=None, texts=[f"text {i}" for i in range(600)],
                              decoder=DecoderData(latents(plain.points), grid_texts=texts)))
    page.page.mouse.move(*page.place(33))
    page.page.wait_for_timeout(200)
    assert re.match(r"line \d, \d <b>bold</b>", page.page.inner_text(".decoder-pane .snippet"))
    assert "text 33" in page.page.inner_text("#tip")


def test_click_pins_a_card_and_neighbours_lead_on(page, full):
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


def test_neighbours_come_from_the_latents_where_there_are_many(open_map, full, monkeypatch):
    monkeypatch.setattr("latentviz.maps.contents.MANY", 100)
    other = open_map(full)
    near = other.js("map.neighboursOf(map.store.row.indexOf(77)).map((i) => map.store.row[i])")
    distance = np.linalg.norm(full.decoder.mu - full.decoder.mu[77], axis=1)
    assert len(set(near) & set(distance.argsort()[1:9].tolist())) >= 7
    assert 77 not in near


def test_cluster_card_shows_the_decoded_centre(page, full, network):
    page.js("map.openCluster(2)")
    page.settle()
    expected = network[1](full.decoder.mu[full.cluster == 2].mean(0)[None])[0, 0].ravel()
    assert np.abs(grey(page, ".cluster-card canvas[data-centre]") - expected).max() < 0.02
    card = page.page.inner_text(".cluster-card")
    assert "140" in card
    assert "round" in card
    assert page.page.locator(".cluster-card .tile").count() == 1 + 6


def test_rename_is_kept_and_exported(page):
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


def test_hide_and_sort(page):
    page.page.hover('[data-cluster="3"]')
    page.page.click('[data-cluster="3"] .eye')
    page.settle()
    assert page.js("map.paint.shown") == 460
    page.page.select_option(".clusters select", "persistence")
    page.page.click('.clusters .link')
    page.settle()
    assert page.js("map.paint.shown") == 600


def test_interpolation_strip(page, full, network):
    page.page.keyboard.press("i")
    a, b = page.place(33), page.place(47)
    page.page.mouse.move(*a)
    page.page.mouse.down()
    page.page.mouse.move(*b, steps=4)
    page.page.mouse.up()
    page.page.wait_for_selector(".strip[data-done]")
    page.page.wait_for_timeout(500)
    canvases = page.page.locator(".strip canvas")
    assert canvases.count() == 11
    ends = [int(re.search(r"item-(\d+)", part).group(1)) for part in page.page.inner_text(".strip .note").split("→")]
    for place, t in ((1, 0.0), (6, 0.5), (11, 1.0)):
        z = full.decoder.mu[ends[0]] * (1 - t) + full.decoder.mu[ends[1]] * t
        assert np.abs(grey(page, f".strip canvas:nth-child({place})") - network[1](z[None])[0].ravel()).max() < 0.03


def test_search_finds_and_highlights(page):
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


def test_lasso_exports_exactly_the_selected_ids(page, full):
    page.js("map.view.set(map.view.x, map.view.y, map.view.home * 0.6)")  # clear of the panels
    page.settle()
    page.page.keyboard.press("l")
    corners = [(-1.5, -1.5), (4, -1.5), (4, 4), (-1.5, 4)]
    for k, (x, y) in enumerate([*corners, corners[0]]):
        px, py = page.js("[map.view.toScreenX(arg[0]), map.view.toScreenY(arg[1])]", [x, y])
        page.page.mouse.move(px, py, steps=3)
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


def test_box_with_shift(page):
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


def test_filters_hide_what_does_not_pass(page, full):
    page.page.select_option("[aria-label='Add a filter']", "year")
    page.page.wait_for_selector("[data-filter=year]")
    page.page.evaluate("() => { const r = document.querySelector('[data-filter=year] [aria-label^=Least]'); "
                       "r.value = 500; r.dispatchEvent(new Event('input')); }")
    page.settle()
    years = np.asarray(full.columns["year"])
    assert page.js("map.paint.shown") == np.count_nonzero(years >= years.min() + 0.5 * np.ptp(years))
    page.page.select_option("[aria-label='Add a filter']", "label")
    page.page.wait_for_selector("[data-filter=label]")
    page.page.locator("[data-filter=label] input").nth(0).uncheck()
    page.settle()
    passing = [y >= 1990 + 14.5 and label != "a" for y, label in zip(years, full.labels, strict=True)]
    assert page.js("map.paint.shown") == sum(passing)
    for name in ("year", "label"):
        page.page.click(f"[data-filter={name}] button")
    page.settle()
    assert page.js("map.paint.shown") == 600


def test_colour_by_number_and_category_leaves_noise_grey(page, full):
    for key in ("log_likelihood", "label", "outlier score"):
        page.page.select_option("#colour-by", key)
        page.settle()
        colours = page.js("(() => { const s = new Set(), n = new Set(); for (let i = 0; i < map.store.n; i++) "
                          "(i < map.store.noise ? n : s).add([0, 1, 2].map((k) => map.paint.rgba[4 * i + k]).join()); "
                          "return [s.size, n.size]; })()")
        assert colours[1] == 1
        assert colours[0] > (4 if key == "label" else 50)
    assert page.page.locator(".colour .ends").is_visible()
    page.page.select_option("#colour-by", "label")
    page.settle()
    page.page.click(".legend-row >> nth=0")
    page.settle()
    assert page.js("map.selected.length") == full.labels.count("b") == 150


def test_tree_isolates_the_branch(page):
    page.page.keyboard.press("t")
    page.page.wait_for_selector(".tree:not([hidden])")
    assert page.page.locator(".tree rect").count() == 6
    page.page.locator(".tree rect[aria-label*='Cluster 2']").first.click(force=True)
    page.settle()
    page.page.locator(".tree rect[aria-label^='140 items: Cluster 2']").click()
    page.settle()
    assert page.js("[...map.state.values.isolated]") == [2]
    page.page.keyboard.press("t")


def test_finer_labels_appear_as_one_zooms_in(page):
    def shown():
        return page.js("map.visibleLabels().map((m) => m.text.textContent)")

    assert "a part" not in shown()
    page.js("map.view.set(map.store.x[arg], map.store.y[arg], map.view.home * 9)", page.point_of(4))
    page.settle()
    assert "a part" in shown()


def test_labels_never_overlap(page):
    for zoom in (0.5, 1, 3):
        page.js(f"map.view.set(map.view.x, map.view.y, map.view.home * {zoom})")
        page.settle()
        boxes = page.js("map.visibleLabels().map((m) => { const b = m.box.getBoundingClientRect(); "
                        "return [b.left, b.top, b.right, b.bottom]; })")
        for i, a in enumerate(boxes):
            for b in boxes[i + 1:]:
                assert a[0] >= b[2] or a[2] <= b[0] or a[1] >= b[3] or a[3] <= b[1]


def test_pictures_on_the_map_when_there_is_room(page):
    page.js("map.view.set(map.store.x[300], map.store.y[300], map.view.home * 8)")
    page.settle()
    count = """(() => {
      map.redraw();
      const c = document.getElementById("overlay");
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      return data.filter((v, i) => i % 4 === 3 && v > 0).length;
    })()"""
    with_pictures = page.js(count)
    page.js("map.state.set({ images: false })")
    assert with_pictures > page.js(count) + 5000
    page.page.keyboard.press("p")
    assert page.js("map.state.values.images") is True


def test_view_survives_in_the_address(page, open_map, full):
    page.js("(async () => { map.view.set(3, 4, map.view.home * 2.5); map.isolate(1); await map.colourBy('year'); })()")
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


def test_keys(page):
    before = page.js("[map.view.x, map.view.y]")
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowUp")
    page.settle()
    after = page.js("[map.view.x, map.view.y]")
    assert after[0] > before[0]
    assert after[1] > before[1]
    page.page.keyboard.press("+")
    page.page.wait_for_timeout(500)
    assert page.js("map.view.scale / map.view.home") > 1.4
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


def test_png_and_svg_export(page):
    size = page.js("createImageBitmap(await map.exports.png()).then((b) => [b.width, b.height])")
    assert size == [2800, 1800]
    svg = page.js("map.exports.svg()")
    assert svg.count("<circle") == 600
    assert ">Cluster 1</text>" in svg
    assert ">Four blobs</text>" in svg


def test_on_a_phone(open_map, full):
    phone = open_map(full, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
                     device_scale_factor=2)
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


def test_named_for_screen_readers(page):
    unnamed = page.js("[...document.querySelectorAll('button, select, input')].filter((b) => b.offsetParent && "
                      "!(b.getAttribute('aria-label') || b.textContent.trim() || b.title || b.labels?.length)).length")
    assert unnamed == 0
    assert "600 items" in page.page.get_attribute("#surface", "aria-label")
    page.page.click('[data-cluster="0"] .main')
    assert "Cluster 0" in page.page.inner_text("#live")
    assert page.page.get_attribute('[data-cluster="0"] .main', "aria-pressed") == "true"


def test_layer_types_are_plain(network):
    net, decode = network
    layers = decoder_data(net, decode, np.zeros((3, D), np.float32), np.zeros((3, 2)), (1, 12, 12)).layers
    assert [layer.type for layer in layers] == [
        "linear", "silu", "linear", "silu", "reshape", "conv_transpose2d", "affine", "silu", "conv2d", "leaky_relu",
        "conv_transpose2d", "reshape", "sigmoid"]
    assert all(isinstance(layer, Layer) for layer in layers)
