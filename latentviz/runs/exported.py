"""What `export` writes into a run: `outputs/<run>/exported/`."""

from dataclasses import dataclass
from pathlib import Path

from latentviz.runs.artefacts import Artefact


@dataclass(frozen=True)
class ExportedFolder:
    """A handle to `exported/`."""

    path: Path

    encoder_onnx = Artefact("encoder.onnx")
    decoder_onnx = Artefact("decoder.onnx")
    safetensors = Artefact("model.safetensors")
    networks_file = Artefact("export.json")
    card = Artefact("README.md")
    card_picture = Artefact("map.png")
    atlas = Artefact("atlas.parquet")
    atlas_labels = Artefact("atlas-labels.parquet")
    site = Artefact("site")
    site_index = Artefact("site/index.html")
