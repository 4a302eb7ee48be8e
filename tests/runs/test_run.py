"""The run folder: nothing overwritten unasked, nothing half-written taken for done, every mistake in one line."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from latentviz.config import ClusterConfig, ResolvedClusterConfig, resolved
from latentviz.errors import RunError
from latentviz.runs.files import atomic_write, unique_ids, write_json
from latentviz.runs.items import Items
from latentviz.runs.ours import MARKER, mark
from latentviz.runs.run import FORMAT_VERSION, RunFolder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")

    def write_half() -> None:
        with atomic_write(file) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert contents(tmp_path) == {"a.txt": b"old"}


def test_an_atomic_write_replaces_the_file_when_it_succeeds(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    with atomic_write(file) as temporary:
        temporary.write_text("whole")
        assert not file.exists()
    assert contents(tmp_path) == {"new/a.txt": b"whole"}


def test_items_keep_their_order_and_types() -> None:
    items = Items(
        pa.table(
            {
                "id": ["b", "a", "c"],
                "split": ["train", "val", "train"],
                "label": ["x", None, None],
                "source": ["1", "2", "3"],
            }
        )
    )
    assert len(items) == 3
    assert items.column("id") == ["b", "a", "c"]
    assert items.train.tolist() == [0, 2]
    assert items.val.tolist() == [1]
    assert items.labels == ["x", None, None]


def test_items_without_any_label_have_no_labels() -> None:
    assert Items(pa.table({"label": pa.array([None, None], pa.string())})).labels is None


@pytest.mark.parametrize("ids", [["a", "a", "a (2)", "a"], ["", "", ""], ["x"] * 5, ["a (2)", "a", "a"]])
def test_ids_become_unique_and_the_first_keeps_its_name(ids: list[str]) -> None:
    unique = unique_ids(ids)
    assert len(set(unique)) == len(ids)
    assert unique[0] == ids[0]


class TestCreate:
    def test_a_new_run_is_an_empty_folder(self, tmp_path: Path) -> None:
        run = RunFolder.create(tmp_path / "outputs" / "a", force=False)
        assert run.path.is_dir()
        assert set(contents(run.path)) == {MARKER}
        assert not run.finished

    def test_an_existing_run_is_left_alone_without_force(self, run_folder: Path) -> None:
        before = contents(run_folder)
        with pytest.raises(RunError, match=r'exists already.*resume=True.*force=True.*run="NAME"'):
            RunFolder.create(run_folder, force=False)
        assert contents(run_folder) == before

    def test_force_sets_the_earlier_run_aside_until_the_new_one_settles(self, run_folder: Path) -> None:
        before = contents(run_folder)
        run = RunFolder.create(run_folder, force=True)
        assert set(contents(run.path)) == {MARKER}
        run.abandon()
        assert contents(run_folder) == before
        RunFolder.create(run_folder, force=True).settle()
        assert [p.name for p in run_folder.parent.iterdir()] == ["small"], "nothing is left of the earlier run"

    def test_force_does_not_replace_what_is_no_run(self, tmp_path: Path) -> None:
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
        with pytest.raises(RunError, match=r"thesis: not a run.*force=True"):
            RunFolder.create(tmp_path / "thesis", force=True)
        assert contents(tmp_path) == {"thesis/chapter.txt": b"years of work"}

    def test_force_clears_up_after_a_fit_that_was_killed_while_it_read(self, tmp_path: Path) -> None:
        half = tmp_path / "half"
        (half / "cache").mkdir(parents=True)
        (half / "cache" / ".images.npy.123-abcdef01234567.tmp").write_bytes(b"half")
        (half / "cache" / "images.npy").write_bytes(b"whole")
        mark(half)
        assert set(contents(RunFolder.create(half, force=True).path)) == {MARKER}

    @pytest.mark.parametrize("blocked", ["outputs", "outputs/small"])
    def test_a_file_in_the_way_is_one_line(self, tmp_path: Path, blocked: str) -> None:
        (tmp_path / blocked).parent.mkdir(exist_ok=True)
        (tmp_path / blocked).write_text("a file")
        with pytest.raises(RunError, match=r'cannot be written \(.+\); .*outputs="DIR"|small: a file .*run="NAME"'):
            RunFolder.create(tmp_path / "outputs" / "small", force=False)
        assert (tmp_path / blocked).read_text() == "a file"

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that not even root may write to")
    def test_an_unwritable_folder_is_one_line(self) -> None:
        with pytest.raises(RunError, match="cannot be written"):
            RunFolder.create(Path("/proc/outputs/small"), force=False)


class TestOpen:
    def test_by_name_by_path_and_the_newest(self, run_folder: Path) -> None:
        newer = Path(shutil.copytree(run_folder, run_folder.parent / "newer"))
        os.utime(newer / "config.yaml", (2e9, 2e9))
        outputs = run_folder.parent
        assert RunFolder.open("small", outputs).path == run_folder
        assert RunFolder.open(run_folder, "elsewhere").path == run_folder
        assert RunFolder.open(None, outputs).path == newer
        assert RunFolder.open(RunFolder(run_folder)).path == run_folder

    def test_an_unknown_name_lists_the_runs_and_the_nearest(self, run_folder: Path) -> None:
        with pytest.raises(RunError, match=r"runs there: small\. Did you mean 'small'\?"):
            RunFolder.open("smal", run_folder.parent)

    def test_no_run_at_all_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="latentviz fit"):
            RunFolder.open(None, tmp_path / "nowhere")

    @pytest.mark.parametrize("version", [FORMAT_VERSION + 1, None, "2"])
    def test_another_format_version_is_refused(self, run_folder: Path, version: object) -> None:
        write_json(run_folder / "run.json", {"format_version": version})
        with pytest.raises(RunError, match=r"format version .*upgrade with `pip install -U latentviz`"):
            RunFolder.open(run_folder)

    @pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "7"])
    def test_a_damaged_run_json_is_one_line(self, run_folder: Path, text: str) -> None:
        (run_folder / "run.json").write_text(text)
        with pytest.raises(RunError, match=r"run\.json: damaged") as caught:
            RunFolder.open(run_folder)
        assert "\n" not in str(caught.value)

    def test_a_run_set_aside_is_not_the_newest(self, run_folder: Path) -> None:
        with RunFolder(run_folder).held("fit"):
            RunFolder.create(run_folder, force=True)
            with pytest.raises(RunError, match="latentviz fit SOURCE"):
                RunFolder.open(None, run_folder.parent)

    def test_a_run_set_aside_comes_back_when_nobody_replaces_it_any_more(self, run_folder: Path) -> None:
        before = contents(run_folder)
        RunFolder.create(run_folder, force=True)
        assert contents(RunFolder.open(None, run_folder.parent).path) == before


class TestArtefacts:
    def test_latents_are_float32_and_memory_mapped(self, trained: Path) -> None:
        run = RunFolder(trained)
        for array in (run.mu(), run.logvar()):
            assert isinstance(array, np.memmap)
            assert array.dtype == np.float32
            assert array.shape == (200, 4)
            assert np.isfinite(array).all()

    def test_an_unfinished_run_names_the_command_that_finishes_it(self, run_folder: Path) -> None:
        (run_folder / "run.json").unlink()
        with pytest.raises(RunError, match=r"has not finished.*`latentviz fit .*--resume`"):
            RunFolder.open(run_folder).mu()

    def test_a_missing_file_names_the_command_that_makes_it(self, run_folder: Path) -> None:
        (run_folder / "mu.npy").unlink()
        with pytest.raises(RunError, match=r"has no mu\.npy.*`latentviz fit .*--force`"):
            RunFolder.open(run_folder).mu()

    @pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-50], lambda b: b[:20], lambda b: b"no array"])
    def test_damaged_latents_are_one_line(self, run_folder: Path, damage) -> None:
        file = run_folder / "mu.npy"
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(RunError, match=r"mu\.npy: damaged") as caught:
            RunFolder.open(run_folder).mu()
        assert "\n" not in str(caught.value)

    def test_pickled_latents_are_refused(self, run_folder: Path) -> None:
        np.save(run_folder / "mu.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(RunError, match=r"mu\.npy: damaged"):
            RunFolder.open(run_folder).mu()

    def test_a_damaged_item_table_is_one_line(self, run_folder: Path) -> None:
        (run_folder / "items.parquet").write_bytes(b"PAR1 no more")
        with pytest.raises(RunError, match=r"items\.parquet: damaged") as caught:
            RunFolder.open(run_folder).items()
        assert "\n" not in str(caught.value)


NO_CLUSTERS = {"lines": [], "n_items": 200, "n_clusters": 0, "noise_share": 1.0, "settings": {}, "clusters": []}


class TestClusterFolder:
    @pytest.fixture
    def table(self, trained: Path) -> pa.Table:
        """Points of the run's items, all of which are noise."""
        ids = RunFolder(trained).items().table.column("id")
        zeros, noise = np.zeros(len(ids), np.float32), np.full(len(ids), -1, np.int32)
        numbers = {"x": zeros, "y": zeros, "cluster": noise, "nearest_cluster": noise}
        empty = pa.nulls(len(ids), pa.string())
        return pa.table(
            {"id": ids, **numbers, "probability": zeros, "outlier_score": zeros}
            | dict.fromkeys(("label", "source"), empty)
        )

    def test_what_is_written_reads_back(self, run_folder: Path, table: pa.Table) -> None:
        folder = RunFolder(run_folder).clustering("fine")
        folder.begin(force=False)
        assert not folder.finished
        config = resolved(ResolvedClusterConfig, ClusterConfig(), reduce={"metric": "cosine", "landmarks": 0})
        folder.write(config, table, NO_CLUSTERS)
        assert folder.finished
        assert folder.points() == table
        info = folder.info()
        assert (info["format_version"], info["n_clusters"]) == (FORMAT_VERSION, 0)
        assert set(info["checksums"]) == {"points.parquet"}
        assert folder.config().cluster == config.cluster

    def test_a_finished_clustering_is_replaced_with_force_only(self, run_folder: Path, table: pa.Table) -> None:
        folder = RunFolder(run_folder).clustering()
        folder.begin(force=False)
        folder.write(ClusterConfig(), table, NO_CLUSTERS)
        with pytest.raises(RunError, match=r'exists already.*force=True.*name="NAME"'):
            folder.begin(force=False)
        folder.begin(force=True)
        assert folder.finished, "the earlier one stays until there is something to put in its place"
        with suppress(OSError), folder.replacing():
            assert not folder.finished
            folder.points_file.write_bytes(b"half")
            raise OSError("full")
        assert folder.points() == table, "after an error the earlier one is back"
        with folder.replacing():
            pass
        assert not folder.finished
        assert not list(folder.path.parent.glob(".*"))

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/x"])
    def test_a_name_that_is_no_folder_name_is_refused(self, run_folder: Path, name: str) -> None:
        with pytest.raises(RunError, match="not a folder name"):
            RunFolder(run_folder).clustering(name).begin(force=True)

    def test_points_before_cluster_name_the_command(self, run_folder: Path) -> None:
        with pytest.raises(RunError, match=r"no clusters/fine.*`latentviz cluster .*small --name fine`"):
            RunFolder(run_folder).clustering("fine").points()


def test_run_json_says_what_was_run(trained: Path) -> None:
    info = json.loads((trained / "run.json").read_text(encoding="utf-8"))
    assert info["format_version"] == FORMAT_VERSION
    assert info["kind"] == "image"
    assert info["seed"] == 0
    assert info["summary"]["items"] == 200
    assert info["summary"]["epochs"] == 3
    assert {"reading", "train", "encoding"} <= set(info["seconds"])
    assert len(info["fingerprint"]) == 32


def test_a_clustering_from_before_a_setting_existed_opens(mapped: Path, tmp_path: Path) -> None:
    folder = RunFolder.open(shutil.copytree(mapped, tmp_path / "run")).clustering()
    config, info = folder.config(), dict(folder.info())
    default = config.reduce.sample
    info["config"] = {**info["config"], "reduce": {**info["config"]["reduce"]}}
    del info["config"]["reduce"]["sample"]
    text = folder.config_file.read_text()
    folder.config_file.write_text(text.replace(f"  sample: {default}\n", ""))
    write_json(folder.info_file, info, sealed=True)
    assert " sample:" not in folder.config_file.read_text()
    assert folder.config().cluster == config.cluster
    folder.config_file.write_text(text.replace(f"sample: {default}", "sample: 77"))
    with pytest.raises(RunError, match="other settings"):
        folder.config()
