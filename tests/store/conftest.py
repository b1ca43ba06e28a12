"""An open store on a real MongoDB, and one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from battery_analysis.settings import Settings
from battery_analysis.store import Store, open_store


@pytest.fixture
def settings(server_uri: str, database_name: str, tmp_path: Path) -> Settings:
    return Settings.load(environ={}, db_uri=server_uri, db_name=database_name, data_dir=tmp_path / "data", workers=2)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened
