"""Sheets of samples: a row for each, from CSV, XLSX or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from battery_analysis.errors import IngestError

BEYOND = "(beyond the last heading)"
"""Key of cells that stand under no heading."""


def read_sheet(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV, XLSX (first sheet) or JSON (list of objects) file, by heading.

    A CSV may be in any encoding, with commas, semicolons or tabs; where its numbers are written with a
    comma, fields that hold numbers are read so.

    Raises:
        IngestError: The file cannot be read, has another shape, or two headings mean the same.
    """
    readers = {".csv": _csv_rows, ".json": _json_rows, ".xlsx": _workbook_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise IngestError(f"{path}: .csv, .xlsx or .json wanted")
    try:
        return reader(path)
    except OSError as exc:
        raise IngestError(f"{path}: {exc.strerror or exc}") from exc
    except (ValueError, csv.Error) as exc:
        raise IngestError(f"{path}: {exc}") from exc


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    from battery_analysis.readers.sniff import load_text, sniff_decimal, sniff_delimiter

    text = load_text(path).text.decode()
    head, *sample = text.splitlines() or [""]
    delimiter = sniff_delimiter(head, sample) or ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return _by_heading(path, next(rows, []), rows, decimal=sniff_decimal(sample, delimiter))


def _json_rows(path: Path) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise IngestError(f"{path}: a list of objects wanted")
    for row in rows:
        _refuse_doubles(path, row)
    return rows


def _workbook_rows(path: Path) -> list[dict[str, Any]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        head, *rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python() or [[]]
    except CalamineError as exc:
        raise IngestError(f"{path}: {exc}") from exc
    return _by_heading(path, [str(cell) for cell in head], ([_plain(cell) for cell in row] for row in rows))


def _by_heading(
    path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]], *, decimal: str = "."
) -> list[dict[str, Any]]:
    headings = [heading.strip() for heading in head]
    if not any(headings):
        raise IngestError(f"{path}: the first line holds no headings")
    _refuse_doubles(path, [heading for heading in headings if heading])
    found = []
    for row in rows:
        named = dict(zip(headings, row, strict=False))
        if beyond := [cell for cell in row[len(headings) :] if cell not in (None, "")]:
            named[BEYOND] = beyond
        found.append(_with_points(named) if decimal == "," else named)
    return found


def _refuse_doubles(path: Path, headings: Iterable[str]) -> None:
    from battery_analysis.store.samples import field_name

    seen: dict[str, str] = {}
    for heading in headings:
        name = field_name(heading)
        if name in seen:
            raise IngestError(f"{path}: {seen[name]!r} and {heading!r} both mean {name}")
        seen[name] = heading


def _with_points(row: dict[str, Any]) -> dict[str, Any]:
    from battery_analysis.store.samples import NUMBERS, field_name

    return {key: value.replace(",", ".") if field_name(key) in NUMBERS else value for key, value in row.items()}


def _plain(cell: Any) -> Any:
    """Return a cell as it reads on the screen; workbooks keep every number as a float."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, timedelta) else cell
