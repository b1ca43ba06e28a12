"""Arbin results databases (``.res``, ``.res.gz``): what MITS Pro 4 to 7 records itself.

File structure:
    A Jet 4 (Access) database. ``Channel_Normal_Table`` has a row for each record, ``Global_Table`` one for each test,
    ``Auxiliary_Table`` one for each record and auxiliary channel, which ``Aux_Global_Data_Table`` names. Tables of the
    same kind hold signals of smart batteries, of CAN buses and of single cells. All belong to a record by ``Test_ID``
    and ``Data_Point``. ``Channel_Statistic_Table`` has a row for each cycle, ``Event_Table`` for each start and end.
    Versions of the results file (``Version_Table``, 1.14 to 5.26 and later) differ in columns, not in their meaning.

Units:
    s, V, A, Ah, Wh, ohm; ``MASS`` in g, ``Specific_Capacity`` in Ah/g. ``DateTime`` is days since 1899-12-30, in local
    time. Current is positive on charge. Counters are set to zero only where the schedule says so.

Choices:
    Records are ordered by ``Data_Point``, since a database keeps rows in no order. Auxiliary channels become columns of
    the names that Arbin's text exports use (``Aux_Temperature_1``), numbered from 1 in the order of their index. What
    an auxiliary channel measures is told by its unit; without one, by ``Data_Type`` where ``Global_Table`` counts as
    many channels of that type as there are. A database that is cut short is read as far as its records follow each
    other, with a warning that counts them against the table's own number of rows.

Seen in:
    Results file 5.26 (MITS Pro 4.32).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.arbin import TERMS
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import heading
from battery_analysis.readers.inflate import GZIP_MAGIC, gunzipped, gunzipped_start
from battery_analysis.readers.jet4 import MAGICS, MAX_BYTES, Database, JetError
from battery_analysis.readers.jet4_columns import Numbers
from battery_analysis.readers.stamps import moment, unix_time
from battery_analysis.readers.terms import to_frame, with_clock

RECORDS = "Channel_Normal_Table"

_PEEK_BYTES = 4 << 20
_NAMES = (RECORDS.encode("utf-16-le"), RECORDS.encode("ascii"))
_KEYS = ("Test_ID", "Data_Point")
_ATTACHED = {
    "Smart_Battery_Data_Table": ("Smart_Battery", None),
    "Smart_Battery_Clock_Stretch_Table": ("Smart_Battery_Clock_Stretch", None),
    "Can_BMS_Data_Table": ("CAN", "CAN_MV_Index"),
    "MCell_Aci_Data_Table": ("Cell", "Cell_Index"),
}
"""Further tables by record: what their columns are called here, and the column that tells channels apart."""
_MAX_CHANNELS = 512
_AUX_TYPES = ("Voltage", "Temperature", "Pressure", "PH", "Flow_Rate", "Conc", "DI", "DO")
_AUX_COUNTS = {name: f"Mapped_Aux_{name}_{'C' if name in _AUX_TYPES[4:] else ''}Number" for name in _AUX_TYPES}
_AUX_UNITS = {"v": "Voltage", "c": "Temperature", "k": "Temperature", "f": "Temperature"}
_HEADER_TABLES = ("Version_Table", "Global_Table", "Resume_Table", "Event_Table", "Aux_Global_Data_Table")
_MAX_HEADER_ROWS = 50
_NAMED_TESTS = 10
_STAMP_SECONDS = 2.0
_TEST_END = "test end"


class ArbinRes:
    """Reads Arbin results databases."""

    name = "arbin_res"
    version = "1"
    tester = "Arbin"
    suffixes = frozenset({".res", ".gz"})
    description = "Arbin MITS Pro results database (.res, .res.gz); a Jet 4 database with Channel_Normal_Table"

    def recognises(self, head: bytes, path: Path) -> bool:
        """A Jet database, perhaps compressed, that names Arbin's table of records or is called ``.res``."""
        if head.startswith(GZIP_MAGIC):
            return gunzipped_start(head, 64).startswith(MAGICS)
        if not head.startswith(MAGICS):
            return False
        with path.open("rb") as file:
            start = file.read(_PEEK_BYTES)
        return path.suffix.lower() == ".res" or any(name in start for name in _NAMES)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read the test with the most records; Arbin stores local times, so they are taken in ``time_zone``."""
        try:
            data, said = _content(path, self.name)
            database = Database(data)
            table = database.numbers(RECORDS)
        except JetError as exc:
            cut = str(exc).endswith("is missing")
            what = f"the database is incomplete: {exc}, the file has {path.stat().st_size} bytes" if cut else str(exc)
            raise CorruptFileError(path, what, self.name) from exc
        tables = _Tables(database, said=said)
        facts = {name: tables.facts(name) for name in _HEADER_TABLES}
        records = _one_test(_frame(table), facts["Global_Table"], tables)
        tables.said += _shortfall(database, table)
        if not records.height:
            raise CorruptFileError(path, "; ".join(["the database holds no records", *tables.said]), self.name)
        _check_statistics(records, tables)
        records = _with_aux(records, facts, tables)
        for name, (prefix, channel) in _ATTACHED.items():
            records = _attach(records, tables.values(name), prefix, channel, tables.said)

        stamps = records.drop_in_place("DateTime") if "DateTime" in records.columns else None
        headings = [heading(name) for name in records.columns]
        metadata = _metadata(facts, tables.test)
        frame, metadata.sources, map_warnings = to_frame(records, headings, TERMS)
        clock_warnings: list[str] = []
        if stamps is not None:
            frame, clock_warnings = with_clock(frame, stamps, time_zone, metadata)
            _take_exact_start(metadata, facts["Global_Table"], tables.test, time_zone)
        if records.height >= len(table.columns["Test_ID"]):
            metadata.announced_records = table.announced
        return Reading(frame, metadata, [*tables.said, *tables.lost(), *map_warnings, *clock_warnings])


@dataclass
class _Tables:
    """The tables beside the records: what they hold of one test, and what had to be said about them."""

    database: Database
    test: int = 0
    said: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def facts(self, name: str) -> list[dict[str, Any]]:
        """Rows of a small table of any test; none where this version of the format has no such table."""
        if name not in self.database.tables:
            return []
        try:
            return self.database.rows(name)
        except JetError:
            self.missing.append(name)
            return []

    def values(self, name: str) -> pl.DataFrame:
        """Numbers of a table that belong to the test; without columns where there are none."""
        if name not in self.database.tables:
            return pl.DataFrame()
        try:
            table = self.database.numbers(name)
        except JetError:
            self.missing.append(name)
            return pl.DataFrame()
        frame = _frame(table)
        if frame.height < table.announced or table.missing_pages or table.damaged_rows:
            self.said.append(f"{name} is incomplete: {frame.height} of {table.announced} rows could be read")
        if not frame.height or not set(_KEYS) <= set(frame.columns):
            return pl.DataFrame()
        return frame.filter(pl.col("Test_ID") == self.test).drop("Test_ID")

    def lost(self) -> list[str]:
        """Name the tables whose definitions are gone."""
        return [f"the database is incomplete: lost are {', '.join(self.missing)}"] if self.missing else []


def _content(path: Path, reader: str) -> tuple[bytes, list[str]]:
    """The database, unpacked within limits where it is compressed, and whether that ended early."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise CorruptFileError(path, f"{size} bytes are more than a Jet database can have ({MAX_BYTES})", reader)
    data = path.read_bytes()
    if not data.startswith(GZIP_MAGIC):
        return data, []
    return gunzipped(path, data, MAX_BYTES, reader)


def _frame(table: Numbers) -> pl.DataFrame:
    frame = pl.DataFrame(table.columns)
    gaps = [pl.when(pl.Series(there)).then(pl.col(name)).alias(name) for name, there in table.valid.items()]
    return frame.with_columns(gaps) if gaps else frame


def _one_test(frame: pl.DataFrame, tests: Sequence[dict[str, Any]], tables: _Tables) -> pl.DataFrame:
    """The records of the largest test in order; a results file may hold several."""
    absent = [name for name in _KEYS if name not in frame.columns]
    if absent:
        raise SchemaError(f"{RECORDS} has no column {' and '.join(absent)}; it has {', '.join(frame.columns)}")
    counts = frame["Test_ID"].drop_nulls().value_counts(sort=True)
    if not counts.height:
        return frame.clear()
    tables.test = int(counts["Test_ID"][0])
    if counts.height > 1:
        names = {row.get("Test_ID"): row.get("Test_Name") or "" for row in tests}
        label = [f"{each} {names.get(each, '')}".strip() for each in counts["Test_ID"].to_list()]
        others = ", ".join(label[1 : 1 + _NAMED_TESTS])
        tables.said.append(f"the database holds {len(label)} tests; read is {label[0]}, left out are {others}")
        frame = frame.filter(pl.col("Test_ID") == tables.test)
    if not frame["Data_Point"].is_sorted():
        frame = frame.sort("Data_Point", maintain_order=True)
    own = frame["Data_Point"].is_first_distinct() & frame["Data_Point"].is_not_null()
    if not own.all():
        lost = frame.height - int(own.sum())
        tables.said.append(f"{lost} records without a Data_Point of their own are left out")
        frame = frame.filter(own)
    return frame


def _shortfall(database: Database, table: Numbers) -> list[str]:
    """Count the records against what the database says of itself."""
    said = []
    there = len(table.columns["Test_ID"])
    if there < table.announced or table.missing_pages or database.cut_bytes:
        what = f"{there} of {table.announced} records of {RECORDS} could be read"
        pages = f", {table.missing_pages} of its pages are missing" if table.missing_pages else ""
        cut = f", the file ends {database.cut_bytes} bytes into a page" if database.cut_bytes else ""
        said.append(f"the database is incomplete: {what}{pages}{cut}")
    elif there > table.announced:
        said.append(f"{RECORDS} announces {table.announced} records, but {there} could be read")
    if table.damaged_rows:
        said.append(f"{table.damaged_rows} records of {RECORDS} are damaged and left out")
    return said


def _check_statistics(records: pl.DataFrame, tables: _Tables) -> None:
    """Cycle statistics name the last record of each cycle, which is then to be there."""
    statistics = tables.values("Channel_Statistic_Table")
    last = statistics["Data_Point"].max() if statistics.height else None
    end = records["Data_Point"].max()
    if isinstance(last, int) and isinstance(end, int) and last > end:
        tables.said.append(f"records are missing: Channel_Statistic_Table goes to {last}, {RECORDS} only to {end}")


def _take_exact_start(metadata: TestMetadata, tests: Sequence[dict[str, Any]], test: int, time_zone: str) -> None:
    """Records are stamped to the second, the start of the test is exact; it is not taken where both disagree."""
    start = next((row.get("Start_DateTime") for row in tests if row.get("Test_ID") == test), None)
    if start is None or metadata.started_at is None:
        return
    exact = unix_time(pl.Series([float(start)]), pl.Series([0.0]), time_zone).unix_time[0]
    if exact is not None and abs(exact - metadata.started_at.timestamp()) <= _STAMP_SECONDS:
        metadata.started_at = moment(exact)


def _attach(
    records: pl.DataFrame, values: pl.DataFrame, prefix: str, channel: str | None, said: list[str]
) -> pl.DataFrame:
    """Add the values of a further table beside the records with the same ``Data_Point``."""
    if not values.height:
        return records
    parts: dict[object, pl.DataFrame] = {None: values}
    if channel in values.columns:
        parts = {key[0]: part.drop(channel) for key, part in values.partition_by(channel, as_dict=True).items()}
    for number in sorted(parts, key=str)[:_MAX_CHANNELS]:
        suffix = "" if number is None else f"_{number}"
        names = {name: f"{prefix}_{name}{suffix}" for name in parts[number].columns if name != "Data_Point"}
        records = _join(records, parts[number].rename(names), f"{prefix}{suffix}", said)
    if len(parts) > _MAX_CHANNELS:
        said.append(f"{len(parts) - _MAX_CHANNELS} channels of {prefix} are left out: more than {_MAX_CHANNELS}")
    return records


def _join(records: pl.DataFrame, values: pl.DataFrame, what: str, said: list[str]) -> pl.DataFrame:
    unique = values.unique("Data_Point", keep="last", maintain_order=True)
    strangers = unique.join(records, on="Data_Point", how="anti").height
    if strangers or unique.height < values.height:
        lost = strangers + values.height - unique.height
        said.append(f"{lost} values of {what} are left out: they belong to no record, or one has them twice")
    return records.join(unique, on="Data_Point", how="left", maintain_order="left")


def _with_aux(records: pl.DataFrame, facts: dict[str, list[dict[str, Any]]], tables: _Tables) -> pl.DataFrame:
    """Add a column for each auxiliary channel, and one for its slope."""
    values = tables.values("Auxiliary_Table")
    if not values.height or not {"Data_Type", "Auxiliary_Index", "X"} <= set(values.columns):
        return records
    about = next((row for row in facts["Global_Table"] if row.get("Test_ID") == tables.test), {})
    described = {
        (row.get("Data_Type"), row.get("Auxiliary_Index")): row
        for row in facts["Aux_Global_Data_Table"]
        if row.get("Channel_Index") in (None, about.get("Channel_Index"))
    }
    channels = sorted(values.select("Data_Type", "Auxiliary_Index").drop_nulls().unique().rows())
    if len(channels) > _MAX_CHANNELS:
        many = len(channels) - _MAX_CHANNELS
        tables.said.append(f"{many} auxiliary channels are left out: more than {_MAX_CHANNELS}")
    parts = values.partition_by("Data_Type", "Auxiliary_Index", as_dict=True)
    of_type = [kind for kind, _ in channels]
    for kind, index in channels[:_MAX_CHANNELS]:
        unit = str(described.get((kind, index), {}).get("Unit") or "").strip()
        quantity = _quantity(kind, unit, of_type.count(kind), about)
        number = 1 + [each for type_, each in channels if type_ == kind].index(index)
        names = {
            name: f"Aux_{quantity}({unit})_{number}" if name == "X" else f"Aux_{quantity}_{number}_{name}"
            for name in parts[kind, index].columns
            if name not in ("Data_Point", "Data_Type", "Auxiliary_Index")
        }
        part = parts[kind, index].drop("Data_Type", "Auxiliary_Index").rename(names)
        records = _join(records, part, f"auxiliary channel {quantity} {number}", tables.said)
    return records


def _quantity(kind: int, unit: str, channels: int, about: dict[str, Any]) -> str:
    """What an auxiliary channel measures: Arbin's word, or the number of its type where nothing confirms the word."""
    by_unit = _AUX_UNITS.get(unit.strip("°").replace("℃", "c").lower())
    if by_unit:
        return by_unit
    name = _AUX_TYPES[kind] if 0 <= kind < len(_AUX_TYPES) else None
    return name if name and about.get(_AUX_COUNTS[name]) == channels else f"Type{kind}"


def _metadata(facts: dict[str, list[dict[str, Any]]], test: int) -> TestMetadata:
    header: dict[str, str] = {}
    for table, rows in facts.items():
        for number, row in enumerate(rows[:_MAX_HEADER_ROWS]):
            place = f"{table}." if len(rows) == 1 else f"{table}.{number + 1}."
            header |= {place + key: str(value) for key, value in row.items() if value not in (None, "")}
    about = next((row for row in facts["Global_Table"] if row.get("Test_ID") == test), {})
    events = [row for row in facts["Event_Table"] if row.get("Test_ID") == test]
    ended = bool(events) and str(events[-1].get("Event_Describe") or "").strip().lower() == _TEST_END
    mass, specific = _positive(about.get("MASS")), _positive(about.get("Specific_Capacity"))
    channel = about.get("Channel_Index")
    return TestMetadata(
        tester="Arbin",
        test_type="cycling",
        device=about.get("Serial_Number") or None,
        channel=None if channel is None else str(channel),
        test_name=about.get("Test_Name") or None,
        sample_name=about.get("Item_ID") or None,
        barcode=about.get("Item_ID") or None,
        protocol=about.get("Schedule_File_Name") or None,
        operator=about.get("Creator") or None,
        comment=about.get("Comments") or None,
        software=about.get("Software_Version") or None,
        active_mass_gram=mass,
        nominal_capacity_ah=_positive(about.get("Capacity")) or (mass * specific if mass and specific else None),
        finished=True if ended else None,
        header=header,
    )


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else None
