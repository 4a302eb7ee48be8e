"""`latentviz cluster`: from a run's μ to neighbours, coordinates, clusters and the map, in `clusters/<name>/`."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from latentviz import resources
from latentviz.clustering.acting import check_size
from latentviz.clustering.description import GroupKeywords, describe, group_keywords
from latentviz.clustering.edits import edited, with_names
from latentviz.clustering.exact import numbers
from latentviz.clustering.landmarks import Layout
from latentviz.clustering.landmarks import choose as choose_landmarks
from latentviz.clustering.matching import Matched, matched_again
from latentviz.clustering.reducers import directions
from latentviz.clustering.repeats import Repeats, find_repeats
from latentviz.config import ClusterConfig
from latentviz.errors import ConfigError, RunError
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.networks import listed
from latentviz.model.encoding import kl_of_posteriors, log_likelihoods
from latentviz.progress import plural, say, stage, warn
from latentviz.runs.items import ITEM_COLUMNS, Items, own_names
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.annotate import kept
from latentviz.stages.earlier import Previous
from latentviz.stages.layout import chooses_cut, lay_out_and_cluster, updated
from latentviz.stages.map import MEASURED, SHOWN_NEIGHBOURS, draw
from latentviz.stages.map import check as check_map


def make_clustering(run: RunFolder, config: ClusterConfig, *, name: str, force: bool) -> ClusterFolder:
    """Clusters a run and draws its map; `force` replaces a clustering of this name.

    Raises:
        RunError: the run is unfinished or damaged, or the name is taken.
        ConfigError: a setting names a method, layer or column that does not exist.
        ResourceError: there is not enough memory.
    """
    seconds: dict[str, float] = {}
    opened = OpenRun(run)
    made, items, mu = opened.info, opened.items, clustered_mu(opened, config)
    likely = opened.loadable and config.log_likelihood
    check_map(config.map, items.table.column_names, MEASURED if likely else ["kl"])
    config = with_metric(config, opened)
    repeats = find_repeats(directions(mu, config.reduce.metric))
    distinct = len(mu) if repeats is None else len(repeats.first)
    if (wanted := numbers(config.cluster.n_clusters, len(mu))) is not None and wanted[-1] > distinct:
        raise ConfigError(
            f"cluster.n_clusters: must be 1 to {distinct:,}, of {plural(len(mu), 'item')} the ones that differ in mu "
            f"(got {config.cluster.n_clusters}); choose fewer"
        )
    folder = run.clustering(name)
    folder.begin(force=force)
    config, notes = fit_to_size(config, distinct)
    for note in notes:
        warn(note)
    if repeats is not None:
        notes.append(counted(repeats))
        say(f"  {notes[-1]}")
    landmarks = resources.cluster(config, mu.shape, resources.pixels(run.cache), sampled=chooses_cut(config))
    config = updated(config, "reduce", landmarks=landmarks)
    rows = choose_landmarks(distinct, landmarks, config.seed_everything)
    previous, ids = Previous.of(run, name), items.column("id")
    earlier = None if previous is None else previous.aligned(ids)
    layout, choice = lay_out_and_cluster(mu, rows, config, seconds, repeats, earlier)
    layout, matched = numbered(layout, previous, config, repeats)
    if repeats is not None:
        rows = None if rows is None else repeats.first[rows]

    with stage("measuring the items", seconds):
        measured = likelihoods(opened, decoded=config.log_likelihood)
    keywords: GroupKeywords | None = None
    if (terms := opened.modality.terms(items)) is not None:
        with stage("keywords", seconds):
            keywords = group_keywords(layout, terms)
    if repeats is not None:
        measured["repeats"] = repeats.counts[repeats.which].astype(np.int32)
    table = points_table(items, layout, measured)
    notes = [*made["summary"].get("about", []), *notes, *unmet(config, layout)]
    info = describe(layout, choice, ids, len(rows) if rows is not None else None, notes, keywords)
    if previous and matched:
        previous.add_to(info, matched, layout)
    with_names(info["clusters"], config.cluster.names)
    table, info = kept(
        folder, table, info, config.cluster.names, previous.folder if previous and not folder.finished else None
    )

    run.unchanged_since(made)
    keys = type(config.cluster).model_fields
    effective = {key: value for key, value in layout.clusters.settings.items() if key in keys}
    with folder.replacing():
        write_layout(folder, layout, rows)
        with stage("writing the map", seconds):
            draw(folder, config.map, table, info, opened)
        folder.write(updated(config, "cluster", **effective), table, {**info, "seconds": seconds})
    return folder


def numbered(
    layout: Layout, previous: Previous | None, config: ClusterConfig, repeats: Repeats | None
) -> tuple[Layout, Matched | None]:
    """Gives clusters the numbers of the previous ones, and merges and splits them; returns also what became of those.

    Raises:
        ConfigError: `cluster.merge`, `split` or `names` is of a cluster that is not there, or that does not split.
    """
    if previous is None:
        return edited(layout, config.cluster, repeats), None
    layout, matched = previous.match(layout)
    changed = edited(layout, config.cluster, repeats, previous.unused)
    if changed is not layout:
        matched = matched_again(matched, previous.column("cluster"), changed.clusters.labels)
    return changed, matched


def unmet(config: ClusterConfig, layout: Layout) -> list[str]:
    """Says that more items are noise than `cluster.max_noise` allows, if they are."""
    most, share = config.cluster.max_noise, layout.clusters.noise_share
    if share <= most:
        return []
    why = "they have no nearest cluster" if layout.clusters.k else "there is no cluster that noise could go to"
    return [f"cluster.max_noise={most:g} is not met: {share:.1%} of the items are noise, as {why}"]


def write_layout(folder: ClusterFolder, layout: Layout, landmarks: np.ndarray | None) -> None:
    """Writes the arrays of a clustering; `landmarks`, int64, are the rows that were laid out, None: all."""
    folder.write_coordinates(layout.coordinates)
    folder.write_neighbours(layout.neighbours[:, :SHOWN_NEIGHBOURS])
    folder.write_landmarks(landmarks)
    folder.write_tree(layout.clusters.raw_tree)
    folder.write_network(None if layout.network is None else layout.network.arrays())


def clustered_mu(opened: OpenRun, config: ClusterConfig) -> np.ndarray:
    """Returns the dimensions of μ that are clustered, float32 (n, d).

    Raises:
        RunError: n is not the number of items.
        ConfigError: a setting is more than the items or the dimensions allow.
    """
    mu = np.asarray(opened.mu)
    if len(opened.items) != len(mu):
        raise RunError(
            f"{opened.run.mu_file}: damaged ({plural(len(mu), 'row')}, and {opened.run.items_file} has "
            f"{len(opened.items)}); `latentviz fit` makes the run again with --force"
        )
    found = np.ascontiguousarray(mu[:, : opened.content_dim]) if config.cluster.on == "mu" else mu
    check_size(config, *found.shape)
    return found


def with_metric(config: ClusterConfig, opened: OpenRun) -> ClusterConfig:
    """Resolves `reduce.metric`: the cosine for latents trained by contrast, which compares directions."""
    if config.reduce.metric != "auto":
        return config
    return updated(config, "reduce", metric="cosine" if opened.contrast and config.cluster.on == "mu" else "euclidean")


def fit_to_size(config: ClusterConfig, n: int) -> tuple[ClusterConfig, list[str]]:
    """Clamps settings that exceed n distinct items; returns a note on each. `check_size` has compared them with all."""
    notes, k = [], config.reduce.n_neighbors
    if k >= n:
        notes.append(
            f"reduce.n_neighbors: {plural(n, 'item has', 'items have')} no {k} neighbours each; using {max(2, n - 1)}"
        )
        k = max(2, n - 1)
        config = updated(config, "reduce", n_neighbors=k)
    size, most = config.cluster.min_cluster_size, n // 2
    if size != "auto" and size > most:
        few = f"{plural(n, 'item has', 'items have')} no two clusters of that size"
        notes.append(f"cluster.min_cluster_size: {few} (got {size}); using {most}")
        config = updated(config, "cluster", min_cluster_size=most)
    return config, notes


def counted(repeats: Repeats) -> str:
    """Says how many items repeat others."""
    return (
        f"{repeats.repeated:,} of {len(repeats.which):,} items repeat another one (one {repeats.counts.max():,} "
        "times): items with the same mu are laid out and clustered as one, with their count"
    )


def likelihoods(opened: OpenRun, *, decoded: bool) -> dict[str, np.ndarray]:
    """Returns log p(x|z = μ) and KL of each item in nats, float32 (n,): odd items have a low one or a high other.

    The log-likelihood needs all items `decoded`, and the code of the decoder, which may be the user's and not known
    here.
    """
    mu = np.asarray(opened.mu)
    kl = {"kl": kl_of_posteriors(mu, np.asarray(opened.logvar))}
    if not opened.loadable:
        say(
            f"  without the code of the networks ({listed(opened.config.networks)}) there are no log-likelihoods and "
            f'no decoder on the map; in Python, `lv.open("{opened.run.path}", …)` takes the networks'
        )
        return kl
    if not decoded:
        return kl
    vae, kind = opened.model.vae, opened.model.kind
    return {"log_likelihood": log_likelihoods(vae, kind.dataset(), kind.to_input, mu, lengths=kind.lengths()), **kl}


def points_table(items: Items, layout: Layout, measured: Mapping[str, np.ndarray]) -> pa.Table:
    """Returns the table in points.parquet; row i is item i."""
    ends = {name: items.table.column(name) for name in ITEM_COLUMNS if name != "split"}
    names = own_names(name for name in items.table.column_names if name not in ITEM_COLUMNS)  # runs of older versions
    columns = {kept: items.table.column(name) for name, kept in names.items()}
    places = {"x": layout.points[:, 0].astype(np.float32), "y": layout.points[:, 1].astype(np.float32)}
    return pa.table({"id": ends.pop("id"), **places, **layout.columns(), **ends, **measured, **columns})
