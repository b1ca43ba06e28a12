"""A file imported while it is written ends as the test that it makes when it is imported once, at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import Outcome
from battery_analysis.settings import Settings
from battery_analysis.store import frames, open_store
from tests.layouts import TEXTS
from tests.layouts.cell import records
from tests.layouts.table import Layout

LAYOUTS = [layout for layout in TEXTS if layout.name in ("bdf csv, counters never", "maccor in mA by half cycle")]


def states(content: bytes) -> list[bytes]:
    """A growing file that ends within a value, within the last value of a line, behind a line, and at its end."""
    within_last_value = content.index(b"\n", len(content) // 2) - 3
    behind_line = content.index(b"\n", 3 * len(content) // 4) + 1
    return [content[:length] for length in (len(content) // 3, within_last_value, behind_line, len(content))]


def imported(
    settings: Settings, path: Path, contents: Sequence[bytes]
) -> tuple[list[Outcome], pl.DataFrame, pl.DataFrame]:
    """Import one state of the file after the other; return the outcomes, and the frame and the cycles at the end."""
    outcomes = []
    with open_store(settings) as store:
        for content in contents:
            path.write_bytes(content)
            outcomes += runs.begin(store, settings, runs.ImportRequest(str(path.parent), workers=1))
        test_id = outcomes[-1].test_id
        assert test_id is not None
        frame = frames.load_frame(store, test_id, form="polars")
        return outcomes, frame, frames.load_cycles(store, test_id, form="polars")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_parts_of_a_growing_file_give_the_frame_of_the_whole(
    settings: Settings, tmp_path: Path, lab: Path, layout: Layout
) -> None:
    path = lab / f"AB12{Path(layout.file).suffix}"
    layout.write(path, records(60.0))
    content = path.read_bytes()
    outcomes, frame, cycles = imported(settings, path, states(content))
    assert [outcome.outcome for outcome in outcomes] == ["created", "updated", "updated", "updated"]
    assert len({outcome.test_id for outcome in outcomes}) == 1
    heights = [outcome.records or 0 for outcome in outcomes]
    assert heights == sorted(set(heights))

    in_memory = Settings.load(environ={"USE_MONGO_MOCK": "1"}, data_dir=tmp_path / "memory", db_name=tmp_path.name)
    _, whole, whole_cycles = imported(in_memory, path, [content])
    assert frame.height == len(records(60.0))
    assert_frame_equal(frame, whole)
    assert_frame_equal(cycles, whole_cycles)
