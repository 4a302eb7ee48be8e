"""Kills every command many times with SIGKILL and writes how many results were lost: `python benchmarks/soak.py`.

The moments are those of `tests/faults/test_kill.py -m soak`: before chosen changes on the disk, at random ones, and in
each stage of a clustering with UMAP. After each, all artefacts are compared with the old and the new ones, the command
is run again, and all bytes with those of an undisturbed run.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "soak.md"
HEAD = """# Commands killed with SIGKILL

`python benchmarks/soak.py`; lost: an artefact that was neither the old nor the new one, or a result that differs from
an undisturbed run's.

"""


def table(report: str) -> str:
    r"""Returns the counts in a report of pytest as a table.

    >>> print(table("fit   10\nmap    4\nkilled 14, survived 13, lost 1\n  map, Conditions(step=3)"))
    | command | killed | lost |
    |---|---|---|
    | fit | 10 | 0 |
    | map | 4 | 1 |
    | **all** | **14** | **1** |
    """
    counts = re.findall(r"^(\w[\w ]*?(?: --force)?) +(\d+)$", report, re.MULTILINE)
    lost = re.findall(r"^  ([^,]+), ", report, re.MULTILINE)
    found = re.search(r"killed (\d+), survived (\d+), lost (\d+)", report)
    if not found:
        raise SystemExit(f"nothing was killed:\n{report[-2000:]}")
    rows = [f"| {name} | {count} | {lost.count(name)} |" for name, count in counts]
    return "\n".join(
        ["| command | killed | lost |", "|---|---|---|", *rows, f"| **all** | **{found[1]}** | **{found[3]}** |"]
    )


def main() -> None:
    """Runs the soak and writes the table."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/faults/test_kill.py", "-m", "soak", "-q"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    RESULT.write_text(HEAD + table(ended.stdout.split("kill -9")[-1]) + "\n", encoding="utf-8")
    print(RESULT.read_text(encoding="utf-8"))
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
