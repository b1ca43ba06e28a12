"""Gamry Framework data files (``.DTA``).

File structure:
    ``EXPLAIN``, ``TAG`` with the technique, then one line for each parameter: key, type, value (or several) and
    label, separated by tabs; ``NOTES`` is followed by as many lines as it says. Tables stand between the parameters:
    key, ``TABLE``, often the number of records, then a line of labels, a line of units and the records, each of
    these lines beginning with a tab. ``OCVCURVE`` is the potential during the delay before the technique;
    ``ZCURVE`` (``ZCURVE1``, …) a spectrum; ``CURVE`` or ``CURVE1``, ``CURVE2``, … the records of all others, one
    table for each cycle of a cyclic voltammetry. The decimal mark and the order of the date follow the computer.

Choices:
    All tables that have a time and a voltage or frequency are records of one test, in the order of the file, each a
    step. Where the time starts again with a table it is joined to the table before, and the table's own time is kept
    as the time of the step. ``Vf`` is the voltage; ``Pt`` numbers the records of the file, or of each table where it
    starts again. Temperatures without a sensor lie below absolute zero and are kept as ``aux_``. Areas of 1 cm² are
    the program's own and count as not filled in.

Seen in:
    Framework 7.05 potentiostatic EIS; cyclic voltammetry, chronoamperometry, battery charge and discharge of
    Framework 6.25 to 7.8 as published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.potentiostat import (
    Label,
    Terms,
    count_warning,
    filled_in,
    kind_of_test,
    number,
    read_records,
    set_start,
)
from battery_analysis.readers.sniff import column_names, head_text, load_text, sample_lines

TERMS: Terms = {
    "T": (columns.TEST_TIME, 1),
    "Time": (columns.TEST_TIME, 1),
    "Vf": (columns.VOLTAGE, 1),
    "Vm": (columns.VOLTAGE, 1),
    "Vdc": (columns.VOLTAGE, 1),
    "Im": (columns.CURRENT, 1),
    "Idc": (columns.CURRENT, 1),
    "Pwr": (columns.POWER, 1),
    "Cycle": (columns.CYCLE_COUNT, 1),
    "Temp": (columns.SENSOR_TEMPERATURES[0], 1),
    "Freq": (columns.FREQUENCY, 1),
    "Zreal": (columns.REAL_IMPEDANCE, 1),
    "Zimag": (columns.IMAGINARY_IMPEDANCE, 1),
    "Zmod": (columns.ABSOLUTE_IMPEDANCE, 1),
    "Zphz": (columns.PHASE, 1),
}
_TIMES = {"T", "Time"}
_RECORDED = {"Vf", "Vm", "Freq"}
_TIME = columns.TEST_TIME.name
_POINT = "Pt"
_USUAL_CONVENTION = "1"


class GamryDta:
    """Reads Gamry data files."""

    name = "gamry_dta"
    version = "1"
    tester = "Gamry"
    suffixes = frozenset({".dta"})
    description = "Gamry Framework data files; the first line is EXPLAIN, then TAG with the technique"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the file begins with the lines EXPLAIN and TAG."""
        lines = head_text(head[:4096]).lstrip().split("\n", 2)
        return len(lines) > 1 and lines[0].strip() == "EXPLAIN" and lines[1].startswith("TAG\t")

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read all tables of records.

        Raises:
            CorruptFileError: There is no table of records.
            SchemaError: A table cannot be parsed.
        """
        text, _, warnings = load_text(path)
        header, tables = _split(text)
        chosen = [table for table in tables if table.holds_records]
        others = ", ".join(f"{table.name} ({len(table.rows)} rows)" for table in tables if not table.holds_records)
        if not chosen:
            there = f"; it has {others}, which hold none" if others else ""
            there += "; the files of each charge and discharge do" if "CAPACITYCURVE" in others else ""
            raise CorruptFileError(path, f"no table of records such as CURVE or ZCURVE{there}", self.name)
        if others:
            warnings.append(f"tables that are no time series or spectrum are left out: {others}")

        metadata = _metadata(header)
        warnings += set_start(metadata, f"{_value(header, 'DATE')} {_value(header, 'TIME')}", time_zone)
        if _value(header, "CONVENTION") not in ("", _USUAL_CONVENTION):
            said = _value(header, "CONVENTION")
            warnings.append(f"the current convention is {said}, not {_USUAL_CONVENTION}: signs are kept as written")
        if "EXPERIMENTABORTED" in header or "STOPREASON" in header:
            metadata.finished = True
        if "EXPERIMENTABORTED" in header:
            warnings.append("the experiment was aborted")
        filled = []
        for table in chosen:
            frame, table_warnings = _frame(table, metadata)
            warnings += table_warnings
            if frame.height and _TIME in frame.columns:
                filled.append((table.name, frame))
        if not filled:
            raise CorruptFileError(path, "; ".join(["the tables have no data rows", *warnings[:3]]), self.name)
        joined, join_warnings = _joined(filled, metadata)
        return Reading(joined, metadata, [*warnings, *join_warnings])


@dataclass
class _Table:
    name: str
    announced: int | None
    names: str = ""
    units: str = ""
    first_line: int = 0
    rows: list[bytes] = field(default_factory=list)
    cut_off: bool = False

    @property
    def holds_records(self) -> bool:
        labels = {cell.strip() for cell in self.names.split("\t")}
        return bool(labels & _TIMES) and bool(labels & _RECORDED)


def _split(text: bytes) -> tuple[dict[str, list[str]], list[_Table]]:
    """Part the parameters (key to type and values) from the tables."""
    header: dict[str, list[str]] = {}
    tables: list[_Table] = []
    table: _Table | None = None
    notes: dict[str, list[str]] = {}
    notes_left = 0
    lines = enumerate(text.split(b"\n"), 1)
    for line_number, line in lines:
        if notes_left and (line.startswith(b"\t") or not line.strip()):
            notes_left -= 1
            next(reversed(notes.values())).append(line.decode("utf-8", "replace").strip())
            continue
        notes_left = 0  # fewer than announced: what follows is no note
        if table is not None and (line.startswith(b"\t") or not line.strip()):
            table.rows.append(line[1:])
            continue
        cells = line.decode("utf-8", "replace").rstrip().split("\t")
        if len(cells) < 2:
            continue
        table = None
        if cells[1] == "TABLE":
            count = cells[2] if len(cells) > 2 else ""
            table = _Table(cells[0], int(count) if count.isdecimal() else None, first_line=line_number + 3)
            table.names, table.units = _next_line(lines), _next_line(lines)
            tables.append(table)
        else:
            header[cells[0]] = cells[1:]
            if cells[1] == "NOTES":
                notes[cells[0]], notes_left = [], _count(cells)
    header |= {key: ["NOTES", "\n".join(filter(None, said))] for key, said in notes.items()}
    for each in tables:
        while each.rows and not each.rows[-1].strip():
            each.rows.pop()
    if table is not None and not text.endswith(b"\n"):
        table.cut_off = True
    return header, tables


def _next_line(lines: Iterator[tuple[int, bytes]]) -> str:
    return next(lines, (0, b""))[1].decode("utf-8", "replace").removeprefix("\t")


def _count(cells: list[str]) -> int:
    return int(cells[2]) if len(cells) > 2 and cells[2].isdecimal() else 0


def _value(header: dict[str, list[str]], key: str) -> str:
    return header[key][1].strip() if len(header.get(key, ())) > 1 else ""


def _metadata(header: dict[str, list[str]]) -> TestMetadata:
    tag = header["TAG"][0] if header.get("TAG") else None
    title = _value(header, "TITLE") or None
    version = _value(header, "FRAMEWORKVERSION")
    serial = _value(header, "PSTATSERIALNO")
    device = _value(header, "PSTAT") or _value(header, "PSTATSECTION")
    shown = {
        key: " | ".join(cell.strip().replace("&", "") for cell in cells[len(cells) > 1 :])
        for key, cells in header.items()
    }
    return TestMetadata(
        tester="Gamry",
        device=f"{device} (SN {serial})" if serial and serial not in device else device or None,
        technique=tag,
        test_type=kind_of_test((tag or "").replace("_", " ")),
        test_name=title,
        comment=next((cells[1] for cells in header.values() if cells[0] == "NOTES" and cells[1]), None),
        software=f"Gamry Framework {version}" if version else None,
        electrode_area_cm2=filled_in(_value(header, "AREA")),
        nominal_capacity_ah=number(_value(header, "CAPACITY")) if "A-hr" in shown.get("CAPACITY", "") else None,
        header=shown,
    )


def _frame(table: _Table, metadata: TestMetadata) -> tuple[pl.DataFrame, list[str]]:
    rows = b"\n".join(table.rows) + (b"" if table.cut_off else b"\n") if table.rows else b""
    names, name_warnings = column_names(table.names, "\t", sample_lines(rows))
    units = [unit.strip() for unit in table.units.split("\t")]
    labels = {name: Label(name, unit) for name, unit in zip(names, [*units, *[""] * len(names)], strict=False)}
    frame, warnings = read_records(rows, labels, TERMS, metadata, delimiter="\t", first_line=table.first_line)
    return frame, [*name_warnings, *warnings, *count_warning(table.announced, frame.height, table.name)]


def _joined(tables: list[tuple[str, pl.DataFrame]], metadata: TestMetadata) -> tuple[pl.DataFrame, list[str]]:
    """Put the tables one after the other as steps of one test; cycles of a cyclic voltammetry are its tables."""
    restarted = []
    reached: float | None = None
    parts = []
    for position, (name, frame) in enumerate(tables, 1):
        ends = frame.select(first=pl.col(_TIME).drop_nulls().first(), last=pl.col(_TIME).max()).row(0, named=True)
        offset = 0.0
        if reached is not None and ends["first"] is not None and ends["first"] < reached:
            offset = reached
            restarted.append(name)
        reached = ends["last"] + offset if ends["last"] is not None else reached
        part = frame.with_columns(pl.col(_TIME) + offset, pl.col(_TIME).alias(columns.STEP_TIME.name))
        added = [pl.lit(position).alias(columns.STEP_COUNT.name), pl.lit(name).alias(columns.STEP_TYPE.name)]
        cycle = re.fullmatch(r"CURVE(\d{1,9})", name)
        if metadata.test_type == "cv" and cycle and columns.CYCLE_COUNT.name not in part.columns:
            added.append(pl.lit(int(cycle[1])).alias(columns.CYCLE_COUNT.name))
        parts.append(part.with_columns(added))
    frame = pl.concat(parts, how="diagonal_relaxed")
    if not restarted:
        frame = frame.drop(columns.STEP_TIME.name)
    else:
        metadata.sources[columns.STEP_TIME.name] = metadata.sources[_TIME]
    if len(tables) == 1:
        frame = frame.drop(columns.STEP_COUNT.name, columns.STEP_TYPE.name)
    else:
        source = ColumnSource("tables of the file")
        metadata.sources |= {columns.STEP_COUNT.name: source, columns.STEP_TYPE.name: source}
    if columns.CYCLE_COUNT.name in frame.columns:
        metadata.sources.setdefault(columns.CYCLE_COUNT.name, ColumnSource("number of the table CURVE"))
    warnings = [f"the time starts again with {', '.join(restarted)}: joined to the table before"] if restarted else []
    return _with_index(frame, metadata), warnings


def _with_index(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Name the points of the file, or of each table where they start again."""
    kept = f"aux_{_POINT.lower()}"
    if kept not in frame.columns or not frame.schema[kept].is_integer():
        return frame
    goes_on = bool((frame[kept].diff().drop_nulls() > 0).all())
    name = (columns.RECORD_INDEX if goes_on else columns.STEP_RECORD_INDEX).name
    metadata.sources[name] = metadata.sources.pop(kept)
    return frame.rename({kept: name})
