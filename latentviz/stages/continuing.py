"""`latentviz fit --continue`: a new run on the items of a finished one and new ones, from the weights of that run."""

import hashlib
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from latentviz.clustering.repeats import hashed
from latentviz.config import FitConfig, changes, merge, validate
from latentviz.errors import DataError, LatentvizError, RunError
from latentviz.modalities import detect, modality
from latentviz.modalities.io import prepared
from latentviz.modalities.io.memory import index_of, named
from latentviz.modalities.io.names import BadItem, printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.loading import OpenRun
from latentviz.progress import may_follow, plural
from latentviz.runs.extension import keep_earlier
from latentviz.runs.files import unique_ids
from latentviz.runs.items import Items
from latentviz.runs.run import RunFolder

# A continued training: its share of the epochs of the first one, and its peak learning rate over that one's. With these
# the latents, and with them the clusters, stay where they are: see benchmarks/results/continue.md.
EPOCHS, LEAST_EPOCHS, LR = 0.2, 2, 0.3
# Settings that may differ from those of the run: how the new items are read, and the training; not the networks.
READING = """
    path batch_size val_fraction max_bad duplicates encoding split array decimal items labels frames
    text_column label_column id_column image_column vector_column group_column
"""
TRAINING = """
    lr stop patience kl_warmup c free_bits temperature neighbors augment flip noise noise_mix word_dropout dropout
    negatives position_weight bag_weight all_tokens samples sampling top_p candidates repeats
"""
FREE = {"seed_everything", "check_memory", "preview", *(f"data.{name}" for name in READING.split())}
FREE |= {f"model.{name}" for name in TRAINING.split()}
LIMITS = ("max_epochs", "max_steps", "max_time", "min_epochs", "min_steps")


def next_name(run: RunFolder, *, resume: bool) -> str:
    """Returns the run's name with the number after the highest one in use: `digits-2`, then `digits-3`.

    With `resume` it is the highest one in use; the further processes of a training get what the first one has taken.
    """
    stem = re.sub(r"-\d+$", "", run.name)
    numbered = (re.fullmatch(rf"{re.escape(stem)}-(\d+)", path.name) for path in run.path.parent.iterdir())
    taken = {int(found[1]): RunFolder(run.path.with_name(found[0])) for found in numbered if found}
    last = max(taken, default=1)
    again = last in taken and (
        resume or may_follow() or taken[last].begun
    )  # a fit was killed here while it read its data
    return f"{stem}-{last if again else last + 1}"


def settings(opened: OpenRun, source: str, overrides: Mapping[str, Any]) -> FitConfig:
    """Returns the settings of the new run: those of the run that it continues, with a short training.

    Raises:
        RunError: a setting would change the model or the items.
        ConfigError: a setting is wrong.
    """
    old = opened.config
    values, epochs = old.model_dump(mode="json"), opened.info["summary"].get("epochs", 0)
    for limit in LIMITS:
        values["trainer"].pop(limit, None)
    trainer = overrides.get("trainer")
    if not isinstance(trainer, Mapping) or not any(limit in trainer for limit in LIMITS[:3]):
        values["trainer"]["max_epochs"] = max(LEAST_EPOCHS, round(EPOCHS * epochs))
    values["model"] |= {"lr": float(f"{LR * old.model.lr:.3g}"), "kl_warmup": 0.0, "stop": "limit"}
    values["data"]["path"] = f"{values['data']['path']} + {source}"
    config = validate(modality(old.data.kind).resolved, merge(values, overrides), "settings")
    if fixed := [key for key in changes(old, config) if key not in FREE and not key.startswith("trainer.")]:
        raise RunError(
            f"{opened.run.path}: --continue cannot change {', '.join(fixed)}; leave that out, or train a new run on "
            "all items without --continue"
        )
    return config


def read(opened: OpenRun, source: str, config: FitConfig, cache: Path, given: Collection[str]) -> Prepared:
    """Reads new items, and writes the cache of the old and the new ones with what is kept of the old run.

    Args:
        opened: the old run.
        source: of the new items.
        config: of the new run.
        cache: of the new run.
        given: settings of the data that the user gave.

    Raises:
        DataError: the new items cannot be read, are of another kind or shape, or are none.
    """
    from latentviz.model.checkpoint import kept_checkpoint

    old, new, fresh = opened.run, opened.modality.new, cache / "new"
    shown = printable(named(source))
    cache.mkdir(parents=True, exist_ok=True)
    try:
        found, stored = new.read_items(source, config, fresh, old.cache, given)
    except DataError:
        if (kind := kind_of(source)) not in {None, config.data.kind}:
            raise DataError(
                f"{shown}: of the kind {kind}, but {old.name} was trained on the kind {config.data.kind}; "
                "give items of that kind, or fit a new run without --continue"
            ) from None
        raise
    check_columns(opened, source, found)
    rows, dropped, notes = choose(opened, found.items, stored, drop=config.data.duplicates == "drop")
    if not len(rows):
        raise DataError(
            f"{printable(named(source))}: {old.name} has all of these items already, so there is nothing to add"
        )
    items, changed = join_items(opened.items.table, found.items.table.take(pa.array(rows)))
    items = with_split(items, len(opened.items), config)
    index = join_indexes(old.index(), index_of(source, prepared.chosen(found.items.column("source"), rows)))
    if index is not None:
        RunFolder(cache.parent).write_index(index)
    new.join(old.cache, fresh, rows, cache)
    shutil.rmtree(fresh)
    keep_earlier(old, old.require(kept_checkpoint(opened.config, old)), cache, source)
    digest = hashlib.sha256(f"{opened.info['fingerprint']} {found.fingerprint}".encode())
    added = f"{plural(len(rows), 'new item is', 'new items are')} added to the {len(opened.items):,} of {old.name}"
    return replace(
        found,
        items=items,
        bad=[*found.bad, *dropped],
        fingerprint=prepared.fingerprint(digest, items),
        notes=[added, *found.notes, *notes, *changed],
    )


def kind_of(source: str) -> str | None:
    """Returns the data kind of bare data; None if that is unclear."""
    try:
        return detect(source)
    except LatentvizError:
        return None


def check_columns(opened: OpenRun, source: str, found: Prepared) -> None:
    """Raises a DataError if new vectors come from other columns than the run's."""
    wanted, given = (getattr(data, "columns", "auto") for data in (opened.config.data, found.data))
    if isinstance(wanted, list) and isinstance(given, list) and given != wanted:
        missing = [printable(name) for name in wanted if name not in given]
        raise DataError(
            f"{printable(named(source))}: has no column {', '.join(missing[:3])}, on which {opened.run.name} was "
            "trained; give a table with the same columns, or fit a new run without --continue"
        )


class Chosen(NamedTuple):
    """Which new items are added to a run."""

    rows: np.ndarray  # int64, of the new items
    dropped: list[BadItem]  # those that repeat others, with data.duplicates=drop
    notes: list[str]  # lines for the user


def choose(opened: OpenRun, items: Items, stored: np.ndarray, *, drop: bool) -> Chosen:
    """Leaves out new items that the run has already, with the same id and content; with `drop` also other repeats.

    Args:
        opened: the run.
        items: the new items.
        stored: the new items as a cache stores them, (m, …).
        drop: leave out items that repeat earlier ones.
    """
    known = opened.modality.new.cached(opened.run.cache)
    dtype = np.promote_types(known.dtype, stored.dtype)
    before, after = contents(known, opened.items, dtype), contents(stored, items, dtype)
    ids, origins = items.column("id"), items.column("source")
    # "a (2)" is the second item that came with the id "a".
    names = [re.sub(r" \(\d+\)$", "", name) for name in opened.items.column("id")]
    has = set(zip(names, before, strict=True)) | set(zip(opened.items.column("id"), before, strict=True))
    again = np.array([pair in has for pair in zip(ids, after, strict=True)], bool)
    first = dict(zip(reversed(before), reversed(opened.items.column("source")), strict=True))
    n, run = len(ids), opened.run.name
    notes, dropped, repeated = [], list[BadItem](), np.zeros(n, bool)
    if again.any():
        notes.append(
            f"{int(again.sum()):,} of {n:,} items are in {run} already, with the same id and content: left out"
        )
    for row in np.flatnonzero(~again).tolist():
        if (origin := first.setdefault(after[row], origins[row])) is not origins[row]:
            repeated[row] = True
            dropped.append(BadItem(origins[row], f"repeats {origin}"))
    notes += prepared.repeated(len(dropped), n, "items", drop=drop)
    return Chosen(np.flatnonzero(~(again | repeated) if drop else ~again), dropped if drop else [], notes)


def contents(stored: np.ndarray, items: Items, dtype: np.dtype[Any]) -> list[tuple[int, str | None]]:
    """Returns what identifies the content of each item: a hash of its stored form (n, …), and its text."""
    hashes: list[int] = []
    for start in range(0, len(stored), prepared.BLOCK):
        hashes += hashed(stored[start : start + prepared.BLOCK].astype(dtype)).tolist()
    texts = items.column("text") if "text" in items.table.column_names else [None] * len(hashes)
    return list(zip(hashes, texts, strict=True))


def join_items(old: pa.Table, new: pa.Table) -> tuple[pa.Table, list[str]]:
    """Appends new items to a table; returns it with notes. The ids of the old ones stay, those of the new are unique.

    Ids that count rows go on: items 0 to 179 after 0 to 1616 become 1617 to 1796. A column that only one table has is
    empty for the items of the other.
    """
    notes, ids = [], [table.column("id").to_pylist() for table in (old, new)]
    if (stem := counted(ids[1])) is not None and stem == counted(ids[0]):
        ids[1] = [f"{stem}{len(old) + row}" for row in range(len(new))]
    unique = unique_ids([*ids[0], *ids[1]])[len(old) :]
    if changed := [(given, made) for given, made in zip(ids[1], unique, strict=True) if given != made]:
        given, made = changed[0]
        notes.append(
            f"ids of other items: {plural(len(changed), 'new item')}, such as {given}, which get a number: {made}"
        )
    new = new.set_column(new.column_names.index("id"), "id", pa.array(unique, pa.string()))
    for name in new.column_names:
        if name in old.column_names and old.schema.field(name).type != new.schema.field(name).type:
            old, new = (with_texts(table, name) for table in (old, new))
    for there, here, what in ((old, new, "The new items have"), (new, old, "The earlier items have")):
        if missing := [printable(name) for name in there.column_names if name not in here.column_names]:
            notes.append(f"{what} no column {', '.join(missing)}; it is empty for them")
    return pa.concat_tables([old, new], promote_options="default"), notes


def join_indexes(old: pa.Table | None, new: pa.Table | None) -> pa.Table | None:
    """Joins the indexes of the pandas objects that items came from; None unless the result is unique."""
    if old is None or new is None or not old.schema.equals(new.schema):
        return None
    joined = pa.concat_tables([old, new])
    return joined if joined.group_by(joined.column_names).aggregate([]).num_rows == joined.num_rows else None


def counted(ids: Sequence[str]) -> str | None:
    """Returns what stands before the numbers of ids that count from 0; None if they do not.

    >>> counted(["few/0", "few/1"]), counted(["0", "2"])
    ('few/', None)
    """
    stem = ids[0].removesuffix("0")
    return stem if all(name == f"{stem}{row}" for row, name in enumerate(ids)) else None


def with_texts(table: pa.Table, name: str) -> pa.Table:
    """Returns a table with a column as texts: the same column is of another type in the other table."""
    values = [None if value is None else str(value) for value in table.column(name).to_pylist()]
    return table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))


def with_split(table: pa.Table, known: int, config: FitConfig) -> Items:
    """Splits the items after the first `known` ones, without regard to labels; the first ones keep theirs.

    Texts of one group stay together: new ones join the earlier ones' side.
    """
    split = table.column("split").to_pylist()
    names = [name.strip() for name in getattr(config.data, "group_column", "none").split(",")]
    columns = [table.column(name).cast(pa.string()).to_pylist() for name in names if name in table.column_names]
    # An item without a group is its own group.
    keys = [key if any(key) else row for row, key in enumerate(zip(*columns, strict=True))] or range(table.num_rows)
    numbers: dict[Any, int] = {}
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in keys[known:]], np.int64)
    out = prepared.held_out(len(groups), config.data, config.seed_everything, groups if columns else None)
    side = dict(zip(keys[:known], split, strict=False))
    split[known:] = [side.get(key, "val" if held else "train") for key, held in zip(keys[known:], out, strict=True)]
    return Items(table.set_column(table.column_names.index("split"), "split", pa.array(split, pa.string())))
