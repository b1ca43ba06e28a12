"""Write the example lab: ``python -m examples FOLDER [--seed N]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from examples.lab import make_lab


def main() -> int:
    """Write the files and say where they are. Status 0: written; 2: the folder cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m examples", description="Write a small synthetic battery lab.")
    parser.add_argument("folder", type=Path, help="where to write; made where it is absent")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other cells (default: 1)")
    arguments = parser.parse_args()
    try:
        files = make_lab(arguments.folder, seed=arguments.seed)
    except OSError as exc:
        sys.stderr.write(f"{arguments.folder}: {exc.strerror or exc}\n")
        return 2
    size = sum(file.stat().st_size for file in files) / 1e6
    sys.stdout.write(f"{len(files)} files, {size:.1f} MB, in {arguments.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
