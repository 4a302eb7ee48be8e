"""Contrast between two views of an item: an optional term of the loss that makes μ cluster better."""

import torch
from torch import Tensor
from torch.nn import functional as F

from latentviz.model.distributed import several


def info_nce(first: Tensor, second: Tensor, temperature: float, related: Tensor | None = None) -> Tensor:
    """Return the symmetric InfoNCE loss in nats, scalar (van den Oord et al. 2018, equation 4; Chen et al. 2020).

    Rows i of `first` and `second` are positives; all other rows of both are negatives. Similarity is the cosine over
    the temperature.

    Args:
        first: (b, k).
        second: (b, k).
        temperature: > 0; a lower one gives more weight to the nearest negatives.
        related: bool (b, b), symmetric: pairs of items that are not negatives of each other; None: no such pairs.
    """
    b = len(first)
    views = F.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = views @ views.T / temperature  # (2b, 2b)
    rows = torch.arange(2 * b, device=views.device)
    partner = (rows + b) % (2 * b)
    ignored = torch.eye(2 * b, dtype=torch.bool, device=views.device)
    if related is not None:
        ignored = ignored | related.repeat(2, 2)
        ignored[rows, partner] = False
    return F.cross_entropy(similarity.masked_fill(ignored, float("-inf")), partner)


def from_all(views: Tensor) -> Tensor:
    """Return the views of all processes, (ranks·b, k), with gradients to all; a single process gets its own back.

    Each process then computes the whole batch's loss. Summed over processes by all_gather and averaged by DDP, its
    gradients are those of one process with all views.

    Args:
        views: (b, k), b the same in each process.
    """
    if not several():
        return views
    from torch.distributed.nn.functional import all_gather

    gathered: Tensor = torch.cat(all_gather(views.float().contiguous()))  # type: ignore[no-untyped-call]
    return gathered
