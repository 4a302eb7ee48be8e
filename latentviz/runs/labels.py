"""Predicted labels in a clustering: two columns of points.parquet, and in clusters.json how they were found."""

import pyarrow as pa

from latentviz.runs.info import ClustersInfo, LabelledInfo
from latentviz.runs.items import own_names

PREDICTED = ("label_predicted", "label_probability")


def without_labels(points: pa.Table, info: ClustersInfo) -> pa.Table:
    """Returns the points without predicted labels; columns of the data with their names get others."""
    if "labelled" in info:
        return points.drop_columns([name for name in PREDICTED if name in points.column_names])
    kept = own_names(points.column_names, taken={*PREDICTED})
    return points.rename_columns([kept[name] for name in points.column_names])


def labelled(
    points: pa.Table, info: ClustersInfo, predicted: pa.Table, about: LabelledInfo
) -> tuple[pa.Table, ClustersInfo]:
    """Returns points and clusters.json with the columns of `predicted`, in the place of earlier ones."""
    table = without_labels(points, info)
    for name in PREDICTED:
        table = table.append_column(name, predicted.column(name))
    found = info.copy()
    found["labelled"] = about
    return table, found
