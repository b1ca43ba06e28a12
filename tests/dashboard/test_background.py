"""Calculations beside the callbacks: done, failed, stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from dash import html

from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.errors import AnalysisError
from battery_analysis.settings import Settings
from dashboard import background, data


@pytest.fixture(scope="module")
def workshop() -> Iterator[background._Workshop]:
    patch = pytest.MonkeyPatch()
    patch.setattr(data, "settings", lambda: Settings(workers=1))
    opened = background._Workshop()
    yield opened
    opened.close()
    patch.undo()


def work(*tasks: background.Task) -> background.Work:
    return background.Work("Sums", tasks, lambda results: html.P(str(results)))


def test_results_come_in_the_order_of_the_tasks(workshop: background._Workshop) -> None:
    job = workshop.start(work((math.sqrt, (9.0,)), (math.sqrt, (4.0,))))
    assert job.wait(60)
    assert job.results() == [3.0, 2.0]


def test_what_a_task_raises_is_raised_where_its_results_are_wanted(workshop: background._Workshop) -> None:
    job = workshop.start(work((Spectrum.of, ([1.0, -1.0], [1.0, 1.0]))))
    assert job.wait(60)
    with pytest.raises(AnalysisError, match="frequencies must be positive"):
        job.results()


def test_a_long_task_is_stopped_and_others_go_on(workshop: background._Workshop) -> None:
    long = workshop.start(work((time.sleep, (600.0,))))
    assert not long.wait(0.2)
    long.cancel()
    after = workshop.start(work((math.sqrt, (1.0,))))
    assert after.wait(60)
    assert after.results() == [1.0]
    with pytest.raises(AnalysisError, match="Sums: cancelled"):
        long.results()


def test_work_that_nobody_asks_for_any_more_is_stopped_also_if_nobody_begins_other_work(
    workshop: background._Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "DESERTED_SECONDS", 0.2)
    monkeypatch.setattr(workshop, "_attendant", None)
    left = workshop.start(work((time.sleep, (600.0,))))
    assert left.wait(20)
    assert left.futures[0].cancelled()
    assert workshop.get(left.id) is None
