"""What a map can show. A feature is an entry in `LAYERS`, a JavaScript file, and a function that packs its data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from latentviz.maps.contents import Part, pack_neighbours, pack_thumbnails
from latentviz.maps.data import MapData
from latentviz.maps.decoding import pack_centres, pack_decoder
from latentviz.maps.tree import pack_regions, pack_tree


@dataclass(frozen=True)
class MapLayer:
    """One feature of the map.

    Attributes:
        about: what it shows, in one line.
        pack: packs what it needs besides the points; None for nothing.
    """

    about: str
    pack: Callable[[MapData], Part] | None = None


# Name → layer, in the order in which the page starts them; the file is page/layers/<name>.js.
LAYERS: Mapping[str, MapLayer] = {
    "theme": MapLayer("light or dark, by the system's setting or as chosen"),
    "header": MapLayer("title and summary"),
    "toolbar": MapLayer("tools, zoom and switches"),
    "thumbnails": MapLayer("a thumbnail of every item", pack_thumbnails),
    "hover": MapLayer("the item under the pointer: thumbnail or text, id, cluster, label"),
    "search": MapLayer("search over ids, labels, names, texts and captions"),
    "colour": MapLayer("colour by cluster, label, any column, outlier score, probability"),
    "filter": MapLayer("show only items in a range or with a value"),
    "clusters": MapLayer("the list of clusters: isolate, hide, sort"),
    "tree": MapLayer("the condensed tree, linked with the map", pack_tree),
    "decoder": MapLayer("the decoded image or text under the pointer", pack_decoder),
    "cards": MapLayer("an item's card with its nearest neighbours in mu", pack_neighbours),
    "groups": MapLayer("a cluster's card: decoded centre, medoid, exemplars, keywords; rename it", pack_centres),
    "line": MapLayer("decoded images along a line between two places"),
    "select": MapLayer("lasso and box, the table of a selection, CSV and JSON"),
    "images": MapLayer("images, or the first words of texts, on the map as one zooms in"),
    "outline": MapLayer("an outline around the active cluster"),
    "labels": MapLayer("cluster names on the map, largest first, finer ones as one zooms in", pack_regions),
    "picture": MapLayer("save the map as PNG or SVG, and the clusters' names"),
    "keyboard": MapLayer("keyboard shortcuts and their list"),
    "link": MapLayer("the view in the page's address"),
}
