"""A test that a model made is simulated back by the same model; everything else shows in the residuals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.protocol import protocol
from battery_analysis.analysis.simulation import experiment_steps, simulate
from battery_analysis.errors import AnalysisError
from tests.analysis.programmed import ProgrammedCell

pybamm = pytest.importorskip("pybamm")

SET = "Chen2020"


def made(steps: Sequence[str], soc: float, model: str = "SPM", every: float = 20.0) -> pl.DataFrame:
    """Records of a cell of the parameter set, made by PyBaMM's own experiments."""
    experiment = pybamm.Experiment([(step,) for step in steps], period=f"{every} seconds")
    simulation = pybamm.Simulation(
        getattr(pybamm.lithium_ion, model)(), parameter_values=pybamm.ParameterValues(SET), experiment=experiment
    )
    solution = simulation.solve(initial_soc=soc)
    parts, begun = [], 0.0
    for number, cycle in enumerate(solution.cycles, start=1):
        seconds, volt, current = (cycle[name].entries for name in ("Time [s]", "Voltage [V]", "Current [A]"))
        later = np.flatnonzero(seconds > begun + 1e-6) if number > 1 else np.arange(seconds.size)
        parts.append(
            pl.DataFrame(
                {
                    "test_time_second": seconds[later],
                    "voltage_volt": volt[later],
                    "current_ampere": -current[later],
                    "step_count": np.full(later.size, number),
                }
            )
        )
        begun = float(seconds[-1])
    return pl.concat(parts)


PULSES = made(
    [
        "Rest for 600 seconds",
        "Discharge at 2.5 A for 1800 seconds",
        "Rest for 900 seconds",
        "Charge at 1 A for 900 seconds",
    ],
    0.8,
)


def test_what_a_model_made_is_simulated_back_within_a_millivolt() -> None:
    found = simulate(PULSES, SET, model="SPM")
    assert found.ended_by == "all records"
    assert found.table.height == found.asked == PULSES.height
    assert found.residuals.largest_volt < 2e-3
    assert found.residuals.rms_volt < 3e-4
    assert found.initial_state.startswith("open-circuit voltage 4.0")
    assert found.cutoffs_volt == (2.5, 4.2)


def test_an_offset_of_the_voltage_is_the_mean_residual() -> None:
    shifted = PULSES.with_columns(pl.col("voltage_volt") + 0.05)
    found = simulate(shifted, SET, model="SPM", initial_soc=0.8)
    assert found.residuals.mean_volt == pytest.approx(0.05, abs=5e-4)
    assert found.residuals.records == PULSES.height


def test_another_model_differs_and_says_by_how_much() -> None:
    assert simulate(PULSES, SET, model="DFN").residuals.rms_volt > 3e-3


def test_the_simulation_ends_at_the_cut_off_and_says_so() -> None:
    second = np.arange(0.0, 7200.0, 60.0)
    frame = pl.DataFrame(
        {
            "test_time_second": second,
            "voltage_volt": np.linspace(4.0, 3.0, second.size),
            "current_ampere": np.where(second < 600, 0.0, -5.0),
            "step_count": (second >= 600).astype(int),
        }
    )
    found = simulate(frame, SET, model="SPM", initial_soc=0.5)
    assert found.ended_by == "lower voltage cut-off"
    assert 600 < found.ended_at_second < 3000
    assert found.table.height < found.asked == second.size
    assert found.table["simulated_volt"].min() >= 2.5


def test_nothing_is_simulated_over_missing_records() -> None:
    numbered = PULSES.with_columns(record_index=pl.int_range(1, pl.len() + 1))
    frame = pl.concat([numbered[:80], numbered[100:]])
    found = simulate(frame, SET, model="SPM")
    assert (found.ended_by, found.table.height, found.asked) == ("records are missing", 80, frame.height)


def test_some_records_can_be_chosen() -> None:
    found = simulate(PULSES, SET, model="SPM", first_record=10, last_record=60)
    assert found.table["record"].to_list() == list(range(10, 61))
    assert found.residuals.largest_volt < 2e-3


def test_a_cell_of_another_size_is_scaled() -> None:
    half = PULSES.with_columns(pl.col("current_ampere") / 2)
    found = simulate(half, SET, model="SPM", nominal_capacity_ah=2.5)
    assert found.scale == 2.0
    assert found.residuals.largest_volt < 2e-3
    assert found.table["current_ampere"].min() == pytest.approx(-1.25)


def test_records_at_one_time_count_once() -> None:
    doubled = pl.concat([PULSES[:50], PULSES[49:]])
    found = simulate(doubled, SET, model="SPM")
    assert found.table.height == PULSES.height
    assert found.residuals.largest_volt < 2e-3


def test_the_steps_of_a_test_are_an_experiment() -> None:
    cell = ProgrammedCell().rest(60)
    for depth in (3.0, 3.1):
        cell.charge(0.5).hold(4.2, 0.1).rest(600).discharge(0.5, depth).next_cycle()
    steps = experiment_steps(protocol(cell.frame()))
    assert steps[1].startswith("Charge at 1 A for ")
    assert steps[1].endswith(" seconds or until 4.2 V")
    assert [step.split(" at ")[0].split(" for ")[0] for step in steps] == [
        *("Rest", "Charge", "Hold", "Rest", "Discharge"),
        *("Charge", "Hold", "Rest", "Discharge"),
    ]
    assert len(pybamm.Experiment(steps).steps) == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameter_set": "Chen2021"}, "no parameter set 'Chen2021'; there are Ai2020"),
        ({"parameter_set": "Sulzer2019"}, "is of lead_acid, not of a lithium-ion cell"),
        (
            {"parameter_set": "Ecker2015_graphite_halfcell", "initial_soc": 0.5},
            "Ecker2015_graphite_halfcell does not fit SPM",
        ),
        ({"model": "P2D"}, "model must be one of SPM, SPMe, DFN, got 'P2D'"),
        ({"first_record": 60}, "the first record is not at rest but at -2.5 A; initial_soc is needed"),
        ({"first_record": 5, "last_record": 5}, "records 5 to 5 are no range within"),
        ({"initial_soc": 1.5}, "initial_soc must lie between 0 and 1, got 1.5"),
        ({"nominal_capacity_ah": 0.0}, "nominal_capacity_ah must be positive, got 0.0"),
        ({"initial_soc": 0.0, "first_record": 60}, "simulation: SPM with Chen2020 from 0.0"),
    ],
)
def test_what_cannot_be_simulated_says_why(options: dict[str, object], message: str) -> None:
    wanted = {"parameter_set": SET, "model": "SPM", **options}
    with pytest.raises(AnalysisError, match=message):
        simulate(PULSES, **wanted)  # type: ignore[arg-type]


def test_a_voltage_outside_of_the_cut_offs_is_no_beginning() -> None:
    with pytest.raises(AnalysisError, match=r"within the parameter set's cut-offs, 2.5 to 4.2 V, got 4.5"):
        simulate(PULSES.with_columns(voltage_volt=pl.lit(4.5)), SET)
