"""Impedance spectra: taken out of a frame, parted from one another, and read without a model.

A frame holds spectra as canonical columns ``frequency_hertz``, ``real_impedance_ohm`` and ``imaginary_impedance_ohm``
with the physical sign: capacitive arcs are negative. Records without a frequency belong to no spectrum. A new spectrum
begins where other records stand between, where step or cycle change, and where the frequency turns round: each
sweep from one end to the other is a spectrum of its own.

What is fitted to a spectrum stands in ``circuits``, ``circuit_fit``, ``kramers_kronig`` and ``relaxation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from battery_analysis.analysis.joining import CYCLE_OF_SPECTRUM
from battery_analysis.analysis.records import BoolArray, FloatArray, cycle_column, has_values
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import (
    CYCLE_COUNT,
    DERIVED_CYCLE_COUNT,
    FREQUENCY,
    IMAGINARY_IMPEDANCE,
    REAL_IMPEDANCE,
    STEP_COUNT,
    TEST_TIME,
)
from battery_analysis.errors import AnalysisError

ComplexArray: TypeAlias = npt.NDArray[np.complex128]

APEX_PROMINENCE = 0.02
"""A maximum of -Im counts as an apex if it stands out by this share of the largest modulus."""

_NEEDED = (FREQUENCY.name, REAL_IMPEDANCE.name, IMAGINARY_IMPEDANCE.name)
_MARKS = (CYCLE_OF_SPECTRUM, CYCLE_COUNT.name, DERIVED_CYCLE_COUNT.name, STEP_COUNT.name)

COLUMNS = (*_NEEDED, *_MARKS, TEST_TIME.name)
"""All columns of a frame that ``spectra`` looks at."""


@dataclass(frozen=True)
class Spectrum:
    """One sweep: frequencies in Hz, falling, and impedances in ohm; and where in its frame and test it was measured."""

    frequency: FloatArray
    impedance: ComplexArray
    first_record: int = 0
    last_record: int = 0
    cycle_count: int | None = None
    test_time_second: float | None = None

    @classmethod
    def of(cls, frequency: npt.ArrayLike, impedance: npt.ArrayLike) -> Spectrum:
        """Make a spectrum of numbers, whatever their order.

        Raises:
            AnalysisError: Lengths differ, or a frequency is not positive, or a number is not finite.
        """
        hertz, ohm = np.asarray(frequency, dtype=np.float64), np.asarray(impedance, dtype=np.complex128)
        if hertz.shape != ohm.shape or hertz.ndim != 1:
            raise AnalysisError(
                f"impedance: {counted(hertz.size, 'frequency', 'frequencies')} and {counted(ohm.size, 'impedance')}"
            )
        if not (np.isfinite(hertz).all() and (hertz > 0).all() and np.isfinite(ohm).all()):
            raise AnalysisError("impedance: frequencies must be positive, and all numbers finite")
        order = np.argsort(-hertz, kind="stable")
        return cls(hertz[order], ohm[order], 0, hertz.size - 1)

    @property
    def omega(self) -> FloatArray:
        """Angular frequency in rad/s."""
        return 2 * np.pi * self.frequency

    @property
    def points(self) -> int:
        """Number of frequencies."""
        return int(self.frequency.size)

    def require(self, points: int, analysis: str) -> None:
        """Refuse a spectrum of too few different frequencies, or without any impedance.

        >>> Spectrum.of([3.0, 2.0, 1.0], [1, 2, 3]).require(10, "kramers_kronig")
        Traceback (most recent call last):
        battery_analysis.errors.AnalysisError: kramers_kronig: 3 different frequencies, at least 10 needed
        """
        different = int(np.unique(self.frequency).size)
        if different < points:
            found = counted(different, "different frequency", "different frequencies")
            raise AnalysisError(f"{analysis}: {found}, at least {points} needed")
        if not np.all(np.abs(self.impedance) > 0):
            raise AnalysisError(f"{analysis}: the impedance is zero at {self.frequency[self.impedance == 0][0]:g} Hz")


def spectra(frame: pl.DataFrame) -> list[Spectrum]:
    """Take the spectra out of a frame, in order of measurement.

    Raises:
        AnalysisError: A column is missing, or no record holds a frequency and an impedance.

    Example:
        Two sweeps, one after another:

        >>> frame = pl.DataFrame({
        ...     "frequency_hertz": [100.0, 10.0, 1.0, 100.0, 10.0, 1.0], "real_impedance_ohm": [1.0, 2.0, 3.0] * 2,
        ...     "imaginary_impedance_ohm": [0.0, -1.0, 0.0] * 2,
        ... })
        >>> [(each.first_record, each.points) for each in spectra(frame)]
        [(0, 3), (3, 3)]
    """
    names = list(_NEEDED)
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise AnalysisError(f"impedance: columns {absent} not found; the frame has {frame.columns}")
    hertz, real, imaginary = (frame[name].cast(pl.Float64).to_numpy() for name in names)
    known = (hertz > 0) & np.isfinite(hertz) & np.isfinite(real) & np.isfinite(imaginary)
    record = np.flatnonzero(known)
    if not record.size:
        raise AnalysisError(f"impedance: none of {counted(frame.height, 'record')} holds a frequency and an impedance")
    starts = np.flatnonzero(_begins(frame, record, hertz[record]))
    ends = np.append(starts[1:], record.size)
    return [_spectrum(frame, record[start:end], names) for start, end in zip(starts, ends, strict=True)]


def _begins(frame: pl.DataFrame, record: npt.NDArray[np.int64], hertz: FloatArray) -> BoolArray:
    """Whether each record of a spectrum is the first of one."""
    begins = np.zeros(record.size, dtype=np.bool_)
    begins[0] = True
    begins[1:] |= np.diff(record) > 1
    for name in _MARKS:
        if has_values(frame, name):
            mark = frame[name].gather(record)
            begins[1:] |= (mark != mark.shift(1)).fill_null(False).to_numpy()[1:]
    way = 0.0
    turns = begins.copy()
    for each in range(1, record.size):
        change = float(np.sign(hertz[each] - hertz[each - 1]))
        if begins[each]:
            way = 0.0
        elif way and change == -way:
            turns[each], way = True, 0.0
        else:
            way = way or change
    # Frequencies in no order at all are one spectrum, if each occurs once.
    in_order = 2 * np.count_nonzero(turns) <= max(2, hertz.size)
    return turns if in_order or np.unique(hertz).size < hertz.size else begins


def _spectrum(frame: pl.DataFrame, record: npt.NDArray[np.int64], names: list[str]) -> Spectrum:
    hertz, real, imaginary = (frame[name].gather(record).cast(pl.Float64).to_numpy() for name in names)
    order = np.argsort(-hertz, kind="stable")
    cycle = cycle_column(frame)
    number = frame[cycle][int(record[0])] if cycle else None
    time = frame[TEST_TIME.name][int(record[0])] if TEST_TIME.name in frame.columns else None
    return Spectrum(
        frequency=hertz[order],
        impedance=real[order] + 1j * imaginary[order],
        first_record=int(record[0]),
        last_record=int(record[-1]),
        cycle_count=None if number is None else int(number),
        test_time_second=None if time is None else float(time),
    )


@dataclass(frozen=True)
class Landmarks:
    """What a spectrum shows without a model.

    ``ohmic_resistance_ohm`` is the real part where, from high frequencies, the imaginary part first turns from
    inductive to capacitive (interpolated between two points), None if it does not; ``apexes`` lists the maxima of the
    arcs.
    """

    ohmic_resistance_ohm: float | None
    ohmic_frequency_hertz: float | None
    apexes: pl.DataFrame
    """Frequency, real and imaginary part of the point at each maximum of -Im, in canonical columns."""


def landmarks(spectrum: Spectrum) -> Landmarks:
    """Find the ohmic intercept and the apexes of the arcs; an apex is one of the points measured.

    Raises:
        AnalysisError: Fewer than five frequencies.

    Example:
        1 ohm in series with an arc of 2 ohm and 1 F, whose apex lies at 1 / (2π · 2 s):

        >>> hertz = np.logspace(2, -3, 51)
        >>> found = landmarks(Spectrum.of(hertz, 1 + 2 / (1 + 2j * np.pi * hertz * 2)))
        >>> found.apexes.select(pl.all().round(2)).row(0), found.ohmic_resistance_ohm
        ((0.08, 2.0, -1.0), None)
    """
    spectrum.require(5, "impedance")
    from scipy.signal import find_peaks

    ohm = spectrum.impedance
    tops, _ = find_peaks(-ohm.imag, prominence=APEX_PROMINENCE * float(np.abs(ohm).max()))
    crossing = np.flatnonzero((ohm.imag[:-1] >= 0) & (ohm.imag[1:] < 0))
    resistance = frequency = None
    if crossing.size:
        at = int(crossing[0])
        share = float(ohm.imag[at] / (ohm.imag[at] - ohm.imag[at + 1]))
        resistance = float(ohm.real[at] + share * (ohm.real[at + 1] - ohm.real[at]))
        logs = np.log(spectrum.frequency[at : at + 2])
        frequency = float(np.exp(logs[0] + share * (logs[1] - logs[0])))
    apexes = pl.DataFrame(
        {
            FREQUENCY.name: spectrum.frequency[tops],
            REAL_IMPEDANCE.name: ohm.real[tops],
            IMAGINARY_IMPEDANCE.name: ohm.imag[tops],
        }
    )
    return Landmarks(resistance, frequency, apexes)
