"""`python -m latentviz` is `latentviz`."""

import sys

from latentviz.cli import main

sys.exit(main())
