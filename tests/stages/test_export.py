"""The exported networks against torch, for any batch size; missing packages and existing files."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import latentviz as lv
from latentviz.modalities.loading import load_model
from latentviz.runs.run import RunFolder
from latentviz.stages.network_files import expected


def runner(path: Path) -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    """Return a function that runs an ONNX file, by ONNX Runtime if installed, else by the reference evaluator."""
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda inputs: session.run(None, inputs)
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    return lambda inputs: evaluator.run(None, inputs)


@pytest.fixture(scope="module")
def networks(mapped: Path) -> tuple[Any, Any]:
    """The trained VAE and its data."""
    loaded = load_model(RunFolder.open(mapped))
    return loaded.vae, loaded.kind


@pytest.mark.skipif(not importlib.util.find_spec("onnxscript"), reason="needs the extra onnx")
def test_onnx_computes_what_torch_does(mapped: Path, networks: tuple[Any, Any]) -> None:
    vae, data = networks
    encoder, decoder = (runner(path) for path in lv.export(mapped, onnx=True, force=True))
    for n in (1, 2, 7):
        x = data.to_input(data.dataset().__getitems__(range(n)))
        mu, logvar = encoder({"x": x.numpy()})
        for ours, theirs in zip(vae.encode(x), (mu, logvar), strict=True):
            assert theirs == pytest.approx(ours.numpy(), abs=1e-4)
        [mean] = decoder({"z": mu})
        assert mean.shape == (n, 1, 8, 8)
        assert mean == pytest.approx(vae.decode(torch.from_numpy(mu)).numpy(), abs=1e-4)
    described = json.loads((mapped / "exported" / "export.json").read_text())
    assert described["onnx"]["encoder"]["x"] == ["batch", 1, 8, 8]


@pytest.mark.skipif(not importlib.util.find_spec("safetensors"), reason="needs the extra safetensors")
def test_safetensors_hold_the_weights_and_the_config(mapped: Path, networks: tuple[Any, Any]) -> None:
    from safetensors import safe_open

    [path] = lv.export(mapped, safetensors=True, force=True)
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == set(networks[0].state_dict())
        for name, tensor in networks[0].state_dict().items():
            assert torch.equal(file.get_tensor(name), tensor)
        assert "latent_dim: 4" in file.metadata()["config"]


def test_categories_come_as_probabilities() -> None:
    from torch.distributions import Categorical, Independent, Normal

    logits = torch.randn(2, 5, 7)
    assert torch.allclose(expected(Independent(Categorical(logits=logits), 1)), logits.softmax(-1))
    assert torch.equal(expected(Independent(Normal(logits, 1), 2)), logits)


def test_mistakes(shell: Callable, mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "give one or more of --onnx, --safetensors" in shell("export", mapped).complaint
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "pip install 'latentviz[onnx]'" in shell("export", mapped, "--onnx").complaint
    assert "needs the package safetensors" in shell("export", mapped, "--safetensors").complaint


@pytest.mark.skipif(not importlib.util.find_spec("safetensors"), reason="needs the extra safetensors")
def test_nothing_is_replaced_without_force(shell: Callable, run_folder: Path) -> None:
    assert shell("export", run_folder, "--safetensors").out == f"{run_folder}/exported/model.safetensors\n"
    assert "exists already; replace it with --force" in shell("export", run_folder, "--safetensors").complaint
