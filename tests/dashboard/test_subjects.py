"""What analyses of the dashboard are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.errors import AnalysisError
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from dashboard import data
from dashboard.data import subjects
from tests.builders import cycling_frame, read_result, save


def test_a_cell_of_one_test_has_the_limit_of_its_test(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.use(store, settings)
    result = read_result(cycling_frame(3))
    test = str(save(store, tmp_path, result, name="AB12.csv", sample="AB12").id)
    ways = subjects.chosen("AB12", None), subjects.chosen("AB12", test)
    assert [subjects.records(each).height for each in ways] == [result.frame.height] * 2
    monkeypatch.setattr(subjects, "MOST_RECORDS", result.frame.height - 1)
    for each in ways:
        with pytest.raises(AnalysisError, match=rf"{each.name} has {result.frame.height:,} records, more than"):
            subjects.records(each)
