"""What the checks found on import stays with the test."""

from __future__ import annotations

from pathlib import Path

import battery_analysis
from battery_analysis.models import TestResult
from battery_analysis.store import Store
from tests.builders import save
from tests.realdata import real


def test_failed_checks_are_flags_of_the_stored_test(store: Store, tmp_path: Path) -> None:
    result = battery_analysis.read(real("neware/2-1-6_61[07005012].nda"))
    stored = TestResult.objects.get(id=save(store, tmp_path, result).id)
    assert [flag["name"] for flag in stored.quality_flags] == ["charge_balance", "energy_balance"]
    balance = stored.quality_flags[0]
    assert set(balance) == {"name", "message", "numbers", "records"}
    assert balance["records"] == [[0, result.frame.height - 1]]
    assert round(balance["numbers"]["integral_per_counter"]) == 3


def test_a_test_without_a_failed_check_has_no_flag(store: Store, tmp_path: Path) -> None:
    result = battery_analysis.read(real("neware/new_nda_file.nda"))
    assert TestResult.objects.get(id=save(store, tmp_path, result).id).quality_flags == []
