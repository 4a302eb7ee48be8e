"""Draw a map with DataMapPlot, in a separate environment: `python map_datamapplot.py points.npz map.html`.

Needs `pip install datamapplot`, and one run of `dmp_offline_cache` with a network.
"""

import base64
import io
import sys

import datamapplot
import numpy as np
import pandas as pd
from PIL import Image


def png(pixels: np.ndarray) -> str:
    """A grey image, uint8 (h, w), as a base64 PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Read points, clusters and images from the first argument and write the map to the second."""
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
