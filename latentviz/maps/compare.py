"""One page with two maps of the same items side by side: two copies of the map's page in frames that share its code."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from latentviz.maps import blocks
from latentviz.maps.data import MapData
from latentviz.maps.html import bundle, content, fill, joined, pack_style
from latentviz.runs.files import atomic_write

# Layers that half a window has room for; annotations and filters belong to a clustering's own map.
LAYERS = (
    *("theme", "header", "toolbar", "thumbnails", "hover", "search", "colour", "clusters", "cards", "select"),
    *("contours", "outline", "labels", "keyboard"),
)


def write_comparison(
    path: Path,
    left: MapData,
    right: MapData,
    *,
    figures: Sequence[tuple[str, str]],
    matched: Mapping[int, int],
) -> None:
    """Writes the page atomically.

    Args:
        path: the HTML file.
        left: the map A; item i is the same on both.
        right: the map B.
        figures: names and values to show above the maps.
        matched: cluster of A → its counterpart in B.
    """
    titles = (left.title, right.title)
    packed = {
        "style": pack_style(["map.css", "compare.css"]),
        "app": blocks.pack(joined(["compare.js"], "compareMaps()").encode()),
        "content": blocks.pack_json({"titles": titles, "figures": figures, "matched": [*matched.items()]}),
        "frame": blocks.pack(fill("page.html", "Map", {}).encode()),
        "map-style": pack_style(["map.css"]),
    }
    for letter, data in (("a", left), ("b", right)):
        names, own = content(data, LAYERS, {"theme": "auto", "colour_by": "cluster"})
        packed |= {f"{letter}-{name}": block for name, block in own.items()}
        packed["map-app"] = blocks.pack(bundle(names).encode())
    page = fill("compare.html", f"{titles[0]} and {titles[1]}", packed)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
