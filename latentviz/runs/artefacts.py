"""The names of files in the folders of a run, and the handle to the folders of results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class _Folder(Protocol):
    @property
    def path(self) -> Path: ...


class Artefact:
    """A class attribute that gives the path of a file or folder inside the handle's folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: _Folder, _: type | None = None) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class ResultFolder:
    """A handle to `generated/<name>/`, `recommended/<name>/`, `encoded/<name>/`, `compared/<name>/` ….

    Attributes:
        path: the folder; a temporary one while it is filled.
        target: the final folder, while `path` is temporary.
    """

    path: Path
    target: Path | None = None

    generated_file = Artefact("generated.json")
    recommended_file = Artefact("recommended.json")
    encode_file = Artefact("encode.json")
    asked_file = Artefact("labelled.json")
    labels_file = Artefact("labels.csv")
    compared_file = Artefact("compared.json")
    compared_items = Artefact("items.parquet")
    compare_page = Artefact("compare.html")
    points_file = Artefact("points.parquet")
    mu_file = Artefact("mu.npy")
    logvar_file = Artefact("logvar.npy")
    map_file = Artefact("map.html")
    cache = Artefact("cache")

    @property
    def final(self) -> "ResultFolder":
        """The handle to the final folder."""
        return ResultFolder(self.target or self.path)
