"""Annotations in the format of COCO, as one row per image: its captions and the names of its categories."""

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

_OWN = ("license", "coco_url", "flickr_url", "date_captured", "url", "rights_holder")


def image_rows(content: Any) -> list[dict[str, Any]] | None:
    """Returns a row for each image of annotations in the format of COCO; None if it is something else.

    `categories` has the different names of an image's annotations, separated by " | ", `category` that name if there is
    only one, and `caption` its captions.
    """
    if not isinstance(content, dict):
        return None
    images, notes = _objects(content.get("images")), _objects(content.get("annotations"))
    if not images or not notes or not all("file_name" in image for image in images):
        return None
    names = {c.get("id"): str(c.get("name")) for c in _objects(content.get("categories"))}
    captions: dict[Any, list[str]] = {}
    categories: dict[Any, dict[str, None]] = {}
    for note in notes:
        if isinstance(note.get("caption"), str):
            captions.setdefault(note.get("image_id"), []).append(note["caption"].strip())
        if note.get("category_id") in names:
            categories.setdefault(note.get("image_id"), {})[names[note["category_id"]]] = None
    rows = []
    for image in images:
        row = {name: value for name, value in image.items() if name not in _OWN and not isinstance(value, list | dict)}
        key = image.get("id")
        found = list(categories.get(key, ()))
        if categories:
            row["category"] = found[0] if len(found) == 1 else None
        if any(len(several) > 1 for several in categories.values()):
            row["categories"] = " | ".join(found) or None
        if captions:
            row["caption"] = " | ".join(captions.get(key, [])) or None
        row["file_name"] = posixpath.normpath(str(image["file_name"]).replace("\\", "/"))
        rows.append(row)
    return rows


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return value if isinstance(value, list) and all(isinstance(item, Mapping) for item in value) else []
