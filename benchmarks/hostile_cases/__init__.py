"""The cases of `benchmarks/hostile.py`, by group: tables of what is tried, and what is drawn at random."""

import random
from collections.abc import Callable, Iterator

from hostile_cases import around, damage, draws, tables
from hostile_cases.tables import Case, every

ALL = (*tables.READING, *(("py", call) for call in tables.IN_PYTHON))
LOADING = [line for line in tables.READING if line.split()[0] in {"generate", "encode", "export", "evaluate", "fit"}]
FITS = ("fit DATA --run x --force TINY", "runs", "fit DATA --run x TINY")

GROUPS: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    "lines": lambda _: every([""], tables.LINES),
    "foreign": lambda _: every(tables.FOREIGN, FITS, 3),
    "planted": lambda _: every(tables.IN_RUN, ALL, 8),
    "links": lambda _: every([damage.random_link(line) for line in tables.LINKS], ALL, 12),
    "bytes": lambda _: every([damage.bytes_changed] * 120, tables.READING, 1),
    "json": lambda _: every([damage.json_changed] * 250, ALL, 1),
    "yaml": lambda _: every([damage.yaml_changed] * 80, tables.READING, 1),
    "arrays": lambda _: every([damage.array_changed] * 200, tables.READING, 1),
    "weights": lambda _: every([damage.weights_changed] * 40, LOADING, 1),
    "locked": around.locked,
    "settings": draws.random_settings,
    "trainer": draws.random_trainers,
    "words": draws.random_words,
    "names": draws.random_names,
    "python": draws.random_calls,
    "surroundings": around.surrounded,
    "stopped": around.stopped,
    "starts": around.starts,
}
