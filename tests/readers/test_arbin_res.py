"""Arbin results databases give what MITS Pro recorded, and say what is missing of it."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.errors import BatteryAnalysisError, CorruptFileError
from battery_analysis.readers.arbin_res import ArbinRes
from battery_analysis.readers.base import HEAD_BYTES
from tests.readers.jet_bytes import DOUBLE, LONG, PAGE, SHORT, SINGLE, TEXT, Column, Table, database
from tests.realdata import hostile, real, real_entries

RESULTS = "arbin/20160805_test001_45_cc_01.res"
START_DAY = 45_000.25  # 2023-03-15 06:00
STARTED_AT = datetime(2023, 3, 15, 6, tzinfo=UTC)
RECORD_COLUMNS = [
    Column("Test_ID", LONG),
    Column("Data_Point", LONG),
    Column("Test_Time", DOUBLE),
    Column("Step_Time", DOUBLE),
    Column("DateTime", DOUBLE),
    Column("Step_Index", SHORT),
    Column("Cycle_Index", SHORT),
    Column("Current", SINGLE),
    Column("Voltage", SINGLE),
    Column("Charge_Capacity", DOUBLE),
    Column("Discharge_Capacity", DOUBLE),
]
GLOBAL_COLUMNS = [
    Column("Test_ID", LONG),
    Column("Test_Name", TEXT),
    Column("Channel_Index", SHORT),
    Column("Start_DateTime", DOUBLE),
    Column("Mapped_Aux_Temperature_Number", SHORT),
    Column("Item_ID", TEXT),
    Column("MASS", DOUBLE),
    Column("Specific_Capacity", DOUBLE),
]
AUX_COLUMNS = [
    Column("Test_ID", LONG),
    Column("Data_Point", LONG),
    Column("Auxiliary_Index", SHORT),
    Column("Data_Type", SHORT),
    Column("X", DOUBLE),
    Column("dX/dt", DOUBLE),
]
AUX_NAME_COLUMNS = [
    Column("Channel_Index", SHORT),
    Column("Auxiliary_Index", SHORT),
    Column("Data_Type", SHORT),
    Column("Nickname", TEXT),
    Column("Unit", TEXT),
]


def records(test: int = 1, cycles: int = 2) -> list[list[Any]]:
    """An hour at 1 A, an hour at -1 A, a record a minute; counters that only the schedule sets back, here never."""
    found = []
    for number in range(1, 120 * cycles + 1):
        half, minute = divmod(number - 1, 60)
        charging = half % 2 == 0
        charged = (half // 2 + half % 2) + (minute + 1) / 60 * charging
        discharged = half // 2 + (minute + 1) / 60 * (not charging)
        day = START_DAY + number * 60 / 86_400
        current = 1.0 if charging else -1.0
        step = half % 2 + 1
        found.append(
            [
                test,
                number,
                60.0 * number,
                60.0 * (minute + 1),
                day,
                step,
                half // 2 + 1,
                current,
                3.5,
                charged,
                discharged,
            ]
        )
    return found


def about(test: int = 1, name: str = "cell_7", temperatures: int = 0) -> list[Any]:
    return [test, name, 12, START_DAY, temperatures, "B-0007", 0.5, 3.0]


def results(**tables: Table) -> bytes:
    """A results file of one test, with further tables or others in place of these."""
    usual = {
        "Channel_Normal_Table": Table(RECORD_COLUMNS, records()),
        "Global_Table": Table(GLOBAL_COLUMNS, [about()]),
    }
    return database({**usual, **tables})


def written(folder: Path, data: bytes, name: str = "cell.res") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_an_ideal_cell_has_its_capacity_and_efficiency(tmp_path: Path) -> None:
    result = ba.read(written(tmp_path, results()))
    assert result.reader == "arbin_res"
    assert result.warnings == []
    assert result.cycles["charge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["discharge_capacity_ah"].to_list() == pytest.approx([1.0, 1.0])
    assert result.cycles["coulombic_efficiency"][0] == pytest.approx(1.0)
    assert result.frame["record_index"].to_list() == list(range(1, 241))
    assert {"schedule_charging_capacity_ah", "schedule_discharging_capacity_ah"} <= set(result.frame.columns)


def test_the_facts_of_the_test_are_kept(tmp_path: Path) -> None:
    metadata = ba.read(written(tmp_path, results())).metadata
    assert metadata.test_name == "cell_7"
    assert metadata.channel == "12"
    assert metadata.barcode == metadata.sample_name == "B-0007"
    assert metadata.active_mass_gram == 0.5
    assert metadata.nominal_capacity_ah == 1.5
    assert metadata.started_at == STARTED_AT
    assert metadata.announced_records == 240
    assert metadata.header["Global_Table.Item_ID"] == "B-0007"


def test_local_times_are_taken_in_the_zone(tmp_path: Path) -> None:
    result = ba.read(written(tmp_path, results()), time_zone="America/New_York")
    assert result.metadata.started_at == datetime(2023, 3, 15, 10, tzinfo=UTC)
    assert result.metadata.time_zone == "America/New_York"


def test_records_come_in_the_order_of_their_number(tmp_path: Path) -> None:
    mixed = records()[120:] + records()[:120]
    result = ba.read(written(tmp_path, results(Channel_Normal_Table=Table(RECORD_COLUMNS, mixed))))
    assert result.frame["record_index"].to_list() == list(range(1, 241))
    assert result.warnings == []


def test_auxiliary_channels_become_columns(tmp_path: Path) -> None:
    values = [
        [1, number, index, kind, 20.0 + index + number / 1000, 0.5]
        for number in range(1, 241)
        for kind, index in ((0, 4), (1, 6), (1, 9))
        if (kind, number) != (0, 3)
    ]
    names = [[12, 4, 0, "reference", "V"], [12, 6, 1, "top", "C"], [12, 9, 1, "oven", "F"]]
    data = results(Auxiliary_Table=Table(AUX_COLUMNS, values), Aux_Global_Data_Table=Table(AUX_NAME_COLUMNS, names))
    result = ba.read(written(tmp_path, data))
    frame = result.frame
    assert frame["temperature_t1_celsius"][0] == pytest.approx(26.001)
    assert frame["temperature_t2_celsius"][0] == pytest.approx((29.001 - 32) / 1.8)
    assert frame["aux_aux_voltage_v_1"].to_list()[:4] == pytest.approx([24.001, 24.002, None, 24.004])
    assert "aux_aux_temperature_2_dx_dt" in frame.columns
    assert result.metadata.header["Aux_Global_Data_Table.2.Nickname"] == "top"


@pytest.mark.parametrize(("mapped", "column"), [(1, "temperature_t1_celsius"), (0, "aux_aux_type1_1")])
def test_a_channel_without_a_unit_is_named_only_if_the_test_confirms_it(
    tmp_path: Path, mapped: int, column: str
) -> None:
    values = [[1, number, 0, 1, 25.0, 0.0] for number in range(1, 241)]
    data = results(
        Auxiliary_Table=Table(AUX_COLUMNS, values), Global_Table=Table(GLOBAL_COLUMNS, [about(temperatures=mapped)])
    )
    assert ba.read(written(tmp_path, data)).frame[column].unique().to_list() == [25.0]


def test_auxiliary_values_without_a_record_are_counted(tmp_path: Path) -> None:
    values = [[1, number, 0, 7, 1.0, 0.0] for number in (1, 1, 999)]
    result = ba.read(written(tmp_path, results(Auxiliary_Table=Table(AUX_COLUMNS, values))))
    assert any(warning.startswith("2 values of auxiliary channel") for warning in result.warnings)


def test_signals_of_cells_and_buses_are_kept(tmp_path: Path) -> None:
    columns = [Column("Test_ID", LONG), Column("Data_Point", LONG), Column("CAN_MV_Index", SHORT)]
    values = [[1, number, index, 10.0 * index] for number in range(1, 241) for index in (1, 2)]
    table = Table([*columns, Column("Signal_Value_X", DOUBLE)], values)
    frame = ba.read(written(tmp_path, results(Can_BMS_Data_Table=table))).frame
    assert frame["aux_can_signal_value_x_2"].unique().to_list() == [20.0]


def test_of_several_tests_the_largest_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    data = results(
        Channel_Normal_Table=Table(RECORD_COLUMNS, records(1, cycles=1) + records(2, cycles=3)),
        Global_Table=Table(GLOBAL_COLUMNS, [about(1, "short"), about(2, "long")]),
    )
    result = ba.read(written(tmp_path, data))
    assert result.metadata.test_name == "long"
    assert result.frame.height == 360
    assert "the database holds 2 tests; read is 2 long, left out are 1 short" in result.warnings


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    rows = records()
    rows[10][7] = None
    frame = ba.read(written(tmp_path, results(Channel_Normal_Table=Table(RECORD_COLUMNS, rows)))).frame
    assert frame["current_ampere"].null_count() == 1
    assert frame["current_ampere"][10] is None


def test_fewer_records_than_announced_are_said(tmp_path: Path) -> None:
    data = results(Channel_Normal_Table=Table(RECORD_COLUMNS, records(), announced=400))
    warnings = ba.read(written(tmp_path, data)).warnings
    assert "the database is incomplete: 240 of 400 records of Channel_Normal_Table could be read" in warnings


def test_statistics_beyond_the_last_record_are_said(tmp_path: Path) -> None:
    columns = [Column("Test_ID", LONG), Column("Data_Point", LONG), Column("Vmax_On_Cycle", SINGLE)]
    data = results(Channel_Statistic_Table=Table(columns, [[1, 120, 4.0], [1, 360, 4.0]]))
    warnings = ba.read(written(tmp_path, data)).warnings
    assert any(warning.startswith("records are missing: Channel_Statistic_Table goes to 360") for warning in warnings)


@pytest.mark.parametrize("columns", [RECORD_COLUMNS[:7], RECORD_COLUMNS[2:]])
def test_a_missing_column_is_named(tmp_path: Path, columns: list[Column]) -> None:
    first = RECORD_COLUMNS.index(columns[0])
    rows = [row[first : first + len(columns)] for row in records()]
    with pytest.raises(CorruptFileError, match=r"missing|has no column Test_ID and Data_Point"):
        ba.read(written(tmp_path, results(Channel_Normal_Table=Table(columns, rows))))


def test_a_test_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="holds no records"):
        ba.read(written(tmp_path, results(Channel_Normal_Table=Table(RECORD_COLUMNS, []))))


def test_other_databases_are_not_claimed(tmp_path: Path) -> None:
    path = written(tmp_path, database({"Customers": Table([Column("Id", LONG)], [[1]])}), "shop.mdb")
    assert not ArbinRes().recognises(path.read_bytes()[:HEAD_BYTES], path)


def test_a_results_file_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    result = ba.read(written(tmp_path, results(), "cell.mdb"))
    assert result.reader == "arbin_res"
    assert result.warnings == ["named .mdb, but the content is Arbin (arbin_res)"]


def test_compressed_databases_are_read_as_they_are(tmp_path: Path) -> None:
    whole = ba.read(written(tmp_path, results()))
    packed = ba.read(written(tmp_path, gzip.compress(results()), "cell.res.gz"))
    assert packed.frame.equals(whole.frame)
    assert packed.warnings == []


def test_a_cut_compressed_database_is_partial_or_refused(tmp_path: Path) -> None:
    packed = gzip.compress(results(Channel_Normal_Table=Table(RECORD_COLUMNS, records(cycles=40))))
    for share in (0.3, 0.6, 0.9):
        path = written(tmp_path, packed[: int(share * len(packed))], "cell.res.gz")
        try:
            assert ba.read(path).warnings
        except CorruptFileError as exc:
            assert "incomplete" in str(exc) or "missing" in str(exc)


def test_a_compressed_database_that_expands_too_far_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(results() + bytes(80 << 20)), "cell.res.gz")
    with pytest.raises(CorruptFileError, match="expands beyond the limit"):
        ba.read(path)


def test_a_database_cut_anywhere_is_partial_or_refused(tmp_path: Path) -> None:
    whole = results(Channel_Normal_Table=Table(RECORD_COLUMNS, records(cycles=4)))
    complete = ba.read(written(tmp_path, whole)).frame
    for pages in range(1, len(whole) // PAGE):
        for extra in (0, 1000):
            path = written(tmp_path, whole[: pages * PAGE + extra])
            try:
                result = ba.read(path)
            except BatteryAnalysisError as exc:
                assert "\n" not in str(exc)
                continue
            assert any("incomplete" in warning for warning in result.warnings)
            assert result.frame.equals(complete.head(result.frame.height).select(result.frame.columns))


def test_half_a_real_database_is_read_to_where_it_ends() -> None:
    result = ba.read(hostile("truncated_50pct.res"))
    assert any("incomplete" in warning and "10261" in warning for warning in result.warnings)
    whole = ba.read(real(RESULTS)).frame
    assert result.frame["record_index"].to_list() == list(range(1, result.frame.height + 1))
    assert result.frame["voltage_volt"].equals(whole["voltage_volt"].head(result.frame.height))


def test_a_real_database_agrees_with_its_reference() -> None:
    entry = next((each for each in real_entries("arbin") if each["path"] == RESULTS), None)
    result = ba.read(real(RESULTS))
    assert entry is not None
    want, told = entry["reference"], entry["reference"]["file_metadata"]
    assert result.frame.height == want["rows"]
    assert result.warnings == []
    time = result.frame["test_time_second"]
    assert (time[0], time[-1]) == pytest.approx((want["test_time_s"]["first"], want["test_time_s"]["last"]))
    for name, key in (("voltage_volt", "voltage_V"), ("current_ampere", "current_A")):
        assert result.frame[name].min() == pytest.approx(want[key]["min"])
        assert result.frame[name].max() == pytest.approx(want[key]["max"])
    cycles = {row["cycle_count"]: row for row in result.cycles.iter_rows(named=True)}
    assert len(cycles) == want["cycles"]["count"]
    for each in want["capacity"]["per_cycle"]:
        assert cycles[each["cycle"]]["charge_capacity_ah"] == pytest.approx(each["charge_Ah"], rel=1e-6, abs=1e-12)
        assert cycles[each["cycle"]]["discharge_capacity_ah"] == pytest.approx(each["discharge_Ah"], rel=1e-6)
    metadata = result.metadata
    assert metadata.test_name == told["test_name"]
    assert metadata.channel == str(told["channel_index"])
    assert metadata.protocol == told["schedule"]
    assert metadata.software == told["software_version"]
    assert metadata.device == told["serial_number"]
    assert metadata.started_at == datetime.fromisoformat(told["start"]).replace(tzinfo=UTC)
    assert metadata.finished


def test_real_files_of_others_are_not_claimed() -> None:
    claimed = []
    for entry in real_entries():
        path = real(entry["path"])
        with path.open("rb") as file:
            if ArbinRes().recognises(file.read(HEAD_BYTES), path):
                claimed.append(entry["path"])
    assert claimed in ([], [RESULTS])


def test_numbers_are_not_rounded(tmp_path: Path) -> None:
    rows = records()
    rows[0][9] = 0.1 + 0.2
    frame = ba.read(written(tmp_path, results(Channel_Normal_Table=Table(RECORD_COLUMNS, rows)))).frame
    assert frame["schedule_charging_capacity_ah"][0] == 0.1 + 0.2
    assert frame.schema["voltage_volt"] == pl.Float64()
