"""Draws a map with DataMapPlot, in an environment of its own: `python map_datamapplot.py points.npz map.html`.

Needs `pip install datamapplot` and once, with a network, `dmp_offline_cache`.
"""

import base64
import io
import sys

import datamapplot
import numpy as np
import pandas as pd
from PIL import Image


def png(pixels: np.ndarray) -> str:
    """Returns a grey image, uint8 (h, w), as base64 text."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Reads points, cluster and images from the first argument, and writes the second."""
    data = np.load(sys.argv[1])
    cluster = data["cluster"]
    names = np.array(["Unlabelled", *(f"Cluster {c}" for c in range(cluster.max() + 1))])[cluster + 1]
    more = {}
    if len(data["images"]):
        more = {
            "extra_point_data": pd.DataFrame({"image": [png(image[0]) for image in data["images"]]}),
            "hover_text_html_template": '<img src="data:image/png;base64,{image}" width=96><br>{hover_text}',
        }
    plot = datamapplot.create_interactive_plot(
        data["points"].astype(np.float64),
        names,
        noise_label="Unlabelled",
        inline_data=True,
        offline_mode=True,
        hover_text=np.array([f"item-{i}" for i in range(len(cluster))]),
        enable_search=True,
        **more,
    )
    plot.save(sys.argv[2])


if __name__ == "__main__":
    main()
