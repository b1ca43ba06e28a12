"""Reading on a Dask cluster gives what reading here gives; what fails there fails in one clear line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.errors import ClusterError, CorruptFileError, ReaderLimitError
from battery_analysis.ingest import reprocess
from battery_analysis.ingest import run as runs
from battery_analysis.ingest.dask_pool import DaskReaderPool, capacity
from battery_analysis.ingest.dask_worker import PIECE_BYTES
from battery_analysis.ingest.job import Outcome
from battery_analysis.models import ImportJob, TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import Store, frames, open_store
from tests.builders import arbin_csv
from tests.ingest.cluster import Cluster, cluster
from tests.ingest.test_parts import workbooks, write
from tests.ingest.test_reprocess import MAPPING, RIG

Client = pytest.importorskip("distributed").Client
pytestmark = pytest.mark.xdist_group("dask")

_OWN = {"_id", "created_at", "updated_at", "sample", "raw_files", "segments", "cycle_blocks", "overview", "import_job"}


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2) as started:
        yield started


def import_lab(settings: Settings, lab: Path, scheduler: str | None) -> dict[str, Outcome]:
    request = runs.ImportRequest(root=str(lab), workers=3, scheduler=scheduler)
    with open_store(settings) as store:
        return {Path(outcome.path).name: outcome for outcome in runs.begin(store, settings, request)}


def stored(settings: Settings) -> list[tuple[dict[str, Any], Any, Any]]:
    """Documents, frames and cycle tables of all tests by name, without what is drawn anew for every import."""
    with open_store(settings) as store:
        found = []
        for test in TestResult.objects.order_by("name"):
            facts = {key: value for key, value in test.to_mongo().items() if key not in {*_OWN, "created_in"}}
            frame = frames.load_frame(store, test.id, form="polars")
            found.append((facts, frame, frames.cycle_table(store, test)))
        return found


def test_a_lab_read_on_a_cluster_is_stored_as_if_it_were_read_here(
    settings: Settings, lab: Path, tmp_path: Path, two_workers: Cluster
) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "rig.toml").write_text(MAPPING)
    for number, text in enumerate(workbooks(), 1):
        write(lab, number, text)
    (lab / "CD34.csv").write_text(arbin_csv(cycles=400))
    (lab / "EF56.csv").write_text(RIG)
    (lab / "broken.csv").write_text(arbin_csv()[:80] + "\n")
    here = replace(settings, mappings=tmp_path / "mappings")
    there = replace(here, db_name=f"{settings.db_name}_there")
    outcomes = import_lab(there, lab, two_workers.address)
    try:
        expected = import_lab(here, lab, None)
        assert {name: (each.outcome, each.reason) for name, each in outcomes.items() if "Wb" not in name} == {
            name: (each.outcome, each.reason) for name, each in expected.items() if "Wb" not in name
        }
        assert outcomes["broken.csv"].outcome == "failed"
        mine, others = stored(here), stored(there)
        assert [facts["name"] for facts, _, _ in mine] == ["AB12_Channel_5_Wb_1.CSV", "CD34.csv", "EF56.csv"]
        for (facts, frame, cycles), (other_facts, other_frame, other_cycles) in zip(mine, others, strict=True):
            assert facts | {"revision": 0, "former": 0} == other_facts | {"revision": 0, "former": 0}
            assert frame.equals(other_frame)
            assert cycles.equals(other_cycles)
    finally:
        with open_store(there) as store:
            store.database.client.drop_database(there.database)


def test_archived_bytes_are_read_again_on_a_cluster(
    store: Store, settings: Settings, lab: Path, two_workers: Cluster
) -> None:
    (lab / "AB12.csv").write_text(arbin_csv())
    list(runs.begin(store, settings, runs.ImportRequest(root=str(lab))))
    TestResult.objects.update(set__reader_version="0")
    request = reprocess.ReprocessRequest(scheduler=two_workers.address)
    assert [each.outcome for each in reprocess.begin(store, settings, request)] == ["updated"]
    assert TestResult.objects.get().reader_version != "0"


def test_files_travel_in_pieces_and_errors_name_them_as_people_know_them(tmp_path: Path, two_workers: Cluster) -> None:
    assert capacity(two_workers.address) >= 1
    long, broken = tmp_path / "long" / "AB12.csv", tmp_path / "broken" / "AB12.csv"
    for each in (long, broken):
        each.parent.mkdir()
    long.write_text(arbin_csv(cycles=8000))
    assert long.stat().st_size > PIECE_BYTES
    broken.write_text(arbin_csv()[:80] + "\n")
    with DaskReaderPool(two_workers.address) as pool:
        parcel = pool.submit(long, tmp_path / "1.parcel", "/lab/AB12.csv", "UTC").result()
        assert parcel.path == tmp_path / "1.parcel"
        assert sum(item["rows"] for item in parcel.items("segment")) == parcel.record_count == 160_000
        with pytest.raises(CorruptFileError, match=r"^/lab/broken\.csv \(arbin_csv\): "):
            pool.submit(broken, tmp_path / "2.parcel", "/lab/broken.csv", "UTC").result()


def test_a_reader_beyond_its_limits_fails_its_file_and_the_next_is_read(tmp_path: Path, two_workers: Cluster) -> None:
    good, big = tmp_path / "good" / "AB12.csv", tmp_path / "big" / "big.csv"
    for each in (good, big):
        each.parent.mkdir()
    good.write_text(arbin_csv())
    rows = "".join(f"{number},1.0,3.7\n" for number in range(1_500_000))
    big.write_text(f"Test_Time(s),Current(A),Voltage(V)\n{rows}")

    def limit(seconds: float) -> None:
        code = f"from battery_analysis.ingest import reader_pool; reader_pool.READ_SECONDS = {seconds}"
        with Client(two_workers.address, set_as_default=False) as client:
            client.wait_for_workers(2)
            client.run(exec, code)

    with DaskReaderPool(two_workers.address) as pool:
        limit(0.05)
        with pytest.raises(ReaderLimitError, match=r"^/lab/big\.csv: not read within 0\.05 s$"):
            pool.submit(big, tmp_path / "1.parcel", "/lab/big.csv", "UTC").result()
        limit(600)
        assert pool.submit(good, tmp_path / "2.parcel", "/lab/AB12.csv", "UTC").result().record_count == 60


def test_a_worker_that_dies_costs_no_file(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    good = tmp_path / "good" / "AB12.csv"
    good.write_text(arbin_csv())
    with cluster(tmp_path / "cluster") as started, DaskReaderPool(started.address) as pool:
        lost = pool.submit(good, tmp_path / "1.parcel", "/lab/AB12.csv", "UTC")
        started.first_worker.kill()
        started.add_worker()
        assert lost.result().record_count == 60


def test_a_scheduler_that_is_lost_ends_the_job_which_can_be_resumed(
    store: Store, settings: Settings, lab: Path, tmp_path: Path, two_workers: Cluster
) -> None:
    for number in range(8):
        (lab / f"AB{number + 10}.csv").write_text(arbin_csv(cycles=number + 2))
    with cluster(tmp_path / "cluster") as started:
        job_run = runs.begin(store, settings, runs.ImportRequest(root=str(lab), workers=1, scheduler=started.address))
        with pytest.raises(ClusterError, match=rf"^the Dask scheduler {started.address} was lost$"):
            for number, _ in enumerate(job_run):
                if number == 0:
                    started.scheduler.kill()
    job = ImportJob.objects.get()
    assert (job.state, job.reason) == ("failed", f"the Dask scheduler {started.address} was lost")
    assert TestResult.objects.count() < 8
    ImportJob.objects.update(options__scheduler=two_workers.address)
    assert {each.outcome for each in runs.resume(store, settings, str(job.id))} == {"created"}
    assert TestResult.objects.count() == 8


@pytest.mark.parametrize("address", ["localhost:8786", "tcp://localhost", "http://localhost:1", "tcp://a b:1"])
def test_what_is_no_address_of_a_scheduler_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match=r"^--scheduler: tcp://host:port wanted, got "):
        capacity(address)


def test_a_scheduler_that_does_not_answer_opens_no_job(store: Store, settings: Settings, lab: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^no Dask scheduler answers at {address}: Connection refused$"):
            runs.begin(store, settings, runs.ImportRequest(root=str(lab), scheduler=address))
    assert ImportJob.objects.count() == 0


def test_workers_of_another_version_are_refused_by_name(tmp_path: Path) -> None:
    older = "import battery_analysis\nbattery_analysis.__version__ = '0.0.1'\n"
    with (
        cluster(tmp_path / "cluster", preload=older) as started,
        pytest.raises(
            ClusterError, match=r"^the Dask worker tcp://127\.0\.0\.1:\d+ has battery-analysis 0\.0\.1, this"
        ),
    ):
        capacity(started.address)
