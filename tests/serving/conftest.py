"""A server in the background, and a client that may say anything to it."""

import http.client
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from latentviz.queries.lookup import Lookup
from latentviz.runs.run import RunFolder
from latentviz.serving.guard import TOKEN_HEADER
from latentviz.serving.server import Server
from latentviz.stages.desk import Desk


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests to a server; `token` None leaves it out."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, **given: Any
    ) -> Answer:
        token, host = given.get("token", self.server.token), given.get("host", f"127.0.0.1:{self.server.port}")
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": host, TOKEN_HEADER: token, **(headers or {})}.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None and "Content-Length" not in (headers or {}):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
        finally:
            connection.close()

    def ask(self, name: str, /, **question: object) -> Answer:
        return self.send("POST", f"/ask/{name}", json.dumps(question).encode())


@pytest.fixture(scope="module")
def mapped(mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a copy of that run, for annotations."""
    return shutil.copytree(mapped, tmp_path_factory.mktemp("served") / mapped.name)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Client]]:
    """Serves a run: `serve(folder, clustering)` returns a client."""
    running = []

    def start(run: Path, clustering: str = "default") -> Client:
        server = Server(lambda: "<p>the page</p>", Desk(Lookup(RunFolder.open(run), clustering)).calls)
        running.append((server, server.in_background()))
        return Client(server)

    yield start
    for server, thread in running:
        server.stop()
        thread.join(10)
        server.socket.close()
