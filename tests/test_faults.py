"""A small slice of the faults that ``make faults`` brings about at length."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from benchmarks.faults import __main__ as command
from benchmarks.faults import crowds, disks, killing
from benchmarks.faults.picture import differences
from benchmarks.faults.stage import Try
from tests.cli.conftest import as_root

SLICES = [
    pytest.param(killing.importer_killed, 1, id="importer_killed"),
    pytest.param(killing.server_killed, 1, id="server_killed"),
    pytest.param(killing.worker_killed, 1, id="worker_killed"),
    pytest.param(crowds.slow_writer, 4, id="slow_writer"),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("fault", "times"), SLICES)
def test_what_a_fault_leaves_is_as_after_an_undisturbed_import(
    fault: Callable[[int, random.Random], Iterator[Try]], times: int
) -> None:
    tries = list(fault(times, random.Random(20)))
    assert [line for each in tries for line in each.broken] == []
    assert len(tries) == times


@pytest.mark.thorough
@pytest.mark.skipif(not as_root(), reason="only root may mount a small file system")
def test_a_full_disk_under_the_spool_ends_an_import_with_one_line() -> None:
    assert [line for each in disks.full_spool(1, random.Random(20)) for line in each.broken] == []


def test_differences_are_named() -> None:
    expected = {"test of 1": {"frame": "a", "records": 3}, "raw file 1": {}}
    found = {"test of 1": {"frame": "b", "records": 3}, "test of 1 once more": {}}
    assert list(differences(expected, found)) == [
        "test of 1: frame: 'a' expected, found 'b'",
        "raw file 1 is missing",
        "test of 1 once more is too much",
    ]


def test_a_row_of_figures_takes_the_place_of_the_older_one() -> None:
    empty = "| fault | times |\n|---|---|\n\nmore text\n"
    once = command.with_row(empty, "server", "| server | 50 |")
    twice = command.with_row(once, "worker", "| worker | 100 |")
    assert twice == "| fault | times |\n|---|---|\n| server | 50 |\n| worker | 100 |\n\nmore text\n"
    assert command.with_row(twice, "server", "| server | 51 |") == twice.replace("50", "51")
    told = "| name | what happens |\n|---|---|\n| server | dies |\n\n"
    assert command.with_row(told + twice, "server", "| server | 51 |") == told + twice.replace("50", "51")
