"""Samples with more tests, files and relatives than a page shows at once: nothing is left out without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, attachments
from dashboard import attached_files, data
from dashboard.data import samples
from dashboard.pages import sample
from tests.builders import cycling_frame, read_result, save


@pytest.fixture
def many(store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sample with more tests than are listed, the first of which has two files, and which is part of many."""
    monkeypatch.setattr(samples, "SHOWN", 3)
    data.use(store, settings)
    result = read_result(cycling_frame(2))
    for number in range(4):
        save(store, tmp_path, result, name=f"{number}.csv", sample="AB12", content=f"{number}".encode())
        samples.create(f"piece {number}", None)
        samples.change(f"piece {number}", {"parent": "AB12", "anode": "AB12"}, None, {})
    for name in ("opened.txt", "sealed.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
        oldest = TestResult.objects.order_by("started_at", "id").first()
        attachments.add_by_hand(store, tmp_path / name, name, oldest, "Ada")
    return "AB12"


def test_files_of_every_test_of_a_sample_are_there(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = str(attached_files.card("sample", many))
    assert "opened.txt" in shown
    assert "sealed.txt" in shown
    assert "more file" not in shown
    monkeypatch.setattr(attached_files, "AT_ONCE", 1)
    cut = str(attached_files.card("sample", many))
    assert "1 more file of its tests" in cut
    assert "sealed.txt" in cut


def test_a_list_that_is_cut_says_how_much_it_leaves_out_and_where_that_is(many: str) -> None:
    shown = str(sample.layout(sample=many))
    assert "The newest 3 of 4." in shown
    assert shown.count("and 1 more") == 2
    assert "/samples?parent=AB12" in shown
    assert "/samples?part=AB12" in shown
