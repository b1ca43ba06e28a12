"""A lab folder, and imports of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import Outcome
from battery_analysis.settings import Settings
from battery_analysis.store import Store


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """An empty folder to put files in."""
    folder = tmp_path / "lab"
    folder.mkdir()
    return folder


Importing = Callable[..., dict[str, Outcome]]


@pytest.fixture
def importing(store: Store, settings: Settings, lab: Path) -> Importing:
    """Import the lab and return the outcomes by file name."""

    def run(**options: object) -> dict[str, Outcome]:
        # Crashes are made to look like a lost server: nothing is gained by waiting for it.
        request = runs.ImportRequest(root=str(lab), **{"retries": 0, **options})  # type: ignore[arg-type]
        return {Path(outcome.path).name: outcome for outcome in runs.begin(store, settings, request)}

    return run
