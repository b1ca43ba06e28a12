"""What tests of several sources share: an import of any place, by the path below its root."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import Outcome
from battery_analysis.settings import Settings
from battery_analysis.store import Store

LONG_AGO = datetime(2026, 3, 2, 8, 0, 2, tzinfo=UTC)
"""When files were changed that a second run may know by their time."""

Taking = Callable[..., dict[str, Outcome]]


def taking(store: Store, settings: Settings) -> Taking:
    """Return what imports a place and gives the outcomes by what follows the root in their address."""

    def take(root: str | Path, **options: Any) -> dict[str, Outcome]:
        job_run = runs.begin(store, settings, runs.ImportRequest(root=str(root), workers=1, **options))
        begins = job_run.job.root.rstrip("/")
        return {each.path.removeprefix(begins).lstrip("!/"): each for each in job_run}

    return take


def said(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: each.outcome for name, each in outcomes.items()}


class Cutting:
    """Passes bytes between a client and a server, and breaks a connection once it has brought so many to the client."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.brought = 0
        self.cut_after: list[int] = []
        """For each connection to come, after how many bytes it breaks; those without a number stay."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # who waits for a connection does not hear of closing
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                left = self.cut_after.pop(0) if self.cut_after else None
                threading.Thread(target=self._pass, args=(client, server, None), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, left), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        to_client = left is not None or source.getpeername() == self._server
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if to_client:
                    self.brought += len(data)
                if left is not None:
                    time.sleep(0.001)  # networks are slower than whoever writes down what they bring
                    if (left := left - len(data)) < 0:
                        break
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
