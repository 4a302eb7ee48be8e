"""Training batches of items with several parts: each item whole, and by each of its parts alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from latentviz.modalities.batches.pairs import RowsDataModule
from latentviz.modalities.image.augment import views as augmented
from latentviz.modalities.image.data import Views
from latentviz.modalities.joint.config import Part
from latentviz.modalities.joint.guesses import with_guesses
from latentviz.modalities.joint.layout import Layout, Packed
from latentviz.modalities.joint.nets import JointDecoder, values_of
from latentviz.model.vae import Batch

# Parts that say so much of an item that they tell it from others; a label is shared by many.
CONTRASTED: Sequence[Part] = ("image", "text", "caption", "vectors")


class JointDataModule(RowsDataModule[Views]):
    """Training and validation batches of stored items.

    Args:
        packed: the items.
        train: int64 rows to train on.
        val: int64 held-out rows.
        batch_size: b.
        word_dropout: share of the words hidden from the encoder.
        positives: how images are augmented, and of which other items they are views too; None: they are not.
        guesses: items without a label are learnt under each label.
    """

    def __init__(
        self,
        packed: Packed,
        train: np.ndarray,
        val: np.ndarray,
        batch_size: int,
        word_dropout: float,
        positives: Views | None = None,
        *,
        guesses: bool = False,
    ) -> None:
        super().__init__(packed, train, val, batch_size, positives)
        self.layout, self.word_dropout, self.guesses = packed.layout, word_dropout, guesses

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Return held-out items as they are; in training also each with one part alone, as `views` makes them."""
        if self.trainer is None or not self.trainer.training:
            return Batch(batch, batch)
        if self.positives is None:
            x, found = batch, views(batch, self.layout, self.word_dropout)
        else:
            x, others = batch
            found = with_images(x, others, self.layout, self.word_dropout, self.positives)
        decoder = self.trainer.lightning_module.decoder
        if not self.guesses or not isinstance(decoder, JointDecoder):  # the user has brought another
            return found
        return with_guesses(found, x, self.layout, decoder.heads["label"])


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
        whole.append(alone(seen[rows], layout, part))
        targets.append(x[rows])
        place_of = x.new_full((b,), -1, dtype=torch.long)
        place_of[rows] = start + torch.arange(len(rows), device=x.device)
        found[part], start = place_of, start + len(rows)
    pairs = [found[part] for part in CONTRASTED if part in layout.parts]
    if len(pairs) > 2:  # two of three in each step: each item then has one partner, and all others are other items
        pairs.pop(int(torch.randint(len(pairs), ())))
    return Batch(torch.cat(whole), torch.cat(targets), pairs=torch.stack(pairs)[None] if len(pairs) == 2 else None)


def alone(x: Tensor, layout: Layout, part: Part) -> Tensor:
    """Return stored items, uint8 (b, p), without their other parts."""
    found = x.clone()
    found[:, : len(layout.parts)] = 0
    found[:, layout.parts.index(part)] = x[:, layout.parts.index(part)]
    return found


def with_images(x: Tensor, others: Tensor, layout: Layout, word_dropout: float, how: Views) -> Batch:
    """Return what `views` does with augmented images, and for each item one more, which is encoded and not decoded.

    The μ of the two images of an item, each alone, are one more pair to contrast. The targets stay as they are.

    Args:
        x: stored items, uint8 (b, p).
        others: of each the same item, or one with a like image, uint8 (b, p).
        layout: where the parts are.
        word_dropout: share of the words hidden from the encoder.
        how: strength of the augmentation.
    """
    b, image = len(x), layout.parts.index("image")
    batch, there = views(x, layout, word_dropout), x[:, image] > 0
    seen = torch.cat([batch.x, alone(others, layout, "image")])
    drawn = (seen[:, image] > 0).nonzero()[:, 0]
    pixels = augmented(values_of(layout, "image", seen[drawn]), how.strength, flip=how.flip)
    seen[drawn[:, None], torch.arange(*layout.slices["image"].indices(seen.shape[1]), device=x.device)] = (
        (255 * pixels).round_().clamp_(0, 255).to(x.dtype).flatten(1)
    )
    # An item of an image alone has no other view: the whole one is that of its image.
    rows = torch.arange(b, device=x.device)
    several = there & (x[:, : len(layout.parts)].sum(1) > 1)
    first = torch.where(several, b + several.cumsum(0) - 1, rows)
    pair = torch.stack([first, len(batch.x) + rows]).masked_fill(~there | (others[:, image] == 0), -1)
    pairs = pair[None] if batch.pairs is None else torch.cat([batch.pairs, pair[None]])
    return Batch(seen, batch.target, pairs=pairs)
