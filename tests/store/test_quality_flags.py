"""What the checks found on import stays with the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import battery_analysis
from battery_analysis.analysis.checks import run_checks
from battery_analysis.ingest.rereading import compare
from battery_analysis.models import TestResult
from battery_analysis.reading import ReadResult
from battery_analysis.store import Store, samples
from battery_analysis.store.parcel import pack
from tests.builders import cycling_frame, read_result, save
from tests.realdata import real


def test_failed_checks_are_flags_of_the_stored_test(store: Store, tmp_path: Path) -> None:
    result = battery_analysis.read(real("neware/2-1-6_61[07005012].nda"))
    stored = TestResult.objects.get(id=save(store, tmp_path, result).id)
    assert [flag["name"] for flag in stored.quality_flags] == ["charge_balance", "energy_balance"]
    balance = stored.quality_flags[0]
    assert set(balance) == {"name", "message", "numbers", "records", "faults"}
    assert balance["records"] == [[0, result.frame.height - 1]]
    assert round(balance["numbers"]["integral_per_counter"]) == 3


def test_a_test_without_a_failed_check_has_no_flag(store: Store, tmp_path: Path) -> None:
    result = battery_analysis.read(real("neware/new_nda_file.nda"))
    assert TestResult.objects.get(id=save(store, tmp_path, result).id).quality_flags == []


def leaking(**facts: object) -> ReadResult:
    """Ten minutes charge at 1 A, and ten minutes discharge at 1.05 A, in each of five cycles."""
    current = pl.col("current_ampere")
    frame = cycling_frame(5).with_columns(
        pl.when(current < 0).then(1.05 * current).otherwise(current).alias("current_ampere")
    )
    result = read_result(frame, **facts)
    result.checks.extend(run_checks(result.frame, result.cycles, result.metadata))
    return result


def plausibility() -> dict[str, Any]:
    """What its only test says failed of the plausibility, if anything."""
    flags = {flag["name"]: flag for flag in TestResult.objects.get().quality_flags}
    found: dict[str, Any] = flags.get("plausibility", {})
    return found


def test_efficiency_is_judged_by_the_convention_of_the_sample(store: Store, tmp_path: Path) -> None:
    save(store, tmp_path, leaking(voltage_limits_volt=(3.0, 3.01)))
    first = plausibility()
    assert "(up to 1.05, as discharge / charge of the same cycle)" in str(first["message"])
    assert first["numbers"]["efficient_cycles"] == 3

    samples.set_fields(store, "AB12", {"cell_type": "half_negative"})
    of_records = plausibility()
    assert of_records["message"] == "voltage from 3 to 3.019 V, the limits are 3 and 3.01 V"
    assert set(of_records["numbers"]) == {"min_voltage_volt", "max_voltage_volt", "records_beyond_limits"}
    samples.set_fields(store, "AB12", {"cell_type": "", "nominal_capacity_ah": "0.1"})
    assert "; capacity up to 0.175 Ah in 5 cycles, nominal is 0.1 Ah" in str(plausibility()["message"])
    samples.set_fields(store, "AB12", {"nominal_capacity_ah": ""})
    assert plausibility() == first


@pytest.mark.parametrize(("cell_type", "names"), [("half_negative", []), ("half_positive", ["plausibility"])])
def test_a_sample_that_is_known_before_its_test_counts_from_the_first_import(
    store: Store, tmp_path: Path, cell_type: str, names: list[str]
) -> None:
    samples.set_fields(store, "AB12", {"cell_type": cell_type})
    result = leaking()
    test = TestResult.objects.get(id=save(store, tmp_path, result).id)
    assert [flag["name"] for flag in test.quality_flags] == names
    assert [change.what for change in compare(test, pack(result, tmp_path / "again"))] == []
