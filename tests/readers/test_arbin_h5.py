"""Arbin's SQL exports give the records of their table, however pandas laid it out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.arbin_h5 import ArbinH5
from battery_analysis.readers.base import HEAD_BYTES
from tests.realdata import real, real_entries

h5py = pytest.importorskip("h5py")

START = datetime(2024, 5, 2, 9, 30, tzinfo=UTC)
NUMBERS = np.arange(1, 241)
HALF, MINUTE = np.divmod(NUMBERS - 1, 60)
CHARGES = HALF % 2 == 0
WHOLE = {
    "Test_ID": np.full(240, 7),
    "Data_Point": NUMBERS,
    "Date_Time": (np.int64(START.timestamp()) + 60 * NUMBERS) * 10_000_000,
    "Cycle_Index": HALF // 2 + 1,
    "Step_Index": HALF % 2 + 1,
}
REAL = {
    "Test_Time": 60.0 * NUMBERS,
    "Step_Time": 60.0 * (MINUTE + 1),
    "Current": np.where(CHARGES, 1.0, -1.0),
    "Voltage": np.full(240, 3.5),
    "Charge_Capacity": HALF // 2 + HALF % 2 + (MINUTE + 1) / 60 * CHARGES,
    "Discharge_Capacity": HALF // 2 + (MINUTE + 1) / 60 * ~CHARGES,
    "Aux_Temperature_1": np.full(240, 25.0),
}


def store(group: Any, *blocks: dict[str, Any]) -> None:
    """Lay a table out as pandas' fixed store does."""
    names = [name for block in blocks for name in block]
    group.create_dataset("axis0", data=np.array(names, "S"))
    group.create_dataset("axis1", data=np.arange(len(next(iter(blocks[0].values())))))
    for number, block in enumerate(blocks):
        group.create_dataset(f"block{number}_items", data=np.array(list(block), "S"))
        group.create_dataset(f"block{number}_values", data=np.stack(list(block.values()), axis=1))


def write(path: Path, take: Any = slice(None), without: str = "") -> Path:
    with h5py.File(path, "w") as file:
        whole = {name: values[take] for name, values in WHOLE.items() if name != without}
        reals = {name: values[take] for name, values in REAL.items() if name != without}
        store(file.create_group("data_df"), whole, reals)
        facts = {"SpecificMASS": np.array([0.5]), "SpecificCapacity": np.array([3.0])}
        store(file.create_group("info_df"), {"IV_Ch_ID": np.array([12])}, facts)
        file.create_group("stat_df")
    return path


def test_an_ideal_cell_has_its_capacity_and_efficiency(tmp_path: Path) -> None:
    result = ba.read(write(tmp_path / "cell.h5"))
    assert result.reader == "arbin_h5"
    assert result.warnings == []
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["coulombic_efficiency"][0] == pytest.approx(1.0)
    assert result.frame["temperature_t1_celsius"].unique().to_list() == [25.0]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_the_clock_is_in_utc_whatever_the_zone(tmp_path: Path, zone: str) -> None:
    result = ba.read(write(tmp_path / "cell.h5"), time_zone=zone)
    assert result.frame["unix_time_second"][0] == START.timestamp() + 60
    assert result.metadata.started_at == START
    assert result.metadata.time_zone is None


def test_the_facts_of_the_test_are_kept(tmp_path: Path) -> None:
    metadata = ba.read(write(tmp_path / "cell.h5")).metadata
    assert (metadata.channel, metadata.active_mass_gram, metadata.nominal_capacity_ah) == ("12", 0.5, 1.5)


def test_records_that_stand_there_twice_are_read_once_and_in_order(tmp_path: Path) -> None:
    take = np.concatenate([np.arange(100, 240), np.arange(120)])
    result = ba.read(write(tmp_path / "cell.h5", take))
    assert result.frame["record_index"].to_list() == NUMBERS.tolist()
    assert "20 records with the Data_Point of another are left out" in result.warnings


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="voltage"):
        ba.read(write(tmp_path / "cell.h5", without="Voltage"))


def test_a_table_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no data rows"):
        ba.read(write(tmp_path / "cell.h5", slice(0)))


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cell.h5")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CorruptFileError, match="HDF5"):
        ba.read(path, reader="arbin_h5")


def test_real_files_of_others_are_not_claimed() -> None:
    for entry in real_entries():
        path = real(entry["path"])
        with path.open("rb") as file:
            assert not ArbinH5().recognises(file.read(HEAD_BYTES), path)
