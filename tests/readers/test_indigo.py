"""Indigo's tables: arrays of numbers only, nothing unpickled, nothing from other files."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.indigo import IndigoH5
from tests.readers import vendor_exports as exports
from tests.realdata import real

REALS = ("time_s", "cell_coulomb_count_c", "cell_current_a", "cell_temperature_c", "cell_energy_j", "cell_voltage_v")
COUNTS = ("cell_id", "cycle_count", "half_cycle_count", "experiment_type")


def columns() -> dict[str, np.ndarray[Any, Any]]:
    """The ideal cell: one half cycle for each direction, rests belong to the one before."""
    rows = exports.records(600.0)
    half, halves, counts, moved = 0, [], [], 0.0
    for row, before in zip(rows, [None, *rows], strict=False):
        starts = row["current_ampere"] and (before is None or row["step_count"] != before["step_count"])
        half, moved = (half + 1, 0.0) if starts else (half, moved)
        moved += row["current_ampere"] * 600.0
        halves.append(half)
        counts.append(moved)
    clock = exports.START.replace(tzinfo=UTC).timestamp()
    times = np.array([row["test_time_second"] for row in rows])
    return {
        "time_s": times,
        "system_time_us": ((clock + times) * 1e6).astype(np.int64),
        "cell_coulomb_count_c": np.array(counts),
        "cell_current_a": np.array([row["current_ampere"] for row in rows]),
        "cell_temperature_c": np.full(len(rows), 25.5),
        "cell_energy_j": np.array(counts) * 3.7,
        "cell_voltage_v": np.array([row["voltage_volt"] for row in rows]),
        "cell_id": np.full(len(rows), 452),
        "cycle_count": np.array([row["cycle_count"] for row in rows]),
        "half_cycle_count": np.array(halves),
        "experiment_type": np.full(len(rows), 1),
    }


def saved(folder: Path, data: dict[str, np.ndarray[Any, Any]]) -> Path:
    path = folder / "cell.h5"
    blocks = [[name for name in names if name in data] for names in (REALS, COUNTS, ("system_time_us",))]
    with h5py.File(path, "w") as file:
        group = file.create_group("time_series_data")
        group.create_dataset("axis0", data=np.array([name.encode() for name in data]))
        group.create_dataset("axis1", data=7 * np.arange(len(data["time_s"])))
        for number, names in enumerate(blocks):
            group.create_dataset(f"block{number}_items", data=np.array([name.encode() for name in names]))
            group.create_dataset(f"block{number}_values", data=np.stack([data[name] for name in names], axis=1))
    return path


def test_an_ideal_cell_in_coulomb_and_joule(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, columns()))
    assert result.reader == "indigo_h5"
    assert result.warnings == []
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.frame["step_net_energy_wh"].max() == pytest.approx(3.7)
    assert result.frame["aux_index"].to_list() == [7 * at for at in range(result.frame.height)]
    assert result.metadata.started_at == datetime(2024, 3, 15, 12, 0, tzinfo=UTC)
    assert result.metadata.sample_name == "452"


def test_rows_are_brought_into_the_order_of_the_clock(tmp_path: Path) -> None:
    straight = ba.read(saved(tmp_path, columns())).frame
    shuffled = {name: values[::-1] for name, values in columns().items()}
    result = ba.read(saved(tmp_path, shuffled))
    assert any("not in the order of system_time_us" in warning for warning in result.warnings)
    assert result.frame.drop("aux_index").equals(straight.drop("aux_index"))


def test_several_cells_are_several_tests(tmp_path: Path) -> None:
    data = columns()
    data["cell_id"][-1] = 453
    with pytest.raises(CorruptFileError, match=r"records of 2 cells \(\[452, 453\]\)"):
        ba.read(saved(tmp_path, data))


def test_what_is_pickled_stays_closed(tmp_path: Path) -> None:
    path = saved(tmp_path, columns())
    trap = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trap,)

    with h5py.File(path, "a") as file:
        group = file["time_series_data"]
        group.create_dataset("block9_items", data=np.array([b"note"]))
        values = group.create_dataset("block9_values", (1,), dtype=h5py.vlen_dtype(np.uint8))
        values[0] = np.frombuffer(pickle.dumps(Trap()), np.uint8)
    result = ba.read(path)
    assert result.warnings == ["columns note are no numbers; left out"]
    assert not trap.exists()


@pytest.mark.parametrize("kind", ["external", "soft", "virtual"])
def test_links_to_other_files_are_not_followed(tmp_path: Path, kind: str) -> None:
    other = saved(tmp_path, columns()).rename(tmp_path / "other.h5")
    path = saved(tmp_path, columns())
    with h5py.File(path, "a") as file:
        group = file["time_series_data"]
        shape = group["block0_values"].shape
        del group["block0_values"]
        name = "time_series_data/block0_values"
        if kind == "external":
            group["block0_values"] = h5py.ExternalLink(str(other), name)
        elif kind == "soft":
            group["block0_values"] = h5py.SoftLink("/time_series_data/block1_values")
        else:
            layout = h5py.VirtualLayout(shape, "f8")
            layout[:] = h5py.VirtualSource(str(other), name, shape)
            group.create_virtual_dataset("block0_values", layout)
    with pytest.raises(CorruptFileError, match=r"block0_values (is absent or a link|lies in other files)"):
        ba.read(path, reader="indigo_h5")


def test_a_table_larger_than_memory_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, columns())
    with h5py.File(path, "a") as file:
        group = file["time_series_data"]
        del group["axis1"], group["block0_values"]
        group.create_dataset("axis1", (1 << 33,), "i8", chunks=(1 << 16,))
        group.create_dataset("block0_values", (1 << 33, len(REALS)), "f8", chunks=(1 << 12, len(REALS)))
    with pytest.raises(CorruptFileError, match="needs more than"):
        ba.read(path, reader="indigo_h5")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_is_an_error(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path, columns())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CorruptFileError, match="the HDF5 content cannot be read"):
        ba.read(path, reader="indigo_h5")


def test_other_tables_are_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_group("time_series_data").create_dataset("axis0", data=np.array([b"voltage"]))
    assert not IndigoH5().recognises(path.read_bytes(), path)


def test_the_real_file_keeps_its_clock() -> None:
    result = ba.read(real("indigo/indigo_test_sample.h5"))
    assert result.warnings == []
    assert result.metadata.sample_name == "452"
    assert result.frame["unix_time_second"][0] == pytest.approx(1570746395.467835)
    assert result.frame["step_count"].max() == 169
    assert result.frame["aux_index"][0] == 240
