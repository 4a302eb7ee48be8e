"""Similar items: exact search among the mu by blocked matrix products, without an index."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from latentviz.display import WIDEST, columns, picture
from latentviz.errors import ArgumentError, RunError, choose
from latentviz.modalities.io.memory import named
from latentviz.modalities.loading import OpenRun
from latentviz.progress import one_line, plural, warn
from latentviz.queries.filter import select
from latentviz.queries.lookup import Found, Lookup
from latentviz.runs.files import write_json
from latentviz.runs.run import ResultFolder, RunFolder
from latentviz.stages.arguments import checked

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 65_536  # rows per matrix product: their scores fit the processor's cache
SPARE = 8  # candidates beyond k, because float32 products round; the scores returned are computed in float64
POOL = 10  # times k: candidates among which a diverse choice is made
DISLIKE = 0.5  # weight of the disliked mean (Rocchio 1971 in the form of Salton & Buckley 1990)


class Nearest(NamedTuple):
    """Rows by falling score."""

    rows: np.ndarray  # int64 (k,)
    scores: np.ndarray  # float64 (k,)


class Search:
    """Exact nearest neighbours of one query at a time.

    Args:
        vectors: float32 (n, d).
        metric: a name in `METRICS`.
    """

    def __init__(self, vectors: np.ndarray, metric: str = "cosine") -> None:
        self.score = choose(METRICS, metric, "--metric")
        self.metric = metric
        self.vectors = np.ascontiguousarray(vectors, np.float32)
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        # Makes the products x·q order like the score: a factor 1/‖x‖, or −‖x‖²/2 to add.
        self.factor = 1 / np.sqrt(np.maximum(squares, 1e-24)) if metric == "cosine" else None
        self.offset = -squares / 2 if metric == "euclidean" else None

    def __call__(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Nearest:
        """Return the k rows with the highest score, ties by row; fewer if fewer are allowed.

        Each block of products is compared with the k-th best score so far: after the first blocks, hardly any row is
        left to sort. Five times faster than one product and one selection at 1,000,000 × 16 (see docs/experiments.md).

        Args:
            query: (d,).
            k: at least 1.
            allowed: bool (n,), the rows to choose from; None: all.
        """
        n, wanted = len(self.vectors), k + SPARE
        query = np.asarray(query, np.float32)
        rows, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        least = -np.inf
        for start in range(0, n, BLOCK):
            block = slice(start, start + BLOCK)
            product = self.vectors[block] @ query
            if self.factor is not None:
                product *= self.factor[block]
            if self.offset is not None:
                product += self.offset[block]
            better = product >= least
            if allowed is not None:
                better &= allowed[block]
            near = np.flatnonzero(better)
            rows, scores = np.concatenate([rows, near + start]), np.concatenate([scores, product[near]])
            if len(rows) > wanted:
                kept = np.argpartition(-scores, wanted - 1)[:wanted]
                rows, scores = rows[kept], scores[kept]
                least = scores.min()
        exact = self.score(self.vectors[rows].astype(np.float64), query.astype(np.float64))
        order = np.lexsort((rows, -exact))[:k]
        return Nearest(rows[order], exact[order])


def cosine(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Compute the cosine of each row with the query, (n,) in [−1, 1]; 0 if one of them is the zero vector."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.asarray(vectors @ query / np.maximum(lengths, 1e-12))


def euclidean(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Compute minus the Euclidean distance of each row to the query, (n,): higher is nearer, as for every score."""
    return np.asarray(-np.linalg.norm(vectors - query, axis=1))


METRICS = {"cosine": cosine, "euclidean": euclidean}


def profile(liked: np.ndarray, disliked: np.ndarray, metric: str) -> np.ndarray:
    """Combine liked and disliked items into one query, (d,) (Rocchio 1971).

    It is the mean of the liked items, moved away from the mean of the disliked ones: by half the distance between them
    (Euclidean), or by half the latter (cosine, with each item scaled to length 1). There may be no disliked ones.
    """
    if metric == "cosine":
        liked, disliked = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (liked, disliked))
    towards: np.ndarray = liked.mean(axis=0)
    if not len(disliked):
        return towards
    away = disliked.mean(axis=0)
    return np.asarray(towards - DISLIKE * (away if metric == "cosine" else away - towards))


def diversify(vectors: np.ndarray, scores: np.ndarray, k: int, weight: float, metric: str) -> np.ndarray:
    """Choose k candidates one by one by maximal marginal relevance (Carbonell & Goldstein 1998).

    Each choice maximises (1 − λ)·score − λ·(its highest score with one already chosen). Returns indices into `scores`.

    Args:
        vectors: (m, d), the candidates.
        scores: (m,), of the candidates and the query.
        k: at most m.
        weight: λ in [0, 1]; 0 keeps the order of the scores.
        metric: a name in `METRICS`.
    """
    chosen: list[int] = []
    alike = np.full(len(scores), -np.inf)
    for _ in range(min(k, len(scores))):
        gain = (1 - weight) * scores - (weight * alike if chosen else 0)
        gain[chosen] = -np.inf
        best = int(gain.argmax())
        chosen.append(best)
        alike = np.maximum(alike, METRICS[metric](vectors, vectors[best]))
    return np.asarray(chosen, np.int64)


@dataclass(frozen=True, repr=False)
class Recommendation:
    """Similar items, best first.

    Attributes:
        rows: the items: rank, id, row, score (cosine, or minus the Euclidean distance), and cluster, label, source and
            text, if the run has them.
        nearest: their rows in the run, and scores.
        asked: the items that were given.
        settings: the options, for recommended.json.
        lookup: the run they are from.
    """

    rows: Sequence[dict[str, object]]
    nearest: Nearest
    asked: Sequence[Found]
    settings: dict[str, object]
    lookup: Lookup

    @property
    def ids(self) -> list[str]:
        """The ids, best first."""
        return [self.lookup.ids[row] for row in self.nearest.rows]

    @checked
    def save(self, name: str | None = None, *, force: bool = False) -> tuple[ResultFolder, list[str]]:
        """Write the sheet and the table to `recommended/<name>/`; return the folder and the names of the sheet."""
        with self.lookup.run.adding("recommended", name, self.asked[0].short, force=force) as folder:
            files = self._draw(folder.path)
            write_json(folder.recommended_file, {"settings": self.settings, "files": files, "recommended": self.rows})
        return folder.final, files

    def _draw(self, folder: Path) -> list[str]:
        """Write the sheet to a folder; return the names of its files."""
        found = self.lookup.given(self.nearest.rows) if self.rows else []
        return self.lookup.show.draw_sheet(
            folder, [("like", [item.given for item in self.asked]), ("found", list(found))]
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Return the items as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def __str__(self) -> str:
        """The table that the shell prints: best first; empty columns are left out."""
        cells = [{**row, "score": f"{row['score']:.3f}"} for row in self.rows]
        shown = ("rank", "id", "score", "cluster", "label", "source", "text")
        return columns(cells, shown, {"rank", "score", "cluster"}) if cells else "no item"

    def __repr__(self) -> str:
        asked = ", ".join(one_line(item.name, WIDEST) for item in self.asked)
        return f"Recommendation: {plural(len(self.rows), 'item')} like {asked}\n{self}"

    def _repr_html_(self) -> str:
        """Return the sheet, if it is a picture, and the table, for notebooks."""
        with TemporaryDirectory() as folder:
            pictures = [Path(folder) / name for name in self._draw(Path(folder)) if name.endswith(".png")]
            drawn = "".join(picture(file, "the items asked for, and those found") for file in pictures)
        return f"{drawn}{self.to_pandas().to_html(index=False)}"


def _listed(items: Sequence[str | int] | str | int) -> Sequence[str | int]:
    return [items] if isinstance(items, (str, int)) else items


def compared(opened: OpenRun, on: str) -> int:
    """Return how many of the first dimensions of mu are compared: those of the "content" or "all".

    "auto" means all: the style, which clustering ignores, still ranks the items of a group (see docs/experiments.md).
    If the content dimensions are computed and not learnt, like the topic of sentences, auto means these alone, because
    the others hold the wording; and of items with several parts, because only there an item known by one part is near
    those known by another.
    """
    every, content = opened.mu.shape[1], opened.content_dim
    auto = content if opened.given_dim or opened.info["kind"] == "joint" else every
    dims: int = choose({"auto": auto, "content": content, "all": every}, on, "--on")
    return dims


class Recommender:
    """Recommends items of one run, for any number of queries; the options are those of `verbs.recommend`."""

    def __init__(
        self, run: RunFolder, *, on: str = "auto", metric: str = "cosine", clustering: str = "default"
    ) -> None:
        self.lookup = Lookup(run, clustering)
        self.run, self.dims = run, compared(self.lookup.opened, on)
        self.search = Search(self.lookup.mu[:, : self.dims], metric)
        self.table = self.lookup.table

    def __call__(
        self,
        items: Sequence[str | int] | str | int,
        *,
        k: int = 10,
        disliked: Sequence[str | int] = (),
        diverse: float = 0.0,
        where: str | None = None,
    ) -> tuple[list[Found], Nearest]:
        """Find the items that are given, and the rows most similar to them, which do not include these items."""
        n = len(self.lookup)
        items, disliked = _listed(items), _listed(disliked)
        if not items:
            raise ArgumentError("recommend: no items (got none); give ids, row numbers or files")
        if not 0 <= diverse <= 1:
            raise ArgumentError(f"--diverse: must be 0 (nearest only) to 1 (got {diverse:g})")
        found = self.lookup.found(items)
        unwanted = self.lookup.found(disliked)
        if both := {item.name for item in found} & {item.name for item in unwanted}:
            raise ArgumentError(f"--not: {min(both)} is also to be recommended from; leave it out in one of the two")
        asked = {item.row for item in (*found, *unwanted) if item.row is not None}
        if not 1 <= k <= n - len(asked):
            raise ArgumentError(
                f"-k: must be 1 to {n - len(asked):,}, the number of other items in {self.run.name} (got {k})"
            )
        if where is not None and "cluster" in where and "cluster" not in self.table.column_names:
            raise RunError(
                f"--where {where!r}: {self.run.name} has no clusters yet; run "
                f"`{shlex.join(['latentviz', 'cluster', str(self.run.path)])}` first"
            )
        allowed = np.ones(n, bool) if where is None else select(where, self.table)
        allowed[list(asked)] = False
        vectors, metric = self.search.vectors, self.search.metric
        liked, disliked_mu = (
            np.array([item.mu[: self.dims] for item in group], np.float32).reshape(-1, self.dims)
            for group in (found, unwanted)
        )
        nearest = self.search(profile(liked, disliked_mu, metric), k * POOL if diverse else k, allowed)
        if diverse:
            picks = diversify(vectors[nearest.rows].astype(np.float64), nearest.scores, k, diverse, metric)
            nearest = Nearest(nearest.rows[picks], nearest.scores[picks])
        if len(nearest.rows) < k:
            found_any = "no more items meet" if len(nearest.rows) else "no other item meets"
            warn(f"{len(nearest.rows)} of {k}: {found_any} --where {where!r}")
        return found, nearest

    def describe(self, nearest: Nearest) -> list[dict[str, object]]:
        """Return the rank, row and score of each row, and its id and other columns."""
        names = [name for name in ("cluster", "label", "source", "text") if name in self.table.column_names]
        shown = {name: self.table.column(name) for name in names}
        return [
            {
                "rank": rank,
                "id": self.lookup.ids[row],
                "row": row,
                "score": round(score, 6),
                **{name: column[row].as_py() for name, column in shown.items()},  # `take` would import pandas
            }
            for rank, (row, score) in enumerate(zip(nearest.rows.tolist(), nearest.scores.tolist(), strict=True), 1)
        ]


def recommend(
    run: RunFolder,
    items: Sequence[str | int] | str | int,
    *,
    k: int = 10,
    disliked: Sequence[str | int] = (),
    metric: str = "cosine",
    diverse: float = 0.0,
    where: str | None = None,
    on: str = "auto",
    clustering: str = "default",
) -> Recommendation:
    """Find the items of a run most similar to the given ones, best first; `verbs.recommend` says what each option does.

    Raises:
        LatentvizError: an item does not exist, or a setting is out of range; the message says what is allowed.
    """
    recommender = Recommender(run, on=on, metric=metric, clustering=clustering)
    found, nearest = recommender(items, k=k, disliked=disliked, diverse=diverse, where=where)
    settings = {
        "items": [named(str(word)) for word in _listed(items)],
        "k": k,
        "disliked": [named(str(word)) for word in _listed(disliked)],
        "metric": metric,
        "diverse": diverse,
        "where": where,
        "on": on,
        "clustering": clustering,
    }
    return Recommendation(recommender.describe(nearest), nearest, found, settings, recommender.lookup)
