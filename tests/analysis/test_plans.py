"""Matrices have the properties that designs promise."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from battery_analysis.analysis.plans import (
    MOST_CELLS,
    Factor,
    fractional_factorial,
    full_factorial,
    latin_hypercube,
    parse_factor,
)
from battery_analysis.errors import AnalysisError


def two_levels(count: int) -> list[Factor]:
    return [Factor(f"factor {number}", (-1.0, 1.0)) for number in range(count)]


def signs(cells: tuple[tuple[object, ...], ...]) -> np.ndarray:
    return np.array(cells, dtype=float)


def test_a_full_factorial_holds_every_combination_once_a_replicate() -> None:
    factors = [Factor("salt", ("A", "B", "C")), Factor("ratio", (1.0, 2.0))]
    design = full_factorial(factors, replicates=2)
    assert sorted(design.cells) == sorted([*product("ABC", (1.0, 2.0))] * 2)


@pytest.mark.parametrize(
    ("count", "resolution", "cells"),
    # The smallest fractions in the tables of designs, as every textbook has them.
    [(3, 3, 4), (7, 3, 8), (8, 4, 16), (5, 5, 16), (6, 4, 16), (8, 5, 64), (9, 5, 128), (10, 4, 32), (11, 3, 16)],
)
def test_the_smallest_fraction_of_a_resolution_is_found(count: int, resolution: int, cells: int) -> None:
    design = fractional_factorial(two_levels(count), resolution=resolution)
    assert len(design.cells) == len(set(design.cells)) == cells
    assert design.resolution >= resolution


@pytest.mark.parametrize(("count", "resolution"), [(5, 3), (7, 3), (6, 4), (8, 4), (5, 5)])
def test_effects_are_confounded_only_as_the_resolution_says(count: int, resolution: int) -> None:
    design = fractional_factorial(two_levels(count), resolution=resolution)
    table = signs(design.cells)
    for order in range(1, design.resolution):  # no product of fewer factors than the resolution is constant
        for chosen in combinations(range(count), order):
            assert table[:, chosen].prod(axis=1).sum() == 0
    constant = [
        chosen
        for chosen in combinations(range(count), design.resolution)
        if abs(table[:, chosen].prod(axis=1).sum()) == len(table)
    ]
    assert constant


def test_generators_say_how_factors_are_made() -> None:
    design = fractional_factorial(two_levels(5), generators=["d = ab", "E=-AC"])
    table = signs(design.cells)
    assert (table[:, 3] == table[:, 0] * table[:, 1]).all()
    assert (table[:, 4] == -table[:, 0] * table[:, 2]).all()
    assert design.words == ("-ACE", "ABD", "-BCDE") or set(design.words) == {"ABD", "-ACE", "-BCDE"}
    assert (design.generators, design.resolution, len(design.cells)) == (("D=AB", "E=-AC"), 3, 8)


@pytest.mark.parametrize("runs", [2, 7, 40, 1500])
def test_a_latin_hypercube_meets_each_part_of_each_range_once(runs: int) -> None:
    factors = [Factor("loading", low=2.0, high=6.0), Factor("temperature", low=-20.0, high=60.0)]
    table = np.array(latin_hypercube(factors, runs, seed=3).cells)
    for column, factor in enumerate(factors):
        part = np.floor((table[:, column] - factor.low) / (factor.high - factor.low) * runs)
        assert sorted(part) == list(range(runs))


def test_a_latin_hypercube_comes_again_from_its_seed_and_shares_levels_out() -> None:
    factors = [Factor("salt", ("A", "B")), Factor("loading", low=2.0, high=6.0)]
    one, again, other = (latin_hypercube(factors, 10, seed=seed) for seed in (1, 1, 2))
    assert one.cells == again.cells != other.cells
    assert [cell[0] for cell in one.cells].count("A") == 5


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("electrolyte=LP30, LP57", Factor("electrolyte", ("LP30", "LP57"))),
        ("ratio=1,2.5,1e-3", Factor("ratio", (1.0, 2.5, 0.001))),
        ("temperature=-20..60", Factor("temperature", low=-20.0, high=60.0)),
        ("x=1e-3..1e-2", Factor("x", low=0.001, high=0.01)),
        ("binder=PVDF..HFP,CMC", Factor("binder", ("PVDF..HFP", "CMC"))),
    ],
)
def test_factors_are_read_as_they_are_typed(text: str, factor: Factor) -> None:
    assert parse_factor(text) == factor


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("electrolyte", "NAME=LEVEL,LEVEL or NAME=LOW..HIGH wanted, got 'electrolyte'"),
        ("=1,2", "a factor has no name"),
        ("x=1,,2", "factor x: an empty level"),
        ("x=1,1.0", "factor x: a level stands there twice"),
        ("x=5..2", "factor x: low must be below high, got 5 and 2"),
        ("x=-1e308..1e308", "factor x: low must be below high"),
    ],
)
def test_what_is_no_factor_is_refused(text: str, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        parse_factor(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either generators or a resolution"),
        ({"generators": ["C=AB"], "resolution": 3}, "either generators or a resolution"),
        ({"generators": ["C=AX"]}, "a generator such as D=ABC is wanted, got 'C=AX'"),
        ({"generators": ["C=AM"]}, "generator C=AM: there are 4 factors, A to D"),
        ({"generators": ["C=AA"]}, "generator C=AA: a factor stands there twice"),
        ({"generators": ["C=AB", "D=AC"]}, "generator of D: C has a generator itself"),
        ({"generators": ["C=AB", "C=AD"]}, "a factor stands there twice"),
        ({"resolution": 2}, "resolution must be 3 or more, got 2"),
        ({"resolution": 6}, "4 factors have no fraction of resolution 6; take the full factorial"),
    ],
)
def test_a_fraction_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        fractional_factorial(two_levels(4), **options)  # type: ignore[arg-type]


def test_designs_that_make_no_sense_are_refused() -> None:
    three = Factor("x", (1.0, 2.0, 3.0))
    with pytest.raises(AnalysisError, match="factor x: a fractional design needs two levels, got 3 levels"):
        fractional_factorial([three, *two_levels(3)], resolution=3)
    with pytest.raises(AnalysisError, match="factor y: a factorial design needs two levels or more"):
        full_factorial([Factor("y", low=1.0, high=2.0)])
    with pytest.raises(AnalysisError, match="at least one factor"):
        full_factorial([])
    with pytest.raises(AnalysisError, match="factors stand there twice: x"):
        full_factorial([three, three])
    with pytest.raises(AnalysisError, match=f"cells, at most {MOST_CELLS} are allowed"):
        full_factorial([Factor(f"f{number}", tuple(map(float, range(10)))) for number in range(60)])
    with pytest.raises(AnalysisError, match="two runs or more, got 1"):
        latin_hypercube([three], 1, seed=0)
    with pytest.raises(AnalysisError, match="replicates must be 1 or more, got 0"):
        full_factorial([three], replicates=0)
