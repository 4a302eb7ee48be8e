"""reduce.method=parametric in a run: the network is a file of the clustering, checked, and places new items."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latentviz as lv
from latentviz.clustering.network import Network
from latentviz.errors import RunError
from latentviz.queries.lookup import Lookup
from latentviz.runs.run import RunFolder
from latentviz.stages.encode import Frozen


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mapped: Path) -> Path:
    """Returns a run of 200 digits that is laid out by a network trained on 150 of them."""
    folder = Path(shutil.copytree(mapped, tmp_path_factory.mktemp("parametric") / "small"))
    lv.cluster(folder, name="net", reduce={"method": "parametric", "landmarks": 150}, cluster={"method": "gmm"})
    return folder


def test_the_network_is_kept_and_lays_out_all_items(run: Path) -> None:
    result, folder = lv.open(run).clustering("net"), RunFolder(run).clustered("net")
    arrays = folder.network()
    assert arrays is not None
    network, frozen = Network.of_arrays(arrays, 2), Frozen(Lookup(RunFolder(run), "net"))
    coordinates, points = network(frozen.vectors(result.mu))
    np.testing.assert_allclose(result.points[["x", "y"]].to_numpy(), points, atol=1e-4)
    np.testing.assert_allclose(np.asarray(folder.coordinates()), coordinates, atol=1e-4)
    assert "network.npz" in folder.info()["checksums"]
    assert lv.verify(run).ok, str(lv.verify(run))
    assert not [note for note in lv.verify(run).notes if "network" in note]


def test_new_items_are_placed_by_a_forward_pass_without_torch(run: Path) -> None:
    from sklearn.datasets import load_digits

    new = (load_digits().images[200:230] * 15).astype(np.uint8)
    found, frozen = lv.encode(run, new, clustering="net"), Frozen(Lookup(RunFolder(run), "net"))
    assert frozen.layout.network is not None
    points = frozen.layout.network(frozen.vectors(found.mu))[1]
    np.testing.assert_allclose(found.points[["x", "y"]].to_numpy(), points, atol=1e-4)


@pytest.mark.parametrize("damage", ["missing", "other bytes", "other layers"])
def test_a_damaged_network_is_one_line(run: Path, tmp_path: Path, damage: str, shell: Callable) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "small"))
    file = RunFolder(copy).clustering("net").network_file
    if damage == "missing":
        file.unlink()
    elif damage == "other bytes":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        np.savez(file, weights0=np.zeros((4, 3), np.float32), biases0=np.zeros(2, np.float32))
    with pytest.raises(RunError, match=r"network\.npz.*latentviz cluster.*--force") as caught:
        lv.encode(copy, np.zeros((3, 8, 8), np.uint8), clustering="net")
    assert "\n" not in str(caught.value)
    assert shell("verify", copy).code == 2


def test_another_method_in_its_place_leaves_no_network(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "small"))
    lv.cluster(copy, name="net", reduce={"method": "pca"}, cluster={"method": "gmm"}, force=True)
    assert not RunFolder(copy).clustering("net").network_file.exists()
    assert lv.verify(copy).ok
