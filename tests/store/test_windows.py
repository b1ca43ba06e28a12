"""A window of a test shows what its records hold, however wide it is and whatever it is drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from battery_analysis.errors import NotFoundError
from battery_analysis.models import TestResult
from battery_analysis.store import Store, columnar, frames, windows
from battery_analysis.store.sketches import SKETCHES
from tests.builders import cycling_frame, read_result, save

NAMES = ("voltage_volt", "current_ampere")
RECORDS = 20_000
PER_SEGMENT = 1_000


@pytest.fixture
def noisy() -> pl.DataFrame:
    """Return 20,000 records with noise, and no voltage in every seventh."""
    frame = cycling_frame(cycles=100, records=RECORDS // 100)
    noise = np.random.default_rng(1).normal(0.0, 0.1, frame.height)
    voltage = pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise(pl.col("voltage_volt") + noise)
    return frame.with_columns(voltage_volt=voltage)


@pytest.fixture
def long_test(store: Store, tmp_path: Path, noisy: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> TestResult:
    """Save them as a test of twenty segments."""
    monkeypatch.setattr(columnar, "RECORDS_PER_SEGMENT", PER_SEGMENT)
    test = save(store, tmp_path, read_result(noisy))
    assert len(test.segments) == RECORDS // PER_SEGMENT
    return test


@pytest.mark.parametrize("share", [(0.0, 0.01), (0.333, 0.35), (0.1, 0.5), (0.0, 1.0), (0.12345, 0.98765)])
@pytest.mark.parametrize("kept", [True, False], ids=["sketches kept", "sketches made"])
def test_smallest_and_largest_value_of_any_window_are_those_of_its_records(
    store: Store, long_test: TestResult, noisy: pl.DataFrame, share: tuple[float, float], kept: bool
) -> None:
    if not kept:
        store.database[SKETCHES].drop()
    end = noisy["test_time_second"].max()
    first, last = (end * each for each in share)  # type: ignore[operator]
    found = windows.load_window(store, long_test, NAMES, (first, last), points=500)
    inside = noisy.filter(pl.col("test_time_second").is_between(first, last))
    for name in NAMES:
        places, values = found[name]
        assert (values.min(), values.max()) == (inside[name].min(), inside[name].max())
        assert first <= places[0] <= places[-1] <= last
        assert (np.diff(places) >= 0).all()
        assert values.size <= 502


def test_a_narrow_window_shows_every_record(store: Store, long_test: TestResult, noisy: pl.DataFrame) -> None:
    first, last = (float(noisy["test_time_second"][place]) for place in (1_500, 1_600))
    places, values = windows.load_window(store, long_test, ["voltage_volt"], (first, last))["voltage_volt"]
    inside = noisy.filter(pl.col("test_time_second").is_between(first, last)).drop_nulls("voltage_volt")
    assert places.tolist() == inside["test_time_second"].to_list()
    assert values.tolist() == inside["voltage_volt"].to_list()


def test_a_wide_window_reads_records_only_at_its_ends(store: Store, long_test: TestResult, noisy: pl.DataFrame) -> None:
    inner = [segment.id for segment in long_test.segments[1:-1]]
    store.database[frames.SEGMENTS].delete_many({"_id": {"$in": inner}})
    end = float(noisy["test_time_second"][-1])
    found = windows.load_window(store, long_test, ["voltage_volt"], (1.0, end - 1.0))
    assert found["voltage_volt"][1].size > 2_000


def test_sketches_go_with_their_segments(store: Store, long_test: TestResult) -> None:
    assert store.database[SKETCHES].count_documents({}) == len(long_test.segments)
    frames.drop(store.database, frames.SEGMENTS, [segment.id for segment in long_test.segments])
    assert store.database[SKETCHES].count_documents({}) == 0


def test_without_test_time_records_are_counted(store: Store, tmp_path: Path) -> None:
    frame = pl.DataFrame({"frequency_hertz": [10.0, 1.0], "real_impedance_ohm": [0.1, 0.2]})
    spectrum = frame.with_columns(imaginary_impedance_ohm=pl.lit(-0.01))
    test = save(store, tmp_path, read_result(spectrum))
    places, values = windows.load_window(store, test, ["real_impedance_ohm"])["real_impedance_ohm"]
    assert (places.tolist(), values.tolist()) == ([0.0, 1.0], [0.1, 0.2])


def test_a_column_without_numbers_is_named(store: Store, long_test: TestResult) -> None:
    with pytest.raises(NotFoundError, match="no column of numbers power_watt"):
        windows.load_window(store, long_test, ["power_watt"])
