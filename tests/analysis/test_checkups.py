"""Formation and check-ups are found where they were put, each with its reason, and nowhere else."""

import polars as pl
import pytest

from battery_analysis.analysis.checkups import ageing_cycles, mark_cycles
from battery_analysis.errors import AnalysisError


def table(rates: list[float], *, capacity: float = 1.0, first_efficiency: float = 0.85) -> pl.DataFrame:
    """Cycles of full depth at these currents in A."""
    count = len(rates)
    return pl.DataFrame(
        {
            "cycle_count": range(1, count + 1),
            "discharge_capacity_ah": [capacity * (1 - 2e-4 * cycle) for cycle in range(count)],
            "discharge_time_second": [capacity * (1 - 2e-4 * n) / rate * 3600 for n, rate in enumerate(rates)],
            "min_voltage_volt": [3.0] * count,
            "max_voltage_volt": [4.2] * count,
            "coulombic_efficiency": [first_efficiency] + [0.999] * (count - 1),
        }
    )


def roles(marks: pl.DataFrame) -> dict[str, list[int]]:
    return {
        role: marks.filter(pl.col("role") == role)["cycle_count"].to_list()
        for role in ("formation", "checkup")
        if (marks["role"] == role).any()
    }


def test_formation_and_check_ups_of_an_aging_test() -> None:
    rates = [0.1] * 3 + ([1.0] * 25 + [0.2]) * 4 + [1.0] * 3
    marks = mark_cycles(table(rates), nominal_capacity_ah=1.0)
    assert roles(marks) == {"formation": [1, 2, 3], "checkup": [29, 55, 81, 107]}
    reasons = marks["reason"]
    assert reasons[0] == (
        "discharged at 0.1 A, 0.1 times the 1 A of 103 of 110 cycles; "
        "the test begins with 3 slow cycles, the first with a coulombic efficiency of 0.850"
    )
    assert reasons[28] == (
        "discharged at 0.2 A, 0.2 times the 1 A of 103 of 110 cycles; such cycles come 4 times, every 26 cycles"
    )
    assert reasons[10] == "like most cycles"
    assert marks["c_rate"][28] == pytest.approx(0.2)


def test_a_cell_that_was_formed_elsewhere_begins_with_a_check_up() -> None:
    rates = ([0.1] + [1.0] * 20) * 3
    formed, unformed = (mark_cycles(table(rates, first_efficiency=value)) for value in (0.998, 0.85))
    assert roles(formed) == {"checkup": [1, 22, 43]}
    assert roles(unformed) == {"formation": [1], "checkup": [22, 43]}
    assert "2 times, every 21 cycles" in unformed["reason"][21]


def test_a_check_up_of_several_rates_is_one() -> None:
    rates = [1.0] * 20 + [0.1, 0.3, 2.0] + [1.0] * 20 + [2.0] * 2 + [1.0] * 5
    marks = mark_cycles(table(rates))
    assert roles(marks) == {"checkup": [21, 22, 23]}
    assert marks["reason"][21].endswith("; the only such cycles")
    assert marks["role"].to_list()[42:47] == ["cycling", "other_rate", "other_rate", "cycling", "cycling"]
    assert marks["reason"][43] == "discharged at 2 A, 2 times the 1 A of 45 of 50 cycles"


def test_full_cycles_among_shallow_ones_are_check_ups() -> None:
    shallow = table([1.0] * 40, capacity=0.3).with_columns(min_voltage_volt=pl.lit(3.6), max_voltage_volt=pl.lit(3.9))
    full = table([1.0] * 40)
    cycles = pl.concat([shallow, full]).filter(
        (pl.col("cycle_count") % 10 == 0) == (pl.col("discharge_capacity_ah") > 0.5)
    )
    marks = mark_cycles(cycles.sort("cycle_count"))
    assert roles(marks) == {"checkup": [10, 20, 30, 40]}
    assert "and deeper than they are; such cycles come 4 times, every 10 cycles" in marks["reason"][9]


@pytest.mark.parametrize("rate", [0.3, 0.75, 1.5, 3.0])
def test_a_long_stretch_at_another_rate_is_no_ageing(rate: float) -> None:
    cycles = table([1.0] * 20 + [rate] * 8 + [1.0] * 20)
    marks = mark_cycles(cycles)
    assert roles(marks) == {}
    assert marks.filter(role="other_rate")["cycle_count"].to_list() == list(range(21, 29))
    ageing = ageing_cycles(cycles)
    assert ageing.left_out == {"other_rate": list(range(21, 29))}
    assert ageing.cycles.height == 40


def test_currents_that_hardly_differ_are_one_rate() -> None:
    marks = mark_cycles(table([1.0] * 20 + [0.87] * 8 + [1.0] * 20))
    assert set(marks["role"]) == {"cycling"}


def test_a_long_slow_stretch_has_its_reason() -> None:
    marks = mark_cycles(table([1.0] * 20 + [0.3] * 8 + [1.0] * 20))
    assert marks["reason"][22].endswith("8 such cycles in a row are no check-up")


def test_a_rate_test_has_no_usual_rate() -> None:
    marks = mark_cycles(table([0.1] * 3 + [0.2] * 3 + [0.5] * 3 + [1.0] * 3))
    assert marks["role"].null_count() == 12
    assert marks["reason"][0] == "no rate is usual: the most common one has 3 of 12 cycles"


def test_a_rate_test_before_the_ageing_is_left_out() -> None:
    rates = [rate for rate in (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 0.2) for _ in range(3)]
    ageing = ageing_cycles(table(rates + [1.0] * 100))
    assert ageing.left_out == {"formation": list(range(1, 10)), "other_rate": list(range(13, 22))}
    assert ageing.cycles["cycle_count"].to_list() == [10, 11, 12, *range(22, 122)]


def test_a_rate_test_alone_tells_nothing_of_ageing() -> None:
    with pytest.raises(AnalysisError, match="no rate is usual: the most common one has 3 of 12 cycles; capacities at"):
        ageing_cycles(table([0.1] * 3 + [0.2] * 3 + [0.5] * 3 + [1.0] * 3))
    assert ageing_cycles(table([0.1, 0.2, 0.5])).cycles.height == 3


def test_cycles_that_discharged_nothing_are_not_judged() -> None:
    row = pl.int_range(pl.len())
    cycles = table([1.0] * 8).with_columns(
        discharge_capacity_ah=pl.when(row == 3).then(None).when(row == 7).then(0.0).otherwise("discharge_capacity_ah"),
        discharge_time_second=pl.when(row == 7).then(0.0).otherwise("discharge_time_second"),
    )
    marks = mark_cycles(cycles.drop("coulombic_efficiency"))
    assert [place for place, role in enumerate(marks["role"]) if role is None] == [3, 7]
    assert marks["reason"][7] == "nothing was discharged"
    assert mark_cycles(cycles.head(0)).height == 0
    with pytest.raises(AnalysisError, match=r"columns \['max_voltage_volt'\] not found"):
        mark_cycles(cycles.drop("max_voltage_volt"))
    with pytest.raises(AnalysisError, match="nominal_capacity_ah must be above 0, got -1"):
        mark_cycles(cycles, nominal_capacity_ah=-1.0)
