"""Analyses as commands: of files, stored tests and cells, with known truth."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.builders import arbin_csv
from tests.cli.conftest import Cli

CYCLES, RECORDS = 12, 10


def write_fading(path: Path, loss: float, rates: Sequence[float] = (1.0,) * CYCLES) -> None:
    """A cell of 1 Ah that loses a share of its first capacity with every cycle, at these currents in A."""
    rows, time = [], 0.0
    for cycle, rate in enumerate(rates, start=1):
        for step, current in enumerate((rate, -rate), start=2 * cycle - 1):
            for record in range(RECORDS + 1):
                time += 3600.0 / rate * (1 + loss - loss * cycle) / RECORDS if record else 0.001
                voltage = 3.0 + 0.1 * (record if current > 0 else RECORDS - record)
                rows.append((time, voltage, current, cycle, step))
    names = ("test_time_second", "voltage_volt", "current_ampere", "cycle_count", "step_count")
    pl.DataFrame(rows, schema=names, orient="row").write_csv(path)


@pytest.fixture
def fading(tmp_path: Path) -> Path:
    """A cell that loses a hundredth of its first capacity, 1 Ah, with every cycle."""
    path = tmp_path / "FD01.bdf.csv"
    write_fading(path, 0.01)
    return path


@pytest.fixture
def spectrum(tmp_path: Path) -> Path:
    """10 ohm in series with an arc of 50 ohm and 10 uF."""
    hertz = np.logspace(4, 0, 41)
    ohm = 10 + 50 / (1 + 2j * np.pi * hertz * 50 * 1e-5)
    path = tmp_path / "EI01.bdf.csv"
    names = ("frequency_hertz", "real_impedance_ohm", "imaginary_impedance_ohm")
    pl.DataFrame(dict(zip(names, (hertz, ohm.real, ohm.imag), strict=True))).write_csv(path)
    return path


def test_fade_and_life_of_a_file_without_a_database(cli: Cli, fading: Path) -> None:
    found = cli.json("analyse", "fade", fading, "--law", "linear")
    assert found["predicted_cycle"] == pytest.approx(21.0, abs=0.1)
    assert found["measured_cycle"] is None
    linear = next(row for row in found["laws"] if row["law"] == "linear")
    assert "rate_ah_per_cycle 0.01" in linear["parameters"]


def test_cycles_at_other_rates_are_no_ageing(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "RT01.bdf.csv"
    write_fading(path, 0.01, [1.0] * 8 + [3.0] * 4 + [1.0] * 4)
    found = cli.json("analyse", "fade", path, "--law", "linear")
    assert "4 other-rate cycles left out: 9, 10, 11, 12; --all-cycles takes them" in found["remarks"]
    assert next(row["points"] for row in found["laws"] if row["law"] == "linear") == 11  # the last has not ended
    assert {row["role"] for row in cli.json("analyse", "roles", path)["cycles"][8:12]} == {"other_rate"}


def test_steady_cycles_with_check_ups_have_no_anomalies(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "AN01.bdf.csv"
    write_fading(path, 1e-4, [1.0] * 12 + [0.2] + [1.0] * 12)
    found = cli.json("analyse", "anomalies", path)
    assert found["anomalies"] == []  # not even cycle 13 is missing
    assert "1 check-up cycle left out: 13; --all-cycles takes them" in found["remarks"]
    least = next(remark for remark in found["remarks"] if remark.startswith("smaller differences count for none"))
    assert "discharge_capacity_ah 0.5%, coulombic_efficiency 0.001" in least


def test_a_rate_test_has_no_cycle_life(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "RT02.bdf.csv"
    write_fading(path, 0.01, [rate for rate in (0.2, 0.5, 1.0, 2.0) for _ in range(3)])
    why = "no rate is usual: the most common one has 3 of 12 cycles"
    assert why in cli.refused("analyse", "fade", path)
    found = cli.json("analyse", "anomalies", path)
    assert found["anomalies"] == []
    assert any(why in remark for remark in found["remarks"])


def test_a_report_of_a_rate_test_foretells_no_life_either(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    write_fading(tmp_path / "lab" / "RT03.bdf.csv", 0.01, [rate for rate in (0.2, 0.5, 1.0, 2.0) for _ in range(3)])
    cli.ok("import", tmp_path / "lab")
    assert cli("report", "RT03", "--out", tmp_path / "report.html").status == 0
    words = (tmp_path / "report.html").read_text()
    assert "No law was fitted: no rate is usual: the most common one has 3 of 11 cycles" in words  # the last goes on


def test_a_law_that_does_not_exist_names_those_that_do(cli: Cli, fading: Path) -> None:
    assert "linear" in cli.refused("analyse", "fade", fading, "--law", "cubic")


def test_a_stored_test_and_its_cell_give_the_numbers_of_the_file(cli: Cli, fading: Path) -> None:
    cli.ok("import", fading.parent)
    (test,) = cli.json("search")
    for target in (test["id"], "FD01"):
        found = cli.json("analyse", "efficiency", target)
        assert found["efficiencies"][0]["mean"] == pytest.approx(1.0)
    assert cli.json("analyse", "rate", test["id"])["levels"][0]["current_ampere"] == pytest.approx(1.0, rel=1e-3)


def test_records_of_a_cell_with_several_tests_are_asked_for_by_test(cli: Cli, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"AB12_{number}.csv").write_text(arbin_csv(cycles=number + 1))
    cli.ok("import", tmp_path)
    assert "has 2 tests; name one of them by its id" in cli.refused("analyse", "pulses", "AB12")
    assert len(cli.json("analyse", "roles", "AB12")["cycles"]) == 5


def test_what_is_neither_test_nor_cell_nor_file_is_one_line(cli: Cli) -> None:
    assert "'ZZ99' is none of these" in cli.refused("analyse", "fade", "ZZ99")


def test_the_circuit_of_a_spectrum_is_found(cli: Cli, spectrum: Path) -> None:
    found = cli.json("analyse", "eis", spectrum, "--circuit", "R0-p(R1,C1)", "--circuit", "R0-p(R1,CPE1)", "--drt")
    values = {row["parameter"]: row["value"] for row in found["parameters"]}
    assert values == {name: pytest.approx(value, rel=1e-3) for name, value in (("R0", 10), ("R1", 50), ("C1", 1e-5))}
    assert found["circuits"][0]["circuit"] == "R0-p(R1,C1)"
    assert any("Kramers-Kronig test passed" in remark for remark in found["remarks"])
    main = max(found["peaks"], key=lambda row: row["resistance_ohm"])
    assert main["tau_second"] == pytest.approx(5e-4, rel=0.1)


def test_no_part_of_an_impedance_analysis_overwrites_another(cli: Cli, tmp_path: Path) -> None:
    hertz = np.logspace(5, 0, 51)
    ohm = 10 + 50 / (1 + 2j * np.pi * hertz * 50 * 1e-5) + 2j * np.pi * hertz * 1e-5
    path = tmp_path / "EI02.bdf.csv"
    names = ("frequency_hertz", "real_impedance_ohm", "imaginary_impedance_ohm")
    pl.DataFrame(dict(zip(names, (hertz, ohm.real, ohm.imag), strict=True))).write_csv(path)
    without = cli.json("analyse", "eis", path, "--circuit", "R0-p(R1,C1)-L0")
    found = cli.json("analyse", "eis", path, "--circuit", "R0-p(R1,C1)-L0", "--drt")
    for name in ("ohmic_resistance_ohm", "rms_residual", "aicc"):
        assert found[name] == without[name]
    assert found["drt_ohmic_resistance_ohm"] == pytest.approx(10, rel=0.01)
    assert found["drt_ohmic_resistance_ohm"] != found["ohmic_resistance_ohm"]
    assert found["drt_lambda_value"] > 0
    assert any("relaxation times: 1 main peak;" in remark for remark in found["remarks"])


def test_a_spectrum_that_is_not_there_is_one_line(cli: Cli, spectrum: Path) -> None:
    assert "has 1 spectrum, got --spectrum 2" in cli.refused("analyse", "eis", spectrum, "--spectrum", 2)


def test_curves_come_as_csv(cli: Cli, fading: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli.ok("analyse", "dqdv", fading, "--cycle", 3, "--curves", "--csv").out)))
    assert {row["cycle_count"] for row in rows} == {"3"}
    middle = [float(row["dqdv_ah_per_volt"]) for row in rows if 3.2 < float(row["voltage_volt"]) < 3.8]
    assert np.median(middle) == pytest.approx(0.98, rel=0.02)


def test_curves_say_how_they_were_smoothed_and_in_which_unit(cli: Cli, fading: Path) -> None:
    facts = dict(line.split("  ", 1) for line in cli.ok("analyse", "dqdv", fading).out.splitlines()[:3])
    assert facts["step / V"].strip() == "0.002"
    assert facts["smoother"].strip() == "gaussian, 0.01 V wide"
    inverse = cli.json("analyse", "dqdv", fading, "--dvdq")
    assert inverse["smoother"] == f"gaussian, {5 * inverse['step_ah']:.3g} Ah wide"


GARBLED = re.compile(r"per /|hertz|henry|farad|watt|seconds|\bvolt\b|\bah\b")


@pytest.mark.parametrize(
    "analysis",
    [
        ["dqdv", "--curves"],
        ["dqdv", "--curves", "--dvdq"],
        ["rate"],
        ["pulses"],
        ["protocol", "--steps"],
        ["efficiency"],
        ["roles"],
    ],
)
def test_headings_have_their_units_behind_a_stroke(cli: Cli, fading: Path, analysis: list[str]) -> None:
    lines = cli.ok("analyse", *analysis, fading).out.splitlines()
    headings = [lines[place + 1] for place, line in enumerate(lines) if line.endswith(":")]
    assert headings
    assert not [heading for heading in headings if GARBLED.search(heading)]


def test_headings_of_an_impedance_have_their_units_behind_a_stroke(cli: Cli, spectrum: Path) -> None:
    lines = cli.ok("analyse", "eis", spectrum, "--drt").out.splitlines()
    assert not [line for line in lines if GARBLED.search(line)]
    assert any("frequency / Hz" in line for line in lines)


def test_tests_of_one_protocol_are_one_group(cli: Cli, fading: Path, tmp_path: Path) -> None:
    other = tmp_path / "FD02.bdf.csv"
    other.write_bytes(fading.read_bytes())
    found = cli.json("analyse", "protocol", fading, other)["protocols"]
    assert [row["group"] for row in found] == [1, 1]
    assert found[0]["summary"] == "12x 1 A"


def test_cells_are_compared_and_correlated_with_their_samples(cli: Cli, tmp_path: Path) -> None:
    codes = ("AA01", "AA02", "BB01", "BB02")
    for loading, code, loss in zip((10, 11, 12, 13), codes, (0.01, 0.011, 0.03, 0.031), strict=True):
        write_fading(tmp_path / f"{code}.bdf.csv", loss)
        cli.ok("sample", "set", code, f"loading_mg_cm2={loading}", f"chemistry={code[:2]}")
    cli.ok("import", tmp_path)
    found = cli.json("analyse", "similar", *codes, "--feature", "fade_per_cycle", "--clusters", "--components")
    assert {(row["cell"], row["other"]) for row in found["distances"][:2]} == {("AA01", "AA02"), ("BB01", "BB02")}
    groups = {row["cell"]: row["cluster"] for row in found["clusters"]}
    assert groups["AA01"] == groups["AA02"] != groups["BB01"] == groups["BB02"]
    rows = cli.json("analyse", "correlate", *codes, "--result", "fade_per_cycle")["correlations"]
    by_name = {row["property"]: row for row in rows}
    assert by_name["loading_mg_cm2"]["spearman_rho"] == pytest.approx(1.0)
    assert by_name["chemistry"]["eta_squared"] > 0.99


def test_one_cell_is_not_compared_with_itself(cli: Cli, fading: Path) -> None:
    assert "two different cells at least" in cli.refused("analyse", "similar", fading, fading)


def test_a_parameter_set_that_does_not_exist_is_one_line(cli: Cli, fading: Path) -> None:
    pytest.importorskip("pybamm")
    assert "Nobody2020" in cli.refused("analyse", "simulate", fading, "--parameters", "Nobody2020")


def test_tests_of_one_name_are_told_apart(cli: Cli, tmp_path: Path) -> None:
    targets = []
    for number in range(1, 5):
        (tmp_path / f"AB1{number}").mkdir()
        targets.append(tmp_path / f"AB1{number}" / "run.bdf.csv")
        write_fading(targets[-1], 0.01 * number)
    found = cli.json("analyse", "similar", *targets)
    assert {row["cell"] for row in found["features"]} == set(map(str, targets))
    cli.ok("import", tmp_path)
    for number in range(1, 5):
        cli.ok("sample", "set", f"AB1{number}", f"metadata.capacity_retention={number}", f"thickness_um={number}")
    ids = [test["id"] for test in cli.json("search")]
    found = cli.json("analyse", "correlate", *ids, "--result", "fade_per_cycle")
    assert found["cells"] == 4
    assert {"metadata.capacity_retention", "thickness_um"} <= {row["property"] for row in found["correlations"]}


@pytest.mark.parametrize("analysis", ["rate", "protocol"])
def test_a_nominal_capacity_of_nothing_is_refused(cli: Cli, fading: Path, analysis: str) -> None:
    assert "nominal_capacity_ah must be" in cli.refused("analyse", analysis, fading, "--nominal", "0")
