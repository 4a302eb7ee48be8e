"""Whatever is written on the line, in a config or in a condition: exit code 0, or 2 and a line, never a traceback.

`LATENTVIZ_EXAMPLES` says how many of each are tried.
"""

import contextlib
import io
import os
import string
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentviz.errors import ConfigError, LatentvizError
from latentviz.modalities.image.pixels import Unreadable, decode
from latentviz.queries.filter import select
from latentviz.queries.lookup import Lookup
from latentviz.queries.ways import parse_spot, parse_vector
from latentviz.runs.run import RunFolder
from latentviz.shell.cli import COMMANDS, main

MANY = settings(
    max_examples=int(os.environ.get("LATENTVIZ_EXAMPLES", "25")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SECTIONS = ["data", "model", "trainer", "seed_everything", "reduce", "cluster", "map", "x", ""]
KEYS = [
    "kind",
    "path",
    "latent_dim",
    "lr",
    "c",
    "size",
    "batch_size",
    "max_epochs",
    "precision",
    "channels",
    "net",
    "likelihood",
    "patience",
    "val_fraction",
    "callbacks",
    "",
    "a b",
    "ü",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "auto",
            "1e400",
            "-1",
            ".nan",
            "[1, [2]]",
            "{a: 1}",
            "!!python/name:os.system",
            "*x",
            "&a",
            "2001-01-01",
            "0x",
            "~",
            "'",
            '"',
            ": :",
            "\0",
            "\ud800",
        ]
    )
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(SECTIONS + KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def ends_well(*words: str) -> None:
    """Asserts that a command ends with exit code 0, or with 2 and one complaint."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(words))
        except SystemExit as ending:
            code = ending.code or 0
    assert code in {0, 2}, err.getvalue()
    if code == 2:
        assert err.getvalue().strip()
        assert "Traceback" not in err.getvalue()


@MANY
@given(st.lists(st.tuples(st.sampled_from(SECTIONS), st.sampled_from(KEYS), SCALARS), max_size=4))
def test_overrides(triples) -> None:
    ends_well("config", "digits", *(f"{section}.{key}={value}" for section, key, value in triples))


@MANY
@given(st.text(max_size=30))
@example("a" * 5000 + "=1")
@example("data.path=\0")
@example("model=" + "[" * 3000)
@example("model.lr=" + "9" * 5000)
def test_any_word_for_an_override(word) -> None:
    ends_well("config", "digits", word)


@MANY
@given(st.one_of(TREES.map(yaml.safe_dump), st.text(), st.binary()))
@example("data: &a [*a]\n")
@example("a: " + "[" * 2000)
@example("a: &a [1]\nb: &b [*a, *a]\nc: &c [*b, *b]\ndata: {kind: image, path: *c}\n")
@example("data: {kind: [image], path: x}\n")
@example("data: {kind: image, path: 'a\\0b'}\n")
@example("1: 2\n")
@example("trainer: {max_epochs: " + "9" * 5000 + "}\n")
def test_any_text_for_a_config(tmp_path_factory, content) -> None:
    file = tmp_path_factory.getbasetemp() / "mine.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    ends_well("config", str(file))


TABLE = pa.table(
    {
        "cluster": [0, 1, -1],
        "label": ["x", None, "3"],
        "score": [0.5, float("nan"), 1.0],
        "flag": [True, False, None],
        "when": pa.array([1, None, 3], pa.timestamp("s")),
    }
)
NAMES = st.sampled_from([*TABLE.column_names, "lable", "None", "__class__"])
VALUES = st.one_of(st.integers(), st.floats(), st.text(max_size=4), st.booleans(), st.none()).map(repr) | NAMES
PARTS = st.tuples(VALUES, st.sampled_from(["==", "!=", "<", ">=", "in", "not in", "is", "and", "or", "+", "("]), VALUES)


@MANY
@given(
    st.one_of(
        st.text(max_size=40),
        PARTS.map(" ".join),
        st.tuples(PARTS, PARTS).map(lambda two: f"{' '.join(two[0])} and not {' '.join(two[1])}"),
    )
)
@example("(" * 900)
@example("not " * 400 + "flag")
@example("cluster == " + "9" * 1900)
@example("cluster == 1e999")
@example("label in [[1], {}]")
@example("when > 1")
@example("cluster == -True")
@example("label == b'x'")
@example("cluster < label < score")
def test_conditions(condition) -> None:
    with contextlib.suppress(ConfigError):
        found = select(condition, TABLE)
        assert found.shape == (3,)
        assert found.dtype == bool


@pytest.fixture(scope="module")
def lookup(trained: Path) -> Lookup:
    return Lookup(RunFolder.open(trained))


@MANY
@given(st.text(max_size=40) | st.integers().map(str))
@example("9" * 5000)
@example("-" + "9" * 5000)
@example("cluster:" + "9" * 5000)
@example("cluster:²")
@example("²")
@example("a" * 5000)
@example("\0")
@example("\ud800")
@example("/dev/zero")
@example("..")
def test_words_for_items(lookup, word) -> None:
    for find in (lookup.item, lookup.place):
        with contextlib.suppress(LatentvizError):
            assert np.isfinite(find(word).mu).all()
    for parse in (parse_spot, parse_vector):
        with contextlib.suppress(LatentvizError):
            parse(word)


WORDS = st.one_of(
    st.sampled_from(
        [
            "--n",
            "--name",
            "--outputs",
            "nowhere",
            "--run",
            "--json",
            "--at",
            "-1,2",
            "--like",
            "3",
            "-k",
            "--",
            "--vector",
            "a - b",
            "--between",
            "--seed",
            "-1",
            "x=1",
            "model.lr=2",
            "--force",
            "--resume",
            "-h",
            "--where",
            "--cluster",
            "--help",
            "=",
            "--=",
            "-",
            "/nowhere/x.png",
            "\0",
            "\ud800",
        ]
    ),
    st.text(string.printable, max_size=8).filter(lambda word: not Path(word.replace("\0", "") or "x").exists()),
)


@MANY
@given(st.sampled_from([*COMMANDS, "", "fitt", "--version"]), st.lists(WORDS, max_size=5))
def test_any_words_on_the_line(tmp_path_factory, command, words) -> None:
    folder = tmp_path_factory.getbasetemp() / "no runs"
    folder.mkdir(exist_ok=True)
    here = Path.cwd()
    os.chdir(folder)
    try:
        ends_well(*([command] if command else []), *words)
    finally:
        os.chdir(here)


@MANY
@given(
    st.sampled_from(
        ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]
    ),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.sampled_from([1, 3]),
    st.integers(8, 24),
    st.integers(8, 24),
    st.integers(0, 2**32 - 1),
)
def test_images_of_any_mode_and_size(mode, width, height, fit, channels, h, w, seed) -> None:
    depth = {"I": 4, "F": 4, "I;16": 2}.get(mode) or len(Image.new(mode, (1, 1)).getbands())
    raw = np.random.default_rng(seed).bytes(width * height * depth) if mode != "1" else None
    image = Image.new("1", (width, height), seed % 2) if raw is None else Image.frombytes(mode, (width, height), raw)
    with contextlib.suppress(Unreadable), np.errstate(all="ignore"):
        pixels = decode(image, (channels, h, w), fit)
        assert pixels.shape == (channels, h, w)
        assert pixels.dtype == np.uint8
