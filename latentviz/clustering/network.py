"""A network that lays items out: multilayer perceptron of mu, evaluated with NumPy, so that placing needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 2_048  # rows evaluated at a time, always as many: products of other shapes round differently


@dataclass(frozen=True)
class Network:
    """Vectors (n, d) → coordinates (n, k) to cluster and points (n, 2) of the map.

    Attributes:
        layers: weights float32 (inputs, outputs) and biases float32 (outputs,) of each layer, with ReLU between them.
        k: dimensions of the coordinates; the last two of k + 2 outputs are the points; of k = 2 outputs all are both.
    """

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    k: int

    def __call__(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns coordinates float32 (n, k) and points float32 (n, 2) of vectors float32 (n, d).

        A row's result does not depend on the other rows.
        """
        found = np.empty((len(vectors), self.layers[-1][1].size), np.float32)
        for start in range(0, len(vectors), BLOCK):
            rows = vectors[start : start + BLOCK]
            values = np.zeros((BLOCK, vectors.shape[1]), np.float32)
            values[: len(rows)] = rows
            for number, (weights, biases) in enumerate(self.layers):
                values = values @ weights + biases
                if number + 1 < len(self.layers):
                    np.maximum(values, 0, out=values)
            found[start : start + len(rows)] = values[: len(rows)]
        return found[:, : self.k], found[:, -2:]

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the layers by name, as `of_arrays` takes them."""
        return {
            f"{name}{number}": values
            for number, layer in enumerate(self.layers)
            for name, values in zip(("weights", "biases"), layer, strict=True)
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], k: int) -> "Network":
        """Returns the network of what `arrays` gave, for coordinates of k dimensions."""
        count = len(arrays) // 2
        return cls([(arrays[f"weights{number}"], arrays[f"biases{number}"]) for number in range(count)], k)
