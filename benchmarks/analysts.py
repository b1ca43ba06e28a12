"""How this project and established packages analyse a test, each with its defaults where nothing else is said.

What a package needs as input (records in its own columns, cycles taken apart) is made of the file at the first call and
kept: only the analysis itself is measured, unless the name says ``from the file``. A test is a file that a package
reads itself, or canonical columns in Parquet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import PEERS, PYPROBE, Contender, Read

STEP_VOLT = 0.002
"""Height of a cell of dQ/dV, for all of them."""


def _prepared(prepare: Callable[[str], Any], analyse: Callable[[Any], Any]) -> Read:
    kept: dict[str, Any] = {}

    def read(path: str) -> Any:
        if path not in kept:
            kept[path] = prepare(path)
        return analyse(kept[path])

    return read


def _canonical(path: str) -> Any:
    import polars as pl

    return pl.read_parquet(path)


def _own_records(path: str) -> Any:
    from battery_analysis.reading import read

    return _canonical(path) if path.endswith(".parquet") else read(Path(path)).frame


def _own_cycles_of_file() -> Read:
    from battery_analysis.reading import read

    return lambda path: read(Path(path)).cycles


def _own_cycles() -> Read:
    from battery_analysis.analysis.cycles import summarise_cycles

    return _prepared(_own_records, summarise_cycles)


def _own_dqdv() -> Read:
    import scipy.ndimage  # noqa: F401  # what smoothing imports when it needs it

    from battery_analysis.analysis.differential import dqdv

    return _prepared(_own_records, lambda frame: dqdv(frame, step_volt=STEP_VOLT).curves)


def _own_dqdv_of_halves() -> Read:
    import scipy.ndimage  # noqa: F401  # what smoothing imports when it needs it

    from battery_analysis.analysis.differential import dqdv
    from battery_analysis.analysis.halves import half_cycles

    return _prepared(
        lambda path: half_cycles(_own_records(path)), lambda halves: dqdv(halves, step_volt=STEP_VOLT).curves
    )


def _beep_file(path: str, tester: str) -> Any:
    from beep.structure.arbin import ArbinDatapath
    from beep.structure.maccor import MaccorDatapath

    return {"Arbin": ArbinDatapath, "Maccor": MaccorDatapath}[tester].from_file(path)


def _beep_structured(tester: str, **options: Any) -> Read:
    import beep.structure  # noqa: F401

    def structured(path: str) -> Any:
        data = _beep_file(path, tester)
        data.structure(**options)
        return data.structured_summary

    return structured


def _beep_summary(tester: str, **options: Any) -> Read:
    return _prepared(lambda path: _beep_file(path, tester), lambda data: data.summarize_cycles(**options))


def _cellpy_cell(path: str) -> Any:
    """A cell of records in canonical columns, with its step table."""
    import polars as pl
    from cellpy import cellreader

    cell = cellreader.CellpyCell(initialize=True)
    names = cell.headers_normal
    columns = {
        names.test_time_txt: "test_time_second",
        names.step_time_txt: "step_time_second",
        names.cycle_index_txt: "cycle_count",
        names.step_index_txt: "step_id",
        names.current_txt: "current_ampere",
        names.voltage_txt: "voltage_volt",
        names.charge_capacity_txt: "cycle_charging_capacity_ah",
        names.discharge_capacity_txt: "cycle_discharging_capacity_ah",
        names.charge_energy_txt: "cycle_charging_energy_wh",
        names.discharge_energy_txt: "cycle_discharging_energy_wh",
    }
    records = _canonical(path).select(
        pl.int_range(1, pl.len() + 1).alias(names.data_point_txt),
        pl.from_epoch(pl.col("unix_time_second")).alias(names.datetime_txt),
        *(pl.col(column).alias(name) for name, column in columns.items()),
        pl.lit(1).alias(names.sub_step_index_txt),
        pl.lit(0.0).alias(names.internal_resistance_txt),
    )
    cell.data.raw = records.to_pandas()
    cell.data.mass, cell.data.nom_cap = 1.0, 1.0
    cell.make_step_table()
    return cell


def _cellpy(analyse: Callable[[Any], Any], prepare: Callable[[str], Any] = _cellpy_cell) -> Read:
    import pint.errors
    from cellpy.utils import ica  # noqa: F401  # prepared with the rest

    logging.disable(logging.CRITICAL)
    # A name that its step table asks for and that pint has given up since.
    pint.errors.PerformanceWarning = getattr(pint.errors, "PerformanceWarning", UserWarning)
    return _prepared(prepare, analyse)


def _cellpy_summary() -> Read:
    def summary(cell: Any) -> Any:
        cell.make_summary()
        return cell.data.summary.reset_index()

    return _cellpy(summary)


def _cellpy_file_summary(instrument: str) -> Read:
    def summary(path: str) -> Any:
        import cellpy

        return cellpy.get(path, instrument=instrument).data.summary.reset_index()

    return _cellpy(summary, str)


_ICA = {"voltage_resolution": STEP_VOLT, "normalize": False, "label_direction": True}


def _cellpy_dqdv() -> Read:
    def dqdv(cell: Any) -> Any:
        from cellpy.utils import ica

        return ica.dqdv(cell, **_ICA)

    return _cellpy(dqdv)


def _cellpy_dqdv_of_curves() -> Read:
    def curves(path: str) -> Any:
        apart = {"categorical_column": True, "label_cycle_number": True, "insert_nan": False}
        return _cellpy_cell(path).get_cap(method="forth-and-forth", **apart)

    def dqdv(cycles: Any) -> Any:
        from cellpy.utils import ica

        return ica.dqdv_cycles(cycles, **_ICA)

    return _cellpy(dqdv, curves)


def pyprobe_records(frame: Any) -> Any:
    """Records in PyProBE's columns."""
    import polars as pl

    net = pl.col("cycle_charging_capacity_ah") - pl.col("cycle_discharging_capacity_ah")
    return frame.select(
        pl.col("test_time_second").alias("Time [s]"),
        pl.col("step_id").alias("Step"),
        pl.col("cycle_count").alias("Cycle"),
        pl.col("step_count").alias("Event"),
        pl.col("current_ampere").alias("Current [A]"),
        pl.col("voltage_volt").alias("Voltage [V]"),
        net.alias("Capacity [Ah]"),
    )


def _pyprobe_steps(path: str) -> list[Any]:
    """The steps of constant current, one by one: PyProBE's own filters would look through all records for each."""
    import polars as pl
    from pyprobe.rawdata import RawData

    constant = _canonical(path).filter(pl.col("step_type").is_in(["CC_Chg", "CC_DChg"]))
    steps = constant.partition_by("step_count", maintain_order=True)
    return [RawData(lf=pyprobe_records(step), info={}) for step in steps]


def _pyprobe_lean() -> Read:
    """Level evaluation: counts of records in cells of voltage, smoothed over five cells."""
    import polars as pl
    from pyprobe.analysis.differentiation import differentiate_lean

    def one(step: Any) -> Any:
        # Voltages lie 1 mV apart.
        curve = differentiate_lean(step, "Capacity [Ah]", "Voltage [V]", k=round(STEP_VOLT / 1e-3), gradient="dxdy")
        return curve.data.with_columns(cycle=pl.lit(step.data["Cycle"][0]), current=pl.lit(step.data["Current [A]"][0]))

    return _prepared(_pyprobe_steps, lambda steps: pl.concat([one(step) for step in steps]))


def _pyprobe_gradient() -> Read:
    import polars as pl
    from pyprobe.analysis.differentiation import gradient

    return _prepared(
        _pyprobe_steps,
        lambda steps: pl.concat([gradient(step, "Voltage [V]", "Capacity [Ah]").data for step in steps]),
    )


def _pyprobe_pulses(times_second: list[float]) -> Read:
    from pyprobe.analysis.pulsing import get_resistances
    from pyprobe.rawdata import RawData

    def prepared(path: str) -> Any:
        import polars as pl

        # A state of charge is asked for, but no part of a resistance.
        records = RawData(lf=pyprobe_records(_canonical(path)).with_columns(SOC=pl.lit(0.5)), info={})
        records.define_column("SOC", "none")
        return records

    return _prepared(prepared, lambda records: get_resistances(records, times_second).data)


def _pyprobe_modes(half_cells: str) -> Read:
    """Fit the states of a cell (curves by ``state``) and say what was lost since the first."""
    import polars as pl
    from pyprobe.analysis import degradation_mode_analysis as modes
    from pyprobe.result import Result

    def losses(curves: Any) -> Any:
        known = pl.read_parquet(half_cells)
        electrodes = {
            name: modes.OCP.from_data(*(one[column].to_numpy() for column in ("lithiation", "voltage_volt")))
            for (name,), one in known.partition_by("electrode", as_dict=True).items()
        }
        fits = []
        for curve in curves.partition_by("state", maintain_order=True):
            named = curve.select(
                pl.col("charge_ah").alias("Capacity [Ah]"), pl.col("voltage_volt").alias("Voltage [V]")
            )
            data = Result(lf=named, info={}, column_definitions={"Capacity": "", "Voltage": ""})
            fits.append(modes.run_ocv_curve_fit(data, electrodes["positive"], electrodes["negative"])[0])
        return modes.quantify_degradation_modes(fits).data

    return _prepared(_canonical, losses)


WHOLE_CYCLES, CYCLES = "battery_analysis.read, from the file", "summarise_cycles"
BEEP, BEEP_SUMMARY = "BEEP, structured, from the file", "BEEP, summarize_cycles alone"
CELLPY_SUMMARY, CELLPY_FILE_SUMMARY = "cellpy, make_summary", "cellpy, summary, from the file"
DQDV, DQDV_OF_HALVES = "half_cycles and dqdv", "dqdv of half cycles"
CELLPY_DQDV, CELLPY_DQDV_OF_CURVES = "cellpy, ica.dqdv", "cellpy, ica.dqdv_cycles of curves taken apart"
LEAN, GRADIENT = "PyProBE, differentiate_lean of steps taken apart", "PyProBE, gradient of steps taken apart"
PYPROBE_PULSES, PYPROBE_MODES = "PyProBE, get_resistances", "PyProBE, degradation modes"

ANALYSTS = {
    WHOLE_CYCLES: Contender(_own_cycles_of_file),
    CYCLES: Contender(_own_cycles),
    BEEP: Contender(_beep_structured, PEERS),
    BEEP_SUMMARY: Contender(_beep_summary, PEERS),
    CELLPY_SUMMARY: Contender(_cellpy_summary, PEERS),
    CELLPY_FILE_SUMMARY: Contender(_cellpy_file_summary, PEERS),
    DQDV: Contender(_own_dqdv),
    DQDV_OF_HALVES: Contender(_own_dqdv_of_halves),
    CELLPY_DQDV: Contender(_cellpy_dqdv, PEERS),
    CELLPY_DQDV_OF_CURVES: Contender(_cellpy_dqdv_of_curves, PEERS),
    LEAN: Contender(_pyprobe_lean, PYPROBE),
    GRADIENT: Contender(_pyprobe_gradient, PYPROBE),
    PYPROBE_PULSES: Contender(_pyprobe_pulses, PYPROBE),
    PYPROBE_MODES: Contender(_pyprobe_modes, PYPROBE),
}
