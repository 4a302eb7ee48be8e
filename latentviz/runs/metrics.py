"""metrics.csv: one row per epoch of a training."""

import csv
from pathlib import Path

NEEDED = {"epoch", "step", "val_loss", "val_log_likelihood", "val_kl"}  # for the summary in run.json


def read_metrics(file: Path) -> list[dict[str, str]]:
    """Returns the rows of metrics.csv in the order of their epochs, up to the first incomplete one."""
    rows: list[dict[str, str]] = []
    last = 0
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        for row in csv.DictReader(lines):
            epoch = row.get("epoch") or ""
            if not set(row) >= NEEDED or None in row.values() or not epoch.isdecimal() or int(epoch) <= last:
                break
            last = int(epoch)
            rows.append(row)
    return rows


def loss_fall(rows: list[dict[str, str]]) -> float | None:
    """Returns the share of the validation loss that the last half of the epochs has gained; None if it is unknown.

    >>> rows = [{"epoch": str(i + 1), "val_loss": loss} for i, loss in enumerate(("9", "8", "", "6"))]
    >>> loss_fall(rows), loss_fall(rows[:1])
    (0.25, None)
    """
    losses = {int(row["epoch"]): float(row["val_loss"]) for row in rows if row["val_loss"]}
    last = max(losses, default=0)
    half = max((epoch for epoch in losses if 2 * epoch <= last), default=None)
    if half is None or not losses[half]:
        return None
    return (losses[half] - losses[last]) / abs(losses[half])
