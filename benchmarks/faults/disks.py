"""Disks that fill up in the midst of an import."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from battery_analysis.store import server
from benchmarks.faults.killing import resumed
from benchmarks.faults.stage import Command, Course, Stage, Try, stage

DATABASE_MEGABYTES = 420
"""A server needs some hundred for its journal alone."""

SPOOL_MEGABYTES = 8
LEFT_BYTES = 600_000
"""What is left free at most: less than the example needs."""


def why_not() -> str | None:
    """Say why no small file system can be made here."""
    if sys.platform == "linux" and os.geteuid() == 0:
        return None
    return "only root of a Linux system may mount a small file system"


def full_database(times: int, chance: random.Random) -> Iterator[Try]:
    """The disk of the database fills up: one clear error; resumed once there is space."""
    with small_disk(DATABASE_MEGABYTES) as disk:
        try:
            with stage(server.ensure_running(disk)) as scene:
                courses = scene.courses()
                for number in range(times):
                    yield _filled(scene, disk, courses[number % 2], chance, scene.data_dir)
        finally:
            server.stop(disk)


def full_spool(times: int, chance: random.Random) -> Iterator[Try]:
    """The disk on which files are copied before they are read fills up: one clear error; resumed as above."""
    with small_disk(SPOOL_MEGABYTES) as disk, stage() as own, stage(own.uri) as scene:
        courses = scene.courses()
        for number in range(times):
            yield _filled(scene, disk, courses[number % 2], chance, disk)


def _filled(scene: Stage, disk: Path, course: Course, chance: random.Random, data_dir: Path) -> Try:
    name = scene.database(course.origin)
    command = scene.begin(name, "--retries", 0, data_dir=data_dir)
    time.sleep(chance.uniform(0.0, course.seconds / 2))
    ballast = disk / "ballast"
    _fill(disk, ballast, leave=chance.randrange(LEFT_BYTES))
    injected, broken = _one_clear_error(command)
    ballast.unlink()
    if (disk / "mongodb").exists():
        server.ensure_running(disk)
    broken += resumed(scene, name, course)
    scene.drop(name)
    return Try(injected, broken)


def _fill(disk: Path, ballast: Path, *, leave: int) -> None:
    size = max(shutil.disk_usage(disk).free - leave, 0)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))


def _one_clear_error(command: Command) -> tuple[bool, list[str]]:
    """Return whether the import was stopped, and what was wrong with how it said so."""
    status, said = command.end(), command.errors.strip()
    if status in (0, 1):
        return False, [f"files failed for lack of space: {command.output}"] if "No space" in command.output else []
    lines = [line for line in said.splitlines() if " WARNING " not in line]
    clear = status == 2 and len(lines) == 1 and "go on with" in said
    return True, [] if clear else [f"status {status} and {len(lines)} lines: {said[:600]}"]


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a file system of this size that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
