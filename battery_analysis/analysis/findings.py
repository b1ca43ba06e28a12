"""How a check of a test ends: passed, failed with numbers and records, or not applicable with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from battery_analysis.analysis.records import IntArray

Status = Literal["passed", "failed", "not_applicable"]
Ranges = list[tuple[int, int]]

MOST_RANGES = 50
"""Further ranges of records are counted, but not listed."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where."""

    message: str
    numbers: dict[str, float]
    records: Ranges = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """How one check of a test ended.

    ``records`` are first and last record of each stretch that failed, positions in the frame from 0, both included.
    ``faults`` say the same one by one.
    """

    name: str
    status: Status
    message: str
    numbers: dict[str, float] = field(default_factory=dict)
    records: Ranges = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def not_applicable(name: str, reason: str) -> Check:
    """Say that a test has nothing to check by."""
    return Check(name, "not_applicable", reason)


def concluded(name: str, faults: Sequence[Fault], good: str, found: dict[str, float]) -> Check:
    """Pass with the ``good`` message, or fail with what every fault says."""
    if not faults:
        return Check(name, "passed", good, found)
    told = dict(found)
    for fault in faults:
        told |= fault.numbers
    where = sorted({span for fault in faults for span in fault.records})
    return Check(name, "failed", "; ".join(fault.message for fault in faults), told, where[:MOST_RANGES], list(faults))


def ranges(starts: IntArray, lasts: IntArray) -> Ranges:
    """Pair first and last records, neighbours joined."""
    if not starts.size:
        return []
    apart = np.flatnonzero(starts[1:] > lasts[:-1] + 1)
    firsts = starts[np.append(0, apart + 1)][:MOST_RANGES]
    ends = lasts[np.append(apart, lasts.size - 1)][:MOST_RANGES]
    return [(int(first), int(last)) for first, last in zip(firsts, ends, strict=True)]


def ranges_of(positions: IntArray) -> Ranges:
    """Single records, neighbours joined."""
    return ranges(positions, positions)


def intervals(ends: IntArray) -> Ranges:
    """The two records of each interval that ends at one of these."""
    return [(int(end) - 1, int(end)) for end in ends[:MOST_RANGES]]
