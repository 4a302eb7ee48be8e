"""`write_map`: one self-contained HTML file that opens by double-click and makes no network request."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from latentviz.errors import choose
from latentviz.maps import blocks
from latentviz.maps.contents import Part, pack_annotations, pack_items, pack_neighbours, pack_points
from latentviz.maps.data import MapData
from latentviz.maps.decoding import pack_captions, pack_centres, pack_decoder
from latentviz.maps.thumbnails import pack_thumbnails
from latentviz.maps.tree import pack_regions, pack_tree
from latentviz.runs.files import atomic_write

PAGE = Path(__file__).parent / "page"
FIRST = ("style", "app", "meta", "points")  # enough to draw the points while the browser reads on
# The features of a map, in the order in which the page starts them: name → what packs the data that it needs besides
# the points. Its JavaScript is page/layers/<name>.js.
LAYERS: Mapping[str, Callable[[MapData], Part] | None] = {
    "theme": None,
    "annotations": pack_annotations,
    "header": None,
    "toolbar": None,
    "thumbnails": pack_thumbnails,
    "hover": None,
    "search": None,
    "colour": None,
    "filter": None,
    "clusters": None,
    "tree": pack_tree,
    "decoder": pack_decoder,
    "captions": pack_captions,
    "cards": pack_neighbours,
    "groups": pack_centres,
    "line": None,
    "select": None,
    "sheet": None,
    "tags": None,
    "images": None,
    "contours": lambda data: Part({}, {"landscape": data.landscape}),
    "outline": None,
    "labels": pack_regions,
    "picture": None,
    "keyboard": None,
    "link": None,
}
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w./-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|let)", re.MULTILINE)
# Whole lines of comments, and indentation: a sixth of the packed script.
_COMMENT = re.compile(r"^ *(?://.*|/\*(?s:.*?)\*/)\n|^ +", re.MULTILINE)


def write_map(
    path: Path, data: MapData, *, layers: Sequence[str] = tuple(LAYERS), options: Mapping[str, str] | None = None
) -> None:
    """Writes the map to `path` atomically.

    Args:
        path: the HTML file.
        data: what to draw.
        layers: names in `LAYERS`; the others are left out of the file.
        options: initial state of the page: `theme` (auto, light, dark), `colour_by` (cluster or a field).
    """
    page = render(data, layers, options or {})
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(data: MapData, layers: Sequence[str] = tuple(LAYERS), options: Mapping[str, str] | None = None) -> str:
    """Renders the map as HTML; everything user-made is escaped or inside packed blocks."""
    names, packed = content(data, layers, options or {})
    sheets = ["map.css", *(["explore.css"] if data.served is not None else [])]
    code = {"style": pack_style(sheets), "app": blocks.pack(bundle(names).encode())}
    return fill("page.html", data.title, {**code, **packed, "plotly": _plotly()}, data)


def content(data: MapData, layers: Sequence[str], options: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Returns the layers of a map in their order, and its packed blocks: everything but the code."""
    chosen = {name: choose(LAYERS, name, "map.layers") for name in layers}
    parts: dict[str, Part] = {"points": pack_points(data), "items": pack_items(data)}
    parts |= {name: pack(data) for name, pack in chosen.items() if pack is not None}
    meta = {
        "title": data.title,
        "summary": data.described(),
        "options": dict(options),
        "earlier": data.earlier,
        "notes": [note for part in parts.values() for note in part.notes],
        **{name: part.meta for name, part in parts.items()},
    }
    names = [name for name in LAYERS if name in chosen]
    if data.preview is not None:
        meta["preview"] = asdict(data.preview)
        names.append("preview")
    if data.served is not None:
        meta["served"] = asdict(data.served)
        names.append("explore")
    packed = {"meta": blocks.pack_json(meta)}
    for part in parts.values():
        packed |= part.blocks
    return names, packed


def pack_style(sheets: Sequence[str]) -> str:
    """Packs style sheets of the page as one."""
    style = "".join(_COMMENT.sub("", (PAGE / name).read_text(encoding="utf-8")) for name in sheets)
    return blocks.pack(style.encode())


def fill(template: str, title: str, packed: Mapping[str, str], data: MapData | None = None) -> str:
    """Fills a template with the blocks that the browser reads; `data` says what the map of a whole page may do."""
    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template).render(
        title=title,
        boot=(PAGE / "boot.js").read_text(encoding="utf-8"),
        blocks=packed,
        first=[name for name in FIRST if name in packed],
        looks=data is not None and data.preview is not None,
        asks=data is not None and data.served is not None,
    )


def bundle(layers: Sequence[str]) -> str:
    """Joins the page's JavaScript into the script that opens a map with these layers."""
    return joined(["core/app.js", *(f"layers/{name}.js" for name in layers)], f"start([{', '.join(layers)}])")


def joined(modules: Sequence[str], start: str) -> str:
    """Joins JavaScript modules of the page, in dependency order, into one script that ends with a call.

    The joined modules share one scope, so top-level names are unique across them; a test checks it.
    """
    order: list[Path] = []
    for name in modules:
        _collect((PAGE / name).resolve(), order)
    code = "\n".join(
        _COMMENT.sub("", _EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8")))) for path in order
    )
    return f'(() => {{\n"use strict";\n{code}\n{start}.catch((error) => globalThis.latentviz.fail(error));\n}})();\n'


def _collect(path: Path, order: list[Path]) -> None:
    """Appends a module to `order`, after those that it imports."""
    if path not in order:
        for found in _IMPORT.finditer(path.read_text(encoding="utf-8")):
            _collect((path.parent / found.group(1)).resolve(), order)
        order.append(path)


@cache
def _plotly() -> str:
    """Packs plotly.js as the installed plotly package ships it."""
    return blocks.pack(get_plotlyjs().encode("utf-8"))
