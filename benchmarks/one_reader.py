"""What it costs one reader to read one file, in a process of its own, whose imports do not count.

The process is this module as a program: ``PYTHON -m benchmarks.one_reader NAME PATH OPTIONS`` prints a ``Cost`` as
JSON, or ends with the error of the reader.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, load
from benchmarks.measuring import growth, median_seconds

TIMES = 5
_ROOT = Path(__file__).parents[1]
_LONGEST_REASON = 120


@dataclass(frozen=True)
class Cost:
    """Median time of warm reads, peak memory of the first, and its records and MB where the reader gives a table.

    ``fault`` says instead why there is nothing to measure.
    """

    seconds: float = 0.0
    megabytes: float = 0.0
    records: int | None = None
    frame_megabytes: float | None = None
    fault: str | None = None


def cost(name: str, path: Path, options: dict[str, Any], peers: Path | None) -> Cost:
    """Measure; ``peers`` is the interpreter for contenders that live apart, None where there is none."""
    python = peers if CONTENDERS[name].apart else sys.executable
    if python is None:
        return Cost(fault="not installed")
    command = [python, "-m", "benchmarks.one_reader", name, path.resolve(), json.dumps(options)]
    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:  # some write settings and logs
        there = os.environ | {"HOME": home, "PYTHONPATH": str(_ROOT)}
        done = subprocess.run(command, cwd=home, env=there, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines() or [f"status {done.returncode}"]
        return Cost(fault=f"fails ({said[-1][:_LONGEST_REASON]})")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Print the cost of one reader."""
    name, path, options = sys.argv[1:]
    print("\n" + json.dumps(asdict(_measured(lambda: load(name, json.loads(options)), path))))
    return 0


def _measured(importing: Callable[[], Callable[[str], Any]], path: str) -> Cost:
    try:
        read = importing()
    except (ModuleNotFoundError, FileNotFoundError):
        return Cost(fault="not installed")
    _start_polars()
    table, megabytes = growth(lambda: read(path))
    records = len(table) if hasattr(table, "columns") or isinstance(table, list) else None
    size = table.estimated_size("mb") if hasattr(table, "estimated_size") else None
    del table
    return Cost(median_seconds(lambda: read(path), TIMES), megabytes, records, size)


def _start_polars() -> None:
    """Let its threads start and its engine load, where a contender has imported it: 16 MB once in a process."""
    if polars := sys.modules.get("polars"):
        frame = polars.DataFrame({"number": [1.0, 2.0], "word": ["a", "b"]})
        frame.lazy().select(polars.col("number").cum_sum(), polars.col("word").str.len_chars()).collect()


if __name__ == "__main__":
    sys.exit(main())
