"""Tang couplets: the metrics of one model, compared with simpler baselines on the same couplets."""

import csv
import gzip
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from text_baselines import LanguageModel, balanced_knn, language_model, mean_vectors, nats, tfidf
from torch import Tensor

import latentviz as lv
from latentviz.config import parse_overrides
from latentviz.evaluation.vae_health import log_weights
from latentviz.modalities.loading import load_model
from latentviz.modalities.text.cooccurrence import token_statistics
from latentviz.modalities.text.decoding import NO_REPEATS, decode
from latentviz.modalities.text.kind import SURE
from latentviz.modalities.text.tokens import END
from latentviz.model.encoding import posteriors
from latentviz.model.information import aggregate
from latentviz.progress import say
from latentviz.runs.run import RunFolder
from latentviz.stages.fit import has_bf16

HELD_OUT = 0.1  # of the poems
WATCHED = 0.05  # of the other couplets: the validation split of the training; no setting is chosen on it
CHARACTERS = 10  # per couplet, without comma and end token, which count in the nats
BOUND_ITEMS, BOUND_SAMPLES, DECODED, DRAWN, MANY = 2_000, 24, 2_000, 500, 2_000


@dataclass(frozen=True)
class Couplets:
    """A table of couplets.

    Attributes:
        columns: text, author, title, form, era; n values each.
        held_out: bool (n,), couplets of held-out poems.
    """

    columns: dict[str, list[str]]
    held_out: np.ndarray

    def of(self, name: str, held_out: bool) -> list[str]:
        """Values of a column in one part."""
        return [value for value, out in zip(self.columns[name], self.held_out, strict=True) if out == held_out]


def read(path: Path) -> Couplets:
    """Read the couplets; whole poems are held out."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(content.decode("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = {name: [row[name] for row in rows] for name in ("text", "author", "title", "form", "era")}
    poems: dict[tuple[str, str], int] = {}
    poem = np.array(
        [poems.setdefault(key, len(poems)) for key in zip(columns["author"], columns["title"], strict=True)]
    )
    place = np.argsort(np.random.default_rng(0).permutation(len(poems)))
    return Couplets(columns, place[poem] < HELD_OUT * len(poems))


def fitted(couplets: Couplets, outputs: Path, overrides: list[str]) -> tuple[RunFolder, dict[str, float]]:
    """The run, and the wall time, CPU time and threads of its training."""
    place = outputs / "tang"
    file = outputs / "tang-couplets.txt"
    clock = outputs / "tang-seconds.json"
    if not (place / "run.json").exists():
        outputs.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(couplets.of("text", False)) + "\n", encoding="utf-8")
        more = parse_overrides(overrides)
        begun, clocked = time.process_time(), time.perf_counter()
        lv.fit(
            str(file),
            run="tang",
            outputs=str(outputs),
            force=True,
            **{**more, "data": {"val_fraction": WATCHED, **more.get("data", {})}},
        )
        spent = {
            "cpu": time.process_time() - begun,
            "clock": time.perf_counter() - clocked,
            "threads": torch.get_num_threads(),
        }
        clock.write_text(json.dumps(spent), encoding="utf-8")
    return RunFolder.open(str(place)), json.loads(clock.read_text(encoding="utf-8"))


@torch.inference_mode()
def decode_at(vae: Any, z: Tensor, noise: float, **how: Any) -> Tensor:
    """Decode each z to token ids (m, t)."""
    return torch.cat([decode(vae.decoder(part, torch.full((len(part),), noise)), part, **how) for part in z.split(256)])


def characters(ids: np.ndarray, comma: int) -> np.ndarray:
    """Which tokens are characters, bool (n, t)."""
    return (ids > END) & (ids != comma)


def language(kind: Any, facts: Any, seconds: float, file: Path) -> LanguageModel:
    """Load the language model, or train it for the given seconds on the model's couplets."""
    if file.exists():
        model = LanguageModel(facts.vectors, facts.counts, kind.config.model.lag)
        model.load_state_dict(torch.load(file, weights_only=True))
        return model.eval()
    say(f"training a language model for {seconds:.0f} s …")
    x = torch.from_numpy(np.asarray(kind.tokens[kind.items.train], np.int64))
    model = language_model(x, facts.vectors, facts.counts, kind.config.model.lag, seconds, has_bf16())
    torch.save(model.state_dict(), file)
    return model


def tang(path: Path, outputs: Path, overrides: list[str], language_seconds: float | None) -> list[str]:
    """The Tang section of the results."""
    couplets = read(path)
    run, seconds = fitted(couplets, outputs, overrides)
    loaded = load_model(run)
    vae, kind = loaded.vae, loaded.kind
    texts = couplets.of("text", True)
    x, _, _ = kind.tokenizer.encode(texts, kind.tokens.shape[1])
    comma = int(kind.tokenizer.encode([","], 2)[0][0, 0])
    say(f"measuring {len(texts):,} held-out couplets …")
    latents = posteriors(vae, x, kind.to_input)
    facts = token_statistics(kind.tokens, kind.items.train, kind.tokenizer.size, kind.config.model.width, 0)
    spent = language_seconds or seconds["cpu"]
    model = language(kind, facts, spent, outputs / f"tang-language-model-{spent:.0f}.pt")
    ids = torch.from_numpy(x.astype(np.int64))
    heading = (
        f"Trained for {seconds['clock'] / 60:.1f} minutes of wall time with {seconds['threads']:.0f} threads "
        f"({seconds['cpu'] / 60:.1f} CPU-minutes), including reading and encoding, on {len(kind.items.train):,} "
        f"couplets; measured on {len(texts):,} couplets of other poems. Nats per character are those of a couplet, "
        f"including comma and end token, divided by {CHARACTERS}."
    )
    lines = [heading, "", "| metric | latentviz | baselines |", "|---|---|---|"]
    lines += [
        f"| {name} | {value} | {baseline} |"
        for name, value, baseline in [
            *bounds(vae, ids, latents, f"{nats(model, ids).mean() / CHARACTERS:.3f} (trained for {spent:.0f} s)"),
            *decoded(vae, ids, latents, comma),
            *neighbours(run, couplets, latents, facts, kind, x),
            *samples(vae, kind, ids, model, comma),
        ]
    ]
    return [*lines, *examples(vae, kind, ids, latents)]


@torch.inference_mode()
def bounds(vae: Any, ids: Tensor, latents: Any, language: str) -> list[tuple[str, str, str]]:
    """Bounds on the log-evidence, and the information in the latent."""
    torch.manual_seed(0)
    rows = torch.randperm(len(ids))[:BOUND_ITEMS]
    weights = torch.cat([log_weights(vae, part, BOUND_SAMPLES) for part in ids[rows].split(256)], dim=1)  # (K, m)
    bound = torch.logsumexp(weights, 0) - np.log(BOUND_SAMPLES)
    mu, logvar = (torch.from_numpy(part).double() for part in (latents.mu, latents.logvar))
    together = aggregate(mu[:10_000], logvar[:10_000], 2_000)
    kl = 0.5 * (logvar.exp() + mu.square() - 1 - logvar).sum(1).mean()
    error = float(bound.std()) / len(rows) ** 0.5 / CHARACTERS
    return [
        (
            f"bound of −log p(x), {BOUND_SAMPLES} samples, nats per character",
            f"{-bound.mean() / CHARACTERS:.3f} ± {error:.3f}",
            f"a GRU language model {language}",
        ),
        ("−ELBO, nats per character", f"{-weights.mean() / CHARACTERS:.3f}", ""),
        ("KL, nats per couplet", f"{kl:.1f}", ""),
        ("information I(x; z), nats", f"{together.mutual_information:.2f}", f"cap {together.cap:.2f}"),
        ("active units at .2", f"{int((mu.var(0) > 0.2).sum())} of {mu.shape[1]}", ""),
    ]


def decoded(vae: Any, ids: Tensor, latents: Any, comma: int) -> list[tuple[str, str, str]]:
    """How much of a couplet is reconstructed from μ, and from a draw of z."""
    torch.manual_seed(0)
    rows = torch.randperm(len(ids))[:DECODED]
    x, mu = ids[rows].numpy(), torch.from_numpy(latents.mu)[rows]
    sigma = torch.from_numpy(latents.logvar)[rows].mul(0.5).exp()
    there = characters(x, comma)
    z = mu + sigma * torch.randn_like(mu)
    right = {"mu": decode_at(vae, mu, 0.0, repeats=SURE).numpy() == x, "z": decode_at(vae, z, 1.0).numpy() == x}
    with torch.inference_mode():
        alone = torch.cat([position_wise(vae, part) for part in z.split(256)]).numpy() == x
    likeliest = np.bincount(ids.numpy()[characters(ids.numpy(), comma)]).max() / characters(ids.numpy(), comma).sum()
    return [
        ("characters right, decoded from μ", f"{right['mu'][there].mean():.3f}", ""),
        ("whole couplets right, decoded from μ", f"{(right['mu'] | ~there).all(1).mean():.3f}", ""),
        (
            "characters right, from a draw of z: greedy",
            f"{right['z'][there].mean():.3f}",
            f"always the most frequent character {likeliest:.3f}",
        ),
        ("characters right, from a draw of z: each position alone", f"{alone[there].mean():.3f}", ""),
    ]


def position_wise(vae: Any, z: Tensor) -> Tensor:
    """The most likely token at each position given z alone, (m, t)."""
    likelihood = vae.decoder(z)
    by_position = vae.decoder.by_position or torch.nn.Identity()
    found: Tensor = likelihood.logits(by_position(likelihood.trunk)).argmax(-1)
    return found


def neighbours(
    run: RunFolder, couplets: Couplets, latents: Any, facts: Any, kind: Any, x: np.ndarray
) -> list[tuple[str, str, str]]:
    """Accuracy of author, era and form predicted by nearest neighbours in μ and in the baselines."""
    train_mu, train_x = np.asarray(run.mu()), np.asarray(kind.tokens[:], np.int64)
    vectors = {
        "latentviz": (train_mu, latents.mu),
        "mean PPMI vector": (mean_vectors(facts.vectors, train_x), mean_vectors(facts.vectors, x)),
        "TF-IDF SVD": tfidf(couplets.of("text", False), couplets.of("text", True), train_mu.shape[1]),
    }
    kept = kind.config.model.content_dim if kind.config.model.contrast else None
    if kept:
        vectors["content alone"] = (train_mu[:, :kept], latents.mu[:, :kept])
    found = []
    for name, most in (("author", 10), ("era", 4), ("form", 2)):
        train, test = (np.array(couplets.of(name, out)) for out in (False, True))
        values, counts = np.unique(train[train != ""], return_counts=True)
        classes = values[np.argsort(-counts)[:most]]
        inside, queried = np.isin(train, classes), np.isin(test, classes)
        scores = {
            method: balanced_knn(a[inside], train[inside], b[queried], test[queried])
            for method, (a, b) in vectors.items()
        }
        own = scores.pop("latentviz")
        found.append(
            (
                f"25 neighbours in μ: {name} of {len(classes)}",
                f"{own:.3f}",
                ", ".join(f"{method} {score:.3f}" for method, score in scores.items()),
            )
        )
    return found


def samples(vae: Any, kind: Any, ids: Tensor, model: Any, comma: int) -> list[tuple[str, str, str]]:
    """Diversity, fluency and novelty of texts decoded from the prior."""
    z = torch.randn(MANY, vae.latent_dim, generator=torch.Generator().manual_seed(0))
    own = kind.config.model
    known = {tuple(row) for row in np.asarray(kind.tokens[:], np.int64).tolist()}
    torch.manual_seed(0)
    real = ids[torch.randperm(len(ids))[:MANY]]
    drawn = {
        "as generate does": {
            "temperature": own.sampling,
            "top_p": own.top_p,
            "candidates": own.candidates,
            "repeats": 0.0 if own.repeats else NO_REPEATS,
        },
        "greedy": {},
        "drawn from p(x|z)": {"temperature": 1.0},
    }
    sets = {"held-out couplets": real, **{name: decode_at(vae, z, 1.0, **how) for name, how in drawn.items()}}
    rows = {name: about(part, model, known, comma) for name, part in sets.items()}
    rest = [name for name in rows if name != "as generate does"]
    return [
        (
            f"from the prior: {metric}",
            rows["as generate does"][metric],
            ", ".join(f"{name} {rows[name][metric]}" for name in rest),
        )
        for metric in rows["greedy"]
    ]


def about(ids: Tensor, model: Any, known: set[tuple[int, ...]], comma: int) -> dict[str, str]:
    """Metrics of a set of texts."""
    x = ids.numpy()
    there = characters(x, comma)
    repeats = [len(set(row[mask])) < mask.sum() for row, mask in zip(x, there, strict=True)]
    few = len(np.unique(x[:DRAWN][there[:DRAWN]]))
    return {
        f"couplets that repeat a character, of {DRAWN}": f"{np.mean(repeats[:DRAWN]):.1%}",
        f"distinct characters in {DRAWN}; in {MANY:,}": f"{few}; {len(np.unique(x[there])):,}",
        "nats per character under the language model": f"{nats(model, ids).mean() / CHARACTERS:.2f}",
        f"couplets of the training data, of {MANY:,}": str(sum(tuple(row) in known for row in x.tolist())),
        f"distinct couplets, of {MANY:,}": f"{len({tuple(row) for row in x.tolist()}):,}",
    }


def examples(vae: Any, kind: Any, ids: Tensor, latents: Any) -> list[str]:
    """Generated couplets, and held-out ones with their reconstructions from μ."""
    z = torch.randn(12, vae.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        generated = kind.decode(vae, z, torch.ones(12))
        again = kind.decode(vae, torch.from_numpy(latents.mu[:8]), torch.zeros(8))
    real = kind.tokenizer.decode(ids[:8].numpy())
    return [
        "",
        "Generated: " + " · ".join(generated),
        "",
        "Held out → reconstructed from μ: " + " · ".join(f"{a} → {b}" for a, b in zip(real, again, strict=True)),
    ]
