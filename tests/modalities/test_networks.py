"""Features of networks in a folder, each loaded by its own package: small ones with random weights."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latentviz.modalities import features

IMAGES = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
TEXTS = ["a cat on a mat", "a dog", "a cat on a mat"]


def installed(package: str) -> Any:
    """Import a package; one that is missing, or that does not fit the PyTorch that is here, skips the test."""
    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"pip install 'latentviz[{package}]' ({error})")


def test_a_network_of_timm(tmp_path: Path) -> None:
    timm = installed("timm")
    network = timm.create_model("resnet18", pretrained=False, num_classes=3)
    timm.models.save_for_hf(network, tmp_path, model_args={}, safe_serialization=True)
    found = features.compute(str(tmp_path), IMAGES, 3, "image")
    assert found.shape == (3, network.num_features)
    convert = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    network.reset_classifier(0)
    torch = importlib.import_module("torch")
    with torch.inference_mode():
        expected = network.eval()(torch.stack([convert(image) for image in IMAGES]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(features.ConfigError, match="timm has networks for images, and the items are texts"):
        features.compute(f"timm:{tmp_path}", TEXTS, 3, "text")


def test_a_network_of_model2vec(tmp_path: Path) -> None:
    package = installed("model2vec")
    tokenizers = importlib.import_module("tokenizers")
    words = {word: number for number, word in enumerate(["[UNK]", "a", "cat", "dog", "mat", "on"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(0).normal(size=(len(words), 5)).astype(np.float32)
    package.StaticModel(vectors, tokenizer, config={"normalize": False}).save_pretrained(str(tmp_path))
    for name in (str(tmp_path), f"model2vec:{tmp_path}"):
        found = features.compute(name, TEXTS, 3, "text")
        np.testing.assert_allclose(found[1], vectors[[1, 3]].mean(0), rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("what", ["image", "text"])
def test_a_network_of_open_clip(what: str, tmp_path: Path) -> None:
    package = installed("open_clip")
    torch = importlib.import_module("torch")
    sizes = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    shaped = {"mean": [0.5] * 3, "std": [0.5] * 3}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": sizes, "preprocess_cfg": shaped}))
    torch.manual_seed(0)
    network = package.CLIP(**sizes)
    torch.save(network.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    found = features.compute(str(tmp_path), IMAGES if what == "image" else TEXTS, 3, what)
    assert found.shape == (3, 16)
    assert not np.allclose(found[0], found[1])
    with torch.inference_mode():
        if what == "text":
            expected = network.eval().encode_text(package.get_tokenizer("ViT-B-32")(TEXTS))
        else:
            pixels = (
                torch.ones(3, 3, 32, 32) * torch.tensor([[1, -1, -1], [-1, 0.0039, -1], [-1, -1, 1]])[:, :, None, None]
            )
            expected = network.eval().encode_image(pixels)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
