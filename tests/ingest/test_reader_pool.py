"""A reader that hangs, dies or takes too much fails its own file alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from battery_analysis.errors import CorruptFileError, ReaderLimitError
from battery_analysis.ingest import reader_pool
from battery_analysis.ingest.reader_pool import ReaderPool
from tests.builders import arbin_csv


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that is never read to its end: a pipe into which nobody writes."""
    path = tmp_path / "endless.csv"
    os.mkfifo(path)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "AB12.csv"
    path.write_text(arbin_csv())
    return path


def test_a_reader_beyond_its_time_fails_and_the_next_file_is_read(
    endless: Path, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_pool, "READ_SECONDS", 3)
    with ReaderPool(1) as pool:
        with pytest.raises(ReaderLimitError, match=r"/lab/endless\.csv: not read within 3 s"):
            pool.submit(endless, tmp_path / "1.parcel", "/lab/endless.csv", "UTC").result()
        assert pool.submit(good, tmp_path / "2.parcel", "/lab/AB12.csv", "UTC").result().record_count == 60


def test_a_reader_that_is_killed_fails_its_file_and_the_next_is_read(endless: Path, good: Path, tmp_path: Path) -> None:
    with ReaderPool(1) as pool:
        assert pool.submit(good, tmp_path / "1.parcel", "/lab/AB12.csv", "UTC").result().record_count == 60
        hanging = pool.submit(endless, tmp_path / "2.parcel", "/lab/endless.csv", "UTC")
        threading.Thread(target=_kill_reader_of, args=(endless,)).start()
        with pytest.raises(ReaderLimitError, match=r"/lab/endless\.csv: the process that read it died"):
            hanging.result()
        assert pool.submit(good, tmp_path / "3.parcel", "/lab/AB12.csv", "UTC").result().record_count == 60


def _kill_reader_of(pipe: Path) -> None:
    """Wait until a child has begun to read, which opens the writing end, and kill it."""
    writer = os.open(pipe, os.O_WRONLY)
    for child in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.send_signal(signal.SIGKILL)
    time.sleep(0.5)
    os.close(writer)


def test_an_error_of_a_reader_names_the_file_as_people_know_it(tmp_path: Path) -> None:
    spooled = tmp_path / "AB12.csv"
    spooled.write_text("Test_Time(s),Current(A),Cycle_Index\n1,2,3\n")
    with ReaderPool(1) as pool, pytest.raises(CorruptFileError) as error:
        pool.submit(spooled, tmp_path / "1.parcel", "/lab/AB12.csv", "UTC").result()
    assert str(error.value).startswith("/lab/AB12.csv (arbin_csv): ")
    assert str(tmp_path) not in str(error.value)


def test_a_reader_beyond_its_memory_fails_its_file(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_pool, "MEMORY_BYTES", 400 << 20)
    big = tmp_path / "big.csv"
    with big.open("w") as file:
        file.write("Test_Time(s),Current(A),Voltage(V)\n")
        for first in range(0, 4_000_000, 100_000):
            file.write("".join(f"{number},1.0,3.7\n" for number in range(first, first + 100_000)))
    with ReaderPool(1) as pool, pytest.raises(ReaderLimitError):
        pool.submit(big, tmp_path / "1.parcel", "/lab/big.csv", "UTC").result()


def test_processes_killed_while_they_have_no_file_are_replaced(good: Path, tmp_path: Path) -> None:
    with ReaderPool(1) as pool:
        for number in range(3):
            read = pool.submit(good, tmp_path / f"{number}.parcel", "/lab/AB12.csv", "UTC")
            assert read.result().record_count == 60
            time.sleep(0.5)  # until it waits for its next file
            idle = [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
            for process in idle:
                process.kill()  # and not waited for: the pool would never hear of its end
            time.sleep(0.1 * number)
