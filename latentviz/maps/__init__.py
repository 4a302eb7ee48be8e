"""Maps: points, clusters and what they stand for, as an interactive HTML file, as pictures, as a Plotly figure."""

from latentviz.clustering.tree import condensed_tree
from latentviz.maps.data import MapData
from latentviz.maps.decoder import DecoderData, Layer
from latentviz.maps.export import decoder_data, text_decoder_data
from latentviz.maps.figure import figure
from latentviz.maps.html import write_map
from latentviz.maps.layers import LAYERS
from latentviz.maps.static import write_static

__all__ = [
    "LAYERS",
    "DecoderData",
    "Layer",
    "MapData",
    "condensed_tree",
    "decoder_data",
    "figure",
    "text_decoder_data",
    "write_map",
    "write_static",
]
