"""The primary of a replica set is killed in the midst of an import; nobody does anything."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from battery_analysis.store import mongod
from benchmarks.faults.stage import Try, eventually, stage

MEMBERS = 3
ELECTION_MILLISECONDS = 10_000
"""What MongoDB waits before it elects another primary unless it is told otherwise."""


def primary_killed(times: int, chance: random.Random) -> Iterator[Try]:
    """``kill -9`` of the primary of three; the importer goes on by itself on the next."""
    with replica_set() as replicas, stage(replicas.uri) as scene:
        courses = scene.courses()
        for number in range(times):
            course = courses[number % 2]
            name = scene.database(course.origin)
            command = scene.begin(name)
            time.sleep(chance.uniform(0.0, course.seconds))
            injected = command.process.poll() is None
            replicas.kill_primary()
            status, said = command.end(), command.errors.strip()
            broken = [] if status in (0, 1) else [f"the import ended with status {status}: {said}"]
            replicas.start()
            job = scene.jobs(name)[0]
            broken += [] if job["state"] == "completed" else [f"the job is {job['state']}: {job.get('reason')}"]
            yield Try(injected, broken + scene.check(name, course.expected))
            scene.drop(name)


class ReplicaSet:
    """Three servers on this machine that keep the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = mongod.choose(folder / "none", None).path
        self._ports = _free_ports(MEMBERS)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        members = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        self.uri = f"mongodb://{members}/?replicaSet=faults&w=majority"

    def start(self) -> None:
        """Start the members that do not run, and wait until one is primary and all others follow it."""
        for port in self._ports:
            if port not in self._running:
                self._running[port] = self._launch(port)
        eventually(self._is_whole, "a replica set of all its members")

    def initiate(self) -> None:
        """Make one set of members that were never one."""
        for port in self._ports:
            self._running[port] = self._launch(port)
            eventually(lambda port=port: self._ask(port, "ping"), "an answer of a member")  # type: ignore[misc]
        members = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(self._ports)]
        how = {"electionTimeoutMillis": ELECTION_MILLISECONDS}
        self._ask(self._ports[0], "replSetInitiate", {"_id": "faults", "members": members, "settings": how})
        self.start()

    def kill_primary(self) -> None:
        """Kill whichever member is primary."""
        port = eventually(self._primary, "a primary")
        process = self._running.pop(port)
        process.kill()
        process.wait()

    def end(self) -> None:
        """Kill all members."""
        for process in self._running.values():
            process.kill()
            process.wait()

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        data = self._folder / str(port)
        data.mkdir(exist_ok=True)
        network = ["--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
        sizes = ["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"]
        words = [*network, *sizes, "--replSet", "faults", "--dbpath", str(data), "--logpath", f"{data}.log"]
        return subprocess.Popen([self._program, *words], stdout=subprocess.DEVNULL)

    def _ask(self, port: int, *question: Any) -> dict[str, Any] | None:
        with MongoClient(
            "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=30_000
        ) as client:
            try:
                return dict(client.admin.command(*question))
            except PyMongoError:
                return None

    def _primary(self) -> int | None:
        asked = ((port, self._ask(port, "hello")) for port in self._running)
        return next((port for port, said in asked if said and said.get("isWritablePrimary")), None)

    def _is_whole(self) -> bool:
        primary = self._primary()
        status = self._ask(primary, "replSetGetStatus") if primary else None
        states = sorted(member["stateStr"] for member in status["members"]) if status else []
        return states == ["PRIMARY"] + ["SECONDARY"] * (MEMBERS - 1)


@contextmanager
def replica_set() -> Iterator[ReplicaSet]:
    """Set up a replica set that is gone afterwards."""
    with ExitStack() as afterwards:
        folder = Path(tempfile.mkdtemp(prefix="replicas-"))
        afterwards.callback(shutil.rmtree, folder)
        made = ReplicaSet(folder)
        afterwards.callback(made.end)
        made.initiate()
        yield made


def _free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
