"""The served map in a real browser: what the page asks, and what it shows of the answers."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentviz.queries.lookup import Lookup
from latentviz.runs.annotations import Findings, findings
from latentviz.runs.run import RunFolder
from latentviz.serving.server import Server
from latentviz.stages.desk import Desk
from latentviz.stages.map import page_of
from tests.maps.conftest import Page
from tests.maps.test_browser_hostile import EVIL

pytestmark = pytest.mark.browser


@contextmanager
def serving(browser: Any, run: Path, clustering: str = "default") -> Iterator[tuple[Server, Callable[[], Page]]]:
    """Serves a run; the function opens another page of it, in a browser profile of its own."""
    desk, pages = Desk(Lookup(RunFolder.open(run), clustering)), []
    server = Server(lambda: page_of(desk.lookup.folder, desk.lookup.opened, desk.served), desk.calls)
    thread = server.in_background()

    def opened() -> Page:
        pages.append(Page(browser, server.address))
        return pages[-1]

    yield server, opened
    own = (f"http://127.0.0.1:{server.port}", "blob:", "data:")
    for page in pages:
        assert [url for url in page.requests if not url.startswith(own)] == []
        page.context.close()
        # The browser reports refused questions itself.
        assert [line for line in page.errors if "422" not in line and "ERR_CONNECTION_REFUSED" not in line] == []
    server.stop()
    thread.join(10)
    server.socket.close()


@pytest.fixture(scope="module")
def own(mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for annotations."""
    return shutil.copytree(mapped, tmp_path_factory.mktemp("served") / mapped.name)


@pytest.fixture(scope="module")
def pages(chromium: Any, own: Path) -> Iterator[Callable[[], Page]]:
    with serving(chromium, own) as (_, opened):
        yield opened


@pytest.fixture(scope="module")
def served(pages: Callable[[], Page]) -> Page:
    return pages()


def test_an_item_at_full_size(served) -> None:
    served.js("map.pin(map.store.row.indexOf(7))")
    served.page.click(".full-size")
    served.page.wait_for_selector(".original img")
    assert served.page.inner_text(".original .note") == "8×8 pixels, from the source"
    assert served.page.evaluate("document.querySelector('.original img').naturalWidth") == 8
    served.page.keyboard.press("Escape")
    served.page.wait_for_selector(".original", state="hidden")


def decoded(page: Page, selector: str) -> None:
    """Moves over the map until the server has decoded a spot."""
    for step in range(100):  # a closing panel may swallow a first move
        page.page.mouse.move(700 + step % 20, 420)
        if page.page.query_selector(selector):
            break
        page.page.wait_for_timeout(100)
    page.page.wait_for_selector(selector)


def test_the_model_itself_decodes_a_spot(served) -> None:
    served.page.check(".exact input")
    decoded(served, ".exact-output img")
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


def test_the_table_is_filtered_sorted_and_selected(served, own) -> None:
    points = RunFolder.open(own).clustering().points().to_pandas()
    served.page.click('[title="All items as a table"]')
    served.page.fill(".server-table input", "cluster == 1")
    expected = points[points.cluster == 1]
    served.until(f"document.querySelector('.server-table .note').textContent === '{len(expected)} of {len(points)}'")
    served.page.click(".server-table th button >> text=/^x$/")
    served.page.wait_for_selector('.server-table th[aria-sort="ascending"]')
    first = int(served.page.get_attribute(".server-table [data-row]", "data-row"))
    by_x = expected.sort_values("x", kind="stable").index
    assert first == by_x[0]
    served.page.focus(".server-table [data-row]")
    served.page.keyboard.press("End")
    served.until(f"document.activeElement.dataset.row === '{by_x[-1]}'")
    assert served.page.locator(".server-table [data-row]").count() < len(expected)
    served.page.click(".server-table >> text=select these")
    served.until(f"map.selected?.length === {len(expected)}")
    assert served.page.is_hidden(".server-table"), "one table at a time"
    served.js("map.select(null)")
    served.page.fill(".server-table input", "<img src=x onerror=window.hit=1>")
    served.until("document.querySelector('.server-table .note').textContent.includes('where')")
    assert served.page.evaluate("window.hit") is None
    served.page.click('.server-table [title="Close the table"]')
    assert json.dumps(served.js("document.querySelector('.server-table').hidden")) == "true"


def found(run: Path) -> Findings:
    folder = RunFolder.open(run).clustering()
    return findings(folder.points(), folder.info())


def tag(page: Page, word: str, rows: list[int]) -> None:
    page.js("map.annotations.tag(arg[0], arg[1].map((row) => map.store.pointOf(row)))", [word, rows])


ROWS = "[...(map.state.values.tags.get(arg) ?? [])].map((i) => map.store.row[i]).sort((a, b) => a - b)"


def test_two_browsers_see_each_other_s_annotations_and_the_run_has_them(served, pages, own) -> None:
    other = pages()
    served.js("map.pin(map.store.pointOf(3))")
    served.settle()
    served.page.fill(".item-card .word", "odd")
    served.page.keyboard.press("Enter")
    served.page.fill(".item-card textarea", "a note")
    served.page.keyboard.press("Tab")
    other.until("map.state.values.tags.has('odd') && map.state.values.notes.get(map.store.pointOf(3)) === 'a note'")
    ids = RunFolder.open(own).clustering().points().column("id").to_pylist()
    assert found(own).tags[ids[3]] == ["odd"]
    # Both change the same tag at the same time; undo takes back what this page did, and nothing else.
    tag(served, "odd", [5])
    tag(other, "odd", [7, 8])
    for page in (served, other):
        page.until("map.state.values.tags.get('odd').size === 4")
        assert page.js(ROWS, "odd") == [3, 5, 7, 8]
    served.js("map.annotations.undo()")
    other.until("map.state.values.tags.get('odd').size === 3")
    assert other.js(ROWS, "odd") == [3, 7, 8]
    served.js("map.annotations.undo()")
    other.until("!map.state.values.notes.size")
    assert served.js(ROWS, "odd") == [3, 7, 8]
    assert {item for item, tags in found(own).tags.items() if "odd" in tags} == {ids[3], ids[7], ids[8]}


def test_clusters_are_edited_together(served, pages, own) -> None:
    other = pages()
    served.js("(map.annotations.merge([0], 1), map.state.set({names: new Map(map.state.values.names).set(1, 'both')}))")
    other.until("map.nameOf(1) === 'both' && map.state.values.merges.get(0) === 1")
    number = other.js("map.annotations.split([1, 2, 3], 'three')")
    served.until(f"map.cluster({number})?.size === 3 && map.nameOf({number}) === 'three'")
    other.js("(map.annotations.apart(arg), 1)", number)
    served.until(f"!map.cluster({number})")
    assert number not in found(own).names, "a cluster that is gone has no name"
    assert found(own).merges == {0: 1}
    again = pages()
    assert (again.js("map.nameOf(1)"), again.js("map.state.values.merges.size")) == ("both", 1)
    served.js("(map.annotations.apart(1), 1)")
    other.until("!map.state.values.merges.size")


def test_what_the_run_refuses_is_taken_back_and_said(served, own) -> None:
    served.js("map.state.set({names: new Map([[1, 'x'.repeat(300)], [2, 'y']])})")
    served.until("document.querySelector('.notes').textContent.includes('Not kept')")
    assert served.js("map.nameOf(1).length") < 300
    served.js("map.state.set({names: new Map([[2, 'y']])})")
    until = time.monotonic() + 20
    while found(own).names.get(2) != "y" and time.monotonic() < until:
        served.page.wait_for_timeout(100)
    assert found(own).names.get(2) == "y"
    served.page.wait_for_timeout(500)  # the page knows it, too: it asks nothing when it is left
    served.page.reload()
    served.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    assert served.js("map.nameOf(2)") == "y"


def test_hostile_words_go_through_the_server_as_text(served, pages, own) -> None:
    other = pages()
    words = [text[:200] for text in EVIL]
    for word in words:
        tag(served, word, [1, 2])
    served.js(
        "map.state.set({names: new Map([[0, arg[0]], [1, arg[1]]]), notes: new Map(arg.map((text, k) => [k, text]))})",
        [*words],
    )
    other.until(
        f"map.state.values.tags.has(arg) && map.state.values.notes.size === {len(words)}".replace(
            "arg", json.dumps(words[-1])
        )
    )
    assert set(words) <= set(next(tags for tags in found(own).tags.values() if len(tags) > 5))
    for page in (served, other):
        page.js("(map.pin(map.store.pointOf(1)), map.state.set({annotating: true}))")
        page.settle()
        shown = page.page.inner_text(".annotations")
        assert words[0] in shown
        assert page.page.evaluate("window.hit") is None
        assert page.page.query_selector("section.panel :is(img[src='x'], svg[onload], script)") is None
    other.page.click('[title="All items as a table"]')
    other.page.wait_for_selector(".server-table tbody td >> text=onerror")
    assert other.page.evaluate("window.hit") is None
    served.js("map.state.set({tags: new Map(), notes: new Map(), names: new Map()})")
    other.until("!map.state.values.tags.size")


def test_a_run_with_hostile_names_is_served_as_text(chromium, tmp_path) -> None:
    import latentviz as lv

    n = 4 * len(EVIL)
    cycle = [EVIL[i % len(EVIL)] for i in range(n)]
    run = lv.fit(
        [f"{text[:60]} {i}" for i, text in enumerate(cycle)],
        ids=[f"{text[:200]} {i}" for i, text in enumerate(cycle)],
        labels=[text[:200] for text in cycle],
        columns={EVIL[0]: [text[:200] for text in cycle]},
        outputs=tmp_path,
        run="hostile",
        data={"batch_size": 16},
        model={"latent_dim": 3, "width": 8, "memory": 8},
        trainer={"max_epochs": 1},
    )
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    with serving(chromium, run.path) as (_, opened):
        page = opened()
        page.page.click('[title="All items as a table"]')
        page.page.click(".server-table th button >> text=onerror")
        page.page.wait_for_selector('.server-table th[aria-sort="ascending"]')
        page.page.fill(".server-table input", f"label == {EVIL[0]!r}")
        page.until(f"document.querySelector('.server-table .note').textContent === '4 of {n}'")
        assert EVIL[0] in page.page.inner_text(".server-table [data-row] >> nth=0")
        page.page.fill(".new-item textarea", EVIL[7])
        page.page.keyboard.press("Enter")
        page.page.wait_for_selector(".placed .tile")
        page.page.locator(".placed .tile").first.click()
        page.page.check(".exact input")
        decoded(page, ".exact-output .snippet")
        assert page.page.evaluate("window.hit") is None
        assert page.page.query_selector("section.panel :is(img[src='x'], svg[onload], script)") is None


def test_without_its_server_the_page_keeps_what_is_new_and_says_so(chromium, own) -> None:
    with serving(chromium, own) as (server, opened):
        page = opened()
        server.stop()
        page.page.wait_for_timeout(300)
        tag(page, "late", [1])
        page.until("document.querySelector('.notes').textContent.includes('in this page alone')")
        assert page.js(ROWS, "late") == [1]
        assert page.js("Object.values(map.annotations.content().tags).flat().includes('late')")


STEPS = "Object.fromEntries([...map.state.values.colour.steps].map((step, i) => [map.store.row[i], step]))"


def test_clusters_of_another_size_are_shown_and_kept(chromium, own) -> None:
    import latentviz as lv

    lv.cluster(own, name="dense", reduce={"method": "pca"}, cluster={"method": "hdbscan", "min_cluster_size": 7})
    with serving(chromium, own, "dense") as (_, opened):
        page = opened()
        page.page.click('[title="Cluster again, with a slider"]')
        page.until("document.querySelector('.again .reading').textContent.includes('as in the run')")
        assert page.page.is_hidden(".again .keep"), "the run has these"
        present = page.js(STEPS)
        page.js("map.colourBy('cluster')")
        assert page.page.is_hidden(".again"), "another colouring ends it"
        page.page.click('[title="Cluster again, with a slider"]')
        page.page.focus(".again [type=range]")
        page.page.keyboard.press("End")
        page.until(
            "document.querySelector('.again .reading').textContent.includes(' clusters, ') && "
            "document.querySelector('.again .reading').textContent.startsWith(map.store.meta.served.sizes.at(-1))"
        )
        assert page.js(STEPS) != present
        page.page.keyboard.press("Home")
        page.until("/^5 items or more: \\d+ clusters/.test(document.querySelector('.again .reading').textContent)")
        steps = page.js(STEPS)
        page.page.fill(".again .word", "../out")
        page.page.click(".again .keep button")
        page.until("document.querySelector('.again .reading').textContent.startsWith('name ')")
        page.page.fill(".again .word", "small")
        page.page.click(".again .keep button")
        page.until("document.querySelector('.again .reading').textContent.startsWith('Kept')")
    kept = RunFolder.open(own).clustered("small")
    assert {int(row): step - 1 for row, step in steps.items()} == dict(
        enumerate(kept.points().column("cluster").to_pylist())
    )
    assert kept.info()["settings"]["min_cluster_size"] == 5
    assert kept.map_file.stat().st_size > 100_000
    assert len(lv.generate(own, cluster=0, n=2, clustering="small", name="kept").z) == 2
