"""The settings of vectors, and whether bare data is vectors."""

import csv
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from latentviz.config import Auto, DataSection, FitConfig, ModelSection
from latentviz.errors import DataError

# Apache Arrow's own file, called Feather too.
ARROW_SUFFIXES = frozenset({".arrow", ".feather", ".ipc"})
SEPARATORS = {".csv": ",", ".tsv": "\t"}
_NAME_WORDS = 3  # in an id or a label; what has more is a text
_FEWEST_COLUMNS = 3  # of numbers that make a .csv file vectors and not a table of something else


class VectorData(DataSection):
    """Where vectors come from and what is shown of their items."""

    kind: Literal["vectors"] = Field("vectors", description="data kind, found from the data when it is bare")
    array: str = Field("auto", description="array with the vectors, in .npz files")
    vector_column: str = Field("auto", description="column with the vectors, in tables")
    label_column: str = Field("auto", description="column or array with the labels; none: no labels")
    items: str = Field(
        "none",
        description="texts or images that the vectors stand for, in the same order: a .txt "
        "file with one a line, a table, a folder of images; none: only the vectors",
    )
    text_column: str = Field("auto", description="column with the texts to show, in tables; none: no texts")
    labels: str = Field("none", description="labels in a file of their own, in the same order: .txt or .npy")
    metric: Literal["cosine", "euclidean"] | Auto = Field(
        "auto", description="what makes vectors alike; cosine scales them to unit length; auto: cosine if all have it"
    )


class VectorModel(ModelSection):
    """The networks for vectors."""

    latent_dim: int = Field(16, ge=1, le=4096, description="latent dimensions d")
    width: int = Field(512, ge=8, le=8192, description="units of the larger hidden layer; the other has half as many")
    lr: float = Field(2e-3, gt=0, description="peak learning rate of Adam")
    contrast: Annotated[float, Field(ge=0)] | Auto = Field(
        "auto",
        description="weight of InfoNCE between a vector and a neighbour of it; 0: the plain VAE; auto: 10000, "
        "or 0 where as many principal components as there are latents hold half of the variance",
    )
    content_dim: int = Field(16, ge=1, description="first latent dimensions: contrasted and clustered; others: style")
    temperature: float = Field(0.05, gt=0, description="of the contrast; lower looks harder at the nearest")
    neighbors: int = Field(15, ge=0, description="nearest vectors that count as views of one; 0: none, only the noise")
    noise: float = Field(0.0, ge=0, description="deviation of the noise on views, in deviations of the data")


class VectorFitConfig(FitConfig):
    """Everything `latentviz fit` can be told about vectors."""

    data: VectorData
    model: VectorModel = VectorModel()


CONFIG = VectorFitConfig


def detect(path: str) -> bool:
    """Returns whether bare data at `path` is vectors: an array, a table with a column of lists, a .csv of numbers.

    Images were asked for before: of an array that is neither, the reader of vectors says what is wrong.

    Raises:
        DataError: the file is damaged or may not be read.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    try:
        if not file.is_file():
            return False
        if suffix in {".npy", ".npz"}:
            return True
        if suffix == ".parquet" or suffix in ARROW_SUFFIXES:
            from latentviz.modalities.vectors.tables import has_vectors  # needs pyarrow

            return has_vectors(file)
        return suffix in SEPARATORS and _mostly_numbers(file, SEPARATORS[suffix])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _mostly_numbers(file: Path, separator: str) -> bool:
    """Returns whether the second line of a file is numbers, but for an id and a label; sentences make it texts."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.reader(lines, delimiter=separator)
        try:
            next(rows)
            cells = next(rows)
        except (StopIteration, csv.Error):
            return False
    others = [cell for cell in cells if not is_number(cell)]
    if len(others) > 2 or any(len(cell.split()) > _NAME_WORDS for cell in others):
        return False
    return len(cells) - len(others) >= _FEWEST_COLUMNS


def is_number(cell: str) -> bool:
    """Returns whether a cell of a table is a number.

    >>> [is_number(cell) for cell in ("1e-3", " 2 ", "nan", "1_000", "x", "")]
    [True, True, True, False, False, False]
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
