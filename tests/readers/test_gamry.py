"""Gamry data files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from battery_analysis.columns import conform
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import HEAD_BYTES, Reading
from battery_analysis.readers.gamry import GamryDta
from battery_analysis.reading import read
from tests.realdata import real, real_entries

Read = Callable[..., Reading]

SETUP = (
    "EXPLAIN\nTAG\t{tag}\nTITLE\tLABEL\tcell 7\tTest &Identifier\n"
    "DATE\tLABEL\t{date}\tDate\nTIME\tLABEL\t16:43:15\tTime\n"
    "NOTES\tNOTES\t2\t&Notes...\n\tgraphite, 25 °C\n\t\nPSTAT\tPSTAT\tREF3000-34128\tPotentiostat\n"
    "CAPACITY\tQUANT\t2.50000E+000\tCapacity (A-hr)\nAREA\tQUANT\t1.27000E+000\t&Area (cm^2)\n"
    "CONVENTION\tIQUANT\t1\tCurrent Convention\nFRAMEWORKVERSION\tLABEL\t7.8.2\tFramework Version\n"
)
OCV = "OCVCURVE\tTABLE\t3\n\tPt\tT\tVf\tVm\tOver\tTemp\n\t#\ts\tV vs. Ref.\tV\tbits\tdeg C\n" + "".join(
    f"\t{point}\t{point * 50}\t3.6{point}\t3.6{point}\t...a\t-327.67\n" for point in range(3)
)
SPECTRUM = (
    "ZCURVE\tTABLE\n\tPt\tTime\tFreq\tZreal\tZimag\tZsig\tZmod\tZphz\tIdc\tVdc\tIERange\n"
    "\t#\ts\tHz\tohm\tohm\tV\tohm\t°\tA\tV\t#\n"
    "\t0\t1\t1000\t3\t-4\t1\t5\t-53.13\t-2E-006\t3.61\t9\n\t1\t3\t10\t6\t-8\t1\t10\t-53.13\t-2E-006\t3.61\t9\n"
)
CURVE_LABELS = "\tPt\tT\tVf\tIm\tVu\tPwr\tIERange\tOver\n\t#\ts\tV vs. Ref.\tA\tV\tW\t#\tbits\n"


def setup(tag: str = "EISPOT", date: str = "4/23/2018") -> str:
    return SETUP.format(tag=tag, date=date)


def curve(name: str, start: int, current: float, records: int = 4, interval: int = 60) -> str:
    rows = "".join(
        f"\t{start + row}\t{(start + row) * interval}\t3.7\t{current}\t0\t{3.7 * current:.4f}\t9\t....\n"
        for row in range(records)
    )
    return f"{name}\tTABLE\t{records}\n{CURVE_LABELS}{rows}"


@pytest.fixture
def read_text(tmp_path: Path) -> Read:
    def write_and_read(content: str | bytes, time_zone: str = "UTC") -> Reading:
        path = tmp_path / "cell.DTA"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        assert GamryDta().recognises(path.read_bytes()[:HEAD_BYTES], path)
        return GamryDta().read(path, time_zone=time_zone)

    return write_and_read


@pytest.mark.parametrize("entry", real_entries("gamry"), ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict) -> None:
    result = read(real(entry["path"]))
    eis = entry["reference"]["eis"]
    points = result.frame.drop_nulls("frequency_hertz")
    assert result.reader == "gamry_dta"
    assert points.height == eis["points"]
    for record, end in ((0, "first_point"), (-1, "last_point")):
        assert points["frequency_hertz"][record] == eis[end]["freq_Hz"]
        assert points["real_impedance_ohm"][record] == eis[end]["Re_Ohm"]
        assert points["imaginary_impedance_ohm"][record] == eis[end]["Im_Ohm"]


def test_reads_a_spectrum_with_its_physical_sign(read_text: Read) -> None:
    reading = read_text(setup() + SPECTRUM)
    frame = conform(reading.frame).frame
    assert reading.warnings == []
    assert frame["frequency_hertz"].to_list() == [1000.0, 10.0]
    assert frame["imaginary_impedance_ohm"].to_list() == [-4.0, -8.0]
    assert frame["absolute_impedance_ohm"].to_list() == [5.0, 10.0]
    assert frame["phase_degree"].to_list() == [-53.13, -53.13]
    assert frame["voltage_volt"].to_list() == [3.61, 3.61]
    assert frame["test_time_second"].to_list() == [1.0, 3.0]
    assert frame["record_index"].to_list() == [0, 1]
    assert reading.metadata.test_type == "eis"


def test_keeps_what_the_header_says(read_text: Read) -> None:
    metadata = read_text(setup() + SPECTRUM, time_zone="Europe/Berlin").metadata
    assert metadata.tester == "Gamry"
    assert metadata.technique == "EISPOT"
    assert metadata.test_name == "cell 7"
    assert metadata.device == "REF3000-34128"
    assert metadata.comment == "graphite, 25 °C"
    assert metadata.software == "Gamry Framework 7.8.2"
    assert metadata.electrode_area_cm2 == 1.27
    assert metadata.nominal_capacity_ah == 2.5
    assert metadata.started_at == datetime(2018, 4, 23, 14, 43, 15, tzinfo=UTC)
    assert metadata.time_zone == "Europe/Berlin"
    assert metadata.header["AREA"] == "1.27000E+000 | Area (cm^2)"
    assert metadata.sources["imaginary_impedance_ohm"].name == "Zimag"


def test_joins_the_delay_before_a_spectrum_as_a_step_of_its_own(read_text: Read) -> None:
    reading = read_text(setup() + OCV + SPECTRUM)
    frame = reading.frame
    assert frame["step_type"].to_list() == ["OCVCURVE"] * 3 + ["ZCURVE"] * 2
    assert frame["test_time_second"].to_list() == [0.0, 50.0, 100.0, 101.0, 103.0]
    assert frame["step_time_second"].to_list() == [0.0, 50.0, 100.0, 1.0, 3.0]
    assert frame["frequency_hertz"].to_list() == [None, None, None, 1000.0, 10.0]
    assert reading.warnings == ["the time starts again with ZCURVE: joined to the table before"]
    assert "temperature_t1_celsius" not in frame.columns
    assert frame["aux_temp"][0] == -327.67
    assert reading.metadata.header["Over"] == "...a"


def test_fewer_notes_than_announced_take_no_other_line_along(read_text: Read) -> None:
    reading = read_text(setup().replace("NOTES\tNOTES\t2", "NOTES\tNOTES\t9") + SPECTRUM)
    assert reading.metadata.comment == "graphite, 25 °C"
    assert reading.metadata.device == "REF3000-34128"
    assert reading.metadata.electrode_area_cm2 == 1.27


def test_absolute_zero_is_no_temperature(read_text: Read) -> None:
    frame = read_text(setup() + OCV.replace("-327.67", "-273.15")).frame
    assert "temperature_t1_celsius" not in frame.columns
    assert frame["aux_temp"][0] == -273.15


def test_several_spectra_keep_their_order(read_text: Read) -> None:
    text = setup("MULTIEIS") + SPECTRUM.replace("ZCURVE", "ZCURVE1") + SPECTRUM.replace("ZCURVE", "ZCURVE2")
    frame = read_text(text).frame
    assert frame["step_count"].to_list() == [1, 1, 2, 2]
    assert frame["frequency_hertz"].to_list() == [1000.0, 10.0, 1000.0, 10.0]
    assert "cycle_count" not in frame.columns


def test_cycles_of_a_voltammetry_are_its_tables(read_text: Read, tmp_path: Path) -> None:
    text = setup("CV") + OCV + curve("CURVE1", 10, 1e-3) + curve("CURVE2", 14, -1e-3)
    reading = read_text(text)
    assert reading.metadata.test_type == "cv"
    assert reading.frame["cycle_count"].to_list() == [None] * 3 + [1] * 4 + [2] * 4
    assert reading.warnings == []
    assert read(tmp_path / "cell.DTA").frame.height == 11


def test_charge_and_discharge_have_signs_and_capacities(read_text: Read, tmp_path: Path) -> None:
    text = setup("PWR800_CHARGEDISCHARGE") + curve("CURVE1", 0, 1.0, 61) + curve("CURVE2", 61, -1.0, 60)
    text += "STOPREASON\tLABEL\tCycle Limit\tStop Reason\n"
    assert read_text(text).metadata.test_type == "cycling"
    result = read(tmp_path / "cell.DTA")
    assert result.frame["power_watt"][0] == 3.7
    assert result.cycles["charge_capacity_ah"].sum() == pytest.approx(1.0)
    assert result.cycles["discharge_capacity_ah"].sum() == pytest.approx(1.0)
    assert result.cycles["coulombic_efficiency"][0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode("latin-1"),
        lambda text: text.replace(".", ",").replace("4/23/2018", "23.04.2018").encode("latin-1"),
        lambda text: text.replace("TABLE\t4", "TABLE").encode("latin-1"),
    ],
    ids=["utf-8", "utf-16", "crlf", "decimal comma", "no count"],
)
def test_encoding_line_ends_and_locale_make_no_difference(read_text: Read, encode: Callable[[str], bytes]) -> None:
    text = setup("CHRONOP") + curve("CURVE", 0, 0.5)
    reading = read_text(encode(text))
    assert reading.frame.equals(read_text(text).frame)
    assert reading.warnings == []
    assert reading.metadata.started_at == datetime(2018, 4, 23, 16, 43, 15, tzinfo=UTC)


def test_says_what_is_left_out_and_that_it_was_aborted(read_text: Read) -> None:
    fra = "FRACURVE\tTABLE\t2\n\tPt\tT\tV\tI\n\t#\tS\tV\tA\n\t0\t1\t2\t3\n\t1\t1\t2\t3\n"
    reading = read_text(setup() + SPECTRUM + "EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted\n" + fra)
    assert reading.frame.height == 2
    assert reading.metadata.finished is True
    assert reading.warnings == [
        "tables that are no time series or spectrum are left out: FRACURVE (2 rows)",
        "the experiment was aborted",
    ]


def test_other_sign_conventions_are_said(read_text: Read) -> None:
    reading = read_text(setup().replace("IQUANT\t1\tCurrent", "IQUANT\t0\tCurrent") + SPECTRUM)
    assert reading.warnings == ["the current convention is 0, not 1: signs are kept as written"]


@pytest.mark.parametrize("date", ["4/23-2018", "99.99.2018", "yesterday"])
def test_a_date_that_is_none_leaves_the_start_empty(read_text: Read, date: str) -> None:
    reading = read_text(setup(date=date) + SPECTRUM)
    assert reading.metadata.started_at is None
    assert reading.frame.height == 2
    assert len(reading.warnings) == 1
    assert "start stamp" in reading.warnings[0]
    assert reading.metadata.header["DATE"] == f"{date} | Date"


def test_a_file_cut_anywhere_grows_into_the_whole(read_text: Read) -> None:
    text = setup("CHRONOP") + curve("CURVE", 0, 0.5, 6)
    whole = read_text(text).frame
    start = text.index("\t0\t0\t3.7")
    for cut in range(start + 60, len(text), 7):
        reading = read_text(text[:cut])
        assert reading.frame.drop("aux_ierange", strict=False).equals(
            whole.head(reading.frame.height).drop("aux_ierange", strict=False)
        )
        assert any("announces 6 records" in warning for warning in reading.warnings) == (reading.frame.height < 6)


def test_tables_of_totals_are_no_records(read_text: Read) -> None:
    table = "CAPACITYCURVE\tTABLE\n\tPt\tTime\tType\tCycle\tCharge\n\t#\ts\t#\t#\tC\n\t1\t3493\t0\t1\t4362.1\n"
    with pytest.raises(CorruptFileError, match=r"no table of records.*CAPACITYCURVE \(1 rows\)"):
        read_text(setup("PWR800_CYCLICCHARGEDISCHARGE") + table)


@pytest.mark.parametrize("text", [setup(), setup() + "CURVE\tTABLE\t9\n", setup() + "CURVE\tTABLE\t9\n" + CURVE_LABELS])
def test_a_file_without_records_is_an_error(read_text: Read, text: str) -> None:
    with pytest.raises(CorruptFileError, match=r"no table of records|no data rows"):
        read_text(text)


def test_claims_no_other_files() -> None:
    for entry in real_entries():
        path = real(entry["path"])
        with path.open("rb") as file:
            assert GamryDta().recognises(file.read(HEAD_BYTES), path) == (entry["vendor"] == "gamry")


def test_a_summary_of_cycles_names_the_files_to_read(read_text: Read) -> None:
    labels = "\tPt\tTime\tType\tCycle\tCharge\tVstart\tVend\n\t#\ts\t#\t#\tC\tV\tV\n"
    table = f"CAPACITYCURVE\tTABLE\n{labels}\t1\t3493\t0\t1\t4362.1\t0.79\t1.21\n"
    with pytest.raises(CorruptFileError, match=r"CAPACITYCURVE \(1 rows\), which hold none; the files of each charge"):
        read_text(setup("PWR800_CYCLICCHARGEDISCHARGE") + table)


def test_reading_a_voltage_is_a_test_of_the_open_circuit(read_text: Read) -> None:
    assert read_text(setup("PWR800_READVOLTAGE") + curve("CURVE", 0, 0.0)).metadata.test_type == "ocv"
