"""What a map can show: `LAYERS`. A feature is an entry here, a JavaScript file, and a function that packs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from latentviz.maps.contents import Part, pack_thumbnails
from latentviz.maps.data import MapData


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
    "thumbnails": MapLayer("a small picture of every item", pack_thumbnails),
    "hover": MapLayer("what lies under the pointer: thumbnail or text, id, cluster, label"),
    "labels": MapLayer("cluster names on the map, largest first, never on top of each other"),
    "clusters": MapLayer("the list of clusters: isolate, hide, sort"),
    "toolbar": MapLayer("tools, zoom and switches"),
}
