"""The map in a real browser: it opens offline, hovers, isolates, zooms."""

import numpy as np
import pytest

from tests.maps.conftest import NO_WEBGL

pytestmark = pytest.mark.browser

# Reads the pixels of the tooltip's thumbnail at the size of the source image.
PIXELS = """(() => {
  const source = document.querySelector("#tip canvas");
  const small = document.createElement("canvas");
  [small.width, small.height] = [12, 12];
  const pen = small.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(source, 0, 0, 12, 12);
  return Array.from(pen.getImageData(0, 0, 12, 12).data).filter((_, k) => k % 4 === 0);
})()"""


@pytest.fixture(scope="module")
def page(open_map, data):
    return open_map(data)


def test_opens_without_network_or_errors(page):
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert page.page.title() == "Four blobs"


def test_the_policy_blocks_the_network(open_map, data):
    other = open_map(data)
    blocked = other.js('fetch("https://example.org/x").then(() => "sent", () => "blocked")')
    assert blocked == "blocked"
    assert [url for url in other.requests if url.startswith("http")] == []


def test_hover_shows_the_right_thumbnail_and_fields(page, data):
    for row in (7, 123, 555):
        page.hover(row)
        text = page.page.inner_text("#tip")
        assert f"item-{row:04d}" in text
        assert data.name(int(data.cluster[row])) in text
        assert f"{data.probability[row]:.2f}" in text
        shown = np.array(page.js(PIXELS)).reshape(12, 12)
        assert np.array_equal(shown, data.images[row, 0]), row
    page.page.mouse.move(700, 2)


def test_a_click_in_the_list_isolates_and_a_second_restores(page):
    page.page.click('[data-cluster="2"] .main')
    page.settle()
    assert page.js("[...map.state.values.isolated]") == [2]
    assert page.js("map.paint.shown") == 140
    assert page.page.locator(".label.shown").count() == 1
    page.page.click('[data-cluster="2"] .main')
    page.settle()
    assert page.js("map.paint.shown") == 600


def test_wheel_zooms_around_the_pointer_and_drag_pans(page):
    x, y = page.place(30)
    page.page.mouse.move(x, y)
    before = page.js("map.view.scale")
    page.page.mouse.wheel(0, -400)
    page.settle()
    assert page.js("map.view.scale") > 1.5 * before
    assert np.allclose(page.place(30), (x, y), atol=1)
    page.page.mouse.move(700, 450)
    page.page.mouse.down()
    page.page.mouse.move(640, 500, steps=4)
    page.page.mouse.up()
    page.settle()
    assert np.allclose(page.place(30), (x - 60, y + 50), atol=1)
    page.page.click('[title^="Show everything"]')
    page.until(f"Math.abs(map.view.scale / {before} - 1) < 1e-6")


def test_a_map_without_clusters_reports_it(open_map, make_data):
    noise = open_map(make_data(cluster=np.full(600, -1, np.int32), cluster_info={}))
    assert noise.errors == []
    assert "No cluster was found" in noise.page.inner_text(".header")


PIXELS_DRAWN = """(() => { map.renderer.draw(map.view); const c = document.getElementById("points");
  const k = document.createElement("canvas"); k.width = c.width; k.height = c.height; const p = k.getContext("2d");
  p.drawImage(c, 0, 0); const d = p.getImageData(0, 0, k.width, k.height).data;
  let s = 0; for (let i = 3; i < d.length; i += 4) s += d[i] > 0; return s; })()"""


def test_webgl_draws_without_plotly(open_map, make_data):
    large = open_map(make_data(25_000, images=None, columns={}, neighbours=None))
    assert large.errors == []
    assert large.js("[map.mode, typeof Plotly]") == ["webgl", "undefined"]
    large.js("map.view.zoom(2)")
    large.settle()
    assert large.errors == []
    assert large.js(PIXELS_DRAWN) > 20_000


# Pixels drawn in one of both ways, their mean difference, and the mean red, green, blue and alpha of each picture.
COMPARED = """(() => {
  const read = (emulated) => {
    map.renderer.emulated = emulated; map.renderer.draw(map.view); const c = document.getElementById("points");
    const k = document.createElement("canvas"); k.width = c.width; k.height = c.height;
    const p = k.getContext("2d"); p.drawImage(c, 0, 0); return p.getImageData(0, 0, k.width, k.height).data; };
  const [fast, exact] = [read(true), read(false)];
  let [seen, apart] = [0, 0];
  for (let i = 0; i < fast.length; i += 4) {
    if (!fast[i + 3] && !exact[i + 3]) continue;
    seen++;
    apart += Math.abs(fast[i + 3] - exact[i + 3]);
  }
  const mean = (d) => [0, 1, 2, 3].map((c) => { let s = 0; for (let i = c; i < d.length; i += 4) s += d[i];
    return s / seen; });
  return [seen, apart / seen, mean(fast), mean(exact)]; })()"""


def test_where_webgl_is_emulated_distant_points_look_the_same_without_it(open_map, make_data):
    """The headless browser emulates it."""
    far = open_map(make_data(60_000, images=None, columns={}, neighbours=None))
    assert far.js("map.renderer.emulated") is True
    seen, apart, fast, exact = far.js(COMPARED)
    assert seen > 20_000
    assert apart < 12
    assert np.allclose(fast, exact, rtol=0.03)
    assert far.errors == []


def test_points_come_back_when_the_browser_took_the_context_away(page):
    before = page.js(PIXELS_DRAWN)
    page.js(
        "new Promise((done) => { const canvas = document.getElementById('points'); "
        "const loss = canvas.getContext('webgl2').getExtension('WEBGL_lose_context'); "
        "canvas.addEventListener('webglcontextlost', () => setTimeout(() => loss.restoreContext())); "
        "canvas.addEventListener('webglcontextrestored', () => setTimeout(done)); loss.loseContext(); })"
    )
    assert page.js(PIXELS_DRAWN) == before > 1_000
    assert page.errors == []


@pytest.fixture(scope="module")
def bare(open_map, make_data):
    """A map in a browser without WebGL."""
    return open_map(make_data(9_000, images=None, columns={}, neighbours=None), script=NO_WEBGL)


def test_without_webgl_plotly_draws_a_sample_with_a_trace_per_cluster(bare):
    assert bare.errors == []
    assert bare.page.locator("#plot .scatterlayer .points path").count() > 2_000
    assert "1 in 3 of 9,000 points" in bare.page.inner_text(".header")
    traces = bare.js("document.getElementById('plot').data.map((t) => [t.type, t.name])")
    assert [name for _, name in traces] == ["Noise", "Cluster 0", "Cluster 1", "Cluster 2", "Cluster 3"]
    assert {kind for kind, _ in traces} == {"scatter"}
    assert bare.js("document.getElementById('plot')._context.showSendToCloud") is False
    assert bare.js("document.querySelector('.modebar')") is None


def test_without_webgl_plotly_follows_the_map_and_the_map_follows_plotly(bare):
    bare.js("map.view.zoom(2)")
    bare.until(
        "(([a, b]) => Math.abs((b - a) * map.view.scale - map.view.width) < 1)"
        "(document.getElementById('plot').layout.xaxis.range)"
    )
    bare.js("Plotly.relayout('plot', {'xaxis.range': [0, 4], 'yaxis.range': [0, 2.5]})")
    bare.settle()
    assert np.isclose(bare.js("map.view.x"), 2)
    assert bare.errors == []
