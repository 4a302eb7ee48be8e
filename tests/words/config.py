"""The settings of words."""

from typing import Literal

from latentviz.config import DataSection, FitConfig, ModelSection


class WordData(DataSection):
    """A file with one word per line."""

    kind: Literal["words"] = "words"


class WordModel(ModelSection):
    """A model of words."""

    latent_dim: int = 5


class WordConfig(FitConfig):
    """Everything about words."""

    data: WordData
    model: WordModel = WordModel()


class ResolvedWordModel(WordModel):
    """A model of words without "auto"."""

    c: float
    stop: Literal["still", "limit"] = "limit"


class ResolvedWordConfig(WordConfig):
    """Everything about words, without "auto"."""

    model: ResolvedWordModel
