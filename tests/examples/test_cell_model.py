"""The model keeps to its own equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytest import approx

from examples.cell_model import (
    GRAPHITE,
    GRAPHITE_LI,
    LFP,
    LFP_GRAPHITE,
    MNO2,
    NMC,
    NMC_GRAPHITE,
    ZN_MNO2,
    Ageing,
    Cell,
    Chemistry,
    Circuit,
    Design,
    Electrode,
)

CHEMISTRIES = [NMC_GRAPHITE, LFP_GRAPHITE, ZN_MNO2, GRAPHITE_LI]


def quiet_cell(chemistry: Chemistry = NMC_GRAPHITE, **changes: object) -> Cell:
    design = replace(Design(chemistry, 2.0, 0.03, 0.02, noise_volt=0.0), **changes)  # type: ignore[arg-type]
    return Cell(design, np.random.default_rng(1))


@pytest.mark.parametrize("electrode", [GRAPHITE, NMC, LFP, MNO2], ids=lambda each: each.name)
def test_the_galleries_of_an_electrode_hold_all_its_sites(electrode: Electrode) -> None:
    assert sum(gallery.share for gallery in electrode.galleries) == approx(1.0)
    assert electrode.occupancy(np.array([-5.0, 10.0])) == approx([1.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("chemistry", CHEMISTRIES, ids=lambda each: each.name)
def test_the_open_circuit_voltage_rises_from_the_lower_limit_to_the_upper(chemistry: Chemistry) -> None:
    voltage = chemistry.open_circuit_volt(np.linspace(0.0, 1.0, 500))
    assert np.all(np.diff(voltage) > 0)
    assert voltage[[0, -1]] == approx(chemistry.limits_volt, abs=2e-4)


@pytest.mark.parametrize("chemistry", CHEMISTRIES, ids=lambda each: each.name)
def test_a_constant_current_ends_at_the_voltage_limit(chemistry: Chemistry) -> None:
    cell = quiet_cell(chemistry)
    up = cell.constant_current(1.0, 30.0)
    assert up.voltage_volt[-1] == approx(chemistry.limits_volt[1], abs=1e-3)
    down = cell.constant_current(-1.0, 30.0)
    assert down.voltage_volt[-1] == approx(chemistry.limits_volt[0], abs=1e-3)


def test_charge_is_current_times_time_and_energy_its_integral_over_the_voltage() -> None:
    segment = quiet_cell().constant_current(1.0, 10.0)
    assert segment.charge_ah[-1] == approx(segment.time_second[-1] / 3600)
    assert segment.energy_wh[-1] == approx(np.trapezoid(segment.voltage_volt, segment.charge_ah))


def test_the_voltage_under_current_is_the_open_circuit_plus_both_overpotentials() -> None:
    cell = quiet_cell(ageing=Ageing(side_reactions=0.0))
    segment = cell.constant_current(1.0, 10.0)
    middle = segment.time_second.size // 2
    state = segment.charge_ah[middle] / 2.0
    expected = NMC_GRAPHITE.open_circuit_volt(np.array([state]))[0] + 0.03 * (1 + 5 * np.exp(-state / 0.06)) + 0.02
    assert segment.voltage_volt[middle] == approx(expected, abs=1e-6)


def test_a_hold_stays_at_the_limit_and_ends_at_its_current() -> None:
    cell = quiet_cell()
    charge = cell.constant_current(1.0, 10.0)
    hold = cell.constant_voltage(0.1, 1.0)
    assert set(hold.voltage_volt) == {4.2}
    assert hold.current_ampere[0] == approx(charge.current_ampere[-1], rel=0.02)
    assert np.all(np.diff(hold.current_ampere) < 0)
    assert hold.current_ampere[-1] == approx(0.1, rel=1e-3)
    assert hold.charge_ah[-1] == approx(np.trapezoid(hold.current_ampere, hold.time_second) / 3600, rel=1e-3)


def test_a_full_cell_cannot_be_held_and_says_so() -> None:
    cell = quiet_cell()
    cell.state_of_charge = 1.0
    with pytest.raises(ValueError, match=r"charged to 1\.0000 takes no 0\.1 A at 4\.2 V"):
        cell.constant_voltage(0.1, 1.0)


def test_at_rest_the_voltage_relaxes_to_the_open_circuit() -> None:
    cell = quiet_cell()
    cell.constant_current(1.0, 30.0)
    rest = cell.rest(3600.0, 60.0)
    assert rest.voltage_volt[0] > rest.voltage_volt[-1]
    assert rest.voltage_volt[-1] == approx(NMC_GRAPHITE.open_circuit_volt(np.array([cell.state_of_charge]))[0])
    assert not rest.current_ampere.any()


def test_losses_warm_the_cell_and_it_cools_at_rest() -> None:
    cell = quiet_cell()
    warmth = cell.constant_current(4.0, 30.0).temperature_celsius
    assert warmth[-1] > warmth[0] + 1
    assert cell.rest(7200.0, 60.0).temperature_celsius[-1] == approx(25.0, abs=0.2)


def test_capacity_fades_by_the_square_root_and_the_line() -> None:
    ageing = Ageing(root=0.01, linear=0.001)
    assert ageing.capacity_share(0) == 1.0
    assert ageing.capacity_share(100) == approx(1 - 0.01 * 10 - 0.001 * 100)
    assert ageing.resistance_factor(100) == approx(1 + ageing.resistance_growth * 0.2)


def test_beyond_the_knee_each_cycle_costs_the_knee_more() -> None:
    ageing = Ageing(root=0.0, linear=0.0, knee=0.005, knee_cycle=100, knee_width=5)
    assert ageing.capacity_share(20) == approx(1.0, abs=1e-5)
    assert ageing.capacity_share(180) - ageing.capacity_share(181) == approx(0.005, rel=1e-3)


@pytest.mark.parametrize(
    ("chemistry", "current", "stored_share"),
    [(NMC_GRAPHITE, 0.5, 0.99), (NMC_GRAPHITE, -0.5, 1.0), (GRAPHITE_LI, 0.5, 1.0), (GRAPHITE_LI, -0.5, 0.99)],
)
def test_side_reactions_cost_charging_a_full_cell_and_discharging_a_half_cell(
    chemistry: Chemistry, current: float, stored_share: float
) -> None:
    cell = quiet_cell(chemistry, ageing=Ageing(root=0.0, linear=0.0, side_reactions=0.01))
    cell.state_of_charge = 0.5
    moved = cell.constant_current(current, 30.0).charge_ah[-1]
    assert 2.0 * (cell.state_of_charge - 0.5) == approx(stored_share * moved)


def test_the_circuit_goes_from_its_series_resistance_to_the_sum_of_both() -> None:
    circuit = Circuit(r0_ohm=1.0, r1_ohm=2.0, cpe=1e-3, alpha=1.0, warburg=0.0)
    summit = 1 / (2 * np.pi * 2.0 * 1e-3)
    high, top, low = circuit.impedance(np.array([1e9, summit, 1e-9]))
    assert high == approx(1.0, abs=1e-5)
    assert top == approx(2.0 - 1.0j)
    assert low == approx(3.0)


def test_a_warburg_element_has_a_phase_of_minus_45_degrees() -> None:
    impedance = Circuit(0.0, 0.0, 1.0, 1.0, 5.0).impedance(np.array([0.1, 10.0]))
    assert np.degrees(np.angle(impedance)) == approx([-45.0, -45.0])
