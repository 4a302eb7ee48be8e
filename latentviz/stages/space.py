"""A clustering and the spaces it is in: mu, what was clustered, the map."""

from dataclasses import dataclass

import numpy as np

from latentviz.clustering.reducers import directions
from latentviz.errors import RunError
from latentviz.modalities.loading import OpenRun
from latentviz.progress import plural
from latentviz.runs.run import ClusterFolder


@dataclass(frozen=True)
class Space:
    """A clustering and the spaces it is in; row i is item i."""

    folder: ClusterFolder  # of the clustering
    # the dimensions of mu that were clustered (the content's unless `cluster.on` says otherwise), float32 (n, d)
    mu: np.ndarray
    metric: str  # "euclidean" or "cosine", with which the map was made
    coordinates: np.ndarray  # what was clustered, (n, k)
    points: np.ndarray  # the map, (n, 2)
    labels: np.ndarray  # int (n,), −1 for noise
    nearest: np.ndarray  # int (n,), noise assigned to the nearest cluster

    @property
    def vectors(self) -> np.ndarray:
        """What the map was made from: mu, at unit length for the cosine metric, float32 (n, d)."""
        return directions(self.mu, self.metric)


def read_space(opened: OpenRun, folder: ClusterFolder) -> Space:
    """Reads a clustering with the latents that it was made from."""
    config, points = folder.config(), folder.points()
    kept = slice(opened.content_dim if config.cluster.on == "mu" else None)
    mu = np.array(opened.mu[:, kept])
    if len(mu) != points.num_rows:
        raise RunError(
            f"{folder.points_file}: {plural(points.num_rows, 'row')} for {plural(len(mu), 'item')}; {folder.again}"
        )
    position = np.column_stack([points.column("x").to_numpy(), points.column("y").to_numpy()])
    coordinates = folder.coordinates()
    if coordinates is None:
        coordinates = position
    labels = points.column("cluster").to_numpy()
    if not np.isfinite(coordinates[labels >= 0]).all():
        raise RunError(f"{folder.path}: damaged (items in a cluster have no coordinates); {folder.again}")
    return Space(
        folder=folder,
        mu=mu,
        metric=config.reduce.metric,
        coordinates=coordinates,
        points=position,
        labels=labels,
        nearest=points.column("nearest_cluster").to_numpy(),
    )
