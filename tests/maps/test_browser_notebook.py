"""What a notebook shows, in a real browser over http: maps and reports in frames, also under VS Code's policy."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from typing import Any

import pytest

import latentviz as lv
from latentviz import display

pytestmark = pytest.mark.browser

# What the notebooks of VS Code allow, with the origin of the page in the place of its own addresses.
VS_CODE = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' https: http: data:; font-src 'self' https:; connect-src https:; child-src https: data: 'self'"
)


@pytest.fixture
def host(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens HTML as the body of a page over http: `host(html, policy="…")`; checks that no script failed."""
    pages: dict[str, tuple[str, str]] = {}
    errors: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, policy = pages.get(self.path, ("", ""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(f"<!DOCTYPE html><link rel='icon' href='data:,'><body>{body}</body>".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    context = chromium.new_context(viewport={"width": 1300, "height": 900})

    def open_page(body: str, policy: str = "") -> Any:
        address = f"/{len(pages)}"
        pages[address] = body, policy
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}{address}")
        return page

    yield open_page
    context.close()
    server.shutdown()
    server.server_close()
    thread.join()
    assert errors == []


def frame_of(page: Any) -> Any:
    """The map in the page's frame, once it is drawn."""
    frame = page.frames[1]
    frame.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    return frame


@pytest.mark.parametrize("policy", ["", VS_CODE], ids=["jupyter", "vscode"])
def test_a_small_map_works_in_the_cell(host, mapped, policy) -> None:
    html = lv.open(mapped).clustering()._repr_html_()
    assert len(html) < display.INLINE + 100_000
    frame = frame_of(host(html, policy))
    assert frame.evaluate("latentviz.map.store.n") == 200
    assert frame.evaluate("document.documentElement.dataset.ready") == "webgl"
    frame.locator('[data-cluster="1"] .main').click()
    assert frame.evaluate("[...latentviz.map.state.values.isolated]") == [1]
    frame.wait_for_function("() => latentviz.map.decoder", timeout=20_000)


def test_a_frame_cannot_reach_the_notebook(host, mapped) -> None:
    frame = frame_of(host(lv.open(mapped).clustering()._repr_html_()))
    assert frame.evaluate("(() => { try { return parent.document.title } catch (e) { return e.name } })()") == (
        "SecurityError"
    )


def test_the_wheel_scrolls_the_notebook_until_the_map_is_clicked(host, mapped) -> None:
    page = host(f"{lv.open(mapped).clustering()._repr_html_()}<p style='height: 4000px'></p>")
    frame = frame_of(page)
    box = page.locator("iframe").bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    before = frame.evaluate("latentviz.map.view.scale")
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => scrollY > 0")
    assert frame.locator("#hint").is_visible()
    assert frame.evaluate("latentviz.map.view.scale") == before
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("() => scrollY === 0")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    frame.wait_for_function("(before) => latentviz.map.view.scale > 1.1 * before", arg=before)
    page.keyboard.up("Control")
    frame.locator("#surface").click(position={"x": 5, "y": 5})
    frame.wait_for_function("() => document.hasFocus()")
    before = frame.evaluate("latentviz.map.view.scale")
    page.mouse.wheel(0, -200)
    frame.wait_for_function("(before) => latentviz.map.view.scale > 1.1 * before", arg=before)
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("policy", ["", VS_CODE], ids=["jupyter", "vscode"])
def test_a_whole_map_is_shown_on_request(host, mapped, monkeypatch, policy) -> None:
    shown = published(monkeypatch)
    lv.open(mapped).clustering().show()
    assert len(shown[0]["text/html"]) > 2_000_000
    frame = frame_of(host(shown[0]["text/html"], policy))
    assert frame.evaluate("document.documentElement.dataset.ready") == "webgl"


def test_a_large_map_is_a_picture_and_a_link(host, mapped, monkeypatch) -> None:
    monkeypatch.setattr(display, "INLINE", 1000)
    result = lv.open(mapped).clustering()
    html = result._repr_html_()
    page = host(html)
    assert len(html) < 150_000
    assert page.frames[1:] == []
    assert page.evaluate("document.images[0].naturalWidth") == display.PREVIEW
    assert page.get_attribute("a", "href") == result.map.as_uri()


def test_a_map_without_scripts_says_what_it_needs(chromium, mapped) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(lv.open(mapped).clustering().map.as_uri())
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#boot").is_visible()
    context.close()


def test_reports_recommendations_and_outputs_are_shown(host, mapped) -> None:
    run = lv.open(mapped)
    page = host(run.evaluate()._repr_html_())
    assert page.frames[1].locator("h1").inner_text() == "small"
    for shown in (run.recommend(3, k=4), run.generate(n=4, name="shown", force=True)):
        page = host(shown._repr_html_())
        assert page.evaluate("document.images[0].naturalWidth") > 50
        assert page.locator("tr").count() >= 3


# The notebook's part of a widget: the traits that Python and the browser share, and who listens to them.
MODEL = """
const traits = TRAITS;
const listeners = [];
globalThis.model = {
  get: (key) => traits[key],
  set(key, value) {
    traits[key] = value;
    for (const [event, run] of listeners) if (event === `change:${key}`) run();
  },
  on: (event, run) => listeners.push([event, run]),
  off() {},
  save_changes() { globalThis.saved = (globalThis.saved ?? 0) + 1; },
};
globalThis.remove = render({ model, el: document.body });
"""


@pytest.fixture
def widget_page(host, mapped) -> tuple[Any, Any]:
    """The page and the frame of `lv.widget`, with the widget's JavaScript and a stand-in for the kernel."""
    widget = lv.widget(mapped)
    traits = {key: value for key, value in widget.get_state().items() if key in {"page", "height", "rows"}}
    traits |= {"names": {str(number): name for number, name in widget.names.items()}, "tags": {}}
    script = widget._esm.replace("export default { render };", MODEL.replace("TRAITS", dumps(traits)))
    page = host(f"<script type='module'>{script.replace('</', '<' + chr(92) + '/')}</script>")
    page.wait_for_selector("iframe")
    frame = frame_of(page)
    page.wait_for_timeout(500)
    return page, frame


def test_the_widget_passes_changes_both_ways(widget_page) -> None:
    page, frame = widget_page
    rows = frame.evaluate("[...latentviz.map.store.row].slice(0, 3).sort((a, b) => a - b)")
    frame.evaluate("latentviz.map.select([0, 1, 2])")
    page.wait_for_function("() => model.get('rows').length === 3")
    assert page.evaluate("model.get('rows')") == rows
    frame.get_by_label("Add a tag").fill("mine")
    frame.get_by_label("Add a tag").press("Enter")
    page.wait_for_function("() => Object.keys(model.get('tags')).length === 3")
    assert page.evaluate("model.get('tags')") == {f"few/{row}": ["mine"] for row in rows}
    frame.locator(".annotate .tag", has_text="mine").get_by_role("button").last.click()
    page.wait_for_function("() => Object.keys(model.get('tags')).length === 0")
    frame.evaluate("latentviz.map.openCluster(1)")
    frame.locator(".rename").fill("ones")
    frame.locator(".rename").press("Enter")
    page.wait_for_function("() => model.get('names')[1] === 'ones'")

    saved = page.evaluate("saved")
    page.evaluate("(model.set('rows', [7, 9]), model.set('names', {0: 'noughts', 1: 'Cluster 1', 2: 'twos'}))")
    page.evaluate("model.set('tags', {'few/7': ['seven']})")
    frame.wait_for_function("() => latentviz.map.selected.length === 2")
    assert frame.evaluate("latentviz.map.selected.map((i) => latentviz.map.idOf(i))") == ["few/7", "few/9"]
    assert frame.evaluate("[0, 2].map((id) => latentviz.map.nameOf(id))") == ["noughts", "twos"]
    frame.get_by_role("button", name="seven 1").wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("saved") == saved, "what came from Python is not sent back"


def test_the_widget_hears_nobody_else(widget_page) -> None:
    page, frame = widget_page
    page.evaluate("postMessage({ latentviz: { rows: [1] } }, '*')")
    page.evaluate("""() => {
      const other = document.createElement("iframe");
      const send = (to, row) => `${to}.postMessage({ latentviz: { rows: [${row}] } }, "*");`;
      other.srcdoc = `<script>${send("parent", 2)} ${send("parent.frames[0]", 3)}<${""}/script>`;
      document.body.append(other);
    }""")
    page.wait_for_timeout(500)
    assert page.evaluate("model.get('rows')") == []
    assert frame.evaluate("latentviz.map.selected.length") == 0


def published(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What is shown from now on, as if this were a notebook's kernel."""
    found: list[dict[str, str]] = []

    class Shell:
        kernel = display_pub = None

        def publish(self, content: dict[str, str]) -> None:
            found.append(content)

    shell = Shell()
    shell.display_pub = shell
    monkeypatch.setattr(display, "notebook", lambda: shell)
    return found
