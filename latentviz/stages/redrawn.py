"""What the commands return that put columns into a clustering and draw its map again."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from latentviz.runs.items import indexed
from latentviz.runs.run import ClusterFolder, RunFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Redrawn:
    """A clustering whose points have further columns.

    Attributes:
        folder: the clustering.
    """

    folder: ClusterFolder

    @property
    def map(self) -> Path:
        """The HTML map."""
        path: Path = self.folder.map_file
        return path

    @cached_property
    def points(self) -> "pd.DataFrame":
        """The items as in `result.points`, with the columns that the command adds, where there are any."""
        return indexed(self.folder.points(), RunFolder(self.folder.run_path).index())
