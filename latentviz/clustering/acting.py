"""Settings of `cluster` that cannot act with the chosen methods, or with so few items, are refused."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from latentviz.clustering.clusterers import CLUSTERERS, object_cluster
from latentviz.clustering.exact import numbers
from latentviz.clustering.reducers import REDUCERS, object_reduce
from latentviz.config import ClusterConfig, Section
from latentviz.config.methods import chosen, named
from latentviz.errors import mistakes
from latentviz.progress import plural

NOISY = ("hdbscan", "plscan")  # clusterers by name that leave noise


def check_acting(config: ClusterConfig) -> None:
    """Raises a ConfigError, a line per mistake, if a method is unknown, or a setting not the default has no effect."""
    reduces = chosen(REDUCERS, config.reduce.method, "reduce.method", object_reduce)
    clusters = chosen(CLUSTERERS, config.cluster.method, "cluster.method", object_cluster)
    lines = [
        *_unused(config.reduce, reduces, "reduce", REDUCERS, ("min_dist", "backend", "repeatable", "layouts")),
        *_unused(config.cluster, clusters, "cluster", CLUSTERERS, ("min_cluster_size", "min_samples", "selection")),
    ]
    method, most = config.cluster.method, config.cluster.max_noise
    if most < 1 and method in CLUSTERERS and method not in NOISY:
        lines.append(
            f"cluster.max_noise: has no effect with cluster.method={method}, which leaves no noise (got {most:g}); it "
            f"acts with {' or '.join(f'cluster.method={name}' for name in NOISY)}; leave it out"
        )
    if not lines:
        lines = _of_the_cut(config)
    if lines:
        raise mistakes("cluster settings", lines)


def _given(section: Section, name: str) -> Any:
    """Returns the value of a setting; None if it is the default."""
    value = getattr(section, name)
    return None if value == type(section).model_fields[name].default else value


def _unused(
    section: Any,
    used: Callable[..., object],
    prefix: str,
    methods: Mapping[str, Callable[..., object]],
    names: tuple[str, ...],
) -> list[str]:
    """Lists the settings that the method is no function of; which methods are, their signatures say."""
    takes = {method: set(inspect.signature(function).parameters) for method, function in methods.items()}
    lines = []
    for name in names:
        value, parameter = _given(section, name), "start" if name == "layouts" else name  # UMAP's, side by side
        if value is not None and parameter not in inspect.signature(used).parameters:
            others = " or ".join(f"{prefix}.method={method}" for method in methods if parameter in takes[method])
            lines.append(
                f"{prefix}.{name}: has no effect with {prefix}.method={named(section.method)} (got {value}); "
                f"it acts with {others}; leave it out"
            )
    return lines


def _of_the_cut(config: ClusterConfig) -> list[str]:
    """Lists the settings that only act where the cut of the tree is chosen, or only where it is not."""
    chosen_cut, lines = config.cluster.method == "hdbscan" and config.cluster.min_cluster_size == "auto", []
    for name in ("layouts", "sample"):
        value = _given(config.reduce, name)
        if not chosen_cut and value is not None:
            lines.append(
                f"reduce.{name}: has no effect where the cut is not chosen among layouts (got {value}); it acts with "
                "cluster.method=hdbscan and cluster.min_cluster_size=auto; leave it out"
            )
    for name in ("min_samples", "selection"):
        value = _given(config.cluster, name)
        if chosen_cut and value is not None:
            lines.append(
                f"cluster.{name}: has no effect while the cut is chosen (got {value}); it acts with a "
                f"cluster.min_cluster_size, as in cluster.min_cluster_size=20; leave it out, or set that"
            )
    if config.cluster.n_clusters != "auto" and not lines and (value := _given(config.cluster, "selection")) is not None:
        lines.append(
            f"cluster.selection: has no effect with cluster.n_clusters={config.cluster.n_clusters} (got {value}), for "
            "which the tree is cut; leave one of them out"
        )
    return lines


def check_size(config: ClusterConfig, n: int, d: int) -> None:
    """Refuses settings that n items of d dimensions cannot satisfy; defaults adapt to them.

    Raises:
        ConfigError: a line per mistake, with the range.
    """
    reduction, section = config.reduce, config.cluster
    given, landmarks = reduction.n_neighbors, reduction.landmarks
    laid = landmarks if isinstance(landmarks, int) and 0 < landmarks < n else n
    k = given if "n_neighbors" in reduction.model_fields_set else min(given, max(2, n - 1))
    items, wanted = f"with {plural(n, 'item')}", numbers(section.n_clusters, n + 1)
    of_laid = items if laid == n else f"with {plural(laid, 'landmark')}"
    lines = [
        f"{key}: must be {least} to {most:,} {why} (got {value})"
        for key, value, least, most, why in (
            ("reduce.n_neighbors", k, 2, max(2, n - 1), items),
            ("reduce.n_components", reduction.n_components, 1, max(2, d), f"with mu of {plural(d, 'dimension')}"),
            ("cluster.min_cluster_size", section.min_cluster_size, 2, max(2, n // 2), items),
            ("cluster.min_samples", section.min_samples, 1, max(1, laid - 1), of_laid),
            ("cluster.n_clusters", section.n_clusters if wanted and wanted[-1] > laid else "auto", 1, laid, of_laid),
        )
        if value != "auto" and (isinstance(value, str) or value > most)
    ]
    sample = reduction.sample
    if 0 < sample <= k and sample < n:
        lines.append(
            f"reduce.sample: must be 0, for all items, or more than reduce.n_neighbors, which is {k} (got {sample})"
        )
    if laid <= k and laid < n:
        lines.append(
            f"reduce.landmarks: must be 0, for all items, or more than reduce.n_neighbors, which is {k} (got {laid})"
        )
    if lines:
        raise mistakes("cluster settings", lines)
