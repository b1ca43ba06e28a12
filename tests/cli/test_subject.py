"""What an analysis is told of a stored test is what it is told of its file."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from battery_analysis.models import TestResult
from battery_analysis.store.exporting import metadata_of
from tests.builders import cycling_frame, read_result, save
from tests.cli.conftest import Cli


@pytest.mark.parametrize(("continuation", "first_ah"), [(True, 9 / 60), (False, 5 + 10 / 60)])
def test_a_stored_test_that_goes_on_from_a_file_before_says_so(
    cli: Cli, tmp_path: Path, continuation: bool, first_ah: float
) -> None:
    """Its counters stand at 5 Ah when its first half cycle begins, of which the first minute is in that file."""
    minute = pl.col("current_ampere") / 60
    counters = {"charging_capacity_ah": minute.clip(0), "discharging_capacity_ah": -minute.clip(None, 0)}
    frame = cycling_frame(3).with_columns((5 + each.cum_sum()).alias(name) for name, each in counters.items())
    with cli.store() as store:
        identity = save(store, tmp_path, read_result(frame, continuation=continuation)).id
        assert metadata_of(TestResult.objects.get()).continuation is continuation
    assert cli.json("test", "show", identity)["continuation"] is continuation
    rate = cli.json("analyse", "rate", identity, "--direction", "charge")
    assert rate["half_cycles"][0]["capacity_ah"] == pytest.approx(first_ah)
