"""What PEC's key lines, units and cells say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from tests.readers.vendor_exports import pec
from tests.realdata import real


def saved(folder: Path, text: str) -> Path:
    path = folder / "cell.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_key_lines_become_metadata(tmp_path: Path) -> None:
    metadata = ba.read(saved(tmp_path, pec(new=True, every=600.0))).metadata
    assert (metadata.device, metadata.channel, metadata.barcode) == ("SBT0550", "SBT0550-1-1", "AB_12")
    assert (metadata.protocol, metadata.operator, metadata.test_name) == ("C/25", "Admin", "187")
    assert metadata.nominal_capacity_ah == pytest.approx(1.1)
    assert metadata.header["Parameter Mass (kg)"] == "1.161"
    assert metadata.finished is True


def test_a_test_that_ends_in_the_year_one_still_runs(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, pec(every=600.0)))
    assert result.metadata.finished is False
    assert result.metadata.header["RESULTS CHECK"].splitlines()[1] == "2019,187,1,1,3272,3"


@pytest.mark.parametrize("new", [False, True])
def test_energies_are_told_from_capacities_by_their_unit(tmp_path: Path, new: bool) -> None:
    frame = ba.read(saved(tmp_path, pec(new, every=600.0))).frame
    assert frame["cycle_charging_energy_wh"].max() == pytest.approx(4.0)
    assert frame["cycle_charging_capacity_ah"].max() == pytest.approx(1.0)
    assert frame["internal_resistance_ohm"].max() == pytest.approx(0.0125)
    assert frame["cycle_count"].unique().sort().to_list() == [0, 1]


def test_the_instruction_is_the_kind_of_step(tmp_path: Path) -> None:
    frame = ba.read(saved(tmp_path, pec(new=True, every=600.0))).frame
    assert set(frame["step_type"]) == {"CC Chg", "CC DChg", "Rest"}


def test_clock_times_of_other_columns_are_kept_in_seconds(tmp_path: Path) -> None:
    lines = pec(new=True, every=600.0).splitlines()
    labels = next(at for at, line in enumerate(lines) if line.startswith("Test,Cell,Rack"))
    added = ["Load On Time (Hours in hh:mm:ss.xxx)", *(f"25:00:0{at % 10}.500" for at in range(len(lines)))]
    lines[labels:] = [line + cell + "," for line, cell in zip(lines[labels:], added, strict=False)]
    result = ba.read(saved(tmp_path, "\n".join([*lines, ""])))
    name = "aux_load_on_time_hours_in_hh_mm_ss_xxx"
    assert result.frame[name].head(2).to_list() == [90000.5, 90001.5]
    assert result.metadata.sources[name].unit == "s"
    assert not any(key.endswith("Time (Hours in hh:mm:ss.xxx)") for key in result.metadata.header)


def test_several_cells_are_several_tests(tmp_path: Path) -> None:
    text = pec(every=600.0)
    with pytest.raises(CorruptFileError, match=r"records of 2 cells \(1, 2\); export each by itself"):
        ba.read(saved(tmp_path, text + text.splitlines()[-1].replace("187,1,", "187,2,", 1) + "\n"))


def test_an_unknown_unit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=r"the unit 'dB' of column 'Voltage \(dB\)' is not known"):
        ba.read(saved(tmp_path, pec(every=600.0).replace("Voltage (mV)", "Voltage (dB)")))


def test_the_real_file_starts_with_its_first_record() -> None:
    result = ba.read(real("pec/pec.csv"))
    assert result.warnings == []
    assert result.metadata.started_at == datetime(2019, 2, 22, 16, 23, 26, tzinfo=UTC)
    assert result.metadata.ended_at == datetime(2019, 2, 26, 10, 6, 56, tzinfo=UTC)
    assert result.metadata.finished is False
    assert result.metadata.protocol == "FirstCell dQdV C/25"
    assert result.frame["ambient_temperature_celsius"][0] == 25.83
    assert result.frame["surface_temperature_celsius"][0] == 24.9
