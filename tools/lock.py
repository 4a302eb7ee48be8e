"""Writes requirements.lock: the packages of the development environment, with the hashes of their files.

uv resolves for every platform within constraints.txt. CUDA's packages are left out: on Linux, torch is pinned to the
build for CPUs where `PIP_FIND_LINKS` or `PIP_EXTRA_INDEX_URL` offers one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = "hatchling\neditables\npip\n"  # what installs latentviz itself, without a build environment of its own
CUDA = re.compile(r"nvidia-|cuda-|triton\b")
HEADER = "# Made by `make lock`, installed by `make locked`. On Linux, torch is the build for CPUs.\n"


def main() -> None:
    """Writes the lock file."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", "3.11", "--no-header", "--no-annotate", "--no-emit-index-url"]
    command += ["--extra", "dev", "--constraint", "constraints.txt", "pyproject.toml", "-"]
    links = {
        "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", ""),
        "UV_EXTRA_INDEX_URL": os.environ.get("PIP_EXTRA_INDEX_URL", ""),
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # as pip: the build with the suffix +cpu is the newer one
    }
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | links, input=BUILD, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    packages = [entry for entry in re.split(r"\n(?=\S)", done.stdout.strip()) if not CUDA.match(entry)]
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(packages) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
