"""Predicts the labels of items by the decoder of labels, in runs that have learnt some."""

from typing import NamedTuple

import numpy as np
import torch

from latentviz.modalities.joint.kind import JointKind
from latentviz.modalities.joint.nets import JointDecoder
from latentviz.model.encoding import posteriors
from latentviz.model.vae import VAE


class ByHead(NamedTuple):
    """Classes of n items, p(label|μ).

    Attributes:
        probability: float32 (n, k), of each label of the layout.
        given: int64 (n,), the code of the label that an item has; −1 without one.
        right: how many of the held-out items that have a label are predicted from their other parts.
        tested: how many these are.
    """

    probability: np.ndarray
    given: np.ndarray
    right: int
    tested: int


def by_head(kind: JointKind, vae: VAE, mu: np.ndarray) -> ByHead:
    """Predict the label of each item from its μ, float (n, d); held-out ones are encoded again without their label."""
    layout, packed, shift = kind.layout, kind.packed, int(np.prod(kind.layout.image))
    place, mark = layout.slices["label"], layout.parts.index("label")
    there = packed.rest[:, mark] > 0
    given = np.where(there, packed.rest[:, place.start - shift : place.stop - shift].argmax(axis=1), -1)
    rows = kind.items.val[there[kind.items.val]]
    right = 0
    if len(rows):
        stored = packed[rows]
        stored[:, mark] = 0
        without = posteriors(vae, stored, kind.to_input).mu
        right = int((_shares(vae, without).argmax(axis=1) == given[rows]).sum())
    return ByHead(_shares(vae, mu), given, right, len(rows))


def _shares(vae: VAE, mu: np.ndarray) -> np.ndarray:
    """Return p(label|z = μ), float32 (n, k)."""
    assert isinstance(vae.decoder, JointDecoder)
    head = vae.decoder.heads["label"]
    with torch.inference_mode():
        found: np.ndarray = head(vae.cast(torch.from_numpy(np.array(mu)))).float().softmax(-1).numpy()
    return found
