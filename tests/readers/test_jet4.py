"""Jet 4 tables are read as an independent reader reads them, and what is damaged is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from battery_analysis.readers.jet4 import PAGE_BYTES, Database, JetError
from tests.readers.jet_bytes import (
    BOOLEAN,
    BYTE,
    DOUBLE,
    LONG,
    MEMO,
    MONEY,
    SHORT,
    SINGLE,
    TEXT,
    Column,
    Table,
    database,
    encode_row,
)
from tests.realdata import real

RESULTS = "arbin/20160805_test001_45_cc_01.res"

COLUMNS = [
    Column("number", LONG),
    Column("small", SHORT),
    Column("tiny", BYTE),
    Column("flag", BOOLEAN),
    Column("single", SINGLE),
    Column("double", DOUBLE),
    Column("money", MONEY),
    Column("name", TEXT),
    Column("remark", MEMO),
    Column("loose", DOUBLE, fixed=False),
]


def row(number: int) -> list[Any]:
    return [number, -number % 100, number % 256, number % 2, number / 4, number / 8, number * 10_000, f"row {number}",
            "µ = ½ °C", number / 16]  # fmt: skip


def numbers_of(table: Table) -> dict[str, list[float]]:
    found = Database(database({"things": table})).numbers("things")
    return {name: values.tolist() for name, values in found.columns.items()}


def test_numbers_of_every_type_come_back() -> None:
    found = numbers_of(Table(COLUMNS, [row(number) for number in range(300)]))
    for at, column in enumerate(COLUMNS):
        if column.kind not in (TEXT, MEMO):
            want = [row(number)[at] for number in range(300)]
            assert found[column.name] == ([value / 10_000 for value in want] if column.kind == MONEY else want)


def test_rows_with_texts_come_back() -> None:
    rows = Database(database({"things": Table(COLUMNS, [row(7), row(8)])})).rows("things")
    assert [list(each.values()) for each in rows] == [
        [7, -7 % 100, 7, True, 1.75, 0.875, 7.0, "row 7", "µ = ½ °C", 0.4375],
        [8, -8 % 100, 8, False, 2.0, 1.0, 8.0, "row 8", "µ = ½ °C", 0.5],
    ]


def test_missing_values_are_told_from_zeros() -> None:
    rows = [[1, 0, None, 0, None, 0.0, 0, None, None, None], row(2)]
    found = Database(database({"things": Table(COLUMNS, rows)})).numbers("things")
    assert {name: there.tolist() for name, there in found.valid.items()} == {
        "tiny": [False, True],
        "single": [False, True],
        "loose": [False, True],
    }


def test_rows_written_before_a_column_was_added_miss_it() -> None:
    data = bytearray(database({"things": Table(COLUMNS[:5], [row(1)[:5], row(2)[:5]])}))
    old = encode_row(COLUMNS[:4], row(2)[:4])
    at = data.rindex(encode_row(COLUMNS[:5], row(2)[:5]))
    long = len(encode_row(COLUMNS[:5], row(2)[:5]))
    data[at : at + long] = bytes(long - len(old)) + old
    page = at // PAGE_BYTES * PAGE_BYTES
    data[page + 16 : page + 18] = (at - page + long - len(old)).to_bytes(2, "little")
    found = Database(bytes(data)).numbers("things")
    assert found.columns["number"].tolist() == [1, 2]
    assert {name: there.tolist() for name, there in found.valid.items()} == {"single": [True, False]}


def test_deleted_rows_are_left_out() -> None:
    table = Table(COLUMNS, [row(number) for number in range(5)], deleted=frozenset({1, 4}))
    assert numbers_of(table)["number"] == [0, 2, 3]


def test_moved_rows_are_read_once_and_in_their_place() -> None:
    table = Table(COLUMNS, [row(number) for number in range(5)], moved=frozenset({0, 3}))
    assert numbers_of(table)["number"] == [0, 1, 2, 3, 4]


def test_long_usage_maps_are_followed() -> None:
    rows = [row(number) for number in range(400)]
    assert numbers_of(Table(COLUMNS, rows, map_pages=True))["number"] == list(range(400))


def test_pages_that_a_table_gave_back_are_not_read() -> None:
    table = Table(COLUMNS, [row(number) for number in range(100)])
    data = database({"things": table})
    definition = Database(data).tables["things"]
    stale = next(
        page
        for page in range(3, len(data) // PAGE_BYTES)
        if data[page * PAGE_BYTES] == 1
        and data[page * PAGE_BYTES + 4 : page * PAGE_BYTES + 8] == definition.to_bytes(4, "little")
    )
    grown = data + data[stale * PAGE_BYTES : (stale + 1) * PAGE_BYTES]
    assert len(Database(grown).numbers("things").columns["number"]) == 100


@pytest.mark.parametrize("pages", [1, 2, 5])
def test_missing_pages_are_counted(pages: int) -> None:
    data = database({"things": Table(COLUMNS[:6], [row(number)[:6] for number in range(2000)])})
    catalog = 2  # its map and its rows lie last
    kept = data[: -(catalog + pages) * PAGE_BYTES] + bytes(pages * PAGE_BYTES) + data[-catalog * PAGE_BYTES :]
    found = Database(kept).numbers("things")
    assert found.missing_pages == pages
    assert found.announced == 2000
    there = found.columns["number"]
    assert len(there) < 2000
    assert there.tolist() == list(range(len(there)))


def test_damaged_rows_are_counted_and_left_out() -> None:
    data = bytearray(database({"things": Table(COLUMNS, [row(number) for number in range(10)])}))
    at = data.rindex(encode_row(COLUMNS, row(4)))
    data[at : at + 2] = b"\xff\xff"
    found = Database(bytes(data)).numbers("things")
    assert found.columns["number"].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert found.damaged_rows == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no Jet database"),
        (b"\x00\x01\x00\x00Standard Jet DB\x00", "no Jet database"),
        (b"PK\x03\x04", "no Jet database"),
        (database({}, version=0), "a Jet 3 database"),
        (database({})[: 2 * PAGE_BYTES] + b"\x99" * PAGE_BYTES, "encrypted or damaged"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(JetError, match=reason):
        Database(data)


def test_a_table_that_is_not_there_is_an_error() -> None:
    with pytest.raises(JetError, match="there is no table nothing"):
        Database(database({})).numbers("nothing")


def test_a_definition_beyond_the_end_is_missing() -> None:
    data = database({"first": Table(COLUMNS, [row(1)]), "second": Table(COLUMNS, [row(1)])})
    with pytest.raises(JetError, match="is missing"):
        Database(data[: 3 * PAGE_BYTES]).numbers("second")


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_end_in_an_answer_or_a_jet_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = Table(COLUMNS, [row(number) for number in range(50)], moved=frozenset({3}), map_pages=seed % 2 == 0)
    data = bytearray(database({"things": table}))
    for at in rng.integers(2 * PAGE_BYTES, len(data), 30):
        data[at] = rng.integers(256)
    try:
        found = Database(bytes(data))
        assert len(found.numbers("things").columns.get("number", [])) <= len(data)
        assert len(found.rows("things")) <= len(data)
    except JetError as exc:
        assert str(exc)


def test_a_real_database_is_read_as_access_parser_reads_it() -> None:
    access_parser = pytest.importorskip("access_parser")
    path: Path = real(RESULTS)
    theirs = access_parser.AccessParser(str(path))
    ours = Database(path.read_bytes())
    compared = 0
    for name in (each for each in ours.tables if each.endswith("_Table")):
        want = theirs.parse_table(name)
        found = ours.numbers(name)
        assert set(want) >= set(found.columns)
        for column, values in found.columns.items():
            assert values.tolist() == list(want[column]), f"{name}.{column}"
            compared += len(values)
        if len(next(iter(want.values()))) < 100:
            texts = {key: [row[key] for row in ours.rows(name)] for key in want}
            assert texts == {key: list(values) for key, values in want.items()}, name
    assert compared > 10_000
