"""What a physical model says of a test: its current through PyBaMM, and how far the measured voltage is from it.

The current is that of the records: linear between the records of a step, and that of a step's first record from the
step's beginning on, as it is integrated elsewhere. Where records are missing (``integration``), what flowed is unknown:
the simulation ends before. It also ends where the model's voltage reaches a cut-off of the parameter set, and there
only: nothing is simulated beyond, and no voltage is set to a limit. ``Simulation`` says which records were simulated
and why it ended.

Assumed is that the cell is the one of the parameter set, fresh, at one temperature. A cell of another size is compared
by giving its nominal capacity: currents are then scaled to that of the set. Parameters are not fitted.

Model: ``SPM``, ``SPMe`` or ``DFN``. Beginning: ``initial_soc``, or the voltage of the first record, if that is at
rest, as an open-circuit voltage.

Residuals are measured minus simulated voltage, in V. They are told as they are: no number here says that a model is
good, since that depends on what it is for.

Needs PyBaMM (extra ``pybamm``).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl

from battery_analysis.analysis.charge import cycling_records
from battery_analysis.analysis.extras import needs
from battery_analysis.analysis.integration import gaps
from battery_analysis.analysis.records import REST_FRACTION, FloatArray, IntArray, Records, numbers
from battery_analysis.analysis.wording import counted
from battery_analysis.columns import VOLTAGE
from battery_analysis.errors import AnalysisError

if TYPE_CHECKING:
    from battery_analysis.analysis.protocol import Protocol

Model = Literal["SPM", "SPMe", "DFN"]
Ending = Literal["all records", "records are missing", "lower voltage cut-off", "upper voltage cut-off", "solver"]

MOST_RECORDS = 200_000
STEP_SECONDS = 1e-3
"""Time over which the current goes from one step's to the next one's."""

_KELVIN = 273.15
_LOWER, _UPPER = "Lower voltage cut-off [V]", "Upper voltage cut-off [V]"
_ENDINGS: dict[str, Ending] = {
    "event: Minimum voltage [V]": "lower voltage cut-off",
    "event: Maximum voltage [V]": "upper voltage cut-off",
    "final time": "all records",
}


class Profile(NamedTuple):
    """A current over time: seconds since the first record, A with discharge positive as PyBaMM has it.

    ``breaks`` are the times at which it jumps.
    """

    seconds: FloatArray
    current: FloatArray
    breaks: FloatArray


class Residuals(NamedTuple):
    """Measured minus simulated voltage over ``records`` records, in V; the last three are of magnitudes."""

    records: int
    mean_volt: float
    rms_volt: float
    median_volt: float
    percentile_95_volt: float
    largest_volt: float


@dataclass(frozen=True)
class Simulation:
    """What was simulated, and what came of it.

    ``table`` has one row per record that was simulated: ``record`` (position from 0), ``test_time_second``,
    ``current_ampere``, ``voltage_volt``, ``simulated_volt``, ``residual_volt``. ``asked`` records were to be simulated.
    ``scale`` is what the current was multiplied by. ``residuals`` is None where no record has a voltage.
    """

    table: pl.DataFrame
    residuals: Residuals | None
    asked: int
    ended_by: Ending
    ended_at_second: float
    model: Model
    parameter_set: str
    initial_state: str
    scale: float
    temperature_celsius: float
    cutoffs_volt: tuple[float, float]
    warnings: tuple[str, ...]


def current_profile(frame: pl.DataFrame) -> Profile:
    """Make a drive cycle of the current of a test, up to the first gap.

    Raises:
        AnalysisError: Time, voltage or current is missing, no current ever flowed, or fewer than two records are left.

    Example:
        A rest of 10 s, then a discharge at 1 A that begins 10 s before its first record:

        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 10.0, 20.0, 30.0], "voltage_volt": [4.0, 4.0, 3.9, 3.8],
        ...     "current_ampere": [0.0, 0.0, -1.0, -1.0], "step_count": [1, 1, 2, 2],
        ... })
        >>> profile = current_profile(frame)
        >>> profile.seconds.tolist(), profile.current.tolist()
        ([0.0, 10.0, 10.001, 20.0, 30.0], [0.0, 0.0, 1.0, 1.0, 1.0])
    """
    records = cycling_records(frame, "simulation")
    return _profile(records, _usable(records))


def experiment_steps(found: Protocol) -> list[str]:
    """Write the steps that a test went through as those of a ``pybamm.Experiment``, each with its duration.

    Raises:
        AnalysisError: A step is a profile, which has no such words; ``simulate`` follows it record by record.

    Example:
        >>> from battery_analysis.analysis.protocol import protocol
        >>> frame = pl.DataFrame({
        ...     "test_time_second": [0.0, 60.0, 120.0, 180.0], "voltage_volt": [3.8, 3.8, 3.7, 3.6],
        ...     "current_ampere": [0.0, 0.0, -1.5, -1.5], "step_count": [1, 1, 2, 2],
        ... })
        >>> experiment_steps(protocol(frame))
        ['Rest for 60 seconds', 'Discharge at 1.5 A for 120 seconds']
    """
    texts = []
    for row in found.executed.iter_rows(named=True):
        lasts, way = f"for {row['duration_second']:.10g} seconds", row["direction"].capitalize()
        until = f" or until {row['voltage_volt']:.6g} V" if row["ended_by"] == "voltage" else ""
        match row["kind"]:
            case "rest":
                text = f"Rest {lasts}"
            case "constant_current":
                text = f"{way} at {row['current_ampere']:.6g} A {lasts}{until}"
            case "constant_power":
                text = f"{way} at {row['power_watt']:.6g} W {lasts}{until}"
            case "constant_voltage":
                text = f"Hold at {row['voltage_volt']:.6g} V {lasts}"
            case _:
                raise AnalysisError(f"simulation: step {row['step']} is a profile, which no words of an experiment say")
        if row["duration_second"] > 0:
            texts.append(text)
    return texts


def simulate(
    frame: pl.DataFrame,
    parameter_set: str,
    *,
    model: Model = "SPMe",
    first_record: int = 0,
    last_record: int | None = None,
    initial_soc: float | None = None,
    nominal_capacity_ah: float | None = None,
    temperature_celsius: float | None = None,
) -> Simulation:
    """Simulate a test, or some of its records, and compare voltages.

    Args:
        frame: Canonical time series in time order.
        parameter_set: One of PyBaMM's, such as ``Chen2020``.
        model: Single particle, the same with electrolyte, or Doyle-Fuller-Newman.
        first_record: Position of the first record.
        last_record: Position of the last one, included; without it, that of the test.
        initial_soc: State of charge at the first record, from 0 to 1; without it, that record must be at rest.
        nominal_capacity_ah: Of the tested cell, to scale its current to the set's nominal capacity.
        temperature_celsius: Of the surroundings and at the beginning; without it, that of the set.

    Raises:
        AnalysisError: The columns, records, parameter set or beginning do not allow it, the solver gave up before the
            second record, or PyBaMM is not installed (the extra is named).
    """
    with needs("pybamm", "simulation"):
        import pybamm
    records, last = _asked(frame, first_record, last_record, model)
    asked = last - first_record + 1
    usable = _usable(records)
    profile, positions = _profile(records, usable), _kept(records, usable)
    values = _parameters(pybamm, parameter_set)
    cutoffs = float(values[_LOWER]), float(values[_UPPER])
    state, said = _initial(records, initial_soc, cutoffs)
    scale = 1.0
    if nominal_capacity_ah is not None:
        if not (np.isfinite(nominal_capacity_ah) and nominal_capacity_ah > 0):
            raise AnalysisError(f"simulation: nominal_capacity_ah must be positive, got {nominal_capacity_ah}")
        scale = float(values["Nominal cell capacity [A.h]"]) / nominal_capacity_ah
    if temperature_celsius is not None:
        kelvin = temperature_celsius + _KELVIN
        values.update({"Ambient temperature [K]": kelvin, "Initial temperature [K]": kelvin})
    values["Current function [A]"] = pybamm.Interpolant(profile.seconds, profile.current * scale, pybamm.t)
    seconds = records.time[positions] - records.time[0]
    simulated, ended_by, heard = _solved(pybamm, values, model, parameter_set, profile, seconds, state)
    if ended_by == "all records" and usable < asked:
        ended_by = "records are missing"
    table = _table(records, positions[: simulated.size], simulated, first_record)
    return Simulation(
        table=table,
        residuals=_residuals(table["residual_volt"].drop_nulls().to_numpy()),
        asked=asked,
        ended_by=ended_by,
        ended_at_second=float(table["test_time_second"][-1]),
        model=model,
        parameter_set=parameter_set,
        initial_state=said,
        scale=scale,
        temperature_celsius=float(values["Ambient temperature [K]"]) - _KELVIN,
        cutoffs_volt=cutoffs,
        warnings=heard,
    )


def _asked(frame: pl.DataFrame, first: int, last: int | None, model: str) -> tuple[Records, int]:
    """The records that were asked for, and the position of the last."""
    if model not in get_args(Model):
        raise AnalysisError(f"simulation: model must be one of {', '.join(get_args(Model))}, got {model!r}")
    end = frame.height - 1 if last is None else last
    if not 0 <= first < end < frame.height:
        raise AnalysisError(
            f"simulation: records {first} to {end} are no range within {counted(frame.height, 'record')}"
        )
    if end - first + 1 > MOST_RECORDS:
        raise AnalysisError(
            f"simulation: at most {MOST_RECORDS} records at a time, got {end - first + 1}; "
            "choose some by first_record and last_record"
        )
    return cycling_records(frame[first : end + 1], "simulation"), end


def _usable(records: Records) -> int:
    """How many records there are before the first gap."""
    lost = gaps(records)
    lost = lost[lost > 0]
    return int(lost.min()) if lost.size else records.current.size


def _kept(records: Records, usable: int) -> IntArray:
    """Records at times of their own; of several at one time the last."""
    return np.flatnonzero(np.append(np.diff(records.time[:usable]) > 0, True))


def _profile(records: Records, usable: int) -> Profile:
    kept = _kept(records, usable)
    if kept.size < 2:
        raise AnalysisError(f"simulation: {counted(kept.size, 'record')} at different times, 2 are needed")
    seconds, current = records.time[kept] - records.time[0], 0.0 - records.current[kept]
    step = records.step_of(kept)
    begins = np.flatnonzero(np.diff(step)) + 1
    rises = np.minimum(STEP_SECONDS, 0.1 * (seconds[begins] - seconds[begins - 1]))
    jumps = seconds[begins - 1] + rises
    breaks = np.concatenate((seconds[begins - 1], jumps))
    return Profile(np.insert(seconds, begins, jumps), np.insert(current, begins, current[begins]), np.unique(breaks))


def _parameters(pybamm: Any, name: str) -> Any:
    known = sorted(pybamm.parameter_sets)
    if name not in known:
        raise AnalysisError(f"simulation: no parameter set {name!r}; there are {', '.join(known)}")
    if (chemistry := pybamm.parameter_sets[name].get("chemistry")) != "lithium_ion":
        raise AnalysisError(f"simulation: parameter set {name} is of {chemistry}, not of a lithium-ion cell")
    return pybamm.ParameterValues(name)


def _initial(records: Records, soc: float | None, cutoffs: tuple[float, float]) -> tuple[float | str, str]:
    """The beginning as PyBaMM takes it, and in words."""
    if soc is not None:
        if not 0 <= soc <= 1:
            raise AnalysisError(f"simulation: initial_soc must lie between 0 and 1, got {soc}")
        return soc, f"state of charge {soc:g}"
    current, volt = float(records.current[0]), float(numbers(records.frame, VOLTAGE.name)[0])
    if abs(current) > REST_FRACTION * records.largest:
        raise AnalysisError(f"simulation: the first record is not at rest but at {current:g} A; initial_soc is needed")
    if not cutoffs[0] <= volt <= cutoffs[1]:
        raise AnalysisError(
            f"simulation: the first record's voltage must lie within the parameter set's cut-offs, "
            f"{cutoffs[0]:g} to {cutoffs[1]:g} V, got {volt:g} V"
        )
    return f"{volt} V", f"open-circuit voltage {volt:g} V"


def _solved(
    pybamm: Any,
    values: Any,
    model: Model,
    parameter_set: str,
    profile: Profile,
    seconds: FloatArray,
    state: float | str,
) -> tuple[FloatArray, Ending, tuple[str, ...]]:
    """Voltages of the records that the solver came to, why it ended there, and what it warned of."""
    ends = np.unique(np.concatenate(([0.0], profile.breaks, [seconds[-1]])))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            simulation = pybamm.Simulation(getattr(pybamm.lithium_ion, model)(), parameter_values=values)
            solution = simulation.solve(t_eval=ends, t_interp=seconds, initial_soc=state)
        except pybamm.SolverError as exc:
            raise AnalysisError(f"simulation: {model} with {parameter_set} from {state}: {exc}") from exc
        except (KeyError, ValueError, pybamm.ModelError, pybamm.OptionError, pybamm.DomainError) as exc:
            raise AnalysisError(f"simulation: parameter set {parameter_set} does not fit {model}: {exc}") from exc
        reached = seconds[seconds <= solution.t[-1] + 1e-9]
        if reached.size < 2:
            raise AnalysisError(f"simulation: {model} with {parameter_set} ended at once: {solution.termination}")
        volts = np.atleast_1d(solution["Voltage [V]"](t=np.minimum(reached, solution.t[-1])))
    ending = _ENDINGS.get(str(solution.termination), "solver")
    return volts, ending, tuple(dict.fromkeys(str(each.message) for each in heard))


def _table(records: Records, positions: IntArray, simulated: FloatArray, first_record: int) -> pl.DataFrame:
    measured = numbers(records.frame, VOLTAGE.name)[positions]
    return pl.DataFrame(
        {
            "record": positions + first_record,
            "test_time_second": records.time[positions],
            "current_ampere": records.current[positions],
            "voltage_volt": measured,
            "simulated_volt": simulated,
            "residual_volt": measured - simulated,
        },
        nan_to_null=True,
    )


def _residuals(residual: FloatArray) -> Residuals | None:
    if not residual.size:
        return None
    size = np.abs(residual)
    return Residuals(
        records=int(residual.size),
        mean_volt=float(residual.mean()),
        rms_volt=float(np.sqrt(np.mean(residual**2))),
        median_volt=float(np.median(size)),
        percentile_95_volt=float(np.percentile(size, 95)),
        largest_volt=float(size.max()),
    )
