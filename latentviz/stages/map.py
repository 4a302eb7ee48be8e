"""`latentviz map`: draws a clustering's map from the files of its run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from latentviz.clustering.description import cluster_names, found_names, is_landscape
from latentviz.clustering.tree import condensed_tree
from latentviz.config import MapSection
from latentviz.errors import LatentvizError, choose
from latentviz.maps import (
    LAYERS,
    CaptionData,
    ClusterInfo,
    MapData,
    decoder_data,
    small_layers,
    text_decoder_data,
    write_map,
)
from latentviz.maps.data import Region, Served, TreeNode
from latentviz.maps.decoder import DecoderData
from latentviz.maps.html import render
from latentviz.maps.static import write_static
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.text.keywords import HAN, UNSPACED
from latentviz.model.encoding import decode_batches
from latentviz.runs.annotations import findings, fingerprint
from latentviz.runs.info import ClusterEntry, ClustersInfo
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.runs.tables import ANNOTATED
from latentviz.stages.earlier import colours
from latentviz.stages.recommend import compared

if TYPE_CHECKING:
    import pandas as pd

    from latentviz.maps.widget import MapWidget

SHOWN_NEIGHBOURS = 12  # per item, on the map's cards
COLOURS = ("cluster", "label", "outlier_score", "probability")  # what every map can be coloured by
MEASURED = ("log_likelihood", "kl")  # columns that a clustering adds to those of the items
OWN_COLUMNS = {"id", "x", "y", "cluster", "nearest_cluster", "probability", "outlier_score", "label", "source"}
OWN_COLUMNS |= {*ANNOTATED, "cluster_raw"}


def draw(
    folder: ClusterFolder,
    config: MapSection,
    points: pa.Table,
    info: ClustersInfo,
    opened: OpenRun | None = None,
) -> None:
    """Writes map.html, map.png and map.svg of a clustering; `opened` is the run, if it is already open."""
    check(config, points.column_names, measured=())
    data = map_data(folder, config, points, info, opened or OpenRun(RunFolder(folder.run_path)))
    layers = list(LAYERS) if config.layers == "all" else list(config.layers)
    write_map(folder.map_file, data, layers=layers, options=_options(config))
    # The page names and edits the clusters itself, so that a reader can go on.
    if "edited_cluster" in points.column_names:
        points = points.set_column(points.column_names.index("cluster"), "cluster", points.column("edited_cluster"))
    names = cluster_names(points, info)
    data = replace(data, cluster=points.column("cluster").to_numpy(), cluster_names=names)
    write_static(folder.picture_file, folder.vector_file, data)


def page_of(folder: ClusterFolder, opened: OpenRun, served: Served) -> str:
    """Returns the HTML of a finished clustering's map, with every layer, for a server that answers it."""
    config = folder.config().map
    data = map_data(folder, config, folder.points(), folder.info(), opened)
    return render(replace(data, served=served), options=_options(config))


def _options(config: MapSection) -> dict[str, str]:
    return {"theme": config.theme, "colour_by": config.colour_by}


def check(config: MapSection, columns: Iterable[str], measured: Iterable[str] = MEASURED) -> None:
    """Raises a ConfigError if a layer is unknown, or items with these columns have no such column or colours for it.

    `measured` are columns that the items will have.
    """
    coloured = [name for name in columns if name not in {*OWN_COLUMNS, "split", "text"}]
    choose(dict.fromkeys([*COLOURS, *coloured, *measured]), config.colour_by, "map.colour_by")
    for name in () if config.layers == "all" else config.layers:
        choose(LAYERS, name, "map.layers")


def redraw(folder: ClusterFolder, config: MapSection) -> None:
    """Draws the map of a finished clustering again and stores the settings; the clustering does not change."""
    draw(folder, config, folder.require().points(), folder.info())
    folder.write_config(folder.config().model_copy(update={"map": config}))


def as_widget(folder: ClusterFolder, points: "pd.DataFrame", height: int) -> "MapWidget":
    """Returns the map of a clustering as a Jupyter widget.

    Args:
        folder: the clustering.
        points: its points.
        height: in pixels.

    Raises:
        LatentvizError: the package that widgets need is not installed.
    """
    try:
        from latentviz.maps.widget import MapWidget
    except ModuleNotFoundError as error:
        if error.name != "anywidget":
            raise
        missing = "lv.widget: needs the package anywidget; run `pip install 'latentviz[notebook]'`"
        raise LatentvizError(missing) from None
    info = folder.info()
    numbered = {entry["cluster"]: f"Cluster {entry['cluster']}" for entry in info["clusters"]}
    return MapWidget(folder.map_file, points, numbered | cluster_names(folder.points(), info), height)


def map_data(
    folder: ClusterFolder, config: MapSection, points: pa.Table, info: ClustersInfo, opened: OpenRun
) -> MapData:
    """Collects everything the map shows; without the code of the model there is no decoder."""
    run = opened.run
    column = {name: points.column(name) for name in points.column_names}
    labels = column["label"].to_pylist()
    place = np.column_stack([column["x"].to_numpy(), column["y"].to_numpy()])
    cluster, mu = column["cluster"].to_numpy(), np.asarray(opened.mu)
    rows = {item: row for row, item in enumerate(column["id"].to_pylist())}
    entries = {int(entry["cluster"]): entry for entry in info["clusters"]}
    means = [mu[cluster == number].mean(axis=0) for number in entries]
    decoder, images = _decoded(opened, mu, place, means)
    tree, shown = folder.tree(), opened.on_map
    return MapData(
        ids=list(rows),
        points=place,
        cluster=cluster,
        nearest_cluster=column["nearest_cluster"].to_numpy(),
        probability=column["probability"].to_numpy(),
        outlier_score=column["outlier_score"].to_numpy(),
        labels=labels if any(label is not None for label in labels) else None,
        sources=column["source"].to_pylist(),
        columns={
            name: values.to_pylist()
            for name, values in column.items()
            if name not in OWN_COLUMNS and not (name == "text" and shown.texts is not None)
        },
        cluster_names=found_names(points, info),
        cluster_colours=colours(info["clusters"]),
        cluster_info={
            number: _cluster_info(entry, rows, image)
            for (number, entry), image in zip(entries.items(), images, strict=True)
        },
        tree=_tree_nodes(tree, cluster, place, info) if tree is not None and entries else (),
        regions=[
            Region(
                level=region["level"],
                row=rows[region["item"]],
                size=region["size"],
                cluster=region["cluster"],
                keywords=region["keywords"],
            )
            for region in info.get("regions", [])
            if region["item"] in rows
        ],
        landscape=is_landscape(info),
        decoder=decoder,
        captions=_captions(opened),
        title=config.title or run.name,
        earlier=[(page["title"], page["points"]) for page in info["continued"]["maps"]] if "continued" in info else (),
        summary=info["lines"],
        neighbours=folder.neighbours(),
        texts=shown.texts,
        images=shown.images,
        annotations=annotations_of(folder, points, info),
    )


def annotations_of(folder: ClusterFolder, points: pa.Table, info: ClustersInfo) -> Mapping[str, object]:
    """Returns what the page needs to show the annotations of a clustering, and to save them; items are row numbers."""
    found = findings(points, info)
    rows = {item: row for row, item in enumerate(points.column("id").to_pylist())}
    tagged: dict[str, list[int]] = {}
    for item, tags in found.tags.items():
        for tag in tags:
            tagged.setdefault(tag, []).append(rows[item])
    return {
        "run": folder.run_path.name,
        "clustering": folder.name,
        "fingerprint": fingerprint(points),
        "names": [*found.names.items()],
        "merges": [*found.merges.items()],
        "splits": [(number, [rows[item] for item in items]) for number, items in found.splits.items()],
        "tags": [*tagged.items()],
        "notes": [(rows[item], note) for item, note in found.notes.items()],
    }


def _decoded(
    opened: OpenRun, mu: np.ndarray, points: np.ndarray, means: Sequence[np.ndarray]
) -> tuple[DecoderData | None, list[np.ndarray | None]]:
    """Returns the decoder for the page, and of images those decoded from the mean mu (d,) of each cluster.

    There is none where the page cannot show what is decoded, or where this process lacks the code of the model.
    """
    nothing: list[np.ndarray | None] = [None] * len(means)
    if not opened.loadable:
        return None, nothing
    vae, kind = opened.model.vae, opened.model.kind
    net = kind.page_decoder(vae)
    if net is not None:
        place, shape = net.place, net.shape

        def decode(z: np.ndarray) -> np.ndarray:
            return decode_batches(vae, z)[:, place].reshape(-1, *shape)

        decoded = kind.decode_all(vae, np.stack(means)) if means else []
        images = [item if isinstance(item, np.ndarray) else getattr(item, "image", None) for item in decoded]
        return decoder_data(net.network, decode, mu, points, shape), images
    if len(mu) and opened.modality.writes_texts:
        return text_decoder_data(lambda z: [str(text) for text in kind.decode_all(vae, z)], mu, points), nothing
    return None, nothing


def _captions(opened: OpenRun) -> CaptionData | None:
    """Returns the networks of captions for the page; None of a run without them, or without the code of the model."""
    networks = opened.model.kind.page_captions(opened.model.vae) if opened.loadable else None
    return networks and CaptionData(
        networks.words,
        networks.idf,
        networks.weights,
        networks.named,
        networks.likely,
        networks.labels,
        small_layers(networks.encoder),
        small_layers(networks.decoder),
        small_layers(networks.label_decoder),
        networks.limit,
        compared(opened, "auto"),
        UNSPACED,
        HAN,
    )


def _tree_nodes(tree: np.ndarray, cluster: np.ndarray, points: np.ndarray, info: ClustersInfo) -> list[TreeNode]:
    """Adds the keywords in clusters.json to the nodes of the condensed tree."""
    first = int(min((row["parent"] for row in info["tree"]), default=0))
    words = {int(row["child"]) - first: row["keywords"] for row in info["tree"] if row.get("keywords")}
    nodes = condensed_tree(tree, cluster, points)
    return [TreeNode(**node, keywords=words.get(node["node"], [])) for node in nodes]  # type: ignore[typeddict-item]


def _cluster_info(entry: ClusterEntry, rows: Mapping[str, int], image: np.ndarray | None) -> ClusterInfo:
    exemplars = [rows[item] for item in entry["exemplars"] if item in rows]
    medoid = exemplars[0] if exemplars else None
    return ClusterInfo(entry["persistence"], exemplars, medoid, entry.get("keywords", []), image)
