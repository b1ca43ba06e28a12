"""A cell in equations: open-circuit voltage, two resistances, ageing, warming and an impedance spectrum.

The model is made to look right on a plot and to be known exactly, not to predict a product. Numbers are rounded by
hand so that plateaus and fade lie where such cells have them; they were fitted to nothing. It says:

Open circuit
    Each electrode is a sum of galleries (multi-species, multi-reaction form of Verbrugge et al., J. Electrochem. Soc.
    164 (2017) E3243): ``occupancy(U) = sum_j X_j / (1 + exp(F (U - U_j) / (R T w_j)))``, monotone by construction.
    A cell is the working electrode against a counter electrode or a metal at 0 V; both slide linearly with the
    state of charge between their occupancies at the lower and upper voltage limit.
Under current
    ``V = U(s) + I R(s) + v``, where ``R(s) = R0 (1 + 5 exp(-s / 0.06))`` grows towards empty and ``v`` relaxes to
    ``I R1`` with one time constant. At constant voltage ``v = I R1`` is taken as reached.
Ageing after ``n`` cycles
    ``capacity = Q (1 - a sqrt(n) - b n - k w ln(1 + exp((n - n0) / w)))``; both resistances grow in proportion to
    the capacity lost. A share of every charge (of every discharge in a negative half cell) goes into side
    reactions: ``p + p1 exp(-n / 0.6)``.
Warmth
    One thermal mass: the surface approaches ``ambient + R_th P`` with one time constant, ``P`` being the step's mean
    loss ``I^2 (R0 + R1)``.
Impedance
    ``R0 - p(R1, CPE1) - W``, see ``Circuit``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
StepType = Literal["CC_Chg", "CV_Chg", "CC_DChg", "Rest"]

THERMAL_VOLT = 8.314462618 * 298.15 / 96485.33212
"""R T / F at 25 degrees Celsius, V."""

_POTENTIALS = np.linspace(-0.2, 5.2, 54_001)
_CHARGES = np.linspace(0.0, 1.0, 4001)
_SEARCH_POINTS = 200


@dataclass(frozen=True)
class Gallery:
    """Sites that fill together: their share, their potential (V) and how widely it spreads (1: ideal solution)."""

    share: float
    potential_volt: float
    width: float


@dataclass(frozen=True)
class Electrode:
    """A host of ions; the shares of its galleries add up to 1."""

    name: str
    galleries: tuple[Gallery, ...]

    def occupancy(self, potential_volt: Array) -> Array:
        """Filled share of the sites at a potential against the metal; falls as the potential rises.

        >>> Electrode("one", (Gallery(1.0, 3.4, 1.0),)).occupancy(np.array([3.4])).tolist()
        [0.5]
        """
        filled = np.zeros_like(potential_volt)
        for each in self.galleries:
            # tanh is the logistic function without its overflow.
            steepness = (potential_volt - each.potential_volt) / (2 * THERMAL_VOLT * each.width)
            filled += each.share * 0.5 * (1 - np.tanh(steepness))
        return filled

    def potential(self, occupancy: Array) -> Array:
        """Potential (V) at a filled share, from a table of 0.1 mV steps."""
        return np.interp(-occupancy, -self.occupancy(_POTENTIALS), _POTENTIALS)


GRAPHITE = Electrode(
    "graphite",
    (
        Gallery(0.43, 0.088, 0.12),
        Gallery(0.24, 0.128, 0.12),
        Gallery(0.15, 0.143, 0.75),
        Gallery(0.06, 0.170, 2.5),
        Gallery(0.07, 0.214, 0.20),
        Gallery(0.05, 0.365, 6.0),
    ),
)
NMC = Electrode(
    "NMC", (Gallery(0.13, 3.62, 1.0), Gallery(0.33, 3.73, 1.4), Gallery(0.21, 3.91, 3.5), Gallery(0.33, 4.23, 5.5))
)
LFP = Electrode("LFP", (Gallery(0.92, 3.42, 0.15), Gallery(0.08, 3.42, 6.0)))
MNO2 = Electrode("MnO2", (Gallery(0.45, 1.43, 1.6), Gallery(0.55, 1.28, 0.9)))


@dataclass(frozen=True)
class Chemistry:
    """A working electrode against a counter electrode, or against a metal at 0 V, between two voltage limits.

    ``counter_window`` holds the counter electrode's occupancy in the empty and the full cell.
    """

    name: str
    working: Electrode
    limits_volt: tuple[float, float]
    counter: Electrode | None = None
    counter_window: tuple[float, float] = (0.0, 1.0)
    cell_type: Literal["full", "half_negative"] = "full"

    @cached_property
    def _table(self) -> Array:
        counter = np.zeros_like(_CHARGES)
        if self.counter is not None:
            counter = self.counter.potential(np.interp(_CHARGES, (0.0, 1.0), self.counter_window))
        ends = np.array(self.limits_volt) + counter[[0, -1]]
        working = self.working.potential(np.interp(_CHARGES, (0.0, 1.0), self.working.occupancy(ends)))
        return working - counter

    def open_circuit_volt(self, state_of_charge: Array) -> Array:
        """Open-circuit voltage (V); the limits at a state of charge of 0 and 1."""
        return np.interp(state_of_charge, _CHARGES, self._table)


NMC_GRAPHITE = Chemistry("NMC/graphite", NMC, (2.8, 4.2), GRAPHITE, (0.01, 0.86))
LFP_GRAPHITE = Chemistry("LFP/graphite", LFP, (2.5, 3.65), GRAPHITE, (0.01, 0.84))
ZN_MNO2 = Chemistry("Zn/MnO2", MNO2, (1.0, 1.8))
GRAPHITE_LI = Chemistry("graphite/Li", GRAPHITE, (0.02, 1.2), cell_type="half_negative")


@dataclass(frozen=True)
class Ageing:
    """How capacity and side reactions go with the number of cycles; see the module for the law.

    ``root`` is per square root of a cycle, ``linear`` and ``knee`` per cycle; ``knee_cycle`` and ``knee_width`` are
    cycles; ``resistance_growth`` is the relative growth for the whole capacity lost.
    """

    root: float = 0.002
    linear: float = 0.0002
    knee: float = 0.0
    knee_cycle: float = 0.0
    knee_width: float = 10.0
    resistance_growth: float = 4.0
    side_reactions: float = 0.0005
    first_side_reactions: float = 0.0

    def capacity_share(self, cycles: float) -> float:
        """Share of the initial capacity left after so many cycles."""
        beyond = self.knee_width * float(np.logaddexp(0.0, (cycles - self.knee_cycle) / self.knee_width))
        return float(1.0 - self.root * np.sqrt(cycles) - self.linear * cycles - self.knee * beyond)

    def resistance_factor(self, cycles: float) -> float:
        """Both resistances over their initial values after so many cycles."""
        return 1.0 + self.resistance_growth * (1.0 - self.capacity_share(cycles))

    def side_reaction_share(self, cycles: float) -> float:
        """Share of the charge that goes into side reactions in the cycle after so many."""
        return self.side_reactions + self.first_side_reactions * float(np.exp(-cycles / 0.6))


@dataclass(frozen=True)
class Circuit:
    """Equivalent circuit R0-p(R1,CPE1)-W, in ohm, s and the CPE's ohm-1 s^alpha; ``warburg`` in ohm s^-1/2."""

    r0_ohm: float
    r1_ohm: float
    cpe: float
    alpha: float
    warburg: float

    def impedance(self, frequency_hertz: Array) -> NDArray[np.complex128]:
        """Complex impedance (ohm); capacitive arcs have a negative imaginary part.

        >>> Circuit(2.0, 0.0, 1.0, 1.0, 0.0).impedance(np.array([1.0])).real.tolist()
        [2.0]
        """
        angular = 2 * np.pi * frequency_hertz
        arc = self.r1_ohm / (1 + self.r1_ohm * self.cpe * (1j * angular) ** self.alpha)
        return np.asarray(self.r0_ohm + arc + self.warburg * (1 - 1j) / np.sqrt(angular))


@dataclass(frozen=True)
class Design:
    """What a cell is made of and how its tester sees it; resistances in ohm, ``slow_second`` relaxes the second.

    ``thermal_kelvin_per_watt`` and ``thermal_second`` are the thermal mass; ``noise_volt`` is the tester's.
    """

    chemistry: Chemistry
    capacity_ah: float
    r0_ohm: float
    r1_ohm: float
    slow_second: float = 90.0
    ageing: Ageing = field(default_factory=Ageing)
    thermal_kelvin_per_watt: float = 3.0
    thermal_second: float = 700.0
    ambient_celsius: float = 25.0
    noise_volt: float = 0.0001


@dataclass(frozen=True)
class Segment:
    """Records of one step: time since its start, and charge and energy since its start with the current's sign."""

    step_type: StepType
    time_second: Array
    voltage_volt: Array
    current_ampere: Array
    charge_ah: Array
    energy_wh: Array
    temperature_celsius: Array
    internal_resistance_ohm: float


class Cell:
    """A cell with a memory: state of charge, relaxing overpotential, temperature, and cycles done."""

    def __init__(self, design: Design, rng: np.random.Generator) -> None:
        self.design = design
        self.rng = rng
        self.state_of_charge = 0.0
        self.slow_volt = 0.0
        self.temperature_celsius = design.ambient_celsius
        self.cycles = 0

    @property
    def capacity_ah(self) -> float:
        """Charge between the voltage limits at open circuit, now."""
        return self.design.capacity_ah * self.design.ageing.capacity_share(self.cycles)

    @property
    def circuit(self) -> Circuit:
        """Equivalent circuit, now: ``R0`` splits into 40 % contact and electrolyte and 60 % charge transfer."""
        factor = self.design.ageing.resistance_factor(self.cycles)
        transfer = 0.6 * self.design.r0_ohm * factor
        # The arc's summit lies at 1 / (2 pi R C), near 40 Hz for 4 ms.
        return Circuit(0.4 * self.design.r0_ohm * factor, transfer, 0.004 / transfer, 0.85, 0.3 * self.design.r1_ohm)

    def spectrum(self, frequency_hertz: Array, relative_noise: float = 0.001) -> NDArray[np.complex128]:
        """Measured impedance (ohm): that of ``circuit`` with the tester's noise on both parts."""
        exact = self.circuit.impedance(frequency_hertz)
        noise = self.rng.normal(0.0, relative_noise, (2, frequency_hertz.size)) * np.abs(exact)
        return np.asarray(exact + noise[0] + 1j * noise[1])

    def constant_current(self, current_ampere: float, every_second: float) -> Segment:
        """Charge (positive) or discharge to the voltage limit of that direction."""
        upper = current_ampere > 0
        limit = self.design.chemistry.limits_volt[1 if upper else 0]
        room = (1.0 - self.state_of_charge) if upper else self.state_of_charge
        speed = self._charging_speed(current_ampere)
        begin, end = 0.0, room / abs(speed)
        for _ in range(3):  # each pass looks inside the interval that the one before found
            search = np.linspace(begin, end, _SEARCH_POINTS)
            reached = (self._voltage_at(search, current_ampere, speed) - limit) * current_ampere >= 0
            place = max(int(reached.argmax()), 1)
            begin, end = search[place - 1], search[place]
        end = max(end, 1.0)

        time = _record_times(end, every_second)
        voltage = self._voltage_at(time, current_ampere, speed)
        charge = current_ampere * time / 3600
        energy = _running_integral(voltage, charge)
        relaxed = np.exp(-time[-1] / self.design.slow_second)
        self.slow_volt = self.slow_volt * relaxed + current_ampere * self._r1 * (1 - relaxed)
        self.state_of_charge = float(np.clip(self.state_of_charge + speed * time[-1], 0.0, 1.0))
        kind: StepType = "CC_Chg" if upper else "CC_DChg"
        return self._segment(kind, time, voltage, np.full_like(time, current_ampere), charge, energy)

    def constant_voltage(self, until_ampere: float, every_second: float) -> Segment:
        """Hold the upper voltage limit until the charging current has fallen to ``until_ampere``.

        Raises:
            ValueError: At the limit, no more than that current flows from the start.
        """
        limit = self.design.chemistry.limits_volt[1]
        at_end = self._equilibrium(_CHARGES) + until_ampere * (self._r0(_CHARGES) + self._r1)
        begin = self.state_of_charge
        end = float(np.interp(limit, at_end, _CHARGES))
        if end <= begin:
            raise ValueError(f"a cell charged to {begin:.4f} takes no {until_ampere:g} A at {limit:g} V")
        states = np.linspace(begin, end, _SEARCH_POINTS)
        currents = (limit - self._equilibrium(states)) / (self._r0(states) + self._r1)
        stored = 3600 * self.capacity_ah / self._charge_efficiency(1.0)
        passed = _running_integral(stored / currents, states)

        time = _record_times(passed[-1], every_second)
        now = np.interp(time, passed, states)
        current = (limit - self._equilibrium(now)) / (self._r0(now) + self._r1)
        charge = (now - begin) * stored / 3600
        self.state_of_charge = float(now[-1])
        self.slow_volt = float(current[-1]) * self._r1
        return self._segment("CV_Chg", time, np.full_like(time, limit), current, charge, charge * limit)

    def rest(self, seconds: float, every_second: float) -> Segment:
        """Leave the cell alone; its overpotential relaxes."""
        time = _record_times(seconds, every_second)
        relaxing = self.slow_volt * np.exp(-time / self.design.slow_second)
        voltage = self._equilibrium(np.array([self.state_of_charge])) + relaxing
        self.slow_volt = float(relaxing[-1])
        nothing = np.zeros_like(time)
        return self._segment("Rest", time, voltage, nothing, nothing, nothing)

    def _equilibrium(self, state_of_charge: Array) -> Array:
        return self.design.chemistry.open_circuit_volt(state_of_charge)

    def _r0(self, state_of_charge: Array) -> Array:
        fresh = self.design.r0_ohm * (1 + 5 * np.exp(-state_of_charge / 0.06))
        return np.asarray(fresh * self.design.ageing.resistance_factor(self.cycles))

    @property
    def _r1(self) -> float:
        return self.design.r1_ohm * self.design.ageing.resistance_factor(self.cycles)

    def _charge_efficiency(self, current_ampere: float) -> float:
        lossy = (current_ampere < 0) if self.design.chemistry.cell_type == "half_negative" else (current_ampere > 0)
        return 1.0 - self.design.ageing.side_reaction_share(self.cycles) if lossy else 1.0

    def _charging_speed(self, current_ampere: float) -> float:
        return current_ampere * self._charge_efficiency(current_ampere) / (3600 * self.capacity_ah)

    def _voltage_at(self, time: Array, current_ampere: float, speed: float) -> Array:
        states = np.clip(self.state_of_charge + speed * time, 0.0, 1.0)
        relaxed = np.exp(-time / self.design.slow_second)
        slow = self.slow_volt * relaxed + current_ampere * self._r1 * (1 - relaxed)
        return self._equilibrium(states) + current_ampere * self._r0(states) + slow

    def _segment(
        self, kind: StepType, time: Array, voltage: Array, current: Array, charge: Array, energy: Array
    ) -> Segment:
        design = self.design
        fresh = design.r0_ohm * design.ageing.resistance_factor(self.cycles)
        loss = float(np.mean(current**2)) * (fresh + self._r1)
        settled = design.ambient_celsius + design.thermal_kelvin_per_watt * loss
        warmth = settled + (self.temperature_celsius - settled) * np.exp(-time / design.thermal_second)
        self.temperature_celsius = float(warmth[-1])
        noise = self.rng.standard_normal((2, time.size))
        measured = voltage + design.noise_volt * noise[0]
        return Segment(kind, time, measured, current, charge, energy, warmth + 0.02 * noise[1], fresh)


def _record_times(end_second: float, every_second: float) -> Array:
    """Times of a step's records: its start, every interval, and its end, to the millisecond."""
    end = round(float(end_second), 3)
    times = np.arange(0.0, end, every_second)
    return np.append(times if end - times[-1] >= 0.001 or times.size == 1 else times[:-1], end)


def _running_integral(values: Array, over: Array) -> Array:
    """Trapezoidal integral from the first point to each."""
    steps = 0.5 * (values[1:] + values[:-1]) * np.diff(over)
    return np.concatenate(([0.0], np.cumsum(steps)))
