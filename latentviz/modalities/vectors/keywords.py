"""The terms of the texts that the vectors represent, where there are texts."""

from latentviz.clustering.keywords import Terms
from latentviz.modalities.text.keywords import terms as terms_of_texts
from latentviz.runs.items import Items


def terms(items: Items) -> Terms | None:
    """Counts the terms of each item's text; None if the items have no texts."""
    return terms_of_texts(items) if "text" in items.table.column_names else None
