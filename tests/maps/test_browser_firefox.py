"""What a map does in Firefox too: points, dark theme, a tap, a lasso and its table, the decoder, names, and figures.

A headless Firefox without a graphics driver has no WebGL; Plotly draws the points there.
"""

import io

import numpy as np
import pytest
from PIL import Image

from tests.maps.conftest import launched

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    """A Firefox on a system with the dark theme: Playwright cannot set a theme in an installed one."""
    dark = {"ui.systemUsesDarkTheme": 1}
    names = ["firefox-esr", "firefox"]
    with launched("firefox", names, "firefox-esr", channel="moz-firefox", firefox_user_prefs=dark) as found:
        yield found


def test_points_are_drawn_and_in_the_dark(page):
    drawn = np.asarray(Image.open(io.BytesIO(page.page.screenshot())).convert("RGB")).astype(int)
    assert np.count_nonzero(np.ptp(drawn[100:800, 400:], axis=2) > 40) > 5_000
    assert page.js("map.state.values.dark") is True
    assert page.js("getComputedStyle(document.body).backgroundColor") == "rgb(14, 16, 20)"
    assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:"))] == []


def test_a_click_on_a_point_opens_its_card(whole):
    whole.page.mouse.click(*whole.place(33))
    whole.page.wait_for_selector(".item-card:not([hidden])")
    assert whole.js("map.store.row[map.state.values.pinned]") == 33
    whole.page.keyboard.press("Escape")
    assert whole.page.locator(".item-card").is_hidden()


def test_a_tap_on_a_point_opens_its_card(whole):
    whole.js(
        "((surface) => { surface.setPointerCapture = () => {};"  # it takes real pointers alone
        "for (const kind of ['pointerdown', 'pointerup']) surface.dispatchEvent(new PointerEvent(kind, "
        "{ clientX: arg[0], clientY: arg[1], pointerId: 9, pointerType: 'touch', isPrimary: true, bubbles: true }));"
        "delete surface.setPointerCapture; })(map.surface)",
        whole.place(44),
    )
    whole.until("map.store.row[map.state.values.pinned] === 44")


def test_a_lasso_selects_what_is_in_it_for_a_table_that_sorts(whole, full):
    whole.page.keyboard.press("l")
    corners = [(-1.5, -1.5), (4, -1.5), (4, 4), (-1.5, 4), (-1.5, -1.5)]
    for k, corner in enumerate(corners):
        whole.page.mouse.move(*whole.spot(*corner), steps=3)
        if k == 0:
            whole.page.mouse.down()
    whole.page.mouse.up()
    whole.page.wait_for_selector(".selection:not([hidden])")
    inside = np.flatnonzero((full.points > [-1.5, -1.5]).all(1) & (full.points < [4, 4]).all(1))
    assert sorted(whole.js("map.selected.map((i) => map.store.row[i])")) == inside.tolist()
    whole.page.click(".selection th button:text-is('year')")
    rows = whole.js(
        "[...document.querySelectorAll('.selection tr[data-point]')].map((r) => map.store.row[r.dataset.point])"
    )
    by_year = sorted(inside.tolist(), key=lambda row: full.columns["year"][row])
    assert len(rows) > 5
    assert rows == by_year[: len(rows)]


def test_the_decoder_draws_under_the_pointer(whole):
    whole.hover(55)
    whole.until("document.querySelector('.decoder-pane canvas').dataset.spot")
    drawn = "document.querySelector('.decoder-pane canvas').getContext('2d').getImageData(0, 0, 12, 12).data"
    assert len(set(whole.js(f"Array.from({drawn})"))) > 10


def test_names_have_pictures_and_a_figure_has_them_too(whole):
    assert whole.page.locator(".label.shown canvas[data-drawn]").count() == 4
    size = whole.js("createImageBitmap(await map.exports.png()).then((b) => [b.width, b.height])")
    assert min(size) > 1000
    whole.js("dispatchEvent(new Event('beforeprint'))")
    assert whole.js("[document.querySelector('.printed').width, document.querySelector('.printed').height]") == size
    whole.js("dispatchEvent(new Event('afterprint'))")
    assert whole.page.locator(".printed").count() == 0
