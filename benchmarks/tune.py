"""Cost of `latentviz tune`: 20 trials on the digits against 20 fits, in CPU seconds of one process.

    python benchmarks/tune.py          writes benchmarks/results/tune.md and tune.json

The fits are of the recipe's settings, once with each of three seeds; their median counts 20 times. The trials search
`SPACE` by the held-out bound. All train for 10 epochs, where the recipe takes about 90: what a search adds weighs more
than in full trainings. One thread, so that the seconds do not depend on what else the machine does.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["LATENTVIZ_COMPILE_AHEAD"] = "0"

import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import latentviz as lv

RESULTS = Path(__file__).parent / "results"
SPACE = {"model.latent_dim": (8, 64), "model.contrast": [0, 300, 1000]}
TRIALS, SEEDS = 20, (0, 1, 2)
TRAINER = {"max_epochs": 10}


def main() -> None:
    """Measure and write the results."""
    with tempfile.TemporaryDirectory() as folder:
        lv.fit("digits", outputs=folder, run="warm", trainer={"max_epochs": 2})  # imports and caches
        fits = []
        for seed in SEEDS:
            begun = time.process_time()
            lv.fit("digits", outputs=folder, run=f"fit-{seed}", seed_everything=seed, trainer=TRAINER)
            fits.append(time.process_time() - begun)
        begun = time.process_time()
        found = lv.tune("digits", SPACE, trials=TRIALS, outputs=folder, trainer=TRAINER)
        seconds = time.process_time() - begun
    fit = statistics.median(fits)
    result = {
        "fits": [round(each, 1) for each in fits],
        "tune": round(seconds, 1),
        "trials": TRIALS,
        "ratio": round(seconds / (TRIALS * fit), 3),
        "states": dict(Counter(found.trials["state"])),
        "best": {"settings": found.settings, "value": round(found.value, 2)},
    }
    (RESULTS / "tune.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    settings = ", ".join(f"`{key}={value}`" for key, value in found.settings.items())
    states = ", ".join(f"{count} {state}" for state, count in sorted(result["states"].items()))
    (RESULTS / "tune.md").write_text(
        f"""# Search of settings

`python benchmarks/tune.py`: {TRIALS} trials on the 1,797 digits over `model.latent_dim=8..64 model.contrast=0,300,1000`
by the held-out bound, against {TRIALS} fits of the recipe, all of 10 epochs. CPU seconds of one process and one thread.

| | CPU seconds |
|---|--:|
| a fit (median of seeds {", ".join(map(str, SEEDS))}; range {min(fits):.1f}–{max(fits):.1f}) | {fit:.1f} |
| {TRIALS} fits | {TRIALS * fit:.0f} |
| {TRIALS} trials ({states}) | {seconds:.0f} |
| trials / fits | **{result["ratio"]:.2f}** |

The best trial: {settings}, bound {found.value:.1f} nats (one training seed, 0).
""",
        encoding="utf-8",
    )
    sys.stdout.write(f"{RESULTS / 'tune.md'}\n")


if __name__ == "__main__":
    main()
