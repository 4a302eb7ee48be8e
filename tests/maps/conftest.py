"""A small map with every feature, and real browsers to open it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentviz.maps import ClusterInfo, MapData, decoder_data, write_map

ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
# Runs in a page before its own scripts: a browser without WebGL.
NO_WEBGL = """HTMLCanvasElement.prototype.getContext = new Proxy(HTMLCanvasElement.prototype.getContext, {
  apply: (f, self, args) => args[0].startsWith("webgl") ? null : Reflect.apply(f, self, args)});"""
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]


def build(n: int = 600, **changes: Any) -> MapData:
    """Four blobs with 1 noise item in 15, a distinct image of 12×12 per item, labels and columns."""
    rng = np.random.default_rng(0)
    cluster = np.where(np.arange(n) % 15 == 0, -1, np.arange(n) % 4).astype(np.int32)
    centres = np.array([[0, 0], [8, 1], [2, 9], [9, 8]])
    points = np.where(cluster[:, None] < 0, rng.uniform(-2, 11, (n, 2)), centres[cluster] + rng.normal(0, 0.7, (n, 2)))
    images = np.zeros((n, 1, 12, 12), np.uint8)
    images[:, 0] = (np.arange(n)[:, None, None] * 7 + np.arange(144).reshape(12, 12) * 5) % 256
    distance = ((points[:, None] - points[None]) ** 2).sum(-1) if n <= 2000 else None
    values: dict[str, Any] = {
        "ids": [f"item-{i:04d}" for i in range(n)],
        "points": points.astype(np.float32),
        "cluster": cluster,
        "nearest_cluster": ((points[:, None] - centres[None]) ** 2).sum(-1).argmin(1).astype(np.int32),
        "probability": np.where(cluster < 0, 0, rng.uniform(0.5, 1, n)).astype(np.float32),
        "outlier_score": rng.uniform(0, 1, n).astype(np.float32),
        "labels": [None if i % 50 == 0 else "abcd"[i % 4] for i in range(n)],
        "sources": [f"folder/{i}.png" for i in range(n)],
        "columns": {
            "log_likelihood": -rng.uniform(50, 90, n),
            "year": 1990 + np.arange(n) % 30,
            "caption": [f"caption number {i}" for i in range(n)],
        },
        "images": images,
        "title": "Four blobs",
        "neighbours": None if distance is None else distance.argsort(axis=1)[:, 1:9].astype(np.int32),
        "cluster_info": {
            c: ClusterInfo(
                persistence=0.1 * c, keywords=["round", "small"], exemplars=np.flatnonzero(cluster == c)[:6].tolist()
            )
            for c in range(4)
        },
    }
    return MapData(**{**values, **changes})


@pytest.fixture(scope="session")
def make_data() -> Callable[..., MapData]:
    """Makes data for a map: `make_data(n, **changes)`."""
    return build


@pytest.fixture(scope="session")
def data() -> MapData:
    return build()


def find_browser(variable: str, names: list[str], package: str) -> str | None:
    """The path of a browser: the one that the environment's variable names, or one installed, if need be by apt-get."""
    found = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(
                ["apt-get", *command],
                check=False,
                capture_output=True,
                timeout=600,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
        found = next(filter(None, map(shutil.which, names)), None)
    return found


@contextmanager
def launched(kind: str, names: list[str], package: str, **settings: Any) -> Iterator[Any]:
    """A running browser; without one, the browser tests are skipped with a reason that says how to get it."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("BROWSER TESTS DID NOT RUN: `pip install playwright`")
    path = find_browser(kind.upper(), names, package)
    if path is None:
        pytest.skip(
            f"{kind.upper()} TESTS DID NOT RUN: no {kind} here; `apt-get install {package}`, or set {kind.upper()}=path"
        )
    with sync_playwright() as playwright:
        browser = getattr(playwright, kind).launch(executable_path=path, **settings)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium for a module, since its memory grows with each page."""
    with launched("chromium", NAMES, "chromium", args=ARGUMENTS) as browser:
        yield browser


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Any:
    """The browser that `open_map` opens maps in; the tests for another one override it."""
    return request.getfixturevalue("chromium")


# Resolves once the view stays the same between frames; on a busy machine a move takes a while.
STILL = """async () => {
  const place = () => ["x", "y", "scale"].map((key) => globalThis.latentviz?.map?.view?.[key]).join();
  let before;
  do {
    before = place();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise(requestAnimationFrame);
  } while (place() !== before);
}"""


class Page:
    """A map opened from file:// or an address, with its errors and network requests."""

    def __init__(self, browser: Any, path: Path | str, **settings: Any) -> None:
        script = settings.pop("script", None)
        self.context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **settings})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: (self.errors.append("dialog"), dialog.dismiss()))
        if script:
            self.page.add_init_script(script)
        self.page.goto(path if isinstance(path, str) else path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
        self.settle()

    def settle(self) -> None:
        """Waits until nothing moves."""
        self.page.wait_for_timeout(200)
        self.page.evaluate(STILL)

    def js(self, code: str, argument: Any = None) -> Any:
        """Evaluates an expression in the page; the map is `map`."""
        return self.page.evaluate(f"async (arg) => {{ const map = latentviz.map; return {code}; }}", argument)

    def until(self, code: str) -> None:
        """Waits until an expression holds in the page; the map is `map`."""
        self.page.wait_for_function(f"() => {{ const map = latentviz.map; return {code}; }}", polling=100)

    def place(self, row: int) -> tuple[float, float]:
        """An item's position in the window."""
        x, y = self.js(
            "(() => { const i = map.store.row.indexOf(arg); return [map.store.x[i], map.store.y[i]]; })()",
            row,
        )
        return self.spot(x, y)

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """The window position of a position in data coordinates."""
        px, py = self.js(
            "(() => { const b = map.stage.getBoundingClientRect(); "
            "return [b.left + map.view.toScreenX(arg[0]), b.top + map.view.toScreenY(arg[1])]; })()",
            [x, y],
        )
        return px, py

    def hover(self, row: int) -> None:
        """Moves the pointer to an item."""
        self.page.mouse.move(*self.place(row))
        self.page.wait_for_selector("#tip:not([hidden])")
        self.page.wait_for_timeout(60)

    def point_of(self, row: int) -> int:
        """An item's index in drawing order."""
        return int(self.js("map.store.row.indexOf(arg)", row))


@pytest.fixture(scope="module")
def open_map(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Page]]:
    """Opens a map of the data in the browser: `open_map(data, layers=…, options=…, **browser settings)`."""
    opened: list[Page] = []

    def run(data: MapData, *, map_arguments: dict[str, Any] | None = None, **settings: Any) -> Page:
        path = tmp_path_factory.mktemp("map") / "map.html"
        write_map(path, data, **(map_arguments or {}))
        opened.append(Page(browser, path, **settings))
        return opened[-1]

    yield run
    for page in opened:
        page.context.close()


def smooth_latents(points: np.ndarray, dims: int = 6) -> np.ndarray:
    """Latents, mu (n, dims), that vary smoothly over the map."""
    rng = np.random.default_rng(0)
    slopes = rng.normal(0, 0.2, (2, dims))
    return np.tanh(points @ slopes + rng.normal(0, 0.05, (len(points), dims))).astype(np.float32)


@pytest.fixture(scope="session")
def network() -> Any:
    """A decoder like the image networks': linear, SiLU, reshape, transposed convolutions, in unusual shapes."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 20),
        nn.SiLU(),
        nn.Linear(20, 8 * 9),
        nn.SiLU(),
        nn.Unflatten(1, (8, 3, 3)),
        nn.ConvTranspose2d(8, 6, (4, 4), stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.SiLU(),
        nn.Conv2d(6, 5, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(5, 1, 4, stride=2, padding=1),
    ).eval()
    net[6].running_mean.uniform_(-0.2, 0.2)
    net[6].running_var.uniform_(0.5, 2)
    for parameter in net.parameters():
        parameter.data *= 1.8

    def decode(z):
        with torch.no_grad():
            return net(torch.as_tensor(z)).sigmoid().numpy()

    return net, decode


@pytest.fixture(scope="session")
def full(network: Any) -> MapData:
    """The data with a decoder and a condensed tree: everything a map can contain."""
    plain = build()
    net, decode = network
    mu = smooth_latents(plain.points)
    return build(
        decoder=decoder_data(net, decode, mu, plain.points, (1, 12, 12)),
        tree=[
            {"node": 0, "parent": None, "size": 600, "birth": 0.0, "death": 1.0, "cluster": None, "row": 1},
            *(
                {"node": c + 1, "parent": 0, "size": 140, "birth": 1.0, "death": 2.0 + c, "cluster": c, "row": c + 1}
                for c in range(4)
            ),
            {
                "node": 5,
                "parent": 1,
                "size": 70,
                "birth": 2.0,
                "death": 3.0,
                "cluster": None,
                "row": 4,
                "name": "a part",
            },
        ],
    )


@pytest.fixture(scope="module")
def page(open_map: Callable[..., Page], full: MapData) -> Page:
    """A map with everything, opened once per module; `whole` resets it before each test."""
    return open_map(full)


@pytest.fixture
def whole(page: Page) -> Iterator[Page]:
    """The open map, reset; afterwards checks that there was no error."""
    page.js("""(async () => {
      document.activeElement.blur();
      map.openCluster(null);
      map.state.set({ pinned: -1, isolated: new Set(), hidden: new Set(), tool: "pan", images: true,
                      masks: new Map(), filters: new Map(), decoding: true });
      map.clearLine();
      await map.search("");
      map.select(null);
      await map.colourBy("cluster");
      map.view.fit(false);
    })()""")
    page.settle()
    yield page
    assert page.errors == []


@pytest.fixture(scope="session")
def smooth() -> Callable[[np.ndarray], np.ndarray]:
    """Makes latents for points: `smooth(points)`."""
    return smooth_latents
