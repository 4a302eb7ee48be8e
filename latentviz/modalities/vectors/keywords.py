"""The terms of the texts that vectors stand for, where they stand for texts."""

from latentviz.clustering.keywords import Terms
from latentviz.modalities.text.keywords import terms as terms_of_texts
from latentviz.runs.items import Items


def terms(items: Items) -> Terms | None:
    """Returns how often each term occurs in each item's text; None where the items have no texts."""
    return terms_of_texts(items) if "text" in items.table.column_names else None
