"""The decoder in the page agrees with the decoder in Python."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from latentviz.maps import ClusterInfo, DecoderData, Layer, contents, decoder_data
from latentviz.maps.decoder import blend, text_spots
from latentviz.maps.decoding import A_STAND_IN, pack_decoder

pytestmark = pytest.mark.browser


def grey(page, selector):
    """The grey values of a canvas, in [0, 1]."""
    return (
        np.array(
            page.js(
                "(() => { const c = document.querySelector(arg); const d = c.getContext('2d')"
                ".getImageData(0, 0, c.width, c.height).data; "
                "return Array.from(d).filter((_, k) => k % 4 === 0); })()",
                selector,
            )
        )
        / 255
    )


def test_decoder_pane_equals_the_python_decoder(whole, full, network):
    page = whole
    _, decode = network
    for spot in ([0.4, 0.3], [4.5, 4.4], [8.9, 8.2]):
        page.page.mouse.move(*page.spot(*spot))
        page.page.wait_for_timeout(300)
        real = page.js("document.querySelector('.decoder-pane canvas').dataset.spot.split(',').map(Number)")
        expected = decode(blend(full.points, full.decoder.mu, np.array([real])))[0, 0].ravel()
        assert np.abs(grey(whole, ".decoder-pane canvas") - expected).max() < 0.02


def test_decoder_is_greyed_far_from_data(whole):
    page = whole
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


def test_many_weights_are_stored_as_bytes(open_map, make_data, monkeypatch, network, full):
    monkeypatch.setattr("latentviz.maps.decoding.HALF_LIMIT", 10)
    coarse = open_map(full)
    z = full.decoder.mu[5]
    pixels = np.array(coarse.js("Array.from(await map.decoder.decode(Float32Array.from(arg)))", z.tolist()))
    assert np.abs(pixels - network[1](z[None])[0].ravel()).max() < 0.04


def test_large_networks_are_replaced_by_a_pre_decoded_grid(open_map, make_data, monkeypatch, network, smooth):
    monkeypatch.setattr("latentviz.maps.decoder.PAGE_LIMIT", 10)
    net, decode = network
    plain = make_data()
    data = make_data(decoder=decoder_data(net, decode, smooth(plain.points), plain.points, (1, 12, 12)))
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
    spots = text_spots(plain.points)
    assert 200 < len(spots) <= 1500
    written = [
        f"{text} number {k}"
        for k, text in zip(
            range(len(spots)), itertools.cycle(["<b>bold</b>", "שָׁלוֹם", "👩‍👩‍👧 酒醉", "x" * 5000]), strict=False
        )
    ]
    page = open_map(
        make_data(
            images=None,
            texts=[f"text {i}" for i in range(600)],
            decoder=DecoderData(np.zeros((600, 2), np.float32), spots=spots, texts=written),
        )
    )
    page.page.mouse.move(*page.place(33))
    page.page.wait_for_timeout(200)
    at = page.js("[map.state.values.spot.x, map.state.values.spot.y]")
    nearest = int(np.linalg.norm(spots - at, axis=1).argmin())
    shown_text = page.page.text_content(".decoder-pane .snippet")
    assert shown_text == written[nearest] or (shown_text == written[nearest][:399] + "…")
    assert "text 33" in page.page.inner_text("#tip")
    assert "Interpolated" in page.page.inner_text(".decoder-pane .note")
    page.js("map.state.set({spot: {x: 4.5, y: 60}})")
    assert "No data nearby" in page.page.inner_text(".decoder-pane .note")
    page.page.keyboard.press("i")
    page.page.mouse.move(*page.place(4))
    page.page.mouse.down()
    page.page.mouse.move(*page.place(8))
    page.page.mouse.move(*page.place(7))
    page.page.mouse.up()
    page.page.wait_for_selector(".strip-texts li")
    lines = [line.text_content() for line in page.page.query_selector_all(".strip-texts li")]
    ends = [int(np.linalg.norm(spots - plain.points[row], axis=1).argmin()) for row in (4, 7)]
    assert 2 <= len(lines) <= 11
    for line, end in zip((lines[0], lines[-1]), ends, strict=True):
        assert line[:100] == written[end][:100]
    assert page.js("document.querySelectorAll('.strip-texts b, .decoder-pane b').length") == 0
    assert page.errors == []


def test_spots_are_close_to_the_data():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (3000, 2)), rng.normal(30, 1, (3000, 2)), [[np.nan, 0]]])
    spots = text_spots(points.astype(np.float32))
    distance = np.linalg.norm(spots[:, None] - points[None, :6000], axis=2).min(axis=1)
    assert len(spots) <= 1500
    assert distance.max() < 1
    assert len(text_spots(np.full((3, 2), 7.0))) == 1
    assert len(text_spots(np.full((3, 2), np.nan))) == 0


def test_neighbours_come_from_the_latents_on_large_maps(open_map, full, monkeypatch):
    monkeypatch.setattr("latentviz.maps.contents.MANY", 100)
    other = open_map(full)
    near = other.js("map.neighboursOf(map.store.row.indexOf(77)).map((i) => map.store.row[i])")
    distance = np.linalg.norm(full.decoder.mu - full.decoder.mu[77], axis=1)
    assert len(set(near) & set(distance.argsort()[1:9].tolist())) >= 7
    assert 77 not in near


@pytest.fixture(scope="module")
def partial(make_data, network, smooth, open_map):
    """A map above its file's limit, and its data: two items in five have latents."""
    net, decode = network
    plain = make_data(3_000, images=np.zeros((3_000, 1, 12, 12), np.uint8))
    mu = smooth(plain.points)
    near = NearestNeighbors(n_neighbors=7).fit(mu).kneighbors(mu)[1][:, 1:].astype(np.int32)
    data = replace(plain, decoder=decoder_data(net, decode, mu, plain.points, (1, 12, 12)), neighbours=near)
    packed = pack_decoder(data).blocks
    room = len(packed["weights"]) + (len(packed["latents"]) * 2 + 3 * A_STAND_IN * 3_000) // 5
    limit = contents.BASE + contents.A_POINT * 3_000 + contents.SMALL_SHEETS * 4 // 3 + room
    data = replace(data, file_limit=limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("latentviz.maps.contents.MANY", 100)
        page = open_map(data)
    held = np.zeros(3_000, bool)
    held[page.js("Array.from(map.store.row).filter((_, i) => map.decoder.holds(i))")] = True
    yield page, data, held
    assert page.errors == []


def of_held(data, held, spots):
    """Blends the latents of spots where only some items have latents."""
    return blend(data.points[held], data.decoder.mu[held], np.atleast_2d(spots))


def stand_in(data, held, row):
    """The latents used for an item: its own, or those of its nearest neighbour that has some."""
    if held[row]:
        return data.decoder.mu[[row]]
    near = [other for other in data.neighbours[row] if held[other]]
    return data.decoder.mu[near[:1]] if near else of_held(data, held, data.points[row])


def test_a_map_reports_that_only_some_items_have_latents(partial):
    page, _, held = partial
    assert 0.37 * 3_000 < held.sum() < 0.43 * 3_000
    assert page.js("map.decoder.count") == held.sum()
    assert f"Latents of {held.sum():,} of 3,000 items" in page.page.text_content(".header .notes")


def test_spots_are_decoded_from_the_items_that_have_latents(partial, network):
    page, data, held = partial
    page.js("map.state.set({ pinned: -1, decoding: true })")
    for row in (np.flatnonzero(held)[100], np.flatnonzero(~held)[100]):
        page.page.mouse.move(*page.place(int(row)))
        page.page.wait_for_timeout(300)
        real = page.js("document.querySelector('.decoder-pane canvas').dataset.spot.split(',').map(Number)")
        expected = network[1](of_held(data, held, real))[0, 0].ravel()
        assert np.abs(grey(page, ".decoder-pane canvas") - expected).max() < 0.02
        assert page.page.inner_text(".decoder-pane .note") == "Interpolated between items"
    page.js("map.state.set({ spot: { x: 4.5, y: 60 } })")
    page.page.wait_for_timeout(300)
    assert page.page.inner_text(".decoder-pane .note") == "No latents nearby: extrapolated"


def test_an_item_without_a_thumbnail_is_decoded_under_the_pointer(partial, network):
    page, data, held = partial
    row = int(np.flatnonzero(held)[200])
    page.js("(() => { globalThis.had = map.thumbs.has; map.thumbs.has = () => false; })()")
    try:
        page.js("map.state.set({ pinned: -1 })")
        page.page.mouse.move(*page.place(row))
        page.page.wait_for_selector("#tip canvas")
        page.page.wait_for_timeout(200)
        assert page.page.inner_text("#tip figcaption") == "decoded"
        assert np.abs(grey(page, "#tip canvas") - network[1](data.decoder.mu[[row]])[0, 0].ravel()).max() < 0.03
        assert page.js("map.show(0, 26).textContent") == "no thumbnail", "a table of many rows"
        page.js("map.pin(map.store.row.indexOf(arg))", row)
        page.settle()
        tiles = page.page.locator(".item-card .tile")
        assert tiles.locator("figure canvas").count() == tiles.count() > 0
    finally:
        page.js("(() => { map.thumbs.has = globalThis.had; map.state.set({ hovered: -1, pinned: -1 }); })()")


@pytest.mark.parametrize("source", ["", "the most similar item", "its position on the map"])
def test_a_card_reports_when_it_is_approximate(partial, network, source):
    page, data, held = partial
    alike, own = held[data.neighbours].any(axis=1), not source
    row = int(np.flatnonzero(held if own else ~held & (alike == ("item" in source)))[20])
    page.js("map.pin(map.store.row.indexOf(arg))", row)
    page.settle()
    z = stand_in(data, held, row)
    drawn = grey(page, ".item-card figure:last-child canvas")
    assert np.abs(drawn - network[1](z)[0, 0].ravel()).max() < 0.03
    figure = page.page.locator(".item-card figure").last
    assert figure.inner_text().strip() == ("decoded" if own else "approximate")
    shown_text = page.page.inner_text(".item-card .part .note")
    assert shown_text.lower().endswith(f"among {held.sum():,} of 3,000 items; latentviz recommend looks through all")
    assert ("Approximate" in shown_text) is not own
    assert source in shown_text
    near = page.js("map.neighboursOf(map.store.row.indexOf(arg)).map((i) => map.store.row[i])", row)
    distance = np.where(held, np.linalg.norm(data.decoder.mu - z, axis=1), np.inf)
    distance[row] = np.inf
    assert held[near].all()
    assert row not in near
    assert len(set(near)) == 8
    assert distance[near].max() <= np.sort(distance)[7] + 2 * np.sqrt(6) * (1 / 127)
    assert page.page.locator(".item-card .tile").count() == 8


def test_a_path_from_an_item_without_latents(partial, network):
    page, data, held = partial
    page.js("map.state.set({ pinned: -1, decoding: false })")
    page.settle()
    free = np.array(
        page.js("""Array.from(map.store.row).filter((_, i) => {
      const [px, py] = [map.view.toScreenX(map.store.x[i]), map.view.toScreenY(map.store.y[i])];
      return px > 400 && px < 1000 && py > 150 && py < 700 && map.pointAt({ px, py }) === i;
    })""")
    )
    a, b = int(free[~held[free]][0]), int(free[held[free]][-1])
    page.page.keyboard.press("i")
    page.page.mouse.move(*page.place(a))
    page.page.mouse.down()
    page.page.mouse.move(*page.place(b), steps=4)
    page.page.mouse.up()
    page.page.wait_for_selector(".strip[data-done]")
    assert page.page.inner_text(".strip .note") == f"item-{a:04d} (approximate) → item-{b:04d}"
    ends = stand_in(data, held, a), data.decoder.mu[[b]]
    for place, t in ((1, 0.0), (6, 0.5), (11, 1.0)):
        expected = network[1](ends[0] * (1 - t) + ends[1] * t)[0].ravel()
        assert np.abs(grey(page, f".strip canvas:nth-child({place})") - expected).max() < 0.03
    page.js("map.clearLine()")


def test_a_clusters_centre_is_decoded_from_its_items_with_latents(partial, network):
    page, data, held = partial
    page.js("map.openCluster(2)")
    page.settle()
    inside = held & (data.cluster == 2)
    expected = network[1](data.decoder.mu[inside].mean(0)[None])[0, 0].ravel()
    assert np.abs(grey(page, ".cluster-card canvas[data-centre]") - expected).max() < 0.02
    title = page.page.get_attribute(".cluster-card canvas[data-centre]", "title")
    assert f"{inside.sum()} of its {(data.cluster == 2).sum()} items" in title
    page.js("map.openCluster(null)")


def test_cluster_card_shows_the_decoded_centre(whole, full, network):
    page = whole
    page.js("map.openCluster(2)")
    page.settle()
    expected = network[1](full.decoder.mu[full.cluster == 2].mean(0)[None])[0, 0].ravel()
    assert np.abs(grey(whole, ".cluster-card canvas[data-centre]") - expected).max() < 0.02
    card = page.page.inner_text(".cluster-card")
    assert "140" in card
    assert "round" in card
    assert page.page.locator(".cluster-card .tile").count() == 1 + 6


def test_interpolation_strip(whole, full, network):
    page = whole
    page.page.keyboard.press("i")
    a, b = page.place(33), page.place(47)
    page.page.mouse.move(*a)
    page.page.mouse.down()
    page.page.mouse.move(*b, steps=4)
    page.page.mouse.up()
    page.page.wait_for_selector(".strip[data-done]")
    canvases = page.page.locator(".strip canvas")
    assert canvases.count() == 11
    ends = [int(re.search(r"item-(\d+)", part).group(1)) for part in page.page.inner_text(".strip .note").split("→")]
    for place, t in ((1, 0.0), (6, 0.5), (11, 1.0)):
        z = full.decoder.mu[ends[0]] * (1 - t) + full.decoder.mu[ends[1]] * t
        assert np.abs(grey(whole, f".strip canvas:nth-child({place})") - network[1](z[None])[0].ravel()).max() < 0.03


def test_layer_types_are_plain(network):
    net, decode = network
    layers = decoder_data(net, decode, np.zeros((3, 6), np.float32), np.zeros((3, 2)), (1, 12, 12)).layers
    assert [layer.type for layer in layers] == [
        "linear",
        "silu",
        "linear",
        "silu",
        "reshape",
        "conv_transpose2d",
        "affine",
        "silu",
        "conv2d",
        "leaky_relu",
        "conv_transpose2d",
        "reshape",
        "sigmoid",
    ]
    assert all(isinstance(layer, Layer) for layer in layers)


def test_pre_decoded_centres_are_on_the_cards(open_map, make_data):
    pictures = {c: np.full((3, 8, 8), 60 * c, np.uint8) for c in range(4)}
    page = open_map(make_data(cluster_info={c: ClusterInfo(decoded=picture) for c, picture in pictures.items()}))
    page.js("map.openCluster(2)")
    page.settle()
    assert np.abs(grey(page, ".cluster-card canvas[data-centre='2']") * 255 - 120).max() < 4
    assert page.errors == []
