"""Which half is divided by which is a convention, decided by what is known of the cell."""

import polars as pl
import pytest

from battery_analysis.analysis.cycles import EfficiencyConvention, summarise_cycles
from battery_analysis.analysis.efficiency import efficiency_convention, with_efficiencies
from tests.analysis.cells import Step, logged


@pytest.fixture
def discharge_first() -> pl.DataFrame:
    halves = [(-1.0, 1), (1.0, 1), (-0.9, 2), (1.0, 2), (-0.8, 3), (1.0, 3), (0.0, 3)]
    return summarise_cycles(logged([Step(current, 3600, cycle) for current, cycle in halves], 60.0))


@pytest.mark.parametrize(
    ("cell_type", "convention"),
    [
        (None, "same_cycle"),
        ("half_positive", "same_cycle"),
        ("symmetric", "same_cycle"),
        ("full", "previous_charge"),
        ("half_negative", "charge_per_discharge"),
    ],
)
def test_the_cell_decides(discharge_first: pl.DataFrame, cell_type: str | None, convention: str) -> None:
    assert efficiency_convention(discharge_first, cell_type) == convention


def test_a_full_cell_that_starts_with_charge_is_counted_within_the_cycle() -> None:
    cycles = summarise_cycles(logged([Step(0.0, 60), Step(1.0, 3600), Step(-1.0, 3600)], 60.0))
    assert efficiency_convention(cycles, "full") == "same_cycle"


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("same_cycle", [1.0, 0.9, 0.8]),
        ("previous_charge", [None, 0.9, 0.8]),
        ("charge_per_discharge", [1.0, 1 / 0.9, 1 / 0.8]),
    ],
)
def test_conventions(
    discharge_first: pl.DataFrame, convention: EfficiencyConvention, expected: list[float | None]
) -> None:
    cycles = with_efficiencies(discharge_first, convention)
    assert cycles["coulombic_efficiency"].to_list() == pytest.approx(expected)
    assert cycles["energy_efficiency"].to_list() == pytest.approx(expected)
    assert cycles["voltage_efficiency"].to_list() == pytest.approx([value and 1.0 for value in expected])
    assert cycles.columns == discharge_first.columns


def test_without_a_divisor_there_is_no_efficiency() -> None:
    cycles = summarise_cycles(logged([Step(-1.0, 3600), Step(0.0, 60)], 60.0), finished=True)
    assert cycles["coulombic_efficiency"].to_list() == [None]
