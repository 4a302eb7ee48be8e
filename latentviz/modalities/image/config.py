"""The settings of images, and whether bare data is images."""

import gzip
import os
import re
import zlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from latentviz.config import Auto, DataSection, FitConfig, ModelSection
from latentviz.errors import DataError


class ImageData(DataSection):
    """Where images come from and what they are turned into."""

    kind: Literal["image"] = Field("image", description="data kind, found from the data when it is bare")
    size: int | tuple[int, int] | Auto = Field(
        "auto", description="height and width in pixels: one number, [h, w], or auto: chosen from the images"
    )
    channels: Literal[1, 3] | Auto = Field("auto", description="1 grey, 3 colour; auto: grey if every image is")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how an image of another shape is made to fit")
    binarise: bool = Field(
        False, description="turn each pixel black or white once, white as often as it is bright; for bernoulli"
    )
    image_column: str = Field("auto", description="column with the images, in tables")
    label_column: str = Field("auto", description="column with the labels, in tables; none: no labels")
    split: str = Field("all", description="split of a Hugging Face data set; all: every one, joined")


class ImageModel(ModelSection):
    """The networks and the likelihood for images."""

    net: Literal["conv", "residual", "mlp"] = Field(
        "conv", description="conv: sized by the image; residual: slower, likelier; mlp: two hidden layers"
    )
    width: int = Field(16, ge=4, le=512, description="channels of the first convolution; the MLP has 32 times as many")
    likelihood: Literal["normal", "bernoulli"] = Field("normal", description="p(x|z): normal has the weight C")
    contrast: float = Field(
        1000.0, ge=0, description="weight of InfoNCE between two views of an item; 0: the plain VAE"
    )
    content_dim: int = Field(16, ge=1, description="first latent dimensions: contrasted and clustered; others: style")
    temperature: float = Field(0.2, gt=0, description="of the contrast")
    neighbors: int = Field(5, ge=0, description="nearest images that count as further views of one; 0: none")
    augment: float = Field(1.0, ge=0, le=3, description="how far views are moved: 1 turns up to 12°; 0: not at all")
    flip: bool | Auto = Field("auto", description="mirror views; auto: where mirrored images look like the data")


class ImageFitConfig(FitConfig):
    """Everything `latentviz fit` can be told about images."""

    data: ImageData
    model: ImageModel = ImageModel()


CONFIG = ImageFitConfig

# Every suffix that Pillow has a reader for, but for those of EPS, which runs Ghostscript, and of mere stubs.
IMAGE_SUFFIXES = frozenset(
    {
        ".apng",
        ".avif",
        ".avifs",
        ".blp",
        ".bmp",
        ".bw",
        ".cur",
        ".dcx",
        ".dds",
        ".dib",
        ".fit",
        ".fits",
        ".flc",
        ".fli",
        ".ftc",
        ".ftu",
        ".gbr",
        ".gif",
        ".icb",
        ".icns",
        ".ico",
        ".iim",
        ".im",
        ".j2c",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpc",
        ".jpe",
        ".jpeg",
        ".jpf",
        ".jpg",
        ".jpx",
        ".msp",
        ".pbm",
        ".pcd",
        ".pcx",
        ".pfm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".psd",
        ".pxr",
        ".qoi",
        ".ras",
        ".rgb",
        ".rgba",
        ".sgi",
        ".tga",
        ".tif",
        ".tiff",
        ".vda",
        ".vst",
        ".webp",
        ".xbm",
        ".xpm",
    }
)
# The files that `datasets` takes for the metadata of an image folder.
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
# The names under which IDX files go round: train-images-idx3-ubyte.gz, train-images.idx3-ubyte, t10k.idx3.
IDX_NAME = re.compile(r"(idx[0-9]?[-.]?ubyte|\.idx[0-9]?)(\.gz)?$", re.IGNORECASE)

_TEXT_SUFFIXES = frozenset(
    {
        ".csv",
        ".htm",
        ".html",
        ".json",
        ".jsonl",
        ".md",
        ".pdf",
        ".tex",
        ".text",
        ".tsv",
        ".txt",
        ".xml",
    }
)
_FILES_LOOKED_AT = 10_000  # of a folder: enough to tell a pile of pictures from a pile of papers


def detect(path: str) -> bool:
    """Returns whether bare data at `path` looks like images: a folder, an image file, IDX, an array, a table.

    Raises:
        DataError: the file is damaged or may not be read, or the Hugging Face hub cannot be asked.
    """
    if path.startswith("hf:"):
        from latentviz.modalities.image.hub import hub_has_images  # takes seconds to import

        return hub_has_images(path)
    if path.startswith("sklearn:"):
        return True
    place = Path(path)
    try:
        return _folder_has_images(place) if place.is_dir() else place.is_file() and _file_has_images(place)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _folder_has_images(folder: Path) -> bool:
    """Returns whether a folder holds images, no fewer than files of text: captions may lie beside them."""
    images = texts = files = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            suffix = Path(name).suffix.lower()
            if not name.startswith("."):
                images += suffix in IMAGE_SUFFIXES
                texts += suffix in _TEXT_SUFFIXES and name not in METADATA_NAMES
        files += len(names)
        if files > _FILES_LOOKED_AT:
            break
    if images:
        return images >= texts
    if any(IDX_NAME.search(p.name) for p in folder.iterdir()):
        return True
    tables = sorted(p for p in folder.glob("**/*.parquet") if not p.name.startswith(".") and p.is_file())
    return bool(tables) and _parquet_has_images(tables[0])


def _file_has_images(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES or IDX_NAME.search(file.name):
        return True
    if file.name in METADATA_NAMES and file.name != "metadata.parquet":
        with file.open(encoding="utf-8", errors="replace") as lines:
            return "file_name" in lines.readline()
    if suffix in {".npy", ".npz"}:
        from latentviz.modalities.image.arrays import npy_has_images  # needs numpy

        return npy_has_images(file)
    if suffix == ".parquet":
        return _parquet_has_images(file)
    return _is_idx(file)


def _parquet_has_images(file: Path) -> bool:
    from latentviz.modalities.image.tables import parquet_has_images  # needs pyarrow

    return parquet_has_images(file)


def _is_idx(file: Path) -> bool:
    """Returns whether a file's first bytes, unpacked, are those of an IDX array of 3 or 4 dimensions."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(file) as stream:
                magic = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in range(0x08, 0x0F) and magic[3] in (3, 4)
