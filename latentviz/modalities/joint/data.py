"""Training batches of items with several parts: each item whole, and by each of its parts alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from latentviz.modalities.batches.pairs import Positives, RowsDataModule
from latentviz.modalities.joint.config import Part
from latentviz.modalities.joint.layout import Layout, Packed
from latentviz.model.vae import Batch

# Parts that say so much of an item that they tell it from others; a label is shared by many.
CONTRASTED: Sequence[Part] = ("image", "text", "caption", "vectors")


class JointDataModule(RowsDataModule[Positives]):
    """Training and validation batches of stored items.

    Args:
        packed: the items.
        train: int64 rows to train on.
        val: int64 held-out rows.
        batch_size: b.
        word_dropout: share of the words hidden from the encoder.
    """

    def __init__(
        self, packed: Packed, train: np.ndarray, val: np.ndarray, batch_size: int, word_dropout: float
    ) -> None:
        super().__init__(packed, train, val, batch_size)
        self.layout, self.word_dropout = packed.layout, word_dropout

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Return held-out items as they are; in training also each with one part alone, as `views` makes them."""
        if self.trainer is None or not self.trainer.training:
            return Batch(batch, batch)
        return views(batch, self.layout, self.word_dropout)


def views(x: Tensor, layout: Layout, word_dropout: float) -> Batch:
    """Return each item with all of its parts, then those of several parts with each part alone; whole ones as targets.

    So the loss is the mean of the ELBOs of all parts together and of each part alone (Wu & Goodman 2018, section 2.2),
    and every part is decoded from every other. Parts that are missing make no view.

    Args:
        x: stored items, uint8 (b, p).
        layout: where the parts are.
        word_dropout: share of the words hidden from the encoder.
    """
    b, marks = len(x), len(layout.parts)
    seen = x
    if word_dropout and "caption" in layout.parts:
        place = layout.slices["caption"]
        seen = x.clone()
        seen[:, place] *= (torch.rand(b, place.stop - place.start, device=x.device) >= word_dropout).to(x.dtype)
    several = x[:, :marks].sum(1) > 1
    whole, targets, start, found = [seen], [x], b, dict[Part, Tensor]()
    for mark, part in enumerate(layout.parts):
        rows = ((x[:, mark] > 0) & several).nonzero()[:, 0]
        alone = seen[rows].clone()
        alone[:, :marks] = 0
        alone[:, mark] = 1
        place_of = x.new_full((b,), -1, dtype=torch.long)
        place_of[rows] = start + torch.arange(len(rows), device=x.device)
        found[part], start = place_of, start + len(rows)
        whole.append(alone)
        targets.append(x[rows])
    pairs = [found[part] for part in CONTRASTED if part in layout.parts]
    if len(pairs) > 2:  # two of three in each step: each item then has one partner, and all others are other items
        pairs.pop(int(torch.randint(len(pairs), ())))
    return Batch(torch.cat(whole), torch.cat(targets), pairs=torch.stack(pairs) if len(pairs) == 2 else None)
