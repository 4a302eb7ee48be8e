"""The report's charts as inline SVG; colours are the style sheet's, so that they follow light and dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH = 800
MOST_BARS = 128
COUNTED_BELOW = 16  # columns up to which each cell of the confusion picture shows its count
OPACITY = 0.55  # of a sweep's points, many of which coincide
# What of a sweep is drawn, if its rows hold it, and how it is called.
SERIES = {
    "clusters": "clusters",
    "noise": "noise",
    "normalised": "modularity",
    "validity": "validity",
    "separation": "separation",
    "stability": "stability",
}


def _figure(caption: str, height: float, body: Sequence[str], label: str) -> str:
    return (
        f'<figure><figcaption>{caption}</figcaption><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(label)}">{"".join(body)}</svg></figure>'
    )


def _text(x: float, y: float, words: str, anchor: str = "middle", style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="rule" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def steps(most: float, count: int = 4) -> list[float]:
    """Returns round numbers from 0 to `most`, about `count` of them.

    >>> steps(5.4)
    [0.0, 2.0, 4.0]
    >>> steps(0)
    [0.0]
    """
    if not most > 0:
        return [0.0]
    rough = most / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(i * step, 10) for i in range(int(most / step + 1e-9) + 1)]


def kl_bars(health: Mapping[str, Any]) -> str:
    """Returns the KL of each latent dimension as bars, the largest first; content and style in two colours."""
    kl, content = health["kl_per_dimension"], health["content_dim"]
    order = sorted(range(len(kl)), key=lambda i: -kl[i])[:MOST_BARS]
    left, top, height = 44.0, 8.0, 150.0
    highest = max(kl[order[0]], 1.0)  # an axis that makes a collapsed latent look like what it is
    width = (WIDTH - left) / len(order)
    body = []
    for tick in steps(highest):
        y = top + height * (1 - tick / highest)
        body += [_rule(left, y, WIDTH, y), _text(left - 8, y + 4, f"{tick:g}", "end")]
    for place, i in enumerate(order):
        tall = height * max(kl[i], 0) / highest
        kind = "first" if i < content else "second"
        x, y = left + (place + 0.12) * width, top + height - tall
        body.append(
            f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{width * 0.76:.2f}" height="{tall:.2f}" '
            f'rx="{min(2.0, width / 4):.2f}"><title>dimension {i}: {kl[i]:.3f} nats, '
            f"variance of μ {health['variance_of_mu'][i]:.3f}</title></rect>"
        )
    body.append(_text(left, top + height + 18, "dimensions, the most telling first", "start"))
    key = (
        '<span class="key first"></span>content, which is clustered<span class="key second"></span>style'
        if content < len(kl)
        else ""
    )
    left_out = f" The {MOST_BARS} largest of {len(kl)}." if len(kl) > MOST_BARS else ""
    return _figure(
        f"<b>KL of each latent dimension</b>, nats.{left_out} {key}",
        top + height + 24,
        body,
        f"KL per dimension, from {kl[order[0]]:.2f} down to {kl[order[-1]]:.2f} nats",
    )


def confusion_picture(table: Mapping[str, Any]) -> str:
    """Returns labels against clusters as a grid, each row coloured by its shares."""
    labels, clusters, counts = table["labels"], table["clusters"], table["counts"]
    names = [name if len(name) <= 18 else name[:17] + "…" for name in labels]
    left = 14.0 + 6.6 * max(map(len, names), default=0)
    cell = min(56.0, (WIDTH - left) / max(1, len(clusters)))
    tall = min(cell, 34.0)
    body = []
    for column, cluster in enumerate(clusters):
        body.append(_text(left + (column + 0.5) * cell, 12, "noise" if cluster < 0 else str(cluster)))
    for row, name in enumerate(names):
        y, total = 20 + row * tall, max(1, sum(counts[row]))
        body.append(_text(left - 8, y + tall / 2 + 4, name, "end", "value"))
        for column, count in enumerate(counts[row]):
            share, x = count / total, left + column * cell
            what = "noise" if clusters[column] < 0 else f"cluster {clusters[column]}"
            title = f"<title>{escape(labels[row])} in {what}: {count:,} ({share:.1%})</title>"
            if count:
                body.append(
                    f'<rect class="cell" x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{cell - 1:.1f}" '
                    f'height="{tall - 1:.1f}" rx="3" fill-opacity="{0.06 + 0.94 * share:.3f}">{title}</rect>'
                )
                if len(clusters) < COUNTED_BELOW:
                    body.append(
                        _text(x + cell / 2, y + tall / 2 + 4, f"{count:,}", "middle", "on" if share > 0.55 else "value")
                    )
    body.append(
        f'<rect class="frame" x="{left}" y="20" width="{cell * len(clusters):.1f}" '
        f'height="{tall * len(names):.1f}" rx="3"/>'
    )
    left_out = f" {table['left_out']:,} items of smaller labels and clusters are left out." if table["left_out"] else ""
    return _figure(
        "<b>Labels (rows) in clusters (columns)</b>, noise in its nearest cluster; matched pairs lie on the "
        f"diagonal, colour is the share of the row.{left_out}",
        28 + tall * len(names),
        body,
        f"{len(labels)} labels against {len(clusters)} clusters",
    )


def sweep_points(sweep: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> str:
    """Returns the cuts that were compared, one small panel a series; nothing where the rows hold none.

    Args:
        sweep: a row for each cut: `min_cluster_size`, `selection`, and what is in `SERIES`.
        chosen: the settings of the cut that was taken, which is ringed.
    """
    rows = [row for row in sweep if _is_number(row.get("min_cluster_size")) and row["min_cluster_size"] > 0]
    series = [key for key in SERIES if sum(_is_number(row.get(key)) for row in rows) > 1]
    if not series:
        return ""
    sizes = [math.log(row["min_cluster_size"]) for row in rows]
    least, span = min(sizes), (max(sizes) - min(sizes)) or 1.0
    selections = sorted({str(row.get("selection", "")) for row in rows})
    styles = dict(zip(selections, ("first", "second", "third") * len(selections), strict=False))
    gap, height, top = 34.0, 110.0, 26.0
    wide = (WIDTH - gap * (len(series) - 1)) / len(series)
    body = []
    for panel, key in enumerate(series):
        left, shown = panel * (wide + gap), [row for row in rows if _is_number(row.get(key))]
        low, high = min(0.0, *(row[key] for row in shown)), max(row[key] for row in shown)
        high = high if high > low else low + 1
        body += [
            _text(left, 12, f"{SERIES[key]}, up to {high:.3g}", "start", "value"),
            _rule(left, top + height, left + wide, top + height),
            _text(left, top + height + 16, f"{math.exp(least):,.0f}", "start"),
            _text(left + wide, top + height + 16, f"{math.exp(least + span):,.0f}", "end"),
        ]
        for row in sorted(shown, key=lambda row: _is_chosen(row, chosen)):  # what is ringed lies on top
            x = left + wide * (math.log(row["min_cluster_size"]) - least) / span
            y = top + height * (1 - (row[key] - low) / (high - low))
            style = styles[str(row.get("selection", ""))]
            what = ", ".join(
                f"{name} {row[name]}"
                for name in ("layout", "selection", "min_samples", "min_cluster_size")
                if name in row
            )
            body.append(
                f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill-opacity="{OPACITY}"><title>'
                f"{escape(what)}: {SERIES[key]} {row[key]:.4g}</title></circle>"
            )
            if _is_chosen(row, chosen):
                body.append(f'<circle class="chosen" cx="{x:.1f}" cy="{y:.1f}" r="7"/>')
    key = "".join(f'<span class="key {style}"></span>{escape(name)}' for name, style in styles.items() if name)
    return _figure(
        f"<b>The cuts that were compared</b>, by min_cluster_size; the chosen one is ringed. {key}",
        top + height + 22,
        body,
        f"{len(rows)} cuts compared",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_chosen(row: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    keys = [key for key in ("layout", "selection", "min_samples", "min_cluster_size") if key in row and key in chosen]
    return bool(keys) and all(row[key] == chosen[key] for key in keys)
