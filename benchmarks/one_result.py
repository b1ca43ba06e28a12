"""What an established package makes of a file: the numbers of its table, from a process in its own environment.

The process is this module as a program, ``PYTHON -m benchmarks.one_result NAME PATH OPTIONS``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.analysts import ANALYSTS
from benchmarks.contenders import loaded
from benchmarks.one_reader import Peers

_ROOT = Path(__file__).parents[1]

Numbers = dict[str, list[float]]


def result_of(name: str, path: Path, options: dict[str, Any], peers: Peers) -> Numbers | None:
    """Return the numeric columns of a package's result; None where it is not installed.

    Raises:
        RuntimeError: It failed.
    """
    python = peers(ANALYSTS[name].apart)
    if python is None:
        return None
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:  # some write settings and logs
        there = os.environ | {"HOME": home, "PYTHONPATH": str(_ROOT)}
        command = [python, "-m", "benchmarks.one_result", name, str(path.resolve()), json.dumps(options)]
        done = subprocess.run(command, cwd=home, env=there, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} fails: {(done.stderr.splitlines() or ['without a word'])[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Analyse, and print the numeric columns in one line of JSON."""
    name, path, options = sys.argv[1:]
    table = loaded(ANALYSTS[name], json.loads(options))(path)
    columns = {str(column): table[column].to_numpy() for column in table.columns}
    print(json.dumps({column: values.tolist() for column, values in columns.items() if values.dtype.kind in "fiu"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
