"""From a clustering on disk to its map: everything `map.html` shows is read from the run, so that it can be redrawn."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from latentviz.clustering.keywords import named
from latentviz.config import MapSection
from latentviz.errors import choose
from latentviz.maps import LAYERS, condensed_tree, decoder_data, text_decoder_data, write_map, write_static
from latentviz.maps.data import MapData
from latentviz.modalities.loading import load_model
from latentviz.model.encoding import decode_batches
from latentviz.model.vae import VAE
from latentviz.runs.run import ClusterFolder

AT_A_TIME = 256  # z decoded to texts
SHOWN_NEIGHBOURS = 12  # of each item, on the map's cards
COLOURS = ("cluster", "label", "outlier_score", "probability")  # what a map can be coloured by besides its columns
MEASURED = ("log_likelihood", "kl")  # columns that a clustering adds to those of the items
OWN_COLUMNS = {"id", "x", "y", "cluster", "nearest_cluster", "probability", "outlier_score", "label", "source"}


def draw(
    folder: ClusterFolder,
    config: MapSection,
    points: pa.Table,
    info: Mapping[str, Any],
    model: tuple[VAE, Any] | None = None,
) -> None:
    """Writes map.html, map.png and map.svg.

    Args:
        folder: of the clustering; its tree and neighbours must be there.
        config: title, theme, what to colour by, which layers.
        points: the table of the clustering, row i for item i.
        info: what clusters.json holds.
        model: the run's, where it is loaded already.

    Raises:
        ConfigError: a layer or a column that there is not.
    """
    check(config, points.column_names)
    layers = list(LAYERS) if config.layers == "all" else list(config.layers)
    data = map_data(folder, config, points, info, model or load_model(folder.run))
    write_map(folder.map_file, data, layers=layers, options={"theme": config.theme, "colour_by": config.colour_by})
    write_static(folder.picture_file, folder.vector_file, data)


def check(config: MapSection, columns: Iterable[str]) -> None:
    """Looks whether a map of items with these columns can be drawn as it is asked for.

    Raises:
        ConfigError: a layer that there is not, or a column that there is not or that has no colours.
    """
    coloured = [name for name in columns if name not in {*OWN_COLUMNS, "split", "text"}]
    choose(dict.fromkeys([*COLOURS, *coloured, *MEASURED]), config.colour_by, "map.colour_by")
    for name in () if config.layers == "all" else config.layers:
        choose(LAYERS, name, "map.layers")


def redraw(folder: ClusterFolder, config: MapSection) -> None:
    """Draws the map of a finished clustering again; nothing is clustered anew, and the settings are kept in its config.

    Raises:
        RunError: there is no such clustering, or it is damaged.
        ConfigError: a layer or a column that there is not.
    """
    draw(folder, config, folder.require().points(), folder.info())
    folder.write_config(folder.config().model_copy(update={"map": config}))


def map_data(
    folder: ClusterFolder, config: MapSection, points: pa.Table, info: Mapping[str, Any], model: tuple[VAE, Any]
) -> MapData:
    """Returns everything the map shows."""
    run = folder.run
    vae, kind = model
    column = {name: points.column(name) for name in points.column_names}
    labels = column["label"].to_pylist()
    place = np.column_stack([column["x"].to_numpy(), column["y"].to_numpy()])
    cluster = column["cluster"].to_numpy()
    mu = np.asarray(run.mu())
    rows = {item: row for row, item in enumerate(column["id"].to_pylist())}
    known = {int(entry["cluster"]): described(entry, rows) for entry in info["clusters"]}
    net = kind.page_decoder(vae)
    if net is None:
        decoder = text_decoder_data(lambda z: written(kind, vae, z), mu, place) if writes(kind, vae, mu) else None
    else:
        network, shape = net
        decoder = decoder_data(network, lambda z: decode_batches(vae, z), mu, place, shape)
        for number, picture in zip(known, kind.pictures(vae, centres(mu, cluster, list(known))), strict=True):
            known[number]["decoded"] = picture
    tree, shown = folder.tree(), kind.shown(run.cache)
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
            if name not in OWN_COLUMNS and not (name == "text" and "texts" in shown)
        },
        cluster_names=named({number: entry["keywords"] for number, entry in known.items()}),
        cluster_info=known,
        tree=tree_nodes(tree, cluster, place, info) if tree is not None and known else None,
        regions=[{**region, "row": rows[region["item"]]} for region in info.get("regions", [])],
        decoder=decoder,
        title=config.title or run.name,
        summary=info["lines"],
        neighbours=folder.neighbours(),
        **shown,
    )


def writes(kind: Any, vae: VAE, mu: np.ndarray) -> bool:
    """Returns whether what the decoder makes are texts."""
    return bool(len(mu)) and isinstance(written(kind, vae, np.array(mu[:1]))[0], str)


def written(kind: Any, vae: VAE, z: np.ndarray) -> list[str]:
    """Returns the texts at each z (m, d), none of which is exactly the μ of an item."""
    texts: list[str] = []
    for start in range(0, len(z), AT_A_TIME):
        part = torch.from_numpy(z[start : start + AT_A_TIME]).to(vae.device)
        texts += kind.decode(vae, part, torch.ones(len(part), device=vae.device))
    return texts


def tree_nodes(
    tree: np.ndarray, cluster: np.ndarray, points: np.ndarray, info: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Returns the condensed tree's clusters for the map, with the keywords that clusters.json has of them."""
    first = int(min((row["parent"] for row in info["tree"]), default=0))
    words = {int(row["child"]) - first: row["keywords"] for row in info["tree"] if row.get("keywords")}
    return [{**node, "keywords": words.get(node["node"], [])} for node in condensed_tree(tree, cluster, points)]


def described(entry: Mapping[str, Any], rows: Mapping[str, int]) -> dict[str, Any]:
    """Returns what the map wants to know of a cluster, its exemplars as rows."""
    exemplars = [rows[item] for item in entry["exemplars"] if item in rows]
    return {
        "size": entry["size"],
        "persistence": entry["persistence"],
        "exemplars": exemplars,
        "medoid": exemplars[0] if exemplars else None,
        "keywords": entry.get("keywords", []),
    }


def centres(mu: np.ndarray, cluster: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Returns the mean μ of each cluster, float32 (k, d)."""
    means = [mu[cluster == number].mean(axis=0) for number in numbers]
    return np.stack(means) if means else np.empty((0, mu.shape[1]), np.float32)
