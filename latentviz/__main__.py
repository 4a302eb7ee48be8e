"""`python -m latentviz` is `latentviz`."""

import sys

from latentviz.shell.cli import main

if __name__ == "__main__":
    sys.exit(main())
