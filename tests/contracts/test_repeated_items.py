"""Items that occur several times: counted in every kind, or left out and listed; one spot and cluster on the map."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import latentviz as lv
from latentviz.errors import DataError
from latentviz.modalities import modality
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.sources import load_config

N, AGAIN = 40, 12
WHICH = np.concatenate([np.arange(N - AGAIN), np.full(AGAIN, 3)])  # the last items repeat item 3


def write(kind: str, folder: Path, which: np.ndarray = WHICH) -> Path:
    """Writes items, of which item i is `which[i]`."""
    random = np.random.default_rng(0)
    if kind == "text":
        (folder / "texts.txt").write_text("\n".join(f"the cat number {i} sat" for i in which))
        return folder / "texts.txt"
    values = random.normal(size=(N, 6)) if kind == "vectors" else random.integers(0, 255, (N, 8, 8), np.uint8)
    np.save(folder / f"{kind}.npy", values[which])
    return folder / f"{kind}.npy"


def read(kind: str, folder: Path, which: np.ndarray = WHICH, **data: str) -> Prepared:
    """Reads them as `fit` does."""
    config, _ = load_config(str(write(kind, folder, which)), {"data": data})
    assert config.data.kind == kind
    return modality(kind).data_kind.prepare(config, folder / "cache")


@pytest.mark.parametrize("kind", ["image", "text", "vectors"])
class TestEveryKind:
    """Reported of others: scikit-learn-contrib/hdbscan#548, lmcinnes/umap#895."""

    def test_repeats_are_counted(self, kind: str, tmp_path: Path) -> None:
        found = read(kind, tmp_path)
        assert len(found.items) == N
        (said,) = [note for note in found.notes if note.startswith("repeated:")]
        assert f"{AGAIN} of {N}" in said
        assert "data.duplicates=drop" in said

    def test_repeats_are_dropped_and_listed(self, kind: str, tmp_path: Path) -> None:
        kept = read(kind, tmp_path).items
        found = read(kind, tmp_path, duplicates="drop")
        for name in ("id", "source"):
            assert found.items.column(name) == kept.column(name)[: N - AGAIN]
        assert [item.source for item in found.bad] == kept.column("source")[N - AGAIN :]
        assert {item.reason for item in found.bad} == {f"repeats {kept.column('source')[3]}"}
        assert any(note.startswith(f"repeated: {AGAIN} of {N}") for note in found.notes)

    def test_without_repeats_nothing_is_said_or_changed(self, kind: str, tmp_path: Path) -> None:
        found, again = (read(kind, tmp_path, np.arange(N), duplicates=d) for d in ("keep", "drop"))
        assert not any("repeat" in note for note in found.notes if not note.startswith("features: "))  # has the path
        assert found.items.table.equals(again.items.table)
        assert found.fingerprint == again.fingerprint

    def test_too_few_without_repeats(self, kind: str, tmp_path: Path) -> None:
        which = np.arange(N) % 3
        with pytest.raises(DataError, match=r"holds 3 .*data\.duplicates=keep"):
            read(kind, tmp_path, which, duplicates="drop")
        assert len(read(kind, tmp_path, which, duplicates="keep").items) == N


@pytest.mark.parametrize("what", ["half", "three", "near"])
def test_one_spot_one_cluster(what: str, tmp_path: Path) -> None:
    """Reported of others: hdbscan#675, MaartenGr/BERTopic#1751, lmcinnes/umap#564, tsenoner/protspace#321."""
    random = np.random.default_rng(0)
    values = random.normal(size=(120, 6)).astype(np.float32)
    which = {"three": np.arange(120) % 3}.get(what, np.where(np.arange(120) < 60, np.arange(120), 7))
    values = values[which]
    if what == "near":
        values *= (1 + 1e-7 * random.normal(size=values.shape)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    settings = {"latent_dim": 3, "width": 8}
    run = lv.fit(tmp_path / "x.npy", outputs=tmp_path / "o", run="r", model=settings, trainer={"max_epochs": 1})
    lv.cluster(run, reduce={"layouts": 1})
    folder = run.path / "clusters" / "default"
    points = pd.read_parquet(folder / "points.parquet")
    for _, group in points.groupby(which):
        for name in ("x", "y", "cluster", "nearest_cluster", "probability", "outlier_score"):
            assert group[name].nunique() == 1
        assert set(group["repeats"]) == {len(group)}
    if what == "three":
        assert sorted(points["cluster"].value_counts()) == [40, 40, 40]
    else:
        assert (points["cluster"][which == 7] >= 0).all(), "half of all items are no noise"
    assert (folder / "map.html").stat().st_size > 10_000
    placed = lv.encode(run, tmp_path / "x.npy").points
    assert np.allclose(placed[["x", "y"]], points[["x", "y"]])
    assert (placed["cluster"].to_numpy() == points["cluster"].to_numpy()).all()
