"""The server answers the page that it gave out, and nobody else; whatever is asked, it has a line and no 500."""

import base64
import http.client
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentviz.errors import ArgumentError, RunError
from latentviz.queries.lookup import Lookup
from latentviz.runs.annotations import Findings, findings
from latentviz.runs.run import RunFolder
from latentviz.serving.server import SMALL, Server
from latentviz.stages.desk import LARGEST_FILE, Desk
from latentviz.stages.sharing import AskAnnotate, AskAnnotations, Shared
from tests.maps.test_browser_hostile import EVIL
from tests.serving.conftest import Client


@pytest.fixture(scope="module")
def client(serve, mapped) -> Client:
    return serve(mapped)


@pytest.fixture(scope="module")
def dense(serve, mapped) -> Client:
    """A client of a clustering by density."""
    import latentviz as lv

    lv.cluster(mapped, name="dense", reduce={"method": "pca"}, cluster={"method": "hdbscan", "min_cluster_size": 7})
    return serve(mapped, "dense")


def png(height: int, width: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(height * width, dtype=np.uint32).astype(np.uint8).reshape(height, width)).save(
        stream, "png"
    )
    return stream.getvalue()


QUESTION = b'{"row": 1}'
# What is refused → method, path, body, headers, and the status.
REFUSED = {
    "no token": ("POST", "/ask/original", QUESTION, {"x-latentviz-token": None}, 403),
    "another token": ("POST", "/ask/original", QUESTION, {"x-latentviz-token": "x" * 32}, 403),
    "no token for the page": ("GET", "/", None, {}, 403),
    "another token for the page": ("GET", "/?token=AAAA", None, {}, 403),
    "no token for nothing": ("GET", "/nothing", None, {"x-latentviz-token": None}, 403),
    "another host": ("POST", "/ask/original", QUESTION, {"Host": "evil.example"}, 403),
    "a name of this host": ("POST", "/ask/original", QUESTION, {"Host": "127.0.0.1.evil.example:1"}, 403),
    "another port": ("POST", "/ask/original", QUESTION, {"Host": "127.0.0.1:1"}, 403),
    "no host": ("POST", "/ask/original", QUESTION, {"Host": None}, 400),
    "another origin": ("POST", "/ask/original", QUESTION, {"Origin": "http://evil.example"}, 403),
    "another port's origin": ("POST", "/ask/original", QUESTION, {"Origin": "http://127.0.0.1:1"}, 403),
    "no origin": ("POST", "/ask/original", QUESTION, {"Origin": "null"}, 403),
    "a question before a question of another origin": (
        "OPTIONS",
        "/ask/original",
        None,
        {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST", "x-latentviz-token": None},
        403,
    ),
    "another method": ("GET", "/ask/original", None, {}, 405),
    "another name": ("POST", "/ask/nothing", QUESTION, {}, 404),
    "out of the folder": ("POST", "/ask/../../../etc/passwd", QUESTION, {}, 404),
    "out of the folder, encoded": ("POST", "/ask/%2e%2e%2f%2e%2e%2fetc%2fpasswd", QUESTION, {}, 404),
    "a file": ("GET", "/map.html", None, {}, 404),
    "the server's own pages": ("GET", "/docs", None, {}, 404),
    "a large body": ("POST", "/ask/original", b" " * (SMALL + 1), {}, 413),
    "a body that claims to be large": ("POST", "/ask/original", QUESTION, {"Content-Length": str(2**40)}, 413),
    "no JSON": ("POST", "/ask/original", b"\xff\x00", {}, 422),
    "no object": ("POST", "/ask/original", b"[1]", {}, 422),
    "deep": ("POST", "/ask/original", b"[" * 60_000, {}, 422),
    "another field": ("POST", "/ask/original", b'{"row": 1, "path": "/etc/passwd"}', {}, 422),
    "a path for a number": ("POST", "/ask/original", b'{"row": "../../etc/passwd"}', {}, 422),
    "a row too many": ("POST", "/ask/original", b'{"row": 200}', {}, 422),
    "a negative row": ("POST", "/ask/original", b'{"row": -1}', {}, 422),
    "a number too large": ("POST", "/ask/original", b'{"row": 1' + b"0" * 400 + b"}", {}, 422),
    "no number": ("POST", "/ask/decode", b'{"x": NaN, "y": 0}', {}, 422),
    "far away": ("POST", "/ask/decode", b'{"x": 1e300, "y": 0}', {}, 422),
    "no condition": ("POST", "/ask/rows", b'{"where": "__import__(\'os\')"}', {}, 422),
    "no column": ("POST", "/ask/rows", b'{"sort": "no such"}', {}, 422),
    "too many rows": ("POST", "/ask/rows", b'{"count": 100000}', {}, 422),
    "a text for images": ("POST", "/ask/place", b'{"text": "/etc/passwd"}', {}, 422),
    "nothing to place": ("POST", "/ask/place", b"{}", {}, 422),
    "no base64": ("POST", "/ask/place", b'{"file": "%%%"}', {}, 422),
    "no layout to cluster again": ("POST", "/ask/again", b'{"size": 9}', {}, 422),
    "no clusters to keep": ("POST", "/ask/keep", b'{"size": 9, "name": "x"}', {}, 422),
    "an unknown cluster": ("POST", "/ask/annotate", b'{"names": [[77, "x"]]}', {}, 422),
    "a merge into none": ("POST", "/ask/annotate", b'{"merges": [[0, 77]]}', {}, 422),
    "a chain of merges": ("POST", "/ask/annotate", b'{"merges": [[0, 1], [1, 2]]}', {}, 422),
    "a tag of no item": ("POST", "/ask/annotate", b'{"tags": [["x", [200], []]]}', {}, 422),
    "a note on no item": ("POST", "/ask/annotate", b'{"notes": [[200, "x"]]}', {}, 422),
    "a tag that is empty": ("POST", "/ask/annotate", b'{"tags": [["", [1], []]]}', {}, 422),
    "half a character": ("POST", "/ask/annotate", b'{"notes": [[1, "\\ud800"]]}', {}, 422),
    "no image": ("POST", "/ask/place", b'{"file": "AAAA", "suffix": ".png"}', {}, 422),
    "a path for a suffix": ("POST", "/ask/place", b'{"file": "AAAA", "suffix": "/../../x"}', {}, 422),
}


class TestGuard:
    @pytest.mark.parametrize("case", REFUSED)
    def test_it_refuses(self, client, case) -> None:
        method, path, body, headers, status = REFUSED[case]
        host = {"host": headers["Host"]} if "Host" in headers else {}
        token = {"token": headers["x-latentviz-token"]} if "x-latentviz-token" in headers else {}
        rest = {name: value for name, value in headers.items() if name not in {"Host", "x-latentviz-token"}}
        answer = client.send(method, path, body, rest, **host, **token)
        assert answer.status == status
        assert b"root:" not in answer.body
        assert b"Traceback" not in answer.body
        if status == 422:
            assert len(answer.json["error"].splitlines()) == 1

    def test_the_page_has_the_token_in_its_address(self, client) -> None:
        answer = client.send("GET", f"/?token={client.server.token}", token=None)
        assert (answer.status, answer.body) == (200, b"<p>the page</p>")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers

    def test_its_own_origin_is_answered(self, client) -> None:
        origin = {"Origin": f"http://127.0.0.1:{client.server.port}"}
        assert client.send("POST", "/ask/original", QUESTION, origin).status == 200

    def test_it_listens_on_this_machine_alone(self, client) -> None:
        assert client.server.socket.getsockname()[0] == "127.0.0.1"

    @pytest.mark.parametrize("port", [-1, 2**16])
    def test_a_port_that_none_is(self, port) -> None:
        with pytest.raises(ArgumentError, match=r"port: must be 1 to 65535 \(got"):
            Server(str, {}, port)

    def test_a_port_that_is_taken(self, client) -> None:
        with pytest.raises(ArgumentError, match=rf"port: {client.server.port} cannot be used"):
            Server(str, {}, client.server.port)


rows = st.lists(st.integers(-1, 210), max_size=4)
clusters = st.one_of(st.none(), st.integers(-1, 6))
texts = st.one_of(st.sampled_from(EVIL), st.text(max_size=40))
words = st.one_of(st.none(), st.text("ab\ud800", max_size=3), texts.map(lambda text: text[:300]))
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(plain, lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3))
conditions = st.one_of(
    texts,
    st.tuples(
        st.sampled_from(["cluster", "label", "x", "id", "3", "'a'", "None"]),
        st.sampled_from(["==", "<", "in", "not in", "is", "+", "and"]),
        st.sampled_from(["cluster", "label", "x", "id", "3", "'a'", "None", "[1, 'a']", "()"]),
    ).map(" ".join),
)
fields = {
    "row": st.one_of(st.integers(-1, 210), values),
    "x": st.one_of(st.floats(), values),
    "y": st.one_of(st.floats(), values),
    "where": st.one_of(conditions, values),
    "sort": st.one_of(st.sampled_from(["id", "x", "cluster", "label", "source", "split"]), values),
    "descending": st.one_of(st.booleans(), values),
    "start": st.one_of(st.integers(-1, 300), values),
    "count": st.one_of(st.integers(-1, 600), values),
    "text": values,
    "file": st.one_of(st.binary(max_size=60).map(lambda part: base64.b64encode(part).decode()), values),
    "size": st.one_of(st.integers(0, 60), values),
    "name": st.one_of(st.sampled_from(["kept", "default", "a/b", ".", ".."]), texts, values),
    "since": values,
    "names": st.one_of(st.lists(st.tuples(clusters, words), max_size=3), values),
    "merges": st.one_of(st.lists(st.tuples(clusters, clusters), max_size=2), values),
    "splits": st.one_of(st.lists(st.tuples(clusters, rows), max_size=3), values),
    "tags": st.one_of(st.lists(st.tuples(words, rows, rows), max_size=3), values),
    "notes": st.one_of(st.lists(st.tuples(st.integers(-1, 210), words), max_size=3), values),
    "suffix": st.one_of(st.sampled_from([".png", ".npy", ".csv.gz", ".zip", "x", "/.."]), values),
}
OF = {
    "original": ["row"],
    "decode": ["x", "y"],
    "place": ["text", "file", "suffix"],
    "rows": ["where", "sort", "descending", "start", "count"],
    "matching": ["where"],
    "again": ["size"],
    "keep": ["size", "name"],
    "annotations": ["since"],
    "annotate": ["since", "names", "merges", "splits", "tags", "notes"],
}


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from([*OF, "nothing"]))
    asked = {field: draw(fields[field]) for field in OF.get(name, ["row"]) if draw(st.integers(0, 4))}
    body = json.dumps(asked).encode()
    return name, draw(st.binary(max_size=30)) if draw(st.integers(0, 9)) == 0 else body


def test_every_call_is_asked(mapped) -> None:
    assert set(OF) == set(Desk(Lookup(RunFolder.open(mapped))).calls)


@settings(max_examples=int(os.environ.get("LATENTVIZ_EXAMPLES", "400")), suppress_health_check=[*HealthCheck])
@given(questions())
@example(("rows", b'{"where": "x < \'a\'"}'))
@example(("rows", b'{"where": "label < 3", "sort": "label", "descending": true}'))
@example(("place", b'{"file": "", "suffix": ".npy"}'))
@example(("annotate", b'{"splits": [[5, [1, 1]], [6, [1]], [null, [2]]], "names": [[5, "\\u0000"]]}'))
@example(("keep", b'{"size": 5, "name": "<img src=x>"}'))
@example(("keep", b'{"size": 5, "name": "default"}'))
def test_whatever_is_asked_is_answered(client, dense, asked) -> None:
    name, body = asked
    answer = (dense if name in {"again", "keep"} else client).send("POST", f"/ask/{name}", body)
    assert answer.status in {200, 404, 422}, (asked, answer.body)
    assert set(answer.json) == {"error"} if answer.status == 422 else answer.status == 404 or "error" not in answer.json


class TestAnswers:
    def test_rows_are_sorted_filtered_and_paged(self, client, mapped) -> None:
        points = RunFolder.open(mapped).clustering().points().to_pandas()
        expected = points[points.cluster == 1].sort_values("x", ascending=False, kind="stable")
        found = client.ask("rows", where="cluster == 1", sort="x", descending=True, start=3, count=5).json
        assert found["total"] == len(expected)
        assert found["rows"] == expected.index[3:8].tolist()
        names = [column["name"] for column in found["columns"]]
        assert found["cells"][names.index("id")] == expected["id"].iloc[3:8].tolist()
        assert sorted(client.ask("matching", where="cluster == 1").json["rows"]) == sorted(expected.index)

    def test_a_spot_is_decoded_as_generate_does(self, client, mapped) -> None:
        import latentviz as lv

        point = lv.open(mapped).clustering().points.iloc[5]
        made = lv.generate(mapped, at=(float(point.x), float(point.y)), name="exact", force=True)
        found = client.ask("decode", x=float(point.x), y=float(point.y)).json
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["image"].partition(",")[2]))))
        assert (pixels == made.outputs[0][0]).all()
        assert found["near"] == made.info["near_data"]

    def test_a_new_item_lands_where_encode_puts_it(self, client, mapped, tmp_path) -> None:
        import latentviz as lv

        (tmp_path / "new.png").write_bytes(png(30, 20))
        placed = lv.encode(mapped, tmp_path / "new.png", name="new", force=True).points.iloc[0]
        found = client.ask("place", file=base64.b64encode(png(30, 20)).decode(), suffix=".png").json
        assert (found["x"], found["y"]) == pytest.approx((placed.x, placed.y))
        assert (found["cluster"], found["unlike"]) == (placed.cluster, placed.unlike)
        assert [near["row"] for near in found["near"]] == lv.recommend(
            mapped, str(tmp_path / "new.png"), k=12
        ).nearest.rows.tolist()

    def test_clusters_of_another_size_are_those_of_cluster(self, dense, mapped) -> None:
        import latentviz as lv

        lv.cluster(mapped, name="five", reduce={"method": "pca"}, cluster={"method": "hdbscan", "min_cluster_size": 5})
        for name, size in (("dense", 7), ("five", 5)):
            expected = RunFolder.open(mapped).clustering(name).points().column("cluster").to_pylist()
            found = dense.ask("again", size=size).json
            assert found["labels"] == expected
            assert (found["clusters"], found["noise"]) == (max(expected) + 1, expected.count(-1) / len(expected))
        assert dense.ask("keep", size=7, name="again").json["error"].startswith("size: dense has the clusters of 7")
        assert not RunFolder.open(mapped).clustering("again").finished

    def test_a_file_that_is_too_large(self, client) -> None:
        content = base64.b64encode(bytes(LARGEST_FILE + 1)).decode()
        assert client.ask("place", file=content, suffix=".png").json["error"].startswith("file: must have")


def test_originals_come_from_the_source_at_full_size_and_else_from_the_cache(serve, tmp_path) -> None:
    import latentviz as lv

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(24):
        Image.fromarray(rng.integers(0, 255, (40, 30 + number, 3), np.uint8)).save(pictures / f"{number:02}.png")
    run = lv.fit(
        pictures,
        outputs=tmp_path,
        run="run",
        data={"size": 8, "batch_size": 8},
        model={"latent_dim": 3, "width": 4, "neighbors": 2},
        trainer={"max_epochs": 1},
    )
    lv.cluster(run, reduce={"method": "pca"}, cluster={"method": "gmm", "n_clusters": 2})
    client = serve(run.path)
    (pictures / "07.png").write_bytes(b"gone")
    (pictures / "new.png").write_bytes(png(9, 9))  # what is added does not shift the others
    row = run.items["id"].tolist().index("11.png")
    found = client.ask("original", row=row).json
    assert (found["from"], found["width"], found["height"]) == ("source", 41, 40)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["image"].partition(",")[2]))))
    assert (pixels == np.asarray(Image.open(pictures / "11.png"))).all()
    damaged = client.ask("original", row=run.items["id"].tolist().index("07.png")).json
    assert (damaged["from"], damaged["width"]) == ("cache", 8)
    assert "07.png" in damaged["why"]


class TestAnnotations:
    @pytest.fixture
    def own(self, mapped, tmp_path) -> Path:
        import latentviz as lv

        run = shutil.copytree(mapped, tmp_path / "run")
        lv.annotate(run, {key: {} for key in ("names", "merges", "splits", "tags", "notes")})
        return run

    @pytest.fixture
    def shared(self, own) -> Shared:
        return Shared(RunFolder.open(own).clustered("default"))

    @staticmethod
    def found(run: Path) -> Findings:
        folder = RunFolder.open(run).clustering()
        return findings(folder.points(), folder.info())

    def test_what_is_answered_is_in_the_run(self, shared, own) -> None:
        ids = RunFolder.open(own).clustering().points().column("id").to_pylist()
        change = AskAnnotate(
            names=[(0, "zero"), (9, "nine")],
            merges=[(1, 0)],
            splits=[(9, [4, 5])],
            tags=[("odd", [1, 2, 3], []), ("b", [3], [])],
            notes=[(7, "look")],
        )
        first = shared.change(change)
        found = self.found(own)
        assert (found.names[9], found.merges[1], sorted(found.splits[9])) == ("nine", 0, sorted([ids[4], ids[5]]))
        assert found.tags == {ids[1]: ["odd"], ids[2]: ["odd"], ids[3]: ["odd", "b"]}
        assert found.notes == {ids[7]: "look"}
        assert dict(first["found"]["tags"])["odd"] == [1, 2, 3]
        back = AskAnnotate(
            since=first["version"],
            names=[(9, None)],
            merges=[(1, None)],
            splits=[(None, [5]), (2, [4])],
            tags=[("odd", [], [2, 8])],
            notes=[(7, None)],
        )
        assert [*shared.change(back)] == ["version"], "the page knows its own change"
        found = self.found(own)
        assert (9 in found.names, 1 in found.merges, found.splits[2]) == (False, False, [ids[4]])
        assert (ids[2] in found.tags, found.tags[ids[3]], ids[7] in found.notes) == (False, ["odd", "b"], False)

    def test_a_page_hears_of_what_others_change(self, shared, own) -> None:
        import latentviz as lv

        version = shared.read(AskAnnotations())["version"]
        assert shared.read(AskAnnotations(since=version)) == {"version": version}
        item = RunFolder.open(own).clustering().points().column("id").to_pylist()[9]
        lv.annotate(own, {"tags": {item: ["from elsewhere"]}})
        heard = shared.change(AskAnnotate(since=version, tags=[("mine", [9], [])]))
        assert dict(heard["found"]["tags"]) == {"from elsewhere": [9], "mine": [9]}

    def test_another_clustering_in_its_place_is_refused(self, shared, own) -> None:
        import latentviz as lv

        settings = {"reduce": {"method": "pca"}, "cluster": {"method": "gmm", "n_clusters": 2}}
        lv.cluster(own, force=True, **settings)
        for ask in (lambda: shared.read(AskAnnotations()), lambda: shared.change(AskAnnotate(notes=[(1, "x")]))):
            with pytest.raises(RunError, match="was clustered again"):
                ask()
        assert not self.found(own).notes
        assert Shared(RunFolder.open(own).clustered("default")).change(AskAnnotate(notes=[(1, "x")]))["version"]

    def test_it_waits_for_another_writer(self, shared, own) -> None:
        with ThreadPoolExecutor(1) as pool, RunFolder.open(own).clustering().held("annotate"):
            writing = pool.submit(shared.change, AskAnnotate(notes=[(1, "waited")]))
            time.sleep(0.2)
            assert not writing.done()
        assert writing.result(30)["version"]
        assert "waited" in self.found(own).notes.values()

    def test_who_reads_meanwhile_finds_one_state(self, shared, own) -> None:
        def write() -> None:
            for number in range(30):  # every second change leaves the points as they are
                tags = [("a tag", [number], [])] if number % 2 else []
                shared.change(AskAnnotate(names=[(0, f"name {number}")], tags=tags))

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                RunFolder.open(own).clustering().points()
            writing.result()
        found = self.found(own)
        assert (found.names[0], sum(tags == ["a tag"] for tags in found.tags.values())) == ("name 29", 15)

    def test_a_killed_server_loses_no_tag(self, own, tmp_path) -> None:
        with running(own, tmp_path) as (process, client):
            kept, tagging = [], threading.Event()

            def tag() -> None:
                for number in range(10_000):
                    try:
                        if client.ask("annotate", tags=[(f"tag {number}", [number % 50], [])]).status != 200:
                            return
                    except (OSError, http.client.HTTPException):
                        return
                    kept.append(f"tag {number}")
                    if number == 5:
                        tagging.set()

            with ThreadPoolExecutor(1) as pool:
                pool.submit(tag)
                assert tagging.wait(60)
                time.sleep(random.uniform(0, 0.1))
                process.kill()
        there = {tag for tags in self.found(own).tags.values() for tag in tags}
        assert len(kept) > 5
        assert not set(kept) - there
        Shared(RunFolder.open(own).clustered("default")).change(AskAnnotate(tags=[("after", [0], [])]))


@contextmanager
def running(run: Path, cwd: Path) -> Iterator[tuple[subprocess.Popen, Client]]:
    """Runs the command, and waits until it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "latentviz", "explore", str(run), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        try:
            line = process.stdout.readline()
            start = f"map http://127.0.0.1:{port}/?token="
            assert line.startswith(start)
            time.sleep(0.3)
            yield process, Client(SimpleNamespace(port=port, token=line[len(start) :].strip()))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(mapped, tmp_path, number) -> None:
    drawn = RunFolder.open(mapped).clustering().map_file
    before = drawn.stat().st_mtime_ns
    with running(mapped, tmp_path) as (process, client):
        if number == signal.SIGINT:
            assert client.ask("annotate", notes=[[1, "new"]]).status == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.splitlines()[-1] == f"{mapped}: no longer served"
    assert "Traceback" not in errors
    assert not [file for file in Path(mapped).rglob("*") if file.name.startswith(".clusters-")]
    assert (drawn.stat().st_mtime_ns > before) == (number == signal.SIGINT), "drawn again with new annotations"
