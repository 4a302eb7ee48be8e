"""The shell's side: words in any order, one line and exit code 2 for a mistake, output that can be used again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from latentviz.config import ClusterConfig
from latentviz.runs.run import RunFolder
from latentviz.shell.cli import COMMANDS, main
from tests.conftest import SMALL, reseal, write_digits


class TestHelp:
    def test_it_lists_the_commands_with_examples(self, shell) -> None:
        for words in ((), ("--help",), ("-h",)):
            said = shell(*words)
            assert said.code == 0
            assert all(f"  {name} " in said.out for name in COMMANDS)
            assert "examples:" in said.out
            assert said.out.startswith("usage: latentviz COMMAND")

    def test_the_version_is_the_package_s(self, shell) -> None:
        said = shell("--version")
        assert (said.code, said.out) == (0, f"latentviz {version('latentviz')}\n")

    def test_python_minus_m_is_the_same_command(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "latentviz", "--version"], capture_output=True, text=True, check=True
        )
        assert ended.stdout.startswith("latentviz ")

    def test_an_unknown_command_gets_the_nearest(self, shell) -> None:
        assert "unknown command 'clutser'" in shell("clutser").complaint
        assert "Did you mean 'cluster'?" in shell("clutser").complaint

    @pytest.mark.parametrize(
        ("words", "unknown", "meant"),
        [
            (("recommend", "7", "--k", "5"), "--k", "-k"),
            (("generate", "--steps", "3", "--sed=4"), "--sed", "--seed"),
            (("map", "--clusterin_g", "x"), "--clusterin_g", "--clustering"),
        ],
    )
    def test_an_unknown_option_gets_the_nearest(self, shell, words, unknown, meant) -> None:
        complaint = shell(*words).complaint
        assert f"unknown option {unknown}" in complaint
        assert f"Did you mean {meant!r}?" in complaint

    @pytest.mark.parametrize(
        "words",
        [
            ("--wrong",),
            ("fit",),
            ("fit", "digits", "--wrong"),
            ("recipes", "surplus"),
            ("cluster", "a", "b"),
            ("fit", "digits", "--run"),
        ],
    )
    def test_wrong_words_end_with_2_and_no_traceback(self, shell, words) -> None:
        said = shell(*words)
        assert said.code == 2
        assert "Traceback" not in said.err
        assert said.err.strip()


class TestWords:
    """`latentviz cluster cats key=value --name x` in any order."""

    @pytest.mark.parametrize(
        "words",
        [
            ("cats", "reduce.method=pca", "cluster.method=gmm", "--name", "x", "--force"),
            ("reduce.method=pca", "cats", "--name", "x", "cluster.method=gmm", "--force"),
            ("--force", "--name=x", "reduce.method=pca", "cluster.method=gmm", "cats"),
            ("--name", "x", "cats", "reduce.method=pca", "--force", "cluster.method=gmm"),
        ],
    )
    def test_of_cluster(self, words, monkeypatch) -> None:
        asked = {}
        monkeypatch.setattr("latentviz.shell.commands.cluster", lambda **options: asked.update(options))
        assert main(["cluster", *words]) == 0
        assert asked == {
            "run": "cats",
            "overrides": ["reduce.method=pca", "cluster.method=gmm"],
            "name": "x",
            "force": True,
            "outputs": "outputs",
            "show": False,
            "json": False,
        }

    @pytest.mark.parametrize(
        "words",
        [
            ("photos", "model.lr=1e-3", "--run", "x", "trainer.max_epochs=5", "--outputs", "o"),
            ("--run", "x", "photos", "--outputs", "o", "model.lr=1e-3", "trainer.max_epochs=5"),
            ("photos", "--outputs=o", "--run=x", "model.lr=1e-3", "trainer.max_epochs=5"),
        ],
    )
    def test_of_fit(self, words, monkeypatch) -> None:
        asked = {}
        monkeypatch.setattr("latentviz.shell.commands.fit", lambda **options: asked.update(options))
        assert main(["fit", *words]) == 0
        assert asked == {
            "source": "photos",
            "overrides": ["model.lr=1e-3", "trainer.max_epochs=5"],
            "run": "x",
            "outputs": "o",
            "start": None,
            "resume": False,
            "dry_run": False,
            "force": False,
            "cluster": False,
            "show": False,
            "json": False,
        }

    def test_a_run_s_path_may_hold_an_equals_sign(self, monkeypatch) -> None:
        asked = {}
        monkeypatch.setattr("latentviz.shell.commands.cluster", lambda **options: asked.update(options))
        assert main(["cluster", "outputs/lr=3", "reduce.method=pca"]) == 0
        assert (asked["run"], asked["overrides"]) == ("outputs/lr=3", ["reduce.method=pca"])

    def test_no_run_means_the_newest(self, monkeypatch) -> None:
        asked = {}
        monkeypatch.setattr("latentviz.shell.commands.cluster", lambda **options: asked.update(options))
        assert main(["cluster"]) == 0
        assert asked["run"] is None


class TestPrinting:
    def test_recipes(self, shell) -> None:
        said = shell("recipes")
        assert said.code == 0
        assert "digits" in {line.split()[0] for line in said.out.splitlines()}

    def test_config_is_yaml_with_a_comment_a_key_that_loads_again(self, shell, tmp_path) -> None:
        said = shell("config", "digits", "model.latent_dim=7")
        assert said.code == 0
        assert said.out.splitlines()[0] == "# latentviz fit digits"
        keys = [line for line in said.out.splitlines() if line.startswith("  ") and ":" in line.split("#")[0]]
        assert keys
        assert all("  # " in line for line in keys)
        assert yaml.safe_load(said.out)["model"]["latent_dim"] == 7
        (tmp_path / "mine.yaml").write_text(said.out)
        again = shell("config", tmp_path / "mine.yaml")
        values = [[line for line in each.out.splitlines() if not line.startswith("# ")] for each in (said, again)]
        chosen = [line.split("  # chosen")[0] for line in values[0] if "_epochs:" in line]
        assert chosen == ["  max_epochs: 309", "  min_epochs: 84"]
        assert yaml.safe_load(again.out) == yaml.safe_load(said.out)
        assert [line for line in values[0] if "_epochs:" not in line] == [
            line for line in values[1] if "_epochs:" not in line
        ]

    def test_the_printed_config_can_be_fitted(self, shell, few, tmp_path) -> None:
        (tmp_path / "mine.yaml").write_text(shell("config", few, *SMALL).out)
        said = shell("fit", tmp_path / "mine.yaml", "--outputs", tmp_path / "outputs", "trainer.max_epochs=1")
        assert said.code == 0, said.err
        assert RunFolder.open("mine", tmp_path / "outputs").mu().shape == (200, 4)

    def test_the_schema_is_json_and_describes_the_recipe(self, shell) -> None:
        said = shell("schema")
        assert said.code == 0
        schema = json.loads(said.out)
        assert set(schema) >= {"$schema", "fit", "cluster"}
        for branch in schema["fit"]["oneOf"]:
            assert {"data", "model", "trainer", "seed_everything"} <= set(branch["properties"])

    def test_a_reader_that_leaves_early_is_no_mistake(self) -> None:
        """`latentviz schema | head -1` must not end in a traceback."""
        command = f"{sys.executable} -m latentviz schema | head -c 10"
        ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert ended.returncode == 0
        assert ended.stderr == ""


class TestRuns:
    """`latentviz runs` lists the runs, newest last, whatever state they are in."""

    def test_runs_and_clusterings_are_listed(self, shell, run_folder, tmp_path) -> None:
        outputs = run_folder.parent
        folder = RunFolder.open(run_folder).clustering("fine")
        folder.begin(force=False)
        points = pa.table({"id": ["a"], "x": [0.0], "y": [0.0], "cluster": [-1]})
        clusters = [{"cluster": k, "size": 50, "persistence": None, "exemplars": []} for k in range(3)]
        counts = {"n_items": 200, "n_clusters": 3, "noise_share": 0.25}
        folder.write(ClusterConfig(), points, {**counts, "clusters": clusters, "lines": [], "settings": {}})
        for name in ("half", "broken"):
            shutil.copytree(run_folder, outputs / name)
        (outputs / "half" / "run.json").unlink()
        (outputs / "broken" / "run.json").write_text("{")
        for seconds, name in enumerate(("half", "broken", "small")):
            os.utime(outputs / name / "config.yaml", (2e9 + seconds, 2e9 + seconds))
        said = shell("runs", "--outputs", outputs)
        assert (said.code, said.err) == (0, "")
        lines = [line.split() for line in said.out.splitlines()]
        assert lines[0] == ["run", "kind", "items", "date", "clusters"]
        assert [line[0] for line in lines[1:]] == ["half", "broken", "small"]
        assert "not finished" in said.out.splitlines()[1]
        assert "damaged" in said.out.splitlines()[2]
        assert lines[3][:3] == ["small", "image", "200"]
        assert " ".join(lines[3][-4:]) == "fine: 3, noise 25%"
        rows = json.loads(shell("runs", "--outputs", outputs, "--json").out)["runs"]
        assert [row["finished"] for row in rows] == [False, False, True]
        assert "run.json: damaged" in rows[1]["problem"]
        assert rows[2] | {"date": None, "clusterings": None} == {
            "run": "small",
            "path": str(run_folder),
            "date": None,
            "finished": True,
            "kind": "image",
            "items": 200,
            "clusterings": None,
        }
        [found] = rows[2]["clusterings"]
        assert (found["name"], found["clusters"], found["noise"]) == ("fine", 3, 0.25)

    def test_without_any_run_it_says_what_makes_one(self, shell, tmp_path) -> None:
        assert "latentviz fit" in shell("runs", "--outputs", tmp_path).out
        assert json.loads(shell("runs", "--outputs", tmp_path, "--json").out) == {"runs": []}

    def test_it_stays_light(self, tmp_path) -> None:
        code = f"from latentviz.shell.cli import main; main(['runs', '--outputs', {str(tmp_path)!r}]); import sys; "
        heavy = "sys.exit(bool({'torch', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code + heavy], check=False, capture_output=True).returncode == 0


class TestMistakes:
    """Each is one line on standard error and exit code 2, and nothing is lost or left behind."""

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (("digts",), "Did you mean 'digits'?"),
            (("no/such/folder",), "no/such/folder"),
            (("none.yaml",), "none.yaml: cannot be read"),
            (("digits", "model.latentdim=3"), "Did you mean 'latent_dim'?"),
            (("digits", "model.latent_dim=three"), "model.latent_dim: must be a whole number (got 'three')"),
            (("digits", "trainer.epochs=3"), "trainer.epochs: unknown key"),
            (("digits", "latent_dim"), "latent_dim"),
            (("digits", "--run", "a/b", "trainer.max_epochs=1"), "--run 'a/b': not a folder name"),
            (("digits", "--run", "..", "trainer.max_epochs=1"), "--run '..': not a folder name"),
        ],
    )
    def test_of_fit(self, shell, tmp_path, words, expected) -> None:
        assert expected in shell("fit", *words, "--outputs", tmp_path / "outputs").complaint
        assert list(tmp_path.iterdir()) == []

    def test_several_are_told_at_once(self, shell, tmp_path) -> None:
        said = shell("fit", "digits", "model.lr=fast", "modle.x=1", "--outputs", tmp_path)
        assert said.code == 2
        assert "2 mistakes" in said.err
        assert "model.lr" in said.err
        assert "modle" in said.err

    def test_an_unwritable_outputs_folder(self, shell, few, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        assert "cannot be written" in shell("fit", few, "--outputs", tmp_path / "file").complaint

    def test_cluster_before_fit(self, shell, tmp_path) -> None:
        assert "latentviz fit" in shell("cluster", "--outputs", tmp_path).complaint
        assert "latentviz fit" in shell("cluster", "cats", "--outputs", tmp_path).complaint

    def test_an_unknown_run(self, shell, run_folder) -> None:
        assert "Did you mean 'small'?" in shell("cluster", "smal", "--outputs", run_folder.parent).complaint

    def test_a_newer_format(self, shell, run_folder) -> None:
        info = json.loads((run_folder / "run.json").read_text())
        (run_folder / "run.json").write_text(json.dumps({**info, "format_version": 99}))
        assert "upgrade" in shell("cluster", "small", "--outputs", run_folder.parent).complaint

    @pytest.mark.parametrize(
        "word",
        [
            "reduce.method=umpa",
            "cluster.method=hdbscam",
            "cluster.min_cluster_size=1",
            "reduce.n_neighbours=5",
            "model.latent_dim=3",
        ],
    )
    def test_of_cluster(self, shell, run_folder, word) -> None:
        complaint = shell("cluster", "small", word, "--outputs", run_folder.parent).complaint
        assert word.split("=")[0].split(".")[0] in complaint
        assert not (run_folder / "clusters").exists()

    @pytest.mark.parametrize(("name", "content"), [("mu.npy", b""), ("items.parquet", b"PAR1"), ("run.json", b"[]")])
    def test_a_damaged_file(self, shell, run_folder, name, content) -> None:
        (run_folder / name).write_bytes(content)
        assert f"{name}: damaged" in shell("cluster", "small", "--outputs", run_folder.parent).complaint

    def test_latents_of_another_run(self, shell, run_folder) -> None:
        np.save(run_folder / "mu.npy", np.zeros((3, 4), np.float32))
        reseal(run_folder)
        assert "mu.npy: damaged" in shell("cluster", "small", "--outputs", run_folder.parent).complaint

    def test_a_damaged_cache(self, shell, run_folder) -> None:
        (run_folder / "cache" / "images.npy").write_bytes(b"gone")
        assert "images.npy" in shell("cluster", "small", "reduce.method=pca", "--outputs", run_folder.parent).complaint

    @pytest.mark.parametrize("name", ["a/b", ".."])
    def test_a_clustering_s_name_that_is_no_folder_name(self, shell, run_folder, name) -> None:
        complaint = shell("cluster", "small", "--name", name, "--outputs", run_folder.parent).complaint
        assert "not a folder name" in complaint

    def test_a_bug_keeps_its_traceback(self, monkeypatch) -> None:
        def broken(**_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("latentviz.shell.commands.recipes", broken)
        with pytest.raises(ZeroDivisionError):
            main(["recipes"])


@pytest.fixture
def clustered(run_folder, shell):
    """Returns a function that clusters the run quickly and returns the folder of the clustering."""

    def cluster(*words: str, name: str = "default") -> Path:
        said = shell("cluster", "small", *words, "--name", name, "--outputs", run_folder.parent)
        assert said.code == 0, said.err
        assert said.out.splitlines()[-1] == f"map {run_folder / 'clusters' / name / 'map.html'}"
        return run_folder / "clusters" / name

    return cluster


class TestCluster:
    def test_it_writes_what_the_design_says(self, clustered, run_folder) -> None:
        folder = clustered()
        assert {p.name for p in folder.iterdir()} == {
            "config.yaml",
            "points.parquet",
            "coordinates.npy",
            "neighbours.npy",
            "tree.npy",
            "map.html",
            "map.png",
            "map.svg",
            "clusters.json",
        }
        table = pq.read_table(folder / "points.parquet")
        assert table.column_names[:9] == [
            "id",
            "x",
            "y",
            "cluster",
            "nearest_cluster",
            "probability",
            "outlier_score",
            "label",
            "source",
        ]
        assert table.num_rows == 200
        assert table.column("id").to_pylist() == RunFolder(run_folder).items().column("id")
        frame = table.to_pandas()
        assert str(frame["x"].dtype) == "float32"
        assert str(frame["cluster"].dtype) == "int32"
        assert ((frame["cluster"] == -1) | (frame["cluster"] == frame["nearest_cluster"])).all()
        assert (frame.loc[frame["cluster"] == -1, "probability"] == 0).all()
        info = json.loads((folder / "clusters.json").read_text())
        assert info["n_items"] == 200
        assert info["noise_share"] == pytest.approx((frame["cluster"] == -1).mean())
        assert [c["size"] for c in info["clusters"]] == [
            int((frame["cluster"] == c["cluster"]).sum()) for c in info["clusters"]
        ]

    def test_the_same_seed_gives_the_same_points_byte_for_byte(self, clustered) -> None:
        first, again, other = (
            clustered(f"seed_everything={seed}", name=name) for name, seed in (("a", 0), ("b", 0), ("c", 1))
        )
        assert (first / "points.parquet").read_bytes() == (again / "points.parquet").read_bytes()
        assert (first / "points.parquet").read_bytes() != (other / "points.parquet").read_bytes()

    def test_the_settings_that_took_effect_are_accepted_again(self, clustered) -> None:
        settings = yaml.safe_load((clustered(name="a") / "config.yaml").read_text())
        assert "auto" not in (settings["reduce"]["metric"], settings["cluster"]["min_cluster_size"])
        words = [
            f"{section}.{key}={value}" for section in ("reduce", "cluster") for key, value in settings[section].items()
        ]
        again = yaml.safe_load((clustered(*words, name="b") / "config.yaml").read_text())
        assert again["reduce"] == settings["reduce"]
        assert again["cluster"]["min_cluster_size"] == settings["cluster"]["min_cluster_size"]

    def test_an_existing_clustering_is_replaced_with_force_only(self, clustered, shell, run_folder) -> None:
        folder = clustered("reduce.method=pca")
        before = (folder / "points.parquet").read_bytes()
        words = ("cluster", "small", "cluster.method=gmm", "reduce.method=pca", "--outputs", run_folder.parent)
        assert "exists already" in shell(*words).complaint
        assert (folder / "points.parquet").read_bytes() == before
        assert shell(*words, "--force").code == 0
        assert (folder / "points.parquet").read_bytes() != before

    def test_a_mistake_with_force_keeps_the_earlier_clustering(self, clustered, shell, run_folder) -> None:
        folder = clustered("reduce.method=pca")
        assert shell("cluster", "small", "reduce.method=umpa", "--force", "--outputs", run_folder.parent).complaint
        assert (folder / "clusters.json").exists()

    def test_no_cluster_is_a_result_that_is_drawn_and_said(self, clustered, run_folder, shell) -> None:
        random = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
        np.save(run_folder / "mu.npy", random)
        reseal(run_folder)
        folder = clustered("reduce.method=pca", "cluster.min_cluster_size=90")
        info = json.loads((folder / "clusters.json").read_text())
        assert info["n_clusters"] == 0
        assert info["clusters"] == []
        assert any("No cluster was found" in line for line in info["lines"])
        assert (folder / "map.html").stat().st_size > 1000

    def test_fewer_items_than_neighbours_are_refused(self, shell, tmp_path) -> None:
        source = write_digits(tmp_path, 20)
        assert shell("fit", source, *SMALL, "--run", "few", "--outputs", tmp_path).code == 0
        assert "2 to 19 with 20 items" in shell("cluster", tmp_path / "few", "reduce.n_neighbors=50").complaint
        assert shell("cluster", tmp_path / "few", "reduce.n_neighbors=19").code == 0

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("reduce.method=pca",),
            ("cluster.method=gmm",),
            ("reduce.n_components=4",),
            ("cluster.method=gmm", "cluster.n_clusters=16"),
            ("reduce.metric=cosine",),
            ("cluster.min_cluster_size=8",),
            ("cluster.min_samples=15", "cluster.min_cluster_size=5"),
        ],
    )
    def test_sixteen_images_are_clustered_without_a_crash(self, shell, tmp_path, words) -> None:
        source = write_digits(tmp_path, 16)
        assert shell("fit", source, *SMALL, "--run", "few", "--outputs", tmp_path).code == 0
        said = shell("cluster", "few", *words, "--outputs", tmp_path)
        assert said.code == 0, said.err
        table = pq.read_table(tmp_path / "few" / "clusters" / "default" / "points.parquet")
        assert table.num_rows == 16
        assert np.isfinite(table.column("x").to_numpy()).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "--n", "x"], "generate: argument -n/--n: invalid int value: 'x'"),
        (["generate", "--between", "1"], "generate: argument --between: expected 2 arguments"),
        (["fit"], "fit: give a SOURCE: a recipe"),
        (["encode", "digits"], "encode: the following arguments are required: DATA"),
        (["cluster", "one", "two"], "cluster: one RUN at a time"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(shell: Callable, words: list[str], said: str) -> None:
    outcome = shell(*words)
    assert outcome.complaint.startswith(said)
    assert f"`latentviz {words[0]} --help`" in outcome.complaint
    assert len(outcome.err.splitlines()) == 1
