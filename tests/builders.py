"""Small tests made by hand, and the way into the store without a file reader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from battery_analysis.analysis.cycles import number_cycles, summarise_cycles
from battery_analysis.analysis.steps import with_step_kind
from battery_analysis.columns import conform
from battery_analysis.models import TestResult, now
from battery_analysis.readers.base import TestMetadata
from battery_analysis.reading import ReadResult
from battery_analysis.store import Store, raw_files, samples
from battery_analysis.store.parcel import pack
from battery_analysis.store.provenance import PartRead, Source
from battery_analysis.store.raw_files import Arrival, Labels
from battery_analysis.store.tests import Belonging, save_test

STARTED_AT = datetime(2026, 3, 2, 8, tzinfo=UTC)


def cycling_frame(cycles: int = 3, records: int = 20) -> pl.DataFrame:
    """Cycles of half charging at 1 A and half discharging at 1 A, one record a minute."""
    half = records // 2
    total = cycles * records
    return pl.DataFrame(
        {
            "test_time_second": [60.0 * (number + 1) for number in range(total)],
            "voltage_volt": [3.0 + 0.001 * (number % records) for number in range(total)],
            "current_ampere": [1.0 if number % records < half else -1.0 for number in range(total)],
            "cycle_count": [number // records + 1 for number in range(total)],
            "step_count": [number // half + 1 for number in range(total)],
            "step_time_second": [60.0 * (number % half + 1) for number in range(total)],
            "aux_humidity": [0.5 + number for number in range(total)],
        }
    )


def read_result(frame: pl.DataFrame, **metadata: object) -> ReadResult:
    """What ``read`` would give for a file with these records."""
    facts = TestMetadata(**{"tester": "Arbin", "test_type": "cycling", "started_at": STARTED_AT, **metadata})  # type: ignore[arg-type]
    numbered, method = number_cycles(with_step_kind(conform(frame).frame))
    return ReadResult(numbered, summarise_cycles(numbered), facts, "by_hand", "1", [], method)


def save(
    store: Store,
    folder: Path,
    result: ReadResult,
    *,
    name: str = "AB12.csv",
    sample: str = "AB12",
    content: bytes = b"",
) -> TestResult:
    """Store a result as the import of a file called ``name`` that holds ``content``."""
    path = folder / name
    path.write_bytes(content or name.encode())
    data = path.read_bytes()
    arrival = Arrival(str(path), name, path, hashlib.sha256(data).hexdigest(), len(data), now())
    raw = raw_files.create(store, arrival, Labels(), archive=True)
    belonging = Belonging(samples.get_or_create(sample), sample, "fixed", sample)
    source = Source(raw.test_id, (PartRead(raw.id, name, arrival.sha256),))
    test, _ = save_test(store, pack(result, folder / "parcel"), source, belonging, Labels())
    return test


def arbin_csv(cycles: int = 3, records: int = 20) -> str:
    """An Arbin export of ``cycling_frame``, without a clock."""
    frame = cycling_frame(cycles, records)
    lines = ["Test_Time(s),Cycle_Index,Step_Index,Step_Time(s),Current(A),Voltage(V)"]
    columns = ("test_time_second", "cycle_count", "step_count", "step_time_second", "current_ampere", "voltage_volt")
    lines += [",".join(str(value) for value in row) for row in frame.select(columns).iter_rows()]
    return "\n".join(lines) + "\n"


def meanwhile(monkeypatch: pytest.MonkeyPatch, module: object, name: str, happens: Callable[[], object]) -> None:
    """Let something happen once between reading and writing."""
    waiting = [happens]
    as_it_is = getattr(module, name)

    def first(*args: object) -> object:
        if waiting:
            waiting.pop()()
        return as_it_is(*args)

    monkeypatch.setattr(module, name, first)
