"""Correlations that were made are found, with their numbers; those that were not are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis.correlations import correlations
from battery_analysis.errors import AnalysisError


def row(x: list[Any], y: list[Any]) -> dict[str, Any]:
    table = pl.DataFrame({"x": x, "y": y}, strict=False)
    return correlations(table, ["x"], ["y"]).row(0, named=True)


def test_a_straight_line_with_noise_is_found_with_its_correlation() -> None:
    random = np.random.default_rng(5)
    x = random.normal(0, 1, 5000)
    found = row(x.tolist(), (0.6 * x + 0.8 * random.normal(0, 1, 5000)).tolist())
    assert found["pearson_r"] == pytest.approx(0.6, abs=0.03)
    assert found["spearman_rho"] == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=0.03)  # of two normal variables
    assert found["pearson_p"] < 1e-10
    assert (found["n"], found["eta_squared"], found["reason"]) == (5000, None, None)


def test_a_rising_curve_has_a_spearman_of_one_and_a_pearson_below() -> None:
    found = row([1, 2, 3, 4, 5, 6], [float(np.exp(n)) for n in range(6)])
    assert found["spearman_rho"] == pytest.approx(1)
    assert found["pearson_r"] < 0.95


def test_p_is_uniform_where_nothing_goes_together() -> None:
    random = np.random.default_rng(11)
    table = pl.DataFrame({f"x{n}": random.normal(0, 1, 30) for n in range(200)} | {"y": random.normal(0, 1, 30)})
    found = correlations(table, [f"x{n}" for n in range(200)], ["y"])
    for p in ("pearson_p", "spearman_p"):
        assert (found[p] < 0.05).mean() == pytest.approx(0.05, abs=0.04)


def test_categories_explain_the_variance_that_lies_between_them() -> None:
    found = row(["a", "a", "b", "b"], [0.0, 2.0, 10.0, 12.0])
    assert found["eta_squared"] == pytest.approx(100 / 104)
    assert (found["kind"], found["n"], found["categories"]) == ("categorical", 4, 2)
    assert found["kruskal_h"] == pytest.approx(2.4)  # ranks 1, 2 and 3, 4: 12 / 20 * (9 / 2 + 49 / 2) - 15
    assert found["kruskal_p"] == pytest.approx(0.1213, abs=1e-4)


def test_truth_values_are_categories() -> None:
    assert row([True, True, False, False], [1.0, 2.0, 3.0, 4.0])["kind"] == "categorical"


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1, 2, 3, None], [1.0, 2.0, 3.0, 4.0], "3 samples with both, 4 needed"),
        ([5, 5, 5, 5], [1.0, 2.0, 3.0, 4.0], "x is the same in all 4 samples: 5"),
        ([1, 2, 3, 4], [0.0, 0.0, 0.0, 0.0], "y is the same in all 4 samples: 0"),
        ([1, 2, 3, 4], [float("nan")] * 4, "0 samples with both, 4 needed"),
        (["a", "b", "c", "d"], [1.0, 2.0, 3.0, 4.0], "0 categories with 2 samples or more, 2 needed"),
        (["a", "a", "a", "a"], [1.0, 2.0, 3.0, 4.0], "1 category with 2 samples or more, 2 needed"),
        (["a", "a", "b", "b"], [1.0, 1.0, 1.0, 1.0], "y is the same in all 4 samples: 1"),
    ],
)
def test_what_cannot_be_computed_is_null_with_a_reason(x: list[Any], y: list[Any], reason: str) -> None:
    found = row(x, y)
    assert reason in found["reason"]
    numbers = ("pearson_r", "pearson_p", "spearman_rho", "spearman_p", "eta_squared", "kruskal_h", "kruskal_p")
    assert [found[name] for name in numbers] == [None] * 7


def test_a_category_of_one_is_left_out_and_named() -> None:
    found = row(["a", "a", "b", "b", "PVDF"], [0.0, 2.0, 10.0, 12.0, 1e6])
    assert (found["n"], found["eta_squared"]) == (4, pytest.approx(100 / 104))
    assert found["reason"] == "one sample only, left out: PVDF"


def test_columns_that_are_not_there_or_no_numbers_are_refused() -> None:
    table = pl.DataFrame({"x": [1.0], "y": ["a"]})
    with pytest.raises(AnalysisError, match=r"columns \['z'\] not found; the table has \['x', 'y'\]"):
        correlations(table, ["z"], ["x"])
    with pytest.raises(AnalysisError, match=r"results must be numbers, got \['y'\]"):
        correlations(table, ["x"], ["y"])
