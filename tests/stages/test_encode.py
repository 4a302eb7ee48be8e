"""New data on an existing map: identical items get identical points, alone or in a batch; unlike items are flagged."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy import stats

import latentviz as lv
from latentviz.runs.run import RunFolder
from latentviz.stages.encode import calibrated


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, mapped: Path) -> Path:
    """A folder with the first 30 items as files, in order."""
    folder = tmp_path_factory.mktemp("pictures")
    for row, image in enumerate(np.load(mapped / "cache" / "images.npy")[:30, 0]):
        Image.fromarray(image).save(folder / f"{row:02}.png")
    return folder


def test_the_same_items_land_where_they_were(mapped: Path, pictures: Path) -> None:
    placed = lv.encode(mapped, pictures, name="same")
    old = RunFolder.open(mapped).clustering().points().to_pandas()[:30]
    new = placed.points
    for name in ("x", "y", "cluster", "nearest_cluster", "probability", "outlier_score"):
        assert new[name].tolist() == old[name].tolist(), name
    assert placed.mu == pytest.approx(np.asarray(RunFolder.open(mapped).mu())[:30], abs=1e-4)
    assert new["id"].tolist() == [f"{row:02}.png" for row in range(30)]


def test_one_alone_is_as_in_a_batch(mapped: Path, pictures: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    strangers = np.load(mapped / "cache" / "images.npy")[:40].astype(int) + rng.integers(-60, 60, (40, 1, 8, 8))
    np.save(tmp_path / "all.npy", strangers.clip(0, 255).astype(np.uint8)[:, 0])
    together = lv.encode(mapped, tmp_path / "all.npy").points
    Image.fromarray(strangers.clip(0, 255).astype(np.uint8)[17, 0]).save(tmp_path / "one.png")
    alone = lv.encode(mapped, tmp_path / "one.png").points
    for name in ("x", "y", "cluster", "probability", "log_likelihood", "distance", "unlike"):
        assert alone[name][0] == together[name][17], name


@pytest.mark.parametrize("m", [20, 180, 1999, 6000])
def test_no_more_items_are_called_unlike_than_is_said(m: int) -> None:
    """The share of further items beyond the thresholds, over trials, whatever the distributions."""
    random = np.random.default_rng(m)
    flagged = []
    for _ in range(400):
        limits = calibrated(random.standard_t(3, m), random.exponential(size=m))
        below, beyond = stats.t.cdf(limits.log_likelihood, 3), np.exp(-limits.distance)
        flagged.append(below + beyond - below * beyond)
    assert limits.share == pytest.approx(max(0.001, 2 / (m + 1)), rel=0.01)
    assert np.mean(flagged) == pytest.approx(limits.share, abs=4 * np.std(flagged) / 20)


def test_unlike_items_are_flagged(mapped: Path, tmp_path: Path, pictures: Path) -> None:
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    placed = lv.encode(mapped, tmp_path)
    assert placed.points["unlike"].tolist() == [True]
    thresholds = placed.info["thresholds"]
    assert thresholds["share"] == pytest.approx(2 / 21)
    assert "9.52%" in thresholds["meaning"]
    assert lv.encode(mapped, pictures).info["unlike"] <= 6  # a validation set of 20 gives coarse thresholds


def test_what_is_written(shell: Callable, mapped: Path, pictures: Path) -> None:
    outcome = shell("encode", mapped, pictures, "--name", "written")
    assert outcome.code == 0
    folder = mapped / "encoded" / "written"
    assert sorted(path.name for path in folder.iterdir()) == [
        "encode.json",
        "logvar.npy",
        "map.html",
        "mu.npy",
        "points.parquet",
    ]
    assert outcome.out.splitlines()[-1] == f"map {folder / 'map.html'}"
    points = pq.read_table(folder / "points.parquet")
    old = RunFolder.open(mapped).clustering().points()
    for name in old.column_names[:9]:
        assert points.schema.field(name).type == old.schema.field(name).type, name
    info = json.loads((folder / "encode.json").read_text())
    assert info["items"] == 30
    assert sum(info["clusters"].values()) + info["noise"] == 30
    assert np.load(folder / "mu.npy").shape == np.load(folder / "logvar.npy").shape == (30, 4)


def test_other_sizes_and_modes_are_converted_and_said(shell: Callable, mapped: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (30, 20), (200, 10, 10, 128)).save(tmp_path / "a.png")
    Image.new("L", (8, 8)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"\x89PNG no more")
    outcome = shell("encode", mapped, tmp_path)
    assert outcome.code == 0
    assert "1 of 2 images: resized from 20×30 to the run's 8×8 pixels" in outcome.err
    assert "1 of 2 images: converted from colour to grey" in outcome.err
    assert "warning: left out: " in outcome.err
    assert "left out, unreadable 1" in " ".join(outcome.out.split())


def test_mistakes(shell: Callable, mapped: Path, run_folder: Path, pictures: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in shell("encode", mapped, tmp_path / "nowhere").complaint
    folder = tmp_path / "new"
    folder.mkdir()
    assert "the folder is empty" in shell("encode", mapped, folder).complaint
    (folder / "bad.png").write_bytes(b"nothing")
    assert "none of its 1 image can be read" in shell("encode", mapped, folder).complaint
    (folder / "bad.png").unlink()
    (folder / "poem.txt").write_text("床前明月光")
    assert "holds no images" in shell("encode", mapped, folder).complaint
    assert "run `latentviz cluster" in shell("encode", run_folder, pictures).complaint
    assert "has no clustering of this name" in shell("encode", mapped, pictures, "--clustering", "fine").complaint
    assert "no run of this name" in shell("encode", "nobody", pictures, "--outputs", mapped.parent).complaint
    assert not list((mapped / "encoded").glob(".*")), "nothing half made is left"


def test_an_older_clustering_without_coordinates(shell: Callable, mapped: Path, pictures: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(mapped, tmp_path / "old"))
    (copy / "clusters" / "default" / "coordinates.npy").unlink()
    assert "--force" in shell("encode", copy, pictures).complaint
