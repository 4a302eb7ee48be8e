"""The settings of images, and whether bare data is images."""

from pathlib import Path
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
    image_column: str = Field("auto", description="column with the images, in tables")
    label_column: str = Field("auto", description="column with the labels, in tables; none: no labels")
    split: str = Field("all", description="split of a Hugging Face data set; all: every one, joined")


class ImageModel(ModelSection):
    """The networks and the likelihood for images."""

    net: Literal["conv", "mlp"] = Field("conv", description="conv: sized by the image; mlp: two hidden layers")
    width: int = Field(32, ge=4, le=512, description="channels of the first convolution; the MLP has 16 times as many")
    likelihood: Literal["normal", "bernoulli"] = Field("normal", description="p(x|z): normal has the weight C")


class ImageFitConfig(FitConfig):
    """Everything `latentviz fit` can be told about images."""

    data: ImageData
    model: ImageModel = ImageModel()


CONFIG = ImageFitConfig

IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .webp .gif .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .tga .ico .jp2 .pcx .sgi .avif .qoi"
    .split()
)


def detect(path: str) -> bool:
    """Returns whether bare data at `path` looks like images: a folder with some, an image file, IDX, or an array."""
    raise NotImplementedError
