"""Text exports of EC-Lab and BT-Lab."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from battery_analysis.columns import conform
from battery_analysis.errors import CorruptFileError, SettingsError
from battery_analysis.readers.base import HEAD_BYTES, Reading
from battery_analysis.readers.biologic import BiologicText
from battery_analysis.readers.biologic_header import filled_in, kind_of_test, parse_stamp, quantity
from battery_analysis.readers.biologic_mpr import BiologicMpr
from tests.realdata import hostile, real, real_entries

HEADER = """EC-Lab ASCII FILE
Nb header lines : {count}

{technique}

Run on channel : 3 (SN 4711)
User : ada
Ewe ctrl range : min = 0,00 V, max = 5,00 V
Safety Limits :
\tEwe min = 2,50 V
\tEwe max = 4,30 V
\tfor t > 10 ms
Acquisition started on : 03/04/2024 23:30:00.250
Loaded Setting File : C:\\settings\\formation.mps
Saved on :
\tFile : cell_7_C03.mpr
\tDirectory : C:\\data\\
Device : VMP-300 (SN 0815)
EC-Lab for windows v11.50 (software)
Electrode material : graphite
Comments : first line, 25 °C
Comments : second line
Mass of active material : 12,500 mg
Battery capacity : 150,000 µA.h
Electrode surface area : 1,130 cm²
Characteristic mass : 0,001 g
Cycle Definition : Charge/Discharge alternance
"""
PARAMETERS = (("Ns", "0", "1"), ("ctrl_type", "Rest", "CC"), ("unit dI", "mA", "mA"), ("unit dI", "µA", "µA"))
HEADER += "".join("".join(cell.ljust(20) for cell in cells) + "\n" for cells in PARAMETERS)
LABELS = "mode\tNs\ttime/s\tEwe/V\tI/mA\tdq/mA.h\tcycle number\tCs/µF\t"
ROWS = (
    "3\t0\t0,000E+000\t3,5000000E+000\t0,0000000E+000\t0,000E+000\t0,000E+000\t1,0E+000",
    "1\t1\t1,000E+001\t3,6000000E+000\t1,8000000E+002\t5,000E-001\t0,000E+000\t2,0E+000",
    "1\t1\t2,000E+001\t3,7000000E+000\t-1,800000E+002\t-5,00E-001\t0,000E+000\t3,0E+000",
)


def export(header: str = HEADER, labels: str = LABELS, rows: tuple[str, ...] = ROWS, **fields: Any) -> str:
    fields.setdefault("count", header.count("\n") + 2)
    fields.setdefault("technique", "Modulo Bat")
    return "\n".join([header.format(**fields), labels, *rows]) + "\n"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(content: str | bytes, time_zone: str = "UTC") -> Reading:
        path = tmp_path / "cell.mpt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        assert BiologicText().recognises(path.read_bytes()[:HEAD_BYTES], Path("x"))
        return BiologicText().read(path, time_zone=time_zone)

    return write_and_read


def test_reads_records_in_canonical_units(read: Any) -> None:
    reading = read(export())
    frame = conform(reading.frame).frame
    assert reading.warnings == []
    assert frame["test_time_second"].to_list() == [0.0, 10.0, 20.0]
    assert frame["voltage_volt"].to_list() == [3.5, 3.6, 3.7]
    assert frame["current_ampere"].to_list() == pytest.approx([0.0, 0.18, -0.18])
    assert frame["net_capacity_ah"].to_list() == pytest.approx([0.0, 5e-4, 0.0])
    assert frame["step_type"].to_list() == ["Rest", "CC", "CC"]
    assert frame["aux_cs_uf"].to_list() == [1.0, 2.0, 3.0]
    assert reading.metadata.sources["current_ampere"].name == "I/mA"


def test_keeps_what_the_header_says(read: Any) -> None:
    metadata = read(export()).metadata
    assert metadata.tester == "BioLogic"
    assert metadata.device == "VMP-300 (SN 0815)"
    assert metadata.channel == "3"
    assert metadata.technique == "Modulo Bat"
    assert metadata.test_type == "cycling"
    assert metadata.test_name == "cell_7_C03"
    assert metadata.operator == "ada"
    assert metadata.protocol == "C:\\settings\\formation.mps"
    assert metadata.comment == "first line, 25 °C\nsecond line"
    assert metadata.software == "EC-Lab 11.50"
    assert metadata.active_mass_gram == pytest.approx(0.0125)
    assert metadata.electrode_area_cm2 == pytest.approx(1.13)
    assert metadata.nominal_capacity_ah == pytest.approx(1.5e-4)
    assert metadata.voltage_limits_volt == (2.5, 4.3)
    assert metadata.header["Electrode material"] == "graphite"
    assert metadata.header["ctrl_type"] == "Rest | CC"
    assert metadata.header["unit dI"] == "mA | mA"
    assert metadata.header["unit dI unit dI"] == "µA | µA"


def test_time_zero_is_the_start_of_the_acquisition_in_the_testers_zone(read: Any) -> None:
    reading = read(export(), time_zone="Europe/Berlin")
    assert reading.metadata.started_at == datetime(2024, 3, 4, 22, 30, 0, 250_000, tzinfo=UTC)
    assert reading.metadata.time_zone == "Europe/Berlin"
    assert reading.frame["unix_time_second"][1] == reading.metadata.started_at.timestamp() + 10.0


def test_an_unknown_time_zone_is_an_error_of_the_settings(read: Any) -> None:
    with pytest.raises(SettingsError, match="Atlantis"):
        read(export(), time_zone="Atlantis/Capital")


def test_what_nobody_filled_in_stays_empty(read: Any) -> None:
    unset = HEADER.replace("12,500 mg", "0,001 mg").replace("150,000 µA.h", "0,000 A.h").replace("1,130 cm", "0,001 cm")
    metadata = read(export(unset)).metadata
    assert metadata.active_mass_gram is None
    assert metadata.nominal_capacity_ah is None
    assert metadata.electrode_area_cm2 is None


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("latin-1"),
        lambda text: text.encode("utf-8"),
        lambda text: codecs.BOM_UTF8 + text.encode("utf-8"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode("latin-1"),
        lambda text: text.replace("\n", "\r").encode("latin-1"),
        lambda text: text.replace(",", ".").encode("latin-1"),
        lambda text: text.rstrip("\n").encode("latin-1"),
        lambda text: text.replace("EC-Lab", "BT-Lab").encode("latin-1"),
    ],
    ids=["latin-1", "utf-8", "utf-8-bom", "utf-16", "crlf", "cr", "decimal point", "no last line end", "BT-Lab"],
)
def test_encoding_line_ends_and_decimal_mark_make_no_difference(read: Any, encode: Any) -> None:
    reading = read(encode(export()))
    assert reading.frame.equals(read(export()).frame)
    assert reading.warnings == []
    assert reading.metadata.electrode_area_cm2 == pytest.approx(1.13)


def test_dates_instead_of_seconds_become_seconds_since_the_start(read: Any) -> None:
    stamps = ("03/04/2024 23:30:00.2500", "03/04/2024 23:30:10.2500", "03/05/2024 00:00:00.2500")
    rows = tuple(f"{stamp}\t3,5" for stamp in stamps)
    reading = read(export(labels="time/s\tEwe/V\t", rows=rows), time_zone="America/New_York")
    assert reading.frame["test_time_second"].to_list() == pytest.approx([0.0, 10.0, 1800.0])
    start = datetime(2024, 3, 5, 4, 30, 0, 250_000, tzinfo=UTC)
    assert reading.metadata.started_at == start
    assert reading.frame["unix_time_second"].to_list() == pytest.approx([start.timestamp() + s for s in (0, 10, 1800)])


def test_dates_give_the_start_where_the_header_gives_none(read: Any) -> None:
    rows = ("07/19/2024 16:53:36.5000\t3,5", "garbage\t3,5", "07/19/2024 16:53:38.5000\t3,5")
    reading = read(export("EC-Lab ASCII FILE\nNb header lines : {count}", "time/s\tEwe/V", rows))
    assert reading.metadata.started_at == datetime(2024, 7, 19, 16, 53, 36, 500_000, tzinfo=UTC)
    assert reading.frame["test_time_second"].to_list() == [0.0, None, 2.0]
    assert reading.warnings == ["1 times are no dates and are kept as missing"]


@pytest.mark.parametrize("header", ["EC-Lab ASCII FILE\nNb header lines : 3", "Nb header lines : 3", None])
def test_an_export_without_settings_is_read_and_invents_nothing(tmp_path: Path, header: str | None) -> None:
    path = tmp_path / "bare.mpt"
    path.write_text("\n".join([*([header] if header else []), "time/s\tEwe/V\tI/mA", "0\t3.5\t1", "1\t3.6\t2", ""]))
    reading = BiologicText().read(path)
    assert reading.frame.height == 2
    assert reading.metadata.technique is None
    assert reading.metadata.started_at is None
    assert "unix_time_second" not in reading.frame.columns


def test_a_line_of_labels_is_recognised_without_a_header() -> None:
    assert BiologicText().recognises(b"mode\terror\ttime/s\tEwe/V\t\r\n3\t0\t0\t3.5\r\n", Path("x"))
    assert not BiologicText().recognises(b"time/s\tvalue\n0\t1\n", Path("x"))
    assert not BiologicText().recognises(b"Test Time (s),Voltage (V)\n", Path("x"))
    assert not BiologicText().recognises(b"EC-LAB SETTING FILE\n", Path("x"))
    assert not BiologicText().recognises(b"BIO-LOGIC MODULAR FILE\x1a", Path("x"))


def test_a_wrong_count_of_header_lines_is_said_and_harmless(read: Any) -> None:
    reading = read(export(count=9999))
    assert reading.frame.equals(read(export()).frame)
    assert len(reading.warnings) == 1
    assert "9999 lines" in reading.warnings[0]


def test_announced_columns_without_values_are_said(read: Any) -> None:
    reading = read(export(labels="time/s\tEwe/V\t\tI/mA\t", rows=("0,0\t3,5", "1,0\t3,6")))
    assert reading.warnings == ["the columns I/mA are announced, but no record has them"]
    assert "current_ampere" not in reading.frame.columns


def test_a_tab_after_every_row_is_no_column(read: Any) -> None:
    rows = tuple(f"{row}\t" for row in ROWS)
    assert read(export(rows=rows)).frame.equals(read(export()).frame)


def test_records_cut_off_in_the_last_line_are_said(read: Any) -> None:
    reading = read(export()[:-20])
    assert reading.frame.height == 2
    assert any("incomplete" in warning for warning in reading.warnings)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(export(rows=()), "no data rows"), (export(labels="", rows=()), "no line of column labels")],
    ids=["no records", "no labels"],
)
def test_a_file_without_records_is_corrupt(read: Any, content: str, reason: str) -> None:
    with pytest.raises(CorruptFileError, match=reason):
        read(content)


def test_linked_loops_are_steps_and_announce_the_records(read: Any) -> None:
    loops = "Number of loops : 2\nLoop 0 from point number 0 to 0\nLoop 1 from point number 1 to 2\n"
    labels, rows = "Ns\ttime/s\tEwe/V\t(Q-Qo)/mA.h", ("0\t0,0\t3,5\t4,0", "0\t1,0\t3,5\t0,1", "0\t2,0\t3,5\t1,0")
    reading = read(export(HEADER + "\n" + loops, labels, rows))
    assert reading.metadata.announced_records == 3
    assert reading.frame["step_count"].to_list() == [1, 2, 2]
    assert reading.frame["net_capacity_ah"].to_list() == pytest.approx([4e-3, 4.1e-3, 5e-3])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("01/16/2020 14:13:34.000", datetime(2020, 1, 16, 14, 13, 34)),
        ("12/08/2022 14:36:53.355", datetime(2022, 12, 8, 14, 36, 53, 355_000)),
        ("12.08.2022 14:36:53", datetime(2022, 12, 8, 14, 36, 53)),
        ("12-08-2022 14:36:53", datetime(2022, 12, 8, 14, 36, 53)),
        ("2022-12-08 14:36:53", datetime(2022, 12, 8, 14, 36, 53)),
        ("16/01/2020 14:13:34", datetime(2020, 1, 16, 14, 13, 34)),
        ("01/16/2020 12:13:34 AM", datetime(2020, 1, 16, 0, 13, 34)),
        ("13/13/2020 14:13:34", None),
        ("", None),
    ],
)
def test_stamps_are_month_first(written: str, expected: datetime | None) -> None:
    assert parse_stamp(written) == expected


@pytest.mark.parametrize(
    ("written", "unit", "expected"),
    [
        ("168,128 µA.h", "ah", 168.128e-6),
        ("1.130 cm\ufffd", "cm2", 1.13),
        ("25.0 mm²", "cm2", 0.25),
        ("7000.000 mg", "gram", 7.0),
        ("5 parsec", "gram", None),
        ("none", "gram", None),
        (None, "gram", None),
    ],
)
def test_quantities_carry_their_unit(written: str | None, unit: str, expected: float | None) -> None:
    assert quantity(written, unit) == (expected if expected is None else pytest.approx(expected))
    assert filled_in(written, unit) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("technique", "kind"),
    [
        ("Galvanostatic Cycling with Potential Limitation 5", "cycling"),
        ("Battery Capacity Determination", "cycling"),
        ("Staircase Potentio Electrochemical Impedance Spectroscopy", "eis"),
        ("Cyclic Voltammetry Advanced", "cv"),
        ("Open Circuit Voltage", "ocv"),
        ("Linear Sweep Voltammetry", "other"),
        (None, None),
    ],
)
def test_the_technique_says_the_type_of_test(technique: str | None, kind: str | None) -> None:
    assert kind_of_test(technique) == kind


TEXTS = [entry for entry in real_entries("biologic") if entry["path"].endswith((".mpt", ".txt"))]


@pytest.mark.parametrize("entry", TEXTS, ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict[str, Any]) -> None:
    reading = BiologicText().read(real(entry["path"]))
    frame, reference = conform(reading.frame).frame, entry["reference"]
    assert reading.warnings == []
    assert frame.height == reference["rows"]
    for name, key in (("voltage_volt", "voltage_V"), ("current_ampere", "current_A")):
        if extremes := reference.get(key):
            assert frame[name].min() == pytest.approx(extremes["min"], rel=1e-6)
            assert frame[name].max() == pytest.approx(extremes["max"], rel=1e-6)
        else:
            assert frame[name].null_count() == frame.height
    times = reference["test_time_s"]
    assert (frame["test_time_second"][0], frame["test_time_second"][-1]) == pytest.approx(
        (times["first"], times["last"])
    )
    if "sum_dq_Ah" in reference.get("charge_total", {}):
        assert frame["net_capacity_ah"][-1] == pytest.approx(reference["charge_total"]["sum_dq_Ah"], rel=1e-5)
    if "eis" in reference:
        first = reference["eis"]["first_point"]
        found = frame.row(0, named=True)
        assert found["real_impedance_ohm"] == pytest.approx(first["Re_Ohm"])
        assert found["imaginary_impedance_ohm"] == pytest.approx(first["Im_Ohm"])
    stamp = reference["timestamps"].get("first")
    if stamp:
        moment = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
        assert frame["unix_time_second"][0] == pytest.approx(moment, abs=2e-3)


@pytest.mark.parametrize("name", ["biologic/peis", "biologic/gcpl.issue_149"])
def test_both_formats_of_one_run_give_the_same_frame(name: str) -> None:
    text, binary = BiologicText().read(real(f"{name}.mpt")), BiologicMpr().read(real(f"{name}.mpr"))
    assert text.metadata.started_at == binary.metadata.started_at
    assert text.metadata.technique == binary.metadata.technique
    assert text.metadata.device == binary.metadata.device
    assert text.metadata.channel == binary.metadata.channel
    left, right = conform(text.frame).frame, conform(binary.frame).frame
    shared = [column for column in right.columns if column in left.columns]
    assert set(right.columns) <= set(left.columns), "the export adds columns and leaves none out"
    if "gcpl" in name:  # derived in both; the export calls the unknown current of the first record 0
        assert right["current_ampere"][0] is None
        left, right = left[1:], right[1:]
    for column in shared:
        if left.schema[column] == pl.String:
            assert left[column].to_list() == right[column].to_list()
        else:
            expected = right[column].cast(pl.Float64).to_list()
            assert left[column].cast(pl.Float64).to_list() == pytest.approx(expected, rel=1e-6, abs=1e-14), column


def test_a_header_that_lies_is_read_with_a_warning() -> None:
    reading = BiologicText().read(hostile("lying_header.mpt"))
    assert reading.frame.height == 32
    assert "9999" in reading.warnings[0]


def test_a_header_alone_is_corrupt() -> None:
    with pytest.raises(CorruptFileError, match="no data rows"):
        BiologicText().read(hostile("header_only.mpt"))
