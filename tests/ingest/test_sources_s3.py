"""Objects of a bucket become tests, as a server that speaks S3 gives them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from battery_analysis.errors import IngestError, ReadError
from battery_analysis.ingest import retrying
from battery_analysis.ingest.discover import Selection
from battery_analysis.ingest.sources import search
from battery_analysis.models import RawDataFile
from battery_analysis.settings import Settings
from battery_analysis.store import Store
from tests.builders import arbin_csv
from tests.ingest.places import Cutting, Taking, said, taking

BUCKET = "cycler-files"


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    """The port of an S3 service on this computer, which lists two objects at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        try:
            yield running.get_host_and_port()[1]
        finally:
            running.stop()


@pytest.fixture
def account(service: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials where users keep them."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{service}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-a-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-a-test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture
def bucket(account: None, service: int) -> Iterator[Any]:
    """An empty bucket."""
    import boto3

    made = boto3.resource("s3").create_bucket(Bucket=BUCKET)
    yield made
    made.objects.delete()
    made.delete()
    made.meta.client.close()


@pytest.fixture
def take(store: Store, settings: Settings) -> Taking:
    return taking(store, settings)


def found(address: str, **selection: object) -> list[str]:
    candidates = search(address, Selection(**selection), data_dir=Path())  # type: ignore[arg-type]
    return [str(each.relative) for each in candidates]


def put(bucket: Any, key: str, content: str | bytes) -> None:
    bucket.put_object(Key=key, Body=content if isinstance(content, bytes) else content.encode())


def test_objects_become_tests_and_are_known_when_they_come_again(
    take: Taking, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "lab/AB12.csv", arbin_csv(2))
    put(bucket, "lab/rates/CD34.csv", arbin_csv(3))
    put(bucket, "lab/rates/", "")  # what some programs put in for a folder
    put(bucket, "labels/EF56.csv", arbin_csv(4))
    first = take(f"s3://{BUCKET}/lab")
    assert said(first) == {"AB12.csv": "created", "rates/CD34.csv": "created"}
    (place,) = RawDataFile.objects.get(filename="CD34.csv").sources
    assert place.path == f"s3://{BUCKET}/lab/rates/CD34.csv"
    assert place.modified_at == bucket.Object("lab/rates/CD34.csv").last_modified
    put(bucket, "lab/AB12.csv", arbin_csv(5))
    assert said(take(f"s3://{BUCKET}/lab")) == {"AB12.csv": "updated", "rates/CD34.csv": "unchanged"}
    # What is as young as this could have changed within a second; so it counts as older here.
    monkeypatch.setattr("battery_analysis.ingest.known.QUIET", timedelta(seconds=-10))
    monkeypatch.setattr("battery_analysis.ingest.origin.Origin.bring", None)  # nothing is brought here again
    assert set(said(take(f"s3://{BUCKET}/lab")).values()) == {"unchanged"}


def test_a_listing_of_many_pages_is_whole(bucket: Any) -> None:
    names = [f"{number:02}.csv" for number in range(7)]
    for name in names:
        put(bucket, name, name)
    assert found(f"s3://{BUCKET}") == found(f"s3://{BUCKET}/") == names


def test_globs_and_depth_count_from_the_prefix_and_an_object_is_a_place_too(bucket: Any) -> None:
    for key in ("lab/AB12.csv", "lab/rates/CD34.csv", "lab/rates/deep/EF56.csv"):
        put(bucket, key, key)
    assert found(f"s3://{BUCKET}/lab", depth=1) == ["AB12.csv", "rates/CD34.csv"]
    assert found(f"s3://{BUCKET}/lab", exclude=["*/rates/*"]) == ["AB12.csv"]
    assert found(f"s3://{BUCKET}/lab/rates/CD34.csv") == ["CD34.csv"]


def test_keys_that_no_file_may_have_are_refused_by_name(take: Taking, bucket: Any) -> None:
    put(bucket, "lab/../AB12.csv", arbin_csv(2))
    put(bucket, "lab/CD34.csv", arbin_csv(3))
    outcomes = take(f"s3://{BUCKET}/lab")
    assert said(outcomes) == {"../AB12.csv": "failed", "CD34.csv": "created"}


def test_a_transfer_that_breaks_goes_on_where_it_stopped(
    tmp_path: Path, bucket: Any, service: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(6 << 20)
    put(bucket, "big.bin", content)
    between = Cutting(service)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        (candidate,) = search(f"s3://{BUCKET}/big.bin", Selection(), data_dir=tmp_path, retries=2)
        between.cut_after = [4 << 20]
        assert candidate.origin is not None
        candidate.origin.bring(tmp_path / "here")
    finally:
        between.close()
    assert (tmp_path / "here").read_bytes() == content
    assert between.brought < 8 << 20  # not the whole again


def test_an_object_that_is_replaced_while_its_transfer_breaks_is_brought_anew(
    tmp_path: Path, bucket: Any, service: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "big.bin", b"a" * (6 << 20))
    between = Cutting(service)
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        monkeypatch.setattr(retrying, "_log", lambda state: put(bucket, "big.bin", b"b" * (6 << 20)))
        (candidate,) = search(f"s3://{BUCKET}/big.bin", Selection(), data_dir=tmp_path, retries=3)
        between.cut_after = [4 << 20]
        assert candidate.origin is not None
        candidate.origin.bring(tmp_path / "here")
    finally:
        between.close()
    assert (tmp_path / "here").read_bytes() == b"b" * (6 << 20)


def test_an_object_that_is_gone_is_its_own_fault(tmp_path: Path, bucket: Any) -> None:
    put(bucket, "AB12.csv", "x")
    (candidate,) = search(f"s3://{BUCKET}", Selection(), data_dir=tmp_path)
    bucket.Object("AB12.csv").delete()
    assert candidate.origin is not None
    with pytest.raises(ReadError, match=r"s3://cycler-files/AB12.csv: .*\(NoSuchKey\)"):
        candidate.origin.bring(tmp_path / "here")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (f"s3://{BUCKET}/nothing", "nothing is there"),
        ("s3://no-such-bucket", r"\(NoSuchBucket\)"),
        ("s3://", "an address like s3://bucket/prefix wanted"),
    ],
)
def test_a_place_that_is_not_there_is_one_line(bucket: Any, address: str, reason: str) -> None:
    with pytest.raises(IngestError, match=reason):
        found(address)


def test_without_credentials_the_import_says_so(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(IngestError, match="Unable to locate credentials"):
        found(f"s3://{BUCKET}")


def test_a_service_that_does_not_answer_is_one_line(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(IngestError, match="Could not connect"):
        found(f"s3://{BUCKET}")
