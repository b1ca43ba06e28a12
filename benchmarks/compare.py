"""The same input analysed here and by established packages, side by side: ``python -m benchmarks.compare``.

Cells with known answers, and real files where ``BATTERY_TEST_DATA`` has them. Packages run with their defaults in their
own environments (``make bench-peers``). ``docs/comparisons.md`` says where differences come from.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from battery_analysis.analysis import circuit_fit, ocv
from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.analysis.differential import dqdv
from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.analysis.peaks import find_peaks
from battery_analysis.analysis.pulses import pulses, resistance_name
from battery_analysis.analysis.records import FloatArray, IntArray
from battery_analysis.reading import read
from benchmarks import analysts, exports
from benchmarks.one_reader import Peers
from benchmarks.one_result import Numbers, result_of
from benchmarks.peers import peer_python
from benchmarks.read_formats import DATA
from examples.bulk import STARTED_AT

CYCLES = 40
HEADINGS = ("what", "here", "there", "difference", "true")


@dataclass(frozen=True)
class Compared:
    """One number, as this project and as a package give it, and as it is where that is known."""

    what: str
    own: float
    other: float
    unit: str = ""
    true: float | None = None

    def cells(self) -> tuple[str, ...]:
        """The line of the table."""
        numbers = (f"{self.own:.6g}", f"{self.other:.6g}", f"{self.own - self.other:.2g}")
        true = () if self.true is None else (f"{self.true:.6g}",)
        return self.what, *(f"{number} {self.unit}".rstrip() for number in (*numbers, *true)), *([] if true else [""])


def main() -> int:
    """Print a table for each subject; exit status 1 where a package is not installed."""
    whole = True
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        for subject in SUBJECTS:
            print(
                f"\n## {str(subject.__doc__).rstrip('.')}\n\n| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}",
                flush=True,
            )
            for line in subject(Path(name), peer_python):
                whole &= isinstance(line, Compared)
                print(f"| {' | '.join(line.cells())} |" if isinstance(line, Compared) else f"| {line}: not installed |")
    return int(not whole)


Lines = Iterator[Compared | str]
"""Compared numbers; a name alone is that of a package that is not installed."""
Subject = Callable[[Path, Peers], Lines]
"""What is compared; works in a folder."""


def beep_cycles(folder: Path, peers: Peers) -> Lines:
    """Cycle tables: BEEP."""
    path = folder / "BM001.078"
    exports.large_maccor(path, CYCLES * 100, every_second=200.0)
    real = DATA / "maccor" / "xTESLADIAG_000038con.078"
    for what, file in {"generated Maccor text": path, real.name: real}.items():
        if file.exists():
            limits = {"tester": "Maccor", "nominal_capacity": 4.8}
            other = result_of(analysts.BEEP_SUMMARY, file, limits, peers)
            names = {own: own.rsplit("_", 1)[0] for own in _FLOWS}
            yield from ["BEEP"] if other is None else _tables(what, read(file).cycles, other, names)


def cellpy_cycles(folder: Path, peers: Peers) -> Lines:
    """Cycle tables: cellpy."""
    path = folder / "counted.parquet"
    exports.counted_by_cycle(path, CYCLES * 1_074)
    names = {"charge_capacity_ah": "charge_capacity", "discharge_capacity_ah": "discharge_capacity"}
    tables = [("generated records", summarise_cycles(pl.read_parquet(path)), (analysts.CELLPY_SUMMARY, path, {}))]
    real = DATA / "arbin" / "20160805_test001_45_cc_01.res"
    if real.exists():
        tables.append((real.name, read(real).cycles, (analysts.CELLPY_FILE_SUMMARY, real, {"instrument": "arbin_res"})))
    for what, own, summary in tables:
        other = result_of(*summary, peers)
        if other is None:
            yield "cellpy"
            continue
        yield from _tables(what, own, other, names)
        theirs = other["coulombic_efficiency"][0] / 100
        yield Compared(f"{what}: coulombic efficiency, first cycle", own["coulombic_efficiency"][0], theirs)


_FLOWS = ("charge_capacity_ah", "discharge_capacity_ah", "charge_energy_wh", "discharge_energy_wh")


def _tables(what: str, own: pl.DataFrame, other: Numbers, names: dict[str, str]) -> Iterator[Compared]:
    """Cycles, and the largest difference of each column over those that both have."""
    yield Compared(f"{what}: cycles", own.height, len(other["cycle_index"]))
    theirs = pl.DataFrame({"cycle_count": other["cycle_index"], **{name: other[name] for name in names.values()}})
    both = own.join(theirs.with_columns(pl.col("cycle_count").cast(pl.Int64)), on="cycle_count")
    for name, theirs_name in names.items():
        unit = "Wh" if name.endswith("_wh") else "Ah"
        apart = (both[name] - both[theirs_name]).abs().arg_max()
        assert apart is not None
        values = both[name][apart], both[theirs_name][apart]
        yield Compared(f"{what}: {theirs_name}, cycle {both['cycle_count'][apart]} (most apart)", *values, unit)


def differential_capacity(folder: Path, peers: Peers) -> Lines:
    """dQ/dV: cellpy, PyProBE."""
    for what, noise_volt, decimals in _RECORDED:
        frame = _with_peaks(noise_volt, decimals, np.random.default_rng(1))
        path = folder / f"{what}.parquet"
        frame.write_parquet(path)
        curves = dqdv(frame)
        own = curves.curves.filter(direction="charge")
        here = own["voltage_volt"].to_numpy(), own["dqdv_ah_per_volt"].to_numpy()
        for name in (analysts.CELLPY_DQDV, analysts.LEAN)[: 2 if decimals == _RESOLVED else 1]:
            other = result_of(name, path, {}, peers)
            package = name.split(",")[0]
            if other is None:
                yield package
                continue
            there = _on_charge(name, other)
            for middle, charge, width in _PEAKS:
                for kind, value, unit, true in (("position", 0, "V", middle), ("height", 1, "Ah/V", charge / width)):
                    tops = _peak(*here, middle)[value], _peak(*there, middle)[value]
                    truth = true + _LEVEL * value
                    yield Compared(f"{package}, {what}: {kind} of the peak at {middle} V", *tops, unit, truth)
            yield Compared(f"{package}, {what}: charge below the curve", _area(*here), _area(*there), "Ah", _whole())
        for place, (middle, *_) in enumerate(_PEAKS):
            fitted = find_peaks(curves).filter(direction="charge")["position_volt"][place]
            yield Compared(f"{what}: find_peaks beside highest point", fitted, _peak(*here, middle)[0], "V", middle)


def _on_charge(name: str, other: Numbers) -> tuple[FloatArray, FloatArray]:
    if name == analysts.LEAN:
        kept, columns, scale = np.array(other["current"]) > 0, ("Voltage [V]", "d(Capacity [Ah])/d(Voltage [V])"), 1.0
    else:  # mAh/g of a cell said to weigh 1 mg
        kept, columns, scale = np.array(other["direction"]) == 1, ("voltage", "dq"), 1e-6
    return np.array(other[columns[0]])[kept], scale * np.array(other[columns[1]])[kept]


_RESOLVED = 3
_RECORDED = (("exact", 0.0, 9), ("1 mV steps", 0.0, _RESOLVED), ("1 mV steps and 0.1 mV noise", 1e-4, _RESOLVED))
"""Noise (V) and decimals of the voltage; without steps PyProBE's level evaluation has no levels."""
_PEAKS = ((3.5, 0.3, 0.05), (3.8, 0.2, 0.03))
"""Middle (V), charge of one half (Ah) and half width (V)."""
_LEVEL = 0.3
_ENDS = (3.0, 4.2)


def _charge(voltage: FloatArray) -> FloatArray:
    steps = (charge * (1 + np.tanh((voltage - middle) / width)) for middle, charge, width in _PEAKS)
    return _LEVEL * (voltage - _ENDS[0]) + np.sum(list(steps), axis=0)


def _whole() -> float:
    return float(np.ptp(_charge(np.array(_ENDS))))


def _with_peaks(noise_volt: float, decimals: int, rng: np.random.Generator) -> pl.DataFrame:
    """A charge and a discharge at 1 A, a record every 3 s."""
    voltage = np.linspace(*_ENDS, 20_001)
    charge = _charge(voltage)
    moved = np.arange(charge[0], charge[-1], 3 / 3600)
    up = np.interp(moved, charge, voltage)
    half = moved.size
    within = np.tile(3.0 * np.arange(half), 2)
    noisy = np.round(np.concatenate([up, up[::-1]]) + noise_volt * rng.normal(size=2 * half), decimals)
    return _as_recorded(within, noisy, np.repeat([1.0, -1.0], half), np.repeat([1, 2], half))


def _as_recorded(within: FloatArray, voltage: FloatArray, current: FloatArray, step: IntArray) -> pl.DataFrame:
    """Records of one cycle as a tester counts them; ``within`` is the time within the step."""
    seconds = np.diff(within, prepend=0.0)
    seconds[seconds < 0] = 0.0
    starts = np.flatnonzero(np.diff(step, prepend=0))
    seconds[starts] = within[starts]
    time = np.cumsum(seconds)
    moved = np.cumsum(seconds * np.maximum(current, 0)) / 3600, np.cumsum(seconds * np.maximum(-current, 0)) / 3600
    return pl.DataFrame(
        {
            "test_time_second": time,
            "unix_time_second": STARTED_AT.timestamp() + time,
            "step_time_second": within,
            "cycle_count": np.ones(time.size, dtype=np.int64),
            "step_count": step,
            "step_id": step,
            "voltage_volt": voltage,
            "current_ampere": current,
            "cycle_charging_capacity_ah": moved[0],
            "cycle_discharging_capacity_ah": moved[1],
            "cycle_charging_energy_wh": moved[0] * 3.7,
            "cycle_discharging_energy_wh": moved[1] * 3.7,
        }
    ).with_columns(step_type=pl.col("current_ampere").sign().replace_strict(_WORDS, return_dtype=pl.String))


_WORDS = {1.0: "CC_Chg", -1.0: "CC_DChg", 0.0: "Rest"}


def _peak(voltage: FloatArray, slope: FloatArray, middle: float) -> tuple[float, float]:
    near = np.abs(voltage - middle) < 0.08
    top = np.argmax(np.where(near, slope, -np.inf))
    return float(voltage[top]), float(slope[top])


def _area(voltage: FloatArray, slope: FloatArray) -> float:
    order = np.argsort(voltage)
    return float(np.trapezoid(slope[order], voltage[order]))


def pulse_resistances(folder: Path, peers: Peers) -> Lines:
    """Pulses: PyProBE."""
    for what, every in (("every 0.1 s", 0.1), ("every 4 s", 4.0)):
        frame = _pulsed(every)
        path = folder / f"pulses_{every}.parquet"
        frame.write_parquet(path)
        times = [0.1, 10.0, 30.0] if every < 1 else [10.0, 30.0]
        own = pulses(frame, times_second=times)
        other = result_of(analysts.PYPROBE_PULSES, path, {"times_second": times}, peers)
        if other is None:
            yield "PyProBE"
            continue
        first = other["Pulse Number"].index(1)
        yield Compared(f"records {what}: pulses", own.height, len(other["Pulse Number"]))
        for seconds in times:
            values = own[resistance_name(seconds)][0], other[f"R_{seconds}s [Ohms]"][first]
            yield Compared(f"records {what}: R({seconds:g} s)", *values, "ohm", float(_resistance(np.array(seconds))))


def _resistance(seconds: FloatArray) -> FloatArray:
    """10 mOhm at once, 15 mOhm with 6 s."""
    return np.asarray(0.010 + 0.015 * (1 - np.exp(-seconds / 6.0)))


def _pulsed(every: float) -> pl.DataFrame:
    """Rest, pulses of 2 A down and up for 60 s with rests of ten minutes, of a cell that stays at 3.7 V."""
    within, voltage, current, step = [], [], [], []
    relaxing = 0.0
    for number, (ampere, length) in enumerate(((0, 600), (-2, 60), (0, 600), (2, 60), (0, 600)), start=1):
        own = every * np.arange(1, round(length / every) + 1)
        over = ampere * _resistance(own) if ampere else relaxing * np.exp(-own / 6.0)
        relaxing = ampere * 0.015
        within.append(own)
        voltage.append(3.7 + over)
        current.append(np.full(own.size, float(ampere)))
        step.append(np.full(own.size, number))
    columns = (np.concatenate(within), np.concatenate(voltage), np.concatenate(current), np.concatenate(step))
    return _as_recorded(*columns).drop("step_type")


def modes(folder: Path, peers: Peers) -> Lines:
    """Degradation modes: PyProBE."""
    x = np.linspace(0.005, 0.995, 400)
    stages = 0.028 * np.tanh((x - 0.19) / 0.03) + 0.028 * np.tanh((x - 0.53) / 0.03)
    negative = ocv.HalfCell(x, 0.11 + 1.2 * np.exp(-40 * x) - stages - 0.05 * x, "negative")
    bends = 0.05 * np.tanh((x - 0.4) / 0.1) - 0.04 * np.tanh((x - 0.75) / 0.08) - 0.6 * np.exp(45 * (x - 1))
    positive = ocv.HalfCell(x, 4.45 - 0.95 * x + bends, "positive")
    rng = np.random.default_rng(1)
    curves = [_state(positive, negative, *each, rng) for each in ((5.6, 5.4, 5.5, 0.02), (5.04, 5.13, 4.84, 0.03))]
    half_cells, states = folder / "half_cells.parquet", folder / "states.parquet"
    pl.concat(
        pl.DataFrame({"lithiation": each.lithiation, "voltage_volt": each.voltage, "electrode": each.name})
        for each in (positive, negative)
    ).write_parquet(half_cells)
    pl.concat(
        curve.select("charge_ah", "voltage_volt", state=pl.lit(number)) for number, curve in enumerate(curves)
    ).write_parquet(states)
    other = result_of(analysts.PYPROBE_MODES, states, {"half_cells": str(half_cells)}, peers)
    if other is None:
        yield "PyProBE"
        return
    lost = ocv.degradation_modes(*(ocv.fit_half_cells(curve, positive, negative) for curve in curves))
    for what, value, name, true in (
        ("loss of lithium inventory", lost.lithium_inventory_loss, "LLI", 0.12),
        ("loss of positive material", lost.positive_material_loss, "LAM_pe", 0.10),
        ("loss of negative material", lost.negative_material_loss, "LAM_ne", 0.05),
    ):
        yield Compared(what, value, other[name][1], "", true)


def _state(
    positive: ocv.HalfCell,
    negative: ocv.HalfCell,
    positive_ah: float,
    negative_ah: float,
    lithium_ah: float,
    empty: float,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """A slow charge from electrodes of these capacities, with 0.1 mV of noise."""
    most = min((0.9 - empty) * negative_ah, lithium_ah - empty * negative_ah - 0.08 * positive_ah)
    known = (positive, negative, positive_ah, negative_ah, lithium_ah, empty)
    curve = ocv.simulate_ocv(np.linspace(0, most, 1_000), *known)
    return curve.with_columns(pl.col("voltage_volt") + pl.Series(rng.normal(0, 1e-4, curve.height)))


def circuit_fits(folder: Path, peers: Peers) -> Lines:
    """Circuit fits: impedance.py."""
    from impedance.models.circuits import CustomCircuit

    hertz = np.logspace(4, -2, 61)
    true = {"R0": 0.01, "R1": 0.005, "CPE1_0": 0.4, "CPE1_1": 0.9, "R2": 0.02, "CPE2_0": 7.0, "CPE2_1": 0.85}
    text = "R0-p(R1,CPE1)-p(R2,CPE2)"
    exact = np.full(hertz.size, true["R0"], dtype=np.complex128)
    for arc in "12":
        admittance = true[f"CPE{arc}_0"] * (2j * np.pi * hertz) ** true[f"CPE{arc}_1"]
        exact += 1 / (1 / true[f"R{arc}"] + admittance)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=hertz.size) + 1j * rng.normal(size=hertz.size)
    measured = exact + 1e-3 * np.abs(exact) * noise
    own = circuit_fit.fit_circuit(Spectrum.of(hertz, measured), text)
    errors = dict(zip(own.parameters["parameter"], own.parameters["error"], strict=True))
    for what, guess in (("twice the true values", 2.0), ("ten times the true values", 10.0)):
        first = [min(value * guess, 1.0) if name.endswith("_1") else value * guess for name, value in true.items()]
        other = CustomCircuit(text, initial_guess=first)
        other.fit(hertz, measured, weight_by_modulus=True)
        for place, (name, value) in enumerate(true.items()):
            yield Compared(f"{name}, begun at {what}", own.values[name], float(other.parameters_[place]), "", value)
            if guess == 2.0:
                yield Compared(f"error of {name}", errors[name], float(other.conf_[place]))


SUBJECTS: tuple[Subject, ...] = (
    beep_cycles,
    cellpy_cycles,
    differential_capacity,
    pulse_resistances,
    modes,
    circuit_fits,
)


if __name__ == "__main__":
    sys.exit(main())
