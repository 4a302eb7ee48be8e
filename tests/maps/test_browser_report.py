"""The report of `evaluate` in a browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import latentviz as lv
from latentviz.evaluation.report import render
from tests.conftest import fit_small, write_labelled_digits

pytestmark = pytest.mark.browser

# Texts with a contrast below 4.5 (WCAG 2.1, 1.4.3) to the colour that their ancestors' backgrounds make.
FAINT = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (...colours) => {
    for (const colour of ["#fff", ...colours]) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    const linear = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const isText = (node) => node.nodeType === 3 && node.data.trim();
  const texts = [...document.querySelectorAll("body *")].filter((element) => [...element.childNodes].some(isText));
  return texts.filter((element) => {
    const behind = [];
    for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
    const [paper, ink] = [paint(...behind), paint(...behind, getComputedStyle(element).color)];
    return (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05) < 4.5;
  }).map((element) => element.outerHTML.slice(0, 200));
}"""
# Where Tab leads without a name that a screen reader could say.
NAMELESS = """() => [...document.querySelectorAll("a, summary, [tabindex]")]
  .filter((element) => !(element.ariaLabel || element.textContent.trim()))
  .map((element) => element.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The evaluation of a run on 200 labelled digits, next to its map."""
    place = tmp_path_factory.mktemp("report")
    folder = fit_small(write_labelled_digits(place), place)
    lv.cluster(folder, reduce={"method": "pca"}, cluster={"min_cluster_size": 12, "selection": "leaf"})
    return lv.evaluate(folder)


@pytest.fixture
def open_report(chromium: Any, evaluated: Any) -> Any:
    """Opens the report, or another one, with settings of the browser's context."""
    contexts = []

    def run(report: Path = evaluated.report, **settings: Any) -> Any:
        contexts.append(chromium.new_context(**settings))
        page = contexts[-1].new_page()
        page.goto(report.as_uri())
        return page

    yield run
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (800, 600), (390, 844)])
def test_every_text_is_legible_and_nothing_is_wider_than_the_window(
    open_report: Any, width: int, height: int, theme: str
) -> None:
    page = open_report(viewport={"width": width, "height": height}, color_scheme=theme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.locator(".bars .tick, .along .tick").count() >= 4
    assert page.locator(".confusion tbody td[style]").count() >= 10
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(14, 16, 20)" if theme == "dark" else "rgb(246, 247, 249)")


@pytest.mark.parametrize("width", [1400, 390])
def test_bars_of_many_dimensions_are_visible(open_report: Any, evaluated: Any, tmp_path: Path, width: int) -> None:
    many = {"kl_per_dimension": [1.0] * 200, "variance_of_mu": [1.0] * 200, "latent_dim": 200}
    found = replace(evaluated.metrics, health=replace(evaluated.metrics.health, **many))
    (tmp_path / "many.html").write_text(render(found), encoding="utf-8")
    page = open_report(tmp_path / "many.html", viewport={"width": width, "height": 800})
    widths = page.eval_on_selector_all(".bars b", "(bars) => bars.map((bar) => bar.getBoundingClientRect().width)")
    assert len(widths) == 128
    assert min(widths) > 1
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_prints_are_light_and_have_all_metrics(open_report: Any) -> None:
    page = open_report(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("details td.number").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(22, 24, 29)"


def test_a_cluster_leads_to_its_card_on_the_map(open_report: Any) -> None:
    page = open_report(viewport={"width": 1400, "height": 900})
    link = page.locator(".confusion thead a").first
    number = link.locator(".number").inner_text()
    assert link.locator("img").evaluate("(image) => image.complete && image.naturalWidth") == 8
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    page.wait_for_function("() => latentviz.map.state.values.openCluster != null")
    assert page.evaluate("latentviz.map.state.values.openCluster") == int(number)
    assert page.locator(".cluster-card").is_visible()
