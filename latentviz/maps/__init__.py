"""Maps: points and clusters as an interactive HTML file and as static images."""

from latentviz.maps.data import ClusterInfo, MapData
from latentviz.maps.decoder import DecoderData, decoder_data, text_decoder_data
from latentviz.maps.html import LAYERS, write_map
from latentviz.maps.network import Layer
from latentviz.maps.static import write_static

__all__ = ["LAYERS", "ClusterInfo", "DecoderData", "Layer", "MapData", "decoder_data", "text_decoder_data"]
__all__ += ["write_map", "write_static"]
