"""What it costs to read or analyse one file: each contender in a process of its own, working in turn.

A process is this module as a program, ``PYTHON -m benchmarks.one_reader NAME PATH OPTIONS``: it imports, reads once and
prints what that took of memory; then it reads once more, and prints the seconds, for every line that it gets.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.analysts import ANALYSTS
from benchmarks.contenders import CONTENDERS, loaded
from benchmarks.measuring import growth, seconds

TIMES = 5
_ROOT = Path(__file__).parents[1]
_LONGEST_REASON = 120
_ALL = CONTENDERS | ANALYSTS

Peers = Callable[[str], Path | None]
"""Finds the interpreter of an environment of peers, None where it is absent."""


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


def costs(path: Path, readers: dict[str, dict[str, Any]], peers: Peers, times: int = TIMES) -> dict[str, Cost]:
    """Measure readers with their options; they take turns, so that all meet the same other load.

    Args:
        path: The file.
        readers: Names in ``CONTENDERS`` or ``ANALYSTS``, and the options of each.
        peers: Where contenders live that live apart.
        times: How often each reads after the first time.
    """
    with ExitStack() as stack:
        running = {name: stack.enter_context(_Running(name, path, options, peers)) for name, options in readers.items()}
        first = {name: process.first() for name, process in running.items()}
        able = [name for name, cost in first.items() if not cost.fault]
        rounds = [{name: running[name].again() for name in able} for _ in range(times)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in able}
    return {name: replace(cost, seconds=medians.get(name, 0.0)) for name, cost in first.items()}


class _Running(ExitStack):
    """The process of one reader, from its start to its end."""

    def __init__(self, name: str, path: Path, options: dict[str, Any], peers: Peers) -> None:
        super().__init__()
        self._command = [str(path.resolve()), json.dumps(options)]
        self._name = name
        apart = _ALL[name].apart
        self._python = peers(apart) if apart else sys.executable

    def first(self) -> Cost:
        """Start, and wait until the file is read once."""
        if self._python is None:
            return Cost(fault="not installed")
        home = self.enter_context(tempfile.TemporaryDirectory(prefix="bench-home-"))  # some write settings and logs
        self._said = self.enter_context(tempfile.TemporaryFile("w+", errors="replace"))  # noqa: SIM115
        command = [self._python, "-m", "benchmarks.one_reader", self._name, *self._command]
        there = os.environ | {"HOME": home, "PYTHONPATH": str(_ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._said}
        self._process = self.enter_context(subprocess.Popen(command, cwd=home, env=there, text=True, **pipes))
        return Cost(**answer) if (answer := self._answer()) else Cost(fault=f"fails ({self._reason()})")

    def again(self) -> float:
        """Read once more; returns the seconds."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def _answer(self) -> dict[str, Any]:
        """The next line in JSON, past what the reader itself prints; empty at the end."""
        for line in self._process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        return {}

    def _reason(self) -> str:
        self._said.seek(0)
        lines = self._said.read().splitlines() or ["without a word"]
        return lines[-1][:_LONGEST_REASON]


def main() -> int:
    """Read as often as asked."""
    name, path, options = sys.argv[1:]
    try:
        read = loaded(_ALL[name], json.loads(options))
    except (ModuleNotFoundError, FileNotFoundError):
        print(json.dumps({"fault": "not installed"}), flush=True)
        return 0
    _start_polars()
    table, megabytes = growth(lambda: read(path))
    records = len(table) if hasattr(table, "columns") or isinstance(table, list) else None
    size = table.estimated_size("mb") if hasattr(table, "estimated_size") else None
    del table
    print(json.dumps({"megabytes": megabytes, "records": records, "frame_megabytes": size}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"seconds": seconds(lambda: read(path))}), flush=True)
    return 0


def _start_polars() -> None:
    """Let its threads start and its engine load, where a contender has imported it: 16 MB once in a process."""
    if polars := sys.modules.get("polars"):
        frame = polars.DataFrame({"number": [1.0, 2.0], "word": ["a", "b"]})
        frame.lazy().select(polars.col("number").cum_sum(), polars.col("word").str.len_chars()).collect()


if __name__ == "__main__":
    sys.exit(main())
