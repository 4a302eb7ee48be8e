"""The search by meaning and the words of the decoder in the page agree with Python."""

import numpy as np
import pytest
import torch

import latentviz as lv
from latentviz.maps import captions
from latentviz.modalities.joint.show import described
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.text.keywords import split
from latentviz.runs.run import RunFolder
from latentviz.stages.recommend import Recommender
from tests.maps.conftest import Page
from tests.modalities.joint.test_joint import write

pytestmark = pytest.mark.browser

QUERIES = ("red bar", "A yellow, yellow disc", "blue", "green heart")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A clustered run of images with captions and labels."""
    folder = tmp_path_factory.mktemp("captions")
    fitted = lv.fit(
        write(folder / "shapes", 160),
        outputs=folder / "outputs",
        data={"parts": "image,caption,label", "batch_size": 32},
        model={"latent_dim": 8, "width": 4, "hidden": 32},
        trainer={"max_epochs": 8},
        preview=0,
        reduce={"method": "pca"},
        cluster={"method": "gmm", "n_clusters": 4},
    )
    return RunFolder(fitted.path)


@pytest.fixture(scope="module")
def page(chromium, run):
    opened = Page(chromium, run.clustered("default").map_file)
    yield opened
    assert opened.errors == []
    opened.context.close()


@pytest.fixture(scope="module")
def recommender(run):
    return Recommender(run)


def ask(page, text):
    """Types a text into the search field in the mode by meaning."""
    page.page.click(".search-by button[data-by=meaning]")
    page.page.fill(".search input", "")
    page.page.fill(".search input", text)
    page.until(
        f"map.state.values.query === {text!r} && !document.querySelector('.header').innerText.includes('Searching')"
    )


@pytest.mark.parametrize("text", QUERIES)
def test_items_rank_by_the_latent_of_the_words_as_in_python(page, recommender, text):
    found, _ = recommender([text])
    assert np.allclose(page.js("(await map.latentOfText(arg)).z", text), found[0].mu, atol=2e-3)
    ask(page, text)
    rows = page.js(
        "[...document.querySelectorAll('.results .result')].map((r) => "
        "[map.store.row[r.dataset.point], Number(r.querySelector('em').textContent)])"
    )
    vectors, dims = recommender.search.vectors.astype(np.float64), recommender.dims
    exact = recommender.search.score(vectors, found[0].mu[:dims].astype(np.float64))
    shown = exact[[row for row, _ in rows]]
    assert len(rows) == 40
    assert np.allclose(shown, [score for _, score in rows], atol=0.03)
    assert shown.min() >= np.sort(exact)[-40] - 0.03
    assert page.js("map.selected.length") == 40


@pytest.mark.parametrize(
    "text",
    [
        "Don't SHOUT, e.g. 3 times!",
        "größe naïve İstanbul ΣΊΣΥΦΟΣ",
        "明月夜 東京tower カタカナ",
        "ภาษาไทย क्षत्रिय",
        "x²₃ ½ a_b-c ’tis",
    ],
)
def test_words_are_split_as_in_python(page, run, text):
    unknown = page.js("(await map.latentOfText(arg)).unknown", text)
    words = OpenRun(run).model.kind.layout.words
    assert unknown == [word for word in dict.fromkeys(split(text, every=True)) if word not in words]


def test_words_that_no_caption_has_are_named(page):
    ask(page, "red unicorn")
    assert "not in any caption: unicorn" in page.page.inner_text(".header")
    ask(page, "unicorn")
    assert page.page.locator(".results .result").count() == 0
    assert "Nothing found; not in any caption: unicorn" in page.page.inner_text(".header")
    page.page.click(".search-by button[data-by=letters]")
    assert page.page.locator(".results .result").count() == 0


def test_the_address_restores_the_search(page):
    ask(page, "yellow")
    page.until("location.hash.includes('search=yellow') && location.hash.includes('by=meaning')")
    before = page.js("map.selected")
    page.page.reload()
    page.page.wait_for_selector("html[data-ready]", state="attached")
    page.until("map.selected.length")
    assert page.js("[map.selected, map.state.values.by]") == [before, "meaning"]


def test_the_pane_names_the_likeliest_words_and_the_label(page, run):
    page.page.mouse.move(*page.place(21))
    page.until("document.querySelector('.decoder-pane canvas').dataset.spot")
    z = page.js("map.decoder.latentAt(map.state.values.spot.x, map.state.values.spot.y).z")
    model = OpenRun(run).model
    with torch.no_grad():
        expected = model.vae.decode(torch.tensor([z], dtype=torch.float32)).numpy()
    (said,) = described(model.kind.layout, expected)
    page.until(f"document.querySelector('.decoder-pane .said').textContent === {said!r}")


def test_an_encoder_that_is_too_large_is_left_out_and_said(chromium, run, tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "MOST", 10)
    lv.map(run.path)
    opened = Page(chromium, run.clustered("default").map_file)
    assert opened.page.locator(".search-by").is_hidden()
    assert "latentviz recommend searches by meaning" in opened.page.inner_text(".header")
    assert opened.errors == []
    opened.context.close()
