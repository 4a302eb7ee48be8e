"""The served map in a real browser: what the page asks, and what it shows of the answers."""

import json
import os
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from latentviz.maps.data import Served
from latentviz.queries.lookup import Lookup
from latentviz.runs.run import RunFolder
from latentviz.serving.server import Server
from latentviz.stages.desk import Desk
from latentviz.stages.map import page_of
from tests.maps.conftest import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(chromium, mapped) -> Iterator[Page]:
    desk = Desk(Lookup(RunFolder.open(mapped)))
    folder = RunFolder.open(mapped).clustering()
    server = Server(lambda: page_of(folder, desk.lookup.opened, Served(texts=False, images=True)), desk.calls)
    thread = server.in_background()
    opened = Page(chromium, server.address)
    opened.origin = f"http://127.0.0.1:{server.port}"
    yield opened
    assert [line for line in opened.errors if "422" not in line] == []  # the browser reports refused questions itself
    assert [url for url in opened.requests if not url.startswith((opened.origin, "blob:", "data:"))] == []
    opened.context.close()
    server.stop()
    thread.join(10)
    server.socket.close()


def test_an_item_at_full_size(served) -> None:
    served.js("map.pin(map.store.row.indexOf(7))")
    served.page.click(".full-size")
    served.page.wait_for_selector(".original img")
    assert served.page.inner_text(".original .note") == "8×8 pixels, from the source"
    assert served.page.evaluate("document.querySelector('.original img').naturalWidth") == 8
    served.page.keyboard.press("Escape")
    served.page.wait_for_selector(".original", state="hidden")


def test_the_model_itself_decodes_a_spot(served) -> None:
    served.page.check(".exact input")
    for step in range(100):  # a closing panel may swallow a first move
        served.page.mouse.move(700 + step % 20, 420)
        if served.page.query_selector(".exact-output img"):
            break
        served.page.wait_for_timeout(100)
    served.page.wait_for_selector(".exact-output img")
    served.page.uncheck(".exact input")
    assert served.page.query_selector(".exact-output img") is None


def test_a_new_file_is_placed_and_its_neighbours_open(served, tmp_path) -> None:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "new.png")
    served.page.set_input_files(".new-item input[type=file]", tmp_path / "new.png")
    served.page.wait_for_selector(".placed .tile")
    assert served.page.locator(".placed .tile").count() == 12
    served.page.locator(".placed .tile").first.click()
    assert served.js("map.state.values.pinned") >= 0
    served.page.set_input_files(
        ".new-item input[type=file]", {"name": "<img src=x>.png", "mimeType": "image/png", "buffer": os.urandom(90)}
    )
    served.until("document.querySelector('.new-item > .note').textContent.includes('not an image')")
    assert served.page.query_selector(".placed .tile") is None


def test_the_table_is_filtered_sorted_and_selected(served, mapped) -> None:
    points = RunFolder.open(mapped).clustering().points().to_pandas()
    served.page.click('[title="All items as a table"]')
    served.page.fill(".server-table input", "cluster == 1")
    expected = points[points.cluster == 1]
    served.until(f"document.querySelector('.server-table .note').textContent === '{len(expected)} of {len(points)}'")
    served.page.click(".server-table th button >> text=/^x$/")
    served.page.wait_for_selector('.server-table th[aria-sort="ascending"]')
    first = int(served.page.get_attribute(".server-table tbody tr", "data-row"))
    assert first == expected.sort_values("x", kind="stable").index[0]
    served.page.click(".server-table >> text=select these")
    served.until(f"map.selected?.length === {len(expected)}")
    served.page.fill(".server-table input", "<img src=x onerror=window.hit=1>")
    served.until("document.querySelector('.server-table .note').textContent.includes('where')")
    assert served.page.evaluate("window.hit") is None
    served.page.click('.server-table [title="Close the table"]')
    assert json.dumps(served.js("document.querySelector('.server-table').hidden")) == "true"
