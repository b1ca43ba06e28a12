"""Processes that are killed in the midst of an import."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator

import psutil

from battery_analysis.store import server
from benchmarks.faults.picture import Picture, differences, picture, shortened
from benchmarks.faults.stage import Command, Course, Stage, Try, eventually, stage

ORPHAN_SECONDS = 20.0
"""How long workers may outlive the importer that was killed."""

DOWN_SECONDS = 2.0
"""Longest absence of a server that an importer, which tries again after 1, 4 and 16 s, waits out."""


def importer_killed(times: int, chance: random.Random) -> Iterator[Try]:
    """``kill -9`` of the importer, then ``--resume``."""
    with stage() as scene:
        courses = scene.courses()
        for number in range(times):
            course = courses[number % 2]
            name = scene.database(course.origin)
            command = scene.begin(name)
            time.sleep(chance.uniform(0.0, course.seconds))
            injected = command.process.poll() is None
            orphans = _left_alive(command.kill())
            yield Try(injected, orphans + resumed(scene, name, course))
            scene.drop(name)


def server_killed(times: int, chance: random.Random) -> Iterator[Try]:
    """``kill -9`` of ``mongod`` during an import; it is started again at once, or after the importer has given up."""
    with stage() as scene:
        courses = scene.courses()
        for number in range(times):
            course, comes_back = courses[number % 2], chance.random() < 0.5
            name = scene.database(course.origin)
            command = scene.begin(name, "--retries", 3 if comes_back else 0)
            time.sleep(chance.uniform(0.0, course.seconds))
            injected = command.process.poll() is None
            _kill_server(scene)
            if comes_back:
                time.sleep(chance.uniform(0.0, DOWN_SECONDS))
                server.ensure_running(scene.data_dir)
            broken = _ended_well(command) if comes_back else _ended_in_one_line(command, injected)
            server.ensure_running(scene.data_dir)
            yield Try(injected, broken + resumed(scene, name, course))
            scene.drop(name)


def worker_killed(times: int, chance: random.Random) -> Iterator[Try]:
    """``SIGKILL`` of a process that reads files: its file is read again or recorded, all others are imported."""
    with stage() as scene:
        courses = scene.courses()
        for number in range(times):
            course = courses[number % 2]
            name = scene.database(course.origin)
            command = scene.begin(name)
            time.sleep(chance.uniform(0.0, course.seconds))
            injected = _kill_one(command, chance)
            broken = _ended_well(command) + _others_are_stored(scene, name, course)
            yield Try(injected, broken + resumed(scene, name, course))
            scene.drop(name)


def resumed(scene: Stage, name: str, course: Course) -> list[str]:
    """Go on as a user does, and return what is not as after an undisturbed import."""
    job = scene.jobs(name)[0]
    broken = []
    if job["state"] != "completed" or job["counts"].get("failed"):
        command = scene.start(name, "import", "--resume", job["_id"])
        if command.end() not in (0, 1):
            broken.append(f"--resume: {command.errors.strip()}")
    job = scene.jobs(name)[0]
    if job["state"] != "completed":
        broken.append(f"the job is {job['state']}")
    if (counted := sum(job["counts"].values())) != job["total"]:
        broken.append(f"the job counts {counted} of {job['total']} files")
    return broken + scene.check(name, course.expected)


def _left_alive(children: list[psutil.Process]) -> list[str]:
    _, alive = psutil.wait_procs(children, ORPHAN_SECONDS)
    for each in alive:
        each.kill()
    return [f"{len(alive)} workers live {ORPHAN_SECONDS:.0f} s after their importer"] if alive else []


def _kill_server(scene: Stage) -> None:
    pid = server.status(scene.data_dir).pid
    if pid is None:
        raise RuntimeError("no mongod to kill")
    process = psutil.Process(pid)
    process.kill()
    eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the end of mongod")


def _kill_one(command: Command, chance: random.Random) -> bool:
    """Kill a reading process, if there is one."""
    workers = [each for each in command.children() if "spawn_main" in " ".join(_words(each))]
    if not workers:
        return False
    victim = chance.choice(workers)
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _ended_well(command: Command) -> list[str]:
    status = command.end()
    return [] if status in (0, 1) else [f"the import ended with status {status}: {command.errors.strip()}"]


def _ended_in_one_line(command: Command, injected: bool) -> list[str]:
    """Hold an import that lost its server for good to one clear line; a fault that came too late is none."""
    status, said = command.end(), command.errors.strip()
    if status in (0, 1):
        return []
    lines = [line for line in said.splitlines() if "WARNING" not in line]
    return [] if status == 2 and len(lines) == 1 else [f"status {status} and {len(lines)} lines: {said[:500]}"]


def _others_are_stored(scene: Stage, name: str, course: Course) -> list[str]:
    """Return what is not as it should be besides files whose reader was killed."""
    with scene.client() as client:
        failed = list(
            client[name]["imported_files"].find({"outcome": "failed", "reason": {"$regex": "process that read"}})
        )
    if len(failed) > 1:
        return [f"{len(failed)} files failed for one worker"]
    if not failed:
        return []
    with scene.store(name) as store:
        wrong = list(differences(course.expected, picture(store)))
    touched = _of_one_test(str(failed[0]["sha256"])[:8], course.expected)
    others = (line for line in wrong if not any(digest in line for digest in touched))
    return shortened([line for line in others if not line.startswith(("stored", "samples"))])


def _of_one_test(digest: str, expected: Picture) -> set[str]:
    """Beginnings of the digests of all parts and versions of the test that one of them belongs to."""
    digests = {digest}
    for title, facts in expected.items():
        if digest in title:
            versions = [version["sha256"] for version in facts.get("versions", ())]
            digests.update(re.findall("[0-9a-f]{8}", title), (each[:8] for each in versions))
    return digests
