"""The settings of vectors."""

from typing import Annotated, Literal

from pydantic import Field

from latentviz.config import Auto, DataSection, FitConfig, ModelSection


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


class ResolvedVectorData(VectorData):
    """`VectorData` of a run: the metric is known."""

    metric: Literal["cosine", "euclidean"]


class ResolvedVectorModel(VectorModel):
    """`VectorModel` of a run: no value is "auto"."""

    c: float = Field(gt=0)
    contrast: float = Field(ge=0)


class ResolvedVectorConfig(VectorFitConfig):
    """`VectorFitConfig` of a run."""

    data: ResolvedVectorData
    model: ResolvedVectorModel
