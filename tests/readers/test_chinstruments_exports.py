"""The ways in which CH Instruments' programs write records: delimiters, and quantities that were applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import CorruptFileError
from battery_analysis.reading import ReadResult, read

HEADER = (
    "June 21, 2023   16:01:40\r\n{technique}\r\nInstrument Model:  CHI660D\r\nHeader: \r\nNote: \r\n\r\n"
    "Init E (V) = 0.4\r\nScan Rate (V/s) = 0.1\r\n{more}\r\nResults:\r\n\r\nSegment 1:\r\nEp = -0.8V\r\n\r\n"
)


def written(folder: Path, technique: str, labels: str, *rows: str, more: str = "") -> ReadResult:
    path = folder / "cell.txt"
    text = HEADER.format(technique=technique, more=more) + "\r\n".join([labels, "", *rows, ""])
    path.write_bytes(text.encode())
    return read(path)


@pytest.mark.parametrize("labels", ["Potential/V, Current/A", "Potential/V\tCurrent/A"])
@pytest.mark.parametrize(
    "rows",
    [
        ("-0.700, -6.0e-6", "-0.701, -7.0e-6"),
        ("-0.700\t-6.0e-6", "-0.701\t-7.0e-6"),
        ("  -0.700  -6.0e-6 ", "  -0.701  -7.0e-6 "),
        ("-0,700\t-6,0e-6", "-0,701\t-7,0e-6"),
    ],
)
def test_tabs_or_spaces_may_stand_between_the_fields(tmp_path: Path, labels: str, rows: tuple[str, ...]) -> None:
    result = written(tmp_path, "Cyclic Voltammetry", labels, *rows)
    assert result.frame["voltage_volt"].to_list() == [-0.7, -0.701]
    assert result.frame["current_ampere"].to_list() == [-6e-6, -7e-6]
    assert result.frame["test_time_second"].to_list() == pytest.approx([0.0, 0.01])


def test_currents_at_one_potential_come_with_the_applied_one(tmp_path: Path) -> None:
    result = written(tmp_path, "Amperometric i-t Curve", "Time/sec, Current/A", "0.1, -1.0e-3", "0.2, -2.0e-3")
    assert result.frame["voltage_volt"].to_list() == [0.4, 0.4]
    assert result.frame["current_ampere"].to_list() == [-1e-3, -2e-3]
    assert result.metadata.sources["voltage_volt"].name == "Init E (V)"
    assert "the file has no voltages: they are the applied Init E (V) = 0.4" in result.warnings


def test_currents_after_steps_of_the_potential_are_not_given_one(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="voltage_volt"):
        written(tmp_path, "Chronoamperometry", "Time/sec, Current/A", "0.1, -1.0e-3", "0.2, -2.0e-3")


def test_a_chronopotentiometry_says_where_its_currents_are(tmp_path: Path) -> None:
    more = "Cathodic Current (A) = 0.025\r\nAnodic Current (A) = 0.02\r\n"
    result = written(tmp_path, "Chronopotentiometry", "Time/sec, Potential/V", "0.0, 0.7", "2.0, 0.65", more=more)
    assert result.frame["voltage_volt"].to_list() == [0.7, 0.65]
    assert result.frame["current_ampere"].to_list() == [None, None]
    said = "Cathodic Current (A) = 0.025, Anodic Current (A) = 0.02"
    assert f"the file has no currents of its records; the header says {said}" in result.warnings
