"""What a file says about its test, as a JSON text that a file of this project carries along."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from battery_analysis.readers.base import ColumnSource, TestMetadata

NOTE_KEY = "battery_analysis"
"""Key of the note among the key-value metadata of a Parquet file."""

_TIMES = {"started_at", "ended_at"}


def to_note(metadata: TestMetadata) -> str:
    """Write metadata as JSON; what is empty stays out."""
    said_nothing = asdict(TestMetadata(tester=""))
    facts = {name: value for name, value in asdict(metadata).items() if value != said_nothing[name]}
    for name in _TIMES:
        if name in facts:
            facts[name] = facts[name].isoformat()
    return json.dumps(facts, ensure_ascii=False)


def from_note(note: str) -> TestMetadata | None:
    """Read what ``to_note`` wrote; None where it is something else.

    >>> from_note(to_note(TestMetadata(tester="Arbin", channel="8"))) == TestMetadata(tester="Arbin", channel="8")
    True
    """
    # Someone else's note, or a damaged one.
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        known = {each.name for each in fields(TestMetadata)}
        facts: dict[str, Any] = {name: value for name, value in json.loads(note).items() if name in known}
        facts["sources"] = {name: ColumnSource(**source) for name, source in facts.get("sources", {}).items()}
        for name in _TIMES & facts.keys():
            facts[name] = datetime.fromisoformat(facts[name])
        if "voltage_limits_volt" in facts:
            low, high = facts["voltage_limits_volt"]
            facts["voltage_limits_volt"] = (float(low), float(high))
        return TestMetadata(**facts)
    return None
