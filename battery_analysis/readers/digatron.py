"""Digatron text exports (``.csv``).

File structure, as published files have it:
    Lines ``key,value`` about the test (in some exports none), one line of labels, in some exports one of units, then
    the records; a delimiter may end every line. Two ways of writing labels are in use:

    - ``Time Stamp``, ``Step``, ``Status``, ``Prog Time``, ``Step Time``, ``Cycle``, ``Cycle Level``, ``Procedure``,
      ``Voltage``, ``Current``, ``Temperature``, ``Capacity`` or ``AhAccu``, ``WhAccu``, ``Cnt``, with ``[V]``, ``[A]``
      and so on below them. Times are ``hours:minutes:seconds``, with more than 24 hours; the stamps are local time.
    - ``Step``, ``Status``, ``Timestamp``, ``Program Duration#s``, ``Step Duration#s``, ``Voltage#V``, ``Current#A``,
      ``AhCha#Ah``, ``AhDch#Ah``, ``AhStep#Ah``, ``AhAccu#Ah``, ``AhBal#Ah``, ``WhCha#Wh``, ``Tenv#degC``, ``T1#degC``.
      The durations are in milliseconds, whatever their label says; the stamps carry their zone.
    - ``Schritt``, ``Zustand``, ``Zeit``, ``Programmdauer``, ``Schrittdauer``, ``Zyklus``, ``Prozedur``, ``Spannung``,
      ``Strom``, ``AhAkku``, ``AhLad``, ``AhEla``, ``AhStep``, ``Energie``, ``WhStep``, ``Temp1``: the German ones.

Choices:
    Current is positive on charge (``CHA``) and negative on discharge (``DCH``), as in published files; where no current
    of a file is negative, the status gives the sign. A duration whose label says seconds is read in milliseconds where
    the clock beside it advances a thousandth as fast. ``AhCha`` and ``AhDch`` (``AhLad``, ``AhEla``) are totals of one
    direction. ``AhStep`` begins with each step; it is a magnitude, or has a sign where a file counts below zero.
    ``Capacity``, ``AhAccu`` and ``AhBal`` are net totals that the programme sets to zero at will, for which there is no
    canonical term: they are kept as ``aux_``, and so are those in Wh.
    Exports with labels in other languages than English and German are not recognised.

Seen in:
    Layouts as published; not yet checked on a real file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.headings import Heading
from battery_analysis.readers.preamble import Below, find_table, read_table
from battery_analysis.readers.sniff import head_lines, line_start, load_text, sample_lines, sniff_delimiter, split_cells
from battery_analysis.readers.stamps import unix_time
from battery_analysis.readers.terms import SERIES, keep_words, to_frame, with_clock

TERMS: dict[str, Column] = {
    **dict.fromkeys(("progtime", "programtime", "programduration", "programmdauer", "progzeit"), columns.TEST_TIME),
    **dict.fromkeys(("voltage", "spannung"), columns.VOLTAGE),
    **dict.fromkeys(("current", "strom"), columns.CURRENT),
    **dict.fromkeys(("cycle", "zyklus"), columns.CYCLE_COUNT),
    **dict.fromkeys(("step", "schritt"), columns.STEP_ID),
    **dict.fromkeys(("status", "zustand"), columns.STEP_TYPE),
    **dict.fromkeys(("steptime", "stepduration", "schrittdauer", "schrittzeit"), columns.STEP_TIME),
    **dict.fromkeys(("ahcha", "ahlad"), BY_NAME["charging_capacity_ah"]),
    **dict.fromkeys(("ahdch", "ahela"), BY_NAME["discharging_capacity_ah"]),
    "ahstep": BY_NAME["step_cumulative_capacity_ah"],
    "whcha": BY_NAME["charging_energy_wh"],
    "whdch": BY_NAME["discharging_energy_wh"],
    "whstep": BY_NAME["step_cumulative_energy_wh"],
    **dict.fromkeys(("watt", "power", "leistung"), columns.POWER),
    **dict.fromkeys(("temperature", "logtemp001", "temperatur"), columns.SENSOR_TEMPERATURES[0]),
    **{f"{name}{number}": each for number, each in enumerate(columns.SENSOR_TEMPERATURES, 1) for name in ("t", "temp")},
    "tenv": columns.AMBIENT_TEMPERATURE,
}
"""Digatron's labels, without units, spaces and capitals, in order of preference."""

_TIMES = {key for key, column in TERMS.items() if column is columns.TEST_TIME}
_DURATIONS = (columns.TEST_TIME, columns.STEP_TIME)
_STAMPS = ("timestamp", "zeitstempel", "zeit")
_NAMES = ({"step", "status"}, {"schritt", "zustand"})
_DISCHARGES = r"^(?:DCH|ELA|ENT)"
_STEP_COUNTERS = {
    BY_NAME[f"step_cumulative_{quantity}"].name: BY_NAME[f"step_net_{quantity}"].name
    for quantity in ("capacity_ah", "energy_wh")
}
_MOST_HEADER_LINES = 1_000
_SAMPLES = 2_000
_SURE_FACTOR = 2.0


class DigatronCsv:
    """Reads Digatron text exports."""

    name = "digatron_csv"
    version = "1"
    tester = "Digatron"
    suffixes = frozenset({".csv"})
    description = (
        "Digatron text exports; labels Step, Status and Prog Time or Program Duration, or the German ones; "
        "not yet checked on a real file"
    )

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether a line holds Digatron's labels."""
        return any(map(_is_label_line, head_lines(head)[:_MOST_HEADER_LINES]))

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no line of labels, or no records.
            SchemaError: Time, voltage or current is absent, has an unknown unit or holds no numbers.
        """
        text, _, warnings = load_text(path)
        below = find_table(text, _is_label_line)
        if below is None:
            raise CorruptFileError(path, "no line of labels with Step, Status and Prog Time", self.name)
        layout = _without_units(below)
        raw, headings, table_warnings = read_table(layout.below, layout.heading, TERMS, SERIES, layout.delimiter)
        if not raw.height:
            raise CorruptFileError(path, "; ".join(["the file has no data rows", *table_warnings[:3]]), self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        metadata.header = _header(below.lines, layout.delimiter)
        _describe(metadata, raw)
        stamps = next((raw.drop_in_place(each.name) for each in headings if each.key in _STAMPS), None)
        headings = [each for each in headings if each.name in raw.columns]
        headings, unit_warnings = _with_true_units(raw, headings, stamps)
        frame, metadata.sources, term_warnings = to_frame(raw, headings, TERMS)
        keep_words(raw, metadata, [each.name for each in headings if TERMS.get(each.key) is columns.STEP_TYPE])
        frame, sign_warnings = _signed(_with_true_counters(frame, metadata))
        warnings += [*table_warnings, *unit_warnings, *term_warnings, *sign_warnings]
        if stamps is not None:
            frame, clock_warnings = with_clock(frame, stamps, time_zone, metadata)
            warnings += clock_warnings
        return Reading(frame, metadata, warnings)


class _Layout(NamedTuple):
    below: Below
    delimiter: str
    units: dict[str, str]
    """Unit of each label that has one in the line below it."""

    def heading(self, name: str) -> Heading:
        label, _, unit = name.partition("#")
        return Heading(name, _key(label), unit.strip() or self.units.get(name, ""))


def _key(label: str) -> str:
    return re.sub(r"[^a-z0-9]", "", label.lower())


def _is_label_line(line: str) -> bool:
    """Say whether a line holds the labels; without a voltage it still is one, and says so when it is read.

    >>> _is_label_line("Step,Status,Timestamp,Program Duration#s"), _is_label_line("Step,Status,Step Time")
    (True, False)
    """
    if "Status" not in line and "Zustand" not in line:
        return False
    keys = {_key(cell.partition("#")[0]) for cell in re.split(r"[,;\t]", line)}
    return any(keys >= names for names in _NAMES) and not keys.isdisjoint(_TIMES)


def _without_units(below: Below) -> _Layout:
    """Take the line of units off the records, if there is one."""
    delimiter = sniff_delimiter(below.header, sample_lines(below.text, start=below.start)) or ","
    rows_at = line_start(below.text, 1, below.start)
    line = below.text[below.start : rows_at].rstrip(b"\n")
    labels, cells = (split_cells(each, delimiter) for each in (below.header, line.decode("utf-8", "replace")))
    units = {label.strip(' "'): cell.strip('[]" ') for label, cell in zip(labels, cells, strict=False)}
    measured = [unit for label, unit in units.items() if TERMS.get(_key(label.partition("#")[0])) in SERIES]
    numbers = any(character.isdigit() for unit in measured for character in unit)
    if rows_at == len(below.text) or numbers or not any(measured):
        return _Layout(below, delimiter, {})
    return _Layout(below._replace(start=rows_at, first_line=below.first_line + 1), delimiter, units)


def _header(lines: Sequence[str], delimiter: str) -> dict[str, str]:
    header = {}
    for line in lines:
        key, *values = (cell.strip(' "') for cell in split_cells(line, delimiter))
        if key:
            header[key] = ", ".join(filter(None, values))
    return header


def _describe(metadata: TestMetadata, raw: pl.DataFrame) -> None:
    header = metadata.header
    metadata.sample_name = header.get("Battery Name") or None
    metadata.test_name = header.get("Test section") or None
    name = next((name for name in ("Procedure", "Prozedur") if raw.schema.get(name) == pl.String), None)
    if name:
        metadata.protocol = "; ".join(raw[name].drop_nulls().unique(maintain_order=True).head(10)) or None


def _with_true_units(
    raw: pl.DataFrame, headings: list[Heading], stamps: pl.Series | None
) -> tuple[list[Heading], list[str]]:
    """Say that durations are in milliseconds where the clock shows it, although they are taken for seconds."""
    labelled = [each for each in headings if TERMS.get(each.key) in _DURATIONS and each.unit.lower() in ("", "s")]
    time = next((raw[each.name] for each in labelled if TERMS[each.key] is columns.TEST_TIME), None)
    if stamps is None or time is None or not time.dtype.is_numeric():
        return headings, []
    time = time.head(_SAMPLES).cast(pl.Float64)
    clock = unix_time(stamps.head(_SAMPLES), time / 1e3, "UTC").unix_time
    steps = pl.DataFrame({"clock": clock.diff(), "time": time.diff()}).filter(pl.col("clock") > 0, pl.col("time") > 0)
    ratio = (steps["clock"] / steps["time"]).median()
    if not isinstance(ratio, float) or not 1e-3 / _SURE_FACTOR < ratio < 1e-3 * _SURE_FACTOR:
        return headings, []
    said = ", ".join(each.name for each in labelled)
    return (
        [each._replace(unit="ms") if each in labelled else each for each in headings],
        [f"{said} count milliseconds, as the clock beside them shows; converted"],
    )


def _with_true_counters(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Take counters of a step that fall below zero for what they are, and totals of the discharge as magnitudes."""
    below = {name for name in frame.columns if name in _STEP_COUNTERS and frame.select((pl.col(name) < 0).any()).item()}
    metadata.sources = {_STEP_COUNTERS[name] if name in below else name: at for name, at in metadata.sources.items()}
    totals = [name for name in ("discharging_capacity_ah", "discharging_energy_wh") if name in frame.columns]
    return frame.with_columns(pl.col(totals).abs()).rename({name: _STEP_COUNTERS[name] for name in below})


def _signed(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Give the current of discharging records its sign, where the whole file has none."""
    current, status = pl.col(columns.CURRENT.name), columns.STEP_TYPE.name
    if status not in frame.columns or frame.select((current < 0).any()).item():
        return frame, []
    discharging = pl.col(status).str.strip_chars().str.to_uppercase().str.contains(_DISCHARGES).fill_null(False)
    if not frame.select((discharging & (current > 0)).any()).item():
        return frame, []
    signed = pl.when(discharging).then(-current).otherwise(current).alias(columns.CURRENT.name)
    return frame.with_columns(signed), ["the current has no sign; it is taken from the status"]
