"""Latents: the mean, in item order, whatever the batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latentviz.modalities.loading import load_model
from latentviz.model.encoding import encode, posteriors
from latentviz.runs.run import RunFolder


def written(trained: Path, folder: Path, **settings: int) -> tuple[np.ndarray, np.ndarray]:
    """Encode the trained run's items again into `folder`; return μ and log σ²."""
    loaded = load_model(RunFolder.open(trained))
    vae, data = loaded.vae, loaded.kind
    files = folder / "mu.npy", folder / "logvar.npy"
    encode(vae, data.dataset(), data.to_input, *files, **settings)
    mu, logvar = (np.load(file, mmap_mode="r", allow_pickle=False) for file in files)
    return mu, logvar


def test_two_encodings_are_the_same_byte_for_byte(trained, tmp_path) -> None:
    first, second = written(trained, tmp_path / "a"), written(trained, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("batch_size", [1, 7, 199, 200, 201])
def test_the_batch_size_does_not_matter(trained, tmp_path, batch_size) -> None:
    run = RunFolder.open(trained)
    mu, logvar = written(trained, tmp_path, batch_size=batch_size)
    np.testing.assert_array_equal(mu, run.mu())
    np.testing.assert_array_equal(logvar, run.logvar())


def test_an_item_has_the_same_latents_whichever_command_encodes_it(trained) -> None:
    run = RunFolder.open(trained)
    loaded = load_model(run)
    vae, data = loaded.vae, loaded.kind
    for rows in ([7], [3, 150], list(range(200))):
        found = posteriors(vae, data.images[rows], data.to_input)
        np.testing.assert_array_equal(found.mu, run.mu()[rows])
        np.testing.assert_array_equal(found.logvar, run.logvar()[rows])


def test_row_i_is_item_i(trained) -> None:
    run = RunFolder.open(trained)
    loaded = load_model(run)
    vae, data = loaded.vae, loaded.kind
    for row in (0, 57, 199):
        image = data.dataset()[row][None]
        mu, logvar = vae.encode(data.to_input(image))
        np.testing.assert_allclose(run.mu()[row], mu[0].numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(run.logvar()[row], logvar[0].numpy(), rtol=1e-4, atol=1e-5)
    assert np.ptp(np.asarray(run.mu()), axis=0).max() > 0.01, "items differ, or their order would prove nothing"


def test_the_files_are_float32_and_memory_mapped(trained, tmp_path) -> None:
    for array in written(trained, tmp_path):
        assert isinstance(array, np.memmap)
        assert array.dtype == np.float32
        assert array.shape == (200, 4)
        assert array.flags.c_contiguous


def test_encoding_leaves_the_model_in_evaluation_mode_and_without_gradients(trained, tmp_path) -> None:
    loaded = load_model(RunFolder.open(trained))
    vae, data = loaded.vae, loaded.kind
    vae.train()
    encode(vae, data.dataset(), data.to_input, tmp_path / "mu.npy", tmp_path / "logvar.npy")
    assert not vae.training
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_an_interrupted_encoding_leaves_no_partial_file(trained, tmp_path) -> None:
    loaded = load_model(RunFolder.open(trained))
    vae, data = loaded.vae, loaded.kind
    seen = []

    def stop(batch: torch.Tensor) -> torch.Tensor:
        if seen:
            raise KeyboardInterrupt
        seen.append(len(batch))
        return data.to_input(batch)

    with pytest.raises(KeyboardInterrupt):
        encode(vae, data.dataset(), stop, tmp_path / "mu.npy", tmp_path / "logvar.npy", batch_size=100)
    assert seen == [100]
    assert list(tmp_path.iterdir()) == []
