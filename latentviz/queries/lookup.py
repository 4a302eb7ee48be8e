"""What a user's words stand for: an item by its id, its row, a file or a text; a cluster by its number."""

import difflib
import re
import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from latentviz.errors import DataError, RunError, did_you_mean
from latentviz.modalities.base import NewItem, Shown
from latentviz.modalities.loading import Loaded, OpenRun
from latentviz.progress import one_line, say
from latentviz.runs.files import is_file, is_folder
from latentviz.runs.run import ClusterFolder, RunFolder

CLUSTER = "cluster:"
WIDEST = 60  # characters of a word that is said again
LONGEST_NUMBER = 18  # digits of a row or a cluster
LOOKED_THROUGH = 20_000  # ids that a mistyped one is compared with: comparing takes 10 µs each
ALIKE = 0.8  # of the characters of an id: a word without spaces that has so many of them is a mistyped one
_NUMBER = re.compile(r"[0-9]+")
_PLACE = re.compile(r".\.(txt|text|md|csv|tsv|jsonl?|ndjson|parquet|npy|npz)(\.gz)?([:#/][0-9]+)?$", re.IGNORECASE)


class Found(NamedTuple):
    """One item that a word stands for.

    Attributes:
        name: its id, or the word itself where it is no item of the run.
        row: its row, None where it is no item of the run.
        mu: float32 (d,).
        logvar: float32 (d,).
        given: the item itself, as its data kind shows it.
    """

    name: str
    row: int | None
    mu: np.ndarray
    logvar: np.ndarray
    given: Shown

    @property
    def is_item(self) -> bool:
        """Whether this is one item and not the mean of a cluster."""
        return not self.name.startswith(CLUSTER)

    @property
    def short(self) -> str:
        """The id, or the name of the file without its folder and suffix: what results are called after."""
        return self.name if self.row is not None or not self.is_item else Path(self.name).stem


class Lookup:
    """Finds the items and clusters of a run by what the user calls them.

    Args:
        run: a finished run.
        clustering: the name of the clustering that cluster numbers refer to.
    """

    def __init__(self, run: RunFolder, clustering: str = "default") -> None:
        self.run, self._clustering = run, clustering
        self.opened = OpenRun(run)
        self.mu, self.logvar, self.items = self.opened.mu, self.opened.logvar, self.opened.items
        self.show = self.opened.modality.show

    def __len__(self) -> int:
        """Returns n."""
        return len(self.mu)

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        return self.items.column("id")

    @cached_property
    def rows_by_id(self) -> dict[str, int]:
        """The row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    @property
    def model(self) -> Loaded:
        """The trained model; loading it takes seconds."""
        return self.opened.model

    @cached_property
    def folder(self) -> ClusterFolder:
        """The clustering, which must be there."""
        return self.run.clustering(self._clustering).require()

    @cached_property
    def labels(self) -> np.ndarray:
        """The cluster of each item, int (n,), −1 for noise."""
        labels: np.ndarray = self.folder.points().column("cluster").to_numpy()
        return labels

    def given(self, rows: Sequence[int] | np.ndarray) -> Sequence[Shown]:
        """Returns items of the run as their data kind shows them."""
        return self.show.given(self.run.cache, self.items, rows)

    def item(self, word: str | int) -> Found:
        """Returns the item that an id, a row, a file or a text stands for; an id goes before all others.

        Raises:
            RunError: there is no such item; the message suggests the nearest ids.
            DataError: it is a file that cannot be read.
        """
        if not str(word).strip():
            raise RunError(f"{word!r}: no item; give an id, a row number or a file")
        row = self.row(word)
        if row is not None:
            return Found(self.ids[row], row, np.array(self.mu[row]), np.array(self.logvar[row]), self.given([row])[0])
        return self._new(str(word))

    def row(self, word: str | int) -> int | None:
        """Returns the row of an item of the run, None for any other word.

        Raises:
            RunError: the word is a number beyond the rows.
        """
        if str(word) in self.rows_by_id:
            return self.rows_by_id[str(word)]
        digits = str(word).removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            return None
        if len(digits) > LONGEST_NUMBER or not 0 <= int(word) < len(self):
            raise RunError(f"row {str(word)[:40]}: the rows of {self.run.name} go from 0 to {len(self) - 1:,}")
        return int(word)

    def read(self, word: str) -> NewItem[Shown] | None:
        """Returns what the data kind reads in a word that is no item of the run, as in a file or a text; or None."""
        return self.opened.modality.new.read_item(word, self.opened.config, self.run.cache)

    def _new(self, word: str) -> Found:
        """Returns an item that is not in the run, encoded."""
        if word.startswith(CLUSTER):
            raise RunError(f"{word}: a cluster cannot stand here; give an item")
        if is_folder(word):
            raise DataError(
                f"{word}: a folder; give one file, or place all it holds with `latentviz encode {self.run.name} {word}`"
            )
        meant = None if is_file(word) else self._meant(word)
        read = None if meant else self.read(word)
        if read is None:
            raise RunError(
                f"{one_line(word, WIDEST)}: no item of {self.run.name} has this id, and there is no such "
                f"file.{meant or self.nearest(word)}"
            )
        given, stored, notes = read
        for note in notes:
            say(f"{one_line(word, WIDEST)}: {note}")
        from latentviz.model.encoding import posteriors

        latents = posteriors(self.model.vae, [stored], self.model.kind.to_input)
        return Found(word, None, latents.mu[0], latents.logvar[0], given)

    def _meant(self, word: str) -> str:
        """Returns a sentence with the ids that a word is meant for that is none; nothing where it is spelt like none.

        Where any word is an item, as with texts, a mistyped id would pass for one.
        """
        if not word or any(character.isspace() for character in word):
            return ""
        looked_at = self.ids[:LOOKED_THROUGH]
        pattern = _NUMBER.sub("0", word)
        numbered = pattern != word and pattern in {_NUMBER.sub("0", name) for name in looked_at}
        if not (numbered or _PLACE.search(word) or difflib.get_close_matches(word, looked_at, n=1, cutoff=ALIKE)):
            return ""
        return f"{self.nearest(word)}. A text that is to be taken at its word may stand in a file"

    def nearest(self, word: str) -> str:
        """Returns a sentence with the ids that are spelt like `word`."""
        ids = self.ids
        if len(ids) > LOOKED_THROUGH:
            half = word[: len(word) // 2]
            ids = [name for name in ids if name.startswith(half)][:LOOKED_THROUGH]
        longer = [name for name in ids if name.startswith(word) or name.endswith(f"/{word}")][:3]
        near = longer or difflib.get_close_matches(word, ids, n=3, cutoff=0.5)
        if near:
            return f" Nearest ids: {', '.join(near)}"
        return f" Its ids look like {self.ids[0]!r}; a row number will do as well"

    def cluster(self, number: int) -> np.ndarray:
        """Returns the rows of a cluster's members, int64; −1 gives the noise.

        Raises:
            RunError: the run has no such clustering, or the clustering no such cluster.
        """
        rows = np.flatnonzero(self.labels == number)
        if not len(rows):
            k = int(self.labels.max(initial=-1)) + 1
            there = f"its clusters are 0 to {k - 1}" if k else "it found none"
            raise RunError(f"cluster {number}: {self.folder.path} has no such cluster; {there}")
        return rows

    def place(self, word: str | int) -> Found:
        """Returns what `item` does, and for `cluster:3` the mean μ of its members, its most central one as `given`."""
        if not str(word).startswith(CLUSTER):
            return self.item(word)
        number = str(word).removeprefix(CLUSTER)
        if not number.removeprefix("-").isdecimal() or len(number) > LONGEST_NUMBER:
            raise RunError(f"{str(word)[:40]}: not a cluster; write {CLUSTER} and a number, as in {CLUSTER}3")
        rows = self.cluster(int(number))
        mu, logvar = np.asarray(self.mu[rows]), np.asarray(self.logvar[rows])
        mean = mu.mean(axis=0)
        central = rows[np.linalg.norm(mu - mean, axis=1).argmin()]
        return Found(str(word), None, mean, logvar.mean(axis=0), self.given([central])[0])


def check_first(run: RunFolder, words: Sequence[str]) -> None:
    """Looks whether the first word, which is no run's name, stands for an item of the newest run.

    Raises:
        RunError: it does not; or any word might, as with texts, but this one is spelt like a run and others follow it.
    """
    lookup, first = Lookup(run), words[0]
    if not first.strip() or first.startswith(CLUSTER) or is_file(first) or is_folder(first):
        return
    if lookup.row(first) is not None:
        return
    runs, taken = run.siblings, ""
    if lookup.read(first) is not None:
        if len(words) == 1 or not difflib.get_close_matches(first, runs, n=1, cutoff=ALIKE):
            return
        taken = f"; to take it for a new item, name the run: `latentviz recommend {run.name} {shlex.quote(first)}`"
    word = one_line(first, WIDEST)
    raise RunError(
        f"{word}: no run in {run.path.parent} has this name, and no item of {run.name}, the newest one, "
        f"this id; runs there: {', '.join(runs)}.{did_you_mean(first, runs)}{lookup.nearest(first)}{taken}"
    )


def columns(run: RunFolder, clustering: str = "default") -> Any:
    """Returns the table whose columns a condition may name: the points of a clustering, or without one the items."""
    folder = run.clustering(clustering)
    if folder.finished:
        table = folder.points()
        return table.append_column("split", run.items().table.column("split"))
    if clustering != "default":
        names = [path.parent.name for path in folder.path.parent.glob("*/clusters.json")]
        raise RunError(
            f"--clustering {clustering}: {run.name} has no clustering of this name; `latentviz cluster "
            f"{run.path} --name {clustering}` makes it.{did_you_mean(clustering, names)}"
        )
    return run.items().table
