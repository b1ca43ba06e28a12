"""Binary files of EC-Lab and BT-Lab."""

from __future__ import annotations

import builtins
import re
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.columns import conform
from battery_analysis.errors import CorruptFileError, MissingExtraError
from battery_analysis.readers.base import Reading
from battery_analysis.readers.biologic_mpr import BiologicMpr
from tests.readers.biologic_bytes import MAGIC, UNKNOWN, VOLTAGE, data, log, log_file, module, settings, whole
from tests.realdata import hostile, real, real_entries


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(content: bytes, time_zone: str = "UTC") -> Reading:
        path = tmp_path / "cell.mpr"
        path.write_bytes(content)
        assert BiologicMpr().recognises(content[:100], Path("x"))
        return BiologicMpr().read(path, time_zone=time_zone)

    return write_and_read


def test_reads_every_column(read: Any) -> None:
    reading = read(whole())
    frame = conform(reading.frame).frame
    assert reading.warnings == []
    assert frame["test_time_second"].to_list() == [0.0, 10.0, 20.0]
    assert frame["voltage_volt"].to_list() == [3.5, 3.75, 3.5]
    assert frame["current_ampere"].to_list() == [None, pytest.approx(0.18), pytest.approx(-0.36)]
    assert frame["net_capacity_ah"].to_list() == pytest.approx([0.0, 5e-4, -5e-4])
    assert frame["aux_mode"].to_list() == [3, 1, 1]
    assert frame["aux_ox_red"].to_list() == [0, 1, 0]
    assert frame["aux_ns_changes"].to_list() == [0, 1, 0]
    assert frame["aux_counter_inc"].to_list() == [0, 0, 0]
    assert frame["step_id"].to_list() == [0, 1, 1]
    assert frame["step_type"].to_list() == ["Rest", "CC", "CC"]
    assert reading.metadata.sources["current_ampere"].name == "dq/mA.h over the interval before"


def test_keeps_what_settings_and_log_say(read: Any) -> None:
    metadata = read(whole(), time_zone="Asia/Tokyo").metadata
    assert metadata.technique == "Galvanostatic Cycling with Potential Limitation"
    assert metadata.test_type == "cycling"
    assert metadata.started_at == datetime(2024, 3, 4, 3, 0, tzinfo=UTC)
    assert metadata.device == "VMP-300 (SN 0815)"
    assert metadata.channel == "3"
    assert metadata.software == "EC-Lab 11.50"
    assert metadata.test_name == "cell_7_C03"
    assert metadata.protocol is None
    assert metadata.comment == "the commen"
    assert metadata.active_mass_gram == pytest.approx(0.0125)
    assert metadata.electrode_area_cm2 is None
    assert metadata.nominal_capacity_ah == pytest.approx(2.5e-3)
    assert metadata.announced_records == 3
    assert metadata.finished is True
    assert metadata.header["Channel serial number"] == "4711"


def test_channels_of_bt_lab_are_named_by_board(read: Any) -> None:
    assert read(whole(LOG=log(channel=31, path=b"C:\\data\\cell_7_CD8.mpr"))).metadata.channel == "D8"


@pytest.mark.parametrize("offset", [465, 469, 473, 585])
def test_finds_the_start_wherever_the_version_writes_it(read: Any, offset: int) -> None:
    reading = read(whole(LOG=log(offset=offset)))
    assert reading.metadata.started_at == datetime(2024, 3, 4, 12, 0, tzinfo=UTC)
    assert reading.frame["unix_time_second"][2] == reading.metadata.started_at.timestamp() + 20.0


def test_a_start_that_does_not_fit_the_date_is_not_believed(read: Any) -> None:
    reading = read(whole(LOG=log(days=44000.5)))
    assert reading.metadata.started_at is None
    assert reading.warnings == ["the log names no start of the acquisition"]


def test_without_a_log_nothing_is_invented(read: Any) -> None:
    reading = read(whole(LOG=b""))
    assert reading.metadata.started_at is None
    assert reading.metadata.finished is None
    assert reading.metadata.header["Date"] == "03/04/24"
    assert "unix_time_second" not in reading.frame.columns


@pytest.fixture
def read_unfinished(tmp_path: Path) -> Any:
    def write_and_read(log_text: str | None, content: bytes = whole(LOG=b""), suffix: str = ".mpl") -> Reading:
        path = tmp_path / "cell_7_C03.mpr"
        path.write_bytes(content)
        if log_text is not None:
            path.with_suffix(suffix).write_bytes(log_text.encode("cp1252"))
        return BiologicMpr().read(path, time_zone="Asia/Tokyo")

    return write_and_read


@pytest.mark.parametrize("suffix", [".mpl", ".MPL"])
def test_an_unfinished_file_says_with_its_log_beside_it_what_it_will_say_once_finished(
    read_unfinished: Any, read: Any, suffix: str
) -> None:
    unfinished = read_unfinished(log_file(), suffix=suffix)
    finished = read(whole(), time_zone="Asia/Tokyo")
    assert unfinished.warnings == [
        f"the file holds no log: its start, device and channel are those in cell_7_C03{suffix} beside it"
    ]
    assert unfinished.frame.equals(finished.frame)
    for name in ("started_at", "device", "channel", "software", "test_name", "protocol"):
        assert getattr(unfinished.metadata, name) == getattr(finished.metadata, name), name
    assert unfinished.metadata.finished is None
    assert unfinished.metadata.header["Log file"] == f"cell_7_C03{suffix}"
    assert unfinished.metadata.header["Acquisition started on"] == "03/04/2024 12:00:00.000"


def test_a_finished_file_needs_nothing_beside_it(read_unfinished: Any, tmp_path: Path) -> None:
    reading = read_unfinished(log_file("03/04/2024 18:00:00.000"), content=whole())
    assert reading.metadata.started_at == datetime(2024, 3, 4, 3, 0, tzinfo=UTC)
    assert reading.warnings == []
    assert BiologicMpr().companions(tmp_path / "cell_7_C03.mpr") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("something else", "cell_7_C03.mpl beside it is none"),
        ("EC-Lab LOG FILE\r\nRun on channel : 3\r\n", "names no start of the acquisition"),
        (log_file("03/04/2023 12:00:00.000"), "is that of another run, started on 2023-03-04 12:00:00"),
        (log_file("99/99/2024 12:00:00.000"), "names no start of the acquisition"),
    ],
)
def test_a_log_that_does_not_fit_is_not_believed(read_unfinished: Any, text: str, reason: str) -> None:
    reading = read_unfinished(text)
    assert len(reading.warnings) == 1
    assert reading.warnings[0].endswith(reason)
    assert (reading.metadata.started_at, reading.metadata.channel) == (None, None)


def test_a_link_beside_the_file_is_not_followed(read_unfinished: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.txt").write_text(log_file())
    (tmp_path / "cell_7_C03.mpl").symlink_to(tmp_path / "elsewhere.txt")
    assert read_unfinished(None).metadata.started_at is None


@pytest.mark.parametrize("content", [b"", MAGIC, whole()[:100]])
def test_a_damaged_file_names_nothing_it_needs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cell.mpr").write_bytes(content)
    (tmp_path / "cell.mpl").write_text(log_file())
    assert BiologicMpr().companions(tmp_path / "cell.mpr") == []


@pytest.mark.parametrize("entry", [each for each in real_entries("biologic") if each["path"].endswith(".mpr")],
                         ids=lambda entry: entry["path"])  # fmt: skip
def test_a_real_file_without_its_log_gets_its_start_from_one_beside_it(entry: dict[str, Any], tmp_path: Path) -> None:
    content = real(entry["path"]).read_bytes()
    finished = BiologicMpr().read(real(entry["path"]))
    path = tmp_path / "run.mpr"
    path.write_bytes(content[: content.index(b"MODULEVMP LOG")])
    assert finished.metadata.started_at is not None
    assert BiologicMpr().read(path).metadata.started_at is None
    started = f"{finished.metadata.started_at:%m/%d/%Y %H:%M:%S.%f}"[:-3]
    path.with_suffix(".mpl").write_text(log_file(started))
    unfinished = BiologicMpr().read(path)
    assert unfinished.metadata.started_at == finished.metadata.started_at
    assert unfinished.frame["unix_time_second"].equals(finished.frame["unix_time_second"])


@pytest.mark.parametrize(("version", "long_header"), [(0, False), (2, False), (3, False), (10, True), (11, True)])
def test_all_versions_of_the_data_module_are_read(read: Any, version: int, long_header: bool) -> None:
    parts = (
        module("Set", settings(), 10 * long_header, long_header=long_header),
        module("data", data(version=version), version, long_header=long_header),
        module("LOG", log(), 10 * long_header, long_header=long_header),
    )
    assert read(MAGIC + b"".join(parts)).frame.equals(read(whole()).frame)


def test_loops_are_steps(read: Any) -> None:
    reading = read(whole(loop=struct.pack("<I3I", 3, 0, 2, 3).ljust(268, b"\0")))
    assert reading.frame["step_count"].to_list() == [1, 2, 3]


def test_one_unknown_column_is_left_out_and_named(read: Any) -> None:
    records = struct.pack("<dfIdfI", 0.0, 3.5, 7, 1.0, 3.75, 7)
    reading = read(whole(data=data((4, UNKNOWN, VOLTAGE), _swapped(records), 2)))
    assert reading.frame["voltage_volt"].to_list() == [3.5, 3.75]
    assert reading.warnings == ["column 2 has the unknown id 999; its values (4 bytes a record) are left out"]


def _swapped(records: bytes) -> bytes:
    """Put the unknown third value of each record before the second."""
    return b"".join(record[:8] + record[12:16] + record[8:12] for record in (records[:16], records[16:]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (whole(data=data((4, 0xFFFF, VOLTAGE))), "column id 65535 (column 2) is unknown"),
        (whole(data=data((4, UNKNOWN, UNKNOWN + 1))), "column id 999, 1000 (column 2) is unknown"),
        (whole(data=data((4, VOLTAGE))), "3 records of 12 bytes do not fill 69 bytes"),
        (whole(data=data(count=2**32 - 1)), "records of 23 bytes do not fill 69 bytes"),
        (whole(data=data(count=0, records=b"")), "no data rows"),
        (whole(data=data(())), "announces 0 columns"),
        (whole(data=b"short"), "data module is shorter than its header says"),
        (whole(data=b""), "there is no data module; the file has VMP Set, VMP LOG"),
        (MAGIC, "there is no data module; the file has no modules"),
        (MAGIC + module("data", data(), 7), "its version is 7"),
        (MAGIC + module("data", data(), 3) * 2, "a second module 'VMP data'"),
        (whole()[:-2] + b"xx" + bytes(80), "no module begins at byte"),
        (whole().replace(b"MODULEVMP LOG", b"MODULE\xff\xff\xff\xff LOG"), "header of the module at byte"),
        (whole(LOG=b"")[:-30], "1 of 3 records"),
        (whole(LOG=b"")[:900], "data module is shorter than its header says"),
        (whole()[:100], "the file ends inside the header of a module at byte 52"),
    ],
)
def test_damage_is_named(read: Any, content: bytes, reason: str) -> None:
    with pytest.raises(CorruptFileError, match=re.escape(reason)) as caught:
        read(content)
    assert "cell.mpr (biologic_mpr): " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncation_is_an_error_or_a_warning(read: Any) -> None:
    content = whole()
    end_of_records = len(whole(LOG=b""))
    for size in range(len(MAGIC), len(content), 7):
        if size < end_of_records:
            with pytest.raises(CorruptFileError):
                read(content[:size])
        else:
            reading = read(content[:size])
            assert reading.frame.height == 3
            assert bool(reading.warnings) == (size != end_of_records)


def test_other_content_is_not_recognised() -> None:
    assert not BiologicMpr().recognises(b"", Path("x"))
    assert not BiologicMpr().recognises(b"EC-Lab ASCII FILE", Path("x"))
    assert not BiologicMpr().recognises(b"NEWARE20200325", Path("x"))


def test_a_missing_galvani_names_the_extra(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import_really = builtins.__import__

    def refuse_galvani(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "galvani":
            raise ModuleNotFoundError("No module named 'galvani'", name="galvani")
        return import_really(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse_galvani)
    with pytest.raises(MissingExtraError, match=re.escape("battery-analysis[biologic_mpr]")):
        read(whole())


BINARIES = [entry for entry in real_entries("biologic") if entry["path"].endswith(".mpr")]


@pytest.mark.parametrize("entry", BINARIES, ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict[str, Any]) -> None:
    reading = BiologicMpr().read(real(entry["path"]))
    frame, reference = conform(reading.frame).frame, entry["reference"]
    assert reading.warnings == []
    assert frame.height == reference["rows"] == reading.metadata.announced_records
    for name, key in (("voltage_volt", "voltage_V"), ("current_ampere", "current_A")):
        assert frame[name].min() == pytest.approx(reference[key]["min"], rel=1e-6)
        assert frame[name].max() == pytest.approx(reference[key]["max"], rel=1e-6)
    times = reference["test_time_s"]
    assert (frame["test_time_second"][0], frame["test_time_second"][-1]) == pytest.approx(
        (times["first"], times["last"])
    )
    kept = {source.name for source in reading.metadata.sources.values()}
    assert {name for name in reference["mpr_columns"] if name != "flags"} <= kept, "no column is dropped"
    start = datetime.fromisoformat(reference["timestamps"]["acquisition_start"]).replace(tzinfo=UTC)
    assert reading.metadata.started_at == start
    if "charge_total" in reference:
        total = reference["charge_total"]["sum_dq_Ah"]
        assert frame["net_capacity_ah"][-1] == pytest.approx(total, rel=1e-6)
    for device_log in (check["log"] for check in entry["cross_check"] if "log" in check):
        assert device_log["device_sn"] in (reading.metadata.device or "")
        assert device_log["ec_lab_version"] in (reading.metadata.software or "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("truncated_50pct.mpr", "data module is shorter"), ("flipped_bytes.mpr", "data module header is not valid")],
)
def test_damaged_real_files_are_refused(name: str, reason: str) -> None:
    with pytest.raises(CorruptFileError, match=reason):
        BiologicMpr().read(hostile(name))
