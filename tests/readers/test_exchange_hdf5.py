"""cellpy and tomato: stores as pandas and xarray lay them out, and pickles that stay closed."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from pytest import approx

from battery_analysis.errors import CorruptFileError, ReadError
from battery_analysis.readers.cellpy import CellpyH5
from battery_analysis.readers.hdf5 import literals
from battery_analysis.readers.tomato import TomatoJson, TomatoNetCdf
from battery_analysis.reading import read, read_head
from tests.analysis.cells import ideal_cycles, logged, with_counters
from tests.realdata import real, real_entries

h5py = pytest.importorskip("h5py")

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def names_pickle(names: list[str]) -> np.bytes_:
    """A list of names as PyTables keeps it in an attribute."""
    return np.bytes_(pickle.dumps(names, protocol=0))


def cellpy_columns(every: float, charge: float = 1.0) -> dict[str, np.ndarray[Any, Any]]:
    frame = with_counters(logged(ideal_cycles(2), every), "pair", "cycle")
    stamps = (frame["test_time_second"] + START.timestamp()) * 1e9
    return {
        "test_time": frame["test_time_second"].to_numpy(),
        "voltage": frame["voltage_volt"].to_numpy(),
        "current": frame["current_ampere"].to_numpy() * charge,
        "charge_capacity": frame["cycle_charging_capacity_ah"].to_numpy() * charge,
        "discharge_capacity": frame["cycle_discharging_capacity_ah"].to_numpy() * charge,
        "data_point": np.arange(1, frame.height + 1),
        "cycle_index": frame["cycle_count"].to_numpy(),
        "step_index": frame["step_count"].to_numpy(),
        "date_time": stamps.cast(pl.Int64).to_numpy(),
    }


def blocks(columns: dict[str, np.ndarray[Any, Any]]) -> list[tuple[str, list[str]]]:
    """Columns of one type share a block; times are integers that an attribute calls times."""
    whole = [name for name, values in columns.items() if values.dtype.kind == "i" and name != "date_time"]
    real_numbers = [name for name, values in columns.items() if values.dtype.kind == "f"]
    times = [name for name in columns if name == "date_time"]
    found = [("datetime64[ns]", times), ("float64", real_numbers), ("int64", whole)]
    return [(kind, names) for kind, names in found if names]


def compound(group: Any, columns: dict[str, np.ndarray[Any, Any]]) -> None:
    parts = blocks(columns)
    kinds = [
        (f"values_block_{at}", "<f8" if kind == "float64" else "<i8", (len(names),))
        for at, (kind, names) in enumerate(parts)
    ]
    table = np.zeros(len(columns["test_time"]), dtype=[("index", "<i8"), *kinds])
    for at, (_, names) in enumerate(parts):
        table[f"values_block_{at}"] = np.stack([columns[name] for name in names], axis=1)
    stored = group.create_dataset("table", data=table, compression="gzip")
    for at, (kind, names) in enumerate(parts):
        stored.attrs[f"values_block_{at}_kind"] = names_pickle(names)
        stored.attrs[f"values_block_{at}_dtype"] = np.bytes_(kind)


def fixed(group: Any, columns: dict[str, np.ndarray[Any, Any]]) -> None:
    group.create_dataset("axis0", data=np.array(list(columns), dtype="S"))
    for at, (kind, names) in enumerate(blocks(columns)):
        group.create_dataset(f"block{at}_items", data=np.array(names, dtype="S"))
        block = group.create_dataset(f"block{at}_values", data=np.stack([columns[name] for name in names], axis=1))
        if kind.startswith("datetime"):
            block.attrs["value_type"] = np.bytes_(kind)


def info(group: Any, texts: dict[str, str | None], mass: float) -> None:
    group.create_dataset("block0_items", data=np.array(["mass"], dtype="S"))
    group.create_dataset("block0_values", data=np.array([[mass]]))
    group.create_dataset("block1_items", data=np.array(list(texts), dtype="S"))
    values = group.create_dataset("block1_values", (1,), dtype=h5py.vlen_dtype(np.uint8))
    row = np.array([list(texts.values())], dtype=object)
    values[0] = np.frombuffer(pickle.dumps(row, protocol=4), dtype=np.uint8)


def cellpy_file(
    folder: Path, every: float = 60, *, layout: Any = compound, table: str = "raw", milli: bool = False
) -> Path:
    path = folder / "cell.cellpy"
    columns = cellpy_columns(every, 1e3 if milli else 1.0)
    prefix = "m" if milli else ""
    units = {"raw_unit_current": f"{prefix}A", "raw_unit_charge": f"{prefix}Ah", "raw_unit_time": "sec"}
    with h5py.File(path, "w") as file:
        root = file.create_group("CellpyData")
        layout(root.create_group(table), columns)
        info(root.create_group("info"), {"cell_name": "AB12", "comment": None, **units}, 12.5)
    return path


@pytest.mark.parametrize("milli", [False, True])
@pytest.mark.parametrize(("layout", "table"), [(compound, "raw"), (fixed, "raw"), (compound, "dfdata")])
@pytest.mark.parametrize("every", [10, 60, 300])
def test_an_ideal_cell_of_cellpy(every: float, layout: Any, table: str, milli: bool, tmp_path: Path) -> None:
    result = read(cellpy_file(tmp_path, every, layout=layout, table=table, milli=milli))
    assert result.reader == "cellpy_h5"
    assert result.warnings == []
    assert result.cycles["coulombic_efficiency"].to_list() == approx([1.0, 1.0], abs=1e-9)
    assert result.cycles["charge_capacity_ah"].to_list() == approx([1.0, 1.0], abs=1e-9)
    assert result.metadata.sample_name == "AB12"
    assert result.metadata.active_mass_gram == approx(0.0125)
    assert result.metadata.started_at == START
    assert result.frame["record_index"][0] == 1


def test_an_unknown_unit_is_not_guessed(tmp_path: Path) -> None:
    path = cellpy_file(tmp_path)
    with h5py.File(path, "a") as file:
        del file["CellpyData/info"]
        info(file.create_group("CellpyData/info"), {"raw_unit_charge": "mAh/g"}, 1.0)
    result = read(path)
    assert "aux_charge_capacity" in result.frame.columns
    assert result.warnings[0] == "charge_capacity is in 'mAh/g', not in Ah; kept as aux_"
    assert result.metadata.active_mass_gram is None


def test_no_pickle_is_ever_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "sprung",)

    path = cellpy_file(tmp_path)
    with h5py.File(path, "a") as file:
        file["CellpyData/raw/table"].attrs["values_block_0_kind"] = np.bytes_(
            pickle.dumps(["test_time", Trap()], protocol=0)
        )
    with pytest.raises(CorruptFileError):
        read(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_the_literals_of_a_pickled_list(protocol: int) -> None:
    row = np.array([["AB12", None, 1.5, 7, True, "AB12"]], dtype=object)
    assert literals(pickle.dumps(row, protocol=protocol)) == ["AB12", None, 1.5, 7, True, "AB12"]
    assert literals(pickle.dumps(["voltage", "current"], protocol=protocol)) == ["voltage", "current"]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_store_cut_short_is_an_error_with_its_name(share: float, tmp_path: Path) -> None:
    path = cellpy_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ReadError, match=r"cell\.cellpy"):
        read(path)


def test_damaged_bytes_never_escape_as_something_else(tmp_path: Path) -> None:
    path = cellpy_file(tmp_path, 300)
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), 211):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            result = read(path, reader="cellpy_h5")
        except ReadError as exc:
            assert "cell.cellpy" in str(exc)
        else:
            assert result.frame.height


def tomato_netcdf(folder: Path, frame: pl.DataFrame, unit: str = "mA") -> Path:
    path = folder / "results.7.nc"
    clock = frame["test_time_second"].to_numpy() + START.timestamp()
    with h5py.File(path, "w") as file:
        file.attrs["tomato_version"] = "2.2"
        file.attrs["tomato_Job"] = json.dumps({"id": 7})
        cell, box = file.create_group("counter"), file.create_group("chamber")
        for group in (cell, box):
            group.create_dataset("uts", data=clock)
        cell.create_dataset("Ewe", data=frame["voltage_volt"].to_numpy()).attrs["units"] = "V"
        cell.create_dataset("I", data=frame["current_ampere"].to_numpy() * 1e3).attrs["units"] = unit
        cell.create_dataset("Ewe_uncertainty", data=1e-4).attrs["units"] = "V"
        cell.create_dataset("technique", data=frame["step_type"].to_list(), dtype=h5py.string_dtype())
        box.create_dataset("temperature", data=frame["voltage_volt"].to_numpy()).attrs["units"] = "degC"
    return path


def tomato_json(folder: Path, frame: pl.DataFrame, unit: str = "mA") -> Path:
    records = [
        {
            "uts": START.timestamp() + row["test_time_second"],
            "fn": "data.json",
            "raw": {
                "Ewe": {"n": row["voltage_volt"], "s": 1e-4, "u": "V"},
                **({"I": {"n": row["current_ampere"] * 1e3, "s": 1e-3, "u": unit}} if row["current_ampere"] else {}),
                "technique": row["step_type"],
                "index": row["step_count"],
            },
        }
        for row in frame.iter_rows(named=True)
    ]
    half = len(records) // 2
    path = folder / "results.7.json"
    steps = [{"metadata": {"tag": "worker"}, "data": part} for part in (records[:half], records[half:])]
    path.write_text(json.dumps({"metadata": {"provenance": {"type": "tomato"}}, "steps": steps}))
    return path


@pytest.mark.parametrize("every", [60, 300])
@pytest.mark.parametrize("layout", [tomato_netcdf, tomato_json])
def test_an_ideal_cell_of_tomato(layout: Any, every: float, tmp_path: Path) -> None:
    frame = logged(ideal_cycles(2), every)
    result = read(layout(tmp_path, frame))
    assert result.reader == layout.__name__
    assert result.frame["test_time_second"].to_list() == approx((frame["test_time_second"] - every).to_list(), abs=1e-5)
    assert result.frame["current_ampere"].max() == 1.0
    assert result.frame["step_type"].to_list() == frame["step_type"].to_list()
    assert result.metadata.started_at == datetime.fromtimestamp(START.timestamp() + every, UTC)
    assert result.cycles["coulombic_efficiency"][1] == approx(1.0, abs=1e-6)


def test_other_components_are_named(tmp_path: Path) -> None:
    result = read(tomato_netcdf(tmp_path, logged(ideal_cycles(1), 60)))
    assert "components with a clock of their own are left out: chamber" in result.warnings
    assert result.metadata.software == "tomato 2.2"
    assert result.metadata.header["component"] == "counter"


@pytest.mark.parametrize("layout", [tomato_netcdf, tomato_json])
def test_a_current_in_an_unknown_unit_is_kept_beside(layout: Any, tmp_path: Path) -> None:
    result = read(layout(tmp_path, logged(ideal_cycles(1), 300), "furlong"))
    assert "I is in 'furlong', not in A; kept as aux_" in result.warnings
    assert result.frame["current_ampere"].null_count() == result.frame.height
    assert result.frame["aux_i"].max() == 1e3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[: len(text) // 2], "the JSON text cannot be read"),
        (lambda text: text.replace('"data":', '"dates":'), "no steps with data of uts and raw"),
        (lambda text: text.replace('"u": "mA"', '"u": "A"', 1), "I comes in several units"),
    ],
)
def test_damaged_json_is_one_line(change: Any, reason: str, tmp_path: Path) -> None:
    path = tomato_json(tmp_path, logged(ideal_cycles(1), 300))
    path.write_text(change(path.read_text()))
    with pytest.raises(CorruptFileError, match=reason):
        read(path)


@pytest.mark.parametrize("entry", real_entries(), ids=lambda entry: str(entry["path"]))
def test_no_file_of_a_tester_is_claimed(entry: dict[str, str]) -> None:
    path = real(entry["path"])
    head = read_head(path)
    assert [each.name for each in (CellpyH5(), TomatoJson(), TomatoNetCdf()) if each.recognises(head, path)] == []
