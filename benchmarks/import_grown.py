"""Import of a large text export to which 1 % was appended, beside its first import."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from battery_analysis.ingest import run as runs
from battery_analysis.store import Store, raw_archive
from benchmarks.measuring import Row, apart, scratch_store, seconds
from examples import SYNTHETIC
from examples.arbin_csv import write_arbin_csv
from examples.bulk import many_records

RECORDS = 5_000_000
APPENDED = 0.01


def run(records: int = RECORDS) -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = Path(name) / "lab" / "BM001.csv"
        path.parent.mkdir()
        apart(_write, str(path), records)
        megabytes = path.stat().st_size / 1e6
        (first, grown, before, after), peak = apart(_imports, str(path))
    yield Row(f"text export of {records:,} records", f"{megabytes:.0f} MB")
    yield Row("first import, without its last 1 %", f"{first:.1f} s")
    yield Row("import of the last 1 %", f"{grown:.2f} s = {grown / first:.1%}", "<= 10 %", grown <= 0.1 * first)
    growth = after / before - 1.0
    yield Row("archive", f"{before / 1e6:.0f} MB, then {growth:.1%} more", "<= 2 % more", growth <= 0.02)
    yield Row("peak memory: importing process", f"{peak:.0f} MB above start")


def _write(path: str, records: int) -> int:
    write_arbin_csv(Path(path), many_records(records), comment=SYNTHETIC)
    return records


def _imports(path: str) -> tuple[float, float, int, int]:
    """Return how long both imports take, and how many bytes are archived after each."""
    file = Path(path)
    with file.open("rb+") as whole:
        size = whole.seek(0, 2)
        whole.seek(int(size * (1.0 - APPENDED)))
        appended = whole.read()
        whole.truncate(size - len(appended))
    with scratch_store() as (store, settings):
        request = runs.ImportRequest(str(file.parent), workers=2)
        first = seconds(lambda: _held_to(runs.begin(store, settings, request), "created"))
        before = _archived(store)
        with file.open("ab") as growing:
            growing.write(appended)
        grown = seconds(lambda: _held_to(runs.begin(store, settings, request), "updated"))
        return first, grown, before, _archived(store)


def _held_to(job: runs.JobRun, expected: str) -> None:
    for outcome in job:
        if outcome.outcome != expected:
            raise RuntimeError(f"{outcome.path}: {outcome.outcome} instead of {expected} ({outcome.reason})")


def _archived(store: Store) -> int:
    return sum(int(each["length"]) for each in store.database[f"{raw_archive.COLLECTION}.files"].find())
