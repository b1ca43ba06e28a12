"""Resistances of a cell whose response is known are found at every time that the records resolve, and at no other."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from battery_analysis import read
from battery_analysis.analysis.pulses import pulses, resistance_name
from battery_analysis.errors import AnalysisError
from tests.realdata import real

OHMIC, ARC, ARC_SECONDS, SLOW = 0.020, 0.010, 2.0, 0.0015
CAPACITY = 2.0


def resistance(seconds: float) -> float:
    """Ohmic part, an arc, and a diffusion term that grows with the square root of time, in ohm."""
    return float(OHMIC + ARC * (1 - np.exp(-seconds / ARC_SECONDS)) + SLOW * np.sqrt(seconds))


def hppc(
    *,
    every: float = 0.1,
    pulse_seconds: float = 30.0,
    noise_volt: float = 0.0,
    current_noise: float = 0.0,
    levels: int = 9,
    first: float = 0.0,
) -> pl.DataFrame:
    """A full cell: at each level a discharge pulse, a rest, a charge pulse, a rest, then a tenth of the capacity out.

    Responses are summed up over all steps of the current, so that each rest still relaxes when the next pulse begins.
    """
    steps = [(0.0, 600.0)]
    for _ in range(levels):
        steps += [
            (-2.0, pulse_seconds),
            (0.0, 3600.0),
            (1.5, pulse_seconds),
            (0.0, 3600.0),
            (-1.0, 720.0),
            (0.0, 3600.0),
        ]
    rows, begun = [], 0.0
    edges, sizes = [], []
    before = 0.0
    for number, (current, seconds) in enumerate(steps, start=1):
        edges.append(begun)
        sizes.append(current - before)
        before = current
        fine = np.arange(first or every, min(seconds, 60.0) + 1e-9, every)
        within = np.unique(np.round(np.concatenate((fine, np.arange(60.0, seconds, 30.0), [seconds])), 9))
        time = begun + within
        since = time[:, None] - np.array(edges)[None, :]
        response = OHMIC + ARC * (1 - np.exp(-since / ARC_SECONDS)) + SLOW * np.sqrt(since)
        rows.append(
            pl.DataFrame(
                {
                    "test_time_second": time,
                    "voltage_volt": 3.0 + response @ np.array(sizes),
                    "current_ampere": np.full(time.size, current),
                    "step_count": np.full(time.size, number),
                    "step_time_second": within,
                }
            )
        )
        begun += seconds
    frame = pl.concat(rows)
    noise = np.random.default_rng(5).normal(0.0, 1.0, frame.height) * noise_volt
    share = 1 + current_noise * np.random.default_rng(6).normal(size=frame.height)
    return frame.with_columns(
        voltage_volt=pl.col("voltage_volt") + pl.Series(noise),
        current_ampere=pl.col("current_ampere") * pl.Series(share),
    )


def short(table: pl.DataFrame) -> pl.DataFrame:
    """The pulses proper: not the interruptions, nor the steps between the levels."""
    return table.filter(pl.col("from_rest") & (pl.col("duration_second") < 60))


@pytest.mark.parametrize(("noise", "error"), [(0.0, 0.0), (1e-4, 1.0)])
def test_a_known_response_is_found_at_every_level(noise: float, error: float) -> None:
    table = short(pulses(hppc(noise_volt=noise, current_noise=noise), capacity_ah=CAPACITY))
    assert table["direction"].to_list() == ["discharge", "charge"] * 9
    expected_error = np.sqrt(2) * noise / np.abs(table["current_after_ampere"].to_numpy())
    assert table["r_error_ohm"].to_numpy() == pytest.approx(expected_error, rel=0.8, abs=2e-6)
    for seconds in (0.1, 1.0, 10.0, 30.0):
        off = table[resistance_name(seconds)].to_numpy() - resistance(seconds)
        # What still relaxes from the step before shows in half an hour as less than 0.5 mOhm.
        assert np.abs(off).max() < 5e-4 + 4 * error * expected_error.max()
    assert table["reason"].null_count() == table.height


def test_state_of_charge_follows_the_charge() -> None:
    given = short(pulses(hppc(levels=3), capacity_ah=CAPACITY))
    assert given["soc"].to_list()[0] == pytest.approx(1.0)
    after_first = 1 - (2 * 30 - 1.5 * 30 + 720) / 3600 / CAPACITY
    assert given.filter(pl.col("direction") == "discharge")["soc"][1] == pytest.approx(after_first, abs=1e-6)
    counted_on = short(pulses(hppc(levels=3), capacity_ah=CAPACITY, initial_soc=0.5))
    assert counted_on["soc"].to_list() == pytest.approx([soc - 0.5 for soc in given["soc"]])


def test_without_a_capacity_that_of_the_test_counts_if_it_is_one() -> None:
    whole = short(pulses(hppc()))
    assert whole["soc"][0] == pytest.approx(1.0)
    assert whole["soc"][-1] == pytest.approx(0.105, abs=0.02)
    lone = pulses(hppc(levels=1).filter(pl.col("step_count") <= 3))
    assert lone["soc"].null_count() == lone.height
    assert "less charge than 10 pulses" in lone["reason"][0]


def test_a_time_that_is_not_logged_is_null_with_the_reason() -> None:
    table = short(pulses(hppc(every=1.0, pulse_seconds=18.0, levels=1)))
    first = table.row(0, named=True)
    assert first["r_0_1s_ohm"] is None
    assert first["r_1s_ohm"] == pytest.approx(resistance(1.0), abs=1e-6)
    assert first["r_10s_ohm"] == pytest.approx(resistance(10.0), abs=1e-6)
    assert first["r_30s_ohm"] is None
    assert "0.1 s: the first record of the pulse is at 1 s" in first["reason"]
    assert "30 s: the pulse ends after 18 s" in first["reason"]


def test_between_two_near_records_the_square_root_of_time_is_interpolated() -> None:
    table = short(pulses(hppc(every=0.4, levels=1), times_second=[1.0, 10.0]))
    assert table["r_1s_ohm"][0] == pytest.approx(resistance(1.0), abs=1e-4)
    sparse = short(pulses(hppc(every=7.0, levels=1), times_second=[10.0]))
    assert sparse["r_10s_ohm"][0] is None
    assert "no record between 7 s and 14 s" in sparse["reason"][0]


def test_a_pulse_that_reaches_a_limit_has_no_resistance_from_then_on() -> None:
    limited = hppc(levels=1).with_columns(
        current_ampere=pl.when((pl.col("step_count") == 2) & (pl.col("step_time_second") > 20))
        .then(-2.0 * 0.9 ** (pl.col("step_time_second") - 20))
        .otherwise(pl.col("current_ampere"))
    )
    first = pulses(limited).row(0, named=True)
    assert first["r_10s_ohm"] is not None
    assert first["r_30s_ohm"] is None
    assert "30 s: the current is -0.697357 A instead of -2 A" in first["reason"]


def test_records_lost_before_a_pulse_make_it_unknown() -> None:
    frame = hppc(levels=1).with_row_index("record_index", offset=1).with_columns(pl.col("record_index").cast(pl.Int64))
    edge = frame["step_count"].index_of(2)
    assert edge is not None
    holed = frame.filter(~pl.col("record_index").is_between(edge - 20, edge + 3))
    first = pulses(holed).row(0, named=True)
    assert first["r_10s_ohm"] is None
    assert "records are missing before the pulse" in first["reason"]
    assert "soc: records are missing earlier" in pulses(holed, capacity_ah=2.0)["reason"][2]


def test_a_voltage_that_drifts_before_the_pulse_is_no_beginning() -> None:
    frame = hppc(levels=1)
    pulse = frame.filter(pl.col("step_count") == 2)
    rest = pl.DataFrame(
        {
            "test_time_second": [0.0, 200.0],
            "voltage_volt": [3.2, 3.1],
            "current_ampere": [0.0, 0.0],
            "step_count": [1, 1],
        }
    ).with_columns(step_time_second=pl.col("test_time_second"))
    table = pulses(pl.concat([rest, pulse], how="diagonal"))
    assert table["r_10s_ohm"][0] is None
    assert "drifted" in table["reason"][0]


def test_pulses_are_found_without_steps_too() -> None:
    with_steps = short(pulses(hppc(levels=2), capacity_ah=2.0))
    without = short(pulses(hppc(levels=2).drop("step_count", "step_time_second"), capacity_ah=2.0))
    assert without["direction"].to_list() == with_steps["direction"].to_list()
    assert without["r_10s_ohm"].to_list() == pytest.approx(with_steps["r_10s_ohm"].to_list(), rel=1e-9)


def test_pulses_within_one_step_are_found_but_no_taper_is() -> None:
    frame = hppc(levels=2)
    one_step = frame.with_columns(step_count=pl.lit(1), step_time_second=pl.col("test_time_second"))
    within = short(pulses(one_step, capacity_ah=2.0))
    assert within["r_10s_ohm"].to_list() == pytest.approx(short(pulses(frame))["r_10s_ohm"].to_list(), rel=1e-9)
    taper = frame.filter(pl.col("step_count") == 4).with_columns(
        current_ampere=1.5 * 0.8 ** pl.col("step_time_second"), step_count=pl.lit(1)
    )
    with pytest.raises(AnalysisError, match="never steps"):
        pulses(taper[::10])


def test_real_pulses_of_one_record_each_resolve_nothing() -> None:
    with pytest.raises(AnalysisError, match="never steps"):
        pulses(read(real("neware/2-1-6_61[07005012].nda")).frame)


def test_real_interruptions_of_a_diagnostic_cycle() -> None:
    table = pulses(read(real("maccor/xTESLADIAG_000038con.078")).frame, times_second=[10.0, 30.0], capacity_ah=4.84)
    interrupted = table.filter(pl.col("direction") == "rest")
    assert interrupted["r_10s_ohm"].null_count() == interrupted.height  # logged at 0.01 s and 30.01 s
    strong = interrupted.filter(pl.col("current_before_ampere") < -4)
    assert strong.height == 8
    assert strong["r_30s_ohm"].is_between(0.030, 0.036).all()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pl.DataFrame({"test_time_second": [0.0, 1.0], "voltage_volt": [3.0, 3.0]}), "current_ampere not found"),
        (
            pl.DataFrame({"test_time_second": [0.0], "voltage_volt": [3.0], "current_ampere": [None]}),
            "current_ampere is empty",
        ),
        (
            pl.DataFrame({"test_time_second": [0.0, 1.0], "voltage_volt": [3.0, 3.0], "current_ampere": [0.0, 0.0]}),
            "current_ampere is zero in 2 records",
        ),
        (
            pl.DataFrame({"test_time_second": [0.0, 1.0], "voltage_volt": [3.0, 3.1], "current_ampere": [1.0, 1.0]}),
            "the current never steps",
        ),
    ],
)
def test_what_has_no_pulses_is_an_error(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        pulses(frame.with_columns(pl.all().cast(pl.Float64)))


@pytest.mark.parametrize("asked", [{"times_second": [0.0]}, {"capacity_ah": -1.0}, {"initial_soc": 2.0}])
def test_arguments_that_make_no_sense_are_refused(asked: dict[str, object]) -> None:
    with pytest.raises(AnalysisError, match=next(iter(asked))):
        pulses(hppc(levels=1), **asked)  # type: ignore[arg-type]
