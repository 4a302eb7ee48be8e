"""Predicts the labels of items by the decoder of labels, in runs that have learnt some."""

from typing import NamedTuple

import numpy as np
import torch

from latentviz.modalities.joint.kind import JointKind
from latentviz.modalities.joint.nets import JointDecoder
from latentviz.model.encoding import posteriors
from latentviz.model.vae import VAE

AT_A_TIME = 4_096  # items whose parts are in memory at once


class ByHead(NamedTuple):
    """What a run that has learnt labels knows of n items without looking at their labels.

    Attributes:
        mu: float32 (n, d), μ of the other parts of each item.
        probability: float32 (n, k), p(label|z = μ), of each label of the layout.
        given: int64 (n,), the code of the label that an item has; −1 without one.
        held_out: bool (n,), items that have a label and were not trained on.
    """

    mu: np.ndarray
    probability: np.ndarray
    given: np.ndarray
    held_out: np.ndarray


def by_head(kind: JointKind, vae: VAE, mu: np.ndarray) -> ByHead:
    """Encode the items with a label again without it, and predict the labels of all items by their decoder.

    Args:
        kind: the items.
        vae: the model.
        mu: float (n, d), μ of the whole items.
    """
    layout, packed = kind.layout, kind.packed
    mark, rows = layout.parts.index("label"), np.flatnonzero(packed.has("label"))
    given = np.full(len(mu), -1, np.int64)
    given[rows] = packed.bytes_of("label")[rows].argmax(axis=1)
    others = np.array(mu, np.float32)
    for start in range(0, len(rows), AT_A_TIME):
        block = rows[start : start + AT_A_TIME]
        stored = packed[block]
        stored[:, mark] = 0
        others[block] = posteriors(vae, stored, kind.to_input).mu
    held_out = (given >= 0) & np.isin(np.arange(len(mu)), kind.items.val)
    return ByHead(others, _shares(vae, others), given, held_out)


def _shares(vae: VAE, mu: np.ndarray) -> np.ndarray:
    """Return p(label|z = μ), float32 (n, k)."""
    assert isinstance(vae.decoder, JointDecoder)
    head = vae.decoder.heads["label"]
    with torch.inference_mode():
        found: np.ndarray = head(vae.cast(torch.from_numpy(np.array(mu)))).float().softmax(-1).numpy()
    return found
