"""Break the product in the ways that happen: ``python -m benchmarks.faults [NAME…] [--times N] [--seed N]``.

Each fault is put into imports on fresh databases at random moments; the product recovers as its user would let it, and
what is stored then is held against what an undisturbed import stores: documents, frames, cycle tables and archived
bytes. Without ``--times`` a fault comes as often as it should be survived, and its figures replace those of
``docs/reliability.md``.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.faults import crowds, disks, killing, replicas
from benchmarks.faults.stage import Try

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_ROW = "| {name} | {times} | {injected} | {recovered} | {broken} | {seconds:.0f} | {date} |"


@dataclass(frozen=True)
class Fault:
    """What happens, how often it must be survived, and why it may not be possible to make it happen here."""

    name: str
    times: int
    run: Callable[[int, random.Random], Iterator[Try]]
    why_not: Callable[[], str | None] = lambda: None


FAULTS = (
    Fault("importer", 200, killing.importer_killed),
    Fault("server", 50, killing.server_killed),
    Fault("primary", 20, replicas.primary_killed),
    Fault("worker", 100, killing.worker_killed),
    Fault("full-database", 5, disks.full_database, disks.why_not),
    Fault("full-spool", 5, disks.full_spool, disks.why_not),
    Fault("crowd", 20, crowds.crowd),
    Fault("slow-writer", 50, crowds.slow_writer),
    Fault("hostile", 1, crowds.hostile_among_good, crowds.why_no_hostile),
)


def main() -> int:
    """Run the faults that are named, or all; exit status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(each.name for each in FAULTS))
    parser.add_argument("--times", type=int, help="how often each; without it, as often as it should be survived")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if unknown := set(given.names) - {each.name for each in FAULTS}:
        parser.error(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(each.name for each in FAULTS)}")
    whole = True
    for fault in FAULTS:
        if given.names and fault.name not in given.names:
            continue
        if reason := fault.why_not():
            print(f"{fault.name}: left out, {reason}", flush=True)
            continue
        times = given.times or fault.times
        row, broken = measured(fault, times, given.seed)
        whole = whole and not broken
        if given.times is None:
            FIGURES.write_text(with_row(FIGURES.read_text(encoding="utf-8"), fault.name, row), encoding="utf-8")
    return int(not whole)


def measured(fault: Fault, times: int, seed: int) -> tuple[str, int]:
    """Let a fault happen so often; print and return its figures, and how many times a promise was broken."""
    print(f"{fault.name}: {str(fault.run.__doc__).strip()}", flush=True)
    began = time.monotonic()
    injected = recovered = done = 0
    for number, each in enumerate(fault.run(times, random.Random(seed)), start=1):
        done, injected, recovered = number, injected + each.injected, recovered + (not each.broken)
        for line in each.broken:
            print(f"  BROKEN at {number}: {line}", flush=True)
    broken = times - recovered
    row = _ROW.format(
        name=fault.name,
        times=done,
        injected=injected,
        recovered=recovered,
        broken=broken,
        seconds=time.monotonic() - began,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
    )
    print(f"  {done} times, {injected} while at work, {recovered} recovered, {broken} broken", flush=True)
    return row, broken


def with_row(text: str, name: str, row: str) -> str:
    """Return a text with the row of a fault replaced, or added below the others, in its table of figures."""
    table = re.compile(r"^\| fault \|.*\n\|[-|]+\|\n(?:\|.*\n)*", re.MULTILINE)
    old = re.compile(rf"^\| {re.escape(name)} \|.*$", re.MULTILINE)

    def changed(found: re.Match[str]) -> str:
        return old.sub(lambda _: row, found[0]) if old.search(found[0]) else f"{found[0]}{row}\n"

    return table.sub(changed, text, count=1)


if __name__ == "__main__":
    sys.exit(main())
