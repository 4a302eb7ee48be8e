"""The settings of vectors."""

from typing import Annotated, Literal

from pydantic import Field

from latentviz.config import Auto, DataSection, FitConfig, ModelSection


class VectorData(DataSection):
    """Where vectors come from, and what is shown with them."""

    kind: Literal["vectors"] = Field("vectors", description="data kind; detected if the source is data")
    array: str = Field("auto", description="array with the vectors, in .npz files")
    vector_column: str = Field("auto", description="column with the vectors, in tables")
    columns: str | list[str] = Field(
        "auto",
        description="columns of numbers to learn from, in tables: names or patterns such as s*, with commas between; "
        "auto: all but ids, row numbers, dates and labels",
    )
    exclude: str | list[str] = Field("none", description="columns of numbers to leave out; as data.columns")
    decimal: Literal["auto", "point", "comma"] = Field(
        "auto", description="decimal mark of numbers such as 1,234 in text tables; auto: from the values"
    )
    scale: Literal["auto", "none", "standard", "global"] = Field(
        "auto",
        description="standard: divide each number by the standard deviation of its column; global: divide all by the "
        "same number; none: do not divide; auto: standard for columns of a table whose deviations differ by more than "
        "10×, otherwise global",
    )
    label_column: str = Field("auto", description="column or array with the labels; none: no labels")
    items: str = Field(
        "none",
        description="texts or images that the vectors represent, in the same order: a .txt file with one per line, a "
        "table, or a folder of images; none: only the vectors",
    )
    text_column: str = Field("auto", description="column with the texts to show, in tables; none: no texts")
    labels: str = Field("none", description="separate file with the labels, in the same order: .txt or .npy")
    metric: Literal["cosine", "euclidean"] | Auto = Field(
        "auto",
        description="similarity of vectors; cosine scales them to unit length; auto: cosine if all have unit length",
    )


class VectorModel(ModelSection):
    """The networks for vectors."""

    latent_dim: int = Field(16, ge=1, le=4096, description="latent dimensions d")
    width: int = Field(512, ge=8, le=8192, description="units of the larger hidden layer; the other has half of them")
    lr: float = Field(2e-3, gt=0, description="peak learning rate of Adam")
    contrast: Annotated[float, Field(ge=0)] | Auto = Field(
        "auto",
        description="weight of InfoNCE between a vector and one of its neighbours; 0: the plain VAE; auto: 10000, or 0 "
        "if latent_dim principal components hold half of the variance",
    )
    content_dim: int = Field(
        16, ge=1, description="leading latent dimensions that are contrasted and clustered; the others hold style"
    )
    temperature: float = Field(0.05, gt=0, description="of the contrast; lower gives the nearest vectors more weight")
    neighbors: int = Field(
        15, ge=0, description="nearest vectors that are used as views of a vector; 0: none, only noise"
    )
    noise: float = Field(
        0.0, ge=0, description="standard deviation of the noise on views, relative to that of the data"
    )


class VectorFitConfig(FitConfig):
    """Settings of `latentviz fit` for vectors."""

    data: VectorData
    model: VectorModel = VectorModel()


class ResolvedVectorData(VectorData):
    """`VectorData` of a run: the metric and the scale are known."""

    metric: Literal["cosine", "euclidean"]
    scale: Literal["none", "standard", "global"] = "global"  # runs from before there was this setting
    decimal: Literal["point", "comma"] = "point"


class ResolvedVectorModel(VectorModel):
    """`VectorModel` of a run: no value is "auto"."""

    stop: Literal["still", "limit"] = "limit"  # runs from before there was this setting
    c: float = Field(gt=0)
    contrast: float = Field(ge=0)


class ResolvedVectorConfig(VectorFitConfig):
    """`VectorFitConfig` of a run."""

    data: ResolvedVectorData
    model: ResolvedVectorModel
