"""Arbin and BioLogic text exports: layout, counters and what is printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pytest import approx

from examples.arbin_csv import write_arbin_csv
from examples.biologic_mpt import Acquisition, write_gcpl, write_peis
from examples.cell_model import NMC_GRAPHITE, Cell, Circuit, Design
from examples.protocol import Block, Charge, Discharge, Hold, Rest, Run, run

STARTED_AT = datetime(2026, 3, 30, 9, tzinfo=UTC)
ACQUISITION = Acquisition(2, STARTED_AT - timedelta(minutes=10), STARTED_AT, "synthetic", "NMC", 1.54, 17.9)
COUNTERS = {
    "charge_capacity_ah": "Charge_Capacity(Ah)",
    "discharge_capacity_ah": "Discharge_Capacity(Ah)",
    "charge_energy_wh": "Charge_Energy(Wh)",
    "discharge_energy_wh": "Discharge_Energy(Wh)",
}


@pytest.fixture(scope="module")
def done() -> Run:
    cell = Cell(Design(NMC_GRAPHITE, 0.0033, 14.0, 9.0), np.random.default_rng(1))
    cycle = Block((Charge(0.5, 60.0), Hold(0.05, 60.0), Rest(600.0, 60.0), Discharge(1.0, 60.0), Rest(300.0, 60.0)), 3)
    return run(cell, [Block((Rest(300.0, 60.0),)), cycle], 0.0032, STARTED_AT)


@pytest.fixture
def arbin(done: Run, tmp_path: Path) -> pl.DataFrame:
    write_arbin_csv(tmp_path / "a.csv", done.records, comment="synthetic")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfData_Point,Date_Time,Test_Time(s),")
    return pl.read_csv(tmp_path / "a.csv")


def test_arbin_counters_end_every_cycle_on_its_capacity_and_energy(arbin: pl.DataFrame, done: Run) -> None:
    ends = arbin.group_by("Cycle_Index", maintain_order=True).agg(pl.last(*COUNTERS.values()))
    assert ends["Cycle_Index"].to_list() == [1, 2, 3]
    for truth, printed in COUNTERS.items():
        assert ends[printed].to_list() == approx(done.cycles[truth].to_list(), abs=0.5e-8)


def test_arbin_counters_start_every_cycle_near_zero_and_never_fall_inside_one(arbin: pl.DataFrame) -> None:
    for name in COUNTERS.values():
        falls = arbin.select((pl.col(name).diff().over("Cycle_Index") < 0).sum()).item()
        assert falls == 0
        assert arbin.group_by("Cycle_Index").agg(pl.first(name))[name].max() < 1e-4


def test_arbin_leaves_out_the_record_at_the_start_of_a_step(arbin: pl.DataFrame, done: Run) -> None:
    assert arbin["Step_Time(s)"].min() > 0
    assert arbin.height == done.records.filter(pl.col("step_time_second") > 0).height
    assert arbin["Data_Point"].to_list() == list(range(1, arbin.height + 1))


def test_arbin_dates_follow_the_test_time(arbin: pl.DataFrame) -> None:
    stamps = arbin["Date_Time"].str.to_datetime("%m/%d/%Y %H:%M:%S%.3f").dt.epoch("ms") / 1000
    np.testing.assert_allclose(stamps - STARTED_AT.timestamp(), arbin["Test_Time(s)"], atol=1e-3)


def test_arbin_says_in_its_first_row_that_it_is_synthetic(arbin: pl.DataFrame) -> None:
    assert arbin["Comment"].to_list() == ["synthetic"] + [None] * (arbin.height - 1)


def read_mpt(path: Path) -> tuple[list[str], pl.DataFrame]:
    lines = path.read_bytes().decode("cp1252").split("\r\n")
    assert lines[0] == "EC-Lab ASCII FILE"
    assert lines.pop() == ""
    count = int(lines[1].removeprefix("Nb header lines : "))
    names = lines[count - 1].split("\t")
    assert names.pop() == ""
    rows = [[float(value) for value in line.split("\t")] for line in lines[count:]]
    return lines[:count], pl.DataFrame(rows, schema=names, orient="row")


@pytest.fixture
def gcpl(done: Run, tmp_path: Path) -> tuple[list[str], pl.DataFrame]:
    write_gcpl(tmp_path / "g.mpt", done.records, ACQUISITION, current_ampere=0.0016, limits_volt=(2.8, 4.2), passes=3)
    return read_mpt(tmp_path / "g.mpt")


def test_gcpl_says_who_when_and_that_it_is_synthetic(gcpl: tuple[list[str], pl.DataFrame]) -> None:
    header, _ = gcpl
    assert "Comments : synthetic" in header
    assert "Acquisition started on : 03/30/2026 08:50:00.000" in header
    assert "Technique started on : 03/30/2026 09:00:00.000" in header
    assert "Electrode surface area : 1.540 cm²" in header
    assert any(line.split() == ["Is", "0.000", "1.600", "-1.600"] for line in header)


def test_gcpl_holds_the_records_in_its_units(gcpl: tuple[list[str], pl.DataFrame], done: Run) -> None:
    _, table = gcpl
    np.testing.assert_allclose(table["time/s"], done.records["test_time_second"] + 600, atol=1e-6)
    np.testing.assert_allclose(table["Ewe/V"], done.records["voltage_volt"], rtol=1e-7)
    np.testing.assert_allclose(table["<I>/mA"], 1000 * done.records["current_ampere"], rtol=1e-12)
    assert table["cycle number"].to_list() == [count - 1 for count in done.records["cycle_count"]]


def test_gcpl_charge_runs_on_over_the_whole_test(gcpl: tuple[list[str], pl.DataFrame], done: Run) -> None:
    _, table = gcpl
    net = 1000 * (done.cycles["charge_capacity_ah"] - done.cycles["discharge_capacity_ah"]).cum_sum()
    ends = table.group_by("cycle number", maintain_order=True).agg(pl.last("(Q-Qo)/mA.h"))["(Q-Qo)/mA.h"]
    np.testing.assert_allclose(ends, net, atol=1e-12)
    np.testing.assert_allclose(table["dq/mA.h"].cum_sum(), table["(Q-Qo)/mA.h"], atol=1e-12)


def test_gcpl_half_cycles_and_their_charge(gcpl: tuple[list[str], pl.DataFrame], done: Run) -> None:
    _, table = gcpl
    charge = "Q charge/discharge/mA.h"
    halves = table.group_by("half cycle", maintain_order=True).agg(pl.last(charge))
    assert halves["half cycle"].to_list() == [0, 1, 2, 3, 4, 5]
    charged, discharged = done.cycles["charge_capacity_ah"], done.cycles["discharge_capacity_ah"]
    expected = [1000 * value for pair in zip(charged, -discharged, strict=True) for value in pair]
    np.testing.assert_allclose(halves[charge], expected, rtol=1e-12)


def test_gcpl_modes_tell_current_voltage_and_rest(gcpl: tuple[list[str], pl.DataFrame], done: Run) -> None:
    _, table = gcpl
    kinds = {"CC_Chg": 1, "CC_DChg": 1, "CV_Chg": 2, "Rest": 3}
    assert table["mode"].to_list() == [kinds[kind] for kind in done.records["step_type"]]


def test_exponents_have_three_digits(done: Run, tmp_path: Path) -> None:
    write_gcpl(tmp_path / "g.mpt", done.records, ACQUISITION, current_ampere=0.0016, limits_volt=(2.8, 4.2), passes=3)
    last = (tmp_path / "g.mpt").read_text("cp1252").splitlines()[-1].split("\t")
    exponents = [value.split("E")[1] for value in last if "E" in value]
    assert len(exponents) >= 9
    assert all(len(exponent) == 4 and exponent[0] in "+-" for exponent in exponents)


def test_a_spectrum_holds_its_points_with_the_imaginary_sign_turned(tmp_path: Path) -> None:
    frequency = np.logspace(5, -2, 43)
    impedance = Circuit(5.0, 8.0, 5e-4, 0.85, 2.0).impedance(frequency)
    write_peis(tmp_path / "p.mpt", frequency, impedance, ACQUISITION, voltage_volt=3.7)
    header, table = read_mpt(tmp_path / "p.mpt")
    assert "Potentio Electrochemical Impedance Spectroscopy" in header
    assert "Comments : synthetic" in header
    np.testing.assert_allclose(table["freq/Hz"], frequency, rtol=1e-7)
    np.testing.assert_allclose(table["Re(Z)/Ohm"], impedance.real, rtol=1e-7)
    np.testing.assert_allclose(table["-Im(Z)/Ohm"], -impedance.imag, rtol=1e-7)
    np.testing.assert_allclose(table["|Z|/Ohm"], np.abs(impedance), rtol=1e-7)
    assert (table["Phase(Z)/deg"] < 0).all()
    assert table["time/s"].is_sorted()
    assert table["time/s"][0] > 600
