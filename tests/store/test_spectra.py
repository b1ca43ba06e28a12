"""Tests with spectra are found, and what an analysis is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from battery_analysis.errors import AnalysisError, NotFoundError
from battery_analysis.store import Store, subjects
from battery_analysis.store.spectra import load_spectra, named, with_spectra
from tests.builders import cycling_frame, read_result, save

HERTZ = np.logspace(3, 0, 13)


def impedance_frame(sweeps: int) -> pl.DataFrame:
    """One ohm in series with an arc of two, so many times one after another."""
    ohm = 1 + 2 / (1 + 2j * np.pi * HERTZ * 0.01)
    one = {"frequency_hertz": HERTZ, "real_impedance_ohm": ohm.real, "imaginary_impedance_ohm": ohm.imag}
    times = {"test_time_second": np.arange(float(sweeps * HERTZ.size))}
    return pl.DataFrame({**times, **{name: np.tile(values, sweeps) for name, values in one.items()}})


def test_tests_with_spectra_are_found_by_words_and_hold_every_sweep(store: Store, tmp_path: Path) -> None:
    save(store, tmp_path, read_result(cycling_frame()), name="AB12.csv", sample="AB12")
    first = save(store, tmp_path, read_result(impedance_frame(2)), name="AB12_eis.csv", sample="AB12").id
    second = save(store, tmp_path, read_result(impedance_frame(1)), name="CD34_eis.csv", sample="CD34").id
    assert {test.id for test in with_spectra()} == {first, second}
    assert [test.id for test in with_spectra("cd34")] == [second]
    assert len(with_spectra(most=1)) == 1
    assert [test.id for test in named([str(second), "nonsense", str(first)])] == [second, first]
    spectra = load_spectra(store, first)
    assert [each.points for each in spectra] == [HERTZ.size, HERTZ.size]
    assert spectra[1].test_time_second == HERTZ.size


def test_a_test_without_spectra_says_so(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame()), name="AB12.csv", sample="AB12")
    with pytest.raises(AnalysisError, match=r"columns .* not found"):
        load_spectra(store, test.id)


def test_a_cell_with_several_tests_has_cycles_and_says_whose_records_are_wanted(store: Store, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(store, tmp_path, read_result(cycling_frame(3)), name=f"AB12_{name}.csv", sample="AB12")
    cell = subjects.of_cell(store, "AB12", "choose one")
    assert cell.cycles().height == 6
    with pytest.raises(AnalysisError, match="cell AB12 has 2 tests; choose one"):
        cell.frame()
    with pytest.raises(NotFoundError, match="no test has the cell code 'XY99'"):
        subjects.of_cell(store, "XY99")


def test_a_cell_with_one_test_is_that_test(store: Store, tmp_path: Path) -> None:
    test = save(store, tmp_path, read_result(cycling_frame(3)), name="AB12.csv", sample="AB12")
    cell, own = subjects.of_cell(store, "AB12"), subjects.of_test(store, str(test.id))
    assert cell.name == "AB12"
    assert cell.frame().equals(own.frame())
