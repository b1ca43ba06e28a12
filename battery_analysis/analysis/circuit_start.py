"""Values to begin the fit of a circuit with, read off the spectrum.

The smallest real part is the ohmic resistance, the span of the real part belongs to the arcs in equal shares. Their
time constants are spread over the range of the frequencies on a logarithmic scale: evenly, crowded to either end, and
at the apexes, each a start of its own. Diffusion takes the impedance at the lowest frequency, an inductance that at the
highest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from battery_analysis.analysis.circuits import Circuit, Element, Parallel, Part, elements
from battery_analysis.analysis.impedance import Spectrum, landmarks
from battery_analysis.analysis.records import FloatArray

EXPONENT = 0.85
_SPREADS = ((0.0, 1.0), (0.0, 0.6), (0.4, 1.0), (0.2, 0.8))
_ARCS = ("K", "Zarc", "G", "Gs")


@dataclass(frozen=True)
class _Place:
    """What surrounds an element: the resistance (ohm) and time constant (s) of its arc, or of all where it has none."""

    resistance: float
    seconds: float
    in_arc: bool


def start_values(circuit: Circuit, spectrum: Spectrum) -> list[FloatArray]:
    """Propose sets of values, all positive; exponents below 1."""
    ohm, omega = spectrum.impedance, spectrum.omega
    tiny = 1e-3 * float(np.abs(ohm).max())
    span = max(float(np.ptp(ohm.real)), tiny)
    arcs = [part for part in circuit.root.parts if isinstance(part, Parallel) or _kind(part) in _ARCS]
    ohmic = max(1, sum(_kind(part) == "R" for part in circuit.root.parts))
    outside = _Place(max(float(ohm.real.min()), tiny) / ohmic, 1 / float(omega.min()), in_arc=False)
    proposals = []
    for times in _time_sets(spectrum, len(arcs)):
        values = np.ones(len(circuit.parameters))
        upcoming = iter(times)
        for part in circuit.root.parts:
            place = outside
            if part in arcs:
                place = _Place(span / len(arcs), next(upcoming), in_arc=True)
            for element in elements(part):
                values[element.own] = _element(element, place, spectrum, span)
        proposals.append(values)
    return proposals


def _kind(part: Part) -> str:
    return part.kind if isinstance(part, Element) else ""


def _time_sets(spectrum: Spectrum, arcs: int) -> list[FloatArray]:
    """Time constants of the arcs in s, fastest first, spread in different ways."""
    if not arcs:
        return [np.empty(0)]
    fastest, slowest = np.log(1 / spectrum.omega.max()), np.log(1 / spectrum.omega.min())
    shares = (np.arange(arcs) + 1) / (arcs + 1)
    sets = [np.exp(fastest + (low + (high - low) * shares) * (slowest - fastest)) for low, high in _SPREADS]
    apexes = 1 / (2 * np.pi * np.sort(landmarks(spectrum).apexes["frequency_hertz"].to_numpy())[::-1])
    if apexes.size >= arcs:
        sets.append(apexes[:arcs])
    elif apexes.size:
        sets.append(np.sort(np.concatenate((apexes, sets[0][apexes.size :]))))
    return sets


def _element(element: Element, place: _Place, spectrum: Spectrum, span: float) -> list[float]:
    """Values of one element in its place."""
    resistance, seconds = place.resistance, place.seconds
    slowest = int(np.argmin(spectrum.omega))
    omega, ohm = float(spectrum.omega[slowest]), float(np.abs(spectrum.impedance[slowest].imag))
    last = max(ohm, 1e-3 * span)
    if not place.in_arc and element.kind != "R":
        resistance = max(span, last)
    capacitor = 1 / last if not place.in_arc else 1 / resistance
    inductance = max(float(np.abs(spectrum.impedance.imag[0])), 1e-3 * span) / float(spectrum.omega[0])
    values: dict[str, list[float]] = {
        "R": [resistance],
        "C": [seconds * capacitor],
        "L": [resistance * seconds if place.in_arc else inductance],
        "CPE": [seconds**EXPONENT * capacitor, EXPONENT],
        "La": [inductance, EXPONENT],
        "W": [last * np.sqrt(omega)],
        "Wo": [resistance, 1 / omega],
        "Ws": [resistance, 1 / omega],
        "G": [resistance, seconds],
        "Gs": [resistance, seconds, 1.0],
        "K": [resistance, seconds],
        "Zarc": [resistance, seconds, EXPONENT],
        "TLMQ": [resistance, seconds**EXPONENT / resistance, EXPONENT],
        "T": [resistance, resistance, 1.0, seconds],
    }
    return values[element.kind]
