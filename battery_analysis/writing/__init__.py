"""Write what was read, in formats that others read.

The name of the file says the format:

- ``….bdf.parquet``, ``….bdf.csv``: Battery Data Format under its machine names;
- ``….parquet``, ``….csv``: the same columns, also for a spectrum, which that format has no table for;
- ``….h5``, ``….xlsx``, ``….json``: records under the same names, the cycle table and what was said of the test;
- ``…_timeseries.csv`` or ``…_cycle_data.csv``: both files of the pair of batteryarchive.org.

Every file is whole or not there. What is written here reads back equal, except that in CSV and JSON a column of nothing
but missing values has no type, that a workbook knows one kind of number, and that the pair keeps only the columns which
it has a place for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from battery_analysis.errors import BatteryAnalysisError, SchemaError
from battery_analysis.files import replacing

if TYPE_CHECKING:
    from typing import BinaryIO

    import polars as pl

    from battery_analysis.readers.base import TestMetadata

SUFFIXES = (".parquet", ".csv", ".h5", ".hdf5", ".xlsx", ".json")
FORMATS = ".parquet, .csv, .bdf.csv, .h5, .xlsx or .json"
"""What ``write`` writes, in words; what else it writes ends in one of these."""

_PAIR = ("_timeseries.csv", "_cycle_data.csv")
_TABLES = (".parquet", ".csv")


def write(target: Path, frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata) -> list[Path]:
    """Write one test in the format that the name of ``target`` says.

    Args:
        target: The file; for the pair of batteryarchive.org either of its two.
        frame: Records in canonical columns.
        cycles: The cycle table of the frame; Parquet and plain CSV have no place for it.
        metadata: What was said of the test; CSV has no place for it.

    Returns:
        The files written.

    Raises:
        SchemaError: The format needs a column that the frame has not, or cannot hold one that it has.
        BatteryAnalysisError: The name says no known format, or the file cannot be written; the old one is as it was.
    """
    import polars as pl

    name = target.name.lower()
    if not name.endswith(SUFFIXES):
        raise BatteryAnalysisError(f"{target}: ends in {target.suffix!r}, not in {FORMATS}")
    try:
        if name.endswith(_PAIR):
            from battery_analysis.writing.pair import write_pair

            return write_pair(target, frame, cycles, continuation=metadata.continuation)
        if name.endswith((".bdf.csv", ".bdf.parquet")):
            _check_required(target, frame)
        with replacing(target) as file:
            _write_one(target, file, frame, cycles, metadata)
    except pl.exceptions.PolarsError as exc:
        raise BatteryAnalysisError(f"{target}: cannot be written: {exc}") from exc
    return [target]


def left_out(target: Path, frame: pl.DataFrame) -> str | None:
    """Say which records are not whole in the format that the name of ``target`` says, None where all are."""
    if not target.name.lower().endswith(_PAIR):
        return None
    from battery_analysis.writing.pair import records_of_spectra

    count = records_of_spectra(frame)
    records = "1 record" if count == 1 else f"{count} records"
    return f"the impedance of {records} is left out: batteryarchive.org has no place for it" if count else None


def write_table(target: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet or CSV, as the name of ``target`` says.

    Raises:
        BatteryAnalysisError: The name says neither, or the file cannot be written; the old one is as it was.
    """
    name = target.name.lower()
    if not name.endswith(_TABLES):
        raise BatteryAnalysisError(f"{target}: ends in {target.suffix!r}, not in {' or '.join(_TABLES)}")
    with replacing(target) as file:
        table.write_parquet(file) if name.endswith(".parquet") else for_text(table).write_csv(file)


def _write_one(target: Path, file: BinaryIO, frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata) -> None:
    match target.suffix.lower():
        case ".parquet":
            from battery_analysis.readers.notes import NOTE_KEY, to_note

            frame.write_parquet(file, metadata={NOTE_KEY: to_note(metadata)})
        case ".csv":
            for_text(frame).write_csv(file)
        case ".xlsx":
            from battery_analysis.writing.workbook import write_workbook

            write_workbook(target, file, frame, cycles, metadata)
        case ".json":
            from battery_analysis.writing.document import write_document

            write_document(target, file, frame, cycles, metadata)
        case _:
            from battery_analysis.writing.hdf5 import write_hdf5

            write_hdf5(target, file, frame, cycles, metadata)


def _check_required(target: Path, frame: pl.DataFrame) -> None:
    from battery_analysis.columns import CURRENT, TEST_TIME, VOLTAGE

    absent = [column.name for column in (TEST_TIME, VOLTAGE, CURRENT) if column.name not in frame.columns]
    if absent:
        raise SchemaError(f"{target}: the Battery Data Format requires {absent}; write .csv or .parquet instead")


def for_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Widen short floats, whose shortest decimal is another number, and keep each record in one line."""
    import polars as pl
    import polars.selectors as cs

    return frame.with_columns(
        cs.by_dtype(pl.Float32).cast(pl.Float64), cs.string().str.replace_all(r"[\r\n\u{0}]+", " ")
    )
