"""What changes below some folders: told by the system as it happens, and found by looking through them at intervals.

Events are quick and cheap, and some get lost: when a queue overflows, when a limit of the system is reached, on shares
of other machines always. Looking through everything finds what events missed, so nothing depends on them.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from battery_analysis.errors import IngestError
from battery_analysis.ingest.discover import Candidate, Selection, discover, stored_text

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

logger = logging.getLogger(__name__)

ROOT_SECONDS = 5.0
"""How often it is checked that the roots are there."""

BATCH = 1000
BATCH_SECONDS = 1.0
BATCHES_AHEAD = 2
"""Found files wait in the search, not in memory, until somebody takes them."""

SHARE_OF_TIME = 0.005
"""Of a core, for looking through trees whose changes events tell: a larger tree is looked through less often."""

LEAVE_SECONDS = 5.0
_LIMITS = {errno.ENOSPC: "max_user_watches", errno.EMFILE: "max_user_instances"}


@dataclass(frozen=True)
class Found:
    """Files that a search found and that were not known as they are."""

    candidates: list[Candidate]


@dataclass(frozen=True)
class Searched:
    """A root was looked through from end to end; these files are there."""

    root: Path
    paths: set[str]


@dataclass
class _Root:
    path: Path
    identity: tuple[int, int] | None = None
    watch: ObservedWatch | None = None
    lost: bool = False
    is_searched: bool = False


@dataclass
class Roots:
    """Watches folders in threads of its own.

    Args:
        paths: The folders, absolute, none within another.
        selection: Which files are wanted.
        every: Seconds between two searches.
        events: Whether to listen to the system as well.
        is_known: Says of a file that it needs no attention as it is; called from another thread.
        wake: Called whenever there is something to fetch; from other threads.
        once: Look through everything once and listen to nothing.
    """

    paths: Iterable[Path]
    selection: Selection
    every: float
    is_known: Callable[[Candidate], bool]
    wake: Callable[[], None]
    events: bool = True
    once: bool = False
    found: queue.Queue[Found | Searched] = field(default_factory=lambda: queue.Queue(BATCHES_AHEAD))
    troubles: dict[str, str] = field(default_factory=dict)
    """What keeps it from watching as it should, by folder or subject."""
    searched_at: float | None = None
    """When all had last been looked through, s since 1970."""

    def __post_init__(self) -> None:
        self._roots = [_Root(path) for path in self.paths]
        self._observer: BaseObserver | None = None
        self._lock = Lock()
        self._touched: set[str] = set()
        self._gone: set[str] = set()
        self._folders: set[Path] = set()
        self._wanted, self._stopping = Event(), Event()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._run, name="roots", daemon=True)  # a dead share must not hold the process

    def start(self) -> None:
        """Begin to watch; once is enough."""
        if self._thread.ident is None:
            self._thread.start()

    def leave(self) -> None:
        """Watch no longer."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_SECONDS)

    def check(self) -> None:
        """Make sure that changes are still looked for.

        Raises:
            RuntimeError: The thread that does so has ended; a watcher that goes on without it would see nothing.
        """
        if self._failure is not None:
            raise RuntimeError("the search for changes has ended") from self._failure

    def events_so_far(self) -> tuple[set[str], set[str]]:
        """Return the paths that changed and those that went, and forget them."""
        with self._lock:
            touched, gone = self._touched, self._gone
            self._touched, self._gone = set(), set()
        return touched, gone

    def are_done(self) -> bool:
        """Say whether the one search that ``once`` asks for has ended and all it found was fetched."""
        return not self._thread.is_alive() and self.found.empty()

    def root_of(self, path: Path) -> Path | None:
        """Return the root a path lies below."""
        return next((root.path for root in self._roots if path.is_relative_to(root.path)), None)

    def is_lost(self, root: Path) -> bool:
        """Say whether a root is not there at present."""
        return any(each.lost for each in self._roots if each.path == root) or not _is_folder(root)

    def hear(self, event: FileSystemEvent) -> None:
        """Take note of an event of the system."""
        before, after = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        with self._lock:
            if event.is_directory:
                if event.event_type in ("created", "moved"):
                    self._folders.add(Path(after or before))
                    self._wanted.set()
                return
            if event.event_type in ("deleted", "moved"):
                self._touched.discard(before)
                self._gone.add(before)
            changed = after if event.event_type == "moved" else before
            if changed and event.event_type != "deleted":
                self._gone.discard(changed)
                self._touched.add(changed)
        self.wake()

    def _run(self) -> None:
        next_search = 0.0
        try:
            while not self._stopping.is_set():
                for root in self._roots:
                    self._check(root)
                self._search_folders()
                if time.monotonic() >= next_search:
                    began, busy = time.monotonic(), time.thread_time()
                    self._search_all()
                    busy = time.thread_time() - busy
                    next_search = began + max(self.every, busy / SHARE_OF_TIME if self.events else 0.0)
                for root in self._roots:
                    if not root.is_searched and not root.lost:
                        self._search(root)
                if self.once:
                    break
                self._wanted.wait(max(min(ROOT_SECONDS, next_search - time.monotonic()), 0.0))
                self._wanted.clear()
        except BaseException as exc:
            self._failure = exc
            raise
        finally:
            self._stop_listening()
            self.wake()

    def _check(self, root: _Root) -> None:
        """See whether a root is there and still the folder it was; listen to it anew where it is not."""
        try:
            status = root.path.stat()
            os.scandir(root.path).close()
        except OSError as exc:
            self._lose(root, exc.strerror or str(exc))
            return
        identity = status.st_dev, status.st_ino
        if identity == root.identity:
            return
        if root.lost:
            logger.warning("%s is back", root.path)
        elif root.identity is not None:
            logger.warning("%s is another folder now, as after a share was mounted or unmounted", root.path)
        self.troubles.pop(str(root.path), None)
        root.identity, root.lost, root.is_searched = identity, False, False
        self._listen(root)

    def _lose(self, root: _Root, reason: str) -> None:
        if not root.lost:
            logger.warning("%s: %s; it is watched again once it is back", root.path, reason)
        root.identity, root.lost = None, True
        self.troubles[str(root.path)] = stored_text(f"{root.path}: {reason}")
        self._listen(root)

    def _listen(self, root: _Root) -> None:
        """Ask the system for the events of a root, and no longer for those of what stood there before."""
        if not self.events or self.once:
            return
        if root.watch is not None and self._observer is not None:
            with suppress(KeyError):
                self._observer.unschedule(root.watch)
            root.watch = None
        if root.lost:
            return
        try:
            root.watch = self._schedule(root.path, recursive=self.selection.depth != 0)
        except OSError as exc:
            self._complain(root.path, exc)

    def _schedule(self, path: Path, *, recursive: bool) -> ObservedWatch:
        from watchdog import events
        from watchdog.observers import Observer

        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
        wanted: list[type[events.FileSystemEvent]] = [
            *(events.FileCreatedEvent, events.FileModifiedEvent, events.FileAttribEvent),
            *(events.FileMovedEvent, events.FileDeletedEvent, events.DirCreatedEvent, events.DirMovedEvent),
        ]
        handler = events.FileSystemEventHandler()
        handler.on_any_event = self.hear  # type: ignore[method-assign]
        # With a stroke at its end the path of a link leads to the folder; the link itself has no events.
        return self._observer.schedule(handler, f"{path}{os.sep}", recursive=recursive, event_filter=wanted)

    def _probe(self) -> None:
        """Find out whether the system has room for another watched folder; it does not tell for those below a root."""
        if not self.events or self.once or self._observer is None or sys.platform != "linux":
            return
        try:
            folder = tempfile.mkdtemp(prefix="battery-analysis-")
        except OSError:  # a full disk says nothing about events
            return
        try:
            self._observer.unschedule(self._schedule(Path(folder), recursive=False))
            self.troubles.pop("events", None)
        except OSError as exc:
            self._complain(None, exc)
        finally:
            with suppress(OSError):
                Path(folder).rmdir()

    def _complain(self, root: Path | None, error: OSError) -> None:
        what = error.strerror or str(error)
        if limit := _LIMITS.get(error.errno or 0):
            what = f"{what}: set fs.inotify.{limit} higher (sysctl)"
        line = f"{root or 'some folders'}: changes are found only every {self.every:g} s: {what}"
        key = "events" if root is None else str(root)
        if self.troubles.get(key) != line:
            logger.warning("%s", line)
        self.troubles[key] = stored_text(line)

    def _stop_listening(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(LEAVE_SECONDS)

    def _search_folders(self) -> None:
        """Look through the folders that appeared; events tell little of what came along in them."""
        with self._lock:
            folders, self._folders = self._folders, set()
        for folder in sorted(folders):
            root = self.root_of(folder)
            if root is not None and not any(parent in folders for parent in folder.parents) and _is_folder(folder):
                with suppress(IngestError, OSError):  # if the root has gone, whoever checks the roots says so
                    self._offer(discover(root, self.selection, folder))

    def _search_all(self) -> None:
        self._probe()
        for root in self._roots:
            if not root.lost:
                self._search(root)
        if not self._stopping.is_set() and not any(root.lost for root in self._roots):
            self.searched_at = time.time()

    def _search(self, root: _Root) -> None:
        root.is_searched = True
        try:
            paths = self._offer(discover(root.path, self.selection))
        except (IngestError, OSError):
            self._check(root)
            return
        if paths is not None:
            self._post(Searched(root.path, paths))

    def _offer(self, candidates: Iterable[Candidate]) -> set[str] | None:
        """Hand on what is not known as it is; return all paths, None where not all could be seen."""
        paths: set[str] = set()
        whole = True
        batch: list[Candidate] = []
        posted = time.monotonic()
        for candidate in candidates:
            if self._stopping.is_set():
                return None
            paths.add(str(candidate.path))
            whole = whole and not (candidate.problem or "").startswith("the folder cannot be read")
            if not self.is_known(candidate):
                batch.append(candidate)
            if batch and (len(batch) == BATCH or time.monotonic() - posted > BATCH_SECONDS):
                self._post(Found(batch))
                batch, posted = [], time.monotonic()
        if batch:
            self._post(Found(batch))
        return paths if whole else None

    def _post(self, message: Found | Searched) -> None:
        while not self._stopping.is_set():
            with suppress(queue.Full):
                self.found.put(message, timeout=0.5)
                self.wake()
                return


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a share that does not answer
        return False
