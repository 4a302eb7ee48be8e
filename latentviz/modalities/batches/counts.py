"""Lightning's arguments that count batches, for data of few batches."""

from collections.abc import Mapping
from typing import Any

from latentviz.modalities.base import TrainingBatches
from latentviz.progress import say


def at_least_one_batch(given: Mapping[str, Any], batches: TrainingBatches) -> dict[str, int]:
    """Returns those arguments that count batches, where the data have too few of them for what is given."""
    parts = {"limit_train_batches": batches.train_dataloader, "limit_val_batches": batches.val_dataloader}
    shares = {name: given[name] for name in (*parts, "overfit_batches") if isinstance(given.get(name), float)}
    found = {}
    for name, share in shares.items():
        of = parts.values() if name == "overfit_batches" else [parts[name]]
        if any(int(len(each()) * share) < 1 for each in of) and share > 0:
            found[name] = 1
    every = given.get("val_check_interval")
    if type(every) is int and given.get("check_val_every_n_epoch", 1) is not None:
        epoch = len(batches.train_dataloader())
        limit = {**given, **found}.get("limit_train_batches") or epoch
        epoch = min(epoch, limit) if isinstance(limit, int) else int(epoch * limit)
        if every > epoch:
            say(f"trainer.val_check_interval: above an epoch's {epoch} (got {every}); validated after each one")
            found["val_check_interval"] = epoch
    return found
