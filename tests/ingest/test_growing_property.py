"""However a file grows, and whatever happens to the importers of its states, it ends as one import of the whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pymongo.collection import Collection

from battery_analysis.ingest import growth, reader_pool, text_lines
from battery_analysis.ingest.discover import Selection, look_at
from battery_analysis.ingest.importer import Importer, ImportOptions
from battery_analysis.ingest.known import looked_up
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.ingest.spool import Spool, open_spool
from battery_analysis.settings import Settings
from battery_analysis.store import Store, samples
from benchmarks.faults.picture import Picture, differences, picture, repaired
from examples.arbin_csv import write_arbin_csv
from examples.bulk import many_records
from tests.builders import arbin_csv
from tests.layouts import TEXTS
from tests.layouts.cell import records

WRITES = (
    *("insert_one", "insert_many", "update_one", "update_many", "replace_one", "bulk_write"),
    *("delete_one", "delete_many", "find_one_and_update", "find_one_and_replace"),
)
QUIET_SINCE = 1_772_438_400.0
"""Time of change of every state, so that it does not tell the end of one history from that of another."""

MOST_WRITES = 14
"""An import of one file writes about as often."""

What = Literal["dies before", "dies after", "is overtaken"]


class DeathError(BaseException):
    """An importer is killed: nothing of it runs on, as after ``kill -9``."""


@dataclass(frozen=True)
class Event:
    """What happens to an importer at one of its writes, counted from 1."""

    at: int
    what: What


@dataclass(frozen=True)
class State:
    """A file at one moment of its growth, in thousandths of its length, and what happens to the one who imports it."""

    thousandths: int
    event: Event | None
    ends_with_a_line: bool = False


@dataclass
class Here:
    """Reads in this process, where a test says which files count as large; ``read_on`` counts ends read alone."""

    read_on: int = 0

    def submit(self, path: Path, parcel: Path, source: str, time_zone: str) -> Made:
        return self.submit_parts([path], parcel, source, time_zone)

    def submit_parts(
        self, paths: list[Path], parcel: Path, source: str, time_zone: str, mappings: Path | None = None
    ) -> Made:
        return Made(lambda: reader_pool.read_parcel(paths, parcel, time_zone, mappings))

    def warm(self) -> None:
        """Have nothing to start."""

    def submit_on(self, path: Path, parcel: Path, before: Path, source: str, time_zone: str) -> Made:
        made = reader_pool.read_tail(path, parcel, before, time_zone)
        self.read_on += made is not None
        return Made(lambda: made)


@dataclass(frozen=True)
class Made:
    """What is read once it is asked for."""

    result: Callable[[], Any]


@dataclass
class Scene:
    """An importer a state, each with a file of its own to look at."""

    store: Store
    options: ImportOptions
    spool: Spool
    pool: Here
    path: Path
    _hooks: list[Callable[[], Callable[[], None] | None]] = field(default_factory=list)

    def grow(self, content: bytes, states: list[State]) -> None:
        """Let the file grow through these states, and to its end, and import each."""
        rest = iter([*states, State(1000, None)])
        for state in rest:
            self._reach(content, state)
            with self._hooked(content, state.event, rest):
                self._import()
        self._reach(content, State(1000, None))
        self._import()
        samples.refresh_left_behind()

    def written(self, write: Callable[[], Any]) -> Any:
        """Do a write of whoever imports at present, with what happens at it."""
        after = self._hooks[-1]() if self._hooks else None
        done = write()
        if after is not None:
            after()
        return done

    def _reach(self, content: bytes, state: State) -> None:
        length = len(content) * state.thousandths // 1000
        if state.ends_with_a_line:
            length = content.rfind(b"\n", 0, length) + 1
        grown = max(length, self.path.stat().st_size if self.path.exists() else 0)  # a line begun is not taken back
        self.path.write_bytes(content[:grown])
        os.utime(self.path, (QUIET_SINCE, QUIET_SINCE))

    def _import(self) -> None:
        candidate = look_at(self.options.root, self.path, Selection())
        assert candidate is not None
        importer = Importer(self.store, self.options, self.spool, self.pool)
        for each in looked_up([candidate]):
            importer.take(*each)
        importer.refresh()

    @contextmanager
    def _hooked(self, content: bytes, event: Event | None, rest: Iterator[State]) -> Iterator[None]:
        numbers = iter(range(1, 10_000))

        def hook() -> Callable[[], None] | None:
            if event is None or next(numbers) != event.at:
                return None
            if event.what == "dies after":
                return die
            if event.what == "dies before":
                die()
            self._reach(content, next(rest, State(1000, None)))  # another importer is faster with what has grown since
            self._hooks.append(lambda: None)
            try:
                self._import()
            finally:
                self._hooks.pop()
            return None

        self._hooks.append(hook)
        try:
            yield
        except DeathError:
            pass
        finally:
            self._hooks.pop()


def die() -> None:
    raise DeathError


@pytest.fixture
def scene(store: Store, settings: Settings, lab: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A lab whose importers can be killed at each of their writes."""
    options = ImportOptions(lab, rules_from(settings), settings.data_dir, workers=1)
    with open_spool(settings.data_dir) as spool:
        made = Scene(store, options, spool, Here(), lab / "AB12.csv")
        for name in WRITES:
            monkeypatch.setattr(Collection, name, hooked(getattr(Collection, name), made))
        yield made


def hooked(method: Callable[..., Any], scene: Scene) -> Callable[..., Any]:
    """Let a scene decide what happens at a method that writes."""

    @wraps(method)
    def write(*args: Any, **options: Any) -> Any:
        return scene.written(lambda: method(*args, **options))

    return write


def as_stored(scene: Scene, content: bytes, states: list[State]) -> Picture:
    """Return what is stored in the end, and leave the database empty."""
    scene.grow(content, states)
    try:
        assert list(repaired(scene.store)) == []
        return picture(scene.store, history=False)
    finally:
        for name in scene.store.database.list_collection_names():
            scene.store.database[name].delete_many({})
        scene.path.unlink()


def content_of(layout: str, folder: Path) -> bytes:
    """Return a file of 60 records or so."""
    if layout == "arbin":
        return arbin_csv(cycles=5).encode()
    if layout == "lab":  # long enough for an end to be read alone
        write_arbin_csv(folder / "lab.csv", many_records(6_000), comment="synthetic")
        return (folder / "lab.csv").read_bytes()
    (found,) = (each for each in TEXTS if each.name == layout)
    found.write(folder / found.file, records(60.0))
    return (folder / found.file).read_bytes()


EVENTS = st.builds(
    Event,
    at=st.integers(1, MOST_WRITES),
    what=st.sampled_from(["dies before", "dies after", "is overtaken"]),
)
STATES = st.lists(
    st.builds(State, thousandths=st.integers(1, 1000), event=st.none() | EVENTS, ends_with_a_line=st.booleans()),
    min_size=1,
    max_size=4,
).map(lambda states: sorted(states, key=lambda each: each.thousandths))


@pytest.mark.parametrize(
    ("layout", "by_its_end"),
    [("arbin", False), ("maccor in mA by half cycle", False), ("bdf csv, counters never", False), ("lab", True)],
)
def test_any_growth_with_any_crashes_ends_as_one_import_of_the_whole(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, by_its_end: bool
) -> None:
    if by_its_end:
        for module in (growth, text_lines):
            monkeypatch.setattr(module, "SMALL_BYTES", 1)
    content = content_of(layout, tmp_path)
    scene.path = scene.path.with_suffix(".csv" if layout != "maccor in mA by half cycle" else ".txt")
    whole = as_stored(scene, content, [])

    @examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(states=STATES)
    def holds(states: list[State]) -> None:
        assert list(differences(whole, as_stored(scene, content, states))) == []

    holds()
    assert bool(scene.pool.read_on) == by_its_end
