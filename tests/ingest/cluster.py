"""A Dask cluster on loopback: a scheduler and workers, as processes that share no folder with the importing one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0


class Cluster:
    """Processes of one cluster."""

    def __init__(self, folder: Path, port: str = "0") -> None:
        self._folder = folder
        self._children: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.scheduler = self._start("dask_scheduler", "--port", port, "--scheduler-file", str(file))
        self.address = str(json.loads(_eventually(file))["address"])

    def add_worker(self, preload: str = "") -> subprocess.Popen[bytes]:
        """Start a worker, which runs some code first."""
        number = len(self._children)
        options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder / f"worker {number}")]
        if preload:
            code = self._folder / f"preload_{number}.py"
            code.write_text(preload)
            options += ["--preload", str(code)]
        return self._start("dask_worker", self.address, *options)

    @property
    def first_worker(self) -> subprocess.Popen[bytes]:
        """The worker that was started first."""
        return self._children[1]

    def stop(self) -> None:
        """End all processes."""
        for child in reversed(self._children):
            child.kill()
            child.wait()

    def _start(self, module: str, *args: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", f"distributed.cli.{module}", *args, "--host", "127.0.0.1", "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        log = (self._folder / f"{module} {len(self._children)}.log").open("wb")
        with log:
            child = subprocess.Popen(words, cwd=self._folder, env=environment, stdout=log, stderr=log)
        self._children.append(child)
        return child


@contextmanager
def cluster(folder: Path, workers: int = 1, preload: str = "") -> Iterator[Cluster]:
    """Start a cluster for a block."""
    folder.mkdir(parents=True, exist_ok=True)
    started = Cluster(folder)
    try:
        for _ in range(workers):
            started.add_worker(preload)
        yield started
    finally:
        started.stop()


def _eventually(file: Path) -> str:
    until = time.monotonic() + SECONDS
    while not (file.exists() and file.read_text().strip().endswith("}")):
        if time.monotonic() > until:
            raise AssertionError(f"{file.parent}: no scheduler within {SECONDS} s")
        time.sleep(0.05)
    return file.read_text()
