"""Serves one page, and answers its questions: POST /ask/NAME, JSON in and JSON out."""

import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import uvicorn
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from latentviz.errors import ArgumentError, LatentvizError
from latentviz.progress import one_line
from latentviz.runs.files import without_nan
from latentviz.serving.guard import HOST, Guard

SMALL = 2**16  # bytes of a question without a file
DRAIN = 3  # seconds that answers under way have when the server ends
CONNECTIONS = 128
Answer = Mapping[str, object]


class Question(BaseModel):
    """What the page may ask with a name: its fields, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="null")


class Call(NamedTuple):
    """How questions of one name are answered."""

    question: type[Question]
    answer: Callable[[Any], Answer]  # of a question of this type; a LatentvizError becomes a line on the page
    largest: int = SMALL  # bytes of the question


def application(page: Callable[[], str], calls: Mapping[str, Call], port: int, token: str) -> ASGIApp:
    """Returns the ASGI application of a page and its calls, behind the guard."""

    async def show(_: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(page))

    async def ask(request: Request) -> Response:
        call = calls.get(request.path_params["name"])
        if call is None:
            raise HTTPException(404)
        body = await _body(request, call.largest)
        try:
            question = call.question.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            return _json({"error": one_line(f"{where}: {first['msg']}" if where else first["msg"])}, 422)
        try:
            return _json(await run_in_threadpool(call.answer, question))
        except LatentvizError as error:
            return _json({"error": one_line(str(error), 500)}, 422)

    def line(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)

    routes = [Route("/", show, methods=["GET"]), Route("/ask/{name}", ask, methods=["POST"])]
    app = Starlette(routes=routes, exception_handlers={HTTPException: line, ClientDisconnect: _gone})
    app.router.redirect_slashes = False
    return Guard(app, port, token)


async def _body(request: Request, largest: int) -> bytes:
    """Reads a body, and no more of it than is allowed, whatever length it claims."""
    too_large = HTTPException(413, f"too large; at most {largest:,} bytes")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > largest:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > largest:
            raise too_large
    return bytes(body)


def _json(content: Answer, status: int = 200) -> Response:
    return Response(json.dumps(without_nan(content), allow_nan=False), status, media_type="application/json")


def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


class Server:
    """A server on a port of this machine, listening from the beginning; `address` opens the page.

    Args:
        page: returns the HTML.
        calls: what the page may ask, by name.
        port: 0 for a free one.

    Raises:
        ArgumentError: the port is taken or may not be used.
    """

    def __init__(self, page: Callable[[], str], calls: Mapping[str, Call], port: int = 0) -> None:
        self.socket = _listening(port)
        self.port: int = self.socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24)
        self.address = f"http://{HOST}:{self.port}/?token={self.token}"
        config = uvicorn.Config(
            application(page, calls, self.port, self.token),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=DRAIN,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answers until Ctrl-C, SIGTERM or `stop`."""
        with suppress(KeyboardInterrupt), self.socket:  # uvicorn raises the signal again when it has ended
            self._server.run(sockets=[self.socket])

    def stop(self) -> None:
        """Ends `run`, from another thread."""
        self._server.should_exit = True

    def in_background(self) -> threading.Thread:
        """Runs in a thread of its own; `stop` ends it."""
        thread = threading.Thread(target=partial(self._server.run, sockets=[self.socket]), daemon=True)
        thread.start()
        return thread


def _listening(port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise ArgumentError(f"--port: must be 1 to 65535 (got {port}); leave it out for a free one")
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.bind((HOST, port))
    except OSError as error:
        made.close()
        reason = error.strerror or str(error)
        raise ArgumentError(f"--port: {port} cannot be used ({reason}); leave it out for a free one") from None
    made.listen()
    return made
