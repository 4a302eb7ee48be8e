"""The map as a Jupyter widget: the selection, the names of the clusters and tags, in the notebook and on the map."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from latentviz.display import without_plotly
from latentviz.errors import ArgumentError, did_you_mean
from latentviz.maps.html import PAGE
from latentviz.progress import plural

if TYPE_CHECKING:
    import pandas as pd


class MapWidget(anywidget.AnyWidget):
    """A map whose selection, names and tags can be read and set.

    What is set here appears on the map, and the other way round. `observe` reports changes of `rows`, `names` and
    `tags`.

    Attributes:
        rows: row numbers of the selected items, ascending.
        names: cluster → name, of all clusters; those that are not given when it is set get their first names back.
        tags: id → its tags, a tuple; only of items that have any.
    """

    _esm = (PAGE / "widget/notebook.js").read_text(encoding="utf-8")
    page = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    rows = traitlets.List(traitlets.Int()).tag(sync=True)
    names = traitlets.Any().tag(
        sync=True,
        to_json=lambda names, _: {str(number): name for number, name in names.items()},
        from_json=lambda names, _: {int(number): name for number, name in names.items()},
    )
    tags = traitlets.Any().tag(sync=True, to_json=lambda tags, _: dict(tags))

    def __init__(self, map_file: Path, points: "pd.DataFrame", names: Mapping[int, str], height: int) -> None:
        """Makes the widget.

        Args:
            map_file: the HTML map.
            points: of the clustering, in the order of the rows.
            names: cluster → its name, of all clusters.
            height: in pixels, from 100 to 10,000.

        Raises:
            ArgumentError: the height is another one.
        """
        if not 100 <= height <= 10_000:
            raise ArgumentError(f"height: must be 100 to 10,000 pixels (got {height})")
        self._points, self._first = points, dict(names)
        self._row = {item: row for row, item in enumerate(points["id"])}
        script = (PAGE / "widget/frame.js").read_text(encoding="utf-8")
        page = without_plotly(map_file).replace("</body>", f"<script>\n{script}</script>\n</body>")
        super().__init__(page=page, height=height, rows=[], names={}, tags={})

    def __repr__(self) -> str:
        items, clusters = plural(len(self._points), "item"), plural(len(self._first), "cluster")
        return f"MapWidget: {items}, {clusters}, {len(self.rows):,} selected"

    @property
    def selection(self) -> "pd.DataFrame":
        """The selected items, rows of `result.points`; set it to ids, to rows of it, or to a boolean mask."""
        return self._points.iloc[list(self.rows)]

    @selection.setter
    def selection(self, items: Any) -> None:
        if hasattr(items, "columns"):  # a part of result.points
            items = items["id"]
        given = [] if items is None else [items] if isinstance(items, str) else list(items)
        if given and all(isinstance(each, (bool, np.bool_)) for each in given):
            if len(given) != len(self._points):
                raise ArgumentError(
                    f"widget.selection: a mask needs one truth value per item (got {len(given):,}); "
                    f"give {plural(len(self._points), 'value')} in the order of result.points, or ids"
                )
            self.rows = np.flatnonzero(given).tolist()
        else:
            self.rows = sorted({self._find(each, "widget.selection") for each in given})

    def _find(self, item: object, key: str) -> int:
        row = self._row.get(item) if isinstance(item, str) else None
        if row is None:
            near = did_you_mean(str(item), list(self._row)[:20_000])
            raise ArgumentError(f"{key}: no item has this id (got {item!r}); ids are in result.points.{near}")
        return int(row)

    @traitlets.validate("rows")
    def _check_rows(self, proposal: Mapping[str, Any]) -> list[int]:
        rows: list[int] = proposal["value"]
        if rows and not 0 <= min(rows) <= max(rows) < len(self._points):
            raise ArgumentError(f"widget.rows: must be 0 to {len(self._points) - 1:,} (got {min(rows)} to {max(rows)})")
        return rows

    @traitlets.validate("names")
    def _check_names(self, proposal: Mapping[str, Any]) -> Mapping[int, str]:
        given = _mapping(proposal["value"], "names", "cluster → name")
        for number, name in given.items():
            if number not in self._first or not isinstance(name, str):
                raise ArgumentError(
                    f"widget.names: takes the numbers of clusters and names (got {number!r}: {name!r}); "
                    f"clusters are {', '.join(map(str, self._first)) or 'none'}"
                )
        return MappingProxyType({number: given.get(number) or first for number, first in self._first.items()})

    @traitlets.validate("tags")
    def _check_tags(self, proposal: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for item, given in _mapping(proposal["value"], "tags", "id → tags").items():
            self._find(item, "widget.tags")
            words = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
            if not all(isinstance(word, str) for word in words):
                raise ArgumentError(f"widget.tags: tags are texts (got {given!r} for {item!r}); give one or a list")
            found |= {item: words} if words else {}
        return MappingProxyType(found)


def _mapping(value: object, name: str, content: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ArgumentError(f"widget.{name}: must be a dict, {content} (got {type(value).__name__})")
    return value
