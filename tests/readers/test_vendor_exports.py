"""Exports of BaSyTec, Novonix, PEC and Landt: an ideal cell in every layout, real files, recognition, damage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.columns import DERIVED
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers import READERS
from battery_analysis.readers.base import HEAD_BYTES, Reader
from battery_analysis.readers.basytec import BasytecText
from battery_analysis.readers.indigo import IndigoH5
from battery_analysis.readers.landt import LandtText, LandtWorkbook
from battery_analysis.readers.landt_ccs import LandtCcs, LandtCex
from battery_analysis.readers.novonix import NovonixCsv
from battery_analysis.readers.pec import PecCsv
from tests.readers import vendor_exports as exports
from tests.realdata import real, real_entries

Export = Callable[..., str]

LAYOUTS: dict[str, tuple[str, str, Export]] = {
    "basytec tabs": ("basytec_txt", "txt", exports.basytec),
    "basytec spaces": ("basytec_txt", "txt", lambda **options: exports.basytec(" ", **options)),
    "basytec decimal comma": ("basytec_txt", "txt", lambda **options: exports.basytec("\t", ",", **options)),
    "basytec date and time": ("basytec_txt", "txt", lambda **options: exports.basytec(parted=True, **options)),
    "basytec semicolons": ("basytec_txt", "txt", lambda **options: exports.basytec(";", ",", hours=False, **options)),
    "novonix uhpc": ("novonix_csv", "csv", exports.novonix),
    "novonix hpc": ("novonix_csv", "csv", lambda **options: exports.novonix(quoted=True, **options)),
    "pec 2019": ("pec_csv", "csv", exports.pec),
    "pec 2026": ("pec_csv", "csv", lambda **options: exports.pec(new=True, **options)),
    "landt slashes": ("landt_csv", "csv", exports.landt_slashes),
    "landt tabs": ("landt_csv", "txt", lambda **options: exports.landt_slashes("\t", **options)),
    "landt days": ("landt_csv", "csv", lambda **options: exports.landt_slashes(days=True, **options)),
    "landt unsigned": ("landt_csv", "csv", lambda **options: exports.landt_slashes(unsigned=True, **options)),
    "landt snakes": ("landt_csv", "csv", exports.landt_snakes),
    "landt numbers": ("landt_csv", "txt", exports.landt_numbers),
}
TEXTS: tuple[Reader, ...] = (BasytecText(), NovonixCsv(), PecCsv(), LandtText())
OWN: tuple[Reader, ...] = (*TEXTS, LandtWorkbook(), LandtCcs(), LandtCex(), IndigoH5())
VENDORS = {"basytec", "novonix", "pec", "landt", "indigo"}


def saved(folder: Path, layout: str, **options: Any) -> Path:
    _, suffix, export = LAYOUTS[layout]
    path = folder / f"cell.{suffix}"
    path.write_text(export(**options), encoding="cp1252" if layout.startswith("basytec") else "utf-8")
    return path


@pytest.mark.parametrize("every", [10.0, 60.0, 300.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_ideal_cell_has_an_efficiency_of_one(tmp_path: Path, layout: str, every: float) -> None:
    result = ba.read(saved(tmp_path, layout, every=every))
    assert result.reader == LAYOUTS[layout][0]
    cycles = result.cycles
    assert cycles.height == exports.CYCLES
    assert cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], abs=1e-8)
    assert cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], abs=1e-8)
    assert cycles["coulombic_efficiency"].to_list() == pytest.approx([1.0, 1.0], abs=1e-8)
    assert cycles["capacity_method"].to_list() == ["counter", "counter"]
    expected = exports.records(every)
    assert result.frame["test_time_second"].to_list() == pytest.approx([each["test_time_second"] for each in expected])
    assert result.frame["step_time_second"].to_list() == pytest.approx([each["step_time_second"] for each in expected])
    assert result.frame["current_ampere"].to_list() == [each["current_ampere"] for each in expected]
    assert result.frame["voltage_volt"].to_list() == pytest.approx([each["voltage_volt"] for each in expected])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_clock_of_records_agrees_with_their_test_time(tmp_path: Path, layout: str) -> None:
    frame = ba.read(saved(tmp_path, layout)).frame
    started = frame["unix_time_second"] - frame["test_time_second"]
    assert started.to_list() == pytest.approx([exports.START.replace(tzinfo=UTC).timestamp()] * frame.height)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_integrated_current_agrees_with_the_counters(tmp_path: Path, layout: str) -> None:
    result = ba.read(saved(tmp_path, layout))
    assert set(result.frame.columns) - {column.name for column in DERIVED} <= set(result.metadata.sources)
    counters = [name for name in result.frame.columns if name.endswith("_capacity_ah")]
    bare = result.frame.drop(counters)
    integrated = summarise_cycles(bare)
    assert integrated["capacity_method"].to_list() == ["integrated", "integrated"]
    assert integrated["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], abs=1e-8)
    assert integrated["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0], abs=1e-8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_start_is_taken_in_the_given_zone(tmp_path: Path, layout: str) -> None:
    path = saved(tmp_path, layout, every=600.0)
    here = ba.read(path).metadata.started_at
    there = ba.read(path, time_zone="Europe/Berlin")
    assert here is not None
    assert there.metadata.started_at is not None
    assert here.replace(tzinfo=None) == exports.START
    assert (here - there.metadata.started_at).total_seconds() == 3600
    assert there.metadata.time_zone == "Europe/Berlin"


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_encoding_and_line_ends_change_nothing(tmp_path: Path, layout: str, encoding: str, line_end: str) -> None:
    path = saved(tmp_path, layout, every=600.0)
    expected = ba.read(path)
    text = LAYOUTS[layout][2](every=600.0)
    path.write_bytes(text.replace("\n", line_end).encode(encoding))
    result = ba.read(path)
    assert result.frame.equals(expected.frame)
    assert result.warnings == expected.warnings


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_cut_anywhere_gives_the_records_before_the_cut(tmp_path: Path, layout: str) -> None:
    path = saved(tmp_path, layout, every=1800.0)
    content = path.read_bytes()
    reader = next(each for each in TEXTS if each.name == LAYOUTS[layout][0])
    whole = reader.read(path).frame
    heights = set()
    for length in range(len(content) * 3 // 4, len(content), 23):
        path.write_bytes(content[:length])
        try:
            frame = reader.read(path).frame
        except (CorruptFileError, SchemaError):
            assert not heights  # only a file without a whole record is refused
            continue
        heights.add(frame.height)
        known = [name for name in whole.columns if name in frame.columns]
        sure = max(0, frame.height - 1)  # nothing shows whether the last cell of all is whole
        assert frame.head(sure).select(known).equals(whole.head(sure).select(known), null_equal=True)
    assert len(heights) > 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_header_without_records_is_an_error(tmp_path: Path, layout: str) -> None:
    path = saved(tmp_path, layout, every=1800.0)
    content = path.read_bytes()
    first_row = next(at for at in range(len(content)) if content[at:].count(b"\n") == len(exports.records(1800.0)))
    path.write_bytes(content[: first_row + 1])
    with pytest.raises(CorruptFileError, match="no data rows"):
        ba.read(path, reader=LAYOUTS[layout][0])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_lines_are_named(tmp_path: Path, layout: str) -> None:
    path = saved(tmp_path, layout, every=600.0)
    lines = path.read_bytes().split(b"\n")
    lines[-4:-4] = [b"\0\0\0", b"coffee"]
    path.write_bytes(b"\n".join(lines))
    result = ba.read(path)
    assert result.frame.height == len(exports.records(600.0))
    assert any("NUL bytes" in warning for warning in result.warnings)
    assert any(f"line {len(lines) - 4} has 1 field" in warning for warning in result.warnings)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_its_reader_claims_a_layout(tmp_path: Path, layout: str) -> None:
    path = saved(tmp_path, layout, every=1800.0)
    head = path.read_bytes()[:HEAD_BYTES]
    assert [each.name for each in OWN if each.recognises(head, path)] == [LAYOUTS[layout][0]]
    assert next(each.name for each in READERS if each.recognises(head, path)) == LAYOUTS[layout][0]


@pytest.mark.parametrize("entry", real_entries(), ids=lambda entry: entry["path"])
def test_real_files_of_other_testers_are_not_claimed(entry: dict[str, Any]) -> None:
    path = real(entry["path"])
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    claimed = [each.tester.lower() for each in OWN if each.recognises(head, path)]
    assert claimed == ([entry["vendor"]] if entry["vendor"] in VENDORS else [])


@pytest.mark.parametrize("entry", real_entries(*sorted(VENDORS)), ids=lambda entry: entry["path"])
def test_agrees_with_an_independent_reader(entry: dict[str, Any]) -> None:
    result, reference = ba.read(real(entry["path"])), entry["reference"]
    assert result.frame.height == reference["rows"]
    for name, key in (
        ("voltage_volt", "voltage_V"),
        ("current_ampere", "current_A"),
        ("test_time_second", "test_time_s"),
    ):
        values = result.frame[name]
        assert values.min() == pytest.approx(reference[key]["min"])
        assert values.max() == pytest.approx(reference[key]["max"])
        assert "first" not in reference[key] or values[0] == pytest.approx(reference[key]["first"])
        assert "last" not in reference[key] or values[-1] == pytest.approx(reference[key]["last"])
    assert result.cycles.height == reference["cycles"]["count"]
    for each in reference.get("capacity", {}).get("per_cycle", []):
        row = result.cycles.row(by_predicate=pl.col("cycle_count") == each["cycle"], named=True)
        assert row["charge_capacity_ah"] == pytest.approx(each["charge_Ah"], rel=1e-5, abs=1e-9)
        assert row["discharge_capacity_ah"] == pytest.approx(each["discharge_Ah"], rel=1e-5, abs=1e-9)
