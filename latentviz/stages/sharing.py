"""Annotations of a served clustering: changed by several pages, and in the run's files before a page is answered."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Annotated, TypeVar

import pyarrow as pa
from pydantic import Field

from latentviz.errors import ArgumentError, ReadError, RunError
from latentviz.modalities.loading import OpenRun
from latentviz.runs.annotations import Findings, Note, Word, annotated, findings, fingerprint
from latentviz.runs.info import ClusterNumber, ClustersInfo
from latentviz.runs.run import ClusterFolder
from latentviz.serving.server import Question
from latentviz.stages.map import annotations_of, draw

PATIENCE = 5.0  # seconds that a change waits for another process that writes the clustering

K = TypeVar("K")
V = TypeVar("V")
RowNumber = Annotated[int, Field(ge=0, lt=2**53)]


class AskAnnotations(Question):
    """Asks for the annotations, unless they are those of version `since`."""

    since: Annotated[str, Field(max_length=80)] = ""


class AskAnnotate(AskAnnotations):
    """Asks to change annotations; without a value, an entry is removed.

    Attributes:
        names: clusters with names.
        merges: clusters with the cluster that each is a part of.
        splits: clusters with rows that are in them, whatever cluster had them.
        tags: tags with the rows that get them, and those that lose them.
        notes: rows with texts.
    """

    names: Sequence[tuple[ClusterNumber, Word | None]] = ()
    merges: Sequence[tuple[ClusterNumber, ClusterNumber | None]] = ()
    splits: Sequence[tuple[ClusterNumber | None, list[RowNumber]]] = ()
    tags: Sequence[tuple[Word, list[RowNumber], list[RowNumber]]] = ()
    notes: Sequence[tuple[RowNumber, Note | None]] = ()

    def rows(self) -> Iterable[int]:
        """Return all rows that it names."""
        tagged = (rows for _, *lists in self.tags for rows in lists)
        return chain((row for row, _ in self.notes), *tagged, *(rows for _, rows in self.splits))


class Shared:
    """The annotations of a clustering as its files have them now, whoever wrote them.

    Args:
        folder: the clustering.
    """

    def __init__(self, folder: ClusterFolder) -> None:
        self.folder, self.changed = folder, False
        self._lock = threading.RLock()
        self._version, self._points, self._info = "", folder.points(), folder.info()
        self._of = fingerprint(self._points)
        self._ids: Sequence[str] = self._points.column("id").to_pylist()

    def current(self) -> tuple[str, pa.Table, ClustersInfo]:
        """Return the version, points and clusters.json; they are read again if another process has written them.

        Raises:
            RunError: the clustering is gone, damaged, or another one by now.
        """
        with self._lock:
            if (version := self._stamp()) != self._version:
                points = self.folder.points()
                if fingerprint(points) != self._of:
                    again = "end `latentviz explore` and start it again"
                    raise RunError(f"{self.folder.path}: was clustered again; {again}")
                self._version, self._points, self._info = version, points, self.folder.info()
            return self._version, self._points, self._info

    def read(self, question: AskAnnotations) -> Mapping[str, object]:
        """Return the version and, if it is another than the page has, all annotations."""
        with self._lock:
            return self._answer(question.since)

    def change(self, question: AskAnnotate) -> Mapping[str, object]:
        """Write changes into the run; return what `read` does, for a page that knows its own changes."""
        if (last := max(question.rows(), default=0)) >= len(self._ids):
            raise ArgumentError(f"row: must be 0 to {len(self._ids) - 1} (got {last})")
        with self._lock, ExitStack() as stack:
            self._hold(stack)
            before, points, info = self.current()
            found = changed(findings(points, info), question, self._ids)
            self.folder.write_annotated(*annotated(points, info, found, "annotations"))
            self.changed = True
            known = self._stamp() if question.since == before else ""
            return self._answer(known)

    def redraw(self, opened: OpenRun) -> None:
        """Draw the files of the map with the annotations of now."""
        with self._lock, ExitStack() as stack:
            self._hold(stack)
            _, points, info = self.current()
            draw(self.folder, self.folder.config().map, points, info, opened)

    def _answer(self, since: str) -> Mapping[str, object]:
        version, points, info = self.current()
        return {"version": version} | ({} if version == since else {"found": annotations_of(self.folder, points, info)})

    def _stamp(self) -> str:
        """Return what is another text after each writing of clusters.json."""
        try:
            state = self.folder.require().info_file.stat()
        except OSError as error:
            raise ReadError(self.folder.info_file, error) from None
        return f"{state.st_mtime_ns:x}.{state.st_ino:x}"

    def _hold(self, stack: ExitStack) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return stack.enter_context(self.folder.held("explore"))
            except RunError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


def changed(found: Findings, change: AskAnnotate, ids: Sequence[str]) -> Findings:
    """Return annotations after a change; `ids` are those of the rows."""
    tags = {item: dict.fromkeys(own) for item, own in found.tags.items()} if change.tags else {}
    for word, given, taken in change.tags:
        for row in taken:
            tags.get(ids[row], {}).pop(word, None)
        for row in given:
            tags.setdefault(ids[row], {})[word] = None
    cluster_of = {item: number for number, items in found.splits.items() for item in items} if change.splits else {}
    for number, rows in change.splits:
        cluster_of = _with(cluster_of, ((ids[row], number) for row in rows))
    splits: dict[int, list[str]] = {}
    for item, number in cluster_of.items():
        splits.setdefault(number, []).append(item)
    return Findings(
        _with(found.names, change.names),
        _with(found.merges, change.merges),
        splits if change.splits else found.splits,
        {item: [*own] for item, own in tags.items() if own} if change.tags else found.tags,
        _with(found.notes, ((ids[row], text) for row, text in change.notes)),
    )


def _with(table: Mapping[K, V], entries: Iterable[tuple[K, V | None]]) -> dict[K, V]:
    """Return a table after changes; an entry without a value is removed."""
    after = dict(table)
    for key, value in entries:
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after
