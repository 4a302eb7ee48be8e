r"""Measure the likelihood of held-out images under a run, and the quality of its samples.

    latentviz fit mnist-binarised data.path=mnist/train-images-idx3-ubyte.gz
    python benchmarks/generate.py --run outputs/mnist-binarised --data mnist/t10k-images-idx3-ubyte.gz \
        --out benchmarks/results/generate.json
    latentviz fit mnist/train-images-idx3-ubyte.gz --run mnist
    python benchmarks/generate.py --run outputs/mnist --data mnist/t10k-images-idx3-ubyte.gz --test 0 --n 5000 \
        --out benchmarks/results/generate.json
    python benchmarks/generate.py --digits outputs     # writes outputs/digits-train.npz and outputs/digits-test.npz

`--data` holds labelled test images that the run has not seen. The metrics are

- the importance-weighted bound of log p(x) (Burda et al. 2016) with 5,000 draws per item, on a random part of the test
  images, and the ELBO on that part and on all of them. The bound on all of them is estimated as their ELBO plus the
  mean difference of the two on the part; its standard error is that of the difference;
- for each sampler, for reconstructions and for training images: the kernel distance KID (Bińkowski et al. 2018) to the
  test images in the features of a small classifier trained on the run's labels, divided by their root mean square, and
  precision and recall (Kynkäänniemi et al. 2019, third neighbours) in the same features. The test images are halved at
  random, ten times, and each half is compared with half of the other images. Reconstructions are those of the one half,
  compared with the other; the two halves themselves say what a perfect sampler scores. The estimate of KID is unbiased:
  0 is expected of draws from the same distribution, at any number of them (a Fréchet distance of 2,000 images in 64
  dimensions is far above 0 for these). Runs on binarised pixels are measured on draws x ~ p(x|z), others on the means.

Results are kept in `--out` and files with the same stem, so an interrupted benchmark continues. A Markdown table with
the suffix `.md` is written next to it.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentviz.clustering.neighbors import nearest
from latentviz.evaluation.vae_health import importance_bound, log_weights
from latentviz.modalities import modality
from latentviz.modalities.loading import load_model
from latentviz.model.encoding import posteriors
from latentviz.model.samplers import SAMPLERS, sample
from latentviz.progress import say
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder

FEATURES = 64
HALVES = 10  # random divisions of the test images
TEST = "test images, the other half"
NEIGHBOUR = 3  # its distance is the radius of the ball around an image, as in Kynkäänniemi et al. 2019


class Classifier(nn.Module):
    """A small convolutional classifier; images are compared in its features."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(1024, FEATURES),
            nn.ReLU(),
        )
        self.last = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes) of images (b, c, h, w)."""
        logits: Tensor = self.last(self.features(x))
        return logits


def train_classifier(x: np.ndarray, labels: np.ndarray, epochs: int, device: str) -> Classifier:
    """Train a classifier on images (n, c, h, w), uint8."""
    torch.manual_seed(0)
    model = Classifier(x.shape[1], int(labels.max()) + 1).to(device)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    images, targets = torch.from_numpy(np.array(x)), torch.from_numpy(labels)
    for epoch in range(epochs):
        right = 0
        for rows in torch.randperm(len(images)).split(256):
            logits = model(images[rows].to(device).float() / 255)
            loss = F.cross_entropy(logits, targets[rows].to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            right += int((logits.argmax(1).cpu() == targets[rows]).sum())
        say(f"classifier, epoch {epoch + 1}/{epochs}: {right / len(images):.4f} right")
    return model.eval()


@torch.inference_mode()
def features(model: Classifier, images: np.ndarray, device: str) -> np.ndarray:
    """Features, float32 (n, 64), of images in [0, 1] or uint8."""
    parts = []
    for start in range(0, len(images), 1000):
        x = torch.from_numpy(np.array(images[start : start + 1000])).to(device).float()
        parts.append(model.features(x / 255 if images.dtype == np.uint8 else x).cpu().numpy())
    return np.concatenate(parts)


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Squared maximum mean discrepancy of features (n, k) and (m, k), times 1,000: KID (Bińkowski et al. 2018).

    Unbiased (Gretton et al. 2012, equation 3), with the kernel (x·y/k + 1)³.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        product: np.ndarray = x @ y.T / x.shape[1] + 1
        return product**3

    def within(x: np.ndarray) -> float:
        values = kernel(x, x)
        return float(values.sum() - np.trace(values)) / (len(x) * (len(x) - 1))

    return 1000 * (within(a) + within(b) - 2 * float(kernel(a, b).mean()))


def halves(n: int, times: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields random halves of n rows, int64, of equal sizes."""
    for seed in range(times):
        order = np.random.default_rng(seed).permutation(n)
        yield order[: n // 2], order[n // 2 : 2 * (n // 2)]


def precision_recall(made: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """Share of generated images inside the manifold of the real ones, and the reverse."""
    return _inside(made, real), _inside(real, made)


def _inside(points: np.ndarray, manifold: np.ndarray) -> float:
    """Share of points inside a ball around any point of `manifold` that reaches to its third neighbour."""
    radius = nearest(manifold, manifold, NEIGHBOUR + 1).distances[:, -1]
    inside = np.zeros(len(points), bool)
    for start in range(0, len(points), 500):
        block = points[start : start + 500]
        squares = np.square(block).sum(1)[:, None] - 2 * block @ manifold.T + np.square(manifold).sum(1)
        inside[start : start + 500] = (squares <= np.square(radius)).any(axis=1)
    return float(inside.mean())


@torch.inference_mode()
def decoded(vae: Any, z: np.ndarray, *, draw: bool, device: str) -> np.ndarray:
    """Decode z: means of p(x|z), or draws from it, float32 (n, c, h, w) in [0, 1]."""
    parts = []
    for start in range(0, len(z), 500):
        likelihood = vae.decoder(torch.from_numpy(z[start : start + 500]).to(device))
        parts.append((likelihood.sample() if draw else likelihood.mean.clamp(0, 1)).cpu().numpy())
    return np.concatenate(parts)


def described(run: RunFolder, kind: Any) -> str:
    """How a run was trained, in a sentence."""
    model, epochs = kind.config.model, int(run.info()["summary"]["epochs"])
    contrast = "with contrast" if model.contrast else "a plain VAE"
    return (
        f"{epochs} epochs on {len(run.items().train):,} images, {model.latent_dim} latent dimensions, {contrast}; seed "
        f"{kind.config.seed_everything}."
    )


def write_digits(folder: Path) -> None:
    """Write scikit-learn's digits as 1,400 images to train on, digits-train.npz, and 397 others, digits-test.npz."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", order[:1400]), ("test", order[1400:])):
        images = (found.images[rows] * 255 / 16).round().astype(np.uint8)
        np.savez(folder / f"digits-{name}.npz", images=images, labels=found.target[rows])


class Benchmark:
    """A run, the test images, and the results so far.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, Path(options.out)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.run = RunFolder.open(options.run)
        loaded = load_model(self.run)
        self.vae, self.data = loaded.vae, loaded.kind
        self.vae.to(self.device)
        self.table: dict[str, Any] = json.loads(self.out.read_text()) if self.out.exists() else {}
        self.result = self.table.setdefault(self.run.name, {})
        with tempfile.TemporaryDirectory() as cache:
            prepared, images = modality("image").new.read_items(
                str(options.data), self.data.config, Path(cache), self.run.cache
            )
            self.test, self.test_labels = np.array(images), prepared.items.column("label")
        self.draw = self.data.config.data.binarise
        self.result["trained"] = described(self.run, self.data)

    def keep(self, key: str, value: Any) -> None:
        """Save one result."""
        self.result[key] = value
        write_json(self.out, self.table)
        say(f"{self.run.name}: {key}: {value}")

    def likelihoods(self) -> None:
        """Measure the importance-weighted bound and the ELBO on a random part of the test images."""
        if "bound (nats)" in self.result or not self.options.test:
            return
        kept = self.out.with_suffix(f".{self.run.name}.bounds.npy")
        bounds = np.load(kept) if kept.exists() else np.empty((0, 2))
        test = self.test[np.random.default_rng(0).permutation(len(self.test))[: self.options.test]]
        start, begun = len(bounds), time.perf_counter()
        for first in range(start, len(test), 20):
            torch.manual_seed(first)
            weights = self.weights(test[first : first + 20], self.options.samples)
            both = torch.stack([importance_bound(weights), weights.mean(0)], 1)
            bounds = np.concatenate([bounds, both.cpu().numpy()])
            np.save(kept, bounds)
            say(
                f"bound: {len(bounds):,} of {len(test):,} images, {bounds[:, 0].mean():.2f} nats, "
                f"{time.perf_counter() - begun:.0f} s"
            )
        torch.manual_seed(0)
        pieces = np.split(self.test, range(500, len(self.test), 500))
        every = torch.cat([self.weights(images, 1)[0] for images in pieces])
        gain, elbo = bounds[:, 0] - bounds[:, 1], float(every.mean())
        self.result["bound, settings"] = {
            "samples": self.options.samples,
            "images": len(bounds),
            "test images": len(self.test),
        }
        self.result["elbo (nats)"] = round(float(bounds[:, 1].mean()), 3)
        self.result["bound, standard error"] = round(float(bounds[:, 0].std() / len(bounds) ** 0.5), 3)
        self.result["elbo, all test images (nats)"] = round(elbo, 3)
        self.result["bound, all test images (nats)"] = round(elbo + float(gain.mean()), 3)
        self.result["bound, all test images, standard error"] = round(float(gain.std() / len(gain) ** 0.5), 3)
        self.keep("bound (nats)", round(float(bounds[:, 0].mean()), 3))

    @torch.inference_mode()
    def weights(self, images: np.ndarray, samples: int) -> Tensor:
        """Compute log p(x|z) + log p(z) − log q(z|x) of draws z ~ q(z|x), shape (samples, b)."""
        x = self.data.to_input(torch.from_numpy(np.array(images)).to(self.device))
        return log_weights(self.vae, x, samples)

    def classifier(self) -> Classifier:
        """Load the classifier, or train it."""
        items = self.run.items()
        names = {name: i for i, name in enumerate(sorted({str(label) for label in items.column("label")}))}
        labels = np.array([names[str(label)] for label in items.column("label")])
        kept = self.out.with_suffix(f".{self.run.name}.classifier.pt")
        if kept.exists():
            model = Classifier(self.data.images.shape[1], len(names)).to(self.device)
            model.load_state_dict(torch.load(kept, weights_only=True, map_location=self.device))
            model.eval()
        else:
            model = train_classifier(self.data.images, labels, self.options.epochs, self.device)
            torch.save(model.state_dict(), kept)
        right = model.last(torch.from_numpy(features(model, self.test, self.device)).to(self.device)).argmax(1).cpu()
        truth = np.array([names.get(str(label), -1) for label in self.test_labels])
        self.keep("classifier, test accuracy", round(float((right.numpy() == truth).mean()), 4))
        return model

    def samples(self) -> None:
        """Measure each sampler."""
        wanted = [name for name in (*SAMPLERS, "reconstructions", "training images", TEST) if name not in self.result]
        if not wanted:
            return
        model, n = self.classifier(), min(self.options.n, len(self.test))
        train = self.run.items().train
        mu, logvar = np.asarray(self.run.mu())[train], np.asarray(self.run.logvar())[train]
        tested = self.test[np.sort(np.random.default_rng(1).permutation(len(self.test))[:n])]
        real = features(model, tested, self.device)
        unit = float(np.sqrt(np.square(real).mean()))
        for name in wanted:
            torch.manual_seed(0)
            rng = np.random.default_rng(0)
            if name == TEST:
                images = tested
            elif name == "training images":
                images = self.data.images[np.sort(rng.permutation(train)[:n])]
            elif name == "reconstructions":
                z = posteriors(self.vae, tested, self.data.to_input).mu
                images = decoded(self.vae, z, draw=self.draw, device=self.device)
            else:
                images = decoded(self.vae, sample(name, mu, logvar, n, rng), draw=self.draw, device=self.device)
            made = features(model, images, self.device)
            scores = [
                (kid(made[one] / unit, real[other] / unit), *precision_recall(made[one], real[other]))
                for one, other in halves(n, HALVES)
            ]
            distance, precision, recall = np.mean(scores, axis=0)
            self.keep(
                name,
                {
                    "kid": round(float(distance), 3),
                    "kid, deviation": round(float(np.std(scores, axis=0)[0]), 3),
                    "precision": round(float(precision), 4),
                    "recall": round(float(recall), 4),
                    "images": n // 2,
                },
            )


def report(table: dict[str, Any]) -> str:
    """The results as Markdown tables."""
    lines = [
        "# Generation: likelihood of held-out images, quality of samples",
        "",
        "Written by `benchmarks/generate.py`, which describes each metric.",
        "",
    ]
    for name, found in table.items():
        lines += [f"## {name}", "", *([found["trained"], ""] if "trained" in found else [])]
        if "bound (nats)" in found:
            lines += _bounds(found)
        rows = {label: one for label, one in found.items() if isinstance(one, dict) and "kid" in one}
        if rows:
            n, right = next(iter(rows.values()))["images"], found["classifier, test accuracy"]
            lines += [
                f"Halves of {n:,} images, in the features of a classifier that is right on {right:.1%} of the test",
                f"images; means over {HALVES} random divisions, ± their standard deviation:",
                "",
                "| drawn from | KID × 1,000 | precision | recall |",
                "|---|--:|--:|--:|",
            ]
            lines += [
                f"| {label} | {one['kid']:.1f} ± {one['kid, deviation']:.1f} | {one['precision']:.2f} | "
                f"{one['recall']:.2f} |"
                for label, one in rows.items()
            ]
            lines.append("")
    return "\n".join(lines)


def _bounds(found: dict[str, Any]) -> list[str]:
    settings = found["bound, settings"]
    part, every = (
        f"{found[f'bound{which} (nats)']:.2f} ± {found[f'bound{which}, standard error']:.2f} | "
        f"{found[f'elbo{which} (nats)']:.2f}"
        for which in ("", ", all test images")
    )
    return [
        f"log p(x) of held-out images in nats, bounded with {settings['samples']:,} draws per image:",
        "",
        "| images | bound | ELBO |",
        "|---|---|---|",
        f"| {settings['images']:,}, at random | {part} |",
        f"| all {settings['test images']:,}, estimated | {every} |",
        "",
    ]


def main() -> None:
    """Measure what `--out` does not contain yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=Path, metavar="DIR", help="write digits to train and test on, and end")
    parser.add_argument("--run", help="a finished run on labelled images")
    parser.add_argument("--data", help="test images that the run has not seen")
    parser.add_argument("--out")
    parser.add_argument("--samples", type=int, default=5_000, help="draws per image for the bound")
    parser.add_argument("--test", type=int, default=500, help="random test images for the bound; 0: no bound")
    parser.add_argument("--n", type=int, default=10_000, help="images per sampler")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the classifier")
    options = parser.parse_args()
    if options.digits:
        write_digits(options.digits)
        return
    if not (options.run and options.data and options.out):
        parser.error("--run, --data and --out are needed")
    benchmark = Benchmark(options)
    benchmark.likelihoods()
    benchmark.samples()
    benchmark.out.with_suffix(".md").write_text(report(benchmark.table), encoding="utf-8")
    print(json.dumps(benchmark.table, indent=2))


if __name__ == "__main__":
    main()
