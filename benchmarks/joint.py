"""Measure how far images and captions tell of each other in one latent, on emoji that were held out.

    python benchmarks/joint.py FOLDER [--seeds 0,1,2] [--alone] [SETTING=VALUE …]

FOLDER has 64×64 PNG files and a metadata.csv with the columns file_name, caption, tags, group (skin tones of one emoji)
and heldout; the images are those of the npm package `emoji-datasource-google`, captions those of `emojibase-data`. One
image of each held-out group is compared with all others of them; no image of these groups is trained on. Recall is by
the cosine of the content dimensions of the two μ, each from one part alone. Settings are those of `latentviz fit`.
`--alone` trains on the images alone too, for as many epochs, and compares what is left unexplained.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentviz.progress import plural

RESULTS = Path(__file__).parent / "results"
ABOUT = """\
Written by `benchmarks/joint.py`: {n} held-out emoji, {train:,} to learn from, 32×32 pixels, {seeds} (medians). CCA: 40
canonical correlations of 60 principal components of the pixels and 100 of TF-IDF. Recall of words: share of a caption's
known words among the 10 that are likeliest by p·idf given the image; popular: the 10 commonest. Unexplained: of the
variance of the pixels, from μ of the image alone; the model of the image alone has as many epochs, at its own defaults
(batches of 256 instead of 128, so half as many steps)."""


def split(folder: Path, into: Path) -> tuple[Path, Path]:
    """Link the training images and one image of each held-out group into two folders, each with its metadata."""
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = {row["group"]: row for row in reversed(rows) if row["heldout"] == "1"}
    sets = {"train": [row for row in rows if row["heldout"] != "1"], "heldout": list(first.values())}
    for name, chosen in sets.items():
        place = into / name
        place.mkdir()
        for row in chosen:
            (place / row["file_name"]).write_bytes((folder / row["file_name"]).read_bytes())
        with (place / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["file_name", "caption", "tags", "category"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(chosen)
    return into / "train", into / "heldout"


def recalls(queries: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Return the share of queries (n, k) whose own answer is the nearest by cosine, and among the nearest ten."""
    a, b = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (queries, answers))
    scores = a @ b.T
    rank = (scores > np.diag(scores)[:, None]).sum(1)
    return {"@1": float((rank < 1).mean()), "@10": float((rank < 10).mean())}


def word_recall(scores: np.ndarray, counts: np.ndarray) -> float:
    """Return the share of each caption's known words (n, v) among its ten words with the highest score, on average."""
    likeliest = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    said = counts > 0
    has = said.any(1)
    return float((np.take_along_axis(said, likeliest, 1).sum(1)[has] / np.minimum(said.sum(1)[has], 10)).mean())


def joint(train: Path, heldout: Path, folder: Path, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """Fit on the training items and measure on those held out."""
    import torch

    import latentviz as lv
    from latentviz.config import parse_overrides
    from latentviz.modalities.joint.kind import JointKind
    from latentviz.modalities.joint.new import read_items
    from latentviz.modalities.loading import load_model
    from latentviz.model.encoding import posteriors
    from latentviz.runs.run import RunFolder

    given: dict[str, Any] = parse_overrides(settings)
    data = {"parts": "image,caption", "caption_column": "caption,tags", **given.pop("data", {})}
    start = time.process_time()
    run = lv.fit(train, outputs=folder, run=f"joint-{seed}", data=data, seed_everything=seed, preview=0, **given)
    seconds = time.process_time() - start
    loaded = load_model(RunFolder.open(run.path))
    kind, vae, layout = loaded.kind, loaded.vae, loaded.kind.layout
    assert isinstance(kind, JointKind)
    stored = read_items(str(heldout), kind.config, folder / f"new-{seed}", loaded.run.cache)[1]
    mu = {}
    for part in ("image", "caption"):
        alone = stored.copy()
        alone[:, : len(layout.parts)] = 0
        alone[:, layout.parts.index(part)] = 1
        mu[part] = posteriors(vae, alone, kind.to_input).mu
    content = {part: each[:, : vae.content_dim] for part, each in mu.items()}
    with torch.inference_mode():
        expected = {part: vae.decode(torch.from_numpy(each)).numpy() for part, each in mu.items()}
    pixels, words = layout.slices["image"], layout.slices["caption"]
    counts, idf = stored[:, words], np.asarray(layout.idf)
    centre = kind.packed.images.reshape(len(kind.packed), -1).mean(0) / 255
    x = stored[:, pixels] / 255
    total = np.square(x - centre).sum()
    return {
        "seed": seed,
        "cpu_seconds": round(seconds, 1),
        "train": len(kind.items),
        "n": len(stored),
        "image→caption": recalls(content["image"], content["caption"]),
        "caption→image": recalls(content["caption"], content["image"]),
        "words": word_recall(expected["image"][:, words] * idf, counts),
        "popular": word_recall(np.tile(-np.arange(counts.shape[1]), (len(counts), 1)), counts),
        "unexplained": float(np.square(x - expected["image"][:, pixels]).sum() / total),
        "from the caption": float(np.square(x - expected["caption"][:, pixels]).sum() / total),
    }


def alone(train: Path, heldout: Path, folder: Path, seed: int, epochs: int) -> float:
    """Return what is left unexplained by a model of the images alone."""
    import latentviz as lv
    from latentviz.modalities.image.config import ImageFitConfig
    from latentviz.modalities.image.new import read_items
    from latentviz.modalities.loading import load_model
    from latentviz.model.encoding import decode_batches, posteriors
    from latentviz.runs.run import RunFolder

    run = lv.fit(
        train,
        outputs=folder,
        run=f"image-{seed}",
        data={"size": "small"},
        model={"stop": "limit"},
        trainer={"max_epochs": epochs},
        seed_everything=seed,
        preview=0,
    )
    loaded = load_model(RunFolder.open(run.path))
    assert isinstance(loaded.config, ImageFitConfig)
    stored = read_items(str(heldout), loaded.config, folder / f"images-{seed}", loaded.run.cache)[1]  # type: ignore[arg-type]
    decoded = decode_batches(loaded.vae, posteriors(loaded.vae, stored, loaded.kind.to_input).mu)
    centre = np.load(loaded.run.cache / "images.npy", mmap_mode="r").mean(0) / 255
    return float(np.square(stored / 255 - decoded).sum() / np.square(stored / 255 - centre).sum())


def cca(train: Path, heldout: Path) -> dict[str, dict[str, float]]:
    """Return the recalls of canonical correlations between the components of the pixels and of TF-IDF."""
    from PIL import Image
    from sklearn.cross_decomposition import CCA
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    def read(place: Path) -> tuple[np.ndarray, list[str]]:
        with (place / "metadata.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        pictures = [Image.open(place / row["file_name"]).convert("RGBA") for row in rows]
        white = [Image.alpha_composite(Image.new("RGBA", p.size, "white"), p).convert("RGB") for p in pictures]
        pixels = np.stack([np.asarray(p.resize((32, 32), Image.Resampling.BOX)).ravel() for p in white]) / 255
        return pixels, [f"{row['caption']}; {row['tags']}" for row in rows]

    (pixels, captions), (new, said) = read(train), read(heldout)
    image, text = PCA(60, random_state=0).fit(pixels), TfidfVectorizer(min_df=3)
    weighed = TruncatedSVD(100, random_state=0).fit(text.fit_transform(captions))
    found = CCA(40, max_iter=1_000).fit(image.transform(pixels), weighed.transform(text.transform(captions)))
    a, b = found.transform(image.transform(new), weighed.transform(text.transform(said)))
    return {"image→caption": recalls(a, b), "caption→image": recalls(b, a)}


def table(found: Sequence[dict[str, Any]], by_cca: dict[str, dict[str, float]] | None) -> str:
    """Return the results in Markdown."""

    def middle(*keys: str) -> str:
        values = []
        for line in found:
            value: Any = line
            for key in keys:
                value = value.get(key) if value is not None else None
            values.append(value)
        return f"{median(values):.2f}" if None not in values else "–"

    ways = ("image→caption", "caption→image")
    rows = [("", *(f"{way} recall {at}" for way in ways for at in ("@1", "@10")), "words recall @10")]
    rows[0] += ("unexplained", "from the caption", "CPU s")
    rows.append(("---",) * len(rows[0]))
    if by_cca:
        rows.append(("CCA", *(f"{by_cca[way][at]:.2f}" for way in ways for at in ("@1", "@10")), "–", "–", "–", "–"))
    rows.append(("popular words", *("–",) * 4, middle("popular"), "–", "–", "–"))
    own = [middle(way, at) for way in ways for at in ("@1", "@10")]
    seconds = f"{median(line['cpu_seconds'] for line in found):.0f}"
    rows.append(("**latentviz**", *own, middle("words"), middle("unexplained"), middle("from the caption"), seconds))
    if found[0].get("alone") is not None:
        rows.append(("latentviz, the image alone", *("–",) * 5, middle("alone"), "–", "–"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--trial", action="store_true", help="print, and write nothing")
    parser.add_argument("--again", action="store_true", help="drop what was measured before but the image alone")
    options = parser.parse_intermixed_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results, found = RESULTS / "joint.json", list[dict[str, Any]]()
    earlier = dict[int, float | None]()
    if results.exists() and not options.trial:  # seeds that were measured before with these settings
        known = json.loads(results.read_text(encoding="utf-8"))
        earlier = {line["seed"]: line.get("alone") for line in known["seeds"]}
        found = known["seeds"] if known["settings"] == options.settings and not options.again else []
    with tempfile.TemporaryDirectory(prefix="latentviz-") as name:
        train, heldout = split(options.folder, Path(name))
        by_cca = None if options.trial else cca(train, heldout)
        for seed in map(int, options.seeds.split(",")):
            line = joint(train, heldout, Path(name), seed, options.settings)
            if options.alone:
                with (Path(name) / f"joint-{seed}" / "metrics.csv").open(encoding="utf-8") as file:
                    epochs = sum(1 for _ in file) - 1
                line["alone"] = alone(train, heldout, Path(name), seed, epochs)
            line.setdefault("alone", earlier.get(seed))
            print(json.dumps(line, ensure_ascii=False), flush=True)
            found = sorted([each for each in found if each["seed"] != seed] + [line], key=lambda each: each["seed"])
            if options.trial:
                continue
            about = ABOUT.format(n=found[0]["n"], train=found[0]["train"], seeds=plural(len(found), "seed"))
            text = f"# Images and captions in one latent\n\n{about}\n\n{table(found, by_cca)}\n"
            (RESULTS / "joint.md").write_text(text, encoding="utf-8")
            content = {"settings": options.settings, "seeds": found, "cca": by_cca}
            results.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
