"""What a map can show: `LAYERS`. A feature is an entry here, a JavaScript file, and a function that packs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from latentviz.maps.contents import Part, pack_neighbours, pack_thumbnails
from latentviz.maps.data import MapData
from latentviz.maps.decoding import pack_centres, pack_decoder
from latentviz.maps.tree import pack_regions, pack_tree


@dataclass(frozen=True)
class MapLayer:
    """One feature of the map.

    Attributes:
        about: what it shows, in a line.
        pack: (data, order) → what it needs in the file under its own name; None where the points are enough.
    """

    about: str
    pack: Callable[[MapData, np.ndarray], Part] | None = None


# Name → layer, in the order in which the page starts them; the file is page/layers/<name>.js.
LAYERS: Mapping[str, MapLayer] = {
    "theme": MapLayer("light or dark, as the system prefers or as chosen"),
    "header": MapLayer("title and summary"),
    "toolbar": MapLayer("tools, zoom and switches"),
    "thumbnails": MapLayer("a small picture of every item", pack_thumbnails),
    "hover": MapLayer("what lies under the pointer: thumbnail or text, id, cluster, label"),
    "search": MapLayer("search over ids, labels, names, texts and captions"),
    "colour": MapLayer("colour by cluster, label, any column, outlier score, probability"),
    "filter": MapLayer("draw only what lies in a range or has a value"),
    "clusters": MapLayer("the list of clusters: isolate, hide, sort"),
    "tree": MapLayer("the condensed tree, linked with the map", pack_tree),
    "decoder": MapLayer("what the decoder draws under the pointer", pack_decoder),
    "cards": MapLayer("an item's card with its nearest neighbours in μ", pack_neighbours),
    "groups": MapLayer("a cluster's card: decoded centre, medoid, exemplars, keywords; rename it", pack_centres),
    "line": MapLayer("the strip that the decoder draws between two places"),
    "select": MapLayer("lasso and box, the table of a selection, CSV and JSON"),
    "images": MapLayer("pictures, or the first words of texts, on the map as one zooms in"),
    "outline": MapLayer("a line around the cluster in question"),
    "labels": MapLayer("cluster names on the map, largest first, finer ones as one zooms in", pack_regions),
    "picture": MapLayer("save the map as PNG or SVG, and the clusters' names"),
    "keyboard": MapLayer("keys, and the page that lists them"),
    "link": MapLayer("the view in the address"),
}
