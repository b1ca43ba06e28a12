"""Watching: how soon a file is searchable, and what a large tree costs at the start and while nothing happens."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Thread

import psutil

from benchmarks.faults.stage import Command, Stage, eventually, stage
from benchmarks.measuring import Row
from examples.bulk import write_many_csv

ARRIVALS = 100
ARRIVAL_SECONDS = 60.0
DEBOUNCE_SECONDS = 1.0
LOOK_SECONDS = 0.02

TREE_FILES = 100_000
PATHS_OF_A_TEST = 50
"""Files of the large tree are links to this many times fewer, so that storing them takes minutes and not hours."""

IDLE_SECONDS = 330.0
"""Long enough for a rescan."""


def run(arrivals: int = ARRIVALS, tree_files: int = TREE_FILES, idle_seconds: float = IDLE_SECONDS) -> Iterator[Row]:
    """Measure."""
    with stage() as scene:
        delays = _delays(scene, arrivals)
    median, slowest, most = statistics.median(delays), max(delays), DEBOUNCE_SECONDS + 1.0
    yield Row(
        f"{arrivals} files, {ARRIVALS / ARRIVAL_SECONDS * 60:.0f} a minute: last byte to searchable test",
        f"{median:.2f} s at the median, {slowest:.2f} s at most",
        f"median <= debounce + 1 s = {most:.1f} s",
        median <= most,
    )
    with stage() as scene:
        start, share, megabytes = _at_rest(scene, tree_files, idle_seconds)
    what = f"tree of {tree_files:,} stored files"
    yield Row(f"{what}: start to all looked at", f"{start:.1f} s", "< 60 s", start < 60)
    yield Row(f"{what}: processor over {idle_seconds:.0f} s at rest", f"{share:.2%} of a core", "< 1 %", share < 0.01)
    yield Row(f"{what}: memory at rest", f"{megabytes:.0f} MB", "< 200 MB", megabytes < 200)


def _delays(scene: Stage, arrivals: int) -> list[float]:
    """Let files arrive under a watcher and return the s from each one's last byte to its test."""
    scene.tree.mkdir()
    contents = [path.read_bytes() for path in write_many_csv(scene.folder / "elsewhere", arrivals)]
    name = scene.database()
    watcher = scene.start(name, "watch", scene.tree, "--debounce", DEBOUNCE_SECONDS)
    written: dict[str, float] = {}
    with scene.client() as client:
        eventually(lambda: client[name]["watched_folders"].find_one({"scanned_at": {"$ne": None}}), "the first search")

        def write() -> None:
            for number, content in enumerate(contents):
                path = scene.tree / f"BM{number:04d}.csv"
                path.write_bytes(content)
                written[path.name] = time.monotonic()
                time.sleep(ARRIVAL_SECONDS / ARRIVALS)

        writer = Thread(target=write)
        writer.start()
        seen: dict[str, float] = {}
        while len(seen) < arrivals:
            for test in client[name]["test_results"].find({"name": {"$nin": list(seen)}}, {"name": 1}):
                seen[test["name"]] = time.monotonic()
            if watcher.process.poll() is not None:
                raise RuntimeError(f"the watcher has ended: {watcher.errors}")
            time.sleep(LOOK_SECONDS)
        writer.join()
    watcher.stop()
    return [seen[each] - moment for each, moment in written.items()]


def _at_rest(scene: Stage, files: int, idle_seconds: float) -> tuple[float, float, float]:
    """Return the s that a watcher needs to look at a tree, its share of a core at rest, and its memory in MB."""
    _make_tree(scene.tree, files)
    name = scene.database()
    if (status := scene.start(name, "import", scene.tree).end(seconds=3600.0)) != 0:
        raise RuntimeError(f"the import ended with {status}")
    began = time.monotonic()
    watcher = scene.start(name, "watch", scene.tree)
    with scene.client() as client:
        folders = client[name]["watched_folders"]
        wanted = {"scanned_at": {"$ne": None}, "waiting": 0, "files": files}
        eventually(lambda: folders.find_one(wanted), "the first search", seconds=600.0)
    start = time.monotonic() - began
    before = _processor_seconds(watcher)
    time.sleep(idle_seconds)
    share = (_processor_seconds(watcher) - before) / idle_seconds
    megabytes = sum(each.memory_info().rss for each in _processes(watcher)) / 1e6
    watcher.stop()
    return start, share, megabytes


def _make_tree(root: Path, files: int) -> None:
    """Write files a hundred to a folder; most are links to one of few, of the same name."""
    first = write_many_csv(root, -(-files // PATHS_OF_A_TEST))
    copies = ((root / f"copy {copy:02d}", path) for copy in range(1, PATHS_OF_A_TEST) for path in first)
    for folder, path in islice(copies, files - len(first)):
        link = folder / path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(path)
    quiet_since = time.time() - 3600.0
    for path in first:
        os.utime(path, (quiet_since, quiet_since))


def _processes(watcher: Command) -> list[psutil.Process]:
    return [psutil.Process(watcher.process.pid), *watcher.children()]


def _processor_seconds(watcher: Command) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in _processes(watcher))
