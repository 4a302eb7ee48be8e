"""The map as pictures for print: `map.png` and `map.svg`, with labels that do not lie on each other."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager, patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from latentviz.maps.contents import describe_clusters, order_of
from latentviz.maps.data import MapData
from latentviz.runs.files import atomic_write

# Above this many points an SVG holds them as one picture, with the text still as text.
VECTOR_LIMIT = 5_000
LONGEST_LABEL = 36
_INK, _SOFT = "#16181d", "#5d6470"
# Whatever of these is installed; together they cover most scripts.
_FONTS = [
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
    "PingFang SC",
    "Microsoft YaHei",
]


def write_static(png: Path, svg: Path | None, data: MapData) -> None:
    """Writes the map as a PNG of 2400×1800 pixels, and an SVG unless `svg` is None; same data, same bytes."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    settings: Any = {
        "font.family": [name for name in _FONTS if name in installed] or ["sans-serif"],
        "svg.hashsalt": "latentviz",
        "svg.fonttype": "path",
        "text.parse_math": False,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A letter that no installed font has is drawn as a box; that is worth no warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        picture = draw(data)
        with atomic_write(png) as temporary:
            picture.savefig(temporary, format="png", dpi=240, metadata={"Software": "latentviz"})
        if svg is not None:
            with atomic_write(svg) as temporary:
                metadata = {"Date": None, "Creator": "latentviz"}
                picture.savefig(temporary, format="svg", dpi=240, metadata=metadata)


def draw(data: MapData) -> Figure:
    """Returns the figure: points in the map's colours, cluster names, title and summary."""
    picture = Figure(figsize=(10, 7.5), facecolor="white")
    FigureCanvasAgg(picture)
    axes = picture.add_axes((0.02, 0.02, 0.96, 0.86))
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    order = order_of(data)
    points = np.asarray(data.points)[order]
    clusters = describe_clusters(data, order)
    size = float(np.clip(90_000 / max(len(order), 1), 0.4, 16))
    for cluster in clusters:
        part = points[cluster["start"] : cluster["start"] + cluster["size"]]
        noise = cluster["id"] < 0
        axes.scatter(
            part[:, 0],
            part[:, 1],
            s=size,
            c=cluster["colour"],
            linewidths=0,
            alpha=0.45 if noise else 0.8,
            zorder=1 if noise else 2,
            rasterized=len(order) > VECTOR_LIMIT,
        )
    axes.margins(0.04)
    first, *rest = data.described()
    picture.text(0.03, 0.965, clip(data.title, 70), size=17, weight="bold", color=_INK, va="top")
    picture.text(0.03, 0.918, clip(" · ".join([first, *rest]), 150), size=9, color=_SOFT, va="top")
    _label(picture, axes, [cluster for cluster in clusters if cluster["id"] >= 0])
    return picture


def clip(text: str, length: int) -> str:
    """Returns one line of at most `length` characters.

    >>> clip("a very long name", 10)
    'a very lo…'
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _label(picture: Figure, axes: Any, clusters: list[dict[str, Any]]) -> None:
    """Writes the names, largest cluster first, each where it is free: on its cluster, beside it, or not."""
    picture.draw_without_rendering()  # settles the axes, which the boxes of the texts depend on
    renderer = picture.canvas.get_renderer()  # type: ignore[attr-defined]
    taken: list[Any] = []
    largest = max((cluster["size"] for cluster in clusters), default=1)
    for cluster in sorted(clusters, key=lambda cluster: -cluster["size"]):
        text = axes.annotate(
            clip(cluster["name"], LONGEST_LABEL),
            cluster["centre"],
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            zorder=5,
            color=_INK,
            weight="bold",
            size=7.5 + 4 * np.sqrt(cluster["size"] / largest),
            path_effects=[patheffects.withStroke(linewidth=2.6, foreground="white")],
        )
        inward = _inward(text.get_window_extent(renderer), picture)
        for x, y in [(0, 0), (0, 14), (0, -14), (26, 9), (-26, 9), (26, -9), (-26, -9), (0, 26), (0, -26)]:
            text.set_position((x + inward, y))
            box = text.get_window_extent(renderer).padded(3)
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            text.remove()


def _inward(box: Any, picture: Figure) -> float:
    """Returns by how many points a text has to move to the side to lie in the picture, and not be cut off."""
    left, right = -box.x0, box.x1 - picture.bbox.width
    return float(max(left, 0) - max(right, 0)) * 72 / picture.dpi
