"""Damaged and hostile files in the project's own layouts are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from battery_analysis.errors import CorruptFileError, ReadError
from battery_analysis.reading import read
from tests.builders import cycling_frame, read_result


def written(folder: Path, name: str) -> Path:
    [path] = read_result(cycling_frame()).write(folder / name)
    return path


@pytest.mark.parametrize("name", ["test.h5", "test.xlsx", "test.json"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95, 0.999])
def test_a_file_that_is_cut_off_is_refused(name: str, share: float, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ReadError) as refused:
        read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["test.h5", "test.xlsx", "test.json"])
def test_a_byte_that_changed_gives_an_error_or_a_whole_table(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            result = read(path)
        except ReadError as exc:
            assert "\n" not in str(exc)
        else:
            assert result.frame.height


def _elsewhere(file: h5py.File) -> None:
    del file["records/current_ampere"]
    file["records/current_ampere"] = h5py.ExternalLink("/etc/passwd", "/x")


def _enormous(file: h5py.File) -> None:
    file["records"].create_dataset("aux_big", shape=(1 << 40,), dtype="f8", chunks=(1024,))


def _shorter(file: h5py.File) -> None:
    file["records/aux_short"] = np.zeros(3)


def _objects(file: h5py.File) -> None:
    file["records"].create_dataset("aux_text", data=["x"] * 60, dtype=h5py.string_dtype())


def _no_codes(file: h5py.File) -> None:
    file["records/words/voltage_volt"] = np.array([b"word"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_elsewhere, "current_ampere is absent or a link"),
        (_enormous, "the records need more than 2147483648 bytes"),
        (_shorter, "columns have 3 to 60 rows"),
        (_objects, "aux_text is no column of numbers"),
        (_no_codes, "voltage_volt holds no codes of words"),
    ],
)
def test_what_is_no_table_of_arrays_is_refused(
    damage: Callable[[h5py.File], None], reason: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "test.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(CorruptFileError, match=reason):
        read(path)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([], "no records"),
        ({"test_time_second": 1.0}, "something else than a list"),
        ({"test_time_second": [1.0], "voltage_volt": [1.0, 2.0]}, "the records are no table"),
        ({"test_time_second": [1.0], "voltage_volt": [{}]}, "voltage_volt holds values of several kinds|no table"),
        ({"test_time_second": [1.0], "voltage_volt": [True, "x"]}, "several kinds: bool, str"),
        ({"test_time_second": [10**400], "voltage_volt": [1.0]}, "the records are no table"),
        ({"test_time_second": [1.0], "current_ampere": [1.0]}, "no time and voltage among the columns"),
        ({"test_time_second": [], "voltage_volt": []}, "the file has no data rows"),
    ],
)
def test_what_is_no_table_of_lists_is_refused(records: Any, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"format": "battery_analysis test 1", "records": records}))
    with pytest.raises(CorruptFileError, match=reason):
        read(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "1}", '"metadata": 3, "records": 4}'])
def test_what_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text('{"format": "battery_analysis test 1", ' + text)
    with pytest.raises(CorruptFileError):
        read(path)


def test_a_long_text_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("battery_analysis.readers.bdf_containers.MAX_JSON_BYTES", 1000)
    path = tmp_path / "test.json"
    path.write_text('{"format": "battery_analysis test 1"' + " " * 1000 + "}")
    with pytest.raises(CorruptFileError, match="1037 bytes of JSON, more than the limit of 1000"):
        read(path)
