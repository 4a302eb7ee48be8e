"""The settings of texts."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from latentviz.config import AtLeast1, Auto, DataSection, FitConfig, ModelSection


class TextData(DataSection):
    """Where texts come from and how they are tokenised."""

    kind: Literal["text"] = Field("text", description="data kind; detected if the source is data")
    path: str = Field(description="file, folder, hf:NAME, or python:docstrings")
    batch_size: int = Field(128, ge=2, description="items in a training batch")
    encoding: str = Field("utf-8", description="encoding of text files without a byte order mark")
    text_column: str = Field("auto", description="column with the texts, in tables; auto: by name, then by values")
    label_column: str = Field("auto", description="column with the labels, in tables; none: no labels")
    id_column: str = Field(
        "auto", description="column with the ids, in tables; auto: id, if its values are unique; none: file and row"
    )
    group_column: str = Field(
        "none", description="comma-separated columns; items with equal values are held out together"
    )
    split: str = Field("all", description="split of a Hugging Face data set; all: every split")
    tokens: Literal["character", "bpe"] | Auto = Field(
        "auto",
        description="character, or bpe (pieces of words); auto: character for short texts or scripts without spaces",
    )
    vocab_size: int = Field(8192, ge=16, le=2**20, description="maximum size of the vocabulary")
    min_count: AtLeast1 | Auto = Field(
        "auto", description="fewest occurrences of a token in the vocabulary; auto: 5, or less if much would be unknown"
    )
    max_length: Annotated[int, Field(ge=2, le=4096)] | Auto = Field(
        "auto",
        description="maximum tokens per text, with the end token; auto: from the texts, at most 128",
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except (LookupError, ValueError):
            raise ValueError(
                f"unknown encoding {value!r}; some are utf-8, utf-16, gb18030, big5, cp932 and cp1252"
            ) from None
        return value


class TextModel(ModelSection):
    """The networks, the loss and the decoding of texts."""

    latent_dim: int = Field(64, ge=1, le=4096, description="latent dimensions that are learnt")
    topic_dim: Annotated[int, Field(ge=0, le=256)] | Auto = Field(
        "auto",
        description="leading dimensions for the topic, computed from co-occurrence and clustered; auto: 128 for bpe, "
        "0 for characters or with contrast",
    )
    c: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto", description="C in the loss C·distortion + KL; auto: 0.67, which keeps the latent close to its prior"
    )
    kl_warmup: float = Field(
        0.3, ge=0, le=1, description="share of the training over which the weight of the KL rises from 0 to 1"
    )
    free_bits: float = Field(0.25, ge=0, description="nats of KL per latent dimension that are free")
    lr: float = Field(2.5e-3, gt=0, description="peak learning rate of Adam")
    width: int = Field(128, ge=4, le=4096, description="dimensions of the token vectors")
    vectors: Literal["ppmi", "random"] = Field(
        "ppmi", description="initial token vectors: ppmi (from co-occurrence) or random"
    )
    decoder: Literal["autoregressive", "position"] = Field(
        "autoregressive",
        description="position: each token from z alone; autoregressive: also from the tokens before it",
    )
    memory: Annotated[int, Field(ge=1, le=4096)] | Auto = Field(
        "auto", description="units of the autoregressive network; auto: 256, or 512 for longer texts"
    )
    lag: Annotated[int, Field(ge=0)] | Auto = Field(
        "auto", description="distance of a second token that it sees; 0: none; auto: the metre of verse"
    )
    word_dropout: float = Field(0.1, ge=0, lt=1, description="share of its input tokens that are hidden in training")
    dropout: float = Field(0.25, ge=0, lt=1, description="dropout of the autoregressive network")
    position_weight: float = Field(
        0.3, ge=0, description="weight of the loss for each token from z alone; falls to a tenth during training"
    )
    bag_weight: float = Field(
        0.3, ge=0, description="weight of the loss for the tokens without order; falls to a tenth during training"
    )
    noise_mix: float = Field(
        0.2, ge=0, lt=1, description="share of the training items that are decoded with less than the posterior's noise"
    )
    negatives: int = Field(
        512, ge=0, description="sampled tokens that replace the vocabulary in the softmax of a step; 0: all tokens"
    )
    all_tokens: float = Field(0.05, ge=0, le=1, description="last share of the training with the full softmax")
    contrast: float = Field(0.0, ge=0, description="weight of InfoNCE between the two halves of a text; 0: none")
    content_dim: int = Field(
        32, ge=1, description="leading latent dimensions that are contrasted and clustered; the others hold style"
    )
    temperature: float = Field(0.2, gt=0, description="of the contrast")
    sampling: float = Field(0.5, ge=0, description="temperature of generated texts; 0: the most likely tokens")
    top_p: float = Field(1.0, gt=0, le=1, description="share of the probability mass that tokens are sampled from")
    candidates: int = Field(1, ge=1, le=100, description="texts sampled per z, of which the most likely is kept")
    repeats: bool = Field(
        False, description="allow generated texts to repeat tokens that texts of the data do not repeat"
    )
    samples: int = Field(6, ge=0, le=100, description="texts generated after each epoch")


class TextFitConfig(FitConfig):
    """Settings of `latentviz fit` for texts."""

    data: TextData
    model: TextModel = TextModel()


class ResolvedTextData(TextData):
    """`TextData` of a run: the tokens and their number are known."""

    tokens: Literal["character", "bpe"]
    min_count: AtLeast1
    max_length: int = Field(ge=2, le=4096)


class ResolvedTextModel(TextModel):
    """`TextModel` of a run: no value is "auto"."""

    stop: Literal["still", "limit"] = "limit"  # runs from before there was this setting
    topic_dim: int = Field(ge=0, le=256)
    c: float = Field(gt=0)
    memory: int = Field(ge=1, le=4096)
    lag: int = Field(ge=0)


class ResolvedTextConfig(TextFitConfig):
    """`TextFitConfig` of a run."""

    data: ResolvedTextData
    model: ResolvedTextModel
