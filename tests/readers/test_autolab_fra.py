"""Spectra of Autolab's FRA program."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import CorruptFileError
from battery_analysis.reading import ReadResult, read

POINTS = ((1000.0, 3.0, 4.0, 3.61, -2e-6, 1.5), (10.0, 6.0, 8.0, 3.62, -1e-6, 2.5))


def dfr(count: int = len(POINTS), decimal: str = ".") -> str:
    values = (value for point in POINTS for value in (*point, 0.0, 0.0, 7.0))
    return (
        "\r\n".join(["Version8.0", str(count), "0", *map(str, values), "end", ""])
        .replace(".", decimal)
        .replace(f"8{decimal}0\r\n", "8.0\r\n", 1)
    )


def p00(count: int = len(POINTS)) -> str:
    above = (
        "Procedure : cell 7\n01.02.2003 10:11:12 - 01.02.2003 10:21:12 i(init)= 2.0nA - i(end)= 1.0nA\n\nt =  736.4 s\n"
    )
    labels = " f/Hz       \t Z'/Ohm     \t -Z''/Ohm   \t time/s    \t Edc/V     \t Idc/A     \t\n"
    rows = "".join(f" {f}\t {re}\t {im}\t {t}\t {e}\t {i}\t\n" for f, re, im, e, i, t in POINTS)
    return f"{above}{labels} {count} \n{rows}"


def written(folder: Path, content: str, name: str) -> ReadResult:
    path = folder / name
    path.write_bytes(content.encode("latin-1"))
    return read(path)


@pytest.mark.parametrize(
    ("content", "name"), [(dfr(), "cell.dfr"), (dfr(decimal=","), "cell.dfr"), (p00(), "cell.P00")]
)
def test_reads_points_with_their_physical_sign(tmp_path: Path, content: str, name: str) -> None:
    result = written(tmp_path, content, name)
    frame = result.frame
    assert frame["frequency_hertz"].to_list() == [1000.0, 10.0]
    assert frame["real_impedance_ohm"].to_list() == [3.0, 6.0]
    assert frame["imaginary_impedance_ohm"].to_list() == [-4.0, -8.0]
    assert frame["voltage_volt"].to_list() == [3.61, 3.62]
    assert frame["current_ampere"].to_list() == [-2e-6, -1e-6]
    assert frame["test_time_second"].to_list() == [1.5, 2.5]
    assert result.metadata.test_type == "eis"
    assert result.metadata.announced_records == 2
    assert result.warnings == []


def test_keeps_what_has_no_name(tmp_path: Path) -> None:
    assert written(tmp_path, dfr(), "cell.dfr").frame["aux_unknown_3"].to_list() == [7.0, 7.0]
    assert written(tmp_path, p00(), "cell.P00").metadata.header["line 1"] == "Procedure : cell 7"


@pytest.mark.parametrize(("content", "name"), [(dfr(3)[: dfr(3).rindex("7.0")], "cut.dfr"), (p00(3), "cut.P00")])
def test_says_how_many_points_are_missing(tmp_path: Path, content: str, name: str) -> None:
    result = written(tmp_path, content, name)
    assert any("the header announces 3 records" in warning for warning in result.warnings)


def test_no_points_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no points"):
        written(tmp_path, "version8.0\n2\n0\n1000.0\n", "cell.dfr")
