"""Reads items with any of the parts of a trained model. Does not import torch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import ImageOps

from latentviz.errors import ArgumentError, DataError, did_you_mean
from latentviz.modalities.base import NewItem
from latentviz.modalities.features import MissingNetworkError, compute
from latentviz.modalities.image.config import ResolvedImageConfig
from latentviz.modalities.image.new import read_item as read_image
from latentviz.modalities.image.pixels import open_image
from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import MissingColumnError, printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.joint.config import Part, ResolvedJointConfig, text_settings
from latentviz.modalities.joint.layout import IMAGES, WORDS, Layout, Packed
from latentviz.modalities.joint.prepare import prepare
from latentviz.modalities.joint.show import Shown
from latentviz.modalities.joint.show import given as shown
from latentviz.modalities.joint.vectors import keep_standard, store
from latentviz.modalities.settings import found_again
from latentviz.modalities.text.config import ResolvedTextConfig
from latentviz.modalities.text.keywords import split
from latentviz.modalities.text.new import read_item as read_text
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.modalities.vectors.prepare import load_texts, write_texts
from latentviz.progress import one_line, plural
from latentviz.runs.files import is_file

LISTED = 12  # labels in a message
SHORT = 60  # characters of a caption in a message
VECTOR_SUFFIXES = {".npy", ".npz"}
REMEDY = "give an image file"


def read_item(word: str, config: ResolvedJointConfig, trained: Path) -> NewItem[Shown] | None:
    """Read the image, the text or the vector in a file, or take the word as a caption or text; see `base.ReadNew`."""
    if is_file(word) and ("text" in config.data.parts or Path(word).suffix.lower() in VECTOR_SUFFIXES):
        return _only_item(word, config, trained)
    if is_file(word):
        return of_parts({"image": word}, config, trained)
    if not {"caption", "text"} & {*config.data.parts}:
        if not any(character.isspace() for character in word):  # a mistyped id
            return None
        raise DataError(
            f"{one_line(word, SHORT)!r}: this run has learnt {' and '.join(config.data.parts)}, and no captions; give "
            "an item or a file, or train a run with `latentviz fit SOURCE data.parts=image,caption`"
        )
    return of_parts({"caption": word}, config, trained, ", and no item this id")


def _only_item(file: str, config: ResolvedJointConfig, trained: Path) -> NewItem[Shown]:
    """Read a file that holds one item."""
    with TemporaryDirectory(prefix="latentviz-") as folder:
        found, stored = read_items(file, config, Path(folder), trained)
        if len(stored) != 1:
            raise DataError(
                f"{printable(file)}: holds {plural(len(stored), 'item')}; give a file with one, or place them all with "
                "`latentviz encode`"
            )
        return NewItem(shown(Path(folder), found.items, [0])[0], stored[0], found.notes)


def of_parts(given: Mapping[Part, str], config: ResolvedJointConfig, trained: Path, also: str = "") -> NewItem[Shown]:
    """Make one item of these parts: the file of an image, a caption, a label.

    Args:
        given: the parts.
        config: that of the run.
        trained: the cache of the run.
        also: what else a caption is not, for the message about unknown words.

    Raises:
        ArgumentError: the run has not learnt a part, or knows none of the words or not the label.
        DataError: the image cannot be read.
    """
    layout = Layout.load(trained)
    if "text" in layout.parts and "caption" in given:
        given = {"text" if part == "caption" else part: word for part, word in given.items()}
    for part in given:
        if part not in layout.parts:
            learnt = ",".join([*layout.parts, part] if "image" in layout.parts else ["image", "caption"])
            raise ArgumentError(
                f"--{part}: this run has learnt {' and '.join(layout.parts)} alone; train one with "
                f"`latentviz fit SOURCE data.parts={learnt}`"
            )
    image, notes = np.zeros(layout.image, np.uint8), list[str]()
    if "image" in given:
        file = given["image"]
        if Path(file).is_dir() or (read := read_image(file, as_images(config, layout), trained, REMEDY)) is None:
            got = f"{printable(file) or repr(file)}: {'a folder' if file and Path(file).is_dir() else 'no such file'}"
            raise DataError(f"--image: {got}; {REMEDY}")
        image, notes = read.stored, read.notes
    caption, label = given.get("caption"), given.get("label")
    if caption is not None:
        words = list(dict.fromkeys(split(caption, every=True)))
        unknown = [word for word in words if word not in layout.words]
        if len(unknown) == len(words):
            near = did_you_mean(unknown[0], layout.words) if unknown else ""
            what = "no caption of the run has any of these words" + also if words else "there are no words in it"
            raise ArgumentError(
                f"{one_line(caption, SHORT)!r}: {what}; use words of its captions, such as "
                f"{', '.join(layout.words[:5])}.{near}"
            )
        left_out = ", ".join(one_line(word, SHORT) for word in unknown)
        notes = [*notes, *([f"unknown words, left out: {left_out}"] if unknown else [])]
    if label is not None and label not in layout.labels:
        what = f"no item has the label {one_line(label, SHORT)!r}" if label.strip() else f"no label (got {label!r})"
        raise ArgumentError(
            f"--label: {what}; it is one of "
            f"{', '.join(layout.labels[:LISTED])}{', …' if len(layout.labels) > LISTED else ''}."
            f"{did_you_mean(label, layout.labels)}"
        )
    written, tokens = given.get("text"), None
    if written is not None:
        found = read_text(written, as_texts(config), trained)
        if found is None:
            raise ArgumentError(f"{written!r}: there are no words in it; give a text")
        written, tokens, notes = found.shown, found.stored[None], [*notes, *found.notes[1:]]
    vectors, more = _features(given, written, config, layout, trained)
    rest = layout.rest([caption], [label], np.array(["image" in given]), vectors=vectors, tokens=tokens)
    text = caption or written or label or printable(Path(given["image"]).name)
    notes = [*notes, *more]
    return NewItem(Shown(text, image if "image" in given else None), layout.join(rest, image[None])[0], notes)


def _features(
    given: Mapping[Part, str], text: str | None, config: ResolvedJointConfig, layout: Layout, trained: Path
) -> tuple[np.ndarray | None, Sequence[str]]:
    """Return the features of an image or a text, float32 (1, m), and notes; None where there are none."""
    name = config.data.features
    if name == "none" or not ({"image", "text"} & {*given}):
        return None, ()
    try:
        if text is not None:
            values = compute(name, [text], 1, "text")
        else:
            with open_image(Path(given["image"])) as image:
                values = compute(name, [ImageOps.exif_transpose(image).convert("RGB")], 1, "image")
    except MissingNetworkError as error:
        return None, [f"{error}; without, it is encoded from its {config.data.main} alone"]
    with TemporaryDirectory(prefix="latentviz-") as folder:
        found = store(values, config.data, Path(folder), name, trained=trained, dimensions=layout.vectors)
    return found.values, ()


def as_texts(config: ResolvedJointConfig) -> ResolvedTextConfig:
    """Return the settings with which a new text becomes one of the run."""
    data = config.data.of_texts(config.data.path).model_dump()
    return ResolvedTextConfig.model_validate({"data": data, "model": text_settings(config.model)})


def as_images(config: ResolvedJointConfig, layout: Layout) -> ResolvedImageConfig:
    """Return the settings with which a new image becomes one of the run."""
    data = config.data.of_images(config.data.path).model_dump()
    known = {"size": layout.image[1:], "channels": layout.image[0]}
    model = {"c": config.model.c, "net": config.model.net, "flip": False}
    return ResolvedImageConfig.model_validate({"data": data | known, "model": model})


def read_items(
    path: str, config: ResolvedJointConfig, cache: Path, trained: Path, given: Collection[str] = ()
) -> tuple[Prepared, np.ndarray]:
    """Read the items at `path`, with any of the parts of the run, into `cache`; see `base.ReadNew`."""
    layout = Layout.load(trained)
    own: dict[str, object] = {"path": path, "items": "none", "max_bad": 1.0, "labels": "none"}
    if "image" in layout.parts:
        own |= {"size": layout.image[1:], "channels": layout.image[0]}
    columns = dict.fromkeys(("image_column", "text_column", "vector_column"), "auto")
    data = config.data.model_copy(update={**own, **found_again(columns, given)})
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("label_column", "caption_column"):
        try:
            return prepare(data, cache, config.seed_everything, trained=trained), Packed(cache)[:]
        except MissingColumnError:
            if name in given:
                raise
            data = data.model_copy(update={name: "auto"})
    return prepare(data, cache, config.seed_everything, trained=trained), Packed(cache)[:]


def cached(cache: Path) -> np.ndarray:
    """Open the items of a cache, uint8 (n, p)."""
    return Packed(cache)[:]


def join(trained: Path, fresh: Path, rows: np.ndarray, cache: Path) -> np.ndarray:
    """Write the items of a run and new ones, uint8 (n, p); see `base.ReadNew`."""
    known, new = Packed(trained), Packed(fresh)
    known.layout.save(cache)
    if "image" in known.layout.parts:
        prepared.join(cache / IMAGES, known.images, new.images, rows)
    prepared.join(cache / WORDS, known.rest, new.rest, rows)
    keep_standard(trained, cache)
    if "text" in known.layout.parts:
        Tokenizer.load(trained).save(cache)
    texts, more = load_texts(trained), load_texts(fresh)
    if texts is not None:
        write_texts(cache, [*texts, *(prepared.chosen(more, rows) if more else [""] * len(rows))])
    return Packed(cache)[:]
