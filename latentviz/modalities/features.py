"""Features of a pretrained network: the vectors that it makes of images or texts, by the package that loads it.

The packages are optional; one is imported only when a network of it is named. Nothing is downloaded but by the package
that a user names, and by its own rules.
"""

import importlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from tqdm import tqdm

from latentviz.config import MEMORY
from latentviz.errors import ConfigError, DataError, choose, message_of
from latentviz.modalities.io.names import printable
from latentviz.progress import quiet

if TYPE_CHECKING:
    from PIL import Image

Item: TypeAlias = "Image.Image | str"
Network: TypeAlias = Callable[[Sequence[Any]], Any]  # b images, RGB, or b texts → (b, m)
Features: TypeAlias = "str | Network"  # a network's name, or a function
PYTHON = "python:"  # the beginning of the name of a function
AT_A_TIME = {"image": 64, "text": 1024}  # items that a network gets at a time
# A network of each kind of items, for messages.
EXAMPLES = {"text": "sentence-transformers:all-MiniLM-L6-v2", "image": "open_clip:ViT-B-32/laion2b_s34b_b79k"}

_functions: dict[str, Network] = {}  # those that this process was given, by their names


def known(features: "Features | None") -> str | None:
    """Return the name of a network, as it is, or of a function, which all commands of this process then know."""
    if features is None or isinstance(features, str):
        return features
    of = features if hasattr(features, "__qualname__") else type(features)
    name = f"{PYTHON}{of.__module__}.{of.__qualname__}"
    _functions[name] = features
    return name


class MissingNetworkError(ConfigError):
    """The network of some features is not here."""


def tip(path: str, what: str) -> str:
    """Return the line on features for a corpus of sentences or a folder of photographs, with the command.

    >>> tip("a.csv", "text").partition("; ")[2].partition(", after")[0]
    '`latentviz fit a.csv features=sentence-transformers:all-MiniLM-L6-v2`'
    """
    name = EXAMPLES[what]
    command = f"latentviz fit {quote(path)} features={name}"
    if path.startswith(MEMORY):
        command = f'lv.fit(…, features="{name}")'
    install = f"pip install 'latentviz[{name.partition(':')[0]}]'"
    return f"features: a pretrained network probably groups {what}s better; `{command}`, after `{install}`"


def compute(name: str, items: Iterable[Item], n: int, what: str) -> np.ndarray:
    """Return the vectors that a network makes of n items, float32 (n, m).

    Args:
        name: of the network, as `data.features` has it.
        items: images or texts.
        n: how many.
        what: image or text.

    Raises:
        MissingNetworkError: its package is not installed, or cannot load it.
        DataError: what it returns is not one finite vector an item.
    """
    network, found, left = load(name, what), list[np.ndarray](), iter(items)
    with tqdm(total=n, desc="features", unit=what, delay=1, leave=False, disable=None) as bar:
        while block := [*islice(left, AT_A_TIME[what])]:
            try:
                values = np.asarray(network(block), np.float32)
            except Exception as error:
                raise DataError(
                    f"features: {printable(name)} fails on {what}s ({message_of(error)}); give a network for {what}s"
                ) from error
            if values.ndim != 2 or len(values) != len(block) or not np.isfinite(values).all():
                raise DataError(
                    f"features: {printable(name)} must return one vector of finite numbers an item, of shape "
                    f"({len(block)}, m) (got {values.shape}); correct it, or give another network"
                )
            found.append(values)
            bar.update(len(block))
    return np.concatenate(found)


@lru_cache(maxsize=2)
def _loaded(name: str, what: str) -> Network:
    package, _, model = name.partition(":")
    if not model and Path(name).is_dir():
        package, model = _package_of(Path(name)), name
    choose(PACKAGES, package, "features")
    if not model:
        raise ConfigError(f"features: names no network (got {name}); give one, as in features={EXAMPLES[what]}")
    module, load_network = PACKAGES[package]
    if importlib.util.find_spec(module) is None:
        raise MissingNetworkError(
            f"features: {printable(name)} needs the package {package}; run `pip install 'latentviz[{package}]'`"
        )
    try:
        with quiet():
            return load_network(model, what)
    except ConfigError:
        raise
    except Exception as error:
        raise MissingNetworkError(
            f"features: {package} cannot load {printable(model)} ({message_of(error)}); give a name that it knows or "
            "the folder of a network"
        ) from error


def load(name: str, what: str) -> Network:
    """Load a network by its package.

    Args:
        name: `package:NAME`, `package:FOLDER`, a folder, or the name of a function that this process was given.
        what: image or text.

    Raises:
        ConfigError: there is no such package, or it has no networks for these items.
        MissingNetworkError: it is not installed, or cannot load the network.
    """
    if not name.startswith(PYTHON):
        return _loaded(name, what)
    if name not in _functions:
        raise MissingNetworkError(
            f"features: {printable(name.removeprefix(PYTHON))} is a function, which a run does not hold; give it in "
            "Python, with lv.fit(…, features=…) or lv.open(RUN, features=…)"
        )
    return _functions[name]


def _package_of(folder: Path) -> str:
    """Return the package that loads the network in a folder."""
    if (folder / "modules.json").exists():
        kinds = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        static = len(kinds) < 3 and "StaticEmbedding" in str(kinds) and (folder / "config.json").exists()
        return "model2vec" if static else "sentence-transformers"
    if (folder / "open_clip_config.json").exists():
        return "open_clip"
    config = (
        json.loads((folder / "config.json").read_text(encoding="utf-8")) if (folder / "config.json").exists() else {}
    )
    if "architecture" in config:
        return "timm"
    if config.get("model_type") == "model2vec":
        return "model2vec"
    raise ConfigError(
        f"features: {printable(str(folder))}: no package is known for the network in this folder; say which, as in "
        f"features=sentence-transformers:{printable(str(folder))}"
    )


def _only(what: str, wanted: str, package: str) -> None:
    if what != wanted:
        raise ConfigError(f"features: {package} has networks for {wanted}s, and the items are {what}s; give another")


def _sentence_transformers(model: str, _: str) -> Network:
    network = importlib.import_module("sentence_transformers").SentenceTransformer(model)
    return lambda items: network.encode(list(items), show_progress_bar=False)


def _model2vec(model: str, what: str) -> Network:
    _only(what, "text", "model2vec")
    network = importlib.import_module("model2vec").StaticModel.from_pretrained(model)
    return lambda items: network.encode(list(items))


def _open_clip(model: str, what: str) -> Network:
    import torch

    package = importlib.import_module("open_clip")
    hub = Path(model).is_dir() or ":" in model
    name, _, weights = (
        (f"local-dir:{model}" if Path(model).is_dir() else model, "", "") if hub else model.partition("/")
    )
    network, convert = package.create_model_from_pretrained(name, **({"pretrained": weights} if weights else {}))
    network.eval()
    tokenizer = package.get_tokenizer(name) if what == "text" else None

    def features(items: Sequence[Any]) -> np.ndarray:
        with torch.inference_mode():
            if tokenizer is not None:
                found = network.encode_text(tokenizer(list(items)))
            else:
                found = network.encode_image(torch.stack([convert(image) for image in items]))
        return np.asarray(found.float().cpu().numpy())

    return features


def _timm(model: str, what: str) -> Network:
    _only(what, "image", "timm")
    import torch

    package = importlib.import_module("timm")
    name = f"local-dir:{model}" if Path(model).is_dir() else model
    network = package.create_model(name, pretrained=True, num_classes=0).eval()
    convert = package.data.create_transform(**package.data.resolve_model_data_config(network), is_training=False)

    def features(items: Sequence[Any]) -> np.ndarray:
        with torch.inference_mode():
            found = network(torch.stack([convert(image) for image in items]))
        return np.asarray(found.float().cpu().numpy())

    return features


# Package, as pip and `features=` name it → its module, and a function of (name or folder, image or text).
PACKAGES: Mapping[str, tuple[str, Callable[[str, str], Network]]] = {
    "sentence-transformers": ("sentence_transformers", _sentence_transformers),
    "model2vec": ("model2vec", _model2vec),
    "open_clip": ("open_clip", _open_clip),
    "timm": ("timm", _timm),
}
