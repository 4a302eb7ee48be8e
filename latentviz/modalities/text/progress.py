"""What the decoder says after each epoch: texts made up from the same z, and held-out ones said again."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from latentviz.model.vae import VAE
from latentviz.progress import one_line, say

REBUILT = 10  # held-out texts that are shown beside what the decoder makes of their μ
KEPT = 40  # epochs in the table of all at most, evenly spread
TOLD = 100  # characters of a text on the terminal


class EpochTexts:
    """Says and keeps texts drawn from the same z ~ N(0, I) after each epoch.

    Args:
        folder: where the files go.
        decode: z (b, d) and the share of the posterior's noise in each (b,) → texts.
        shown: held-out texts as they are read back from their tokens.
        x: the same as the encoder takes them, (b, t).
        latent_dim: d.
        samples: texts drawn.
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
        """Draws, says what was drawn, and writes `epoch-0001.txt` and so on."""
        drawn = self.decode(vae, self.z.to(vae.device), torch.ones(len(self.z), device=vae.device))
        if drawn:
            say(f"epoch {number}, made up:")
        for text in drawn:
            say(f"  {one_line(text, TOLD)}")
        mu, _ = vae.encode(self.x.to(vae.device))
        again = self.decode(vae, mu, torch.zeros(len(mu), device=vae.device))
        lines = ["made up:", *(f"  {one_line(text)}" for text in drawn), "", "held out, and decoded from its mu:"]
        for text, decoded in zip(self.shown, again, strict=True):
            lines += [f"  {one_line(text)}", f"→ {one_line(decoded)}", ""]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"epoch-{number:04d}.txt").write_text("\n".join(lines), encoding="utf-8", errors="replace")

    def finish(self) -> None:
        """Writes `samples.md`: what each z became through the epochs, and the last epoch's held-out texts."""
        files = sorted(self.folder.glob("epoch-*.txt"))
        if not files:
            return
        kept = [
            files[round(i * (len(files) - 1) / max(1, min(KEPT, len(files)) - 1))] for i in range(min(KEPT, len(files)))
        ]
        pages = [
            (int(file.stem.removeprefix("epoch-")), file.read_text(encoding="utf-8").splitlines()) for file in kept
        ]
        lines = ["# Made up", "", "The same points of the latent space, decoded after each epoch.", ""]
        for i in range(len(self.z)):
            lines += [
                f"**z{i + 1}**",
                "",
                "| epoch | text |",
                "|---|---|",
                *(f"| {number} | {_cell(page[1 + i])} |" for number, page in pages),
                "",
            ]
        lines += ["# Held out, and decoded from its μ", "", "| text | decoded |", "|---|---|"]
        said = pages[-1][1][len(self.z) + 3 :]
        lines += [f"| {_cell(said[i])} | {_cell(said[i + 1].removeprefix('→'))} |" for i in range(0, len(said) - 1, 3)]
        (self.folder / "samples.md").write_text("\n".join([*lines, ""]), encoding="utf-8", errors="replace")


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
