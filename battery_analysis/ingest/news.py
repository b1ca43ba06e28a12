"""Messages to people: what happened, in words. Nothing is sent here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from battery_analysis.errors import one_line
from battery_analysis.settings.notify import EVENTS, Event

LISTED = 20
"""News of one kind, and files of one import, that a message spells out; beyond that it counts them."""

PRODUCT = "battery-analysis"


@dataclass(frozen=True)
class News:
    """One thing that happened: a line for people, lines below it, and plain facts for programs."""

    event: Event
    text: str
    details: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """What one target gets."""

    subject: str
    text: str
    news: tuple[News, ...]


def message_of(news: Sequence[News], host: str) -> Message:
    """Put news into one message, by kind.

    >>> message_of([News("failed", "x.csv: no records"), News("failed", "y.csv: empty")], "lab1").subject
    'battery-analysis on lab1: 2 failed'
    """
    counts = Counter(each.event for each in news)
    amounts = ", ".join(f"{counts[event]} {_TITLES[event]}" for event in EVENTS if counts[event])
    lines: list[str] = []
    for event in EVENTS:
        of_kind = [each for each in news if each.event == event]
        for each in of_kind[:LISTED]:
            lines += [one_line(each.text), *(f"    {one_line(line)}" for line in each.details)]
        if len(of_kind) > LISTED:
            lines.append(f"and {len(of_kind) - LISTED} more {_TITLES[event]}")
    what = one_line(news[0].text) if len(news) == 1 else amounts
    return Message(f"{PRODUCT} on {host}: {what}"[:200], "\n".join(lines), tuple(news))


_TITLES: Mapping[Event, str] = {
    "completed": "completed",
    "failed": "failed",
    "stalled": "stalled",
    "retention": "under the set retention",
}


def of_job(job: Mapping[str, Any], failures: Sequence[tuple[str, str]]) -> News | None:
    """Say how an import ended; None where a user ended it.

    Args:
        job: Its ``id``, ``root``, ``state``, ``reason`` and ``counts`` (files by outcome).
        failures: Path and reason of files that failed, the first of them.
    """
    state, counts = str(job["state"]), {name: count for name, count in job["counts"].items() if count}
    if state in ("paused", "cancelled", "rolled_back"):
        return None
    amounts = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no files found"
    left = counts.get("failed", 0) - len(failures)
    more = (f"and {left} more failed",) if failures and left > 0 else ()
    why = f" ({job['reason']})" if job.get("reason") else ""
    return News(
        "completed" if state == "completed" and not counts.get("failed") else "failed",
        f"import of {job['root']} {state}{why}: {amounts}",
        (f"job {job['id']}", *(f"{path}: {reason}" for path, reason in failures), *more),
        {"job": str(job["id"]), "root": job["root"], "state": state, "reason": job.get("reason"), "counts": counts},
    )


def of_failed_file(path: str, reason: str | None, sha256: str | None) -> News:
    """Say that a file could not be imported."""
    return News("failed", f"{path}: {reason or 'failed'}", facts={"path": path, "reason": reason, "sha256": sha256})


def of_stalled_test(test: Mapping[str, Any], hours: float) -> News:
    """Say that a test got no new records for some hours.

    Args:
        test: Its ``id``, ``name``, ``sample``, ``channel``, ``records``, ``last_records_at`` and ``finished``.
        hours: How long ago the last ones came.
    """
    place = f", channel {test['channel']}" if test.get("channel") else ""
    doubt = "" if test.get("finished") is False else "; the file does not say whether it has finished"
    return News(
        "stalled",
        f"test {test['name']} of {test['sample']}{place}: no new records for {hours:.0f} h"
        f" ({test['records']} so far){doubt}",
        facts={**test, "hours": round(hours, 1)},
    )


def of_retention(test: Mapping[str, Any], limit: float) -> News:
    """Say that a cell fell under a retention.

    Args:
        test: Its ``id``, ``name``, ``sample``, ``cell_code``, ``cycles`` and ``capacity_retention`` (a fraction).
        limit: The fraction that was set.
    """
    return News(
        "retention",
        f"cell {test['cell_code']}: capacity retention {test['capacity_retention']:.1%} after {test['cycles']} cycles,"
        f" under {limit:.0%} (test {test['name']} of {test['sample']})",
        facts={**test, "limit": limit},
    )
