"""Items like given ones: exact search among the μ by blocked matrix products, no index to build."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from latentviz.errors import ConfigError, RunError, choose
from latentviz.progress import warn
from latentviz.queries.filter import select
from latentviz.queries.lookup import Found, Lookup, columns
from latentviz.runs.files import write_json
from latentviz.runs.run import ResultFolder, RunFolder

BLOCK = 65_536  # rows in one matrix product: their scores stay in the processor's cache
SPARE = 8  # candidates beyond k, since float32 products round; the scores returned are computed in float64
POOL = 10  # times k: the nearest among which a diverse choice is made
# Share of the disliked mean that is taken from the liked one (Rocchio 1971 in the form of Salton & Buckley 1990).
DISLIKE = 0.5


class Nearest(NamedTuple):
    """Rows in the order of their score.

    Attributes:
        rows: int64 (k,).
        scores: float64 (k,), falling.
    """

    rows: np.ndarray
    scores: np.ndarray


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
        # What makes the products x·q order like the score: a factor 1/‖x‖, or −‖x‖²/2 to add.
        self.factor = 1 / np.sqrt(np.maximum(squares, 1e-24)) if metric == "cosine" else None
        self.offset = -squares / 2 if metric == "euclidean" else None

    def __call__(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Nearest:
        """Returns the k rows with the highest score, ties by row; fewer where fewer are allowed.

        A block of products is compared with the k-th best score so far, so that all but the first few blocks cost one
        pass over memory and hardly any selection.

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
    """Returns the cosine of each row with the query, (n,) in [−1, 1]; 0 where one of them is 0."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.asarray(vectors @ query / np.maximum(lengths, 1e-12))


def euclidean(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Returns minus the Euclidean distance of each row to the query, (n,): higher is nearer, as for every score."""
    return np.asarray(-np.linalg.norm(vectors - query, axis=1))


METRICS = {"cosine": cosine, "euclidean": euclidean}


def profile(liked: np.ndarray, disliked: np.ndarray, metric: str) -> np.ndarray:
    """Returns the query that stands for several liked and disliked items, (d,) (Rocchio 1971).

    The mean of the liked ones, moved away from the mean of the disliked by half the distance between them (Euclidean),
    or by half of the latter's direction (cosine, for which each item counts with length 1).

    Args:
        liked: (a, d), a ≥ 1.
        disliked: (b, d), b may be 0.
        metric: a name in `METRICS`.
    """
    if metric == "cosine":
        liked, disliked = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (liked, disliked))
    towards: np.ndarray = liked.mean(axis=0)
    if not len(disliked):
        return towards
    away = disliked.mean(axis=0)
    return np.asarray(towards - DISLIKE * (away if metric == "cosine" else away - towards))


def diversify(vectors: np.ndarray, scores: np.ndarray, k: int, weight: float, metric: str) -> np.ndarray:
    """Returns k places of `scores`, chosen one by one by maximal marginal relevance (Carbonell & Goldstein 1998).

    Each choice maximises (1 − λ)·score − λ·(the highest score between it and one already chosen).

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


@dataclass(frozen=True)
class Recommendation:
    """Items like the ones asked with, best first.

    Attributes:
        rows: one mapping an item: rank, id, row, score, cluster, label, source, and text where there is one.
        asked: the items asked with.
        settings: what else was asked.
        lookup: the run they are from.
    """

    rows: list[dict[str, Any]]
    asked: Sequence[Found]
    settings: dict[str, Any]
    lookup: Lookup

    @property
    def ids(self) -> list[str]:
        """The ids, best first."""
        return [row["id"] for row in self.rows]

    def save(self, name: str | None = None) -> tuple[ResultFolder, list[str]]:
        """Writes the sheet and the table to `recommended/<name>/`; returns the folder and the sheet's files in it."""
        with self.lookup.run.adding("recommended", name, self.asked[0].short) as folder:
            found = self.lookup.given([row["row"] for row in self.rows]) if self.rows else []
            groups = [("like", [item.given for item in self.asked]), ("found", list(found))]
            files = self.lookup.show.draw_sheet(folder.path, groups)
            write_json(folder.recommended_file, {"settings": self.settings, "files": files, "recommended": self.rows})
        return folder.final, files

    def to_pandas(self) -> Any:
        """Returns the rows as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def _repr_html_(self) -> str:
        """Returns the table, for notebooks."""
        return str(self.to_pandas().to_html(index=False))


def _listed(items: Sequence[str | int] | str | int) -> Sequence[str | int]:
    """Returns one item as a list of one."""
    return [items] if isinstance(items, (str, int)) else items


def compared(run: RunFolder, on: str) -> int:
    """Returns how many of the first dimensions of μ items are compared by.

    "auto" are all of them: what is style to a clustering still says which item of a group is the most like (see
    docs/experiments.md). Where the content dimensions are given and not learnt, as the topic of sentences, these alone:
    the others hold the wording.

    Args:
        run: a finished run.
        on: auto, content or all.

    Raises:
        ConfigError: `on` is none of these.
    """
    summary, every = run.info()["summary"], run.mu().shape[1]
    content = int(summary.get("content_dim", every))
    auto = content if summary.get("given_dim") else every
    dims: int = choose({"auto": auto, "content": content, "all": every}, on, "--on")
    return dims


class Recommender:
    """Recommends items of one run; made once, it answers many queries.

    Args:
        run: a finished run.
        on: "content" for the content dimensions of μ, "all" for every dimension, "auto" for what is better: see
            `compared`.
        metric: a name in `METRICS`.
        clustering: whose clusters the tables show and conditions may name.
    """

    def __init__(
        self, run: RunFolder, *, on: str = "auto", metric: str = "cosine", clustering: str = "default"
    ) -> None:
        self.lookup = Lookup(run, clustering)
        self.run, self.on, self.dims = run, on, compared(run, on)
        self.search = Search(self.lookup.mu[:, : self.dims], metric)
        self.table = columns(run, clustering)

    def __call__(
        self,
        items: Sequence[str | int],
        *,
        k: int = 10,
        disliked: Sequence[str | int] = (),
        diverse: float = 0.0,
        where: str | None = None,
    ) -> tuple[list[Found], Nearest]:
        """Returns the items asked with, and the rows like them; the items asked with are never among these.

        Raises:
            RunError: an item is not there, or `k` is more than the run can give.
            ConfigError: a setting is out of its range, or the condition cannot be understood.
        """
        n = len(self.lookup)
        items, disliked = _listed(items), _listed(disliked)
        if not items:
            raise ConfigError("recommend: no item to go by; give an id, a row number or a file")
        if not 0 <= diverse <= 1:
            raise ConfigError(f"--diverse: must lie between 0 (nearest only) and 1 (got {diverse:g})")
        found = [self.lookup.item(word) for word in items]
        shunned = [self.lookup.item(word) for word in disliked]
        asked = {item.row for item in (*found, *shunned) if item.row is not None}
        if not 1 <= k <= n - len(asked):
            raise ConfigError(
                f"-k {k}: must lie between 1 and {n - len(asked):,}, the items of {self.run.name} that "
                "were not asked with"
            )
        if where is not None and "cluster" in where and "cluster" not in self.table.column_names:
            raise RunError(
                f"--where {where!r}: {self.run.name} has no clusters yet; run `latentviz cluster {self.run.path}` first"
            )
        allowed = np.ones(n, bool) if where is None else select(where, self.table)
        allowed[list(asked)] = False
        vectors, metric = self.search.vectors, self.search.metric
        liked, hated = (
            np.array([item.mu[: self.dims] for item in group], np.float32).reshape(-1, self.dims)
            for group in (found, shunned)
        )
        nearest = self.search(profile(liked, hated, metric), k * POOL if diverse else k, allowed)
        if diverse:
            picks = diversify(vectors[nearest.rows].astype(np.float64), nearest.scores, k, diverse, metric)
            nearest = Nearest(nearest.rows[picks], nearest.scores[picks])
        if len(nearest.rows) < k:
            warn(f"{len(nearest.rows)} of {k}: no more items fulfil --where {where!r}")
        return found, nearest

    def describe(self, nearest: Nearest) -> list[dict[str, Any]]:
        """Returns one mapping an item: rank, id, row, score, cluster, label, source, text."""
        taken = self.table.take(nearest.rows)
        shown = [name for name in ("id", "cluster", "label", "source", "text") if name in taken.column_names]
        return [
            {"rank": rank, "id": values.pop("id"), "row": int(row), "score": round(float(score), 6), **values}
            for rank, (row, score, values) in enumerate(
                zip(nearest.rows, nearest.scores, taken.select(shown).to_pylist(), strict=True), start=1
            )
        ]


def recommend(
    run: RunFolder,
    items: Sequence[str | int],
    *,
    k: int = 10,
    disliked: Sequence[str | int] = (),
    metric: str = "cosine",
    diverse: float = 0.0,
    where: str | None = None,
    on: str = "auto",
    clustering: str = "default",
) -> Recommendation:
    """Returns the items of a run that are most like the given ones, best first.

    Args:
        run: a finished run.
        items: each an id, a row, a path to a file, or a text; new ones are encoded first. Several make a profile.
        k: how many.
        disliked: items to keep away from.
        metric: cosine or euclidean.
        diverse: λ in [0, 1] of maximal marginal relevance; 0: the nearest.
        where: a condition on the columns of the points, such as "cluster == 3".
        on: "content" for the content dimensions of μ, "all" for every one, "auto" as `compared` says.
        clustering: whose clusters are meant.

    Raises:
        LatentvizError: an item is not there, or a setting cannot be had; the message says how to mend it.
    """
    recommender = Recommender(run, on=on, metric=metric, clustering=clustering)
    found, nearest = recommender(items, k=k, disliked=disliked, diverse=diverse, where=where)
    settings = {
        "items": [str(word) for word in _listed(items)],
        "k": k,
        "disliked": [str(word) for word in _listed(disliked)],
        "metric": metric,
        "diverse": diverse,
        "where": where,
        "on": on,
        "clustering": clustering,
    }
    return Recommendation(recommender.describe(nearest), found, settings, recommender.lookup)
