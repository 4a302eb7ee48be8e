"""The settings of items with several parts."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import Field, ValidationInfo, field_validator

from latentviz.config import AtLeast1, Auto, DataSection, FitConfig, ModelSection
from latentviz.errors import did_you_mean
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.text.config import ResolvedTextModel, TextData
from latentviz.modalities.vectors.config import VectorData

Part = Literal["image", "caption", "label", "vectors", "text"]
D = TypeVar("D", bound=DataSection)
PARTS: Sequence[Part] = get_args(Part)  # in the order in which an item is stored


class JointData(DataSection):
    """Which parts of an item are learnt, and where they come from."""

    kind: Literal["joint"] = Field("joint", description="data kind; that of a source with data.parts")
    batch_size: int = Field(128, ge=2, description="items in a training batch")
    parts: list[Part] = Field(
        ["image", "caption"],
        description="what is learnt of each item: image, with caption, label, vectors, or several of these; or text, "
        "with vectors, label, or both; commas between; an item may lack any of them",
    )
    items: str = Field(
        "none",
        description="where data.path has the vectors: the images or texts that they represent, in the same order: a "
        ".txt file with one per line, a table, or a folder of images; none: data.path has them too",
    )
    features: str = Field(
        "none",
        description="pretrained network whose vectors of the images or texts are a part: sentence-transformers:NAME, "
        "model2vec:NAME, open_clip:NAME, timm:NAME, or the folder of one",
    )
    metric: Literal["cosine", "euclidean"] | Auto = Field(
        "auto", description="cosine scales vectors to unit length; auto: cosine if all have it"
    )
    vector_column: str = Field("auto", description="column with the vectors, in tables")
    text_column: str = Field("auto", description="column with the texts, in tables; auto: by name, then by values")
    encoding: str = Field("utf-8", description="encoding of text files without a byte order mark")
    tokens: Literal["character", "bpe"] | Auto = Field(
        "auto", description="of texts: character, or bpe (pieces of words); auto: character for short ones"
    )
    vocab_size: int = Field(8192, ge=16, le=2**20, description="maximum size of the vocabulary of the texts")
    min_count: AtLeast1 | Auto = Field("auto", description="fewest occurrences of a token in the vocabulary")
    max_length: Annotated[int, Field(ge=2, le=4096)] | Auto = Field(
        "auto", description="maximum tokens per text, with the end token; auto: from the texts, at most 128"
    )
    size: int | tuple[int, int] | Literal["auto", "small"] = Field(
        "small",
        description="height and width in pixels: one number, [h, w], auto: from the images, or small: as auto, at most "
        "32",
    )
    channels: Literal[1, 3] | Auto = Field("auto", description="1 grey, 3 colour; auto: grey if every image is")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how images of another shape are converted")
    image_column: str = Field("auto", description="column with the images, in tables")
    caption_column: str = Field(
        "auto", description="columns with the captions, with commas between; auto: the first one named caption, text, …"
    )
    label_column: str = Field("auto", description="column with the labels; none: no labels")
    labels: str = Field(
        "none",
        description="table with the columns id and label, as `latentviz label --ask` writes: its labels are learnt in "
        "place of the items' own, and items that it leaves out have none",
    )
    level: int = Field(
        5,
        ge=1,
        le=5,
        description="of the recipe shapes, what varies: 1 the shape, 2 and its size, 3 and its colour, 4 and its "
        "place, 5 and its ground",
    )
    split: str = Field("all", description="split of a Hugging Face data set; all: every split")
    words: int = Field(5_000, ge=1, le=50_000, description="words of the captions that are learnt, at most")
    min_items: int = Field(3, ge=1, description="items that a word must occur in to be learnt")

    @field_validator("parts", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        given = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        named = {*given} if isinstance(given, list | tuple) else set()
        if not ({"image"} < named <= {*PARTS} - {"text"} or {"text"} < named <= {"text", "label", "vectors"}):
            got = ",".join(map(str, given)) if isinstance(given, list | tuple) else given
            hint = next((f".{did_you_mean(str(part), PARTS)}" for part in named - {*PARTS} if part), "")
            texts = "; captions without images are data.parts=text,vectors" if "caption" in named else ""
            raise ValueError(
                "must be image with caption, label or vectors, or text with vectors or label "
                f"(got {got or 'nothing'}){texts}{hint}"
            )
        return [part for part in PARTS if part in named]

    @property
    def main(self) -> Part:
        """The part that an item is shown by."""
        return "image" if "image" in self.parts else "text"

    @property
    def shown(self) -> str:
        """Where the images or texts are."""
        return self.path if self.items == "none" else self.items

    @field_validator("labels")
    @classmethod
    def _learnt(cls, value: str, info: ValidationInfo) -> str:
        parts = info.data.get("parts", ["label"])
        if value != "none" and "label" not in parts:
            raise ValueError(f"acts where labels are a part; leave it out, or set data.parts={','.join(parts)},label")
        return value

    def of_images(self, path: str) -> ImageData:
        """Return the settings of the images at a path."""
        return self._of(ImageData, kind="image", path=path)

    def of_texts(self, path: str) -> TextData:
        """Return the settings of the texts at a path."""
        return self._of(TextData, kind="text", path=path)

    def of_vectors(self, path: str) -> VectorData:
        """Return the settings of the vectors at a path."""
        return self._of(VectorData, kind="vectors", path=path, labels="none")

    def _of(self, section: type[D], **changes: str) -> D:
        own = {name: getattr(self, name) for name in JointData.model_fields if name in section.model_fields}
        return section.model_validate({**own, **changes})


class JointModel(ModelSection):
    """The networks and the weights of the parts."""

    latent_dim: int = Field(64, ge=2, le=4096, description="latent dimensions d; 192 for texts with vectors")
    net: Literal["conv", "conv4", "residual", "mlp"] | Auto = Field(
        "auto", description="of images: conv, conv4, residual or mlp; auto: conv4 above 32 pixels a side, else conv"
    )
    width: int = Field(
        32, ge=4, le=512, description="channels of the image at half its size; twice as many at a quarter"
    )
    hidden: int = Field(256, ge=8, le=8192, description="hidden units between the words and the latent")
    caption_net: Literal["linear", "mlp"] = Field(
        "mlp", description="from words to the latent: mlp, a perceptron, or linear; the way back is a perceptron"
    )
    c: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto", description="C in the loss C·‖x − f(z)‖² of images; auto: 3,000 / summed variance of the data"
    )
    caption_weight: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto",
        description="weight of a nat of the caption; auto: 1,000 / nats that the mean caption has without an image",
    )
    label_weight: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto", description="weight of a nat of the label; auto: 100 / entropy of the labels"
    )
    label_objective: Literal["head", "m2"] = Field(
        "head",
        description="what items without a label are learnt by: head: their other parts; m2: also the mean over all "
        "labels that they may have, weighed by what the decoder of labels predicts (Kingma et al. 2014), slower",
    )
    text_weight: float = Field(0.67, gt=0, description="weight of a nat of the text, as model.c of texts")
    memory: AtLeast1 | Auto = Field(
        "auto", description="units of the autoregressive network of texts; auto: 256, or 512 for longer texts"
    )
    lag: Annotated[int, Field(ge=0)] | Auto = Field(
        "auto", description="distance of a second token that it sees; 0: none; auto: the metre of verse"
    )
    vectors_weight: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto", description="nats that losing all the variance of the vectors costs; auto: 1,000, or 3,000 with texts"
    )
    contrast: Annotated[float, Field(ge=0)] | Auto = Field(
        "auto",
        description="weight of InfoNCE between the image or text of an item and its caption or vectors, and between "
        "two views of its image; 0: the likelihoods alone; auto: 300 for images, 3 for texts, or 0 without such pairs",
    )
    content_dim: Annotated[int, Field(ge=1)] | Auto = Field(
        "auto",
        description="leading latent dimensions that are contrasted and clustered; auto: half of them, or two thirds "
        "for texts with vectors",
    )
    temperature: float = Field(0.07, gt=0, description="of the contrast")
    augment: Annotated[float, Field(ge=0, le=3)] | Auto = Field(
        "auto",
        description="strength of the augmentation of images, as of the kind image; 0: no views of them; auto: 1, or 0 "
        "with captions or vectors, which are the other view",
    )
    neighbors: int = Field(5, ge=0, description="nearest images that are used as further views of an image; 0: none")
    flip: bool | Auto = Field("auto", description="mirror views; auto: if mirrored images look like the data")
    word_dropout: float = Field(0.3, ge=0, lt=1, description="share of a caption's words hidden from the encoder")


class JointFitConfig(FitConfig):
    """Settings of `latentviz fit` for items with several parts."""

    data: JointData
    model: JointModel = JointModel()


class ResolvedJointData(JointData):
    """`JointData` of a run: the size, the channels and the columns are known."""

    size: int | tuple[int, int]
    channels: Literal[1, 3]


class ResolvedJointModel(JointModel):
    """`JointModel` of a run: no value is "auto"."""

    stop: Literal["still", "limit"]
    net: Literal["conv", "conv4", "residual", "mlp"]
    c: float = Field(gt=0)
    caption_weight: float = Field(gt=0)
    label_weight: float = Field(gt=0)
    vectors_weight: float = Field(1_000.0, gt=0)  # it and the next two: runs from before there was the part
    memory: int = Field(1, ge=1)
    lag: int = Field(0, ge=0)
    contrast: float = Field(ge=0)
    content_dim: int = Field(ge=1)
    augment: float = Field(0.0, ge=0, le=3)  # it and the next two: runs from before images had views
    neighbors: int = Field(0, ge=0)
    flip: bool = False


class ResolvedJointConfig(JointFitConfig):
    """`JointFitConfig` of a run."""

    data: ResolvedJointData
    model: ResolvedJointModel


def text_settings(model: ResolvedJointModel) -> ResolvedTextModel:
    """Return the settings of the networks for texts: those of the kind text, without a topic."""
    known = {"latent_dim": model.latent_dim, "c": model.text_weight, "memory": model.memory, "lag": model.lag}
    return ResolvedTextModel.model_validate({**known, "topic_dim": 0})
