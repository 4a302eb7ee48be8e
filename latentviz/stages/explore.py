"""`latentviz explore`: the map of a clustering, served on this machine, with the run behind it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from latentviz.display import in_browser
from latentviz.errors import LatentvizError
from latentviz.progress import say
from latentviz.queries.lookup import Lookup
from latentviz.runs.run import RunFolder
from latentviz.stages.map import page_of


def explore(
    run: RunFolder, announce: Callable[[str], None], *, clustering: str = "default", port: int = 0, show: bool = False
) -> None:
    """Serves the map until Ctrl-C.

    Args:
        run: the run.
        announce: called with the address when the server listens.
        clustering: its name.
        port: 0 for a free one.
        show: open the browser.

    Raises:
        LatentvizError: starlette or uvicorn are not installed, there is no such clustering, or the port is taken.
    """
    try:
        from latentviz.serving.server import Server
        from latentviz.stages.desk import Desk
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn"}:
            raise
        missing = "explore: needs the packages starlette and uvicorn; run `pip install 'latentviz[explore]'`"
        raise LatentvizError(missing) from None
    folder = run.clustered(clustering)
    desk = Desk(Lookup(run, clustering))
    server = Server(lambda: page, desk.calls, port)  # listens first: a port that is taken is reported at once
    with server.socket, TemporaryDirectory(prefix="latentviz-") as temporary:
        page = page_of(folder, desk.lookup.opened, desk.served)
        announce(server.address)
        if show:
            _open(server.address, Path(temporary))
        server.run()
    if desk.shared.changed:
        say(f"{folder.map_file}: drawn again, with the new annotations")
        desk.shared.redraw(desk.lookup.opened)


def _open(address: str, folder: Path) -> None:
    """Opens an address in the browser by a file that only this user can read: programs' arguments are public."""
    file = folder / "open.html"
    with suppress(OSError):
        file.write_text(f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={address}">', encoding="ascii")
        in_browser(file)
