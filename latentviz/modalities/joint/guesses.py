"""Items without a label under each label they may have: the unlabelled bound of M2."""

from collections.abc import Callable

import torch
from torch import Tensor

from latentviz.errors import ConfigError
from latentviz.modalities.joint.layout import Layout
from latentviz.model.vae import Batch, Weighed

MOST_LABELS = 64  # an item without a label is decoded once for each


def check_guesses(layout: Layout) -> None:
    """Check that items without a label can be learnt under each label.

    Raises:
        ConfigError: labels are no part, or there are too many.
    """
    if not layout.labels:
        named = ",".join(layout.parts)
        raise ConfigError(
            f"model.label_objective: m2 acts where labels are a part (got data.parts={named}); leave it out, or set "
            f"data.parts={named},label"
        )
    if len(layout.labels) > MOST_LABELS:
        raise ConfigError(
            f"model.label_objective: m2 decodes an item without a label once for each label, at most {MOST_LABELS} "
            f"(got {len(layout.labels):,} labels); leave it out"
        )


def with_guesses(batch: Batch, x: Tensor, layout: Layout, head: Callable[[Tensor], Tensor]) -> Batch:
    """Return the batch with the items that have no label once more for each label, weighed by q(y|x).

    The bound of an item without a label is E_q(y|x)[ELBO(x, y)] + H[q(y|x)] (M2, Kingma et al. 2014, equation 7), with
    q(y|x) = p(y|z = μ), where μ is of the parts that the item has. So the decoder of labels is the classifier, and no
    network is added. Labels have a uniform prior, as in M2; a guess is not decoded, or the classifier would confirm
    itself.

    Args:
        batch: of `views`; its first b rows are the items with all of their parts.
        x: stored items, uint8 (b, p).
        layout: where the parts are.
        head: μ (m, d) → the logits of the k labels, (m, k).
    """
    mark, place, k = layout.parts.index("label"), layout.slices["label"], len(layout.labels)
    rows = ((x[:, mark] == 0) & (x[:, : len(layout.parts)].sum(1) > 0)).nonzero()[:, 0]
    if not len(rows):
        return batch
    labels = torch.eye(k, dtype=x.dtype, device=x.device).repeat(len(rows), 1)  # (m·k, k)

    def labelled(items: Tensor) -> Tensor:
        found = items[rows].repeat_interleave(k, dim=0)
        found[:, place], found[:, mark] = labels, 1
        return found

    start = len(batch.target)  # rows after it are encoded only
    seen = torch.cat([batch.x[:start], labelled(batch.x), batch.x[start:]])
    pairs = batch.pairs
    if pairs is not None:
        pairs = torch.where(pairs >= start, pairs + len(labels), pairs)

    def weigh(mu: Tensor) -> Weighed:
        log_q = head(mu[rows]).float().log_softmax(-1)  # (m, k)
        q = log_q.exp()
        weights = torch.cat([q.new_ones(start), q.flatten(), q.new_ones(len(batch.x) - start)])
        items = start + len(rows)
        return Weighed(weights * (start + len(labels)) / items, (q * log_q).sum() / items)

    return Batch(seen, torch.cat([batch.target, x[rows].repeat_interleave(k, dim=0)]), pairs=pairs, weigh=weigh)
