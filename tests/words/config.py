"""The settings of words: none."""

from typing import Literal

from latentviz.config import DataSection, FitConfig, ModelSection


class WordData(DataSection):
    """A list of words."""

    kind: Literal["words"] = "words"


class WordConfig(FitConfig):
    """Everything about words."""

    data: WordData
    model: ModelSection


CONFIG = WordConfig


def detect(path: str) -> bool:
    """Returns whether bare data is words."""
    return path.endswith(".words")
