"""Tokenises every text once into a memory-mapped cache."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from latentviz.errors import DataError, write_advice
from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import BadItem, choose_column
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.source import TextSource
from latentviz.modalities.text.config import ResolvedTextData, TextData
from latentviz.modalities.text.read import read
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.modalities.text.vocabulary import BLOCK, learn
from latentviz.progress import plural
from latentviz.runs.files import atomic_write, read_npy, read_parquet

TOKENS = "tokens.npy"
TEXTS = "texts.parquet"


def load(cache: Path, n: int | None = None) -> np.ndarray:
    """Opens the tokens, uint16 or int32 (n, t), memory-mapped; a RunError if they are damaged, or not n."""
    return read_npy(cache / TOKENS, prepared.again(cache), shape=(n, None), kinds="iu")


def load_texts(cache: Path) -> list[str]:
    """Returns the texts before tokenisation, in item order; a RunError if they are damaged."""
    texts: list[str] = read_parquet(cache / TEXTS, prepared.again(cache)).column("text").to_pylist()
    return texts


def write_texts(cache: Path, texts: pa.Array | pa.ChunkedArray) -> None:
    """Writes the texts before tokenisation."""
    with atomic_write(cache / TEXTS) as temporary:
        pq.write_table(pa.table({"text": texts}), temporary, compression="zstd")


def prepare(
    data: TextData, cache: Path, seed: int, *, source: TextSource | None = None, tokenizer: Tokenizer | None = None
) -> Prepared:
    """Writes the tokens of `data`, the texts and the tokenizer into `cache`, and makes the item table.

    Args:
        data: where the texts are and how they are tokenised.
        cache: folder for the tokens; created if missing.
        seed: of the training/validation split, which does not depend on labels.
        source: texts already found; None: those at `data.path`.
        tokenizer: of a trained model; None: one is learnt, so the texts must be enough and differ.
    """
    source = source or read(data)
    notes = list(source.notes)
    if tokenizer is None:
        n, distinct = len(source), len(pc.unique(source.texts))
        prepared.require_trainable(n, source.bad, data, "text", alike=distinct == 1)
        notes += prepared.repeated(n - distinct, n, "texts", drop=data.duplicates == "drop")
        if data.duplicates == "drop" and distinct < n:
            prepared.require_trainable(distinct, source.bad, data, "text", alike=False)
            source = without_repeats(source)
    out = prepared.held_out(len(source), data, seed, _groups(source, data))
    items, changed = prepared.item_table(
        source.ids, source.labels, source.origins, out, source.columns, texts=source.texts
    )
    notes += changed
    if tokenizer is None:
        tokenizer, data, learnt = learn(source.texts.filter(pa.array(~out)), data)
        notes += learnt
    data = ResolvedTextData.model_validate(dict(data))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tokenizer.save(cache)
        write_texts(cache, source.texts)
        digest, counts = _write(source.texts, tokenizer, data.max_length, cache / TOKENS)
    except OSError as error:
        raise DataError(
            f"{cache}: cannot be written ({error.strerror or error}); {write_advice(error.strerror)}"
        ) from None
    return Prepared(items, data, list(source.bad), prepared.fingerprint(digest, items), [*notes, *counts])


def without_repeats(source: TextSource) -> TextSource:
    """Leaves out texts that are equal to earlier ones; they join the bad items."""
    code = source.texts.combine_chunks().dictionary_encode().indices.to_numpy()
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    kept = np.sort(first)
    origins = source.origins
    again = np.setdiff1d(np.arange(len(code)), kept)
    return replace(
        source,
        ids=[source.ids[row] for row in kept],
        origins=[origins[row] for row in kept],
        labels=[source.labels[row] for row in kept],
        columns={name: prepared.chosen(values, kept) for name, values in source.columns.items()},
        texts=source.texts.take(pa.array(kept)),
        bad=[*source.bad, *(BadItem(origins[row], f"repeats {origins[first[group[row]]]}") for row in again)],
    )


def _groups(source: TextSource, data: TextData) -> np.ndarray | None:
    """Returns the group of each item, int64 (n,); None if each item is its own; a DataError if all are one group."""
    if data.group_column == "none":
        return None
    names = [name.strip() for name in data.group_column.split(",")]
    for name in names:
        if choose_column(list(source.columns), "group_column", name) is None:  # auto, or none among others
            raise DataError(f"data.group_column: names columns (got {name!r} among them); or none for no groups")
    keys = pa.table({name: pa.array(source.columns[name]).cast(pa.string()) for name in names}).to_pylist()
    numbers: dict[Any, int] = {}
    # A text without a group is its own group.
    own = [tuple(key.values()) if any(key.values()) else row for row, key in enumerate(keys)]
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in own], np.int64)
    if len(numbers) == 1:
        raise DataError(
            f"data.group_column: all {len(groups):,} texts are of one group, so none could be held out; name another "
            "column, or none"
        )
    return groups


def _write(texts: pa.ChunkedArray, tokenizer: Tokenizer, longest: int, file: Path) -> tuple[Any, list[str]]:
    """Writes the tokens block by block; returns a SHA-256 of texts and tokens, and notes on what was lost."""
    dtype = np.dtype(np.uint16 if tokenizer.size <= 2**16 else np.int32)
    digest = hashlib.sha256(repr((len(texts), longest)).encode())
    cut = unknown = total = 0
    with (
        prepared.writing(file, len(texts) * longest * dtype.itemsize) as out,
        tqdm(total=len(texts), desc="reading texts", unit="text", delay=1, leave=False, disable=None) as bar,
    ):
        prepared.write_header(out, dtype, (len(texts), longest))
        for start in range(0, len(texts), BLOCK):
            block = texts.slice(start, BLOCK).to_pylist()
            rows, cut_here, unknown_here = tokenizer.encode(block, longest)
            stored = np.ascontiguousarray(rows, dtype)
            out.write(stored.data)
            digest.update("\0".join(block).encode("utf-8", "surrogatepass"))
            digest.update(stored.data)
            cut, unknown, total = cut + cut_here, unknown + unknown_here, total + int(np.count_nonzero(rows))
            bar.update(len(block))
    notes = []
    if cut:
        notes.append(
            f"cut: {cut:,} of {plural(len(texts), 'text')} ({cut / len(texts):.1%}), to {plural(longest - 1, 'token')}"
            "; raise data.max_length to keep more"
        )
    if unknown:
        notes.append(f"unknown: {plural(unknown, 'token')}, {unknown / total:.2%} of the text")
    return digest, notes
