"""Neware binaries: real files against an independent reader, damaged ones against what should become of them."""

from __future__ import annotations

import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pytest import approx

import battery_analysis as ba
from battery_analysis.columns import COUNTERS, conform
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers import neware_decoding
from battery_analysis.readers.base import HEAD_BYTES, Reader, Reading
from battery_analysis.readers.neware import NewareNda, NewareNdax
from battery_analysis.readers.neware_columns import to_frame
from examples.bulk import many_records, write_large_ndax
from tests.layouts import binaries
from tests.layouts.cell import DISCHARGE, records
from tests.readers.neware_bytes import archive, repacked
from tests.realdata import hostile, hostile_entries, real, real_entries

READERS: tuple[Reader, ...] = (NewareNda(), NewareNdax())
BINARY = [entry for entry in real_entries("neware") if entry["path"].endswith((".nda", ".ndax"))]
OCV = "neware/interp-test.ndax"
CYCLING = "neware/TESTCELL0001-B2-2025-M50T_NewareNDA_Investigation.ndax"
FINISHED = "neware/nw4-120-1-6-53.ndax"
PULSES = "neware/2-1-6_61[07005012].nda"
NDA_29 = "neware/new_nda_file.nda"


def claimants(path: Path) -> list[Reader]:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return [reader for reader in READERS if reader.recognises(head, path)]


def read(path: Path, time_zone: str = "UTC") -> Reading:
    (reader,) = claimants(path)
    return reader.read(path, time_zone=time_zone)


def written(folder: Path, content: bytes, name: str = "test.ndax") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("entry", BINARY, ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict[str, Any]) -> None:
    frame = conform(read(real(entry["path"])).frame).frame
    reference = entry["reference"]
    assert frame.height == reference["rows"]
    for column, name in (("voltage_volt", "voltage_V"), ("current_ampere", "current_A")):
        assert frame[column].min() == approx(reference[name]["min"], rel=1e-6, abs=1e-12)
        assert frame[column].max() == approx(reference[name]["max"], rel=1e-6, abs=1e-12)
    assert frame["test_time_second"][0] == approx(reference["test_time_s"]["first"], abs=1e-6)
    assert frame["test_time_second"][-1] == approx(reference["test_time_s"]["last"], abs=1e-6)
    assert (frame["test_time_second"].diff().drop_nulls() >= 0).all()
    assert frame["step_count"].n_unique() == reference["steps"]
    assert sorted(frame["step_type"].unique()) == reference["step_types"]
    assert frame["unix_time_second"][0] == approx(
        datetime.fromisoformat(reference["timestamps"]["first"]).timestamp(), abs=1e-3
    )


@pytest.mark.parametrize("entry", BINARY, ids=lambda entry: entry["path"])
def test_numbers_cycles_as_the_recorder_did_or_not_at_all(entry: dict[str, Any]) -> None:
    frame = read(real(entry["path"])).frame
    if entry["path"] == PULSES:
        assert "cycle_count" not in frame  # BTS 9.0 records hold none
    else:
        raw = entry["reference"]["cycles_raw"]
        cycles = frame["cycle_count"]
        assert (cycles.n_unique(), cycles.min(), cycles.max()) == (raw["count"], raw["first_id"], raw["last_id"])


@pytest.mark.parametrize("entry", BINARY, ids=lambda entry: entry["path"])
def test_both_decoders_say_the_same(entry: dict[str, Any]) -> None:
    path = real(entry["path"])
    kind = "nda" if path.suffix == ".nda" else "ndax"
    fast, slow = (
        to_frame(decoded.table, decoded.units)[0]
        for decoded in (
            neware_decoding._with_fastnda(path, kind),
            neware_decoding._with_newarenda(path, kind, "for comparison"),
        )
    )
    assert set(fast.columns) == set(slow.columns)
    assert fast["step_type"].to_list() == slow["step_type"].to_list()
    for name in set(fast.columns) - {"step_type"}:
        # The second decoder keeps times within a step in single precision.
        tolerance = {"step_time_second": 1e-3, "test_time_second": 2e-3}.get(name, 1e-5)
        difference = (fast[name].cast(pl.Float64) - slow[name].cast(pl.Float64)).abs().max()
        assert difference is not None and difference <= tolerance, name


def test_counters_of_a_step_rise_from_zero_and_keep_directions_apart() -> None:
    frame = read(real(CYCLING)).frame
    counters = [counter.name for counter in COUNTERS if counter.name in frame.columns]
    assert counters == [
        "step_charging_capacity_ah",
        "step_discharging_capacity_ah",
        "step_charging_energy_wh",
        "step_discharging_energy_wh",
    ]
    steps = frame.group_by("step_count", maintain_order=True).agg(
        pl.col("step_type").first(), pl.col(counters).max(), pl.col("current_ampere").sum()
    )
    charging = steps.filter(pl.col("step_type") == "CCCV_Chg")
    assert charging["step_charging_capacity_ah"][0] == approx(4.760662, rel=1e-6)
    assert (charging["step_discharging_capacity_ah"] == 0).all()
    assert (steps.filter(pl.col("step_type") == "Rest")["step_charging_capacity_ah"] == 0).all()


def test_every_column_says_what_the_vendor_calls_it() -> None:
    reading = read(real(CYCLING))
    assert set(reading.metadata.sources) == set(reading.frame.columns)
    assert reading.metadata.sources["current_ampere"].unit == "mA"
    assert reading.metadata.sources["temperature_t1_celsius"].name == "T1"
    assert reading.frame["temperature_t1_celsius"].max() == approx(28.0239964)


def test_the_start_is_the_clock_of_the_records_not_of_the_header() -> None:
    metadata = read(real(OCV), time_zone="Europe/Zurich").metadata
    assert metadata.started_at == datetime(2025, 6, 17, 8, 26, 39, 383000, UTC)
    assert metadata.header["TestInfo.TestInfo.StartTime"] == "2025-06-17 10:25:30"
    assert metadata.time_zone is None


def test_an_archive_says_where_on_what_and_how_the_test_ran() -> None:
    metadata = read(real(FINISHED)).metadata
    assert (metadata.device, metadata.channel) == ("27-120", "0-6")
    assert metadata.sample_name == metadata.barcode == "250403_kigr_gen9_06"
    assert metadata.operator == "kigr"
    assert metadata.protocol == "250403_kigr_gen9_06__2025-04-07_12-44-12.xml"
    assert metadata.nominal_capacity_ah == approx(0.00387)
    assert metadata.voltage_limits_volt == (-1.0, 5.0)
    assert metadata.software is not None and metadata.software.startswith("BTSServer(R3)-8.0.0.390")
    assert metadata.header["Step.Step_Info.Step1"].endswith("Limit.Main.Stop_Volt=49000")


def test_an_end_time_means_finished_and_its_absence_means_unknown() -> None:
    finished, running = read(real(FINISHED)).metadata, read(real(CYCLING)).metadata
    assert finished.finished is True
    assert finished.ended_at == datetime(2025, 4, 9, 10, 52, 27, 950000, UTC)
    assert (running.finished, running.ended_at) == (None, None)


def test_calendar_dates_are_taken_in_the_zone_of_the_tester() -> None:
    path = real(NDA_29)
    utc, oslo = read(path), read(path, time_zone="Europe/Oslo")
    assert utc.metadata.started_at == datetime(2020, 3, 25, 11, 16, 50, tzinfo=UTC)
    assert oslo.metadata.started_at == datetime(2020, 3, 25, 10, 16, 50, tzinfo=UTC)
    assert (utc.frame["unix_time_second"] - oslo.frame["unix_time_second"]).unique().to_list() == [3600.0]
    assert oslo.metadata.time_zone == "Europe/Oslo"
    assert oslo.metadata.operator == "Frederik Huld"
    assert oslo.metadata.active_mass_gram == approx(0.001)


def test_announced_records_are_counted() -> None:
    metadata = read(real(PULSES)).metadata
    assert metadata.announced_records == 15567
    assert metadata.ended_at == datetime(2016, 4, 19, 13, 21, 3, 143000, UTC)


def test_only_rests_are_an_open_circuit_test() -> None:
    assert read(real(OCV)).metadata.test_type == "ocv"
    assert read(real(FINISHED)).metadata.test_type == "cycling"


def test_other_archives_and_noise_are_not_claimed(tmp_path: Path) -> None:
    workbook = archive({"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"})
    assert claimants(written(tmp_path, workbook, "book.ndax")) == []
    for name in ("not_a_zip.ndax", "random_bytes.nda", "zero_byte.ndax", "csv_renamed.xlsx"):
        assert claimants(hostile(name)) == []


HOSTILE_OUTCOMES = {
    "truncated_50pct.ndax": "the zip archive is incomplete (no central directory)",
    "truncated_50pct.nda": "the file ends early",
    "nda_renamed.mpr": "the file ends early",
    "zip_bomb_280MB.ndax": "expands beyond the limit",
    "zip_no_data.ndax": "data.ndc is missing",
    "zero_rows.ndax": "no records",
    "zip_path_traversal.ndax": "unsafe member name",
    "zip_bad_crc.ndax": "checksum error in member EditStep.xml",
    "aux_member_unlisted.ndax": "aux channels are not described",
}


@pytest.mark.parametrize("name", HOSTILE_OUTCOMES)
def test_a_damaged_file_is_refused_or_read_with_a_warning_that_names_the_damage(name: str) -> None:
    path, words = hostile(name), HOSTILE_OUTCOMES[name]
    (expect,) = (entry["expect"] for entry in hostile_entries() if entry["path"] == name)
    began = time.perf_counter()
    if expect["rows"]:
        reading = read(path)
        assert reading.frame.height == expect["rows"]
        assert any(words in warning for warning in reading.warnings)
    else:
        with pytest.raises(CorruptFileError) as refusal:
            read(path)
        assert words in refusal.value.reason
        assert name in str(refusal.value)
    assert time.perf_counter() - began < 5


def test_an_unsafe_member_is_written_nowhere() -> None:
    path = hostile("zip_path_traversal.ndax")
    read(path)
    assert not Path("/tmp/escaped_abs_by_ndax.txt").exists()
    assert not (path.parents[2] / "escaped_by_ndax.txt").exists()


def test_an_archive_with_a_hole_is_named_damaged(tmp_path: Path) -> None:
    """The places in its directory then lie before its beginning."""
    binaries.ndax(tmp_path / "whole.ndax", records(60.0))
    whole = (tmp_path / "whole.ndax").read_bytes()
    with pytest.raises(CorruptFileError, match=r"test\.ndax .*damaged"):
        ba.read(written(tmp_path, whole[:1000] + whole[3000:]))


def test_records_before_the_cut_survive_with_a_warning(tmp_path: Path) -> None:
    whole = real(NDA_29).read_bytes()
    reading = read(written(tmp_path, whole[:110_000], "cut.nda"))
    assert 0 < reading.frame.height < 439
    assert any("the file ends early" in warning for warning in reading.warnings)


def test_a_member_cut_short_says_so_with_the_records_that_are_left(tmp_path: Path) -> None:
    source = real(OCV)
    with zipfile.ZipFile(source) as file:
        data = file.read("data.ndc")
    reading = read(written(tmp_path, repacked(source, {"data.ndc": data[:6000]})))
    assert 0 < reading.frame.height < 333
    assert reading.warnings[0] == "data.ndc ends early: 6000 bytes are no whole pages of 4096"
    assert reading.warnings[1].startswith("read with NewareNDA, because fastnda failed")


def test_a_checksum_error_in_the_records_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(real(OCV)) as file:
        member = file.getinfo("data.ndc")
    content = bytearray(real(OCV).read_bytes())
    content[member.header_offset + 400] ^= 0xFF
    with pytest.raises(CorruptFileError, match=r"checksum error|cannot be decompressed"):
        read(written(tmp_path, bytes(content)))


def test_records_without_their_times_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, repacked(real(OCV), {"data_runInfo.ndc": None}))
    with pytest.raises(CorruptFileError, match=r"data_runInfo\.ndc is missing"):
        read(path)


def test_records_without_their_steps_are_read_with_a_warning(tmp_path: Path) -> None:
    reading = read(written(tmp_path, repacked(real(OCV), {"data_step.ndc": None})))
    assert reading.frame.height == 333
    assert not {"cycle_count", "step_type"} & set(reading.frame.columns)
    assert any("steps are not described" in warning for warning in reading.warnings)


def test_records_are_read_without_any_header_document(tmp_path: Path) -> None:
    documents = [name for name in zipfile.ZipFile(real(OCV)).namelist() if name.endswith(".xml")]
    reading = read(written(tmp_path, repacked(real(OCV), dict.fromkeys(documents))))
    assert reading.frame.height == 333
    assert reading.metadata.header == {}


def test_documents_in_chinese_are_read(tmp_path: Path) -> None:
    info = '<root><config><TestInfo Barcode="电池 7" Remark="50 ㎎" StartTime="2025-06-17 10:25:30"/></config></root>'
    metadata = read(written(tmp_path, repacked(real(OCV), {"TestInfo.xml": info}))).metadata
    assert (metadata.sample_name, metadata.comment) == ("电池 7", "50 ㎎")


@pytest.mark.parametrize("text", ["<root><config>", '<!DOCTYPE a [<!ENTITY b "c">]><root><config a="&b;"/></root>'])
def test_a_malformed_document_costs_its_facts_not_the_records(tmp_path: Path, text: str) -> None:
    reading = read(written(tmp_path, repacked(real(OCV), {"TestInfo.xml": text})))
    assert reading.frame.height == 333
    assert any("TestInfo.xml is left out" in warning for warning in reading.warnings)


def test_a_document_nested_without_end_is_no_danger(tmp_path: Path) -> None:
    nested = "<root><config>" + "<a b='1'>" * 5000 + "</a>" * 5000 + "</config></root>"
    assert read(written(tmp_path, repacked(real(OCV), {"VersionInfo.xml": nested}))).frame.height == 333


def test_unknown_versions_are_named(tmp_path: Path) -> None:
    source = real(OCV)
    with zipfile.ZipFile(source) as file:
        data = bytearray(file.read("data.ndc"))
    data[2] = 99
    with pytest.raises(CorruptFileError, match="ndc version 99"):
        read(written(tmp_path, repacked(source, {"data.ndc": bytes(data)})))
    header = bytearray(real(NDA_29).read_bytes())
    header[14] = 77
    with pytest.raises(CorruptFileError, match="nda version 77"):
        read(written(tmp_path, bytes(header), "new.nda"))


def test_what_fastnda_cannot_read_is_tried_with_newarenda(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, kind: str) -> pl.DataFrame:
        raise NotImplementedError("ndc version 14 is not yet supported!")

    path = real(OCV)
    expected = read(path).frame
    monkeypatch.setattr(neware_decoding, "_fastnda_table", refuse)
    reading = read(path)
    assert reading.frame["voltage_volt"].to_list() == expected["voltage_volt"].to_list()
    assert reading.warnings == ["read with NewareNDA, because fastnda failed: ndc version 14 is not yet supported"]


def test_an_archive_that_fails_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import fastnda.ndax

    calls: list[Path] = []
    whole = fastnda.ndax.read_ndax

    def fail_first(path: Path) -> pl.DataFrame:
        calls.append(path)
        if len(calls) == 1:
            raise zipfile.BadZipFile("Bad magic number for file header")
        return whole(path)

    monkeypatch.setattr(fastnda.ndax, "read_ndax", fail_first)
    assert read(real(OCV)).frame.height == 333
    assert len(calls) == 2


def test_what_the_example_encoder_writes_comes_back(tmp_path: Path) -> None:
    path, records = tmp_path / "made.ndax", many_records(3000)
    write_large_ndax(path, 3000)
    reading = read(path)
    assert reading.warnings == []
    assert reading.metadata.finished is True
    for name in ("test_time_second", "voltage_volt", "current_ampere", "step_discharging_capacity_ah"):
        difference = (reading.frame[name] - records[name]).abs().max()
        # The file holds milliseconds and single precision.
        assert difference is not None and difference < (2e-3 if name == "test_time_second" else 1e-5), name
    for name in ("cycle_count", "step_count", "step_id", "step_type"):
        assert reading.frame[name].to_list() == records[name].to_list(), name


def test_content_counts_not_the_suffix(tmp_path: Path) -> None:
    assert read(written(tmp_path, real(NDA_29).read_bytes(), "spooled")).frame.height == 439
    assert read(written(tmp_path, real(OCV).read_bytes(), "renamed.nda")).frame.height == 333


def test_decoders_keep_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    read(hostile("aux_member_unlisted.ndax"))
    read(real(PULSES))
    assert capfd.readouterr() == ("", "")


def test_a_discharge_below_zero_volt_has_its_own_energy(tmp_path: Path) -> None:
    """As in a symmetric cell; records between rows of run information are filled in from their power."""
    truth = [replace(each, voltage=-each.voltage) if each.kind == DISCHARGE else each for each in records(60.0)]
    binaries.ndax(tmp_path / "test.ndax", truth)
    frame = read(tmp_path / "test.ndax").frame
    since = [each.since["step"] for each in truth]
    assert frame["step_charging_energy_wh"].to_list() == approx([each.charge_wh for each in since], abs=1e-2)
    assert frame["step_discharging_energy_wh"].to_list() == approx([each.discharge_wh for each in since], abs=1e-2)
