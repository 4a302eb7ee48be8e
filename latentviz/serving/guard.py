"""Refuses every request that does not come from the page itself, before anything else looks at it."""

import hmac
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
TOKEN_HEADER = "x-latentviz-token"  # noqa: S105 - a name; other sites cannot send it without asking, which is refused
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page has the rest of its policy itself
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Checks host, origin and token of each request, and adds the headers of safety to each answer.

    A host that is another name of this machine is refused: a page of another site could take such a name (DNS
    rebinding). The page's own address has the token as `?token=`; all other requests have it in a header.

    Args:
        app: what answers.
        port: that the server listens on.
        token: the secret.
    """

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self.app, self.token = app, token.encode()
        self.hosts = {f"{host}:{port}" for host in (HOST, "localhost")} | ({HOST, "localhost"} if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or passes the request on."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        refused = self._refused(scope)
        app = PlainTextResponse(f"{refused}\n", 403) if refused else self.app
        await app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> str:
        """Returns why a request is refused, "" if it is not."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return "another host; open the address that `latentviz explore` printed"
        if any(origin.lower() not in {f"http://{host}" for host in self.hosts} for origin in origins):
            return "another origin; open the address that `latentviz explore` printed"
        if scope["path"] == "/":
            given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get("token", [])
        else:
            given = headers.getlist(TOKEN_HEADER)
        if not self._knows(given):
            return "no valid token; open the address that `latentviz explore` printed"
        return ""

    def _knows(self, given: Sequence[str]) -> bool:
        return len(given) == 1 and hmac.compare_digest(given[0].encode("utf-8", "replace"), self.token)
