"""The dataset of a cell as its tests are now, and how what is new of it is written.

Of a test whose cycle table is that of the version before, nothing is read or written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import TracebackType
from typing import Any, TypeAlias

import polars as pl
from bson import ObjectId

from battery_analysis.analysis.cycles import CYCLE_SCHEMA
from battery_analysis.analysis.dataset import (
    PROFILE,
    ROLES,
    SEAM_SCHEMA,
    Placing,
    Span,
    continues,
    dataset_table,
    in_order,
    mended,
    seam,
)
from battery_analysis.analysis.efficiency import EfficiencyConvention
from battery_analysis.errors import ArchiveError, ConflictError, InvalidDocumentError
from battery_analysis.models import DatasetTest, TestResult, checked
from battery_analysis.store import columnar, frames
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store

BLOCKS = "dataset_blocks"

_COPIED = (
    *("name", "sample", "sample_name", "tester", "device", "channel", "started_at", "ended_at"),
    *("revision", "sha256"),
)
_CONTENT = ("sample_name", "placed_by", "continues", "cycles_digest", "records_digest")

_ASKED = (
    *_COPIED,
    *("reader", "reader_version", "record_count", "cycle_method", "cycle_blocks"),
    *("segments.digest", "segments.first_time_second", "segments.last_time_second"),
)

Facts: TypeAlias = Any
"""A document, or a part of one, as the database has it: objects for fifty tests would cost more than all the rest."""

Row = Mapping[str, Any]
"""A test as the database has it, as far as a dataset asks."""


@dataclass
class Build:
    """A dataset as its tests are now, before anything is written."""

    store: Store
    before: Facts | None
    found: list[Row]

    @classmethod
    def of(cls, store: Store, code: str, before: Facts | None) -> Build:
        """Look at the tests of a cell; ``before`` is the version whose blocks can be used again."""
        found = visible(TestResult).filter(cell_code=code).order_by("id").only(*_ASKED).as_pymongo()
        return cls(store, before, list(found))

    @classmethod
    def first_of(cls, store: Store, codes: Sequence[str]) -> dict[str, Build]:
        """Look at the tests of many cells without a dataset at once, by cell code.

        Raises:
            ArchiveError: A cycle table that a test names is missing.
        """
        found = visible(TestResult).filter(cell_code__in=codes).order_by("id").only("cell_code", *_ASKED).as_pymongo()
        builds: dict[str, Build] = {}
        for row in found:
            builds.setdefault(row["cell_code"], cls(store, None, [])).found.append(row)
        rows = [row for build in builds.values() for row in build.found]
        columns = _cycle_columns(store, rows)
        for build in builds.values():
            build._columns = columns
        return builds

    @cached_property
    def facts(self) -> Facts:
        """What the document says beside the tests: the digest of the content, and what it was built from."""
        revisions = sum(row["revision"] for row in self.found)
        built_from = {"tests": len(self.found), "revisions": revisions, "digest": self.digest}
        return {"digest": self.digest, "built_from": built_from}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over tests with their samples, data and numbering."""
        content = [[str(each["test"]), *(each[name] for name in _CONTENT)] for each in self.tests]
        total = hashlib.sha256(json.dumps(content).encode())
        total.update(self.placed["cycle_count"].to_numpy().tobytes())
        total.update(self.placed["role"].cast(pl.Enum(ROLES)).to_physical().fill_null(len(ROLES)).to_numpy().tobytes())
        return total.hexdigest()

    @cached_property
    def is_damaged(self) -> bool:
        """Whether blocks that the version before names are missing."""
        return self.before is not None and len(self._present) < len(block_ids(self.before))

    @cached_property
    def order(self) -> list[tuple[Row, Span, Placing]]:
        """The tests in order of time."""
        spans = [self._span(row) for row in self.found]
        return [(self.found[place], spans[place], placing) for place, placing in in_order(spans)]

    @cached_property
    def placed(self) -> pl.DataFrame:
        """The numbers of all cycles within the cell."""
        profiles = [self._profiles[row["_id"]] for row, _, _ in self.order]
        for place, goes_on in enumerate(self._goes_on):
            if goes_on:
                told = self.seams.filter(goes_on_in=str(self.order[place][0]["_id"]))
                profiles[place] = mended(profiles[place], self._profiles[self.order[place - 1][0]["_id"]], told)
        return dataset_table(profiles, [span for _, span, _ in self.order])

    @cached_property
    def seams(self) -> pl.DataFrame:
        """The cycles between tests of which one goes on with the other."""
        tables = [pl.DataFrame(schema=SEAM_SCHEMA)]
        for place, goes_on in enumerate(self._goes_on):
            if goes_on:
                one, other = (by_id(TestResult, self.order[each][0]["_id"]) for each in (place - 1, place))
                known = self._known_seam(one, other)
                tables.append(self._seam(one, other) if known is None else known)
        return pl.concat(tables)

    @cached_property
    def tests(self) -> list[Facts]:
        """What the document says of each test, in order; without blocks until they are written."""
        numbers = self.placed["cycle_count"]
        tests, start = [], 0
        for (row, span, placing), goes_on in zip(self.order, self._goes_on, strict=True):
            cycles = sum(block["cycles"] for block in row.get("cycle_blocks", ()))
            facts = {
                **{name: row[name] for name in _COPIED if row.get(name) is not None},
                "test": row["_id"],
                "placed_by": placing,
                "continues": goes_on,
                "reader": f"{row['reader']} {row['reader_version']}",
                "records": row["record_count"],
                "records_digest": digest_of(row.get("segments", ())),
                "cycles": cycles,
                "cycles_digest": digest_of(row.get("cycle_blocks", ())),
                "first_cycle": numbers[start] if cycles else None,
                "last_cycle": numbers[start + cycles - 1] if cycles else None,
                "test_first_cycle": span.first_cycle,
                "test_last_cycle": span.last_cycle,
                "first_time_second": span.first_time_second,
                "last_time_second": span.last_time_second,
            }
            tests.append({name: value for name, value in facts.items() if value is not None})
            start += cycles
        return tests

    def write(self, writing: Writing) -> Facts:
        """Hand what the version before has not to be written, and return the fields of the document that name it.

        Raises:
            InvalidDocumentError: What a test says does not fit the document.
        """
        known = {block["digest"]: block for block in self._usable}
        for facts, (row, _, _) in zip(self.tests, self.order, strict=True):
            if facts["test"] not in self._tests_before:
                checked(DatasetTest(**facts))
            facts["blocks"] = [
                known.get(block["digest"]) or writing.add(self._columns[block["id"]], block["digest"], block["cycles"])
                for block in row.get("cycle_blocks", ())
            ]
        return {"tests": self.tests, "blocks": writing.write(self.placed), "seams": writing.write(self.seams)}

    @cached_property
    def _goes_on(self) -> list[bool]:
        spans = [span for _, span, _ in self.order]
        return [False, *(continues(*pair) for pair in pairwise(spans))][: len(spans)]

    def _seam(self, one: TestResult, other: TestResult) -> pl.DataFrame:
        """Work out the cycles between two tests from their records."""
        tables = frames.cycle_table(self.store, one), frames.cycle_table(self.store, other)
        ends = tables[0]["cycle_count"].tail(2), tables[1]["cycle_count"].head(2)
        earlier, later = (
            frames.select(self.store, test, None, (numbers[0], numbers[-1]), None)
            for test, numbers in zip((one, other), ends, strict=True)
        )
        convention: EfficiencyConvention = one.efficiency_convention or "same_cycle"
        return seam(earlier, later, (str(one.id), str(other.id)), tables, convention)

    def _known_seam(self, one: TestResult, other: TestResult) -> pl.DataFrame | None:
        """Take them from the version before where it has the same two tests behind one another."""
        before = self.before["tests"] if self.before and not self.is_damaged else []
        for earlier, later in pairwise(before):
            if (earlier["test"], later["test"]) == (one.id, other.id) and later["continues"]:
                stored = [(digest_of(test.segments), digest_of(test.cycle_blocks)) for test in (one, other)]
                if stored == [(test["records_digest"], test["cycles_digest"]) for test in (earlier, later)]:
                    return self._seams_before.filter(goes_on_in=str(other.id))
        return None

    @cached_property
    def _seams_before(self) -> pl.DataFrame:
        assert self.before is not None
        return seam_table(self.store, self.before)

    def _span(self, row: Row) -> Span:
        times = [each for each in row.get("segments", ()) if each.get("first_time_second") is not None]
        first, last = self._own_numbers(row)
        return Span(
            name=row["name"],
            tester=row["tester"],
            device=row.get("device"),
            channel=row.get("channel"),
            started_at=row.get("started_at"),
            ended_at=row.get("ended_at"),
            first_time_second=times[0]["first_time_second"] if times else None,
            last_time_second=times[-1]["last_time_second"] if times else None,
            first_cycle=first,
            last_cycle=last,
            cycle_method=row.get("cycle_method"),
        )

    def _own_numbers(self, row: Row) -> tuple[int | None, int | None]:
        numbers = self._profiles[row["_id"]]["cycle_count"]
        return (numbers[0], numbers[-1]) if numbers.len() else (None, None)

    @cached_property
    def _profiles(self) -> dict[ObjectId, pl.DataFrame]:
        """What the numbers depend on, of each test: from the version before where that has its cycle table."""
        profiles = self._known_profiles
        for row in self.found:
            if row["_id"] not in profiles:
                blocks = [columnar.decode(self._columns[block["id"]]) for block in row.get("cycle_blocks", ())]
                table = pl.concat(blocks) if blocks else pl.DataFrame(schema=CYCLE_SCHEMA)
                profiles[row["_id"]] = table.select(PROFILE)
        return profiles

    @cached_property
    def _known_profiles(self) -> dict[ObjectId, pl.DataFrame]:
        if self.before is None or self.is_damaged:
            return {}
        before = placed_table(self.store, self.before)
        if not {"test_cycle_count", *PROFILE} <= set(before.columns):  # built by an older program
            return {}
        before = before.drop("cycle_count").rename({"test_cycle_count": "cycle_count"}).select(PROFILE)
        wanted = {(row["_id"], digest_of(row.get("cycle_blocks", ()))) for row in self.found}
        known, start = {}, 0
        for test in self.before["tests"]:
            # Of a test that goes on with another, its first cycle was mended.
            if not test["continues"] and (test["test"], test["cycles_digest"]) in wanted:
                known[test["test"]] = before.slice(start, test["cycles"])
            start += test["cycles"]
        return known

    @cached_property
    def _tests_before(self) -> set[ObjectId]:
        return {test["test"] for test in self.before["tests"]} if self.before else set()

    @cached_property
    def _columns(self) -> dict[ObjectId, dict[str, bytes]]:
        """The cycle tables of the tests that have changed, as they are stored."""
        return _cycle_columns(self.store, [row for row in self.found if row["_id"] not in self._known_profiles])

    @cached_property
    def _present(self) -> set[ObjectId]:
        wanted = list(block_ids(self.before)) if self.before else []
        return {row["_id"] for row in self.store.database[BLOCKS].find({"_id": {"$in": wanted}}, {"_id": 1})}

    @property
    def _usable(self) -> list[Facts]:
        before = [block for test in (self.before["tests"] if self.before else ()) for block in test["blocks"]]
        return [block for block in before if block["id"] in self._present]


class Writing:
    """Takes blocks and writes them together; removes them again if it is certain that no document names them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Facts] = []
        self._written: list[ObjectId] = []

    def __enter__(self) -> Writing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After any other error, such as a reply that was lost, a document may name them; they are garbage at worst.
        if isinstance(error, ConflictError | InvalidDocumentError):
            frames.drop(self._store.database, BLOCKS, self._written)

    def add(self, columns: dict[str, bytes], digest: str, cycles: int) -> Facts:
        """Take a block to be written, and return how a document names it."""
        identity = ObjectId()
        self._waiting.append({"_id": identity, "columns": columns})
        return {"id": identity, "digest": digest, "cycles": cycles}

    def finish(self) -> None:
        """Write what was taken, at once: the server confirms what is on its disk, which takes its time."""
        self._written += [block["_id"] for block in self._waiting]
        if self._waiting:
            self._store.database[BLOCKS].insert_many(self._waiting)
        self._waiting = []

    def write(self, table: pl.DataFrame) -> list[Facts]:
        """Take a table to be written."""
        return [self.add(run.columns, run.digest, run.rows) for run in columnar.encode(table, together=True)]

    def copy(self, blocks: Sequence[Facts]) -> list[Facts]:
        """Take blocks to be written once more.

        Raises:
            ArchiveError: One of them is missing.
        """
        ids = [block["id"] for block in blocks]
        found = {each["_id"]: each["columns"] for each in self._store.database[BLOCKS].find({"_id": {"$in": ids}})}
        if missing := [each for each in ids if each not in found]:
            raise ArchiveError(f"{BLOCKS}: {len(missing)} of {len(ids)} documents are missing, first {missing[0]}")
        return [self.add(found[block["id"]], block["digest"], block["cycles"]) for block in blocks]


def _cycle_columns(store: Store, rows: Iterable[Row]) -> dict[ObjectId, dict[str, bytes]]:
    wanted = [block["id"] for row in rows for block in row.get("cycle_blocks", ())]
    found = store.database[frames.CYCLE_BLOCKS].find({"_id": {"$in": wanted}}) if wanted else ()
    columns = {each["_id"]: each["columns"] for each in found}
    if missing := [each for each in wanted if each not in columns]:
        raise ArchiveError(f"{frames.CYCLE_BLOCKS}: {len(missing)} of {len(wanted)} documents are missing")
    return columns


def placed_table(store: Store, dataset: Facts) -> pl.DataFrame:
    """Return what ``analysis.dataset.dataset_table`` said of the cycles of a version, as the database has it.

    Raises:
        ArchiveError: A block that it names is missing.
    """
    found = _table(store, dataset["blocks"])
    return dataset_table([], []) if found is None else found


def seam_table(store: Store, dataset: Facts) -> pl.DataFrame:
    """Return the cycles between tests of which one goes on with the other.

    Raises:
        ArchiveError: A block that the version names is missing.
    """
    found = _table(store, dataset["seams"])
    return pl.DataFrame(schema=SEAM_SCHEMA) if found is None else found


def cycle_tables(store: Store, dataset: Facts) -> list[pl.DataFrame]:
    """Return the cycle table of each test of a version.

    Raises:
        ArchiveError: A block that it names is missing.
    """
    whole = _table(store, [block for test in dataset["tests"] for block in test["blocks"]])
    tables, start = [], 0
    for test in dataset["tests"]:
        tables.append(pl.DataFrame(schema=CYCLE_SCHEMA) if whole is None else whole.slice(start, test["cycles"]))
        start += test["cycles"]
    return tables


def block_ids(dataset: Facts) -> set[ObjectId]:
    """Return the ids of all blocks that a version names."""
    parts = (dataset, *dataset.get("tests", ()))
    return {block["id"] for part in parts for block in (*part.get("blocks", ()), *part.get("seams", ()))}


def digest_of(parts: Iterable[Facts]) -> str:
    """Return the digest of what consists of parts with digests."""
    return hashlib.sha256("".join(part["digest"] for part in parts).encode()).hexdigest()


def _table(store: Store, blocks: Sequence[Facts]) -> pl.DataFrame | None:
    # A block that several tests have in common is fetched once, and stands wherever it is named.
    ids = [block["id"] for block in blocks]
    return frames.gather(store.database[BLOCKS], ids, None, columnar.decode) if ids else None
