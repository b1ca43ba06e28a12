"""Spectra of circuits that are known, with noise or without."""

from __future__ import annotations

import numpy as np

from battery_analysis.analysis.impedance import ComplexArray, Spectrum
from battery_analysis.analysis.records import FloatArray

HERTZ = np.logspace(4, -2, 61)


def arc(resistance: float, seconds: float, exponent: float = 1.0, hertz: FloatArray = HERTZ) -> ComplexArray:
    """A resistor beside a capacitor, or beside a constant-phase element."""
    return np.asarray(resistance / (1 + (2j * np.pi * hertz * seconds) ** exponent))


def battery(hertz: FloatArray = HERTZ) -> ComplexArray:
    """10 mOhm, arcs of 5 mOhm (1 ms, 0.9) and 20 mOhm (0.1 s, 0.85), Warburg diffusion and 0.1 uH of the leads."""
    omega = 2 * np.pi * hertz
    return np.asarray(
        0.010
        + arc(0.005, 1e-3, 0.9, hertz)
        + arc(0.020, 0.1, 0.85, hertz)
        + 0.004 * (1 - 1j) / np.sqrt(omega)
        + 1j * omega * 1e-7
    )


def measured(impedance: ComplexArray, noise: float = 0.0, seed: int = 0, hertz: FloatArray = HERTZ) -> Spectrum:
    """A spectrum with noise as a share of the modulus, of its real and imaginary part alike."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=hertz.size) + 1j * rng.normal(size=hertz.size)
    return Spectrum.of(hertz, impedance + noise * np.abs(impedance) * parts)
