"""An overview keeps what a plot of the whole test would show."""

import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battery_analysis.analysis.thinning import OVERVIEW_SCHEMA, overview
from tests.analysis.cells import ideal_cycles, logged


def test_a_short_test_is_kept_whole() -> None:
    frame = logged(ideal_cycles(2), 60.0)
    thinned = overview(frame)
    assert thinned.schema == pl.Schema(OVERVIEW_SCHEMA)
    assert thinned["signal"].unique(maintain_order=True).to_list() == ["voltage_volt", "current_ampere", "cycle_count"]
    voltage = thinned.filter(pl.col("signal") == "voltage_volt")
    assert voltage["value"].to_list() == frame["voltage_volt"].to_list()
    assert voltage["test_time_second"].to_list() == frame["test_time_second"].to_list()


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3) | st.none(), min_size=1, max_size=600),
    points=st.integers(4, 60),
    seconds=st.sampled_from([0.0, 0.5, 1e6]),
)
def test_extremes_ends_and_order_survive(values: list[float | None], points: int, seconds: float) -> None:
    time = (np.arange(len(values)) // 3) * seconds
    frame = pl.DataFrame({"test_time_second": time, "voltage_volt": pl.Series(values, dtype=pl.Float64)})
    known = frame.drop_nulls()
    thinned = overview(frame, points)
    assert thinned.height <= points + 2
    assert thinned["test_time_second"].is_sorted()
    if known.height:
        assert thinned["value"].min() == known["voltage_volt"].min()
        assert thinned["value"].max() == known["voltage_volt"].max()
        assert thinned.row(0)[1:] == known.row(0)
        assert thinned.row(-1)[1:] == known.row(-1)
    pairs = set(known.rows())
    assert all((second, value) in pairs for _, second, value in thinned.rows())


def test_each_signal_has_about_as_many_points_as_asked() -> None:
    time = np.arange(200_000, dtype=np.float64)
    frame = pl.DataFrame(
        {"test_time_second": time, "voltage_volt": np.sin(time / 500), "temperature_t1_celsius": np.cos(time / 900)}
    )
    counts = overview(frame).group_by("signal").len()["len"]
    assert counts.min() > 3500
    assert counts.max() <= 4002


def test_a_spectrum_has_no_overview() -> None:
    assert overview(pl.DataFrame({"frequency_hertz": [1.0], "voltage_volt": [3.7]})).height == 0


def test_the_thinning_package_is_only_loaded_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tsdownsample", None)
    assert overview(logged(ideal_cycles(1), 60.0)).height
