"""The sheets of a Neware workbook that describe its test: ``Info`` of BTS 7, ``test`` and ``unit`` of BTSDA 8.

Labels stand before their values in the same row (``Barcode``, empty, ``BAR-1``), or above them in a row of labels
only. Below ``Step plan`` the programme follows, one row for each step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from battery_analysis import columns
from battery_analysis.columns import Column
from battery_analysis.readers.base import TestMetadata
from battery_analysis.readers.neware_headings import unit_scale
from battery_analysis.readers.neware_times import from_header
from battery_analysis.readers.workbook import Rows
from battery_analysis.readers.workbook_columns import Cell

_ONLY_KEPT = (
    "p/n",
    "class",
    "sorting files",
    "nda file path",
    "start step id",
    "cycle count",
    "record settings",
    "voltage range",
    "current range",
    "curr. upper",
    "curr. lower",
)
_LABELS: dict[str, str] = {
    "barcode": "barcode",
    "条码": "barcode",
    "builder": "operator",
    "creator": "operator",
    "创建者": "operator",
    "remarks": "comment",
    "remark": "comment",
    "备注": "comment",
    "start time": "start",
    "starting time": "start",
    "开始时间": "start",
    "起始时间": "start",
    "end time": "end",
    "结束时间": "end",
    "step file": "protocol",
    "工步文件": "protocol",
    "device": "device",
    "设备": "device",
    "unit": "unit",
    "单元": "unit",
    "channel": "channel",
    "通道": "channel",
    "active material": "mass",
    "活性物质": "mass",
    "nominal capacity": "capacity",
    "标称容量": "capacity",
    "volt. upper": "upper",
    "volt. lower": "lower",
    **dict.fromkeys(_ONLY_KEPT, ""),
}
"""What a label of the sheets means; nothing for those that are only kept."""

_PLAN = "step plan"
_UNIT_PLANS = "list of unit plans"
_MOST_STEPS = 500
_LABELS_OF_A_TABLE = 3
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(\D+?)\s*")
_GRAMS = {"kg": 1e3, "g": 1.0, "mg": 1e-3, "ug": 1e-6, "µg": 1e-6, "μg": 1e-6}


def describe_test(sheets: Iterable[Rows], time_zone: str) -> TestMetadata:
    """What the sheets say about the test; stamps without a zone are taken in ``time_zone``."""
    header: dict[str, str] = {}
    for rows in sheets:
        header |= {label: value for label, value in _labelled(rows) if label not in header}
    said = {meaning: value for label, value in header.items() if (meaning := _LABELS.get(_bare(label)))}
    started, ended = (from_header(said.get(which), time_zone) for which in ("start", "end"))
    device, channel = _device(said)
    return TestMetadata(
        tester="Neware",
        device=device,
        channel=channel,
        sample_name=said.get("barcode"),
        barcode=said.get("barcode"),
        protocol=said.get("protocol"),
        operator=said.get("operator"),
        comment=said.get("comment"),
        started_at=started,
        ended_at=ended,
        time_zone=time_zone if started or ended else None,
        active_mass_gram=_grams(said.get("mass")),
        nominal_capacity_ah=_quantity(said.get("capacity"), columns.BY_NAME["step_cumulative_capacity_ah"]),
        voltage_limits_volt=_limits(said),
        header=header,
    )


def _labelled(rows: Rows) -> Iterator[tuple[str, str]]:
    """Every label with its value, then the lines of the programme."""
    for place, row in enumerate(rows):
        first = next((_bare(cell) for cell in row if cell != ""), "")
        if first == _PLAN:
            yield from _programme(rows[place + 1 :])
        if first in (_PLAN, _UNIT_PLANS):
            return
        yield from _row_of_labels(row, rows[place + 1] if place + 1 < len(rows) else [])


def _row_of_labels(row: Sequence[Cell], below: Sequence[Cell]) -> Iterator[tuple[str, str]]:
    at = [place for place, cell in enumerate(row) if _bare(cell) in _LABELS]
    only_labels = len(at) >= _LABELS_OF_A_TABLE and all(_bare(cell) in _LABELS for cell in row if cell != "")
    if only_labels and not any(_bare(cell) in _LABELS for cell in below):
        spans = [[below[place]] for place in at if place < len(below)]
    else:
        spans = [list(row[start + 1 : end]) for start, end in pairwise([*at, len(row)])]
    for place, cells in zip(at, spans, strict=False):
        value = " ".join(_spelled(cell) for cell in cells if cell not in ("", "-"))
        if value:
            yield _spelled(row[place]), value


def _programme(rows: Rows) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows[: _MOST_STEPS + 1]):
        line = " | ".join(_spelled(cell) for cell in row).rstrip(" |")
        if line:
            yield f"step plan {number}" if number else "step plan", line


def _device(said: Mapping[str, str]) -> tuple[str | None, str | None]:
    device, unit, channel = said.get("device"), said.get("unit"), said.get("channel")
    if device and not unit and not channel and len(parts := device.split()) == 3:
        device, unit, channel = parts
    return device, "-".join(filter(None, (unit, channel))) or None


def _limits(said: Mapping[str, str]) -> tuple[float, float] | None:
    low, high = (_quantity(said.get(which), columns.VOLTAGE) for which in ("lower", "upper"))
    return (low, high) if low is not None and high is not None and low < high else None


def _quantity(text: str | None, column: Column) -> float | None:
    found = _QUANTITY.fullmatch(text or "")
    scale = unit_scale(found[2], column) if found else None
    return float(found[1]) * scale if found and scale is not None else None


def _grams(text: str | None) -> float | None:
    found = _QUANTITY.fullmatch(text or "")
    return float(found[1]) * _GRAMS[found[2]] if found and found[2] in _GRAMS and float(found[1]) > 0 else None


def _bare(cell: Cell) -> str:
    return str(cell).strip().rstrip(":：").rstrip().lower()


def _spelled(cell: Cell) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat(" ") if isinstance(cell, datetime) else str(cell).strip()
