"""Nothing that is read is ever executed: pickles planted in every artefact and input, and objects in YAML."""

import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentviz.runs.run import RunFolder
from tests.conftest import Outcome, reseal


class Planted:
    """Pickles to a call that would create a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.file,))


def object_array(planted: Planted) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([planted], object), allow_pickle=True)
    return out.getvalue()


def bare(planted: Planted) -> bytes:
    return pickle.dumps(planted)


def checkpoint(planted: Planted) -> bytes:
    out = io.BytesIO()
    torch.save({"state_dict": planted, "callbacks": planted}, out)
    return out.getvalue()


def old_checkpoint(planted: Planted) -> bytes:
    """Returns one in PyTorch's format before 1.6, which is pickles and nothing else."""
    out = io.BytesIO()
    torch.save({"state_dict": planted}, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


ARTEFACTS: dict[str, tuple[str, ...]] = {
    "mu.npy": ("recommend", "small", "3"),
    "logvar.npy": ("generate", "small", "--like", "3"),
    "items.parquet": ("recommend", "small", "3"),
    "run.json": ("recommend", "small", "3"),
    "config.yaml": ("generate", "small"),
    "cache/images.npy": ("generate", "small", "--reconstruct", "3"),
    "checkpoints/last.ckpt": ("generate", "small"),
    "clusters/default/clusters.json": ("map", "small"),
    "clusters/default/config.yaml": ("map", "small"),
    "clusters/default/points.parquet": ("map", "small"),
    "clusters/default/coordinates.npy": ("encode", "small", "DATA"),
    "clusters/default/neighbours.npy": ("map", "small"),
    "clusters/default/tree.npy": ("map", "small"),
}


@pytest.mark.parametrize("plant", [object_array, bare, checkpoint, old_checkpoint])
def test_the_planted_pickles_would_have_worked(tmp_path, plant) -> None:
    content, planted = plant(Planted(tmp_path / "planted")), tmp_path / "planted"
    if plant is object_array:
        np.load(io.BytesIO(content), allow_pickle=True)
    elif plant is bare:
        pickle.loads(content)
    else:
        torch.load(io.BytesIO(content), weights_only=False)
    assert planted.exists(), "otherwise the tests below would prove nothing"


@pytest.mark.parametrize("plant", [object_array, bare, checkpoint, old_checkpoint])
@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_pickle_in_an_artefact_is_refused(shell, treed, digits, tmp_path, name, plant) -> None:
    run = Path(shutil.copytree(treed, tmp_path / "outputs" / "small"))
    (run / name).write_bytes(plant(Planted(tmp_path / "planted")))
    if name.startswith("clusters/") and not name.endswith((".json", ".yaml")):
        folder = RunFolder(run).clustering()
        info = {key: value for key, value in folder.info().items() if key not in {"checksums", "config"}}
        import pyarrow.parquet as pq

        config, points = folder.config(), pq.read_table(treed / "clusters/default/points.parquet")
        folder.write(config, points, info)  # with the checksums of what was planted
        (run / name).write_bytes(plant(Planted(tmp_path / "planted")))
    elif name != "run.json" and not name.startswith("clusters/"):
        reseal(run)
    complaint = shell(
        *(digits if word == "DATA" else word for word in ARTEFACTS[name]), "--outputs", run.parent
    ).complaint
    assert Path(name).name in complaint
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("name", ["checkpoints/last.ckpt", "cache/neighbours.npy", "cache/images.npy"])
def test_a_pickle_is_refused_when_a_training_goes_on(shell, treed, tmp_path, name) -> None:
    run = Path(shutil.copytree(treed, tmp_path / "outputs" / "small"))
    for finished in ("run.json", "mu.npy", "logvar.npy"):
        (run / finished).unlink()
    plant = checkpoint if name.endswith(".ckpt") else object_array
    (run / name).write_bytes(plant(Planted(tmp_path / "planted")))
    complaint = shell(
        "fit", run / "config.yaml", "--run", "small", "--outputs", run.parent, "--resume", "trainer.max_epochs=5"
    ).complaint
    assert Path(name).name in complaint
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_a_pickle_in_the_data_is_refused(shell: Callable[..., Outcome], tmp_path, name) -> None:
    content = object_array(Planted(tmp_path / "planted"))
    if name == "x.npz":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("images.npy", content)
    else:
        (tmp_path / name).write_bytes(content)
    assert shell("fit", tmp_path / name, "data.kind=image", "--outputs", tmp_path / "outputs").complaint
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir"])
def test_yaml_makes_no_objects(shell, tmp_path, tag) -> None:
    planted = tmp_path / "planted"
    (tmp_path / "mine.yaml").write_text(f"data:\n  kind: image\n  path: {tag} ['{planted}']\n")
    assert "not valid YAML" in shell("fit", tmp_path / "mine.yaml", "--outputs", tmp_path / "outputs").complaint
    assert shell("fit", "digits", f"data.path={tag} ['{planted}']", "--outputs", tmp_path / "outputs").complaint
    assert not planted.exists()
