"""Previews: maps of some items that are drawn while a training goes on, in a process of low priority."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentviz.clustering.compile_ahead import end_with_parent
from latentviz.config import FitConfig
from latentviz.display import in_browser
from latentviz.modalities.base import AnyDataKind
from latentviz.progress import say, warn
from latentviz.runs.extension import LongerRun
from latentviz.runs.files import atomic_write, remove, temporary_name
from latentviz.runs.items import ITEM_COLUMNS, Items
from latentviz.runs.run import RunFolder

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback

NICE = 19  # the lowest priority: the training comes first
NEIGHBOURS = 15  # of an item, in the graph that is laid out
WORKER = "import sys; from latentviz.stages.preview import work; work(*sys.argv[1:])"
ALONE = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Drawing:
    """Draws the previews of a run.

    Args:
        run: that is trained.
        show: open the first one in the browser.
    """

    def __init__(self, run: RunFolder, *, show: bool) -> None:
        self.run, self.show, self.said = run, show, False
        self.process: subprocess.Popen[bytes] | None = None
        self.items, self.errors = temporary_name(run.preview_file), temporary_name(run.preview_mark)

    def begin(self, rows: np.ndarray, mu: np.ndarray, line: str) -> None:
        """Begins to draw items by their latents, (m, d); `line` says what the training has reached."""
        try:
            with self.items.open("wb") as file, self.errors.open("wb") as errors:
                np.savez(file, rows=rows, mu=mu, line=np.array(line))
                self.process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-c", WORKER, str(self.run.path.absolute()), str(self.items.absolute())],
                    cwd=Path(__file__).parents[2],  # the package's folder: `-c` imports from the working directory
                    env={**os.environ, **dict.fromkeys(ALONE, "1")},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
        except OSError:  # a convenience: a full disk is reported by the training itself
            self.stop()

    def check(self) -> bool:
        """Whether nothing is being drawn; says where the first preview is, or why there is none."""
        if self.process is None:
            return True
        if (code := self.process.poll()) is None:
            return False
        if not self.said:
            self.said = True
            if code:
                lines = self.errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                warn(f"no preview could be drawn ({lines[-1] if lines else code}); the training goes on")
            else:
                say(f"  a first map, a preview: {self.run.preview_file}")
                if self.show:
                    in_browser(self.run.preview_file)
        self.stop()
        return True

    def stop(self) -> None:
        """Ends the process that draws."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None
        for file in (self.items, self.errors):
            remove(file)


@contextmanager
def previews(config: FitConfig, run: RunFolder, kind: AnyDataKind, *, show: bool) -> "Iterator[list[Callback]]":
    """Yields the callbacks by which a training has previews; at its end there are none any more.

    A run that is trained for longer has none: its map is there.

    Args:
        config: of the training.
        run: that is trained.
        kind: its data.
        show: open the first one in the browser.
    """
    from latentviz.model.preview import Previews

    drawer = Drawing(run, show=show)
    _remove(run)  # what a kill has left
    wanted = config.preview and not isinstance(run, LongerRun)
    try:
        yield [Previews(drawer, kind.dataset(), kind.to_input, config.preview)] if wanted else []
    finally:
        drawer.stop()
        _remove(run)


def _remove(run: RunFolder) -> None:
    for file in (run.preview_mark, run.preview_file):
        remove(file)


def work(run: str, items: str) -> None:
    """Draws one preview; the body of the process."""
    end_with_parent()
    if hasattr(os, "nice"):
        os.nice(NICE)
    with np.load(items, allow_pickle=False) as given:
        rows, mu, line = given["rows"], given["mu"], str(given["line"])
    draw(RunFolder(Path(run)), rows, mu, line)


def draw(run: RunFolder, rows: np.ndarray, mu: np.ndarray, line: str) -> None:
    """Writes the preview of a run that is trained, and then the mark by which an earlier one learns of it.

    Args:
        run: with its config, items and cache.
        rows: int64 (m,), the items to draw.
        mu: float32 (m, d), their latents.
        line: what the page says of itself.
    """
    from latentviz.clustering.clusterers import cluster
    from latentviz.clustering.cut import nearest_clusters
    from latentviz.clustering.description import label_names
    from latentviz.clustering.neighbors import neighbours
    from latentviz.clustering.reducers import directions
    from latentviz.clustering.umap_layout import umap_reduce
    from latentviz.config import read_yaml
    from latentviz.maps import MapData, write_map
    from latentviz.maps.data import Preview
    from latentviz.modalities import modality

    config = read_yaml(run.config_file)
    data, model = config["data"], config["model"]
    assert isinstance(data, dict)
    assert isinstance(model, dict)
    items = Items(run.items().table.take(rows))
    shown = modality(str(data["kind"])).on_map(run.cache)
    vectors = directions(mu, "cosine" if model.get("contrast") else "euclidean")
    graph = neighbours(vectors, min(NEIGHBOURS, len(rows) - 1))
    points = umap_reduce(vectors, graph, 2, min_dist=0.3)
    found = cluster("hdbscan", points, seed=0)
    final, stamp = run.clustering(), 1 + int(time.time()) % 30_000
    files = (run.preview_mark, final.map_file, final.picture_file)
    content = MapData(
        ids=items.column("id"),
        points=points,
        cluster=found.labels,
        nearest_cluster=nearest_clusters(found.labels, graph.indices[:, 1:], vectors),
        probability=found.probabilities,
        outlier_score=found.outlier_scores,
        labels=items.labels,
        sources=items.column("source"),
        columns={
            name: items.column(name)
            for name in items.table.column_names
            if name not in ITEM_COLUMNS and not (name == "text" and shown.texts is not None)
        },
        texts=None if shown.texts is None else [shown.texts[row] for row in rows],
        images=None if shown.images is None else shown.images[rows],
        cluster_names=label_names(found.labels, items.column("label")),
        neighbours=graph.indices[:, 1:],
        title=run.name,
        preview=Preview(line, stamp, *(file.relative_to(run.path).as_posix() for file in files)),
    )
    write_map(run.preview_file, content)
    with atomic_write(run.preview_mark) as temporary:
        temporary.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{stamp}" height="1"/>\n', "utf-8")
