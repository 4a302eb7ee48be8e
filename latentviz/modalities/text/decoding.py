"""From p(x|z) to one text: position by position or the surest first, likeliest or drawn, without telling twice.

Chance is part of z here: what is drawn at a z follows from its numbers, so that the same z gives the same text in any
company.
"""

import math
import zlib

import torch
from torch import Tensor

from latentviz.modalities.text.likelihood import TextLikelihood
from latentviz.modalities.text.tokens import END, PAD, UNK

NEVER = float("-inf")
NO_REPEATS = 2.0  # a probability that none reaches


def decode(
    likelihood: TextLikelihood,
    z: Tensor,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    repeats: float = 0.0,
    candidates: int = 1,
) -> Tensor:
    """Returns one text for each z, ids (b, t): after its end a text is padded.

    Args:
        likelihood: p(x|z).
        z: (b, d), which all chance comes from.
        temperature: of the draw; 0: the likeliest token each time.
        top_p: share of the probability that is drawn from, the likeliest tokens first (Holtzman et al. 2020).
        repeats: probability that a token needs to be told twice, where the data does not have it twice in a text; from
            left to right it is never told a third time then.
        candidates: texts drawn at each z, of which the one whose tokens are likeliest on average is kept.
    """
    if likelihood.decoder.recurrent is None and temperature == 0:
        return surest_first(likelihood, repeats=repeats)
    if temperature == 0 or candidates == 1:
        return left_to_right(
            likelihood, chance(z, 1, likelihood.decoder.t)[:, 0], temperature=temperature, top_p=top_p, repeats=repeats
        )
    draws = chance(z, candidates, likelihood.decoder.t)  # (b, k, t)
    texts = torch.stack(
        [
            left_to_right(likelihood, draws[:, k], temperature=temperature, top_p=top_p, repeats=repeats)
            for k in range(candidates)
        ]
    )  # (k, b, t)
    scores = torch.stack([likelihood.log_prob(text) / (text != PAD).sum(-1) for text in texts])  # (k, b)
    best: Tensor = texts[scores.argmax(0), torch.arange(len(z), device=z.device)]
    return best


def left_to_right(
    likelihood: TextLikelihood, draws: Tensor, *, temperature: float, top_p: float, repeats: float
) -> Tensor:
    """Returns one text a row, ids (b, t), each token chosen after those before it.

    Args:
        likelihood: p(x|z).
        draws: uniform numbers in [0, 1), (b, t), which choose the tokens.
        temperature: see `decode`.
        top_p: see `decode`.
        repeats: see `decode`.
    """
    decoder, b = likelihood.decoder, len(draws)
    said = torch.zeros(b, decoder.tokens.num_embeddings, dtype=torch.uint8, device=draws.device)  # 0, 1 or 2 times
    text = torch.empty(b, 0, dtype=torch.int64, device=draws.device)
    ended = torch.zeros(b, dtype=torch.bool, device=draws.device)
    state: Tensor | None = None
    for i in range(decoder.t):
        features, state = decoder.step(likelihood.trunk[:, i], text, state)
        logits = likelihood.logits(features)
        logits[:, [PAD, UNK]] = NEVER
        if i == decoder.t - 1:
            logits[:, END + 1 :] = NEVER  # the last place is the end's
        if repeats > 0:
            unsure = (said > 1) | ((said > 0) & (logits.softmax(-1) < repeats))
            logits.masked_fill_(unsure & decoder.unrepeated, NEVER)
        token = logits.argmax(-1) if temperature == 0 else _draw(logits / temperature, draws[:, i], top_p)
        token = token.masked_fill(ended, PAD)
        said.scatter_(1, token[:, None], said.gather(1, token[:, None]).clamp_max(1) + 1)
        text = torch.cat([text, token[:, None]], dim=1)
        ended = ended | (token == END)
        if bool(ended.all()):
            break
    return torch.nn.functional.pad(text, (0, decoder.t - text.shape[1]), value=PAD)


def surest_first(likelihood: TextLikelihood, *, repeats: float) -> Tensor:
    """Returns one text for each z, ids (b, t), for positions told on their own: the surest place is filled first.

    Greedy telling says a likely token at every place where it is likely; here whoever is surest of it gets it.
    """
    decoder = likelihood.decoder
    logits = likelihood.logits(decoder.features(likelihood.trunk, likelihood.trunk.new_zeros(1, 1, dtype=torch.int64)))
    logits[..., [PAD, UNK]] = NEVER
    logits[:, -1, END + 1 :] = NEVER
    b, t, _ = logits.shape
    sure, text = logits.log_softmax(-1), torch.full((b, t), PAD, device=logits.device)
    everyone = torch.arange(b, device=logits.device)
    for _ in range(t):
        best, token = sure.max(-1)  # (b, t)
        place = best.argmax(-1)  # (b,)
        chosen = token[everyone, place]
        text[everyone, place] = chosen
        sure[everyone, place] = NEVER
        if repeats > 0:
            once = decoder.unrepeated[chosen]
            again = sure[everyone[once], :, chosen[once]]
            sure[everyone[once], :, chosen[once]] = again.masked_fill(again < math.log(repeats), NEVER)
    past = (text == END).cumsum(-1) - (text == END).long() > 0
    return text.masked_fill(past, PAD)


def _draw(logits: Tensor, draw: Tensor, top_p: float) -> Tensor:
    """Returns a token a row by the inverse of the cumulative distribution, the likeliest tokens first, (b,)."""
    probability, order = logits.softmax(-1).sort(dim=-1, descending=True)
    below = probability.cumsum(-1)  # (b, v)
    kept = below - probability < top_p
    most = below.masked_fill(~kept, 0).amax(-1, keepdim=True)
    place = torch.searchsorted(below, draw[:, None] * most, right=True)
    return order.gather(1, torch.minimum(place, kept.sum(-1, keepdim=True) - 1))[:, 0]


def chance(z: Tensor, candidates: int, t: int) -> Tensor:
    """Returns uniform numbers in [0, 1), (b, candidates, t), that follow from each row of z alone."""
    rows = []
    for row in z.detach().float().cpu().numpy():
        generator = torch.Generator().manual_seed(zlib.crc32(row.tobytes()))
        rows.append(torch.rand(candidates, t, generator=generator))
    return torch.stack(rows).to(z.device) if rows else torch.empty(0, candidates, t)
