"""The settings of images."""

import re
from typing import Annotated, Literal

from pydantic import Field

from latentviz.config import Auto, DataSection, FitConfig, ModelSection


class ImageData(DataSection):
    """Where images come from and how they are converted."""

    kind: Literal["image"] = Field("image", description="data kind; detected if the source is data")
    size: int | tuple[int, int] | Literal["auto", "small"] = Field(
        "auto",
        description="height and width in pixels: one number, [h, w], auto: from the images, or small: as auto, at most "
        "32",
    )
    channels: Literal[1, 3] | Auto = Field("auto", description="1 grey, 3 colour; auto: grey if every image is")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how images of another shape are converted")
    binarise: bool = Field(
        False, description="sample each pixel once as black or white, with its brightness as probability; for bernoulli"
    )
    frames: Literal["auto", "all", "first"] | Annotated[int, Field(ge=1)] = Field(
        "auto",
        description="pages and frames of one file that are items: all, the first, or so many evenly spread; auto: the "
        "pages of a TIFF, the first frame of an animation",
    )
    image_column: str = Field("auto", description="column with the images, in tables")
    label_column: str = Field("auto", description="column with the labels, in tables; none: no labels")
    split: str = Field("all", description="split of a Hugging Face data set; all: every split")


class ImageModel(ModelSection):
    """The networks and the likelihood for images."""

    net: Literal["conv", "conv4", "residual", "mlp"] | Auto = Field(
        "auto",
        description="conv: depth from the image size; conv4: its first two convolutions are one of stride 4, faster; "
        "residual: slower, higher likelihood; mlp: two hidden layers; auto: conv4 above 32 pixels a side, else conv",
    )
    width: int = Field(
        16,
        ge=4,
        le=512,
        description="channels at half the size, and twice as many at a quarter; 32 times as many in mlp",
    )
    likelihood: Literal["normal", "bernoulli"] = Field("normal", description="p(x|z); normal uses C")
    contrast: float = Field(
        1000.0, ge=0, description="weight of InfoNCE between two views of an item; 0: the plain VAE"
    )
    content_dim: int = Field(
        16, ge=1, description="leading latent dimensions that are contrasted and clustered; the others hold style"
    )
    temperature: float = Field(0.2, gt=0, description="of the contrast")
    neighbors: int = Field(5, ge=0, description="nearest images that are used as further views of an image; 0: none")
    augment: float = Field(
        1.0, ge=0, le=3, description="strength of the augmentation of views; 1 rotates up to 12°; 0: none"
    )
    flip: bool | Auto = Field("auto", description="mirror views; auto: if mirrored images look like the data")


class ImageFitConfig(FitConfig):
    """Settings of `latentviz fit` for images."""

    data: ImageData
    model: ImageModel = ImageModel()


class ResolvedImageData(ImageData):
    """`ImageData` of a run: the size and the channels are known."""

    size: int | tuple[int, int]
    channels: Literal[1, 3]


class ResolvedImageModel(ImageModel):
    """`ImageModel` of a run: no value is "auto"."""

    stop: Literal["still", "limit"] = "limit"  # runs from before there was this setting
    net: Literal["conv", "conv4", "residual", "mlp"] = "conv"  # the only default of earlier versions
    c: float = Field(gt=0)
    flip: bool


class ResolvedImageConfig(ImageFitConfig):
    """`ImageFitConfig` of a run."""

    data: ResolvedImageData
    model: ResolvedImageModel


# The suffixes that Pillow reads, except EPS, which runs Ghostscript, and formats without a reader.
_PILLOW = """
    .apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .fit .fits .flc .fli .ftc .ftu .gbr .gif .icb .icns .ico
    .iim .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd
    .pxr .qoi .ras .rgb .rgba .sgi .tga .tif .tiff .vda .vst .webp .xbm .xpm
"""
HEIF_SUFFIXES = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})  # through pillow-heif
IMAGE_SUFFIXES = frozenset(_PILLOW.split()) | HEIF_SUFFIXES
# Files that `datasets` reads as the metadata of an image folder.
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
# Usual names of IDX files: train-images-idx3-ubyte.gz, train-images.idx3-ubyte, t10k.idx3.
IDX_NAME = re.compile(r"(idx[0-9]?[-.]?ubyte|\.idx[0-9]?)(\.gz)?$", re.IGNORECASE)
