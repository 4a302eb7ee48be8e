"""Two views of a text."""

import torch

from latentviz.modalities.text.data import halves
from latentviz.modalities.text.tokens import END, PAD


def test_halves_share_no_token_and_lose_none() -> None:
    torch.manual_seed(0)
    x = torch.arange(10, 30).repeat(50, 1)
    x[:25, 12] = END
    x[:25, 13:] = PAD
    first, second = halves(x).chunk(2)
    content = (x != PAD) & (x != END)
    assert ((first != PAD) ^ (second != PAD))[content].all()
    assert torch.equal(torch.maximum(first, second), x)
    assert torch.equal(first == END, x == END)
    sizes = ((first != PAD) & content).sum(1)
    assert (sizes > 0).all()
    assert (sizes[:25] <= 12).all()
    assert len(sizes.unique()) > 2, "some are cut at a place, some scattered"
