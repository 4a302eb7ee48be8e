"""Turns every text once into a row of tokens in a memory-mapped cache, so that training never touches a text."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import FEWEST, Prepared, held_out, item_table, load_array
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read
from latentviz.modalities.text.source import Source
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.modalities.text.vocabulary import BLOCK, learn
from latentviz.runs.files import atomic_write

TOKENS = "tokens.npy"
TEXTS = "texts.parquet"
_MANY = 0.01  # share of repeated texts that is told


def load(cache: Path) -> np.ndarray:
    """Returns the tokens, uint16 or int32 (n, t), memory-mapped and read-only.

    Raises:
        DataError: the cache is missing or damaged.
    """
    return load_array(cache / TOKENS, "tokens")


def load_texts(cache: Path) -> list[str]:
    """Returns the texts as they were read, in item order.

    Raises:
        DataError: the cache is missing or damaged.
    """
    try:
        texts: list[str] = pq.read_table(cache / TEXTS).column("text").to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{cache / TEXTS}: the texts are missing or damaged ({error}); `latentviz fit` with --force "
            "makes them again"
        ) from None
    return texts


def prepare(
    data: TextData, cache: Path, seed: int, *, source: Source | None = None, tokenizer: Tokenizer | None = None
) -> Prepared:
    """Returns the items of `data`, after writing their tokens, their texts and the tokenizer into `cache`.

    Args:
        data: where the texts are and what they are to become.
        cache: folder for the tokens; made if it is missing.
        seed: of the split into training and validation, which looks at no label.
        source: the texts, where they were found already; None: those that `data.path` names.
        tokenizer: one that was learnt before; None: one is learnt, which takes more than one text and differences.

    Raises:
        DataError: the data cannot be read, nothing can be learnt from it, or the cache cannot be written.
    """
    source = source or read(data)
    notes = list(source.notes)
    if tokenizer is None:
        notes += _check(source, data)
    out = held_out(len(source), data, seed, _groups(source, data))
    own = {f"data_{name}" if name == "text" else name: values for name, values in source.columns.items()}
    items = item_table(source.ids, source.labels, source.origins, out, {"text": source.texts, **own})
    if tokenizer is None:
        tokenizer, data, learnt = learn(source.texts.filter(pa.array(~out)), data)
        notes += learnt
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tokenizer.save(cache)
        with atomic_write(cache / TEXTS) as temporary:
            pq.write_table(pa.table({"text": source.texts}), temporary, compression="zstd")
        digest, counted = _write(source.texts, tokenizer, data, cache / TOKENS)
    except OSError as error:
        raise DataError(
            f"{cache}: cannot be written ({error.strerror or error}); make room, or choose another folder "
            "with --outputs DIR"
        ) from None
    for name in ("id", "label"):
        digest.update(repr(items.column(name)).encode("utf-8", "surrogatepass"))
    return Prepared(items, data, list(source.bad), digest.hexdigest()[:32], [*notes, *counted])


def _check(source: Source, data: TextData) -> list[str]:
    """Returns a note if many texts stand more than once.

    Raises:
        DataError: nothing can be learnt from the texts.
    """
    name, n, bad = printable(data.path), len(source), source.bad
    if len(bad) > data.max_bad * (n + len(bad)):
        some = "; ".join(f"{item.source}: {item.reason}" for item in bad[:3])
        more = f"; and {len(bad) - 3:,} more" if len(bad) > 3 else ""
        raise DataError(
            f"{name}: {len(bad):,} of {n + len(bad):,} texts cannot be read, more than "
            f"data.max_bad={data.max_bad:g} allows ({some}{more}); repair or remove them, or raise "
            "data.max_bad"
        )
    if n < FEWEST:
        raise DataError(
            f"{name}: holds {n} text{'s' * (n != 1)}; a VAE learns what many texts have in common, so at "
            f"least {FEWEST} are needed; add more"
        )
    distinct = len(pc.unique(source.texts))
    if distinct == 1:
        raise DataError(
            f"{name}: all {n:,} texts are identical; a VAE learns from differences; check that this is the right data"
        )
    again = n - distinct
    return [f"repeated: {again:,} of {n:,} texts stand there before"] if again > _MANY * n else []


def _groups(source: Source, data: TextData) -> np.ndarray | None:
    """Returns the group of each item by number, int64 (n,), or None where each is on its own.

    Raises:
        DataError: there is no such column, or all items are one group.
    """
    if data.group_column == "none":
        return None
    names = [name.strip() for name in data.group_column.split(",")]
    for name in names:
        if name not in source.columns:
            raise DataError(
                f"data.group_column: no column {name!r}; there are {', '.join(source.columns) or 'none'}."
                f"{did_you_mean(name, source.columns)}"
            )
    keys = pa.table({name: pa.array(source.columns[name]).cast(pa.string()) for name in names}).to_pylist()
    numbers: dict[Any, int] = {}
    # Without a group, a text is one on its own.
    own = [tuple(key.values()) if any(key.values()) else row for row, key in enumerate(keys)]
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in own], np.int64)
    if len(numbers) == 1:
        raise DataError(
            f"data.group_column: all {len(groups):,} texts are of one group, so that none could be held "
            "out; name another column, or none"
        )
    return groups


def _write(texts: pa.ChunkedArray, tokenizer: Tokenizer, data: TextData, file: Path) -> tuple[Any, list[str]]:
    """Writes the tokens block by block; returns a hash of texts and tokens, and notes on what was lost.

    Rows are appended rather than mapped: a full disk is then an error that can be told, not a killed process.
    """
    assert data.max_length != "auto"
    dtype = np.dtype(np.uint16 if tokenizer.size <= 2**16 else np.int32)
    digest = hashlib.sha256(repr((len(texts), data.max_length)).encode())
    cut = unknown = total = 0
    with (
        atomic_write(file) as temporary,
        temporary.open("wb") as out,
        tqdm(total=len(texts), desc="reading texts", unit="text", delay=1, leave=False, disable=None) as bar,
    ):
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (len(texts), data.max_length),
        }
        np.lib.format.write_array_header_1_0(out, header)
        for start in range(0, len(texts), BLOCK):
            block = texts.slice(start, BLOCK).to_pylist()
            rows, cut_here, unknown_here = tokenizer.encode(block, data.max_length)
            stored = np.ascontiguousarray(rows, dtype)
            out.write(stored.data)
            digest.update("\0".join(block).encode("utf-8", "surrogatepass"))
            digest.update(stored.data)
            cut, unknown, total = cut + cut_here, unknown + unknown_here, total + int(np.count_nonzero(rows))
            bar.update(len(block))
    notes = []
    if cut:
        notes.append(
            f"cut: {cut:,} of {len(texts):,} texts ({cut / len(texts):.1%}) have more than "
            f"{data.max_length - 1:,} tokens and lose their end; data.max_length=… keeps more"
        )
    if unknown:
        notes.append(f"unknown: {unknown:,} tokens, {unknown / total:.2%} of the text")
    return digest, notes
