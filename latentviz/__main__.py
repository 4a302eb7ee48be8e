"""`python -m latentviz` is `latentviz`."""

import os
import signal
import sys


def main() -> int:
    """Runs the command line of this process; Ctrl-C is handled before anything large is imported."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))  # nothing has begun: no need to say so
    from latentviz.shell.process import run

    return run(_command)


def _command() -> int:
    from latentviz.shell.cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
