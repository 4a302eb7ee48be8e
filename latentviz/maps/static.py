"""The map as images for print: `map.png` and `map.svg`, with labels that do not overlap."""

import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from latentviz.maps.contents import MapCluster, describe_clusters
from latentviz.maps.data import MapData
from latentviz.maps.framing import bulk_box
from latentviz.progress import plural
from latentviz.runs.files import atomic_write

VECTOR_LIMIT = 5_000  # points; above, an SVG holds them as one image and only the text as vectors
LONGEST_LABEL = 36  # characters
_INK, _SOFT = "#16181d", "#5d6470"
# The installed ones of these are used; together they cover most scripts.
_FONTS = ["DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei"]
_FONTS += ["Arial Unicode MS", "PingFang SC", "Microsoft YaHei"]
GAP = 4  # pixels between a name and its cluster
FAR = 2.5  # median distances from a cluster's centre beyond which its points are a piece of their own
COUNTED = 20_000  # points, at most, of which those under a name are counted


def write_static(png: Path, svg: Path | None, data: MapData) -> None:
    """Writes the map as a PNG of 2400×1800 pixels, and as SVG unless `svg` is None; same data, same bytes."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [name for name in _FONTS if name in installed] or ["sans-serif"]
    settings = {"font.family": fonts, "svg.hashsalt": "latentviz", "svg.fonttype": "path", "text.parse_math": False}
    metadata = {"png": {"Software": "latentviz"}, "svg": {"Date": None, "Creator": "latentviz"}}
    with mpl.rc_context(settings), warnings.catch_warnings():  # type: ignore[arg-type]
        # A character that no installed font has is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = draw(data)
        for path, kind in ((png, "png"), (svg, "svg")):
            if path is not None:
                with atomic_write(path) as temporary:
                    figure.savefig(temporary, format=kind, dpi=240, metadata=metadata[kind])


def draw(data: MapData) -> Figure:
    """Draws points in the map's colours, cluster names, title and summary."""
    figure = Figure(figsize=(10, 7.5), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.86))
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    points = np.asarray(data.points)[data.order]
    clusters = describe_clusters(data)
    for cluster in clusters:
        noise = cluster.id < 0
        axes.scatter(
            x=points[cluster.rows, 0],
            y=points[cluster.rows, 1],
            s=float(np.clip(90_000 / max(len(points), 1), 0.4, 16)) * (0.5 if noise and len(clusters) > 1 else 1),
            c=cluster.colour,
            linewidths=0,
            alpha=0.45 if noise else 0.8,
            zorder=1 if noise else 2,
            rasterized=len(points) > VECTOR_LIMIT,
        )
    axes.margins(0.04)
    lines = data.described() + _frame(figure, axes, points)
    figure.text(0.03, 0.965, clip(data.title, 70), size=17, weight="bold", color=_INK, va="top")
    figure.text(0.03, 0.918, clip(" · ".join(lines), 150), size=9, color=_SOFT, va="top")
    _label(figure, axes, [cluster for cluster in clusters if cluster.id >= 0], points)
    return figure


def _frame(figure: Figure, axes: Axes, points: np.ndarray) -> list[str]:
    """Frames points (n, 2) without a few far groups, as the page does; returns a line that counts those outside."""
    x0, y0, x1, y1 = bulk_box(points)
    if not ((points < (x0, y0)) | (points > (x1, y1))).any():
        return []
    axes.set(xlim=(x0, x1), ylim=(y0, y1))
    figure.draw_without_rendering()  # equal scales widen one of the limits
    low, high = zip(axes.get_xlim(), axes.get_ylim(), strict=True)
    outside = int(((points < low) | (points > high)).any(axis=1).sum())
    return [f"{plural(outside, 'item')} outside this frame"] if outside else []


def clip(text: str, length: int) -> str:
    """Shortens text to one line of at most `length` characters.

    >>> clip("a very long name", 10)
    'a very lo…'
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _label(figure: Figure, axes: Axes, clusters: list[MapCluster], points: np.ndarray) -> None:
    """Writes the names, largest cluster first, each where it covers the fewest points; without room it is left out.

    As on the page, a name is over the points of its cluster only if the cluster is large, else next to them.

    Args:
        figure: the whole figure.
        axes: with the points.
        clusters: without noise.
        points: float (n, 2), in drawing order.
    """
    figure.draw_without_rendering()  # fixes the axes' limits, on which the texts' boxes depend
    drawn = axes.transData.transform(points)  # pixels
    seen = drawn[:: max(1, len(drawn) // COUNTED)]
    whole = np.array([figure.bbox.width, figure.bbox.height])
    taken: list[Bbox] = []
    largest = max((cluster.size for cluster in clusters), default=1)
    for cluster in sorted(clusters, key=lambda cluster: -cluster.size):
        text = axes.annotate(
            clip(cluster.name, LONGEST_LABEL),
            tuple(cluster.centre),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            zorder=5,
            color=_INK,
            weight="bold",
            size=7.5 + 4 * np.sqrt(cluster.size / largest),
            path_effects=[patheffects.withStroke(linewidth=2.6, foreground="white")],
        )
        box = text.get_window_extent()
        size = np.array([box.width, box.height])
        best: tuple[int, np.ndarray, Bbox] | None = None
        for centre in _places(drawn[cluster.rows], axes.transData.transform(cluster.centre), size):
            middle = np.clip(centre, size / 2 + 2, whole - size / 2 - 2)
            corners = np.array([middle - size / 2, middle + size / 2])
            area = Bbox(corners).padded(3)
            if any(area.overlaps(other) for other in taken):
                continue
            covered = int(((seen > corners[0]) & (seen < corners[1])).all(axis=1).sum())
            if best is None or covered < best[0]:
                best = covered, middle, area
        if best is None:
            text.remove()
            continue
        taken.append(best[2])
        offset = (best[1] - axes.transData.transform(cluster.centre)) * 72 / figure.dpi
        text.set_position((float(offset[0]), float(offset[1])))


def _places(own: np.ndarray, centre: np.ndarray, size: np.ndarray) -> list[np.ndarray]:
    """Lists the middles, (2,), to try for a name of that size (2,): alone over a cluster large enough, else around it.

    Args:
        own: float (m, 2), the cluster's points in pixels.
        centre: (2,), of the cluster.
        size: (2,), of the name.
    """
    away = np.linalg.norm(own - centre, axis=1)
    low, high = np.quantile(own[away <= FAR * np.median(away)], [0.04, 0.96], axis=0)
    if size.prod() < 0.25 * (high - low).prod() and size[0] < (high - low)[0]:
        return [centre]
    gap = size / 2 + GAP
    middle = (low + high) / 2
    around = [(middle[0], low[1] - gap[1]), (middle[0], high[1] + gap[1])]
    around += [(high[0] + gap[0], middle[1]), (low[0] - gap[0], middle[1])]
    around += [(x, y) for x in (low[0] - gap[0], high[0] + gap[0]) for y in (low[1] - gap[1], high[1] + gap[1])]
    return [*(np.array(place) for place in around), centre]
