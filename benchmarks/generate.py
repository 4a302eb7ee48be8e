r"""Measure the likelihood of held-out images under a run, and the quality of its samples.

    latentviz fit mnist-binarised data.path=mnist/train-images-idx3-ubyte.gz
    python benchmarks/generate.py --run outputs/mnist-binarised --data mnist/t10k-images-idx3-ubyte.gz \
        --out benchmarks/results/generate.json

`--data` holds labelled test images that the run has not seen. The metrics are

- the importance-weighted bound of log p(x) (Burda et al. 2016) with 5,000 draws per item, on a random part of the test
  images, and the ELBO on that part and on all of them. The bound on all of them is estimated as their ELBO plus the
  mean difference of the two on the part; its standard error is that of the difference;
- for the prior, the mixture, kernel density and reconstructions: the Fréchet distance (Heusel et al. 2017) to the test
  images in the features of a small classifier trained on the run's labels, and precision and recall (Kynkäänniemi et
  al. 2019, third neighbours) in the same features. The run's training images are scored too, as an estimate of a
  perfect sampler. Runs on binarised pixels are measured on draws x ~ p(x|z), others on the means.

Results are kept in `--out` and files with the same stem, so an interrupted benchmark continues. A Markdown table with
the suffix `.md` is written next to it.
"""

import argparse
import json
import tempfile
import time
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


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """‖μa − μb‖² + tr(Σa + Σb − 2(ΣaΣb)^½) of two sets of features (Heusel et al. 2017, equation 6)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    first, second = np.cov(a.T), np.cov(b.T)
    # The eigenvalues of ΣaΣb are real and non-negative, and the trace of its root is the sum of their roots.
    root = np.sqrt(np.linalg.eigvals(first @ second).real.clip(0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * root)


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

    def keep(self, key: str, value: Any) -> None:
        """Save one result."""
        self.result[key] = value
        write_json(self.out, self.table)
        say(f"{self.run.name}: {key}: {value}")

    def likelihoods(self) -> None:
        """Measure the importance-weighted bound and the ELBO on a random part of the test images."""
        if "bound (nats)" in self.result:
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
        wanted = [name for name in (*SAMPLERS, "reconstructions", "training images") if name not in self.result]
        if not wanted:
            return
        model, n = self.classifier(), min(self.options.n, len(self.test))
        real = features(model, self.test[:n], self.device)
        train = self.run.items().train
        mu, logvar = np.asarray(self.run.mu())[train], np.asarray(self.run.logvar())[train]
        for name in wanted:
            torch.manual_seed(0)
            rng = np.random.default_rng(0)
            if name == "training images":
                images = self.data.images[np.sort(rng.permutation(train)[:n])]
            elif name == "reconstructions":
                z = posteriors(self.vae, self.test[:n], self.data.to_input).mu
                images = decoded(self.vae, z, draw=self.draw, device=self.device)
            else:
                images = decoded(self.vae, sample(name, mu, logvar, n, rng), draw=self.draw, device=self.device)
            made = features(model, images, self.device)
            precision, recall = precision_recall(made, real)
            self.keep(
                name,
                {
                    "fid": round(frechet(made, real), 3),
                    "precision": round(precision, 4),
                    "recall": round(recall, 4),
                    "images": n,
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
        settings = found["bound, settings"]
        part, every = (
            f"{found[f'bound{which} (nats)']:.2f} ± {found[f'bound{which}, standard error']:.2f} | "
            f"{found[f'elbo{which} (nats)']:.2f}"
            for which in ("", ", all test images")
        )
        lines += [
            f"## {name}",
            "",
            f"log p(x) of held-out images in nats, bounded with {settings['samples']:,} draws per image:",
            "",
            "| images | bound | ELBO |",
            "|---|---|---|",
            f"| {settings['images']:,}, at random | {part} |",
            f"| all {settings['test images']:,}, estimated | {every} |",
            "",
        ]
        rows = {label: one for label, one in found.items() if isinstance(one, dict) and "fid" in one}
        if rows:
            n, right = next(iter(rows.values()))["images"], found["classifier, test accuracy"]
            lines += [
                f"{n:,} images of each kind and the first {n:,} test images, in the features of a classifier:",
                "",
                "| drawn from | Fréchet distance | precision | recall |",
                "|---|---|---|---|",
            ]
            lines += [
                f"| {label} | {one['fid']:.2f} | {one['precision']:.2f} | {one['recall']:.2f} |"
                for label, one in rows.items()
            ]
            lines += ["", f"The classifier is right on {right:.1%} of the test images."]
            lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure what `--out` does not contain yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="a finished run on labelled images")
    parser.add_argument("--data", required=True, help="test images that the run has not seen")
    parser.add_argument("--out", required=True)
    parser.add_argument("--samples", type=int, default=5_000, help="draws per image for the bound")
    parser.add_argument("--test", type=int, default=500, help="random test images for the bound")
    parser.add_argument("--n", type=int, default=10_000, help="images per sampler")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the classifier")
    benchmark = Benchmark(parser.parse_args())
    benchmark.likelihoods()
    benchmark.samples()
    benchmark.out.with_suffix(".md").write_text(report(benchmark.table), encoding="utf-8")
    print(json.dumps(benchmark.table, indent=2))


if __name__ == "__main__":
    main()
