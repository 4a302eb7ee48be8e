"""Finds what the user names: an item by its id, row, file or text; a cluster by its number."""

import difflib
import re
import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import normalize

import numpy as np
import pyarrow as pa

from latentviz.errors import COMPARED_IDS, DataError, RunError, did_you_mean
from latentviz.modalities.base import NewItem, Shown
from latentviz.modalities.io.memory import find
from latentviz.modalities.loading import Loaded, OpenRun
from latentviz.progress import one_line, say
from latentviz.runs.files import check_name, is_file, is_folder
from latentviz.runs.run import ClusterFolder, RunFolder

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

CLUSTER = "cluster:"
WIDEST = 60  # characters of a word that a message repeats
LONGEST_NUMBER = 18  # digits of a row or a cluster: more do not fit an int64
SIMILAR = 0.8  # difflib ratio to an id above which a word without spaces is a mistyped id
_NUMBER = re.compile(r"[0-9]+")
_FILE_NAME = re.compile(r".\.(txt|text|md|csv|tsv|jsonl?|ndjson|parquet|npy|npz)(\.gz)?([:#/][0-9]+)?$", re.IGNORECASE)


class Found(NamedTuple):
    """An item or a cluster that the user named."""

    name: str  # its id, or the user's word if it is not an item of the run
    row: int | None  # its row; None if it is not an item of the run
    mu: np.ndarray  # float32 (d,)
    logvar: np.ndarray  # float32 (d,)
    given: Shown  # the item itself, as its data kind shows it; of a cluster, its most central item

    @property
    def is_item(self) -> bool:
        """Whether this is one item, not the mean of a cluster."""
        return not self.name.startswith(CLUSTER)

    @property
    def short(self) -> str:
        """The id, or the name of the file without folder and suffix; names the folder of the results."""
        return self.name if self.row is not None or not self.is_item else Path(self.name).stem


class Placed(NamedTuple):
    """The m items that have a position on the map."""

    rows: np.ndarray  # int64 (m,)
    points: np.ndarray  # float64 (m, 2)
    tree: "cKDTree"  # of the points


class Lookup:
    """Finds items of a finished run, and clusters of one of its clusterings, by what the user calls them."""

    def __init__(self, run: RunFolder, clustering: str = "default") -> None:
        self.run, self.clustering = run, clustering
        self.opened = OpenRun(run)
        self._reach: dict[tuple[int, float], float] = {}
        self.mu, self.logvar, self.items = self.opened.mu, self.opened.logvar, self.opened.items
        self.show = self.opened.modality.show
        check_name("--clustering", clustering)
        if clustering != "default" and not run.clustering(clustering).finished:  # commands that need none work without
            raise RunError(
                f"--clustering {clustering}: {run.name} has no clustering of this name; "
                f"`{shlex.join(['latentviz', 'cluster', str(run.path), '--name', clustering])}` makes it."
                f"{did_you_mean(clustering, run.clusterings)}"
            )

    def __len__(self) -> int:
        """Return n."""
        return len(self.mu)

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        return self.items.column("id")

    @cached_property
    def rows_by_id(self) -> dict[str, int]:
        """The row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def _rows_by_form(self) -> dict[str, int]:
        """The row of each id in Unicode's form NFC; macOS writes names of files in another one than keyboards."""
        return {normalize("NFC", name): row for row, name in enumerate(self.ids)}

    @property
    def model(self) -> Loaded:
        """The trained model; loading it takes seconds."""
        return self.opened.model

    @cached_property
    def folder(self) -> ClusterFolder:
        """The clustering, which must exist."""
        return self.run.clustered(self.clustering)

    @cached_property
    def points(self) -> pa.Table:
        """The points of the clustering."""
        return self.folder.points()

    @cached_property
    def labels(self) -> np.ndarray:
        """The cluster of each item, int (n,), −1 for noise."""
        return np.asarray(self.points.column("cluster").to_numpy())

    @cached_property
    def table(self) -> pa.Table:
        """The columns that a condition may name: the points of the clustering, or the items without a default one."""
        folder = self.run.clustering(self.clustering)
        if folder.finished:
            return self.points.append_column("split", self.items.table.column("split"))
        return self.items.table

    @cached_property
    def placed(self) -> "Placed":
        """The items with a position on the map."""
        from scipy.spatial import cKDTree

        points = np.stack([self.points.column(axis).to_numpy() for axis in "xy"], axis=1).astype(np.float64)
        rows = np.flatnonzero(np.isfinite(points).all(axis=1))
        return Placed(rows, points[rows], cKDTree(points[rows]))

    def reach(self, rank: int, share: float) -> float:
        """Return the distance that `share` of the points on the map have at most to their `rank`-th nearest one."""
        if (rank, share) not in self._reach:
            _, points, tree = self.placed
            own = min(rank, len(points) - 1) + 1  # itself is the first
            self._reach[rank, share] = float(np.quantile(tree.query(points, [own])[0], share))
        return self._reach[rank, share]

    def given(self, rows: Sequence[int] | np.ndarray) -> Sequence[Shown]:
        """Return items of the run as their data kind shows them."""
        return self.show.given(self.run.cache, self.items, rows)

    def item(self, word: str | int) -> Found:
        """Find the item with this id or row, or encode this file or text; a RunError suggests the nearest ids."""
        if not str(word).strip():
            raise RunError(f"{word!r}: no item; give an id, a row number or a file")
        row = self.row(word)
        if row is not None:
            return Found(self.ids[row], row, np.array(self.mu[row]), np.array(self.logvar[row]), self.given([row])[0])
        return self._new(str(word))

    def found(self, words: Sequence[str | int]) -> list[Found]:
        """Find items as `item` does; a path of an object in memory stands for all its items."""
        return [item for word in words for item in (self._in_memory(word) if find(str(word)) else [self.item(word)])]

    def _in_memory(self, path: str | int) -> list[Found]:
        from latentviz.model.encoding import posteriors

        with TemporaryDirectory(prefix="latentviz-") as folder:
            cache = Path(folder)
            new, opened = self.opened.modality.new, self.opened
            prepared, stored = new.read_items(str(path), opened.config, cache, self.run.cache)
            latents = posteriors(self.model.vae, stored, self.model.kind.to_input)
            shown = self.show.given(cache, prepared.items, range(len(stored)))
        for note in prepared.notes:
            say(f"  {note}")
        ids = prepared.items.column("id")
        return [
            Found(name, None, mu, logvar, item)
            for name, mu, logvar, item in zip(ids, latents.mu, latents.logvar, shown, strict=True)
        ]

    def row(self, word: str | int) -> int | None:
        """Return the row of an item of the run; None if `word` is neither an id nor a number."""
        if str(word) in self.rows_by_id:
            return self.rows_by_id[str(word)]
        if not str(word).isascii() and (composed := normalize("NFC", str(word))) in self._rows_by_form:
            return self._rows_by_form[composed]
        digits = str(word).removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            return None
        if len(digits) > LONGEST_NUMBER or not 0 <= int(word) < len(self):
            raise RunError(f"row {str(word)[:40]}: the rows of {self.run.name} go from 0 to {len(self) - 1:,}")
        return int(word)

    def read(self, word: str) -> NewItem[Shown] | None:
        """Read a new item from a file or a text; None if the data kind finds none in this word."""
        return self.opened.modality.new.read_item(word, self.opened.config, self.run.cache)

    def _new(self, word: str) -> Found:
        """Encode an item that is not in the run."""
        if word.startswith(CLUSTER):
            raise RunError(f"{word}: a cluster cannot be used here; give an item")
        if is_folder(word):
            raise DataError(
                f"{word}: is a folder; give one file, or encode all its files with "
                f"`{shlex.join(['latentviz', 'encode', self.run.name, word])}`"
            )
        mistyped = None if is_file(word) else self._mistyped(word)
        read = None if mistyped else self.read(word)
        if read is None:
            raise RunError(
                f"{one_line(word, WIDEST)}: no item of {self.run.name} has this id, and there is no such "
                f"file.{mistyped or self.nearest(word)}"
            )
        for note in read.notes:
            say(f"{one_line(word, WIDEST)}: {note}")
        from latentviz.model.encoding import posteriors

        latents = posteriors(self.model.vae, read.stored[None], self.model.kind.to_input)
        return Found(word, None, latents.mu[0], latents.logvar[0], read.shown)

    def _mistyped(self, word: str) -> str:
        """Suggest ids if `word` looks like a mistyped one, else "".

        Needed where any word can be an item, as for texts: a mistyped id would be encoded as a text.
        """
        if not word or any(character.isspace() for character in word):
            return ""
        compared = self.ids[:COMPARED_IDS]
        pattern = _NUMBER.sub("0", word)
        numbered = pattern != word and pattern in {_NUMBER.sub("0", name) for name in compared}
        if not (numbered or _FILE_NAME.search(word) or difflib.get_close_matches(word, compared, n=1, cutoff=SIMILAR)):
            return ""
        hint = ". To use the word itself as a text, put it into a file" if self.opened.modality.takes_words else ""
        return f"{self.nearest(word)}{hint}"

    def nearest(self, word: str) -> str:
        """Suggest the ids that are spelt most like `word`, in a sentence."""
        ids = self.ids
        if len(ids) > COMPARED_IDS:
            half = word[: len(word) // 2]
            ids = [name for name in ids if name.startswith(half)][:COMPARED_IDS]
        longer = [name for name in ids if name.startswith(word) or name.endswith(f"/{word}")][:3]
        near = longer or difflib.get_close_matches(word, ids, n=3, cutoff=0.5)
        if near:
            return f" Nearest ids: {', '.join(near)}"
        return f" Its ids look like {self.ids[0]!r}; a row number works too"

    def cluster(self, number: int) -> np.ndarray:
        """Return the rows of a cluster, int64; −1 gives the noise."""
        rows = np.flatnonzero(self.labels == number)
        if not len(rows):
            numbers = np.unique(self.labels[self.labels >= 0]).tolist()
            exist = f"its clusters are {spans(numbers)}" if numbers else "it has none"
            raise RunError(f"cluster {number}: {self.folder.path} has no such cluster; {exist}")
        return rows

    def place(self, word: str | int) -> Found:
        """Find an item as `item` does, or with `cluster:3` the mean mu of a cluster."""
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


def spans(numbers: Sequence[int]) -> str:
    """Shortens ascending numbers to the first and last of each gapless stretch.

    >>> spans([0, 1, 2, 5, 7, 8])
    '0 to 2, 5, 7 to 8'
    """
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True))


def check_first(run: RunFolder, words: Sequence[str]) -> None:
    """Check that the first word, which names no run, is an item of the newest run.

    Raises:
        RunError: it is not an item; or it could be a new one, but is spelt like a run and other words follow.
    """
    lookup, first = Lookup(run), words[0]
    if not first.strip() or first.startswith(CLUSTER) or is_file(first) or is_folder(first):
        return
    if lookup.row(first) is not None:
        return
    runs, as_item = run.siblings, ""
    if lookup.read(first) is not None:
        if len(words) == 1 or not difflib.get_close_matches(first, runs, n=1, cutoff=SIMILAR):
            return
        as_item = f"; to use it as a new item, name the run: `latentviz recommend {run.name} {shlex.quote(first)}`"
    word = one_line(first, WIDEST)
    raise RunError(
        f"{word}: no run in {run.path.parent} has this name, and no item of {run.name}, the newest one, "
        f"this id; runs there: {', '.join(runs)}.{did_you_mean(first, runs)}{lookup.nearest(first)}{as_item}"
    )
