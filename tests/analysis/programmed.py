"""A cell of which all is known, put through a programme: what an analysis of protocols should find in its records."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

CAPACITY_AH = 2.0
OHM = 0.03


@dataclass
class ProgrammedCell:
    """A cell whose open-circuit voltage goes in a straight line from 3.0 V to 4.2 V; logs every ``every`` seconds."""

    every: float = 30.0
    soc: float = 0.0
    cycle: int = 1
    _rows: list[tuple[float, float, float, int, int]] = field(default_factory=list)
    _time: float = 0.0
    _step: int = 0

    def charge(self, rate: float, to_volt: float = 4.2) -> ProgrammedCell:
        """Charge at a rate in 1/h to a voltage."""
        return self._constant_current(rate * CAPACITY_AH, to_volt, None)

    def discharge(self, rate: float, to_volt: float = 3.0) -> ProgrammedCell:
        """Discharge at a rate in 1/h to a voltage."""
        return self._constant_current(-rate * CAPACITY_AH, to_volt, None)

    def pulse(self, rate: float, seconds: float) -> ProgrammedCell:
        """Hold a current (as a rate, negative to discharge) for a time."""
        return self._constant_current(rate * CAPACITY_AH, np.inf * rate, seconds)

    def hold(self, volt: float, to_rate: float) -> ProgrammedCell:
        """Hold a voltage until the current has fallen to a rate in 1/h."""
        self._step += 1
        while True:
            current = (volt - self._open_circuit) / OHM
            if current < to_rate * CAPACITY_AH:
                return self
            self._log(current, volt)

    def rest(self, seconds: float) -> ProgrammedCell:
        """Rest for a time."""
        self._step += 1
        for _ in range(round(seconds / self.every)):
            self._log(0.0, self._open_circuit)
        return self

    def next_cycle(self) -> ProgrammedCell:
        """Let the cycle number advance."""
        self.cycle += 1
        return self

    def frame(self, *, noise: float = 0.0, steps: bool = True, cycles: bool = True, seed: int = 1) -> pl.DataFrame:
        """The records; ``noise`` is that of the current relative to 1C, and in V a twentieth of it."""
        names = ("test_time_second", "voltage_volt", "current_ampere", "cycle_count", "step_count")
        frame = pl.DataFrame(self._rows, schema=names, orient="row")
        random = np.random.default_rng(seed)
        frame = frame.with_columns(
            pl.col("current_ampere") + random.normal(0, 1, frame.height) * noise * CAPACITY_AH,
            pl.col("voltage_volt") + random.normal(0, 1, frame.height) * noise / 20,
        )
        gone = [name for name, kept in (("step_count", steps), ("cycle_count", cycles)) if not kept]
        return frame.drop(gone)

    @property
    def _open_circuit(self) -> float:
        return 3.0 + 1.2 * self.soc

    def _constant_current(self, current: float, limit: float, seconds: float | None) -> ProgrammedCell:
        self._step += 1
        begun = self._time
        while seconds is None or self._time - begun < seconds - 1e-6:
            after = self._open_circuit + 1.2 * current * self.every / 3600 / CAPACITY_AH + current * OHM
            if (after - limit) * np.sign(current) >= 0:
                left = (limit - self._open_circuit - current * OHM) / 1.2 * CAPACITY_AH * 3600 / current
                if left > 1e-3:
                    self._log(current, limit, left)
                return self
            self._log(current, after)
        return self

    def _log(self, current: float, volt: float, seconds: float | None = None) -> None:
        lasting = self.every if seconds is None else seconds
        self._time += lasting
        self.soc += current * lasting / 3600 / CAPACITY_AH
        self._rows.append((self._time, volt, current, self.cycle, self._step))


def cycled(groups: list[tuple[int, float]], cell: ProgrammedCell | None = None) -> ProgrammedCell:
    """Cycles with a hold at 4.2 V to C/50 and rests of 10 min: how many, at which rate."""
    cell = cell or ProgrammedCell()
    for count, rate in groups:
        for _ in range(count):
            cell.charge(rate).hold(4.2, 0.02).rest(600).discharge(rate).rest(600).next_cycle()
    return cell
