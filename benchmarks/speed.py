"""Compare the speed of latentviz's training with a plain PyTorch loop and pythae, and measure encoding.

    python benchmarks/speed.py                       # three minutes on one core
    PYTHONPATH=path/to/pythae python benchmarks/speed.py

Everything runs in one process on one thread, measured in CPU seconds, with the methods alternating, so ratios are more
meaningful than absolute values. The images are noise, 28×28, since speed does not depend on their content. pythae's
trainer is measured if it is installed. Writes benchmarks/results/speed.md.
"""

import argparse
import contextlib
import io
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentviz.config import validate
from latentviz.modalities.batches.lightning import LightningBatches
from latentviz.modalities.image.config import ResolvedImageConfig
from latentviz.modalities.image.kind import ImageKind
from latentviz.model.encoding import encode
from latentviz.model.training import LightningVAE
from latentviz.progress import quiet
from latentviz.runs.items import Items
from latentviz.runs.run import RunFolder
from latentviz.stages.fit import GRADIENT_CLIP, _trainer, has_bf16

RESULTS = Path(__file__).parent / "results" / "speed.md"
N, SIDE = 30_080, 28  # 235 steps of 128, half an epoch of MNIST, over which the cost of an epoch's end is spread
ROUNDS = 3


class Terminal(io.StringIO):
    """A fake terminal, so that the progress bar is drawn."""

    def isatty(self) -> bool:
        """A terminal."""
        return True


def made(work: Path, batch: int, *, contrast: bool) -> ImageKind:
    """An image kind over noise images, with the default network."""
    import pyarrow as pa

    images = work / "images.npy"
    if not images.exists():
        np.save(images, np.random.default_rng(0).integers(0, 256, (N + 256, 1, SIDE, SIDE), np.uint8))
    n = N + 256
    items = Items(
        pa.table(
            {
                "id": [str(row) for row in range(n)],
                "split": ["train"] * N + ["val"] * 256,
                "label": pa.nulls(n, pa.string()),
                "source": ["noise"] * n,
            }
        )
    )
    config = validate(
        ResolvedImageConfig,
        {
            "data": {"path": str(images), "batch_size": batch, "size": SIDE, "channels": 1},
            "model": {"c": 100.0, "flip": False, "contrast": 1000.0 if contrast else 0.0, "neighbors": 0},
            "trainer": {"max_epochs": 1, "accelerator": "cpu", "limit_val_batches": 1},
        },
        "benchmark",
    )
    return ImageKind(config, items, np.load(images, mmap_mode="r"))


def ours(kind: ImageKind, work: Path) -> float:
    """Seconds of an epoch with `fit`'s Trainer, including its metrics, checkpoints and progress bar."""
    run = RunFolder(Path(tempfile.mkdtemp(dir=work)))
    vae = LightningVAE.of(kind.build())
    batches, callbacks = kind.training(run.path)
    with contextlib.redirect_stderr(Terminal()), quiet():
        trainer = _trainer(kind.config, run, callbacks, batches, own=[])
        start = time.process_time()
        trainer.fit(vae, LightningBatches(batches))
        return time.process_time() - start


def plain(kind: ImageKind, work: Path) -> float:
    """Seconds of the epoch in a plain loop with the same batches, loss, optimiser, clipping and precision."""
    del work
    vae = LightningVAE.of(kind.build())
    batches, _ = kind.training(Path())
    loader = batches.train_dataloader()
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
    vae._trainer = Steps(len(loader))
    vae.train()
    start = time.process_time()
    for number, stored in enumerate(loader):
        batch = batches.on_after_batch_transfer(stored, 0)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            loss = vae.training_step(batch, number)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), GRADIENT_CLIP)
        optimizer.step()
    vae.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
        vae.validation_step(batches.on_after_batch_transfer(next(iter(batches.val_dataloader())), 0), 0)
    return time.process_time() - start


class Steps:
    """The attributes of a Trainer that a training step reads."""

    def __init__(self, steps: int) -> None:
        self.estimated_stepping_batches, self.global_step, self.world_size = steps, 1, 1


def loading(kind: ImageKind, work: Path) -> float:
    """Seconds to load an epoch's batches."""
    del work
    loader = kind.training(Path())[0].train_dataloader()
    start = time.process_time()
    for _ in loader:
        pass
    return time.process_time() - start


def encoding(kind: ImageKind, work: Path) -> float:
    """Seconds to encode all images to disk."""
    vae = kind.build()
    start = time.process_time()
    encode(vae, kind.dataset(), kind.to_input, work / "mu.npy", work / "logvar.npy")
    return time.process_time() - start


def pythae(kind: ImageKind, work: Path) -> float | None:
    """Seconds of an epoch with pythae's trainer and the same networks; None if it is not installed."""
    try:
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
    except ImportError:
        return None
    own = kind.build()

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = own.encoder

        def forward(self, x: torch.Tensor) -> Any:
            posterior = self.net(x)
            return ModelOutput(embedding=posterior.base_dist.loc, log_covariance=2 * posterior.base_dist.scale.log())

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = own.decoder

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.net(z).mean)

    model = VAE(
        VAEConfig(input_dim=(1, SIDE, SIDE), latent_dim=own.latent_dim, reconstruction_loss="mse"), Encoder(), Decoder()
    )
    images = torch.from_numpy(np.array(kind.images[:N])).float() / 255
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(dir=work),
        num_epochs=1,
        no_cuda=True,
        per_device_train_batch_size=kind.config.data.batch_size,
        amp=has_bf16(),
    )
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stderr(Terminal()), contextlib.redirect_stdout(io.StringIO()):
        trainer = BaseTrainer(model, BaseDataset(images, torch.zeros(N)), training_config=config)
        trainer.prepare_training()
        start = time.process_time()
        trainer.train_step(1)
        took = time.process_time() - start
    logging.disable(logging.NOTSET)
    return took


def compiled(kind: ImageKind) -> tuple[float, float, float]:
    """Seconds of a step with torch.compile, without it, and of the compilation."""
    vae = kind.build()
    x = torch.rand(kind.config.data.batch_size, 1, SIDE, SIDE)

    def step(model: Callable[[torch.Tensor], Any]) -> float:
        start = time.process_time()
        elbo = model(x)
        (-(elbo.log_likelihood - elbo.kl).mean()).backward()
        return time.process_time() - start

    fast = torch.compile(vae.elbo)
    began = time.perf_counter()
    step(fast)
    compiling = time.perf_counter() - began
    return (
        statistics.median(step(fast) for _ in range(20)),
        statistics.median(step(vae.elbo) for _ in range(20)),
        compiling,
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true", help="also measure torch.compile, which takes minutes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows, steps = [], N // 128
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, contrast in (("plain VAE", False), ("with contrast, the default", True)):
            kind = made(work, 128, contrast=contrast)
            ways: dict[str, Callable[[ImageKind, Path], float | None]] = {
                "plain loop": plain,
                "latentviz": ours,
                "loading": loading,
            }
            if not contrast:
                ways["pythae"] = pythae
            plain(kind, work)  # warm up the allocator and the kernels
            times = {way: [call(kind, work) for _ in range(1)] for way, call in ways.items()}
            for _ in range(ROUNDS - 1):
                for way, call in ways.items():
                    times[way].append(call(kind, work))
            print(name, times, file=sys.stderr)
            middle = {
                way: statistics.median(t for t in taken if t is not None)
                for way, taken in times.items()
                if taken[0] is not None
            }
            ratio = {
                way: statistics.median(a / b for a, b in zip(times[way], times["latentviz"], strict=True))
                for way in middle
            }
            rows += [
                (
                    f"steps per second relative to a plain loop, {name}",
                    f"{ratio['plain loop']:.2f}",
                    "≥ 0.95",
                ),
                (
                    f"milliseconds per step, {name}: latentviz, plain loop",
                    f"{1e3 * middle['latentviz'] / steps:.1f}, {1e3 * middle['plain loop'] / steps:.1f}",
                    "",
                ),
                (f"share of loading in a step, {name}", f"{middle['loading'] / middle['latentviz']:.1%}", "≤ 3%"),
            ]
            if "pythae" in middle:
                rows.append(
                    (
                        "steps per second relative to pythae with the same networks",
                        f"{ratio['pythae']:.2f}",
                        "≥ 1",
                    )
                )
        encoding(kind, work)
        speed = (N + 256) / statistics.median(encoding(kind, work) for _ in range(ROUNDS))
        rows.append(
            ("images encoded per second on one core, with μ and log σ² written to disk", f"{speed:,.0f}", "≥ 60,000")
        )
        if options.compile:
            fast, slow, compiling = compiled(made(work, 128, contrast=False))
            rows.append(
                (
                    "time of a step with torch.compile relative to one without; seconds of compilation",
                    f"{fast / slow:.2f}; {compiling:.0f}",
                    "< 1",
                )
            )
    table = "\n".join(f"| {what} | {value} | {aim} |" for what, value, aim in rows)
    text = f"""# Speed

{platform.processor() or platform.machine()}, one thread of {os.cpu_count()} cores, torch {torch.__version__}, bf16
{"on" if has_bf16() else "off"}; 28×28 images, batches of 128, the default network, medians of {ROUNDS} rounds
of {steps} steps. Written by `python benchmarks/speed.py`.

| | measured | aim |
|---|--:|--:|
{table}
"""
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
