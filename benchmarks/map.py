"""Measure the map file against its budgets, a plain Plotly file and DataMapPlot, on the same points.

    python benchmarks/map.py --fashion path/to/fashion-mnist --datamapplot /path/to/venv/bin/python

Everything runs in headless Chromium with software GL, one page at a time, so ratios are more meaningful than
milliseconds. Writes benchmarks/results/map.md. Without `--fashion`, the points are Gaussian blobs with random images;
without `--datamapplot`, DataMapPlot is skipped.
"""

import argparse
import gzip
import io
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from latentviz.maps import DecoderData, Layer, MapData, write_map

ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZES = (70_000, 300_000, 1_000_000)
BRUSHED = 300_000  # points of the map with a column that is filtered by
OPENINGS = 3  # of each file; the result is the median of the first paints
WAIT = 180_000  # ms until opening a page fails

# At rest every frame draws all points; in motion, as many as the machine keeps up with.
OURS_ZOOM = """(async () => { const map = latentviz.map, times = []; map.view.moving = MOVING;
  for (let k = 0; k < arg; k++) { const start = performance.now(); map.view.zoom(k % 2 ? 1.25 : 0.8); map.view.flush();
    if (map.renderer) map.renderer.finish(); times.push(performance.now() - start);
    await new Promise(requestAnimationFrame); }
  return times; })()"""
OURS_HOVER = """(async () => { const map = latentviz.map, times = []; map.view.fit(false); map.view.flush();
  const { left, top } = map.stage.getBoundingClientRect();
  for (let k = 0; k < arg; k++) { const i = Math.floor((k + 0.5) / arg * map.store.n);
    const at = { clientX: left + map.view.toScreenX(map.store.x[i]),
                 clientY: top + map.view.toScreenY(map.store.y[i]) };
    const start = performance.now(); map.surface.dispatchEvent(new PointerEvent("pointermove", at));
    document.getElementById("tip").getBoundingClientRect(); times.push(performance.now() - start);
    await new Promise(requestAnimationFrame); }
  return times; })()"""
# A range of a column moves over its chart: from the change of the filter to the frame with what it leaves.
OURS_BRUSH = """(async () => { const map = latentviz.map, times = [];
  document.querySelector(".filter .fold").click(); await new Promise((go) => setTimeout(go, 1000));
  for (let k = 0; k < arg; k++) { const from = -1 + k / arg, start = performance.now();
    await map.setFilters(new Map([["value", { from, to: from + 1 }]])); map.view.flush(); map.renderer.finish();
    times.push(performance.now() - start); await new Promise(requestAnimationFrame); }
  await map.setFilters(new Map()); return times; })()"""
# All items in the table, sorted by each column whose head can be clicked.
OURS_SORT = """(async () => { const map = latentviz.map, times = [];
  map.select(Array.from(map.store.row.keys())); await new Promise((go) => setTimeout(go, 500));
  for (const head of document.querySelectorAll(".selection th button")) { const start = performance.now();
    head.click(); times.push(performance.now() - start); await new Promise(requestAnimationFrame); }
  return times; })()"""
PLOTLY_ZOOM = """(async () => { const gd = document.querySelector(".js-plotly-plot"), times = [];
  const { xaxis: { range: x }, yaxis: { range: y } } = gd._fullLayout; const pixel = new Uint8Array(4);
  for (let k = 0; k < arg; k++) { const by = k % 2 ? 1 : 0.8, at = ([a, b]) => [a * by, b * by];
    const start = performance.now(); await Plotly.relayout(gd, { "xaxis.range": at(x), "yaxis.range": at(y) });
    for (const c of gd.querySelectorAll(".gl-container canvas")) { const gl = c.getContext("webgl");
      if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel); }
    times.push(performance.now() - start); await new Promise(requestAnimationFrame); }
  return times; })()"""
LONG_TASKS = """window.tasks = []; new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(
  ({ startTime, duration }) => [startTime, duration]))).observe({ type: "longtask", buffered: true });"""
PLOTLY_PLACES = """(() => { const gd = document.querySelector(".js-plotly-plot"), box = gd.getBoundingClientRect();
  const { xaxis: x, yaxis: y } = gd._fullLayout;
  return gd._fullData.map((t) => { const i = Math.floor(t.x.length / 2);
    return [box.left + x._offset + x.l2p(t.x[i]), box.top + y._offset + y.l2p(t.y[i])]; }); })()"""
PLOTLY_HOVER = """() => { const gd = document.querySelector(".js-plotly-plot"); let start = 0; window.took = null;
  addEventListener("mousemove", () => { start ||= performance.now(); }, { once: true, capture: true });
  gd.once("plotly_hover", () => { window.took = performance.now() - start; }); }"""
# DataMapPlot reacts to the pointer in a later frame; we wait until its tooltip shows another item.
DATAMAPPLOT_HOVER = """() => { const tip = () => document.querySelector(".deck-tooltip")?.textContent;
  const before = tip(); window.took = null;
  addEventListener("pointermove", () => { const start = performance.now();
    const wait = () => { if (tip() !== before) window.took = performance.now() - start;
      else requestAnimationFrame(wait); };
    wait(); }, { once: true, capture: true }); }"""


def fashion(folder: Path, cache: Path) -> MapData:
    """Fashion-MNIST with UMAP points of its pixels, which are computed once and kept in `cache`."""

    def read(name: str, header: int) -> np.ndarray:
        raw = gzip.decompress((folder / name).read_bytes())
        return np.frombuffer(raw, np.uint8, offset=header)

    images = np.concatenate([read(f"{part}-images-idx3-ubyte.gz", 16) for part in ("train", "t10k")])
    images = images.reshape(-1, 1, 28, 28)
    labels = np.concatenate([read(f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k")])
    kept = cache / "fashion.npz"
    if not kept.exists():
        import hdbscan
        import umap
        from sklearn.decomposition import PCA

        mu = PCA(32, random_state=0, whiten=True).fit_transform(images.reshape(len(images), -1) / 255.0)
        points = umap.UMAP(random_state=0).fit_transform(mu)
        cluster = hdbscan.HDBSCAN(min_cluster_size=300, min_samples=10, cluster_selection_method="leaf").fit(points)
        cache.mkdir(parents=True, exist_ok=True)
        found = {"cluster": cluster.labels_, "probability": cluster.probabilities_, "outlier": cluster.outlier_scores_}
        np.savez(kept, mu=mu.astype(np.float32), points=points, **found)
    stored = np.load(kept)
    names = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    return map_data(
        stored["points"],
        stored["cluster"],
        stored["probability"],
        stored["outlier"],
        images=images,
        labels=[names[k] for k in labels],
        decoder=random_decoder(stored["mu"]),
    )


def blobs(n: int, *, images: bool = False) -> MapData:
    """Points in 60 clusters and noise, with probabilities and outlier scores."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-20, 20, (60, 2))
    cluster = np.where(rng.uniform(size=n) < 0.05, -1, rng.integers(0, 60, n))
    near = centres[cluster] + rng.normal(size=(n, 2)) * rng.uniform(0.2, 1.2, (60, 1))[cluster]
    points = np.where(cluster[:, None] < 0, rng.uniform(-22, 22, (n, 2)), near)
    more: dict[str, Any] = {"columns": {"value": rng.normal(size=n)}} if n == BRUSHED else {}
    if images:
        drawn = rng.integers(0, 256, (500, 1, 7, 7), np.uint8).repeat(4, axis=2).repeat(4, axis=3)
        more = {"images": drawn[np.arange(n) % 500], "decoder": random_decoder(rng.normal(size=(n, 32)))}
    return map_data(points, cluster, np.where(cluster < 0, 0, rng.beta(8, 1, n)), rng.beta(1, 9, n), **more)


def map_data(
    points: np.ndarray, cluster: np.ndarray, probability: np.ndarray, outlier: np.ndarray, **more: Any
) -> MapData:
    """The data of a map with generated ids and these parts."""
    return MapData(
        ids=[f"item-{i}" for i in range(len(points))],
        points=points.astype(np.float32),
        cluster=cluster.astype(np.int32),
        nearest_cluster=np.maximum(cluster, 0).astype(np.int32),
        probability=probability.astype(np.float32),
        outlier_score=outlier.astype(np.float32),
        title=f"{len(points):,} points",
        **more,
    )


def random_decoder(mu: np.ndarray) -> DecoderData:
    """A decoder with the shapes of the default image network for 28×28 and random weights."""
    rng = np.random.default_rng(0)

    def layer(kind: str, *shape: int, **options: Any) -> Layer:
        outs = shape[1] if kind == "conv_transpose2d" else shape[0]
        return Layer(kind, options, rng.normal(0, 0.05, shape).astype(np.float32), np.zeros(outs, np.float32))

    twice: dict[str, Any] = {"stride": [2, 2], "padding": [1, 1], "output_padding": [0, 0]}
    layers = [
        layer("linear", 256, 32),
        Layer("silu"),
        layer("linear", 2048, 256),
        Layer("silu"),
        Layer("reshape", {"shape": [128, 4, 4]}),
        layer("conv_transpose2d", 128, 64, 3, 3, **twice),
        Layer("silu"),
        layer("conv_transpose2d", 64, 32, 4, 4, **twice),
        Layer("silu"),
        layer("conv_transpose2d", 32, 1, 4, 4, **twice),
        Layer("sigmoid"),
        Layer("reshape", {"shape": [1, 28, 28]}),
    ]
    return DecoderData(mu.astype(np.float32), (1, 28, 28), layers)


def write_plotly(path: Path, data: MapData) -> None:
    """Write a plain Plotly map: one scattergl trace per cluster, ids as hover text."""
    figure = go.Figure(
        [
            go.Scattergl(
                x=data.points[rows, 0],
                y=data.points[rows, 1],
                mode="markers",
                name=data.name(c),
                text=[data.ids[row] for row in rows],
                marker={"size": 3},
            )
            for c in [-1, *data.clusters]
            for rows in [np.flatnonzero(data.cluster == c)]
        ]
    )
    figure.write_html(path, include_plotlyjs=True, config={"showSendToCloud": False})


def write_datamapplot(python: str, path: Path, data: MapData) -> None:
    """Write the same points with DataMapPlot, with images as thumbnails if there are any."""
    images = data.images if data.images is not None else np.zeros(0)
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, points=data.points, cluster=data.cluster, images=images)
        file.flush()
        script = Path(__file__).with_name("map_datamapplot.py")
        subprocess.run([python, str(script), file.name, str(path)], check=True, capture_output=True)


def open_page(browser: Any, path: Path) -> tuple[Any, float, list[str]]:
    """Open a file; returns the page, the seconds until points are visible, and the requests it made.

    Points are visible once a screenshot of the middle has more than 200 coloured pixels, for every kind of map.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if request.url.startswith("http") else None)
    page.set_default_timeout(WAIT)
    page.add_init_script(LONG_TASKS)
    start = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    while not shows_points(page):
        if time.perf_counter() - start > WAIT / 1000:
            raise TimeoutError(f"{path}: no points visible after {WAIT / 1000:.0f} s")
    return page, time.perf_counter() - start, requests


def shows_points(page: Any) -> bool:
    """Whether the middle of the page has more than 200 pixels that are not grey."""
    try:
        png = page.screenshot(clip={"x": 400, "y": 150, "width": 600, "height": 600})
    except Exception:  # noqa: BLE001 - playwright's, while the page is too busy for a screenshot
        return False
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    return int(np.count_nonzero(np.ptp(pixels, axis=2) > 40)) > 200


def measure(browser: Any, path: Path, kind: str, frames: int) -> dict[str, Any]:
    """Size, first paint, hover and zoom of one file."""
    paints = []
    for _ in range(OPENINGS - 1):
        page, paint, _ = open_page(browser, path)
        paints.append(paint)
        page.close()
    page, paint, requests = open_page(browser, path)
    paint = statistics.median([*paints, paint])
    result: dict[str, Any] = {"mb": path.stat().st_size / 1e6, "paint": paint, "requests": len(requests)}
    if kind == "ours":
        page.wait_for_selector("html[data-ready]", state="attached")
    elif kind == "plotly":
        page.wait_for_function("document.querySelector('.js-plotly-plot')?._fullLayout")
    page.wait_for_timeout(1500)
    if kind == "ours":
        since = "([start]) => start >= latentviz.map.timings.points"
        late = page.evaluate(f"window.tasks.filter({since}).map(([, duration]) => duration)")
        result["task"] = max(late, default=0.0)
    zoom = {"ours": OURS_ZOOM, "plotly": PLOTLY_ZOOM}.get(kind)
    if kind == "ours":
        times = page.evaluate(f"async (arg) => {OURS_HOVER}", frames)
    else:
        spread = [(350 + 700 * ((k * 0.618) % 1), 200 + 500 * ((k * 0.414) % 1)) for k in range(10)]
        places = page.evaluate(PLOTLY_PLACES)[:10] if kind == "plotly" else spread
        times = hover(page, PLOTLY_HOVER if kind == "plotly" else DATAMAPPLOT_HOVER, places)
    result["hover"] = statistics.median(times) if times else None
    if zoom:
        result["zoom"] = statistics.median(page.evaluate(f"async (arg) => {zoom.replace('MOVING', 'false')}", frames))
    if kind == "ours":
        if "value" in page.evaluate("[...latentviz.map.columns.keys()]"):
            result["brush"] = statistics.median(page.evaluate(f"async (arg) => {OURS_BRUSH}", frames))
        result["sort"] = max(page.evaluate(OURS_SORT))
        page.evaluate("latentviz.map.select(null)")
        moving = page.evaluate(f"async (arg) => {OURS_ZOOM.replace('MOVING', 'true')}", 2 * frames)
        result["motion"] = statistics.median(moving[frames:])
    page.close()
    return result


def hover(page: Any, arm: str, places: list[tuple[float, float]]) -> list[float]:
    """Milliseconds from each pointer move to the tooltip, if it appeared within 8 s."""
    times = []
    for x, y in places:
        page.evaluate(arm)
        page.mouse.move(x, y)
        try:
            page.wait_for_function("window.took !== null", timeout=8000)
            times.append(page.evaluate("window.took"))
        except Exception:  # noqa: BLE001 - playwright's timeout: there is no point there
            continue
    return times


def sizes(data: MapData, folder: Path) -> dict[str, float]:
    """Base64 bytes per point of the parts of a map: points, thumbnails, decoder and latents."""
    path = folder / "parts.html"
    write_map(path, data)
    found = {name: len(text) for name, text in re.findall(r'id="lv-([\w-]+)">([^<]*)<', path.read_text("utf-8"))}
    n = len(data)

    def share(*starts: str) -> float:
        return sum(size for name, size in found.items() if name.startswith(starts)) / n

    return {
        "points": share("points", "ids", "field"),
        "thumbnails": share("sheet"),
        "decoder": share("weights", "latent"),
        "total": path.stat().st_size,
    }


def table(results: dict[str, Any], version: str) -> str:
    """The results and their budgets, as Markdown."""
    n = SIZES[0]
    ours, pictured = results[f"ours {n}"], results[f"ours {n} with thumbnails"]
    parts = results["parts"]
    checks = [
        (f"file, {n:,} points", f"{ours['mb']:.2f} MB", f"≤ {2 + n * 10 / 1e6:.2f} MB", ours["mb"] <= 2 + n * 1e-5),
        ("a thumbnail", f"{parts['thumbnails']:.0f} B", "≤ 210 B", parts["thumbnails"] <= 210),
        (
            "file with thumbnails",
            f"{pictured['mb']:.2f} MB",
            f"≤ {2 + n * 220 / 1e6:.2f} MB",
            pictured["mb"] <= 2 + n * 2.2e-4,
        ),
        ("decoder and latents", f"{parts['decoder']:.1f} B per point", "≤ 25 B", parts["decoder"] <= 25),
        ("file, 1M points", f"{results['ours 1000000']['mb']:.2f} MB", "≤ 13 MB", results["ours 1000000"]["mb"] <= 13),
    ]
    for size in (n, SIZES[-1]):
        hover = results[f"ours {size}"]["hover"]
        checks.append((f"hover at {size:,}", f"{hover:.1f} ms", "< 10 ms", hover < 10))
        task = results[f"ours {size}"]["task"]
        checks.append((f"longest task after first paint, {size:,}", f"{task:.0f} ms", "≤ 200 ms", task <= 200))
    for name, task in results["tasks"].items():
        checks.append((f"longest task after first paint, {name}", f"{task:.0f} ms", "≤ 200 ms", task <= 200))
    for size in SIZES[1:]:
        for kind, how in (("motion", "in motion"), ("zoom", "all points")):
            ratio = results[f"ours {size}"][kind] / results[f"plotly {size}"]["zoom"]
            checks.append((f"zoom frame at {size:,}, {how}", f"{ratio:.2f} of scattergl", "≤ 0.20", ratio <= 0.2))
    brush, sort = results[f"ours {BRUSHED}"]["brush"], results[f"ours {SIZES[-1]}"]["sort"]
    checks.append((f"a range brushed at {BRUSHED:,}", f"{brush:.0f} ms", "≤ 50 ms", brush <= 50))
    checks.append((f"slowest column to sort {SIZES[-1]:,} rows by", f"{sort:.0f} ms", "≤ 1000 ms", sort <= 1000))
    for extra, aim in (("", 0.65), (" with thumbnails", 0.40)):
        if peer := results.get(f"dmp {n}{extra}"):
            ratio = results[f"ours {n}{extra}"]["mb"] / peer["mb"]
            checks.append((f"file{extra}, of DataMapPlot's", f"{ratio:.2f}", f"≤ {aim}", ratio <= aim))
    if peer := results.get(f"dmp {n}"):
        ratio = ours["paint"] / peer["paint"]
        checks.append(("first paint, of DataMapPlot's", f"{ratio:.2f}", "≤ 0.3", ratio <= 0.3))
    asked = sum(result["requests"] for name, result in results.items() if name.startswith("ours"))
    checks.append(("network requests", str(asked), "0", asked == 0))
    lines = [
        "# The map file, measured",
        "",
        f"Chromium {version}, headless, software GL; made by `benchmarks/map.py`.",
        "",
        "| | measured | aim | |",
        "|---|---|---|---|",
        *(f"| {what} | {got} | {aim} | {'met' if met else '**missed**'} |" for what, got, aim, met in checks),
        "",
        "| file | MB | first paint s | hover ms | zoom frame ms | in motion ms | requests |",
        "|---|---|---|---|---|---|---|",
    ]
    makers = {"ours": "latentviz", "plotly": "plotly write_html", "dmp": "DataMapPlot"}
    for name, result in results.items():
        if name not in {"parts", "tasks"}:
            maker, points, *extra = name.split(" ", 2)
            figures = [result.get(key) for key in ("paint", "hover", "zoom", "motion")]
            cells = ["–" if figure is None else f"{figure:.1f}" for figure in figures]
            lines.append(
                f"| {makers[maker]}, {int(points):,} {' '.join(extra)} | {result['mb']:.2f} | "
                f"{' | '.join(cells)} | {result['requests']} |"
            )
    note = (
        "Zoom: median time of a frame that draws the whole map at another scale, until its pixels can be read. In "
        "motion, our layer draws as many points as the machine keeps up with, and all of them at rest. "
        "Hover: from the pointer's move to the tooltip; for DataMapPlot, to a tooltip of another item."
    )
    return "\n".join([*lines, "", note, ""])


def main() -> None:
    """Measure everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, help="folder with Fashion-MNIST's four IDX files")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "latentviz-benchmarks")
    parser.add_argument("--datamapplot", help="the Python of an environment with DataMapPlot")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--frames", type=int, default=15)
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="maps of real runs, for their longest task")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "map.md")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright  # imported here, so that --help works without it

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=ARGUMENTS)
        # The first page with GL starts the graphics process, which is not part of any map's time.
        first = browser.new_page()
        first.evaluate("document.createElement('canvas').getContext('webgl2').finish()")
        first.close()
        results = run_all(browser, Path(scratch), arguments)
        results["tasks"] = {name_of(path): measure(browser, path, "ours", 1)["task"] for path in arguments.also}
        version = browser.version
        browser.close()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(table(results, version), encoding="utf-8")
    print(arguments.output.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """The title of a map."""
    found = re.search(r"<title>([^<]*)</title>", path.read_text(encoding="utf-8"))
    return found[1] if found else path.name


def run_all(browser: Any, scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Results of every file: size, paint, hover and zoom by maker, number of points, and thumbnails."""
    full = fashion(arguments.fashion, arguments.cache) if arguments.fashion else blobs(70_000, images=True)
    results: dict[str, Any] = {"parts": sizes(full, scratch)}
    for n in SIZES:
        bare = map_data(full.points, full.cluster, full.probability, full.outlier_score) if n == SIZES[0] else blobs(n)
        makers: list[tuple[str, str, MapData]] = [("ours", "", bare), ("plotly", "", bare), ("dmp", "", bare)]
        if n == SIZES[0]:
            pictured = map_data(full.points, full.cluster, full.probability, full.outlier_score, images=full.images)
            makers += [("ours", " with thumbnails", pictured), ("dmp", " with thumbnails", pictured)]
        for maker, extra, data in makers:
            if maker == "dmp" and (not arguments.datamapplot or n > 300_000):
                continue
            path = scratch / "map.html"
            {
                "ours": write_map,
                "plotly": write_plotly,
                "dmp": lambda p, d: write_datamapplot(arguments.datamapplot, p, d),
            }[maker](path, data)
            results[f"{maker} {n}{extra}"] = measure(browser, path, maker, arguments.frames)
            print(f"{maker} {n}{extra}: {results[f'{maker} {n}{extra}']}", flush=True)
            path.unlink()
    return results


if __name__ == "__main__":
    main()
