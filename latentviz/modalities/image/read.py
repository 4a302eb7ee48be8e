"""Finds the images that `data.path` names: chooses the reader, which returns a `Source`."""

from pathlib import Path

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.image.arrays import Part, array_source, read_npy
from latentviz.modalities.image.config import IDX_NAME, IMAGE_SUFFIXES, METADATA_NAMES, ImageData
from latentviz.modalities.image.folder import image_files, metadata_files, read_files, read_folder
from latentviz.modalities.image.frames import count_frames, expand
from latentviz.modalities.image.idx import read_idx
from latentviz.modalities.image.pixels import open_image
from latentviz.modalities.image.tables import image_tables, read_images
from latentviz.modalities.io import memory
from latentviz.modalities.io.containers import read_located
from latentviz.modalities.io.files import (
    ARROW_SUFFIXES,
    TABLE_SUFFIXES,
    contents,
    refusing,
    require_exists,
    suffix_of,
    walk,
)
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import FEWEST
from latentviz.modalities.io.source import ImageSource
from latentviz.progress import plural

_FORMATS = "give a folder of images, or an IDX, .npy or .npz file, or a table"
# A folder of Parquet files may also hold a few images for its README.
_FEW = 16


def read(data: ImageData, trained: tuple[float, float] | None = None) -> ImageSource:
    """Finds the images that `data.path` names, without decoding them.

    `trained`: the values of black and white in arrays that a trained model knows, for new images.
    """
    source = read_located(data.path, lambda path: _read(data.model_copy(update={"path": path}), trained))
    return memory.described(source, data.path)


def _read(data: ImageData, trained: tuple[float, float] | None) -> ImageSource:
    scheme, _, name = data.path.partition(":")
    if scheme == "sklearn":
        return read_bundled(name)
    if scheme == "hf":
        return read_images(data.path, data)
    if (content := memory.find(data.path)) is not None:
        return _read_object(content, data, trained)
    with refusing(data.path):
        path = require_exists(data.path, _FORMATS)
        return _read_folder(path, data) if path.is_dir() else _read_file(path, data, trained)


def _read_object(content: memory.InMemory, data: ImageData, trained: tuple[float, float] | None) -> ImageSource:
    if content.table is not None:
        return read_images(data.path, data)
    if content.files:
        return read_files(content.present, content.root, data)
    if content.images is None:
        return read_npy(Path(data.path), data, trained)
    return ImageSource(
        ids=[f"{memory.ROW}/{row}" for row in range(content.n)],
        origins=[f"{content.shown}#{row}" for row in range(content.n)],
        labels=[None] * content.n,
        open=content.images,
    )


def _read_folder(path: Path, data: ImageData) -> ImageSource:
    if any(IDX_NAME.search(p.name) for p in path.iterdir() if p.is_file()):
        return read_idx(path, data.label_column)
    found = walk(path)
    images, metadata = image_files(found), metadata_files(found)
    tables = image_tables(path) if len(images) < _FEW else []
    # A table of texts can only name image files.
    binary = tables and suffix_of(tables[0].name) in {".parquet", *ARROW_SUFFIXES}
    if tables and (binary or not (images or metadata)):
        return read_images(data.path, data)
    if images or metadata:
        return read_folder(path, data, found)
    got = [contents(found.files)] if found.files else []
    got += [f"{plural(found.links, 'symbolic link')} out of the folder"] if found.links else []
    what = f"holds no images (got {', '.join(got)})" if got else "the folder is empty, runs and hidden files apart"
    raise DataError(f"{printable(data.path)}: {what}; {_FORMATS}")


def _read_file(path: Path, data: ImageData, trained: tuple[float, float] | None) -> ImageSource:
    suffix = path.suffix.lower()
    if path.name in METADATA_NAMES:
        return read_folder(path.parent, data, walk(path.parent))
    if suffix in IMAGE_SUFFIXES:
        return _read_frames(path, data)
    if suffix in {".npy", ".npz"}:
        return read_npy(path, data, trained)
    if suffix_of(path.name) in TABLE_SUFFIXES:
        return read_images(data.path, data)
    if IDX_NAME.search(path.name) or suffix in {"", ".gz", ".bin"}:
        return read_idx(path, data.label_column)
    raise DataError(f"{printable(data.path)}: a {suffix} file holds no images that can be read; {_FORMATS}")


def _read_frames(path: Path, data: ImageData) -> ImageSource:
    """Reads the pages or frames of one file."""
    shown = printable(data.path)
    one = ImageSource(ids=[printable(path.name)], origins=[shown], labels=[None], open=lambda _: open_image(path))
    source = expand(one, path.parent, [path.name], data.frames)
    if len(source) > 1:
        return source
    frames = len(count_frames(path))
    more = f"; data.frames=all reads its {frames:,} frames" if frames >= FEWEST else ""
    folder = printable(str(path.parent))
    raise DataError(f"{shown}: holds 1 image; training needs many; give the folder, as in {folder}{more}")


def read_bundled(name: str) -> ImageSource:
    """Reads scikit-learn's `digits`: 1,797 grey digits of 8×8 pixels with values from 0 to 16, without a download."""
    if name != "digits":
        raise DataError(
            f"sklearn:{printable(name)}: not an image data set of scikit-learn; only sklearn:digits is."
            f"{did_you_mean(name, ['digits'])}"
        )
    from sklearn.datasets import load_digits  # a second to import, for this data set only

    digits = load_digits()
    part = Part("digits", digits.images, [str(label) for label in digits.target], "sklearn:digits")
    return array_source([part], ids=[f"digit-{row:04d}" for row in range(len(digits.images))])
