"""Protocols of stored tests are found, grouped and kept, and leave what the file says of its own alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from battery_analysis.errors import AnalysisError, InvalidDocumentError, NotFoundError
from battery_analysis.models import TestProtocol, TestResult
from battery_analysis.store import Store, protocols, samples
from tests.analysis.programmed import CAPACITY_AH, cycled
from tests.builders import read_result, save


def stored(store: Store, folder: Path, name: str, groups: list[tuple[int, float]], **facts: object) -> TestResult:
    return save(store, folder, read_result(cycled(groups).frame(), **facts), name=f"{name}.csv", sample=name)


def test_rates_are_multiples_of_the_sample_s_capacity_else_of_the_file_s(store: Store, tmp_path: Path) -> None:
    test = stored(store, tmp_path, "AB12", [(2, 0.1), (3, 0.5)], protocol="formation.sch")
    assert protocols.protocol_of(store, test.id).summary == "2x 0.2 A, 3x 1 A"
    samples.set_fields(store, "AB12", {"nominal_capacity_ah": CAPACITY_AH})
    assert protocols.protocol_of(store, test.id).summary == "2x C/10, 3x C/2"
    other = stored(store, tmp_path, "CD34", [(2, 0.5)], nominal_capacity_ah=2 * CAPACITY_AH)
    assert protocols.protocol_of(store, other.id).summary == "2x C/4"
    assert TestResult.objects.get(id=test.id).protocol == "formation.sch"


def test_tests_with_the_same_protocol_are_grouped_and_others_say_why_not(store: Store, tmp_path: Path) -> None:
    one = stored(store, tmp_path, "AB12", [(2, 0.1), (3, 0.5)])
    longer = stored(store, tmp_path, "CD34", [(2, 0.1), (6, 0.5)])
    other = stored(store, tmp_path, "EF56", [(4, 0.2)])
    resting = pl.DataFrame({"test_time_second": [1.0, 2.0], "voltage_volt": [3.0, 3.0], "current_ampere": [0.0, 0.0]})
    empty = save(store, tmp_path, read_result(resting), name="GH78.csv", sample="GH78")
    found = protocols.group(store, [one.id, other.id, empty.id, longer.id])
    assert [[identity for identity, _ in group] for group in found.groups] == [[one.id, longer.id], [other.id]]
    [(identity, reason)] = found.without
    assert (identity, reason) == (empty.id, "protocol: current_ampere is zero in 2 records")


def test_a_protocol_is_kept_under_a_name(store: Store, tmp_path: Path) -> None:
    test = stored(store, tmp_path, "AB12", [(2, 0.1), (3, 0.5)])
    kept = protocols.remember(store, "ageing", test.id)
    assert (kept.summary, kept.found_in) == ("2x 0.2 A, 3x 1 A", test.id)
    again = protocols.by_name("ageing")
    assert [step.group for step in again.steps] == [1] * 5 + [2] * 5
    assert [step.text for step in again.steps][5] == "charge 1 A to 4.2 V"
    with pytest.raises(InvalidDocumentError, match="TestProtocol 'ageing': another protocol is already named so"):
        protocols.remember(store, "ageing", test.id)
    protocols.delete("ageing")
    assert TestProtocol.objects.count() == 0
    with pytest.raises(NotFoundError, match="no test protocol is named 'ageing'"):
        protocols.by_name("ageing")


def test_a_test_that_does_not_tell_keeps_nothing(store: Store, tmp_path: Path) -> None:
    resting = pl.DataFrame({"test_time_second": [1.0], "voltage_volt": [3.0], "current_ampere": [0.0]})
    test = save(store, tmp_path, read_result(resting), name="GH78.csv", sample="GH78")
    with pytest.raises(AnalysisError, match="zero in 1 record"):
        protocols.remember(store, "nothing", test.id)
    assert TestProtocol.objects.count() == 0
