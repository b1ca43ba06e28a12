"""Protocols of stored tests: found in their records, grouped, and kept under a name.

What a file says of its protocol stays in ``TestResult.protocol``; what is found here stands beside it, never there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import polars as pl
from bson import ObjectId
from mongoengine import NotUniqueError

from battery_analysis import columns
from battery_analysis.analysis.protocol import Protocol, grouped, protocol
from battery_analysis.errors import AnalysisError, InvalidDocumentError, NotFoundError
from battery_analysis.models import PlannedStep, TestProtocol, TestResult, checked
from battery_analysis.store import frames
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store

_NEEDED = (
    *(columns.TEST_TIME, columns.UNIX_TIME, columns.VOLTAGE, columns.CURRENT, columns.CYCLE_COUNT),
    *(columns.DERIVED_CYCLE_COUNT, columns.STEP_COUNT, columns.STEP_ID, columns.STEP_TYPE, columns.STEP_TIME),
    *(columns.RECORD_INDEX, columns.FREQUENCY, *columns.COUNTERS),
)


@dataclass(frozen=True)
class Groups:
    """Tests with the same protocol together, in the order in which they were asked for; and why others are in none."""

    groups: tuple[tuple[tuple[ObjectId, Protocol], ...], ...]
    without: tuple[tuple[ObjectId, str], ...]


def protocol_of(store: Store, test_id: str | ObjectId, nominal_capacity_ah: float | None = None) -> Protocol:
    """Find the protocol that a test followed; 1C is the sample's nominal capacity, else that of the file.

    Raises:
        NotFoundError: No such test.
        ArchiveError: A segment that the test names is missing.
        AnalysisError: Its records do not tell.
    """
    test = by_id(TestResult, test_id)
    nominal = nominal_capacity_ah or test.sample.nominal_capacity_ah or test.nominal_capacity_ah or None
    wanted = [column.name for column in _NEEDED if column.name in test.columns]
    frame: pl.DataFrame = frames.load_frame(store, test.id, wanted, form="polars")
    return protocol(frame, nominal, finished=bool(test.finished))


def group(store: Store, test_ids: Iterable[str | ObjectId]) -> Groups:
    """Group tests that followed the same protocol; one that cannot tell is named with its reason.

    Raises:
        NotFoundError: No such test.
        ArchiveError: A segment that a test names is missing.
    """
    found: list[tuple[ObjectId, Protocol]] = []
    without: list[tuple[ObjectId, str]] = []
    for test_id in test_ids:
        identity = by_id(TestResult, test_id).id
        try:
            found.append((identity, protocol_of(store, identity)))
        except AnalysisError as exc:
            without.append((identity, str(exc)))
    together = grouped([each for _, each in found])
    return Groups(tuple(tuple(found[place] for place in own) for own in together), tuple(without))


def remember(store: Store, name: str, test_id: str | ObjectId, description: str | None = None) -> TestProtocol:
    """Keep the protocol of a test under a name.

    Raises:
        NotFoundError: No such test.
        AnalysisError: Its records do not tell.
        InvalidDocumentError: Another protocol has that name.
    """
    found = protocol_of(store, test_id)
    document = TestProtocol(
        name=name,
        description=description,
        summary=found.summary,
        signature=found.signature,
        nominal_capacity_ah=found.nominal_capacity_ah,
        steps=[
            PlannedStep(group=number, cycles=group.cycles, **asdict(step))
            for number, group in enumerate(found.groups, start=1)
            for step in group.steps
        ],
        found_in=by_id(TestResult, test_id).id,
    )
    checked(document)
    try:
        document.save(force_insert=True, validate=False)
    except NotUniqueError as exc:
        raise InvalidDocumentError(f"TestProtocol {name!r}: another protocol is already named so") from exc
    return document


def by_name(name: str) -> TestProtocol:
    """Return the protocol with this name.

    Raises:
        NotFoundError: There is none.
    """
    found: TestProtocol | None = visible(TestProtocol).filter(name=name).first()
    if found is None:
        raise NotFoundError(f"no test protocol is named {name!r}")
    return found


def delete(name: str) -> TestProtocol:
    """Remove a protocol; tests stay.

    Raises:
        NotFoundError: There is none.
    """
    document = by_name(name)
    document.delete()
    return document
