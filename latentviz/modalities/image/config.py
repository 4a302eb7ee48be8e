"""The settings of images."""

import re
from typing import Literal

from pydantic import Field

from latentviz.config import Auto, DataSection, FitConfig, ModelSection


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


class ResolvedImageData(ImageData):
    """`ImageData` of a run: the size and the channels are known."""

    size: int | tuple[int, int]
    channels: Literal[1, 3]


class ResolvedImageModel(ImageModel):
    """`ImageModel` of a run: no value is "auto"."""

    c: float = Field(gt=0)
    flip: bool


class ResolvedImageConfig(ImageFitConfig):
    """`ImageFitConfig` of a run."""

    data: ResolvedImageData
    model: ResolvedImageModel


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
