"""The page of a preview: it says so, notices a newer one or the final map next to it, and offers it."""

from dataclasses import replace
from pathlib import Path

import pytest

from latentviz.maps import write_map
from latentviz.maps.data import Preview
from tests.maps.conftest import Page

pytestmark = pytest.mark.browser
PREVIEW = Preview("training: epoch 12, 40%", 5, "preview.svg", "clusters/default/map.html", "clusters/default/map.png")


def mark(folder: Path, stamp: int) -> None:
    (folder / PREVIEW.mark).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{stamp}" height="1"/>')


def test_it_offers_the_newer_one_and_then_the_final_map(chromium, data, tmp_path) -> None:
    file, final = tmp_path / "preview.html", tmp_path / PREVIEW.final
    write_map(file, replace(data, preview=PREVIEW))
    mark(tmp_path, 5)
    opened = Page(chromium, file)
    page = opened.page
    page.wait_for_timeout(3500)  # longer than between two looks
    assert page.inner_text(".preview") == PREVIEW.line
    mark(tmp_path, 6)
    page.wait_for_selector(".preview button")
    write_map(file, replace(data, preview=replace(PREVIEW, line="training: epoch 24, 80%", stamp=6)))
    page.click(".preview button")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.wait_for_function("() => document.querySelector('.preview')?.innerText === 'training: epoch 24, 80%'")
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert opened.errors == []
    for left in (file, tmp_path / PREVIEW.mark):  # the training has ended
        left.unlink()
    page.wait_for_function("() => document.querySelector('.preview').innerText.includes('ended')")
    assert page.query_selector(".preview a") is None
    write_map(final, data)
    final.with_suffix(".png").write_bytes(
        bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")
    )
    page.click(".preview a")
    page.wait_for_url(f"{final.as_uri()}*")
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.query_selector(".preview") is None
    opened.context.close()


def test_where_pages_see_no_files_it_claims_nothing(chromium, data, tmp_path) -> None:
    """As in a frame of a notebook: that no mark is seen does not mean that the training has ended."""
    write_map(tmp_path / "preview.html", replace(data, preview=PREVIEW))
    opened = Page(chromium, tmp_path / "preview.html")
    opened.page.wait_for_timeout(3500)
    assert opened.page.inner_text(".preview") == PREVIEW.line
    opened.context.close()


def test_other_maps_may_not_show_files(tmp_path, data) -> None:
    for preview, allowed in ((None, False), (PREVIEW, True)):
        write_map(tmp_path / "map.html", replace(data, preview=preview))
        policy = (tmp_path / "map.html").read_text(encoding="utf-8").split("img-src ")[1].split(";")[0]
        assert ("file:" in policy) == allowed
