"""The settings of texts."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from latentviz.config import AtLeast1, Auto, DataSection, FitConfig, ModelSection


class TextData(DataSection):
    """Where texts come from and what they are turned into."""

    kind: Literal["text"] = Field("text", description="data kind, found from the data when it is bare")
    path: str = Field(description="file, folder, hf:NAME, or python:docstrings")
    batch_size: int = Field(128, ge=2, description="items in a training batch")
    encoding: str = Field("utf-8", description="of text files, unless they begin with a byte order mark")
    text_column: str = Field("auto", description="column with the texts, in tables; auto: by its name, then its values")
    label_column: str = Field("auto", description="column with the labels, in tables; none: no labels")
    id_column: str = Field(
        "auto", description="column with what the items are called; auto: id, if all differ; none: file and row"
    )
    group_column: str = Field(
        "none", description="column, or several with commas between, whose equals are all trained on or all held out"
    )
    split: str = Field("all", description="split of a Hugging Face data set; all: every one, joined")
    tokens: Literal["character", "bpe"] | Auto = Field(
        "auto", description="character or bpe, pieces of words; auto: characters where words are few or have no spaces"
    )
    vocab_size: int = Field(8192, ge=16, le=2**20, description="different tokens at most")
    min_count: AtLeast1 | Auto = Field(
        "auto", description="times a token must occur to be known; auto: 5, or fewer where much would be unknown"
    )
    max_length: int | Auto = Field(
        "auto", ge=2, le=4096, description="tokens of a text with its end; auto: from the texts, 128 at most"
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
    """The networks, the objective and the decoding of texts."""

    latent_dim: int = Field(64, ge=1, le=4096, description="latent dimensions that are learnt")
    topic_dim: Annotated[int, Field(ge=0, le=256)] | Auto = Field(
        "auto",
        description="dimensions before them: what a text is about, from co-occurrence; clustered; auto: 128 "
        "for pieces of words, none for characters or with contrast",
    )
    c: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto", description="C of C·distortion + KL; auto: 0.67, below 1 the latent keeps nearer to its prior"
    )
    kl_warmup: float = Field(0.3, ge=0, le=1, description="share of the training in which the KL's weight rises to 1")
    free_bits: float = Field(0.25, ge=0, description="nats of KL per latent dimension that cost nothing")
    lr: float = Field(2.5e-3, gt=0, description="peak learning rate of Adam")
    width: int = Field(128, ge=4, le=4096, description="numbers of a token's vector")
    vectors: Literal["ppmi", "random"] = Field(
        "ppmi", description="where the tokens' vectors start: ppmi, from their co-occurrence, or at random"
    )
    decoder: Literal["autoregressive", "position"] = Field(
        "autoregressive", description="position: each token from z alone; autoregressive: from those before it too"
    )
    memory: int | Auto = Field(
        "auto", ge=1, le=4096, description="units of the autoregressive net; auto: 256, for longer texts 512"
    )
    lag: int | Auto = Field(
        "auto", ge=0, description="a second token that it sees, so many back; 0: none; auto: the metre of verse"
    )
    word_dropout: float = Field(0.1, ge=0, lt=1, description="share of those tokens that are hidden in training")
    dropout: float = Field(0.25, ge=0, lt=1, description="share of the autoregressive net's numbers that are hidden")
    position_weight: float = Field(
        0.3, ge=0, description="weight in the distortion of telling each token from z alone; falls to a tenth of it"
    )
    bag_weight: float = Field(
        0.3, ge=0, description="weight in the distortion of telling the tokens without order; falls to a tenth of it"
    )
    noise_mix: float = Field(0.2, ge=0, lt=1, description="share of the training for decoding the mean of the latent")
    negatives: int = Field(
        512, ge=0, description="tokens that stand for the vocabulary in a training step; 0: all of them"
    )
    all_tokens: float = Field(0.05, ge=0, le=1, description="last share of the training without such a sample")
    contrast: float = Field(0.0, ge=0, description="weight of InfoNCE between the two halves of a text; 0: none")
    content_dim: int = Field(32, ge=1, description="first latent dimensions: contrasted and clustered; others: style")
    temperature: float = Field(0.2, gt=0, description="of the contrast")
    sampling: float = Field(0.5, ge=0, description="temperature of texts that are made up; 0: the likeliest tokens")
    top_p: float = Field(1.0, gt=0, le=1, description="share of the probability that their tokens are drawn from")
    candidates: int = Field(1, ge=1, le=100, description="texts drawn at each z, of which the likeliest is kept")
    repeats: bool = Field(False, description="let them say a token twice that texts of the data say but once")
    samples: int = Field(6, ge=0, le=100, description="texts made up after each epoch")


class TextFitConfig(FitConfig):
    """Everything `latentviz fit` can be told about texts."""

    data: TextData
    model: TextModel = TextModel()


class ResolvedTextData(TextData):
    """`TextData` of a run: the tokens and their number are known."""

    tokens: Literal["character", "bpe"]
    min_count: AtLeast1
    max_length: int = Field(ge=2, le=4096)


class ResolvedTextModel(TextModel):
    """`TextModel` of a run: no value is "auto"."""

    topic_dim: int = Field(ge=0, le=256)
    c: float = Field(gt=0)
    memory: int = Field(ge=1, le=4096)
    lag: int = Field(ge=0)


class ResolvedTextConfig(TextFitConfig):
    """`TextFitConfig` of a run."""

    data: ResolvedTextData
    model: ResolvedTextModel
