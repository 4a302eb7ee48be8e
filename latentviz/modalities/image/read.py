"""Where images come from: `data.path` → the reader that knows it → a `Source`."""

from pathlib import Path

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.image.arrays import Part, array_source
from latentviz.modalities.image.config import IDX_NAME, IMAGE_SUFFIXES, METADATA_NAMES, ImageData
from latentviz.modalities.image.folder import listing, read_folder, scan
from latentviz.modalities.image.idx import read_idx
from latentviz.modalities.image.npy import read_npy
from latentviz.modalities.image.source import Source
from latentviz.modalities.image.tables import parquet_files, read_parquet
from latentviz.modalities.io.names import printable

# How error messages name the files that can be read.
_FILES = "an IDX, .npy, .npz or .parquet file"
# Folders of Parquet files may carry a picture or two for their title page.
_FEW = 16


def read(data: ImageData) -> Source:
    """Returns the images that `data.path` names, found but not decoded.

    Raises:
        DataError: there is nothing of this name, or nothing in it that is an image.
    """
    scheme, _, name = data.path.partition(":")
    if scheme == "sklearn":
        return read_bundled(name)
    if scheme == "hf":
        from latentviz.modalities.image.hub import read_hub  # two seconds to import

        return read_hub(data)
    path, shown = Path(data.path), printable(data.path)
    try:
        if path.is_dir():
            return _read_folder(path, data)
        if path.is_file():
            return _read_file(path, data)
        there = path.exists()
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error.strerror or error})") from None
    raise DataError(
        f"{shown}: neither a file nor a folder; give a folder of images, or {_FILES}"
        if there
        else f"{shown}: there is no such file or folder; check data.path"
    )


def _read_folder(path: Path, data: ImageData) -> Source:
    if any(IDX_NAME.search(p.name) for p in path.iterdir() if p.is_file()):
        return read_idx(path, data.label_column)
    found = scan(path)
    if len(found.images) < _FEW and (found.others[".parquet"] and parquet_files(path)):
        return read_parquet(path, data)
    if found.images or found.metadata:
        return read_folder(path, data, found)
    shown = printable(data.path)
    if found.others or found.links:
        links = [f"{found.links:,} symbolic links that lead out of it"] if found.links else []
        what = ", ".join([*([listing(found.others)] if found.others else []), *links])
        raise DataError(
            f"{shown}: holds no images (got {what}); give a folder of images in a format that Pillow reads, "
            f"such as .png or .jpg, or {_FILES}"
        )
    raise DataError(f"{shown}: the folder is empty; give a folder of images, or {_FILES}")


def _read_file(path: Path, data: ImageData) -> Source:
    suffix = path.suffix.lower()
    if path.name in METADATA_NAMES:
        return read_folder(path.parent, data, scan(path.parent))
    if suffix in IMAGE_SUFFIXES:
        raise DataError(
            f"{printable(data.path)}: holds 1 image; a VAE learns what many images have in common; give the "
            f"folder they lie in, as in {printable(str(path.parent))}"
        )
    if suffix in {".npy", ".npz"}:
        return read_npy(path, data)
    if suffix == ".parquet":
        return read_parquet(path, data)
    if IDX_NAME.search(path.name) or suffix in {"", ".gz", ".bin"}:
        return read_idx(path, data.label_column)
    raise DataError(
        f"{printable(data.path)}: a {suffix} file holds no images that can be read; give a folder of images, "
        f"or {_FILES}"
    )


def read_bundled(name: str) -> Source:
    """Returns scikit-learn's `digits`: 1,797 grey digits of 8×8 pixels with values 0 to 16, no download.

    Raises:
        DataError: it is not `digits` that is asked for.
    """
    if name != "digits":
        raise DataError(
            f"sklearn:{printable(name)}: scikit-learn bundles no such images; its only one is "
            f"sklearn:digits.{did_you_mean(name, ['digits'])}"
        )
    from sklearn.datasets import load_digits  # a second to import, for this one data set

    digits = load_digits()
    part = Part("digits", digits.images, [str(label) for label in digits.target], "sklearn:digits")
    return array_source([part], ids=[f"digit-{row:04d}" for row in range(len(digits.images))])
