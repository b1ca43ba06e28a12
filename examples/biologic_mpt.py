"""Writes text exports (``.mpt``) as BioLogic's EC-Lab lays them out: a GCPL cycling test and a PEIS spectrum.

A header that announces its own number of lines, the last of which names the columns; tab-separated numbers with
three-digit exponents; Windows line ends and code page 1252. Charge is in mAh, energy in Wh, charging current positive,
the impedance's imaginary part with its sign turned. ``(Q-Qo)`` is never reset, ``Q charge/discharge`` starts again in
every half cycle, the energies in every cycle. Cycles count from 0. Time runs from the start of the acquisition, which
may lie before the technique.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from examples.cell_model import Array
from examples.counters import (
    CHARGING_CAPACITY,
    CHARGING_ENERGY,
    DISCHARGING_CAPACITY,
    DISCHARGING_ENERGY,
    since_cycle,
    since_start,
)

_WHOLE, _SINGLE, _DOUBLE = "%d", "%.7E", "%.15E"
_MODES = {"CC_Chg": 1, "CC_DChg": 1, "CV_Chg": 2, "Rest": 3}
_SHORT_EXPONENT = re.compile(r"(?<=\dE[+-])(\d\d)(?!\d)")


@dataclass(frozen=True)
class Acquisition:
    """One technique of a run on one channel: what its header says.

    ``acquired_at`` is the start of the whole run, ``started_at`` that of the technique.
    """

    channel: int
    acquired_at: datetime
    started_at: datetime
    comment: str
    electrode_material: str = ""
    area_cm2: float = 0.001
    active_mass_mg: float = 1.0


def write_gcpl(
    path: Path,
    records: pl.DataFrame,
    acquisition: Acquisition,
    *,
    current_ampere: float,
    limits_volt: tuple[float, float],
    passes: int,
) -> None:
    """Write a galvanostatic cycling test; the same arguments give the same bytes.

    Args:
        path: File to write.
        records: Canonical columns as ``examples.protocol.run`` makes them, of a test that charges first.
        acquisition: The header's facts.
        current_ampere: Current of both directions, for the header's table.
        limits_volt: Voltage limits, for the header's table.
        passes: Number of cycles, for the header's table.
    """
    current = records["current_ampere"].to_numpy()
    step_type = records["step_type"]
    net = 1e3 * (since_start(records, CHARGING_CAPACITY) - since_start(records, DISCHARGING_CAPACITY))
    charged = 1e3 * since_cycle(records, CHARGING_CAPACITY)
    discharged = 1e3 * since_cycle(records, DISCHARGING_CAPACITY)
    discharging = discharged > 0
    resting_first = (charged == 0) & ~discharging & (records["cycle_count"].to_numpy() == 1)
    sequence = np.where(resting_first & (current == 0), 0, np.where(discharging | (current < 0), 2, 1))
    cycle = records["cycle_count"].to_numpy() - 1
    time = records["unix_time_second"].to_numpy() - acquisition.acquired_at.timestamp()
    columns: list[tuple[str, str, NDArray[np.generic]]] = [
        ("mode", _WHOLE, step_type.replace_strict(_MODES).to_numpy()),
        ("ox/red", _WHOLE, (current >= 0).astype(int)),
        ("error", _WHOLE, np.zeros_like(cycle)),
        ("Ns changes", _WHOLE, (np.diff(sequence, prepend=sequence[0]) != 0).astype(int)),
        ("Ns", _WHOLE, sequence),
        ("time/s", _DOUBLE, time),
        ("dq/mA.h", _DOUBLE, np.diff(net, prepend=0.0)),
        ("(Q-Qo)/mA.h", _DOUBLE, net),
        ("Ewe/V", _SINGLE, records["voltage_volt"].to_numpy()),
        ("Q charge/discharge/mA.h", _DOUBLE, np.where(sequence == 2, -discharged, charged)),
        ("half cycle", _WHOLE, 2 * cycle + (sequence == 2)),
        ("Energy charge/W.h", _DOUBLE, since_cycle(records, CHARGING_ENERGY)),
        ("Energy discharge/W.h", _DOUBLE, since_cycle(records, DISCHARGING_ENERGY)),
        ("step time/s", _DOUBLE, records["step_time_second"].to_numpy()),
        ("<I>/mA", _DOUBLE, 1e3 * current),
        ("cycle number", _DOUBLE, cycle.astype(float)),
    ]
    drive = f"{1e3 * current_ampere:.3f}"
    settings = _settings(
        ("Ns", "0", "1", "2"),
        ("Set I/C", "I", "I", "I"),
        ("Is", "0.000", drive, f"-{drive}"),
        ("unit Is", "mA", "mA", "mA"),
        ("EM (V)", "0.000", f"{limits_volt[1]:.3f}", f"{limits_volt[0]:.3f}"),
        ("goto Ns'", "0", "0", "1"),
        ("nc cycles", "0", "0", str(passes - 1)),
    )
    _write(path, "Galvanostatic Cycling with Potential Limitation", acquisition, settings, columns)


def write_peis(
    path: Path,
    frequency_hertz: Array,
    impedance_ohm: NDArray[np.complex128],
    acquisition: Acquisition,
    *,
    voltage_volt: float,
    amplitude_volt: float = 0.01,
) -> None:
    """Write an impedance spectrum, in the order of its points; the same arguments give the same bytes.

    Args:
        path: File to write.
        frequency_hertz: Frequencies.
        impedance_ohm: Impedances with their physical sign.
        acquisition: The header's facts.
        voltage_volt: Voltage of the cell during the measurement.
        amplitude_volt: Amplitude of the excitation.
    """
    angular = 2 * np.pi * frequency_hertz
    modulus = np.abs(impedance_ohm)
    before = (acquisition.started_at - acquisition.acquired_at).total_seconds()
    rest = np.zeros_like(frequency_hertz)
    columns: list[tuple[str, str, NDArray[np.generic]]] = [
        ("freq/Hz", _SINGLE, frequency_hertz),
        ("Re(Z)/Ohm", _SINGLE, impedance_ohm.real),
        ("-Im(Z)/Ohm", _SINGLE, -impedance_ohm.imag),
        ("|Z|/Ohm", _SINGLE, modulus),
        ("Phase(Z)/deg", _SINGLE, np.degrees(np.angle(impedance_ohm))),
        ("time/s", _DOUBLE, before + point_times(frequency_hertz)),
        ("<Ewe>/V", _SINGLE, rest + voltage_volt),
        ("<I>/mA", _SINGLE, rest),
        ("Cs/µF", _SINGLE, -1e6 / (angular * impedance_ohm.imag)),
        ("Cp/µF", _SINGLE, 1e6 * (1 / impedance_ohm).imag / angular),
        ("cycle number", _DOUBLE, rest),
        ("|Ewe|/V", _SINGLE, rest + amplitude_volt),
        ("|I|/A", _SINGLE, amplitude_volt / modulus),
    ]
    settings = _settings(
        ("Mode", "Single sine"),
        ("E (V)", "0.0000"),
        ("vs.", "Eoc"),
        ("fi", f"{frequency_hertz[0] / 1e3:.3f}"),
        ("unit fi", "kHz"),
        ("ff", f"{frequency_hertz[-1] * 1e3:.3f}"),
        ("unit ff", "mHz"),
        ("Points", "per decade"),
        ("spacing", "Logarithmic"),
        ("Va (mV)", f"{amplitude_volt * 1e3:.1f}"),
    )
    _write(path, "Potentio Electrochemical Impedance Spectroscopy", acquisition, settings, columns)


def point_times(frequency_hertz: Array) -> Array:
    """When each point of a spectrum is done (s): three periods each, and 0.3 s to settle."""
    return np.cumsum(0.3 + 3 / frequency_hertz)


def _settings(*rows: Sequence[str]) -> list[str]:
    return ["".join(f"{value:<20}" for value in row) for row in rows]


def _write(
    path: Path,
    technique: str,
    acquisition: Acquisition,
    settings: list[str],
    columns: list[tuple[str, str, NDArray[np.generic]]],
) -> None:
    header = [
        "",
        technique,
        "",
        f"Run on channel : {acquisition.channel} (SN 00000)",
        "User : ",
        "Electrode connection : standard",
        "Potential control : Ewe",
        f"Acquisition started on : {_stamp(acquisition.acquired_at)}",
        f"Technique started on : {_stamp(acquisition.started_at)}",
        "Saved on :",
        f"\tFile : {path.with_suffix('.mpr').name}",
        "Device : VMP3 (SN 0000)",
        "EC-Lab for windows v11.50 (software)",
        f"Electrode material : {acquisition.electrode_material}",
        "Initial state : ",
        "Electrolyte : ",
        f"Comments : {acquisition.comment}",
        f"Electrode surface area : {acquisition.area_cm2:.3f} cm²",
        f"Characteristic mass : {acquisition.active_mass_mg:.3f} mg",
        "Cycle Definition : Charge/Discharge alternance",
        *settings,
        "",
        "\t".join([name for name, _, _ in columns] + [""]),
    ]
    lines = ["EC-Lab ASCII FILE", f"Nb header lines : {len(header) + 2:<28}", *header]
    row = "\t".join(form for _, form, _ in columns)
    rows = zip(*(values.tolist() for _, _, values in columns), strict=True)
    table = _SHORT_EXPONENT.sub(r"0\1", "\r\n".join(row % values for values in rows))
    path.write_bytes(("\r\n".join([*lines, table]) + "\r\n").encode("cp1252"))


def _stamp(moment: datetime) -> str:
    return f"{moment:%m/%d/%Y %H:%M:%S}.{moment.microsecond // 1000:03d}"
