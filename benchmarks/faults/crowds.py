"""Many at once: importers and watchers on one tree, slow writers, and broken files among good ones."""

from __future__ import annotations

import hashlib
import json
import os
import random
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import battery_analysis as ba
from battery_analysis.models import RawDataFile, TestResult
from battery_analysis.store import Store, frames
from benchmarks.faults.stage import PATIENCE_SECONDS, Command, Stage, Try, eventually, stage
from examples.arbin_csv import write_arbin_csv
from examples.bulk import many_records, write_many_csv

IMPORTERS, WATCHERS = 4, 2
DEBOUNCE_SECONDS = 0.3
PAUSE_SECONDS = 0.2
WRITERS = 10
"""Slow writers at the same time."""

GOOD_FILES = 1_000
DATA = Path(os.environ.get("BATTERY_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def crowd(times: int, chance: random.Random) -> Iterator[Try]:
    """Four importers and two watchers on the same tree at once: as if one had run."""
    with stage() as scene:
        courses = scene.courses("--workers", 1)
        for number in range(times):
            course = courses[number % 2]
            name = scene.database(course.origin)
            how = ("--debounce", DEBOUNCE_SECONDS, "--workers", 1)
            watchers = [scene.start(name, "watch", scene.tree, *how) for _ in range(WATCHERS)]
            time.sleep(chance.uniform(0.0, 2.0))
            importers = [scene.start(name, "import", scene.tree, "--workers", 1) for _ in range(IMPORTERS)]
            broken = [line for each in importers for line in _wrong_end(each, (0, 1))]
            _until_at_rest(scene, name, WATCHERS)
            for each in watchers:
                each.stop()
            broken += [line for each in watchers for line in _wrong_end(each, (0,))]
            yield Try(True, broken + scene.check(name, course.expected))
            scene.drop(name)


def slow_writer(times: int, chance: random.Random) -> Iterator[Try]:
    """Files that grow every 0.2 s, with pauses longer than the debounce: the last bytes are archived and read."""
    with stage() as scene:
        scene.tree.mkdir()
        name = scene.database()
        watcher = scene.start(name, "watch", scene.tree, "--debounce", DEBOUNCE_SECONDS)
        _until_at_rest(scene, name, 1)
        try:
            with ThreadPoolExecutor(WRITERS) as writers:
                paths = [scene.tree / f"SW{number:04d}.csv" for number in range(times)]
                seeds = [chance.randrange(2**31) for _ in paths]
                list(writers.map(_write_slowly, paths, seeds))
            time.sleep(DEBOUNCE_SECONDS)
            _until_at_rest(scene, name, 1)
        finally:
            status = watcher.stop()
        with scene.store(name) as store:
            for path in paths:
                broken = _as_written(store, path)
                yield Try(True, broken + ([f"the watcher ended with status {status}"] if status else []))


def hostile_among_good(times: int, chance: random.Random) -> Iterator[Try]:
    """The hostile files mixed into 1,000 good ones: all good ones are imported, each hostile one as it should be."""
    entries = json.loads((DATA / "hostile" / "manifest.json").read_text(encoding="utf-8"))["files"]
    for _ in range(times):
        with stage() as scene:
            good = {str(path) for path in write_many_csv(scene.tree, GOOD_FILES, seed=chance.randrange(1000))}
            hostile = scene.tree / "batch 05" / "hostile"  # in the middle of the others
            with tarfile.open(DATA / "hostile" / "files.tar.gz") as tar:
                tar.extractall(hostile, filter="fully_trusted")  # it holds links on purpose
            name, report = scene.database(), scene.folder / "report.json"
            command = scene.start(name, "import", scene.tree, "--report", report)
            status = command.end(2 * PATIENCE_SECONDS)
            rows = {row["path"]: row for row in json.loads(report.read_text(encoding="utf-8"))}
            broken = [] if status == 1 else [f"the import ended with status {status}: {command.errors.strip()}"]
            left = [path for path in good if rows.get(path, {}).get("outcome") != "created"]
            broken += [f"{path}: {rows.get(path)}" for path in left]
            broken += [line for entry in entries for line in _not_as_announced(entry, rows, hostile)]
            yield Try(True, broken)


def why_no_hostile() -> str | None:
    """Say why there are no hostile files."""
    return None if (DATA / "hostile" / "files.tar.gz").is_file() else f"no hostile files at {DATA} (BATTERY_TEST_DATA)"


def _wrong_end(command: Command, well: tuple[int, ...]) -> list[str]:
    status = command.end()
    return [] if status in well else [f"{command.process.args[3]} ended with {status}: {command.errors.strip()}"]  # type: ignore[index]


def _until_at_rest(scene: Stage, name: str, watchers: int) -> None:
    """Wait until all watchers have looked through everything since now, and nothing waits."""
    with scene.client() as client:
        folders = client[name]["watched_folders"]
        began = time.time()

        def rested() -> bool:
            rows = list(folders.find())
            return len(rows) == watchers and all(
                row.get("scanned_at") and not row["waiting"] and row["heartbeat_at"].timestamp() > began for row in rows
            )

        eventually(rested, "rest of the watchers")


def _write_slowly(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    whole = path.with_suffix(".whole")
    write_arbin_csv(whole, many_records(chance.randrange(200, 600), seed=seed), comment="slow")
    content = whole.read_bytes()
    whole.unlink()
    cuts = sorted(chance.randrange(len(content)) for _ in range(chance.randrange(5, 20)))
    for first, last in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as file:
            file.write(content[first:last])
        time.sleep(PAUSE_SECONDS if chance.random() < 0.8 else chance.uniform(1.5, 5.0) * DEBOUNCE_SECONDS)


def _as_written(store: Store, path: Path) -> list[str]:
    """Return what differs between a file and what is stored of it."""
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    raws = list(RawDataFile.objects(sources__path=str(path)))
    tests = list(TestResult.objects(raw_files__raw_file__in=[raw.id for raw in raws]))
    if len(raws) != 1 or len(tests) != 1:
        return [f"{path.name}: {len(raws)} raw files and {len(tests)} tests"]
    broken = []
    if (raws[0].sha256, tests[0].sha256) != (sha256, sha256):
        broken.append(f"{path.name}: {sha256[:8]} expected, archived {raws[0].sha256[:8]}, read {tests[0].sha256[:8]}")
    elif b"".join(store.archive.stream(raws[0])) != content:
        broken.append(f"{path.name}: archived bytes differ")
    elif not frames.load_frame(store, tests[0].id, form="polars").equals(ba.read(path).frame):
        broken.append(f"{path.name}: the frame differs from that of the file")
    return broken


def _not_as_announced(entry: dict[str, Any], rows: dict[str, Any], folder: Path) -> list[str]:
    """Hold a hostile file to its entry in the manifest."""
    row, expected = rows.get(str(folder / entry["path"])), entry["expect"]
    if row is None:  # a folder of links, or a name that this file system does not hold
        return []
    records = expected["rows"] if isinstance(expected["rows"], list) else [expected["rows"]]
    stored = row["outcome"] in ("created", "duplicate", "unchanged")
    as_announced = (
        ("error" in expected["outcome"] and row["outcome"] in ("failed", "skipped") and row["reason"])
        or ("rows" in expected["outcome"] and stored and row["records"] in records)
        or ("partial" in expected["outcome"] and stored and row["warnings"])
    )
    return [] if as_announced else [f"{entry['path']!r}: {expected['outcome']} expected, got {row}"]
