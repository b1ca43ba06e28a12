"""A folder of real text files, and an open store on a real MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from battery_analysis.ingest import run as runs
from battery_analysis.ingest.job import Outcome
from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store


@pytest.fixture
def settings(server_uri: str, database_name: str, tmp_path: Path) -> Settings:
    return Settings.load(environ={}, db_uri=server_uri, db_name=database_name, data_dir=tmp_path / "data", workers=2)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


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
        request = runs.ImportRequest(root=str(lab), **options)  # type: ignore[arg-type]
        return {Path(outcome.path).name: outcome for outcome in runs.begin(store, settings, request)}

    return run
