"""What is drawn of cycles: quantities, what they are drawn against, and what they are divided by.

All is arithmetic on the cycle tables of ``Life``; figures and tables of several pages share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from battery_analysis.analysis.normalise import FORMULAS, Formula
from battery_analysis.errors import AnalysisError
from dashboard import units

if TYPE_CHECKING:
    from dashboard.data.lives import Life

Direction = Literal["charge", "discharge", ""]


@dataclass(frozen=True)
class Quantity:
    """A quantity of each cycle; one of each half of it where there is a column for charge and one for discharge."""

    title: str
    unit: str
    columns: tuple[str, ...]
    scale: float = 1.0
    minus: str | None = None
    """A column that is taken off."""
    over: str | None = None
    """A column that it is divided by."""
    measured: str | None = None
    """What it is to ``analysis.normalise``; None: nothing to be divided by the size of a sample."""

    @property
    def parts(self) -> list[tuple[Direction, str]]:
        """Return its columns, each with the half of the cycle that it is about."""
        return [(_direction(column), column) for column in self.columns]


def _direction(column: str) -> Direction:
    words = column.split("_")
    return "discharge" if "discharge" in words else "charge" if "charge" in words else ""


def _capacity(title: str, *columns: str) -> Quantity:
    return Quantity(title, "Ah", columns, measured="capacity_ah")


def _energy(title: str, *columns: str) -> Quantity:
    return Quantity(title, "Wh", columns, measured="energy_wh")


def _ratio(title: str, column: str) -> Quantity:
    return Quantity(title, "%", (column,), scale=100)


QUANTITIES: Mapping[str, Quantity] = {
    "discharge_capacity": _capacity("Discharge capacity", "discharge_capacity_ah"),
    "charge_capacity": _capacity("Charge capacity", "charge_capacity_ah"),
    "capacity": _capacity("Capacity", "charge_capacity_ah", "discharge_capacity_ah"),
    "coulombic_efficiency": _ratio("Coulombic efficiency", "coulombic_efficiency"),
    "energy_efficiency": _ratio("Energy efficiency", "energy_efficiency"),
    "voltage_efficiency": _ratio("Voltage efficiency", "voltage_efficiency"),
    "discharge_energy": _energy("Discharge energy", "discharge_energy_wh"),
    "charge_energy": _energy("Charge energy", "charge_energy_wh"),
    "energy": _energy("Energy", "charge_energy_wh", "discharge_energy_wh"),
    "mean_discharge_voltage": Quantity("Mean discharge voltage", "V", ("mean_discharge_voltage_volt",)),
    "mean_charge_voltage": Quantity("Mean charge voltage", "V", ("mean_charge_voltage_volt",)),
    "mean_voltage": Quantity("Mean voltage", "V", ("mean_charge_voltage_volt", "mean_discharge_voltage_volt")),
    "voltage_gap": Quantity(
        "Voltage gap, mean charge to mean discharge",
        "V",
        ("mean_charge_voltage_volt",),
        minus="mean_discharge_voltage_volt",
    ),
    "internal_resistance": Quantity(
        "Internal resistance", "Ω", ("internal_resistance_ohm",), measured="internal_resistance_ohm"
    ),
    "time": Quantity("Time", "s", ("charge_time_second", "discharge_time_second")),
    "charge_time": Quantity("Charge time", "s", ("charge_time_second",)),
    "discharge_time": Quantity("Discharge time", "s", ("discharge_time_second",)),
    "rest_time": Quantity("Rest time", "s", ("rest_time_second",)),
    "cc_charge_capacity": _capacity("Constant-current charge capacity", "cc_charge_capacity_ah"),
    "cv_charge_capacity": _capacity("Constant-voltage charge capacity", "cv_charge_capacity_ah"),
    "cv_share": Quantity(
        "Constant-voltage share of the charge", "%", ("cv_charge_capacity_ah",), 100, over="charge_capacity_ah"
    ),
    "cc_charge_time": Quantity("Constant-current charge time", "s", ("cc_charge_time_second",)),
    "cv_charge_time": Quantity("Constant-voltage charge time", "s", ("cv_charge_time_second",)),
    "max_voltage": Quantity("Highest voltage", "V", ("max_voltage_volt",)),
    "min_voltage": Quantity("Lowest voltage", "V", ("min_voltage_volt",)),
    "max_current": Quantity("Highest current", "A", ("max_current_ampere",)),
    "min_current": Quantity("Lowest current", "A", ("min_current_ampere",)),
    "max_temperature": Quantity("Highest temperature", "°C", ("max_temperature_celsius",)),
    "min_temperature": Quantity("Lowest temperature", "°C", ("min_temperature_celsius",)),
}
"""By their names in addresses. Discharge capacity comes first: it is what is looked at most."""

AXES: Mapping[str, str] = {
    "cycle": "Cycle",
    "half": "Half cycle",
    "time": "Running time",
    "throughput": "Charge throughput",
    "full_cycles": "Equivalent full cycles",
    "date": "Date",
}
"""What quantities are drawn against. A full cycle is a throughput of twice the nominal capacity; the date of a cycle is
when it ended: when its test began, and the test time since."""

_AXIS_UNITS = {"time": "s", "throughput": "Ah", "date": "UTC"}

AS_MEASURED = "As measured"

DIVISORS: Mapping[str, str] = {
    "first": "Share of a reference cycle",
    "nominal": "Share of the nominal capacity",
    "mass": "Per active mass",
    "area": "Per electrode area",
    "volume": "Per volume",
}
"""What quantities are divided by. Where that makes no sense, as for mass and an efficiency, they are as measured."""

_FORMULAS = {
    ("mass", "capacity_ah"): "specific_capacity_mah_g",
    ("mass", "energy_wh"): "specific_energy_wh_kg",
    ("area", "capacity_ah"): "areal_capacity_mah_cm2",
    ("area", "energy_wh"): "areal_energy_mwh_cm2",
    ("area", "internal_resistance_ohm"): "areal_resistance_ohm_cm2",
    ("volume", "capacity_ah"): "volumetric_capacity_mah_cm3",
    ("volume", "energy_wh"): "volumetric_energy_wh_l",
}


@dataclass(frozen=True)
class Choice:
    """What is drawn, by names of ``QUANTITIES``, ``AXES`` and ``DIVISORS``."""

    quantity: str = "discharge_capacity"
    against: str = "cycle"
    by: str = ""
    reference: int | None = None
    """Number of the cycle that counts as 100 %; the first complete one without."""

    @property
    def of(self) -> Quantity:
        """Return the quantity."""
        return QUANTITIES[self.quantity]

    @property
    def unit(self) -> str:
        """Return the unit in which ``points`` has it."""
        if self.by == "first" or (self.by == "nominal" and self.of.measured == "capacity_ah"):
            return "%"
        return units.written(self.formula.unit) if self.formula else self.of.unit

    @property
    def formula(self) -> Formula | None:
        """Return how the quantity follows from the size of the sample, if it is divided by that."""
        name = _FORMULAS.get((self.by, self.of.measured or ""))
        return next((each for each in FORMULAS if each.name == name), None)

    @property
    def axis_unit(self) -> str:
        """Return the unit of what it is drawn against."""
        return _AXIS_UNITS.get(self.against, "")

    @property
    def is_divided(self) -> bool:
        """Return whether the divisor has an effect on the quantity."""
        return self.by in ("", "first") or self.unit != self.of.unit

    def along(self, places: pl.Series) -> Any:
        """Return places along the axis, the ``x`` of ``points``, as plotly takes them."""
        if self.against != "date":
            return places.to_numpy()
        return places.round().cast(pl.Int64).cast(pl.Datetime("ms")).to_numpy()


def points(life: Life, choice: Choice, *, incomplete: bool = True) -> pl.DataFrame:
    """Return what is drawn of a life: a row for each cycle, or each half of one, that has the quantity.

    Args:
        life: The cell or test.
        choice: What is drawn of it.
        incomplete: Whether cycles that are not complete are among them.

    Returns:
        ``direction`` (empty where it is about a whole cycle), ``x``, ``y``, ``cycle_count``, ``test_cycle_count``,
        ``test_id``, ``role`` and ``complete``; units are those of ``choice.unit`` and ``choice.axis_unit``, dates are
        in ms since 1970.

    Raises:
        AnalysisError: What it is to be divided by is not known, or nothing has been measured; the message says what.
    """
    factor = _factor(life, choice)
    across = _across(life, choice.against)
    kept = ("cycle_count", "test_cycle_count", "test_id", "role", "complete")
    parts = []
    for direction, column in choice.of.parts:
        y = pl.col(column)
        y = y - pl.col(choice.of.minus) if choice.of.minus else y
        y = y / pl.col(choice.of.over) if choice.of.over else y
        table = life.cycles.with_columns(_halves()) if choice.against == "half" else life.cycles
        part = table.select(
            pl.lit(direction).alias("direction"),
            (pl.col(f"half_{direction}") if choice.against == "half" else across).alias("x"),
            (y * choice.of.scale * factor).alias("y"),
            *kept,
        )
        part = part.filter(pl.col("x").is_not_null(), pl.col("y").is_finite())
        if choice.by == "first" and part.height:
            part = part.with_columns(pl.col("y") * (100 / _reference(part, choice, life.name)))
        parts.append(part)
    found = pl.concat(parts)
    found = found if incomplete else found.filter(pl.col("complete").fill_null(False))
    if not found.height:
        raise AnalysisError(f"{life.name}: {_nothing(choice)}")
    return found


def undated_cycles(life: Life) -> int:
    """Return how many cycles of a life are of tests whose files say no date."""
    return life.cycles.filter(~pl.col("test_id").is_in(list(life.starts))).height


def incomplete_cycles(life: Life) -> int:
    """Return how many cycles of a life are not complete."""
    return life.cycles.height - int(life.cycles["complete"].fill_null(False).sum())


def _nothing(choice: Choice) -> str:
    against = {"throughput": "charge throughput", "time": "running time", "date": "a date"}.get(choice.against)
    return f"no cycle has {choice.of.title[0].lower()}{choice.of.title[1:]}" + (f" and {against}" if against else "")


def _factor(life: Life, choice: Choice) -> float:
    """Return what amounts are multiplied by so that they are relative to the sample.

    Raises:
        AnalysisError: Its size is not known.
    """
    if choice.by == "nominal" and choice.of.measured == "capacity_ah":
        return 100 / _nominal(life)
    if choice.formula is None:
        return 1.0
    sizes = {each: getattr(life.properties, each) for each in choice.formula.properties}
    if absent := [each for each, size in sizes.items() if not size]:
        raise AnalysisError(f"{life.name}: {', '.join(absent)} of the sample is not known")
    return choice.formula.compute(1.0, *sizes.values())


def capacity_factor(life: Life, choice: Choice, largest_ah: float) -> tuple[float, str]:
    """Return the factor and the unit for charge within cycles, divided as a choice says of quantities per cycle.

    Args:
        life: Whose charge it is.
        choice: Its divisor and its reference count.
        largest_ah: The largest amount that is to be shown.

    Raises:
        AnalysisError: What it is to be divided by is not known.
    """
    capacity = replace(choice, quantity="discharge_capacity", against="cycle")
    if choice.by == "first":
        whole = points(life, replace(capacity, by=""))
        return 100 / _reference(whole, capacity, life.name), "%"
    factor = _factor(life, capacity)
    if capacity.unit != "Ah":
        return factor, capacity.unit
    return readable("Ah", largest_ah)


def _nominal(life: Life) -> float:
    if not life.nominal_capacity_ah:
        raise AnalysisError(f"{life.name}: nominal_capacity_ah of the sample is not known")
    return life.nominal_capacity_ah


def _across(life: Life, against: str) -> pl.Expr:
    match against:
        case "time":
            return pl.col("running_time_second")
        case "throughput":
            return pl.col("running_throughput_ah")
        case "full_cycles":
            return pl.col("running_throughput_ah") / (2 * _nominal(life))
        case "date":
            began = {test: start.timestamp() * 1e3 for test, start in life.starts.items()}
            start = pl.col("test_id").replace_strict(began, default=None, return_dtype=pl.Float64)
            return start + pl.col("end_time_second") * 1e3
        case _:
            return pl.col("cycle_count")


def _halves() -> list[pl.Expr]:
    """Number the halves of cycles through, in the order in which they come; a half that moved nothing is none."""
    charges, discharges = (
        (pl.col(f"{each}_capacity_ah") > 0).fill_null(False).cast(pl.Int64) for each in ("charge", "discharge")
    )
    last = (charges + discharges).cum_sum()
    first_is_discharge = pl.col("first_direction") == "discharge"
    charge = last - pl.when(first_is_discharge).then(0).otherwise(discharges)
    discharge = last - pl.when(first_is_discharge).then(charges).otherwise(0)
    return [
        pl.when(charges == 1).then(charge).alias("half_charge"),
        pl.when(discharges == 1).then(discharge).alias("half_discharge"),
        pl.when(charges + discharges > 0).then(last).alias("half_"),
    ]


def _reference(part: pl.DataFrame, choice: Choice, name: str) -> float:
    """Return what counts as 100 %.

    Raises:
        AnalysisError: That cycle has no such value.
    """
    if choice.reference is None:
        whole = part.filter(pl.col("complete").fill_null(False), pl.col("y") > 0)
        if not whole.height:
            raise AnalysisError(f"{name}: no cycle is complete, so that there is none to refer to")
        return float(whole["y"][0])
    of_cycle = part.filter(pl.col("cycle_count") == choice.reference, pl.col("y") > 0)
    if not of_cycle.height:
        raise AnalysisError(f"{name}: cycle {choice.reference} has no value to refer to")
    return float(of_cycle["y"][0])


_MILLI = 0.1
_SECONDS = (("d", 86_400.0, 3 * 86_400.0), ("h", 3_600.0, 2 * 3_600.0), ("min", 60.0, 120.0))


def readable(unit: str, largest: float) -> tuple[float, str]:
    """Return the factor and the unit in which amounts up to ``largest`` are read best.

    >>> readable("Ah", 0.0033), readable("Ah", 4.8), readable("s", 400_000), readable("V", 0.01)
    ((1000.0, 'mAh'), (1.0, 'Ah'), (1.1574074074074073e-05, 'd'), (1.0, 'V'))
    """
    if unit in ("Ah", "Wh", "A") and largest < _MILLI:
        return 1e3, f"m{unit}"
    if unit == "s":
        return next(((1 / seconds, name) for name, seconds, least in _SECONDS if largest > least), (1.0, "s"))
    return 1.0, unit


@dataclass(frozen=True)
class Scale:
    """In which units, and so by which factors, quantities are drawn."""

    factor: float
    unit: str
    along: float
    along_unit: str

    @classmethod
    def of(cls, choice: Choice, tables: Iterable[pl.DataFrame], beside: Iterable[pl.DataFrame] = ()) -> Scale:
        """Return the scale of tables of ``points``; those ``beside`` them share the axis below."""
        own = list(tables)
        factor, unit = readable(choice.unit, _largest(own, "y"))
        along, along_unit = readable(choice.axis_unit, _largest([*own, *beside], "x"))
        return cls(factor, unit, along, along_unit)

    def applied(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return a table of ``points`` in these units; numbers of cycles stay whole."""
        along = pl.col("x") if self.along == 1 else pl.col("x") * self.along
        return table.with_columns(along, pl.col("y") * self.factor)

    def place(self, choice: Choice) -> str:
        """Return what a label says of the place along the axis, as plotly's templates do."""
        counted = {
            "cycle": "cycle %{x}",
            "half": "half cycle %{x}",
            "full_cycles": "%{x:.6g} full cycles",
            "date": "%{x|%Y-%m-%d %H:%M}",
        }
        return counted.get(choice.against, f"%{{x:.6g}} {self.along_unit}")


def _largest(tables: Iterable[pl.DataFrame], name: str) -> float:
    return max(
        (float(each[name].cast(pl.Float64).abs().to_numpy().max()) for each in tables if each.height), default=0.0
    )
