"""What Novonix's summary, step codes and repeated starts say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from tests.readers.vendor_exports import NOVONIX_SUMMARY, novonix, records
from tests.realdata import real


def saved(folder: Path, text: str) -> Path:
    path = folder / "cell.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_summary_becomes_metadata(tmp_path: Path) -> None:
    metadata = ba.read(saved(tmp_path, novonix(every=600.0))).metadata
    assert (metadata.device, metadata.software, metadata.channel) == ("UHPC", "UHPC 2.13.0", "07")
    assert (metadata.sample_name, metadata.comment, metadata.protocol) == ("AB12", "pouch", "C:\\cycles.pro2")
    assert (metadata.nominal_capacity_ah, metadata.electrode_area_cm2) == (1.1, 12.5)
    assert metadata.active_mass_gram is None  # nobody filled in the 1.000 of the program
    assert metadata.header["Mass (g)"] == "1.000"
    assert metadata.header["[Protocol]"] == '{"Version":"UHPC Control: 2.13.0"}'
    assert metadata.started_at == datetime(2024, 3, 15, 12, 0, tzinfo=UTC)


def test_step_codes_are_spelled_out_and_kept(tmp_path: Path) -> None:
    frame = ba.read(saved(tmp_path, novonix(every=600.0))).frame
    pairs = set(zip(frame["aux_step_type"], frame["step_type"], strict=True))
    assert pairs == {(0, "Open circuit storage"), (1, "CC charge"), (2, "CC discharge")}


def test_without_step_type_the_step_number_is_the_code(tmp_path: Path) -> None:
    text = novonix(every=600.0).replace("Step Number", "Extra").replace("Step Type", "Step Number")
    frame = ba.read(saved(tmp_path, text)).frame
    assert "step_id" not in frame.columns
    assert set(frame.filter(frame["aux_step_number"] == 1)["step_type"]) == {"CC"}


def test_an_unknown_code_keeps_its_number(tmp_path: Path) -> None:
    text = NOVONIX_SUMMARY.format(product="UHPC") + (
        "[End Protocol]\n[Data]\nStep Type,Run Time (h),Current (A),Potential (V)\n23,0.5,0.1,3.6\n23,1,0.1,3.7\n"
    )
    frame = ba.read(saved(tmp_path, text)).frame
    assert frame["step_type"].to_list() == ["type 23", "type 23"]
    assert frame["test_time_second"].to_list() == [1800.0, 3600.0]


def with_energy(net: str) -> str:
    """The export with an energy: the net so far of the cell (``""``), or that of each step (``"step_"``)."""
    names, *rows = novonix(every=600.0).partition("[Data]\n")[2].splitlines()
    cells = [f"{row},{record[f'{net}net_capacity_ah'] * 3.7}" for row, record in zip(rows, records(600.0), strict=True)]
    return "\n".join(
        [NOVONIX_SUMMARY.format(product="UHPC") + "[End Protocol]\n[Data]", f"{names},Energy (Wh)", *cells]
    )


@pytest.mark.parametrize(("net", "column"), [("", "net_energy_wh"), ("step_", "step_net_energy_wh")])
def test_energy_that_begins_with_each_step_is_told_from_that_of_the_test(tmp_path: Path, net: str, column: str) -> None:
    result = ba.read(saved(tmp_path, with_energy(net) + "\n"))
    assert {"net_capacity_ah", column} == {name for name in result.frame.columns if "net_" in name}
    assert result.metadata.sources[column].name == "Energy (Wh)"
    assert result.cycles["charge_energy_wh"].to_list() == pytest.approx([3.7, 3.7])
    assert result.cycles["discharge_energy_wh"].to_list() == pytest.approx([3.7, 3.7])


def test_a_temperature_without_sensor_is_missing(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, novonix(every=600.0).replace(",30.500000000,", ",-9999,", 3)))
    assert result.frame["temperature_t1_celsius"].null_count() == 3
    assert result.frame["temperature_t1_celsius"].min() == 30.5
    assert any("3 temperatures below absolute zero" in warning for warning in result.warnings)


def test_a_second_start_follows_the_first(tmp_path: Path) -> None:
    once = novonix(every=600.0)
    result = ba.read(saved(tmp_path, once + once))
    assert result.frame.height == 2 * ba.read(saved(tmp_path, once)).frame.height
    assert any("started 2 times" in warning for warning in result.warnings)
    assert result.frame["test_time_second"].is_sorted()


def test_commas_of_a_spreadsheet_behind_the_marks_do_no_harm(tmp_path: Path) -> None:
    plain = novonix(every=600.0)
    spread = "\n".join(line + ",,," if line.startswith("[") else line for line in plain.split("\n"))
    assert ba.read(saved(tmp_path, spread)).frame.equals(ba.read(saved(tmp_path, plain)).frame)


def test_a_file_without_data_section_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=r"no \[Data\] section"):
        ba.read(saved(tmp_path, NOVONIX_SUMMARY.format(product="HPC")))


def test_the_real_net_capacity_is_what_was_charged() -> None:
    result = ba.read(real("novonix/sample_data_novonix.csv"))
    assert result.warnings == []
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.70652976])
    assert result.cycles["discharge_capacity_ah"].to_list() == [0.0]
    assert result.metadata.nominal_capacity_ah == 5.0
    assert result.metadata.test_name == "Co10x3_1Cx3_2_CH01"
