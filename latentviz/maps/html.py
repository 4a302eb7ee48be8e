"""`write_map`: one HTML file that opens by double-click and asks the network for nothing."""

import html
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from latentviz.errors import choose
from latentviz.maps import blocks
from latentviz.maps.bundle import PAGE, bundle
from latentviz.maps.contents import Part, order_of, pack_items, pack_points
from latentviz.maps.data import MapData
from latentviz.maps.layers import LAYERS
from latentviz.runs.files import atomic_write


def write_map(
    path: Path, data: MapData, *, layers: Sequence[str] = tuple(LAYERS), options: Mapping[str, Any] | None = None
) -> None:
    """Writes the map to `path` in one step.

    Args:
        path: the HTML file.
        data: what to draw.
        layers: names in `LAYERS`; the others are left out of the file.
        options: what the page starts with: `theme` (auto, light, dark), `colour_by` (cluster or a field).

    Raises:
        ConfigError: a layer has no entry in `LAYERS`.
    """
    page = render(data, layers, options or {})
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(data: MapData, layers: Sequence[str] = tuple(LAYERS), options: Mapping[str, Any] | None = None) -> str:
    """Returns the map as one HTML text."""
    chosen = {name: choose(LAYERS, name, "map.layers") for name in layers}
    order = order_of(data)
    parts: dict[str, Part] = {"points": pack_points(data, order), "items": pack_items(data, order)}
    for name, layer in chosen.items():
        if layer.pack is not None:
            parts[name] = layer.pack(data, order)
    meta = {
        "title": data.title,
        "summary": data.described(),
        "options": dict(options or {}),
        "notes": [note for part in parts.values() for note in part.notes],
        **{name: part.meta for name, part in parts.items()},
    }
    ordered = [name for name in LAYERS if name in chosen]
    packed = {"app": blocks.pack(bundle(ordered).encode()), "meta": blocks.pack_json(meta)}
    for part in parts.values():
        packed |= part.blocks
    packed["plotly"] = _plotly()
    first = ["app", "meta", "points"]  # enough to draw the points while the browser reads on
    values = {
        "title": html.escape(data.title),
        "style": (PAGE / "map.css").read_text(encoding="utf-8"),
        "boot": (PAGE / "boot.js").read_text(encoding="utf-8"),
        "first": _embed(packed, first),
        "later": _embed(packed, [name for name in packed if name not in first]),
    }
    template = (PAGE / "page.html").read_text(encoding="utf-8")
    # One pass: what is put in is never searched for placeholders again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found.group(1)], template)


def _embed(packed: Mapping[str, str], names: Sequence[str]) -> str:
    """Returns the script elements of the named blocks."""
    return "".join(blocks.embed(name, packed[name]) for name in names)


@cache
def _plotly() -> str:
    """Returns plotly.js as the installed plotly package ships it, packed."""
    return blocks.pack(get_plotlyjs().encode("utf-8"))
