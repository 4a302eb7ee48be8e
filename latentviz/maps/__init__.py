"""Maps: points and clusters as an interactive HTML file, and (in `static`, which imports matplotlib) as images."""

from latentviz.maps.captions import CaptionData, small_layers
from latentviz.maps.data import ClusterInfo, MapData
from latentviz.maps.decoder import DecoderData, decoder_data, text_decoder_data
from latentviz.maps.html import LAYERS, write_map
from latentviz.maps.network import Layer

__all__ = ["LAYERS", "CaptionData", "ClusterInfo", "DecoderData", "Layer", "MapData", "decoder_data", "small_layers"]
__all__ += ["text_decoder_data", "write_map"]
