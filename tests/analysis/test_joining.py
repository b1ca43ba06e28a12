"""Files of one run are put behind one another without mixing their cycles."""

from __future__ import annotations

import polars as pl

from battery_analysis.analysis.joining import CYCLE_OF_SPECTRUM, join


def test_numbers_that_go_on_stay_as_they_are() -> None:
    run = join([pl.DataFrame({"cycle_count": [1, 1, 2]}), pl.DataFrame({"cycle_count": [2, 3]})])
    assert run.to_dict(as_series=False) == {"cycle_count": [1, 1, 2, 2, 3]}


def test_numbers_that_begin_anew_are_counted_on_from_one() -> None:
    parts = [[0, 0, 1], [0, 1, 2], [2, 3]]
    run = join([pl.DataFrame({"cycle_count": part}) for part in parts])
    assert run["cycle_count"].to_list() == [0, 0, 1, 0, 1, 2, 2, 3]
    assert run["derived_cycle_count"].to_list() == [1, 1, 2, 3, 4, 5, 5, 6]


def test_a_spectrum_between_cycles_has_no_number_of_its_own() -> None:
    cycling = pl.DataFrame({"cycle_count": [0, 1], "current_ampere": [1.0, -1.0]})
    spectrum = pl.DataFrame({"cycle_count": [0, 0], "frequency_hertz": [10.0, 1.0]})
    run = join([spectrum, cycling, spectrum])
    assert run["cycle_count"].to_list() == [None, None, 0, 1, None, None]
    assert run[CYCLE_OF_SPECTRUM].to_list() == [0, 0, None, None, 0, 0]
    assert run["frequency_hertz"].to_list() == [10.0, 1.0, None, None, 10.0, 1.0]


def test_a_run_of_spectra_alone_keeps_their_numbers() -> None:
    spectra = [pl.DataFrame({"cycle_count": [cycle], "frequency_hertz": [1.0]}) for cycle in (1, 2)]
    assert join(spectra)["cycle_count"].to_list() == [1, 2]


def test_parts_without_numbers_stand_between_others() -> None:
    rest = pl.DataFrame({"voltage_volt": [3.0]})
    cycles = pl.DataFrame({"cycle_count": [0, 1]})
    run = join([rest, cycles, rest, cycles])
    assert run["derived_cycle_count"].to_list() == [None, 1, 2, None, 3, 4]
