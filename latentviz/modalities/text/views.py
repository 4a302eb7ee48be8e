"""Two views of a text that share no token: what both say is what it is about, and how it speaks."""

import torch
from torch import Tensor

from latentviz.modalities.text.tokens import END, PAD

SPLIT_IN_TWO = 0.5  # share of the texts that are cut at a place; of the others each token goes to a side by chance


def halves(x: Tensor) -> Tensor:
    """Returns the first halves of texts and then their second ones, ids (2b, t), with padding where the rest was.

    Halves of one text are each other's positives as in Contriever's independent crops (Izacard et al. 2022), but
    without overlap: no token is there to be recognised.

    Args:
        x: (b, t).
    """
    b, t = x.shape
    place = torch.arange(t, device=x.device)
    length = ((x != PAD) & (x != END)).sum(-1, keepdim=True)  # (b, 1)
    cut = place < (length + 1) // 2
    scattered = torch.rand(b, t, device=x.device) < 0.5
    first = torch.where(torch.rand(b, 1, device=x.device) < SPLIT_IN_TWO, cut, scattered)
    ended = x == END
    return torch.cat([x.where(first | ended, PAD), x.where(~first | ended, PAD)])
