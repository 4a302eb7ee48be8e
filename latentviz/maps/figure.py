"""`figure`: the map as a Plotly figure, for Python and notebooks."""

import html

import numpy as np
import plotly.graph_objects as go

from latentviz.maps.contents import describe_clusters
from latentviz.maps.data import MapData
from latentviz.maps.static import clip


def figure(data: MapData) -> go.Figure:
    """Makes one scattergl trace per cluster, noise first and grey; `customdata` holds the items' rows."""
    order, points = data.order, np.asarray(data.points)[data.order]
    size = float(np.clip(3_000 / max(len(order), 1) ** 0.8, 2, 7))
    traces = [
        go.Scattergl(
            x=points[cluster.rows, 0],
            y=points[cluster.rows, 1],
            customdata=order[cluster.rows],
            mode="markers",
            name=_safe(cluster.name),
            marker={"size": size, "color": cluster.colour, "opacity": 0.45 if cluster.id < 0 else 0.8},
            text=[_describe(data, row) for row in order[cluster.rows]],
            hovertemplate="%{text}<extra></extra>",
        )
        for cluster in describe_clusters(data)
    ]
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
    """Writes an item's hover text."""
    label = None if data.labels is None else data.labels[row]
    text = None if data.texts is None else data.texts[row]
    lines = [data.ids[row], data.name(int(data.cluster[row])), label, text]
    return "<br>".join(_safe(str(line)) for line in lines if line is not None)


def _safe(text: str) -> str:
    """Escapes text, part of which Plotly would otherwise read as markup."""
    return html.escape(clip(text, 120), quote=False)
