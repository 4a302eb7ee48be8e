"""Kill every command many times with SIGKILL and count the lost results: `python benchmarks/soak.py`.

The kills are those of `tests/faults/test_kill.py -m soak`: before chosen file operations, at random moments, and in
each stage of a clustering with UMAP. After each kill, all artefacts must equal the old or the new ones; then the
command is run again, and all bytes must equal those of an undisturbed run.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "soak.md"
HEAD = """# Commands killed with SIGKILL

Written by `python benchmarks/soak.py`. Lost: an artefact that was neither the old nor the new one, or a result that
differs from that of an undisturbed run.

"""


def table(report: str) -> str:
    r"""Format the counts in a pytest report as a table.

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
    """Run the soak test and write the table."""
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
