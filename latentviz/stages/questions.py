"""What `latentviz mcp` answers about the runs in a folder: reads only, and nothing outside of that folder."""

import threading
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from latentviz.clustering.description import cluster_names
from latentviz.errors import ArgumentError, RunError, did_you_mean
from latentviz.modalities.joint.config import ResolvedJointConfig
from latentviz.progress import one_line
from latentviz.queries.lookup import Lookup
from latentviz.runs.files import folder_path, read_json, without_nan
from latentviz.runs.ours import check_links
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.desk import AskPlace, AskRows, AskSpot, Desk, shown
from latentviz.stages.overview import run_overview
from latentviz.stages.recommend import Recommender

KEPT = 2  # clusterings whose model and tables stay in memory
ROWS, ITEMS, LATENTS, CLUSTERS = 200, 12, 16, 200  # most entries of one answer
LONGEST = 20_000  # characters of a text

P = ParamSpec("P")
R = TypeVar("R")
Answer = dict[str, Any]


def _one_at_a_time(
    answer: Callable[Concatenate["Questions", P], R],
) -> Callable[Concatenate["Questions", P], R]:
    """Lets a method run in one thread at a time: models and tables are shared."""

    @wraps(answer)
    def call(questions: "Questions", /, *positional: P.args, **named: P.kwargs) -> R:
        with questions.busy:
            return answer(questions, *positional, **named)

    return call


class Questions:
    """Answers about the runs in a folder. A run is known by its name alone: no argument is a path.

    Args:
        outputs: the folder of the runs.

    Raises:
        LatentvizError: it is no folder.
    """

    def __init__(self, outputs: str) -> None:
        self.outputs, self.busy = folder_path("--outputs", outputs), threading.Lock()
        if not self.outputs.is_dir():
            raise RunError(f"--outputs {outputs}: no such folder; give the folder that holds the runs")
        self._desks: dict[tuple[Path, str], tuple[tuple[int, ...], Desk]] = {}

    def _runs(self) -> dict[str, RunFolder]:
        """The runs that lie in the folder themselves; links to others are left out."""
        return {run.name: run for run in RunFolder.all(self.outputs) if not run.path.is_symlink()}

    def _run(self, name: str) -> RunFolder:
        runs = self._runs()
        if name not in runs:
            names = f"; runs there: {', '.join(runs)}" if runs else ", which holds none"
            raise RunError(
                f"run: none is named {one_line(name, 60)!r} in {self.outputs}{names}.{did_you_mean(name, runs)}"
            )
        run = runs[name]
        check_links(run.path)
        run.require(run.info_file)
        return run

    def _folder(self, run: RunFolder, clustering: str) -> ClusterFolder:
        if clustering not in run.clusterings:
            found = ", ".join(run.clusterings) or "none"
            raise RunError(f"clustering: {run.name} has none named {one_line(clustering, 60)!r} (there are: {found})")
        return run.clustered(clustering)

    def _desk(self, name: str, clustering: str) -> Desk:
        """Opens a clustering, or finds it opened, unless its files have changed since."""
        run = self._run(name)
        folder = self._folder(run, clustering)
        stamp = tuple(file.stat().st_mtime_ns for file in (run.info_file, folder.info_file))
        key = run.path, clustering
        known, desk = self._desks.pop(key, (None, None))
        if desk is None or known != stamp:
            desk = Desk(Lookup(run, clustering))
        self._desks[key] = stamp, desk
        while len(self._desks) > KEPT:
            del self._desks[next(iter(self._desks))]
        return desk

    @_one_at_a_time
    def list_runs(self) -> Answer:
        """Lists the runs, oldest first: name, kind of data, number of items, clusterings."""
        return {"runs": [run_overview(run) for run in self._runs().values()]}

    @_one_at_a_time
    def describe_run(self, run: str, clustering: str = "default") -> Answer:
        """Describes a run and a clustering: summary, settings, columns of the items, clusters, verdicts."""
        folder = self._run(run)
        found: Answer = {**run_overview(folder), "summary": folder.info()["summary"]}
        if not folder.clusterings:
            return without_nan(found | {"columns": folder.items().table.column_names})
        chosen = self._folder(folder, clustering)
        info, points = chosen.info(), chosen.points()
        names = cluster_names(points, info)
        found |= {
            "clustering": clustering,
            "columns": [*points.column_names, "split"],
            "noise": info["noise_share"],
            "notes": info["lines"],
            "clusters": [
                {"cluster": entry["cluster"], "size": entry["size"], "name": names.get(entry["cluster"], "")}
                for entry in info["clusters"][:CLUSTERS]
            ],
        }
        if chosen.evaluation_file.exists():
            found["verdicts"] = read_json(chosen.evaluation_file).get("verdicts")
        return without_nan(found)

    @_one_at_a_time
    def query_points(
        self,
        run: str,
        *,
        where: str = "",
        columns: Sequence[str] | None = None,
        sort: str | None = None,
        descending: bool = False,
        start: int = 0,
        limit: int = 20,
        clustering: str = "default",
    ) -> Answer:
        """Returns rows of the table of points: those that meet a condition, sorted."""
        desk = self._desk(run, clustering)
        asked = AskRows(start=start, count=limit, sort=sort, descending=descending, where=where)
        found: Answer = dict(desk.rows(asked))
        names = [column["name"] for column in found["columns"]]
        for name in columns or ():
            if name not in names:
                raise ArgumentError(f"columns: unknown {one_line(name, 60)!r}; there are {', '.join(names)}")
        cells = dict(zip(names, found["cells"], strict=True))
        wanted = [*(columns or names)]
        rows = [dict(zip(wanted, row, strict=True)) for row in zip(*(cells[name] for name in wanted), strict=True)]
        return without_nan({"total": found["total"], "start": start, "rows": rows})

    @_one_at_a_time
    def show_items(self, run: str, items: Sequence[str], *, clustering: str = "default") -> list[Answer]:
        """Returns items as the run has them: their columns, and an image or a text."""
        desk = self._desk(run, clustering)
        return self._shown(desk, self._rows(desk.lookup, items))

    @_one_at_a_time
    def show_cluster(self, run: str, cluster: int, *, examples: int = 6, clustering: str = "default") -> list[Answer]:
        """Returns a cluster: size, name, keywords and labels first, then its most typical items."""
        desk = self._desk(run, clustering)
        lookup = desk.lookup
        members, info = lookup.cluster(cluster), lookup.folder.info()
        entry = next((each for each in info["clusters"] if each["cluster"] == cluster), None)
        exemplars = [] if entry is None else entry["exemplars"]
        given: list[str | None] = lookup.points.column("label").take(members).to_pylist()
        labels = [label for label in given if label is not None]
        counts = sorted(((labels.count(label), label) for label in set(labels)), reverse=True)[:20]
        rows = [lookup.rows_by_id[name] for name in exemplars if name in lookup.rows_by_id]
        rows = [*dict.fromkeys([*rows, *members.tolist()])][:examples]
        about = {
            **(entry or {}),
            "cluster": cluster,
            "size": len(members),
            "name": cluster_names(lookup.points, info).get(cluster, "noise" if cluster < 0 else ""),
            "labels": {label: count for count, label in counts},
        }
        return [without_nan(about), *self._shown(desk, rows)]

    @_one_at_a_time
    def decode(
        self,
        run: str,
        *,
        x: float | None = None,
        y: float | None = None,
        z: Sequence[Sequence[float]] | None = None,
        clustering: str = "default",
    ) -> list[Answer]:
        """Returns what the decoder makes of a position on the map, or of latents."""
        desk = self._desk(run, clustering)
        if z is None:
            if x is None or y is None:
                raise ArgumentError("decode: give x and y, a position on the map, or z, a list of latents")
            return [dict(desk.decode(AskSpot(x=x, y=y)))]
        if x is not None or y is not None:
            raise ArgumentError("decode: give x and y, or z, and not both")
        if not 1 <= len(z) <= LATENTS:
            raise ArgumentError(f"z: must be 1 to {LATENTS} latents (got {len(z)})")
        from latentviz.stages.transform import checked_latents

        model = desk.lookup.model
        outputs = model.kind.decode_all(model.vae, checked_latents(desk.lookup.opened, z))
        return [shown(output) for output in outputs]

    @_one_at_a_time
    def recommend(
        self,
        run: str,
        *,
        items: Sequence[str] = (),
        text: str | None = None,
        disliked: Sequence[str] = (),
        k: int = 10,
        where: str | None = None,
        clustering: str = "default",
    ) -> Answer:
        """Returns the items most similar to given ones, or to a text."""
        desk = self._desk(run, clustering)
        if (text is None) == (not items):
            raise ArgumentError("recommend: give items (ids or row numbers) or a text, and not both")
        if text is None:
            search = Recommender(desk.lookup.run, clustering=clustering)
            liked, unwanted = (list(map(str, self._rows(desk.lookup, words))) for words in (items, disliked))
            _, nearest = search(liked, k=k, disliked=unwanted, where=where)
            return without_nan({"recommended": search.describe(nearest)})
        if disliked or where is not None:
            raise ArgumentError("recommend: a text is compared with all items; leave out disliked and where")
        config = desk.lookup.opened.config
        if isinstance(config, ResolvedJointConfig) and config.data.features != "none":
            raise ArgumentError(
                f"text: {run} has vectors of {config.data.features}, which is not a part of the run; give items"
            )
        found: Answer = dict(desk.place(AskPlace(text=text)))
        near = [{**self._about(desk, entry["row"]), "score": entry["score"]} for entry in found["near"][:k]]
        place = {key: found[key] for key in ("x", "y", "cluster", "nearest_cluster", "unlike", "notes")}
        return without_nan({"recommended": near, "place": place})

    def _rows(self, lookup: Lookup, words: Sequence[str]) -> list[int]:
        """Finds items of the run by id or row number; no word is read as a file."""
        rows = [lookup.row(word) for word in words]
        for word, row in zip(words, rows, strict=True):
            if row is None:
                raise RunError(f"{one_line(word, 60)}: no item of {lookup.run.name} has this id.{lookup.nearest(word)}")
        return [row for row in rows if row is not None]

    def _about(self, desk: Desk, row: int) -> Answer:
        names = [name for name in ("cluster", "label", "source") if name in desk.lookup.points.column_names]
        values = {name: desk.lookup.points.column(name)[row].as_py() for name in names}
        return {"id": desk.lookup.ids[row], "row": row, **values}

    def _shown(self, desk: Desk, rows: Sequence[int]) -> list[Answer]:
        items = zip(rows, desk.lookup.given(rows), strict=True)
        return [without_nan({**self._about(desk, row), **shown(item)}) for row, item in items]
