"""The table and the plot of `benchmarks/clustering.py`: medians over the seeds and their range."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from clustering_methods import METHODS, crossed, layout_seed

Result = dict[str, Any]
HEAD = (
    "method",
    "ARI",
    "NMI",
    "ACC",
    "ARI, noise as one",
    "clusters",
    "noise",
    "kNN accuracy",
    "CPU seconds",
    "peak GB",
    "seeds",
)
SPREAD_HEAD = ("method", "score", "median", "worst", "range", "of trainings", "of layouts", "seeds")
SCORES = {"ari": "ARI", "nmi": "NMI", "acc": "ACC"}
INK, SOFT, OURS, OTHERS = "#16181d", "#8a909c", "#3b5bdb", "#5d6470"


def write(results: Sequence[Result], out: Path) -> None:
    """Write `<out>.md` and `<out>.svg`, for each data set from the results on the most items."""
    largest = {r["data"]: max(s["n"] for s in results if s["data"] == r["data"]) for r in results}
    kept = [r for r in results if r["n"] == largest[r["data"]]]
    if not kept:
        raise SystemExit(f"{out}: no results yet")
    out.with_suffix(".md").write_text(table(kept), encoding="utf-8")
    draw(kept, out.with_suffix(".svg"))
    print(f"wrote {out.with_suffix('.md')} and {out.with_suffix('.svg')}")


def table(results: Sequence[Result]) -> str:
    """The Markdown table, one section per data set."""
    lines = [
        (
            "Median over the seeds, with the range in brackets. ARI, NMI and ACC are over all items, with noise "
            "assigned to its nearest cluster (`nearest_cluster`); the fourth score is the ARI of `cluster`, with noise "
            "as one cluster. kNN accuracy: how often the majority of the 15 nearest neighbours has an item's label, in "
            "the vectors that were clustered. CPU seconds and memory are those of whole processes, including imports "
            "and the map, without scoring; CPU seconds do not depend on the load of the machine. Spread: over all "
            'pairs of a seed of the training and one of the layouts; "of trainings" is the range of the trainings\' '
            'medians, "of layouts" the largest range of the layouts of one training.'
        ),
        "",
    ]
    for name in dict.fromkeys(r["data"] for r in results):
        some = [r for r in results if r["data"] == name]
        lines += [
            f"### {name}: {some[0]['n']:,} items, {some[0]['k']} labels",
            "",
            f"| {' | '.join(HEAD)} |",
            "|---" * len(HEAD) + "|",
        ]
        for method in METHODS:
            group = [r for r in some if r["method"] == method]
            if group:
                lines.append(f"| {' | '.join(row(method, group))} |")
        lines += ["", *spread(some)]
    return "\n".join(lines)


def row(method: str, group: Sequence[Result]) -> list[str]:
    """The table cells of one method."""

    def cell(value: Callable[[Result], float], form: str = ".3f") -> str:
        values = [value(r) for r in group]
        least, most = f"{min(values):{form}}", f"{max(values):{form}}"
        middle = f"{median(values):{form}}"
        return middle if least == most else f"{middle} [{least}–{most}]"

    name = METHODS[method][0]
    return [
        f"**{name}**" if method == "latentviz" else name,
        *(cell(lambda r, key=key: r["nearest_cluster"][key]) for key in SCORES),
        cell(lambda r: r["cluster"]["ari"]),
        cell(lambda r: r["n_clusters"], ".0f"),
        cell(lambda r: r["noise_share"], ".1%"),
        cell(lambda r: r["knn_accuracy"]),
        cell(lambda r: sum(stage["cpu_seconds"] for stage in r["used"].values()), ".0f"),
        cell(lambda r: max(stage["peak_mb"] for stage in r["used"].values()) / 1024, ".1f"),
        str(len(group)),
    ]


def spread(results: Sequence[Result]) -> list[str]:
    """The lines on how far the scores of one data set depend on the seeds, of the methods with several of both."""
    rows = []
    for method in filter(crossed, METHODS):
        group = [r for r in results if r["method"] == method]
        trainings = {seed: [r for r in group if r["seed"] == seed] for seed in sorted({r["seed"] for r in group})}
        if len(trainings) < 2 or min(len({layout_seed(r) for r in some}) for some in trainings.values()) < 2:
            continue
        for key, title in SCORES.items():
            values = [[r["nearest_cluster"][key] for r in some] for some in trainings.values()]
            pooled, medians = [value for some in values for value in some], [median(some) for some in values]
            cells = (
                median(pooled),
                min(pooled),
                max(pooled) - min(pooled),
                max(medians) - min(medians),
                max(max(some) - min(some) for some in values),
            )
            counts = "+".join(str(len(some)) for some in values)
            even = len({len(some) for some in values}) == 1
            seeds = f"{len(values)} × {len(values[0])}" if even else counts
            rows.append(f"| {METHODS[method][0]} | {title} | {' | '.join(f'{x:.3f}' for x in cells)} | {seeds} |")
    if not rows:
        return []
    return ["Spread over the seeds:", "", f"| {' | '.join(SPREAD_HEAD)} |", "|---" * len(SPREAD_HEAD) + "|", *rows, ""]


def draw(results: Sequence[Result], path: Path) -> None:
    """Plot ARI, NMI and ACC: a dot per seed, a bar at the median. The same results give the same bytes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sets = list(dict.fromkeys(r["data"] for r in results))
    methods = [m for m in METHODS if any(r["method"] == m for r in results)]
    style = {
        "svg.hashsalt": "latentviz",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": OTHERS,
        "ytick.color": INK,
    }
    with mpl.rc_context(style):
        figure, axes = plt.subplots(
            len(sets),
            len(SCORES),
            sharey=True,
            squeeze=False,
            layout="constrained",
            figsize=(9.4, 0.5 + len(sets) * (0.55 + 0.24 * len(methods))),
        )
        for line, name in zip(axes, sets, strict=True):
            for ax, score in zip(line, SCORES, strict=True):
                for place, method in enumerate(methods):
                    values = [
                        r["nearest_cluster"][score] for r in results if r["data"] == name and r["method"] == method
                    ]
                    colour = OURS if method == "latentviz" else OTHERS
                    if values:
                        ax.plot(
                            values,
                            [place] * len(values),
                            "o",
                            color=colour,
                            alpha=0.55,
                            markersize=5,
                            markeredgewidth=0,
                        )
                        ax.plot([median(values)] * 2, [place - 0.32, place + 0.32], color=colour, linewidth=2)
                ax.set_title(f"{name}: {SCORES[score]}", fontsize=9.5, loc="left", fontweight="bold")
                ax.set_yticks(range(len(methods)), [METHODS[m][0] for m in methods])
                ax.set_ylim(len(methods) - 0.4, -0.6)
                ax.margins(x=0.08)
                ax.locator_params(axis="x", nbins=4)
                ax.grid(axis="x", color="#dfe2e8", linewidth=0.8)
                ax.set_axisbelow(True)
                ax.tick_params(length=0)
                ax.spines[:].set_visible(False)
        figure.get_layout_engine().set(wspace=0.05, hspace=0.06)
        figure.savefig(path, metadata={"Date": None}, facecolor="white")
        plt.close(figure)
