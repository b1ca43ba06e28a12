"""What is altered in a real text export is found by what it says a second time: states, counters, clocks, counts."""

from __future__ import annotations

from pathlib import Path

import pytest

import battery_analysis as ba
from battery_analysis.reading import ReadResult
from tests.readers.mutations import Mutation, dropped_block, flipped_sign, hours, milliampere
from tests.realdata import DATA, real, real_entries

SUFFIXES = {".txt", ".csv", ".mpt", ".041", ".078"}
TELLING: dict[Mutation, set[str]] = {
    flipped_sign: {"sign"},
    milliampere: {"charge_balance"},
    hours: {"clock", "charge_balance"},
    dropped_block: {"completeness", "clock", "charge_balance"},
}
"""The checks of which one must fail, or fail otherwise than for the file as it is."""

SPECTRA = {
    "maccor/maccor_test_file_4267-66-6519.EDA0001.041",
    "autolab/exampleDataAutolab.txt",
    "chinstruments/exampleDataCHInstruments.txt",
}
"""Points of impedance, which carry neither current nor counters."""

_NO_FLOW = "no current flows"
_NO_CURRENT = "there is no current"
_DERIVED_CLOCK = "its clock is the start plus the test time, and nothing counts its records"
_NO_CHARGE = "a spectrum, whose charge nothing counts"
_UNNUMBERED = "nothing counts its points"
_BRIDGED = "nothing counts its records; clock and counters go on over a silence at steady current"
_ONE_SOURCE = "time, voltage and current are all that it says"
_BOTH_DIRECTIONS = "one counter of both directions, and no states"

UNSEEN: dict[str, dict[Mutation, str]] = {
    "neware/interp-test.csv": {flipped_sign: _NO_FLOW, milliampere: _NO_FLOW},
    "arbin/FastCharge_000025_CH8.csv": {flipped_sign: _NO_FLOW, milliampere: _NO_FLOW},
    "maccor/maccor_two.txt": {flipped_sign: _NO_FLOW, milliampere: _NO_FLOW},
    "maccor/maccor_test_file_4267-66-6519.041": {
        flipped_sign: _NO_FLOW,
        milliampere: _NO_FLOW,
        dropped_block: _UNNUMBERED,
    },
    "maccor/sample_data_maccor.csv": {flipped_sign: _BOTH_DIRECTIONS},
    "biologic/ocv.mpt": {
        flipped_sign: _NO_CURRENT,
        milliampere: _NO_CURRENT,
        hours: _DERIVED_CLOCK,
        dropped_block: _DERIVED_CLOCK,
    },
    "biologic/0919_01_0.5MTFSI_ZnSym_InsideGB_0hr_RT_Tranference_01_PEIS_C05.mpt": {
        flipped_sign: _NO_CHARGE,
        milliampere: _NO_CHARGE,
        dropped_block: _UNNUMBERED,
    },
    "biologic/Sample_data_biologic_01_MB_CA1.txt": {dropped_block: _BRIDGED},
    "novonix/sample_data_novonix.csv": {dropped_block: _BRIDGED},
    "pec/pec.csv": {dropped_block: _BRIDGED},
    "bdf/DLR__LiLNMOHydra0b__20221125__POCV__25degC__Basytec.bdf.csv": dict.fromkeys(
        (flipped_sign, milliampere, hours), _ONE_SOURCE
    ),
    "parstat/exampleDataParstat.txt": dict.fromkeys((flipped_sign, milliampere, hours), _ONE_SOURCE),
}
"""What cannot be seen, and why: the file holds no second source."""

TEXTS = [
    entry["path"]
    for entry in real_entries()
    if Path(entry["path"]).suffix.lower() in SUFFIXES and entry["path"] not in SPECTRA
]


def newly_failed(result: ReadResult, altered: ReadResult) -> set[str]:
    """Checks that fail, and did not, or not in this way, for the file as it is."""
    before = {check.name: check.message for check in result.checks if check.status == "failed"}
    return {
        check.name for check in altered.checks if check.status == "failed" and before.get(check.name) != check.message
    }


@pytest.mark.skipif(not TEXTS, reason=f"no real cycler files at {DATA}")
@pytest.mark.parametrize("path", TEXTS)
def test_altered_copies_are_caught(path: str, tmp_path: Path) -> None:
    original = real(path)
    result = ba.read(original)
    for mutation, telling in TELLING.items():
        copy = tmp_path / original.name
        copy.write_bytes(mutation(original, result))
        altered = ba.read(copy)
        # A sign that its states correct is right again, and said.
        healed = altered.frame.equals(result.frame) and set(altered.warnings) > set(result.warnings)
        caught = healed or bool(telling & newly_failed(result, altered))
        reason = UNSEEN.get(path, {}).get(mutation)
        name = getattr(mutation, "__name__", "")
        assert caught is (reason is None), f"{name} of {path}: {newly_failed(result, altered)} failed, {reason=}"
