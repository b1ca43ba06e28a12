"""Analyses of real files: they agree with the cycle table, and answer or say why not."""

import polars as pl
import pytest

import battery_analysis
from battery_analysis.analysis.checkups import mark_cycles
from battery_analysis.analysis.differential import dqdv, dvdq
from battery_analysis.analysis.fade import fit_fade
from battery_analysis.analysis.halves import half_cycles
from battery_analysis.analysis.outliers import find_anomalies, find_gaps
from battery_analysis.analysis.peaks import find_peaks
from battery_analysis.analysis.rate import rate_capability
from battery_analysis.analysis.smoothing import Smoother
from battery_analysis.analysis.trends import efficiency_statistics, throughput
from battery_analysis.errors import AnalysisError
from tests.realdata import real, real_entries

MOST_BYTES = 3_000_000
SUFFIXES = (".csv", ".txt", ".mpt", ".mpr", ".ndax", ".res", ".dta", ".xlsx", ".078")


def paths() -> list[str]:
    every = [entry["path"] for entry in real_entries("arbin", "biologic", "neware", "maccor", "landt", "gamry", "pec")]
    return [path for path in every if path.lower().endswith(SUFFIXES)]


@pytest.mark.parametrize("path", paths())
def test_half_cycles_and_their_curves(path: str) -> None:
    if real(path).stat().st_size > MOST_BYTES:
        pytest.skip("large; smaller files of the format are read")
    result = battery_analysis.read(real(path))
    try:
        halves = half_cycles(result.frame, continuation=result.metadata.continuation)
    except AnalysisError:
        moved = [result.cycles[f"{half}_capacity_ah"].sum() for half in ("charge", "discharge") if result.cycles.height]
        assert max(moved, default=0.0) < 1e-3
        return
    cycles = result.cycles
    for half in ("charge", "discharge"):
        own = halves.table.filter(pl.col("direction") == half)
        summed = own.group_by("cycle_count").agg(pl.col("capacity_ah").sum(), unknown=pl.col("has_gap").any())
        both = cycles.join(summed.filter(~pl.col("unknown")), on="cycle_count").drop_nulls(f"{half}_capacity_ah")
        off = (both[f"{half}_capacity_ah"] - both["capacity_ah"]).abs()
        # A counter of 10 µAh resolution may still count during a rest.
        assert not both.height or (off <= 2e-3 * both[f"{half}_capacity_ah"].max() + 1.1e-5).all()
    for differentiated in (dqdv, dvdq):
        curves = differentiated(halves)
        assert ((curves.halves["points"] > 0) == curves.halves["reason"].is_null()).all()
        assert find_peaks(curves)["half_cycle"].is_in(curves.halves["half_cycle"].to_list()).all()
    raw = dqdv(halves, smoother=Smoother("none"))
    held = raw.curves.group_by("half_cycle").agg(held=pl.col(raw.y).sum() * raw.step)
    both = held.join(halves.table, on="half_cycle").drop_nulls("capacity_ah")
    assert (both["held"] <= both["capacity_ah"] * (1 + 1e-9) + 1e-12).all()


@pytest.mark.parametrize("path", paths())
def test_lives_get_an_answer_or_a_reason(path: str) -> None:
    if real(path).stat().st_size > MOST_BYTES:
        pytest.skip("large; smaller files of the format are read")
    result = battery_analysis.read(real(path))
    cycles = result.cycles
    marks = mark_cycles(cycles)
    assert marks["cycle_count"].equals(cycles["cycle_count"])
    assert marks["reason"].null_count() == 0
    anomalies = find_anomalies(cycles)
    numbers = set(range(int(cycles["cycle_count"].min() or 0), int(cycles["cycle_count"].max() or 0) + 1))
    assert all(each.cycles and set(each.cycles) <= numbers and each.numbers for each in anomalies.found)
    for efficiency in ("coulombic_efficiency", "energy_efficiency"):
        statistics = efficiency_statistics(cycles, efficiency)
        assert (statistics.trend is None) == (statistics.reason is not None)
    assert throughput(cycles).height == cycles.height
    known = cycles.filter(pl.col("complete") & pl.col("discharge_capacity_ah").is_not_null())
    if known["cycle_count"].n_unique() < 5:
        with pytest.raises(AnalysisError, match="a fit needs five"):
            fit_fade(cycles)
    else:
        assert all((fit.aicc is None) == (fit.reason is not None) for fit in fit_fade(cycles).fits)
    try:
        gaps = find_gaps(result.frame)
        capability = rate_capability(half_cycles(result.frame).table)
    except AnalysisError as exc:
        assert "\n" not in str(exc)
    else:
        assert all(gap.records and gap.records[1] < result.frame.height for gap in gaps)
        assert capability.levels["relative_capacity"][0] == pytest.approx(1.0)
