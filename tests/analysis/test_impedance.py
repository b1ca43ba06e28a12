"""Spectra are taken out of frames whole and apart, whichever way they were swept."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from battery_analysis import read
from battery_analysis.analysis.impedance import Spectrum, landmarks, spectra
from battery_analysis.errors import AnalysisError
from tests.analysis.spectra import HERTZ, arc, battery, measured
from tests.realdata import real


def frame_of(*sweeps: list[float], **columns: object) -> pl.DataFrame:
    hertz = [each for sweep in sweeps for each in sweep]
    frame = pl.DataFrame({"frequency_hertz": hertz}).with_columns(
        real_impedance_ohm=1 + 1 / pl.col("frequency_hertz"), imaginary_impedance_ohm=-1 / pl.col("frequency_hertz")
    )
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


DOWN = [1000.0, 100.0, 10.0, 1.0]


def ends(frame: pl.DataFrame) -> list[tuple[int, int]]:
    return [(each.first_record, each.last_record) for each in spectra(frame)]


def test_sweeps_part_where_the_frequency_begins_again_or_turns_round() -> None:
    assert ends(frame_of(DOWN, DOWN, DOWN)) == [(0, 3), (4, 7), (8, 11)]
    assert ends(frame_of(DOWN[::-1], DOWN[::-1])) == [(0, 3), (4, 7)]
    assert ends(frame_of(DOWN, [2.0, 20.0, 200.0])) == [(0, 3), (4, 6)]
    assert ends(frame_of([1000.0, 100.0, 100.0, 10.0])) == [(0, 3)]


def test_sweeps_part_where_cycle_step_or_other_records_do() -> None:
    assert ends(frame_of(DOWN, [0.1, 0.01], cycle_count=[1] * 4 + [2] * 2)) == [(0, 3), (4, 5)]
    assert ends(frame_of(DOWN, [0.1, 0.01], step_count=[1] * 4 + [3] * 2)) == [(0, 3), (4, 5)]
    rest = frame_of([0.0]).with_columns(pl.all().replace({0.0: None}))
    assert ends(pl.concat([frame_of(DOWN), rest, frame_of([0.1, 0.01])])) == [(0, 3), (5, 6)]


def test_frequencies_in_no_order_are_one_spectrum() -> None:
    frame = frame_of([10.0, 1000.0, 1.0, 100.0, 50.0, 5000.0, 0.1])
    (spectrum,) = spectra(frame)
    assert spectrum.frequency.tolist() == [5000.0, 1000.0, 100.0, 50.0, 10.0, 1.0, 0.1]
    assert spectrum.impedance[0] == 1 + 1 / 5000 - 1j / 5000


def test_a_spectrum_knows_where_and_when_it_was_measured() -> None:
    frame = frame_of(DOWN, DOWN, cycle_count=[4] * 4 + [9] * 4, test_time_second=[float(n) for n in range(8)])
    second = spectra(frame)[1]
    assert (second.cycle_count, second.test_time_second, second.points) == (9, 4.0, 4)


@pytest.mark.parametrize(
    ("path", "count", "points"),
    [
        ("biologic/peis.mpr", 1, 32),
        ("gamry/exampleDataGamry.DTA", 1, 72),
        ("versastudio/exampleDataVersaStudio.par", 1, 61),
        ("parstat/exampleDataParstat.txt", 1, 31),
        ("maccor/maccor_test_file_4267-66-6519.EDA0001.041", 1, 60),
        ("chinstruments/exampleDataCHInstruments.txt", 1, 73),
    ],
)
def test_real_files_hold_whole_spectra(path: str, count: int, points: int) -> None:
    found = spectra(read(real(path)).frame)
    assert len(found) == count
    assert sum(each.points for each in found) == points


def test_the_ohmic_intercept_and_the_apexes_are_read_from_the_points() -> None:
    found = landmarks(measured(battery()))
    fine = np.logspace(4, 3, 2001)
    crossing = int(np.argmin(np.abs(battery(fine).imag)))
    assert found.ohmic_frequency_hertz == pytest.approx(fine[crossing], rel=0.02)
    assert found.ohmic_resistance_ohm == pytest.approx(battery(fine)[crossing].real, rel=0.005)
    two = landmarks(measured(1 + arc(2.0, 1e-3) + arc(3.0, 1.0)))
    assert two.apexes["frequency_hertz"].to_list() == pytest.approx([159.2, 0.1592], rel=0.15)
    assert two.ohmic_resistance_ohm is None


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pl.DataFrame({"voltage_volt": [3.0]}), "columns .* not found"),
        (frame_of([0.0, 0.0]), "none of 2 records"),
        (frame_of(DOWN).with_columns(real_impedance_ohm=pl.lit(None, pl.Float64)), "none of 4 records"),
        (frame_of(DOWN).clear(), "none of 0 records"),
    ],
)
def test_a_frame_without_spectra_is_an_error(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        spectra(frame)


def test_numbers_that_are_no_spectrum_are_refused() -> None:
    with pytest.raises(AnalysisError, match="2 frequencies and 1 impedance"):
        Spectrum.of([1.0, 2.0], [1.0])
    with pytest.raises(AnalysisError, match="must be positive"):
        Spectrum.of([1.0, 0.0], [1.0, 1.0])
    with pytest.raises(AnalysisError, match="3 different frequencies, at least 5 needed"):
        landmarks(Spectrum.of([3.0, 2.0, 1.0], [1.0, 1.0, 1.0]))
    with pytest.raises(AnalysisError, match="the impedance is zero at 10000 Hz"):
        landmarks(Spectrum.of(HERTZ, np.zeros(HERTZ.size)))
