"""Watching with a Dask cluster that goes away and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import arbin_csv
from tests.cli.conftest import Cli
from tests.cli.test_watch import watching
from tests.ingest.cluster import Cluster, cluster

pytest.importorskip("distributed")


@pytest.mark.thorough
def test_a_watcher_waits_for_its_cluster(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    (folder / "AB12.csv").write_text(arbin_csv(2))
    with (
        cluster(tmp_path / "cluster", workers=1) as first,
        watching(cli, folder, "--scheduler", first.address) as watcher,
    ):
        watcher.until_said("created", "AB12.csv")
        first.stop()
        (folder / "AB13.csv").write_text(arbin_csv(3))
        watcher.until_said("Dask scheduler", "wait until it is mended")
        second = Cluster(tmp_path / "cluster", port=first.address.rpartition(":")[2])
        try:
            second.add_worker()
            watcher.until_said("created", "AB13.csv", "60 records")
            assert watcher.stop() == 0
        finally:
            second.stop()
