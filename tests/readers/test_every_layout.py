"""A cell of which everything is known comes out as it was, from every layout that is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.readers import READERS
from battery_analysis.reading import ReadResult, read
from tests.layouts import LAYOUTS
from tests.layouts.cell import CAPACITIES_AH, CHARGE, DISCHARGE, ENERGIES_WH, START, Numbering, Record, records
from tests.layouts.table import Layout

DERIVED = {"derived_cycle_count", "step_kind"}
"""Columns that ``read`` adds to those of the file."""
NUMBERED = [
    pytest.param(layout, numbering, id=f"{layout.name}-{numbering}")
    for layout in LAYOUTS
    for numbering in layout.numberings[1:]
]


def written(folder: Path, layout: Layout, truth: tuple[Record, ...]) -> ReadResult:
    """Write the records, and read them back."""
    path = folder / layout.file
    layout.write(path, truth)
    if not layout.mapping:
        return ba.read(path)
    mappings = folder / "mappings"
    mappings.mkdir(exist_ok=True)
    (mappings / "rig.toml").write_text(layout.mapping)
    return read(path, mappings=mappings)


def first_numbering(layout: Layout) -> Numbering:
    return layout.numberings[0] if layout.numberings else "from one"


def assert_records(frame: pl.DataFrame, truth: Sequence[Record]) -> None:
    """Times to the millisecond, currents and voltages to the digits that the layouts print."""
    assert frame["test_time_second"].to_list() == pytest.approx([r.time for r in truth], abs=1e-3)
    assert frame["current_ampere"].to_list() == pytest.approx([r.current for r in truth], abs=1e-6)
    assert frame["voltage_volt"].to_list() == pytest.approx([r.voltage for r in truth], abs=1e-5)
    if "step_time_second" in frame.columns:
        assert frame["step_time_second"].to_list() == pytest.approx([r.step_time for r in truth], abs=1e-3)
    if "unix_time_second" in frame.columns:
        clock = [START.timestamp() + r.time for r in truth]
        assert frame["unix_time_second"].to_list() == pytest.approx(clock, abs=1e-3)


def assert_capacities(cycles: pl.DataFrame, layout: Layout) -> None:
    """To the printed digits."""
    printed = 10.0**-layout.decimals
    assert cycles["capacity_method"].unique().to_list() == ["counter" if layout.counted else "integrated"]
    assert cycles["charge_capacity_ah"].to_list() == pytest.approx(CAPACITIES_AH, abs=printed)
    assert cycles["discharge_capacity_ah"].to_list() == pytest.approx(CAPACITIES_AH, abs=printed)
    ratio = 2 * printed / min(CAPACITIES_AH)
    assert cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0] * len(CAPACITIES_AH), abs=ratio)


def assert_energies(cycles: pl.DataFrame, layout: Layout) -> None:
    """To the printed digits where they are counted; the integral takes a step's first interval at its end."""
    charged, discharged = zip(*ENERGIES_WH, strict=True)
    off = 2 * 10.0**-layout.decimals if layout.energy else 0.06
    assert cycles["energy_method"].unique().to_list() == ["counter" if layout.energy else "integrated"]
    assert cycles["charge_energy_wh"].to_list() == pytest.approx(charged, abs=off)
    assert cycles["discharge_energy_wh"].to_list() == pytest.approx(discharged, abs=off)


def assert_integral(frame: pl.DataFrame) -> None:
    """What current and time say, to a microampere-hour."""
    counters = [name for name in frame.columns if name.endswith(("_capacity_ah", "_energy_wh"))]
    cycles = summarise_cycles(frame.drop(counters))
    assert cycles["capacity_method"].unique().to_list() == ["integrated"]
    assert cycles["charge_capacity_ah"].to_list() == pytest.approx(CAPACITIES_AH, abs=1e-6)
    assert cycles["discharge_capacity_ah"].to_list() == pytest.approx(CAPACITIES_AH, abs=1e-6)


def assert_numbered(result: ReadResult, numbering: Numbering, truth: Sequence[Record]) -> None:
    """The tester's own numbers, except where they stay at 1."""
    assert result.frame["cycle_count"].to_list() == [r.cycle for r in truth]
    assert result.cycle_method == ("derived" if numbering == "stays at one" else "tester")
    numbers = {"from one": [1, 2, 3], "from zero": [0, 1, 2], "stays at one": [1, 2, 3]}[numbering]
    assert result.cycles["cycle_count"].to_list() == numbers


@pytest.mark.parametrize("every", [10.0, 60.0, 300.0])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_what_was_logged_comes_back(tmp_path: Path, layout: Layout, every: float) -> None:
    truth = records(every, first_numbering(layout), step_starts=layout.step_starts)
    result = written(tmp_path, layout, truth)
    assert result.reader == layout.reader
    assert [said for said in result.warnings if not said.startswith(layout.warnings or "-")] == []
    assert [check for check in result.checks if check.status == "failed"] == []
    assert_records(result.frame, truth)
    assert_capacities(result.cycles, layout)
    assert_energies(result.cycles, layout)
    assert_integral(result.frame)
    assert set(result.frame.columns) - DERIVED <= set(result.metadata.sources)
    if layout.numberings:
        assert_numbered(result, layout.numberings[0], truth)
    else:
        assert result.cycle_method == ("tester" if "cycle_count" in result.frame.columns else "derived")


@pytest.mark.parametrize(("layout", "numbering"), NUMBERED)
def test_cycles_are_the_testers_own_or_derived(tmp_path: Path, layout: Layout, numbering: Numbering) -> None:
    truth = records(300.0, numbering, step_starts=layout.step_starts)
    result = written(tmp_path, layout, truth)
    assert_numbered(result, numbering, truth)
    assert_capacities(result.cycles, layout)


def test_no_layout_is_forgotten() -> None:
    """Readers of nothing but spectra, and those whose own tests hold the generated truth, are named here."""
    spectra = {"maccor_impedance", "zplot_z", "powersuite_text", "ivium_idf", "autolab_fra"}
    elsewhere = {"neware_nda", "biologic_mpr", "arbin_res", "arbin_h5", "cellpy_h5", "tomato_netcdf", "indigo_h5"}
    no_current = {"chinstruments_text", "landt_cex"}
    read_here = {layout.reader for layout in LAYOUTS}
    assert {reader.name for reader in READERS} - spectra - elsewhere - no_current <= read_here


def test_the_truth_is_one() -> None:
    last = records(60.0)[-1].since["never"]
    assert (last.charge_ah, last.discharge_ah) == pytest.approx((sum(CAPACITIES_AH), sum(CAPACITIES_AH)))
    assert {r.kind for r in records(60.0) if r.current > 0} == {CHARGE}
    assert {r.kind for r in records(60.0) if r.current < 0} == {DISCHARGE}
