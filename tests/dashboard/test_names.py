"""Tests that are called the same are told apart wherever they stand beside one another."""

from __future__ import annotations

from pathlib import Path

from battery_analysis.settings import Settings
from battery_analysis.store import Store
from dashboard import data
from dashboard.data import lives, series
from dashboard.figures_compare import Looks, overlay
from dashboard.pages.series_window import Wanted
from dashboard.quantities import Choice
from tests.builders import cycling_frame, read_result, save


def test_tests_of_one_name_have_a_line_and_a_colour_each(store: Store, settings: Settings, tmp_path: Path) -> None:
    data.use(store, settings)
    ids = []
    for cell in ("AB12", "CD34"):
        (tmp_path / cell).mkdir()
        result = read_result(cycling_frame(3))
        test = save(store, tmp_path / cell, result, name="run.csv", sample=cell, content=cell.encode())
        ids.append(str(test.id))
    tests = series.some(ids)
    assert tests[0].name == tests[1].name
    told = [f"{test.name} ({test.cell_code})" for test in tests]
    drawn, _ = Wanted(tests, ["voltage_volt"], "h", "", "").figure("none")
    assert [trace.name for trace in drawn.data] == told
    assert drawn.data[0].line.color != drawn.data[1].line.color
    found, _ = lives.several([], ids)
    compared, _ = overlay(found, Looks(found, "", ""), Choice(), incomplete=True)
    assert [trace.name for trace in compared.data] == told
