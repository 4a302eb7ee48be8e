"""An optional term of the objective that makes μ cluster well: contrast between two views of an item.

With the weight 0 the loss is the seed's, C·‖x − f(z)‖² + KL, exactly.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from latentviz.model.distributed import several


def info_nce(first: Tensor, second: Tensor, temperature: float, related: Tensor | None = None) -> Tensor:
    """Returns the symmetric InfoNCE loss in nats, scalar (van den Oord et al. 2018, equation 4; Chen et al. 2020).

    Row i of `first` and of `second` are two views that belong together; every other row of both is a negative.
    Similarity is the cosine, divided by the temperature.

    Args:
        first: (b, k).
        second: (b, k).
        temperature: > 0; lower looks harder at the nearest negatives.
        related: bool (b, b), symmetric: pairs of items that are no negatives of each other; None: every pair is.
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
    """Returns the views of every process, (ranks·b, k), of those in one process the same; gradients flow to all.

    Each process then has the whole batch's loss, whose gradients by its own views are summed over the processes and
    averaged with the other weights' gradients: together the gradient that one process with all views would have.

    Args:
        views: (b, k), b the same in each process.
    """
    if not several():
        return views
    from torch.distributed.nn.functional import all_gather

    gathered: Tensor = torch.cat(all_gather(views.float().contiguous()))  # type: ignore[no-untyped-call]
    return gathered
