"""Decoded texts after each epoch: samples from the same z, and reconstructions of held-out texts."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from latentviz.model.vae import VAE
from latentviz.progress import one_line, say

REBUILT = 10  # held-out texts that are reconstructed
KEPT = 40  # epochs in the table of all, evenly spread
WIDEST = 100  # characters of a text in the terminal


class EpochTexts:
    """Reports and keeps texts sampled from the same z ~ N(0, I) after each epoch.

    Args:
        folder: where the files go.
        decode: z (b, d) and the share of the posterior's noise in each (b,) → texts.
        shown: held-out texts, as decoded from their tokens.
        x: the same as the encoder's input, (b, t).
        latent_dim: d.
        samples: texts to sample.
        seed: of the z.
    """

    def __init__(
        self,
        folder: Path,
        decode: Callable[[VAE, Tensor, Tensor], list[str]],
        shown: list[str],
        x: Tensor,
        *,
        latent_dim: int,
        samples: int,
        seed: int,
    ) -> None:
        self.folder, self.decode, self.shown, self.x = folder, decode, shown, x
        self.z = torch.randn(samples, latent_dim, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def epoch(self, vae: VAE, number: int) -> None:
        """Sample, report the samples, and write `epoch-0001.txt` and so on."""
        sampled = self.decode(vae, self.z.to(vae.device), torch.ones(len(self.z), device=vae.device))
        if sampled:
            say(f"epoch {number}, sampled:")
        for text in sampled:
            say(f"  {one_line(text, WIDEST)}")
        mu, _ = vae.encode(self.x.to(vae.device))
        reconstructed = self.decode(vae, mu, torch.zeros(len(mu), device=vae.device))
        lines = ["sampled:", *(f"  {one_line(text)}" for text in sampled), "", "held out, and decoded from its mu:"]
        for text, decoded in zip(self.shown, reconstructed, strict=True):
            lines += [f"  {one_line(text)}", f"→ {one_line(decoded)}", ""]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"epoch-{number:04d}.txt").write_text("\n".join(lines), encoding="utf-8", errors="replace")

    def finish(self) -> None:
        """Write `samples.md`: the text of each z epoch by epoch, and the last epoch's reconstructions."""
        files = sorted(self.folder.glob("epoch-*.txt"))
        if not files:
            return
        kept = min(KEPT, len(files))
        files = [files[round(i * (len(files) - 1) / max(1, kept - 1))] for i in range(kept)]
        pages = [(int(file.stem.removeprefix("epoch-")), file.read_text("utf-8").splitlines()) for file in files]
        lines = ["# Samples", "", "The same points of the latent space, decoded after each epoch.", ""]
        for i in range(len(self.z)):
            rows = [f"| {number} | {_cell(page[1 + i])} |" for number, page in pages]
            lines += [f"**z{i + 1}**", "", "| epoch | text |", "|---|---|", *rows, ""]
        lines += ["# Held out, and decoded from its μ", "", "| text | decoded |", "|---|---|"]
        last = pages[-1][1][len(self.z) + 3 :]
        lines += [f"| {_cell(last[i])} | {_cell(last[i + 1].removeprefix('→'))} |" for i in range(0, len(last) - 1, 3)]
        (self.folder / "samples.md").write_text("\n".join([*lines, ""]), encoding="utf-8", errors="replace")


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
