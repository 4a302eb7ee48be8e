"""`figure`: the map as a plain Plotly figure, for Python and notebooks."""

import html

import numpy as np
import plotly.graph_objects as go

from latentviz.maps.contents import describe_clusters, order_of
from latentviz.maps.data import MapData
from latentviz.maps.static import clip


def figure(data: MapData) -> go.Figure:
    """Returns one scattergl trace a cluster, noise first and grey; `customdata` holds the items' rows."""
    order = order_of(data)
    points = np.asarray(data.points)[order]
    size = float(np.clip(3_000 / max(len(order), 1) ** 0.8, 2, 7))
    traces = []
    for cluster in describe_clusters(data, order):
        part = slice(cluster["start"], cluster["start"] + cluster["size"])
        noise = cluster["id"] < 0
        traces.append(
            go.Scattergl(
                x=points[part, 0],
                y=points[part, 1],
                customdata=order[part],
                mode="markers",
                name=_safe(cluster["name"]),
                marker={"size": size, "color": cluster["colour"], "opacity": 0.45 if noise else 0.8},
                text=[_describe(data, row) for row in order[part]],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    axis = {"visible": False, "showgrid": False, "zeroline": False}
    layout = {
        "title": {"text": _safe(data.title), "subtitle": {"text": _safe(" · ".join(data.described()))}},
        "template": "plotly_white",
        "xaxis": axis,
        "yaxis": {**axis, "scaleanchor": "x"},
        "dragmode": "pan",
        "legend": {"itemsizing": "constant", "itemclick": "toggleothers", "itemdoubleclick": "toggle"},
        "margin": {"l": 10, "r": 10, "t": 70, "b": 10},
        "hoverlabel": {"align": "left"},
    }
    return go.Figure(traces, layout)


def _describe(data: MapData, row: int) -> str:
    """Returns the hover text of an item."""
    label = None if data.labels is None else data.labels[row]
    lines = [data.ids[row], data.name(int(data.cluster[row])), *([] if label is None else [str(label)])]
    if data.texts is not None:
        lines.append(data.texts[row])
    return "<br>".join(_safe(line) for line in lines)


def _safe(text: str) -> str:
    """Returns text that Plotly shows as it is: it takes some markup in texts for its own."""
    return html.escape(clip(text, 120), quote=False)
