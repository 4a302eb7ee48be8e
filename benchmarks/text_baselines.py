"""Baselines for a model of texts (a language model of equal training time, mean vectors, TF-IDF) and scores."""

import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentviz.modalities.text.softmax import Negatives, inclusion_probabilities, token_nats
from latentviz.modalities.text.tokens import END, PAD

NEIGHBOURS = 25
WIDTH, MEMORY, BATCH, DROPOUT, NEGATIVES = 128, 256, 128, 0.25, 1024
PEAK, LAST = 2e-3, 0.2  # learning rate; final share of the time that uses the whole vocabulary


class LanguageModel(nn.Module):
    """A GRU over the previous tokens and the one `lag` back, with tied input and output embeddings."""

    def __init__(self, vectors: Tensor, counts: Tensor, lag: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding.from_pretrained(vectors.clone(), freeze=False)
        share = counts.float().clamp_min(0.5)
        self.bias = nn.Parameter((share / share.sum()).log())
        self.net = nn.GRU((2 if lag else 1) * WIDTH, MEMORY, batch_first=True)
        self.out, self.lag = nn.Linear(MEMORY, WIDTH), lag
        self.sample = min(NEGATIVES, len(counts))
        self.chances = inclusion_probabilities(counts, self.sample)

    def nats(self, x: Tensor, negatives: Negatives | None = None) -> Tensor:
        """−log p of each text of ids (b, t), including its end token, (b,), in nats."""
        seen = [F.pad(x, (by, 0), value=END)[:, : x.shape[1]] for by in ([1, self.lag] if self.lag else [1])]
        vectors = torch.cat([F.dropout(self.tokens(s), DROPOUT, self.training) for s in seen], dim=-1)
        states = F.dropout(self.net(vectors)[0], DROPOUT, self.training)
        there = x != PAD
        there[:, -1] = False  # an end token at the last position is certain, as for our model
        nats = token_nats(self.out(states)[there], x[there], self.tokens.weight, self.bias, negatives)
        return nats.new_zeros(x.shape).masked_scatter(there, nats).sum(-1)


def language_model(x: Tensor, vectors: Tensor, counts: Tensor, lag: int, seconds: float, bf16: bool) -> LanguageModel:
    """Train a language model on ids (n, t) for the given CPU seconds of this process."""
    torch.manual_seed(0)
    model = LanguageModel(vectors, counts, lag)
    optimiser = torch.optim.Adam(model.parameters(), PEAK)
    begun, step, order = time.process_time(), 0, iter(())
    while (done := (time.process_time() - begun) / seconds) < 1:
        rows = next(order, None)
        if rows is None:
            order = iter(torch.randperm(len(x)).split(BATCH))
            rows = next(order)
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = PEAK * min(1, step / 200, (1 - done) / 0.6)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.nats(x[rows], Negatives(model.chances, model.sample) if done < 1 - LAST else None).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    return model.eval()


@torch.no_grad()
def nats(model: LanguageModel, x: Tensor) -> np.ndarray:
    """−log p of each text in nats, (n,)."""
    return torch.cat([model.nats(part) for part in x.split(512)]).numpy()


def balanced_knn(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """Balanced accuracy of the vote of 25 nearest neighbours by cosine.

    Each class is subsampled to as many training items as the smallest has.
    """
    classes, rng = np.unique(train_labels), np.random.default_rng(0)
    least = min(int((train_labels == c).sum()) for c in classes)
    kept = np.concatenate([rng.permutation(np.flatnonzero(train_labels == c))[:least] for c in classes])
    voters, votes = (
        F.normalize(torch.from_numpy(train[kept]).float(), dim=1),
        torch.from_numpy(np.searchsorted(classes, train_labels[kept])),
    )
    votes_for = []
    for part in F.normalize(torch.from_numpy(test).float(), dim=1).split(2048):
        near = (part @ voters.T).topk(min(NEIGHBOURS, len(kept)), dim=1).indices
        votes_for.append(F.one_hot(votes[near], len(classes)).sum(1).argmax(1))
    found = classes[torch.cat(votes_for).numpy()]
    return float(np.mean([(found[test_labels == c] == c).mean() for c in classes]))


def tfidf(train: list[str], test: list[str], dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """TF-IDF of characters, reduced by a truncated SVD fitted to `train`."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(analyzer="char", min_df=5, sublinear_tf=True)
    table = words.fit_transform(train)
    reduced = TruncatedSVD(dimensions, random_state=0).fit(table)
    return reduced.transform(table), reduced.transform(words.transform(test))


def mean_vectors(vectors: Tensor, x: np.ndarray) -> np.ndarray:
    """Mean of the embeddings of each text's tokens, (n, e)."""
    table = vectors.numpy()
    there = (x > END)[..., None]
    parts = [
        (table[rows] * mask).sum(1) / mask.sum(1).clip(1)
        for rows, mask in zip(
            np.array_split(x, 1 + len(x) // 4096), np.array_split(there, 1 + len(x) // 4096), strict=True
        )
    ]
    return np.concatenate(parts)
