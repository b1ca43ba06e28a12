"""The ways in which EC-Lab and BT-Lab export the same records: delimiters, labels, times, no header."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from battery_analysis.errors import CorruptFileError
from battery_analysis.reading import ReadResult, read

LABELS = ("mode", "Ns", "time/s", "Ecell/V", "I/mA", "cycle number")
ROWS = (("1", "1", "0.5", "3.5", "250.0", "0"), ("1", "1", "10.5", "3.6", "-250.0", "1"))
HEADED = """EC-Lab ASCII FILE
Nb header lines : {count}

{technique}

Run on channel : B1 (SN 0137)
Potential control : {control}
Ewe,I filtering : 50 kHz
{lines}Device : BCS-805 (SN 0168)
BT-LAB for windows v1.79 (software)

"""


def headed(labels: str, *rows: str, technique: str = "Constant Current", control: str = "Ewe", lines: str = "") -> str:
    header = HEADED.format(
        count=HEADED.count("\n") + lines.count("\n") + 1, technique=technique, control=control, lines=lines
    )
    return "\n".join([header + labels, *rows, ""])


def written(folder: Path, content: str, name: str = "cell.txt") -> ReadResult:
    path = folder / name
    path.write_text(content, encoding="latin-1", newline="\r\n")
    return read(path)


@pytest.mark.parametrize(
    ("delimiter", "decimal", "name"),
    [(",", ".", "cell.csv"), (";", ",", "cell.csv"), ("\t", ".", "cell.tsv"), ("\t", ",", "cell.txt")],
)
@pytest.mark.parametrize("header", ["", "BT-Lab ASCII FILE\nNb header lines : 3\n"])
def test_any_delimiter_sets_the_columns_apart(
    tmp_path: Path, delimiter: str, decimal: str, name: str, header: str
) -> None:
    rows = (delimiter.join(cells).replace(".", decimal) for cells in ROWS)
    result = written(tmp_path, header + "\n".join([delimiter.join(LABELS), *rows, ""]), name)
    assert result.warnings == []
    assert result.metadata.tester == "BioLogic"
    assert result.frame["test_time_second"].to_list() == [0.5, 10.5]
    assert result.frame["voltage_volt"].to_list() == [3.5, 3.6]
    assert result.frame["current_ampere"].to_list() == [0.25, -0.25]
    assert result.frame["cycle_count"].to_list() == [0, 1]


def test_records_without_a_frequency_are_no_damage(tmp_path: Path) -> None:
    """BT-Lab exports a column for all that it knows, empty where the technique has none of it."""
    rows = (";".join((*cells, "")) for cells in ROWS)
    result = written(tmp_path, "\n".join([";".join((*LABELS, "freq/Hz")), *rows, ""]), "cell.csv")
    assert result.frame["frequency_hertz"].to_list() == [None, None]
    assert result.warnings == []


def test_the_mean_voltage_is_the_voltage_however_it_is_spelled(tmp_path: Path) -> None:
    content = headed("mode\ttime/s\t<Ewe/V>\tI/mA\t<Ece/V>\tEwe-Ece/V", "1\t5.0\t0.95\t10.0\t0.84\t0.11")
    result = written(tmp_path, content, "cell.mpt")
    assert result.frame["voltage_volt"].to_list() == [0.95]
    assert result.metadata.sources["voltage_volt"].name == "<Ewe/V>"
    assert result.metadata.software == "BT-Lab 1.79"
    assert result.warnings == []


def test_a_cell_controlled_by_both_electrodes_is_pointed_out(tmp_path: Path) -> None:
    content = headed("mode\ttime/s\tEwe/V\tEce/V\tI/mA\tEwe-Ece/V", "1\t5.0\t0.02\t-0.98\t0.1\t1.0", control="Ewe-Ece")
    result = written(tmp_path, content, "cell.mpt")
    assert result.frame["voltage_volt"].to_list() == [0.02]
    assert result.frame["aux_ewe_ece_v"].to_list() == [1.0]
    assert result.warnings == ["the test was controlled by Ewe-Ece, the voltage is Ewe; Ewe-Ece is in aux_ewe_ece_v"]


@pytest.mark.parametrize(
    "content",
    [
        "freq/Hz\tRe(Z)/Ohm\tIm(Z)/Ohm\t\n1.0E+003\t6.5E+001\t-3.9E-001\n",
        "freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm\n1000,65,0.39\n",
    ],
)
def test_a_spectrum_without_header_keeps_the_physical_sign(tmp_path: Path, content: str) -> None:
    result = written(tmp_path, content)
    assert result.frame["imaginary_impedance_ohm"].to_list() == [-0.39]
    assert result.metadata.test_type == "eis"


def _with_times(first: str, second: str, lines: str = "") -> str:
    return headed("time/s\tEwe/V\tI/mA", f"{first}\t3.5\t1.0", f"{second}\t3.6\t1.0", lines=lines)


@pytest.mark.parametrize(
    ("first", "second", "lines"),
    [
        ("04/03/2024 17:02:36.5000", "04/03/2024 17:02:46.5000", "Text export\n   Time format : Absolute DDMMYYYY\n"),
        ("03/04/2024 17:02:36.5000", "03/04/2024 17:02:46.5000", "Text export\n   Time format : Absolute MMDDYYYY\n"),
        ("2024-03-04 17:02:36.5000", "2024-03-04 17:02:46.5000", "Text export\n   Time format : Absolute YYYYMMDD\n"),
        ("04.03.2024 17:02:36,5000", "04.03.2024 17:02:46,5000", "Acquisition started on : 03.04.2024 17:02:36.500\n"),
        (
            "03/04/2024 05:02:36.5000 PM",
            "03/04/2024 05:02:46.5000 PM",
            "Acquisition started on : 03/04/2024 17:02:36.5\n",
        ),
    ],
)
def test_dates_are_in_the_order_that_the_header_states(tmp_path: Path, first: str, second: str, lines: str) -> None:
    result = written(tmp_path, _with_times(first, second, lines))
    assert result.metadata.started_at == datetime(2024, 3, 4, 17, 2, 36, 500_000, tzinfo=UTC)
    assert result.frame["test_time_second"].to_list() == [0.0, 10.0]
    assert result.warnings == []


def test_dates_that_can_be_read_both_ways_are_month_first_with_a_warning(tmp_path: Path) -> None:
    result = written(tmp_path, _with_times("03/04/2024 17:02:36.5000", "03/04/2024 17:02:46.5000"))
    assert result.metadata.started_at == datetime(2024, 3, 4, 17, 2, 36, 500_000, tzinfo=UTC)
    assert result.warnings == [
        "day and month of the times cannot be told apart (03/04/2024 17:02:36.5000); month first"
    ]


def test_a_date_that_only_one_order_fits_decides_for_all(tmp_path: Path) -> None:
    result = written(tmp_path, _with_times("12/04/2024 23:59:55.0", "13/04/2024 00:00:05.0"))
    assert result.metadata.started_at == datetime(2024, 4, 12, 23, 59, 55, tzinfo=UTC)
    assert result.warnings == []


def test_a_table_of_somebody_else_is_not_taken_for_an_export(tmp_path: Path) -> None:
    from battery_analysis.readers.biologic import BiologicText

    assert not BiologicText().recognises(b"time/s,U/V,I/A\n0,3.5,1.0\n", tmp_path)


@pytest.mark.parametrize("seconds", ["09.64", "41.707", "22.757"])
def test_times_begin_at_zero_with_the_first_stamp(tmp_path: Path, seconds: str) -> None:
    """A stamp since 1970 has seven decimals at most, and 0.1 of the last is not to become a time before the start."""
    rows = (f"03/25/2024 14:0{minute}:{seconds}\t3.5\t250.0" for minute in range(3))
    result = written(tmp_path, "\n".join(["time/s\tEcell/V\tI/mA", *rows, ""]))
    assert result.frame["test_time_second"].to_list() == [0.0, 60.0, 120.0]
    assert result.warnings == []


def test_the_byte_of_all_flags_is_parted(tmp_path: Path) -> None:
    """Galvanostatic, oxidation, control changed: 0x15; with Ns changed, too: 0x35; a rest that counts: 0x83."""
    flags = ("mode", "ox", "error", "control changes", "Ns changes", "counter inc.")
    rows = (
        ";".join([*[str(byte)] * len(flags), str(10.0 * at), "3.5", "250.0", "1"])
        for at, byte in enumerate((0x35, 0x15, 0x15, 0x83))
    )
    frame = written(tmp_path, "\n".join([";".join([*flags, "time/s", "Ecell/V", "I/mA", "Ns"]), *rows, ""])).frame
    assert frame["aux_mode"].to_list() == [1, 1, 1, 3]
    assert frame["step_type"].to_list() == ["galvanostatic"] * 3 + ["rest"]
    assert frame["step_count"].to_list() == [1, 1, 1, 2]
    assert frame["aux_ox"].to_list() == [1, 1, 1, 0]
    assert frame["aux_error"].to_list() == [0, 0, 0, 0]
    assert frame["aux_control_changes"].to_list() == [1, 1, 1, 0]
    assert frame["aux_ns_changes"].to_list() == [1, 0, 0, 0]
    assert frame["aux_counter_inc"].to_list() == [0, 0, 0, 1]


def test_records_with_a_field_more_than_the_labels_are_refused_by_line(tmp_path: Path) -> None:
    """Somebody deleted a label, but not its column: nobody can say which of the others a value belongs to."""
    rows = (f"{1000.0 / at}\t10.0\t-2.0\t10.2\t{at}.5" for at in range(1, 9))
    with pytest.raises(
        CorruptFileError, match="no data rows after the 12 header lines; line 13 has 5 fields instead of 4"
    ):
        written(tmp_path, headed("freq/Hz\tRe(Z)/Ohm\t|Z|/Ohm\ttime/s", *rows))


def test_a_long_name_of_a_technique_is_no_list_of_parameters(tmp_path: Path) -> None:
    technique = "Potentio Electrochemical Impedance Spectroscopy"
    result = written(tmp_path, headed("time/s\tEwe/V", "0.5\t3.5", technique=technique))
    assert result.metadata.technique == technique
    assert result.metadata.header[technique] == ""
