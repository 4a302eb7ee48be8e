"""One text from each p(x|z): left to right or the most certain position first, likeliest or drawn, without repeats.

Draws are a function of z: the same z gives the same text, whatever else is in its batch.
"""

import math
import zlib

import torch
from torch import Tensor

from latentviz.modalities.text.decoder import NEVER, TextLikelihood
from latentviz.modalities.text.tokens import END, PAD, UNK

LIKELY = 256  # tokens that are sorted before the whole vocabulary is
NO_REPEATS = 2.0  # a probability that no token reaches


def decode(
    likelihood: TextLikelihood,
    z: Tensor,
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    repeats: float = 0.0,
    candidates: int = 1,
) -> Tensor:
    """Return one text for each z, ids (b, t), padded after its end.

    Args:
        likelihood: p(x|z).
        z: (b, d), which seeds all draws.
        temperature: of the draw; 0: the likeliest token each time.
        top_p: share of the probability to draw from, the likeliest tokens first (Holtzman et al. 2020).
        repeats: probability that a token must have to occur a second time, if texts of the data do not repeat it; from
            left to right it never occurs a third time then.
        candidates: texts drawn at each z, of which the one with the highest mean log-probability per token is kept.
    """
    if likelihood.decoder.recurrent is None and temperature == 0:
        return most_certain_first(likelihood, repeats=repeats)
    draws = uniform(z, 1 if temperature == 0 else candidates, likelihood.decoder.t)  # (b, k, t)
    texts = [
        left_to_right(likelihood, draws[:, k], temperature=temperature, top_p=top_p, repeats=repeats)
        for k in range(draws.shape[1])
    ]  # k of (b, t)
    if len(texts) == 1:
        return texts[0]
    scores = torch.stack([likelihood.log_prob(text) / (text != PAD).sum(-1) for text in texts])  # (k, b)
    return torch.stack(texts)[scores.argmax(0), torch.arange(len(z), device=z.device)]


def left_to_right(
    likelihood: TextLikelihood, draws: Tensor, *, temperature: float, top_p: float, repeats: float
) -> Tensor:
    """Return one text for each z, ids (b, t), each token chosen given those before it.

    Args:
        likelihood: p(x|z).
        draws: uniform numbers in [0, 1), (b, t), which choose the tokens.
        temperature: see `decode`.
        top_p: see `decode`.
        repeats: see `decode`.
    """
    decoder = likelihood.decoder
    times = torch.zeros(len(draws), decoder.tokens.num_embeddings, dtype=torch.uint8, device=draws.device)  # 0, 1 or 2

    def choose(i: int, rows: Tensor, logits: Tensor) -> Tensor:
        if repeats > 0:
            unsure = (times[rows] > 1) | ((times[rows] > 0) & (logits.softmax(-1) < repeats))
            logits.masked_fill_(unsure & decoder.unrepeated, NEVER)
        token = logits.argmax(-1) if temperature == 0 else _draw(logits / temperature, draws[rows, i], top_p)
        times[rows, token] = times[rows, token].clamp_max(1) + 1
        return token

    return likelihood.generate(choose)


def most_certain_first(likelihood: TextLikelihood, *, repeats: float) -> Tensor:
    """Return one text for each z, ids (b, t), for independent positions: the most certain one is filled first.

    The argmax of each position repeats a token wherever it is likely; here only the most certain position gets it.
    """
    decoder = likelihood.decoder
    logits = likelihood.logits(likelihood.trunk)  # (b, t, v)
    logits[..., [PAD, UNK]] = NEVER
    logits[:, -1, END + 1 :] = NEVER
    b, t, _ = logits.shape
    log_p, text = logits.log_softmax(-1), torch.full((b, t), PAD, device=logits.device)
    rows = torch.arange(b, device=logits.device)
    for _ in range(t):
        best, token = log_p.max(-1)  # (b, t)
        place = best.argmax(-1)  # (b,)
        chosen = token[rows, place]
        text[rows, place] = chosen
        log_p[rows, place] = NEVER
        if repeats > 0:
            once = decoder.unrepeated[chosen]
            again = log_p[rows[once], :, chosen[once]]
            log_p[rows[once], :, chosen[once]] = again.masked_fill(again < math.log(repeats), NEVER)
    past = (text == END).cumsum(-1) - (text == END).long() > 0
    return text.masked_fill(past, PAD)


def _draw(logits: Tensor, draw: Tensor, top_p: float) -> Tensor:
    """Return one token per row, (b,), by the inverse of the cumulative distribution, the likeliest tokens first."""
    every = logits.softmax(-1)
    token, likely = _inverse(every, draw, top_p, min(LIKELY, every.shape[-1]))
    if not likely.all():
        token[~likely] = _inverse(every[~likely], draw[~likely], top_p, every.shape[-1])[0]
    return token


def _inverse(every: Tensor, draw: Tensor, top_p: float, k: int) -> tuple[Tensor, Tensor]:
    """Return the token of each row that its draw chooses, (b,), and whether it is surely among the k likeliest, (b,).

    Sorting the whole vocabulary takes longer than the network.
    """
    probability, order = every.topk(k)
    below = probability.cumsum(-1)  # (b, k)
    kept = below - probability < top_p
    most = below.masked_fill(~kept, 0).amax(-1) if top_p < 1 else torch.ones_like(draw)
    place = torch.searchsorted(below, (draw * most)[:, None], right=True)
    token = order.gather(1, torch.minimum(place, kept.sum(-1, keepdim=True) - 1))[:, 0]
    return token, (draw < below[:, -1]) if top_p == 1 else (below[:, -1] >= top_p)


def uniform(z: Tensor, candidates: int, t: int) -> Tensor:
    """Return uniform numbers in [0, 1), (b, candidates, t), each row a function of its z alone."""
    rows = []
    for row in z.detach().float().cpu().numpy():
        generator = torch.Generator().manual_seed(zlib.crc32(row.tobytes()))
        rows.append(torch.rand(candidates, t, generator=generator))
    return torch.stack(rows).to(z.device) if rows else torch.empty(0, candidates, t)
