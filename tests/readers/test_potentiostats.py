"""Text of potentiostats and impedance analysers, each layout with its locales, units and damage."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from battery_analysis.columns import DERIVED
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers import READERS
from battery_analysis.readers.autolab import AutolabText
from battery_analysis.readers.base import HEAD_BYTES, Reader
from battery_analysis.readers.chinstruments import ChInstrumentsText
from battery_analysis.readers.digatron import DigatronCsv
from battery_analysis.readers.gamry import GamryDta
from battery_analysis.readers.ivium import IviumIdf
from battery_analysis.readers.ivium_text import IviumText
from battery_analysis.readers.parstat import ParstatText
from battery_analysis.readers.powersuite import PowerSuiteText
from battery_analysis.readers.versastudio import VersaStudioPar
from battery_analysis.readers.zplot import ZPlotText
from battery_analysis.reading import ReadResult, find_reader, read
from tests.realdata import real, real_entries

Open = Callable[..., ReadResult]

OURS: tuple[Reader, ...] = (
    GamryDta(),
    ZPlotText(),
    AutolabText(),
    ParstatText(),
    PowerSuiteText(),
    VersaStudioPar(),
    ChInstrumentsText(),
    IviumIdf(),
    IviumText(),
    DigatronCsv(),
)
VENDORS = ("zplot", "autolab", "parstat", "versastudio", "chinstruments")
REAL_FILES = [
    *real_entries(*VENDORS),
    *(entry for entry in real_entries("biologic") if entry["path"].endswith(".z")),
]


@pytest.fixture
def open_text(tmp_path: Path) -> Open:
    def write_and_read(content: str | bytes, name: str = "cell.txt", time_zone: str = "UTC") -> ReadResult:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path, time_zone=time_zone)

    return write_and_read


def impedances(result: ReadResult) -> list[tuple[float, float, float]]:
    names = ("frequency_hertz", "real_impedance_ohm", "imaginary_impedance_ohm")
    return result.frame.select(names).drop_nulls().rows()


@pytest.mark.parametrize("entry", REAL_FILES, ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict) -> None:
    result = read(real(entry["path"]))
    eis = entry["reference"]["eis"]
    points = impedances(result)
    assert len(points) == eis["points"]
    assert points[0] == tuple(eis["first_point"][key] for key in ("freq_Hz", "Re_Ohm", "Im_Ohm"))
    assert points[-1] == tuple(eis["last_point"][key] for key in ("freq_Hz", "Re_Ohm", "Im_Ohm"))
    assert min(point[0] for point in points) == eis["freq_min_Hz"]
    assert max(point[0] for point in points) == eis["freq_max_Hz"]
    assert result.metadata.test_type == "eis"
    assert set(result.metadata.sources) == set(result.frame.columns) - {column.name for column in DERIVED}


def test_each_real_file_is_claimed_by_one_reader_at_most() -> None:
    own = {*VENDORS, "gamry"}
    for entry in real_entries():
        path = real(entry["path"])
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        claiming = [reader.name for reader in OURS if reader.recognises(head, path)]
        ours = entry["vendor"] in own or entry["path"].endswith(".z")
        assert len(claiming) == ours, f"{entry['path']} is claimed by {claiming}"
        if ours:
            assert sum(reader.recognises(head, path) for reader in READERS) == 1


# --- ZPlot ----------------------------------------------------------------------------------------------------------

WITH_COMMENTS = (
    "ZPLOT2 ASCII\n  Measured Data, ZPlot:       3.2c\n"
    "  Experiment Type:            Sweep Frequency, Control Voltage\n"
    "  Date:                       03-04-2024\n  Time:                       11:04:34\n"
    "  Begin User Comments:        1\ngraphite, second electrode\n  End User Comments:          1\n"
    "  Begin Pstat/Gstat:          1287\n    Error Beep:               1\n    Calibration File\n"
    "  End Pstat/Gstat:            1287\n  Begin Analyzer:             1252\n    Error Beep:               0\n"
    "  End Analyzer:               1252\n    Surface Area:             1.27\n  Data Points:                2\n"
    "  Freq(Hz)\tAmpl\tBias\tTime(Sec)\tZ'(a)\tZ''(b)\tGD\tErr\tRange\nEnd Comments\n"
    "1.0E+03\t1.0E-02\t0.0E+00\t2.67E+00\t3.0E+00\t-4.0E+00\t0.0E+00\t0\t3\n"
    "1.0E+01\t1.0E-02\t0.0E+00\t3.37E+00\t6.0E+00\t-8.0E+00\t0.0E+00\t0\t3\n"
)
WITHOUT_COMMENTS = (
    '"ZPlotW Data File: Version 3.2c"\n"Raw Data"\n"Sweep Frequency: Control Voltage"\n'
    'Date: 12-17-2019    Time: 16:24:35\n1.7 sccm CO, 800 C\n"Open Circuit Potential (V):  0 "\n"Frequency"\n'
    "0,3,0,1,300000,0.005\n2\n"
    "\"  Freq(Hz)    Ampl     Bias   Time(Sec)   Z'(a)    Z''(b)    GD   Err   Range\"\n"
    "1.0E+03, 1.0E-02, 0.0E+00, 2.67E+00, 3.0E+00, -4.0E+00, 0.0E+00, 0, 3\n"
    "1.0E+01, 1.0E-02, 0.0E+00, 3.37E+00, 6.0E+00, -8.0E+00, 0.0E+00, 0, 3\n"
)
POINTS = [(1000.0, 3.0, -4.0), (10.0, 6.0, -8.0)]


@pytest.mark.parametrize("text", [WITH_COMMENTS, WITHOUT_COMMENTS], ids=["with comments", "without comments"])
def test_zplot_reads_points_in_both_layouts(open_text: Open, text: str) -> None:
    result = open_text(text, "cell.z")
    assert result.reader == "zplot_z"
    assert impedances(result) == POINTS
    assert result.frame["test_time_second"].to_list() == [2.67, 3.37]
    assert result.frame["aux_ampl"].to_list() == [0.01, 0.01]
    assert result.warnings == []
    assert result.metadata.software == "ZPlot 3.2c"
    assert result.metadata.announced_records == 2


def test_zplot_keeps_what_the_header_says(open_text: Open) -> None:
    metadata = open_text(WITH_COMMENTS, "cell.z", time_zone="Europe/Berlin").metadata
    assert metadata.started_at == datetime(2024, 3, 4, 10, 4, 34, tzinfo=UTC)
    assert metadata.technique == "Sweep Frequency, Control Voltage"
    assert metadata.comment == "graphite, second electrode"
    assert metadata.electrode_area_cm2 == 1.27
    assert metadata.header["Error Beep"] == "1"
    assert metadata.header["Analyzer Error Beep"] == "0"
    without = open_text(WITHOUT_COMMENTS, "cell.z").metadata
    assert without.started_at == datetime(2019, 12, 17, 16, 24, 35, tzinfo=UTC)
    assert without.comment == "1.7 sccm CO, 800 C"
    assert without.header["Open Circuit Potential (V)"] == "0"


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: re.sub(r"(?<=\d)\.(?=\d+E)", ",", text).encode(),
        lambda text: text.removesuffix("\n").encode(),
    ],
    ids=["crlf", "bom", "utf-16", "decimal comma", "no last line end"],
)
def test_zplot_reads_any_locale(open_text: Open, encode: Callable[[str], bytes]) -> None:
    result = open_text(encode(WITH_COMMENTS), "cell.z")
    assert impedances(result) == POINTS
    assert result.frame["test_time_second"].to_list() == [2.67, 3.37]
    assert result.warnings == []


def test_zplot_tells_a_decimal_comma_from_one_between_fields(open_text: Open) -> None:
    above, labels, points = WITHOUT_COMMENTS.rpartition('Range"\n')
    result = open_text(above + labels + points.replace(".", ","), "cell.z")
    assert impedances(result) == POINTS
    assert result.frame["test_time_second"].to_list() == [2.67, 3.37]
    assert result.warnings == []


def test_exports_for_zview_have_no_time(open_text: Open) -> None:
    labels = "  Freq (Hz)    Ampl     Bias   Time(Sec)   Z'(a)    Z''(b)    GD   Err   Range"
    text = f'\ufeff"Z60W Data File: Version 1.1"\n""\n0,2,0,1,0.1,10000\n1\n"{labels}"\n1000,0,0,0,3,-4,0,0,0\n'
    result = open_text(text, "cell.z")
    assert impedances(result) == [(1000.0, 3.0, -4.0)]
    assert "test_time_second" not in result.frame.columns
    assert result.frame["aux_time"].to_list() == [0.0]
    assert result.metadata.software is None


def test_zplot_says_what_is_missing(open_text: Open) -> None:
    cut = WITH_COMMENTS[: WITH_COMMENTS.rindex("1.0E+01") + 30]
    result = open_text(cut, "cell.z")
    assert impedances(result) == POINTS[:1]
    assert [warning.split(" (")[0] for warning in result.warnings] == [
        "the last line is incomplete",
        "the header announces 2 records, the file holds 1",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WITH_COMMENTS.split("End Comments")[0], "neither the line 'End Comments'"),
        (WITH_COMMENTS.split("1.0E+03")[0], "no data rows after the 19 header lines"),
        (WITHOUT_COMMENTS.replace(", 0, 3\n", "\n"), "line 11 has 7 fields instead of 9"),
    ],
    ids=["no end of comments", "no points", "other columns"],
)
def test_zplot_without_points_is_an_error(open_text: Open, text: str, reason: str) -> None:
    with pytest.raises(CorruptFileError, match=reason):
        open_text(text, "cell.z")


# --- Autolab, PARSTAT, PowerSUITE -----------------------------------------------------------------------------------

NOVA = "Index;Frequency (Hz);Z' (Ω);-Z'' (Ω);Z (Ω);-Phase (°);Time (s)\n1;1000;3;4;5;53.13;2.5\n2;10;6;8;10;53.13;3.5\n"


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("Ω", "?").replace("°", "?").encode("latin-1"),
        lambda text: text.replace(";", "\t").encode(),
        lambda text: text.replace(";", ",").encode(),
        lambda text: text.replace(".", ",").encode(),
    ],
    ids=["utf-8", "utf-16", "lost letters", "tabs", "commas", "decimal comma"],
)
def test_autolab_turns_the_minus_of_its_labels(open_text: Open, encode: Callable[[str], bytes]) -> None:
    result = open_text(encode(NOVA))
    assert result.reader == "autolab_text"
    assert impedances(result) == POINTS
    assert result.frame["phase_degree"].to_list() == [-53.13, -53.13]
    assert result.frame["absolute_impedance_ohm"].to_list() == [5.0, 10.0]
    assert result.frame["test_time_second"].to_list() == [2.5, 3.5]
    assert result.frame["record_index"].to_list() == [1, 2]
    assert result.metadata.test_type == "eis"


def test_autolab_scans_are_cycles(open_text: Open) -> None:
    text = (
        "Potential applied (V);Time (s);WE(1).Current (A);WE(1).Potential (V);Scan;Index\n"
        "0.1;1;1e-3;0.11;1;1\n0.2;2;2e-3;0.21;1;2\n0.1;3;-1e-3;0.12;2;3\n"
    )
    result = open_text(text)
    assert result.frame["voltage_volt"].to_list() == [0.11, 0.21, 0.12]
    assert result.frame["aux_potential_applied_v"].to_list() == [0.1, 0.2, 0.1]
    assert result.frame["current_ampere"].to_list() == [1e-3, 2e-3, -1e-3]
    assert result.frame["cycle_count"].to_list() == [1, 1, 2]
    assert result.metadata.test_type == "cv"


PARSTAT = (
    "Potential (V)\tCurrent (A)\tElapsed Time (s)\tFrequency (Hz)\tZre (ohms)\tZim (ohms)\t|Vac| (V)\t|Iac| (A)\t\n"
    "3.5\t-0.15\t10\t0\t0\t0\t0\t0\t\n3.5\t0.02\t20\t1000\t3\t-4\t0.005\t0.001\t\n"
)


def test_parstat_keeps_records_beside_its_points(open_text: Open) -> None:
    result = open_text(PARSTAT)
    assert result.reader == "parstat_text"
    assert impedances(result) == [(1000.0, 3.0, -4.0)]
    assert result.frame["frequency_hertz"].to_list() == [None, 1000.0]
    assert result.frame["real_impedance_ohm"].to_list() == [None, 3.0]
    assert result.frame["current_ampere"].to_list() == [-0.15, 0.02]
    assert result.frame.columns[-2:] == ["aux_abs_vac_abs_v", "aux_abs_iac_abs_a"]
    assert result.warnings == []


def test_units_of_labels_count(open_text: Open) -> None:
    result = open_text(PARSTAT.replace("Current (A)", "Current (mA)").replace("Zre (ohms)", "Zre (kohms)"))
    assert result.frame["current_ampere"].to_list() == pytest.approx([-0.15e-3, 0.02e-3])
    assert result.frame["real_impedance_ohm"].to_list() == [None, 3000.0]
    odd = open_text(PARSTAT.replace("|Vac| (V)", "Phase of Z (furlong)"))
    assert odd.warnings == ["the unit 'furlong' of column 'Phase of Z (furlong)' is not known; kept as it is"]


def test_powersuite_reads_its_three_columns(open_text: Open) -> None:
    result = open_text("Frequency\t Zre\t Zimg\n1000\t 3\t -4\n10\t 6\t -8\n")
    assert result.reader == "powersuite_text"
    assert impedances(result) == POINTS


def test_a_lone_quote_at_the_end_is_no_crash(open_text: Open) -> None:
    result = open_text('Frequency\t Zre\t Zimg\n1000\t 3\t -4\n10\t 6\t "')
    assert impedances(result) == POINTS[:1]
    assert result.warnings == ["1 values are not finite numbers and are kept as missing (Zimg 1)"]


@pytest.mark.parametrize("text", [NOVA, PARSTAT, "Frequency\t Zre\t Zimg\n"])
def test_labels_without_rows_are_an_error(open_text: Open, text: str) -> None:
    with pytest.raises(CorruptFileError, match="no data rows"):
        open_text(text.split("\n")[0] + "\n")


# --- VersaStudio ----------------------------------------------------------------------------------------------------

VERSA = (
    "<Application>\nName=VersaStudio\nVersion=2.66.2.0\n</Application>\n\n"
    "<Action0>\nMass (g)=0.0125\nWorking Electrode Area (cm2)=1\nName=Common\nComment=cell 7\n</Action0>\n\n"
    "<Instrument>\nType=VersaSTAT4\nModel=-400\nSN=16334007\n</Instrument>\n\n"
    "<Experiment>\nTimeAcquired=1:41:31 PM\nDateAcquired=Thursday, June 12, 2025\n</Experiment>\n\n"
    "<Action1>\nName=Galvanostatic Charge\n</Action1>\n<Action2>\nName=Potentiostatic EIS\n</Action2>\n"
)
DEFINITION = (
    "Type=2\nVersion=3\nDefinition=Segment #, Point #, E(V), I(A), Elapsed Time(s), Frequency(Hz), Z Real, Z Imag, 0\n"
)
SEGMENTS = (
    f"<Segment1>\n{DEFINITION}0,0,3.5,0.5,10,0,0,0\n0,1,3.6,0.5,20,0,0,0\n</Segment1>\n"
    f"<Segment2>\n{DEFINITION}1,0,3.6,0,30,1000,3,-4\n1,1,3.6,0,31,10,6,-8\n</Segment2>\n"
)


def test_versastudio_joins_its_segments(open_text: Open) -> None:
    result = open_text(VERSA + SEGMENTS, "cell.par")
    assert result.reader == "versastudio_par"
    assert impedances(result) == POINTS
    assert result.frame["voltage_volt"].to_list() == [3.5, 3.6, 3.6, 3.6]
    assert result.frame["current_ampere"].to_list() == [0.5, 0.5, 0.0, 0.0]
    assert result.frame["step_count"].to_list() == [0, 0, 1, 1]
    assert result.frame["step_record_index"].to_list() == [0, 1, 0, 1]
    assert result.warnings == []


def test_versastudio_keeps_what_its_groups_say(open_text: Open) -> None:
    metadata = open_text(VERSA + SEGMENTS, "cell.par", time_zone="Europe/Berlin").metadata
    assert metadata.device == "VersaSTAT4-400 (SN 16334007)"
    assert metadata.software == "VersaStudio 2.66.2.0"
    assert metadata.technique == "Galvanostatic Charge, Potentiostatic EIS"
    assert metadata.started_at == datetime(2025, 6, 12, 11, 41, 31, tzinfo=UTC)
    assert metadata.comment == "cell 7"
    assert metadata.active_mass_gram == 0.0125
    assert metadata.electrode_area_cm2 is None
    assert metadata.header["Action2 Name"] == "Potentiostatic EIS"


def test_versastudio_segments_that_come_again_are_steps_of_a_programme(open_text: Open) -> None:
    frame = open_text(VERSA + SEGMENTS.replace("1,0,3.6", "-1,0,3.6").replace("1,1,3.6", "-1,1,3.6"), "cell.par").frame
    assert frame["step_id"].to_list() == [0, 0, -1, -1]
    assert "step_count" not in frame.columns


def test_a_running_versastudio_file_is_read_to_its_end(open_text: Open) -> None:
    result = open_text((VERSA + SEGMENTS).split("</Segment2>")[0].removesuffix(",-8\n"), "cell.par")
    assert result.frame.height == 3
    assert any("Segment2: the last line is incomplete (line 42 has 7 fields" in each for each in result.warnings)


@pytest.mark.parametrize("begun", ["<Segment3>\nDefinition=Segment #, Elap", "<Segment3>\n" + DEFINITION])
def test_a_versastudio_segment_without_records_changes_no_column(open_text: Open, begun: str) -> None:
    whole = open_text(VERSA + SEGMENTS, "a.par").frame
    assert_frame_equal(open_text(VERSA + SEGMENTS + begun, "b.par").frame, whole)


def test_versastudio_says_which_records_it_cannot_read(open_text: Open) -> None:
    binary = VERSA.replace("<Experiment>\n", "<Experiment>\nDataFormat=Binary\n")
    with pytest.raises(CorruptFileError, match="its records are binary; save it as ASCII"):
        open_text(binary, "cell.par")
    with pytest.raises(CorruptFileError, match="no segment with records"):
        open_text(VERSA, "cell.par")


# --- CH Instruments -------------------------------------------------------------------------------------------------

CHI = (
    "Sept. 5, 2020   15:55:08\n{technique}\nFile: c:\\data\\cell7.bin\nData Source:  Experiment\n"
    "Instrument Model:  CHI660E\nHeader: \nNote: second electrode\n\nInit E (V) = 0\nScan Rate (V/s) = 0.1\n"
    "Quiet Time (sec) = 2\n\nResults:\n\nSegment 1:\nEp = 0.273V\n\n"
)
CHI_EIS = (
    "Freq/Hz, Z'/ohm, Z\"/ohm, Z/ohm, Phase/deg\n\n1.000e+3, 3.000e+0, -4.000e+0, 5.000e+0, -53.1\n"
    "1.000e+1, 6.000e+0, -8.000e+0, 1.000e+1, -53.1\n"
)


def test_chi_reads_a_spectrum_and_its_header(open_text: Open) -> None:
    result = open_text(CHI.format(technique="A.C. Impedance") + CHI_EIS)
    assert result.reader == "chinstruments_text"
    assert impedances(result) == POINTS
    assert result.frame["phase_degree"].to_list() == [-53.1, -53.1]
    assert result.warnings == []
    metadata = result.metadata
    assert metadata.technique == "A.C. Impedance"
    assert metadata.device == "CHI660E"
    assert metadata.started_at == datetime(2020, 9, 5, 15, 55, 8, tzinfo=UTC)
    assert metadata.test_name == "cell7"
    assert metadata.comment == "second electrode"
    assert metadata.header["Init E (V)"] == "0"
    assert metadata.header["Ep"] == "0.273V"


def test_chi_reads_a_bare_spectrum(open_text: Open) -> None:
    result = open_text("Init E (V) = 0.2\nHigh Frequency (Hz) = 1e+5\nImp SF\n\n" + CHI_EIS)
    assert impedances(result) == POINTS
    assert result.metadata.technique == "A.C. Impedance"
    assert result.metadata.started_at is None


def test_chi_potentials_over_time_have_no_current(open_text: Open) -> None:
    result = open_text(CHI.format(technique="Chronopotentiometry") + "Time/sec, Potential/V\n\n0.0, 0.7\n2.0, 0.75\n")
    assert result.frame["test_time_second"].to_list() == [0.0, 2.0]
    assert result.frame["voltage_volt"].to_list() == [0.7, 0.75]
    assert result.frame["current_ampere"].null_count() == 2
    assert result.cycles.height == 0


def test_chi_sweeps_get_their_times_from_the_scan_rate(open_text: Open) -> None:
    sweep = "Potential/V, Current/A\n\n0.0, 1e-6\n0.5, 2e-6\n0.0, -1e-6\n"
    result = open_text(CHI.format(technique="Cyclic Voltammetry") + sweep)
    assert result.frame["test_time_second"].to_list() == pytest.approx([0.0, 5.0, 10.0])
    assert result.frame["current_ampere"].to_list() == [1e-6, 2e-6, -1e-6]
    assert result.metadata.test_type == "cv"
    assert result.warnings == [
        "the file does not say whether anodic or cathodic current is positive; kept as written",
        "the file has no times: they follow from the potential and the scan rate of 0.1 V/s",
    ]


def test_chi_pulses_without_times_are_an_error(open_text: Open) -> None:
    text = CHI.format(technique="Differential Pulse Voltammetry").replace("Scan Rate (V/s) = 0.1\n", "")
    with pytest.raises(CorruptFileError, match="test_time_second"):
        open_text(text + "Potential/V, Current/A\n\n0.0, 1e-6\n")


# --- Ivium ----------------------------------------------------------------------------------------------------------

IVIUM = "\x04\x1cTitle={title}\r\nMethod={method}\r\nAmplitude=0.01\r\nprimary_data\r\n3\r\n2\r\n{rows}\r\n\x1e"
IVIUM_ROWS = "  3.0E+00   -4.0E+00   1.0E+03\r\n  6.0E+00   -8.0E+00   1.0E+01"


def test_ivium_reads_each_data_set_as_a_step(open_text: Open) -> None:
    text = "".join(IVIUM.format(title=name, method="Impedance", rows=IVIUM_ROWS) for name in ("a", "b"))
    result = open_text(text.replace(".", ","), "cell.ids")
    assert result.reader == "ivium_idf"
    assert impedances(result) == POINTS * 2
    assert result.frame["step_count"].to_list() == [1, 1, 2, 2]
    assert result.metadata.test_name == "a"


def test_ivium_never_takes_another_method_for_impedance(open_text: Open) -> None:
    with pytest.raises(CorruptFileError, match=r"no impedance \(Method=CyclicVoltammetry\); export it from IviumSoft"):
        open_text(IVIUM.format(title="a", method="CyclicVoltammetry", rows=IVIUM_ROWS), "cell.idf")


def test_ivium_says_where_points_end(open_text: Open) -> None:
    result = open_text(IVIUM.format(title="a", method="Impedance", rows=IVIUM_ROWS[:45]), "cell.idf")
    assert impedances(result) == POINTS[:1]
    assert result.warnings == [
        "line 8 is no point; left out, with what follows",
        "the data set 'a' announces 2 records, the file holds 1",
    ]


@pytest.mark.parametrize(("delimiter", "decimal"), [("\t", "."), ("\t", ","), (",", "."), (";", ",")])
@pytest.mark.parametrize(("unit", "scale"), [("mA", 1000), ("A", 1)])
def test_ivium_text_holds_an_ideal_cell(open_text: Open, delimiter: str, decimal: str, unit: str, scale: float) -> None:
    rows = [
        delimiter.join(
            f"{value:.6E}".replace(".", decimal) for value in (time, (1 if time <= 3600 else -1) * scale, 3.7)
        )
        for time in range(60, 7260, 60)
    ]
    result = open_text("\r\n".join([delimiter.join(("time /s", f"I /{unit}", "E /V")), *rows, ""]))
    assert (result.reader, result.metadata.tester, result.warnings) == ("ivium_txt", "Ivium", [])
    assert result.frame["current_ampere"].unique().sort().to_list() == [-1.0, 1.0]
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert result.cycles["charge_energy_wh"].to_list() == pytest.approx([3.7 * 59 / 60])


def test_ivium_text_without_rows_is_an_error(open_text: Open) -> None:
    with pytest.raises(CorruptFileError, match="the file has no data rows"):
        open_text("time /s\tI /mA\tE /V\r\n")


# --- Digatron -------------------------------------------------------------------------------------------------------

DIGATRON = (
    "\nMeasurement ID,557\nBattery Name,LG HG2_7\nTest section,Charge10\n"
    "Time Stamp,Step,Status,Prog Time,Step Time,Cycle,Cycle Level,Procedure,"
    "Voltage,Current,Temperature,Capacity,WhAccu,Cnt,\n,,,,,,,,[V],[A],[C],[Ah],[Wh],[Cnt],\n"
)


def ideal_cell(interval: int) -> str:
    """One hour at 1 A into the cell, and one hour out of it."""
    rows = []
    for time in range(0, 7200 + interval, interval):
        status, current, step = ("CHA", 1.0, 3) if time <= 3600 else ("DCH", -1.0, 4)
        stamp = f"11/13/2018 {5 + time // 3600}:{time // 60 % 60:02d}:{time % 60:02d} PM"
        clock = f"{24 + time // 3600:02d}:{time // 60 % 60:02d}:{time % 60:02d}.000"
        step_time = time if step == 3 else time - 3600
        step_clock = f"{step_time // 3600:02d}:{step_time // 60 % 60:02d}:{step_time % 60:02d}.000"
        rows.append(f"{stamp},{step},{status},{clock},{step_clock},1,0,formation,3.7,{current:.5f},25.0,0.1,0.2,2,\n")
    return DIGATRON + "".join(rows)


@pytest.mark.parametrize("interval", [10, 60, 300])
def test_digatron_ideal_cell_has_its_capacities(open_text: Open, interval: int) -> None:
    result = open_text(ideal_cell(interval), "cell.csv")
    assert result.reader == "digatron_csv"
    assert result.warnings == []
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert result.frame["test_time_second"][0] == 24 * 3600.0
    assert result.frame["step_type"].unique().sort().to_list() == ["CHA", "DCH"]
    assert result.frame["unix_time_second"][1] - result.frame["unix_time_second"][0] == interval
    assert result.frame["temperature_t1_celsius"][0] == 25.0
    assert {"aux_capacity", "aux_whaccu", "aux_cnt"} <= set(result.frame.columns)


def test_digatron_keeps_what_the_header_says(open_text: Open) -> None:
    metadata = open_text(ideal_cell(300), "cell.csv").metadata
    assert metadata.sample_name == "LG HG2_7"
    assert metadata.protocol == "formation"
    assert metadata.started_at == datetime(2018, 11, 12, 17, 0, tzinfo=UTC)
    assert metadata.header["Measurement ID"] == "557"


def test_digatron_units_count_and_unknown_ones_are_refused(open_text: Open) -> None:
    result = open_text(ideal_cell(300).replace("[A]", "[mA]"), "cell.csv")
    assert result.frame["current_ampere"].max() == pytest.approx(1e-3)
    with pytest.raises(CorruptFileError, match="the unit 'furlong' of column 'Current' is not known"):
        open_text(ideal_cell(300).replace("[A]", "[furlong]"), "cell.csv")
    with pytest.raises(CorruptFileError, match="the voltage column is missing; the file has Step"):
        open_text(ideal_cell(300).replace("Voltage,", "Tension,"), "cell.csv")


def hashed_digatron(*, milliseconds: bool = True, units: bool = False, unsigned: bool = False) -> str:
    """One hour at 1 A into the cell, and one hour out of it, as newer programs write it."""
    lines = [
        "Step,Status,Timestamp,Program Duration#s,Step Duration#s,Voltage#V,Current#A,AhCha#AH,AhDch#Ah,AhStep#Ah,"
        "AhAccu#Ah,Tenv#degC,T1#degC"
    ]
    if units:
        lines.append("1,1,1,s,s,V,A,Ah,Ah,Ah,Ah,degC,degC")
    start = datetime(2025, 6, 6, 9, 10, 7, tzinfo=UTC)
    scale = 1000 if milliseconds else 1
    for time in range(60, 7260, 60):
        status, current, step = ("CHA", 1.0, 4) if time <= 3600 else ("DCH", -1.0, 5)
        step_time = time if step == 4 else time - 3600
        charged, discharged = min(time, 3600) / 3600, max(time - 3600, 0) / 3600
        stamp = f"{start + timedelta(seconds=time):%Y-%m-%d %H:%M:%S}.970+00:00"
        shown = abs(current) if unsigned else current
        lines.append(
            f"{step},{status},{stamp},{time * scale},{step_time * scale},3.7,{shown},{charged:.8f},{discharged:.8f},"
            f"{step_time / 3600:.8f},{charged - discharged:.8f},25.0625,25.8125"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("options", [{}, {"milliseconds": False}, {"units": True}, {"unsigned": True}])
def test_digatron_labels_with_units_behind_a_hash(open_text: Open, options: dict[str, bool]) -> None:
    result = open_text(hashed_digatron(**options), "cell.csv")
    assert result.reader == "digatron_csv"
    frame = result.frame
    assert frame["test_time_second"].to_list() == [float(time) for time in range(60, 7260, 60)]
    assert frame["step_time_second"].max() == 3600.0
    assert frame["current_ampere"].unique().sort().to_list() == [-1.0, 1.0]
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert result.cycles["capacity_method"].to_list() == ["counter"]
    assert frame["ambient_temperature_celsius"][0] == 25.0625
    assert frame["temperature_t1_celsius"][0] == 25.8125
    assert result.metadata.started_at == datetime(2025, 6, 6, 9, 10, 7, 970_000, tzinfo=UTC)
    assert result.metadata.time_zone is None
    assert any("count milliseconds" in warning for warning in result.warnings) == options.get("milliseconds", True)
    assert any("taken from the status" in warning for warning in result.warnings) == options.get("unsigned", False)


@pytest.mark.parametrize("below_zero", [False, True])
def test_digatron_in_german(open_text: Open, below_zero: bool) -> None:
    lines = ["Schritt;Zustand;Zeit;Programmdauer;Schrittdauer;Zyklus;Prozedur;AhEla;AhLad;AhStep;Spannung;Strom;Temp2"]
    lines.append(";;;ms;ms;;;Ah;Ah;Ah;V;A;°C")
    for time in range(60, 7260, 60):
        status, current, step, since = ("LAD", 1, 1, 0) if time <= 3600 else ("ELA", -1, 2, 3600)
        stamp = f"13.11.2018 {5 + time // 3600:02d}:{time // 60 % 60:02d}:00"
        charged, discharged, counted = min(time, 3600) / 3600, max(time - 3600, 0) / 3600, (time - since) / 3600
        if below_zero and current < 0:
            discharged, counted = -discharged, -counted
        cells = [step, status, stamp, time * 1000, (time - since) * 1000, 1, "C/1", discharged, charged, counted]
        lines.append(
            ";".join(str(cell).replace(".", ",") if cell != stamp else stamp for cell in [*cells, 3.7, current, 25])
        )
    result = open_text("\n".join([*lines, ""]).encode("latin-1"), "cell.csv")
    assert (result.reader, result.warnings) == ("digatron_csv", [])
    assert result.frame["test_time_second"].to_list() == [float(time) for time in range(60, 7260, 60)]
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0])
    assert set(result.frame["step_kind"]) == {"CHG", "DCH"}
    assert result.frame["temperature_t2_celsius"][0] == 25.0
    assert result.frame["discharging_capacity_ah"].max() == 1.0
    assert ("step_net_capacity_ah" if below_zero else "step_cumulative_capacity_ah") in result.frame.columns
    assert result.metadata.started_at == datetime(2018, 11, 13, 5, 0, tzinfo=UTC)
    assert result.metadata.protocol == "C/1"


def test_digatron_cut_in_a_row_says_so(open_text: Open) -> None:
    result = open_text(ideal_cell(300)[:-30], "cell.csv")
    assert result.frame.height == 24
    assert any("the last line is incomplete" in warning for warning in result.warnings)


def test_content_decides_whatever_the_name(tmp_path: Path) -> None:
    for text, name in ((WITH_COMMENTS, "zplot_z"), (VERSA, "versastudio_par"), (PARSTAT, "parstat_text")):
        assert find_reader(tmp_path / "cell.dat", text.encode()).name == name
