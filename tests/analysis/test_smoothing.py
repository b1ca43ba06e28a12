"""Smoothers do what they say, also at the ends, for curves of any length in one block."""

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline
from scipy.signal import savgol_filter

from battery_analysis.analysis.smoothing import Smoother, errors_of
from battery_analysis.errors import AnalysisError

FIRST, END = np.array([0, 5, 30]), np.array([80, 60, 33])


@pytest.fixture
def block() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((3, 80)).cumsum(axis=1)


def test_savitzky_golay_is_that_of_scipy(block: np.ndarray) -> None:
    smoothed = Smoother("savitzky_golay", 0.7, 2).smooth(block, FIRST, END, 0.1)
    assert smoothed[0] == pytest.approx(savgol_filter(block[0], 7, 2, mode="interp"))
    assert smoothed[1, 5:60] == pytest.approx(savgol_filter(block[1, 5:60], 7, 2, mode="interp"))
    assert np.isnan(smoothed[1, :5]).all()
    assert np.isnan(smoothed[2]).all()


def test_the_spline_is_that_of_scipy(block: np.ndarray) -> None:
    smoother = Smoother("spline", width=0.8)
    smoothed = smoother.smooth(block, FIRST, END, 0.1)
    penalty = (8 / 2.8668) ** 4
    for row in (0, 1):
        own = block[row, FIRST[row] : END[row]]
        place = np.arange(float(own.size))
        assert smoothed[row, FIRST[row] : END[row]] == pytest.approx(
            make_smoothing_spline(place, own, lam=penalty)(place)
        )


@pytest.mark.parametrize("kind", ["gaussian", "spline"])
def test_the_width_is_that_at_half_height(kind: str) -> None:
    response = Smoother(kind, width=2.0).response(0.01)
    above = np.flatnonzero(response > response.max() / 2)
    assert 0.01 * (above[-1] - above[0] + 1) == pytest.approx(2.0, abs=0.03)


@pytest.mark.parametrize("kind", ["savitzky_golay", "gaussian", "spline", "none"])
def test_a_constant_stays_one_to_its_ends(kind: str) -> None:
    smoothed = Smoother(kind).smooth(np.full((1, 60), 2.5), np.array([3]), np.array([50]), 1.0)
    assert smoothed[0, 3:50] == pytest.approx(np.full(47, 2.5))


@pytest.mark.parametrize("kind", ["savitzky_golay", "gaussian", "spline"])
def test_errors_are_those_of_independent_noise(kind: str) -> None:
    noise = np.random.default_rng(1).standard_normal((50, 400))
    ends = np.zeros(50, dtype=np.int64), np.full(50, 400)
    smoother = Smoother(kind)
    smoothed = smoother.smooth(noise, *ends, 1.0)
    errors = errors_of(noise, smoothed, smoother, 1.0)
    assert np.median(errors) == pytest.approx(smoothed[:, 20:-20].std(), rel=0.1)


def test_what_smooths_nothing_has_no_errors_and_nonsense_is_refused() -> None:
    values = np.ones((1, 20))
    smoother = Smoother("none")
    assert np.isnan(errors_of(values, smoother.smooth(values, np.array([0]), np.array([20]), 1.0), smoother, 1.0)).all()
    for arguments, message in (
        ({"kind": "loess"}, "smoother 'loess' is none of"),
        ({"width": 0.0}, "width of the smoother must be above 0, got 0"),
        ({"order": 0}, "order of the smoother must be 1 or more, got 0"),
    ):
        with pytest.raises(AnalysisError, match=message):
            Smoother(**arguments)
