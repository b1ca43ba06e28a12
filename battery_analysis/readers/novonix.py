"""Novonix exports of UHPC and HPC channels (``.csv``).

File structure:
    ``[Summary]`` with lines ``key: value``, ``[Protocol]`` (UHPC: one line of JSON; HPC: lines in brackets), ``[Data]``
    with a line of column names and one row for each record. Some versions put every row as a whole in double quotes,
    and spreadsheets add commas to the section marks. A channel that was started anew appends all of it once more.

    Times are hours, current is in A and positive on charge. ``Capacity (Ah)`` and ``Energy (Wh)`` are signed nets: up
    on charge, down on discharge, set to zero by a new start, in some versions also by each step (of which the energy
    alone has been seen). Dates follow the computer's locale. A temperature without a sensor is -9999.

Choices:
    ``Step Number`` is kept as the step in the programme (``step_id``): nothing says that it never repeats, and a step
    so numbered changes its type between its constant-current and its constant-voltage part. Where there is no ``Step
    Type`` (HPC 3.0), ``Step Number`` holds the code of the type, and code 1 both charges and discharges. The codes are
    spelled out in ``step_type`` and kept as ``aux_``. Whether a net begins with each step is seen in its values.
    Temperatures below absolute zero are missing. Mass and area of exactly 1 are the program's own and nobody's.

Seen in:
    UHPC 2.13, HPC 2.2 and HPC 3.0.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from battery_analysis import columns
from battery_analysis.columns import BY_NAME, Column
from battery_analysis.errors import CorruptFileError, SchemaError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.biologic_header import in_utc, parse_stamp
from battery_analysis.readers.headings import Heading, heading
from battery_analysis.readers.preamble import Below, Table, read_table
from battery_analysis.readers.sniff import head_text, load_text
from battery_analysis.readers.terms import keep_words, to_frame, with_clock

TERMS: dict[str, Column] = {
    "runtime": columns.TEST_TIME,
    "testtime": columns.TEST_TIME,
    "potential": columns.VOLTAGE,
    "voltage": columns.VOLTAGE,
    "current": columns.CURRENT,
    "cyclenumber": columns.CYCLE_COUNT,
    "stepnumber": columns.STEP_ID,
    "steptime": columns.STEP_TIME,
    "capacity": BY_NAME["net_capacity_ah"],
    "energy": BY_NAME["net_energy_wh"],
    "power": columns.POWER,
    "temperature": columns.SENSOR_TEMPERATURES[0],
}
"""Novonix's names, without spaces and capitals."""

STEP_TYPES = {
    0: "Open circuit storage",
    1: "CC charge",
    2: "CC discharge",
    7: "CC-CV charge",
    8: "CV hold charge",
    9: "CC-CV discharge",
    10: "CV hold discharge",
}

_NETS = ("net_capacity_ah", "net_energy_wh")
_LEAST_NET = 1e-6
"""Ah or Wh from which on a step counts as evidence."""
_RESET_SHARE = 0.05
_ABSOLUTE_ZERO = -273.15
_REQUIRED = (columns.TEST_TIME, columns.VOLTAGE, columns.CURRENT)
_BOTH_DIRECTIONS = {1: "CC"}
_MARK = re.compile(rb'(?m)^"?\[(Summary|Data)\]"?[,;\t ]*$')
_MOST_HEADER_LINES = 20_000
_PRODUCT = re.compile(r"Novonix (\w+) data file", re.IGNORECASE)


class NovonixCsv:
    """Reads Novonix exports."""

    name = "novonix_csv"
    version = "1"
    tester = "Novonix"
    suffixes = frozenset({".csv"})
    description = "Novonix UHPC and HPC exports; [Summary] and 'Novonix … data file' at the start"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the file begins with the summary of a Novonix channel."""
        lines = head_text(head[:4096]).lstrip().split("\n")
        return lines[0].strip('", ;\t') == "[Summary]" and any("novonix" in line.lower() for line in lines[1:4])

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export.

        Raises:
            CorruptFileError: There is no data section, or none with records.
            SchemaError: Time, voltage or current is absent.
        """
        text, _, warnings = load_text(path)
        marks = _marks(text)
        starts = [(at, end) for kind, at, end in marks if kind == "Data"]
        if not starts:
            raise CorruptFileError(path, "there is no [Data] section", self.name)
        ends = [next((at for kind, at, _ in marks if kind == "Summary" and at > start), None) for start, _ in starts]
        sections = [_section(text, start, end) for (_, start), end in zip(starts, ends, strict=True)]
        metadata = _metadata(text[: starts[0][0]].decode("utf-8", "replace").split("\n")[:_MOST_HEADER_LINES])

        tables = [read_table(section, heading, TERMS, _REQUIRED) for section in sections if section.holds_rows()]
        warnings += [warning for table in tables for warning in table.warnings]
        if not any(table.frame.height for table in tables):
            raise CorruptFileError(path, "the [Data] section has no data rows", self.name)
        if len(tables) > 1:
            warnings.append(f"the channel was started {len(tables)} times; all its records are here, in their order")
        raw, headings = _joined(tables)
        del text, sections, tables  # many megabytes of which nothing more is needed
        return _reading(raw, headings, metadata, warnings, time_zone)


def _reading(
    raw: pl.DataFrame, headings: list[Heading], metadata: TestMetadata, warnings: list[str], time_zone: str
) -> Reading:
    kinds, type_name = _step_types(raw, headings)
    stamps = next((raw.drop_in_place(each.name) for each in headings if each.key == "dateandtime"), None)
    headings = [each for each in headings if each.name in raw.columns]
    # The code of a type is no number of a step.
    terms = {key: column for key, column in TERMS.items() if type_name is None or key != heading(type_name).key}
    frame, metadata.sources, term_warnings = to_frame(raw, headings, terms)
    warnings += term_warnings
    if kinds is not None and type_name is not None:
        frame = frame.with_columns(kinds)
        metadata.sources[columns.STEP_TYPE.name] = ColumnSource(type_name)
    frame = _by_step(frame, metadata)
    frame, cold_warnings = _without_cold(frame)
    warnings += cold_warnings
    keep_words(raw, metadata)
    started = in_utc(parse_stamp(metadata.header.get("Started", "")), time_zone)
    if stamps is not None:
        frame, clock_warnings = with_clock(frame, stamps, time_zone, metadata)
        warnings += clock_warnings
    if started:
        metadata.started_at, metadata.time_zone = started, time_zone
    return Reading(frame, metadata, warnings)


def _by_step(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Call nets that begin with each step by their name, where most steps show that they do."""
    step_time = pl.col(columns.STEP_TIME.name)
    nets = [name for name in _NETS if name in frame.columns] if columns.STEP_TIME.name in frame.columns else []
    for name in nets:
        reached = pl.col(name).shift().abs()
        starts = (step_time < step_time.shift()) & (reached > _LEAST_NET)
        from_zero = starts & (pl.col(name).abs() < _RESET_SHARE * reached)
        steps, anew = frame.select(starts.sum().alias("steps"), from_zero.sum().alias("anew")).row(0)
        if steps and 2 * anew > steps:
            frame = frame.rename({name: f"step_{name}"})
            metadata.sources[f"step_{name}"] = metadata.sources.pop(name)
    return frame


def _without_cold(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Leave temperatures empty that no sensor has measured."""
    names = [column.name for column in columns.SENSOR_TEMPERATURES if column.name in frame.columns]
    measured = pl.col(names) >= _ABSOLUTE_ZERO
    cold = frame.select((~measured).sum()).row(0) if names else ()
    if not any(cold):
        return frame, []
    said = f"{sum(cold)} temperatures below absolute zero, as without a sensor, are kept as missing"
    return frame.with_columns(pl.when(measured).then(pl.col(names))), [said]


def _marks(text: bytes) -> list[tuple[str, int, int]]:
    """The lines [Summary] and [Data], in order: what stands in them, and where they begin and end."""
    found = []
    at = text.find(b"[")  # a single byte, for it is found many times faster than a word
    while at >= 0:
        if mark := _MARK.match(text, text.rfind(b"\n", 0, at) + 1):
            found.append((mark[1].decode(), mark.start(), mark.end()))
        line_end = text.find(b"\n", at)
        at = text.find(b"[", line_end) if line_end >= 0 else -1
    return found


def _section(text: bytes, start: int, end: int | None) -> Below:
    """Cut out one data section and take the quotes off rows that stand in them as a whole."""
    while text.startswith(b"\n", start):
        start += 1
    first_line = text.count(b"\n", 0, start) + 2
    if end is not None:
        text, start = text[start:end], 0
    rows_at = text.find(b"\n", start) + 1 or len(text)
    header = text[start:rows_at].decode("utf-8", "replace").rstrip("\n")
    below = Below([], header, text, first_line, rows_at)
    if header.startswith('"') and header.endswith('"') and header.count('"') == 2:
        rows = below.rows.replace(b'"\n', b"\n").replace(b'\n"', b"\n").removeprefix(b'"').removesuffix(b'"')
        below = below._replace(header=header.strip('"'), text=rows, start=0)
    return below


def _joined(tables: list[Table]) -> tuple[pl.DataFrame, list[Heading]]:
    headings = {each.name: each for table in tables for each in table.headings}
    try:
        frame = pl.concat([table.frame for table in tables if table.frame.height], how="diagonal_relaxed")
    except pl.exceptions.PolarsError as exc:
        raise SchemaError(f"the data sections do not fit together: {str(exc).splitlines()[0]}") from exc
    return frame, [each for name, each in headings.items() if name in frame.columns]


def _step_types(raw: pl.DataFrame, headings: list[Heading]) -> tuple[pl.Series | None, str | None]:
    """Spell out the codes of the step types, and say which column holds them."""
    by_key = {each.key: each.name for each in headings}
    name = by_key.get("steptype", by_key.get("stepnumber"))
    if name is None or not raw.schema[name].is_numeric():
        return None, None
    known = STEP_TYPES if "steptype" in by_key else STEP_TYPES | _BOTH_DIRECTIONS
    codes = raw[name].cast(pl.Int64, strict=False)
    spelled = {code: known.get(code, f"type {code}") for code in codes.unique().drop_nulls().to_list()}
    kinds = codes.replace_strict(spelled, default=None, return_dtype=pl.String)
    return kinds.alias(columns.STEP_TYPE.name), name


def _metadata(lines: list[str]) -> TestMetadata:
    metadata = TestMetadata(tester=NovonixCsv.tester, test_type="cycling")
    header, protocol = _header(lines)
    metadata.header = header
    product = next((match[1] for line in lines[:6] if (match := _PRODUCT.search(line))), None)
    version = header.get("Version")
    metadata.device = product
    metadata.software = " ".join(part for part in (product, version) if part) or None
    metadata.channel = header.get("Channel") or None
    metadata.barcode = header.get("Serial Number") or None
    metadata.comment = header.get("Description") or None
    metadata.protocol = header.get("Protocol") or None
    cell = header.get("Cell", "")
    metadata.sample_name = header.get("CellID") or (cell if not cell.lower().endswith(".csv") else None) or None
    metadata.test_name = cell.removesuffix(".csv") or None
    metadata.nominal_capacity_ah = _positive(header.get("Capacity (Ah)"))
    metadata.active_mass_gram = _filled_in(header.get("Mass (g)"))
    metadata.electrode_area_cm2 = _filled_in(header.get("Area (cm2)", header.get("Area (cm^2)")))
    if protocol:
        metadata.header["[Protocol]"] = "\n".join(protocol)
    return metadata


def _header(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    header: dict[str, str] = {}
    protocol: list[str] | None = None
    for line in (line.strip('"').rstrip(",;\t ") for line in lines):
        if line.strip() == "[Protocol]":
            protocol = []
        elif line.strip() == "[End Protocol]":
            break
        elif protocol is not None:
            protocol += [line] if line else []
        elif ":" in line:
            key, _, value = line.partition(":")
            header[key.strip()] = value.strip()
    return header, protocol or []


def _positive(text: str | None) -> float | None:
    try:
        value = float(text.replace(",", ".")) if text else 0.0
    except ValueError:
        return None
    return value if 0.0 < value < float("inf") else None


def _filled_in(text: str | None) -> float | None:
    value = _positive(text)
    return None if value == 1.0 else value
