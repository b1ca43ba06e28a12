"""``battery_analysis.read`` gives every file of the lab back as it was made."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from examples import SYNTHETIC
from examples.lab import FREQUENCIES, TESTS, Lab, LabFile, build_lab

AMOUNTS = ("charge_capacity_ah", "discharge_capacity_ah", "charge_energy_wh", "discharge_energy_wh")
# Half the last digit that a format prints or holds: eight decimals, single precision, fifteen decimals.
RESOLUTION = {
    "arbin": {"abs": 0.6e-8},
    "neware": {"rel": 5e-7},
    "gcpl": {"rel": 1e-9},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return build_lab(tmp_path_factory.mktemp("lab"))


def file_of(lab: Lab, path: str) -> LabFile:
    return next(file for file in lab.files if file.test.path == path)


def paths(*kinds: str) -> list[str]:
    return [test.path for test in TESTS if test.kind in kinds]


@pytest.mark.parametrize("path", paths("neware", "arbin", "gcpl"))
def test_reading_gives_the_truth_back(lab: Lab, path: str) -> None:
    truth = file_of(lab, path)
    result = ba.read(truth.path)
    assert truth.cycles is not None
    assert result.frame.height == truth.records
    before = 1 if truth.test.kind == "gcpl" else 0  # EC-Lab counts cycles from 0
    assert result.cycles["cycle_count"].to_list() == [count - before for count in truth.cycles["cycle_count"]]
    assert set(result.cycles["capacity_method"]) == {"counter"}
    for name in AMOUNTS:
        assert result.cycles[name].to_list() == approx(truth.cycles[name].to_list(), **RESOLUTION[truth.test.kind])
    # EC-Lab counts its time from the start of the acquisition, not of the technique.
    assert result.metadata.started_at == (truth.test.acquired_at or truth.test.started_at)
    assert result.metadata.comment == SYNTHETIC
    assert result.warnings == []


@pytest.mark.parametrize("path", paths("peis"))
def test_reading_a_spectrum_gives_it_back(lab: Lab, path: str) -> None:
    truth = file_of(lab, path)
    frame = ba.read(truth.path).frame
    assert truth.impedance_ohm is not None
    np.testing.assert_allclose(frame["frequency_hertz"], FREQUENCIES, rtol=1e-6)
    np.testing.assert_allclose(frame["real_impedance_ohm"], truth.impedance_ohm.real, rtol=1e-6)
    np.testing.assert_allclose(frame["imaginary_impedance_ohm"], truth.impedance_ohm.imag, rtol=1e-6)


def test_the_broken_copy_is_named_in_the_error(lab: Lab) -> None:
    with pytest.raises(CorruptFileError, match="broken off"):
        ba.read(lab.broken_copy)
