"""Writes Neware ``.ndax`` files that any reader of NDC version 14 can read.

An ``.ndax`` is a zip archive of XML headers and NDC tables. A table is a header page of 4096 bytes (file type at byte
0, NDC version at byte 2) and then pages of 4096 bytes: the table's page kind at byte 0, the number of rows at byte 2,
a bit for each row in use from byte 4, rows of a fixed width from byte 132.

    ======================  ====  =====================================================================
    member                  type  row
    ======================  ====  =====================================================================
    ``data.ndc``               1  voltage (V) and current (A), single precision
    ``data_runInfo.ndc``      18  times in ms, counters of the step in Ah and Wh, step and record number
    ``data_step.ndc``          7  cycle (from 0), step of the programme, kind of step
    ``data_AUX_1_0_0.ndc``     5  one sensor's value, single precision; ``TestInfo.xml`` says which kind
    ======================  ====  =====================================================================

All tables but ``data_runInfo.ndc`` and ``data_step.ndc`` have a row for every record. Run information stands, as
testers write it, only where a step begins and ends, where the interval, the current or the power changes, and from
time to time between. A reader fills the rest in from the last such row: times by its interval, capacity and energy by
interval x current and interval x current x voltage of every record since. So come back

- times of every record to the millisecond, the counters of records with run information to single precision;
- capacity at constant current to single precision too;
- other counters within ``CHANGE / 2`` of what has flowed since the last row: current and power change by no more than
  ``CHANGE`` from record to record without one, and the end of an interval stands for all of it.
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import polars as pl
from numpy.typing import NDArray

PAGE = 4096
ROWS_AT = 132
NDC_VERSION = 14
RUN_INFO_EVERY = 15
"""Records from one row of run information to the next where nothing changes; real files have 7, 21 or 61."""
CHANGE = 0.01
"""Share by which current or power may differ from the record before without a row of run information."""
_PAGES_AT_ONCE = 512
_CLIENT = "battery-analysis examples (synthetic)"

MAIN = np.dtype([("voltage", "<f4"), ("current", "<f4")])
RUN_INFO = np.dtype(
    [
        ("step_time", "<u4"),
        ("reserved", "u1"),
        ("charge_capacity", "<f4"),
        ("discharge_capacity", "<f4"),
        ("charge_energy", "<f4"),
        ("discharge_energy", "<f4"),
        ("reserved_2", "V8"),
        ("interval", "<i4"),
        ("unix_time", "<u4"),
        ("step_count", "<u4"),
        ("index", "<u4"),
        ("unix_millisecond", "<i2"),
        ("reserved_3", "V8"),
    ]
)
STEP = np.dtype([("cycle", "<u4"), ("step_id", "<u4"), ("reserved", "V16"), ("step_type", "u1"), ("reserved_2", "V12")])
SENSOR = np.dtype([("value", "<f4")])

STEP_TYPES = {
    "CC_Chg": 1,
    "CC_DChg": 2,
    "CV_Chg": 3,
    "Rest": 4,
    "Cycle": 5,
    "End": 6,
    "CCCV_Chg": 7,
    "CP_DChg": 8,
    "CP_Chg": 9,
    "Pause": 13,
    "Pulse": 16,
    "SIM": 17,
    "CV_DChg": 19,
    "CCCV_DChg": 20,
}
"""Neware's code of every kind of step that is written."""

_TEMPERATURE = "temperature_t1_celsius"
_TEMPERATURE_KIND = 103


@dataclass(frozen=True)
class StepSetting:
    """One step of the programme, as ``Step.xml`` lists it; what does not apply stays None.

    ``back_to`` and ``passes`` belong to a ``Cycle`` step: it jumps there until so many cycles are done.
    """

    step_id: int
    step_type: str
    current_ampere: float | None = None
    voltage_volt: float | None = None
    stop_volt: float | None = None
    stop_ampere: float | None = None
    seconds: float | None = None
    back_to: int | None = None
    passes: int | None = None


def write_ndax(
    path: Path,
    records: pl.DataFrame,
    *,
    barcode: str,
    remark: str,
    started_at: datetime,
    steps: Sequence[StepSetting] = (),
    step_name: str = "",
    device: int = 21,
    channel: int = 1,
    test: int = 1,
    finished: bool = True,
    compress_level: int = 6,
) -> None:
    """Write one test; the same arguments give the same bytes.

    Args:
        path: File to write.
        records: Canonical columns ``voltage_volt``, ``current_ampere``, ``cycle_count`` (from 1), ``step_count``
            (1, 2, 3, … without gaps), ``step_id``, ``step_type`` (see ``STEP_TYPES``), ``step_time_second``,
            ``unix_time_second`` and the four counters of the step; ``temperature_t1_celsius`` where there is one.
        barcode: Name of the cell.
        remark: Comment field.
        started_at: Start of the test; an aware time is written in its own zone, as the tester's computer shows it.
        steps: The programme; without it, the steps that the records show.
        step_name: File name of the programme.
        device: Number of the tester.
        channel: Channel of the tester.
        test: Number of the test on the channel.
        finished: Whether the header gives an end time.
        compress_level: Of the zip archive, 0 to 9.

    Raises:
        ValueError: There are no records, ``step_count`` is not 1, 2, 3, …, or a kind of step is unknown.
    """
    step_rows = _step_rows(records)
    members = [
        ("data.ndc", 1, _main_rows(records)),
        ("data_runInfo.ndc", 18, _run_info_rows(records)),
        ("data_step.ndc", 7, step_rows),
    ]
    if _TEMPERATURE in records.columns:
        members.append(("data_AUX_1_0_0.ndc", 5, _sensor_rows(records)))
    duration = float(records["unix_time_second"][-1]) - float(records["unix_time_second"][0])
    ended_at = started_at + timedelta(seconds=duration) if finished else None
    head = {"barcode": barcode, "remark": remark, "step_name": step_name or f"{barcode}.xml"}

    with zipfile.ZipFile(path, "w") as archive:
        for name, text, encoding in (
            ("VersionInfo.xml", _version_info(started_at), "gb2312"),
            (
                "TestInfo.xml",
                _test_info(head, started_at, ended_at, (device, channel, test), _TEMPERATURE in records.columns),
                "gb2312",
            ),
            ("Step.xml", _step_file(head, started_at, steps or _shown_steps(step_rows)), "utf-8"),
        ):
            archive.writestr(_member(name), text.encode(encoding, "xmlcharrefreplace"), compresslevel=compress_level)
        for name, file_type, rows in members:
            with archive.open(_member(name, compress_level), "w", force_zip64=rows.nbytes > 2**30) as file:
                file.write(_header_page(file_type))
                for portion in _portions(rows):
                    file.write(_pages(portion, file_type))


def _member(name: str, compress_level: int | None = None) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 0
    if compress_level is not None:
        info._compresslevel = compress_level  # type: ignore[attr-defined]  # public only from Python 3.13 on
    return info


def _portions(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    size = _PAGES_AT_ONCE * _rows_in_page(rows.dtype)
    for offset in range(0, rows.size, size):
        yield rows[offset : offset + size]


def _main_rows(records: pl.DataFrame) -> NDArray[Any]:
    rows = np.zeros(records.height, MAIN)
    rows["voltage"] = records["voltage_volt"].to_numpy()
    rows["current"] = records["current_ampere"].to_numpy()
    return rows


def _run_info_rows(records: pl.DataFrame) -> NDArray[Any]:
    step_time = np.rint(records["step_time_second"].to_numpy() * 1000).astype(np.int64)
    unix_time = np.rint(records["unix_time_second"].to_numpy() * 1000).astype(np.int64)
    begins = np.diff(records["step_count"].to_numpy(), prepend=0) != 0
    interval = np.where(begins, 0, np.diff(step_time, prepend=0))
    foreseen = ~begins & (np.diff(interval, prepend=0) == 0) & (np.diff(unix_time, prepend=0) == interval)
    at = _with_run_info(foreseen & _steady(records), ends=np.append(begins[1:], True))

    chosen = records[at]
    rows = np.zeros(at.size, RUN_INFO)
    rows["step_time"] = step_time[at]
    rows["interval"] = interval[at]
    rows["unix_time"], rows["unix_millisecond"] = np.divmod(unix_time[at], 1000)
    rows["charge_capacity"] = chosen["step_charging_capacity_ah"].to_numpy()
    rows["discharge_capacity"] = chosen["step_discharging_capacity_ah"].to_numpy()
    rows["charge_energy"] = chosen["step_charging_energy_wh"].to_numpy()
    rows["discharge_energy"] = chosen["step_discharging_energy_wh"].to_numpy()
    rows["step_count"] = chosen["step_count"].to_numpy()
    rows["index"] = at + 1
    return rows


def _steady(records: pl.DataFrame) -> NDArray[np.bool_]:
    """Whether neither current nor power differs much from the record before."""
    current = records["current_ampere"].to_numpy()
    both = np.stack((current, current * records["voltage_volt"].to_numpy()))
    return np.asarray((np.abs(np.diff(both, prepend=0)) <= CHANGE * np.abs(both)).all(axis=0))


def _with_run_info(follows: NDArray[np.bool_], ends: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the records that get it, given which follow from the record before and which end a step."""
    place = np.arange(follows.size)
    since = place - np.maximum.accumulate(np.where(follows, 0, place))
    return np.flatnonzero(ends | (since % RUN_INFO_EVERY == 0))


def _sensor_rows(records: pl.DataFrame) -> NDArray[Any]:
    rows = np.zeros(records.height, SENSOR)
    rows["value"] = records[_TEMPERATURE].to_numpy()
    return rows


def _step_rows(records: pl.DataFrame) -> NDArray[Any]:
    if not records.height:
        raise ValueError("no records to write")
    counts = records["step_count"].to_numpy()
    first = np.flatnonzero(np.diff(counts, prepend=counts[0] - 1))
    if not np.array_equal(counts[first], np.arange(1, first.size + 1)):
        raise ValueError(f"step_count must be 1, 2, 3, … in order, got {counts[first][:5].tolist()} …")
    begins = records.select("cycle_count", "step_id", "step_type")[first]
    unknown = set(begins["step_type"].unique()) - set(STEP_TYPES)
    if unknown:
        raise ValueError(f"step_type {sorted(unknown)} has no Neware code; known are {list(STEP_TYPES)}")
    rows = np.zeros(first.size, STEP)
    rows["cycle"] = begins["cycle_count"].to_numpy() - 1
    rows["step_id"] = begins["step_id"].to_numpy()
    rows["step_type"] = [STEP_TYPES[kind] for kind in begins["step_type"]]
    return rows


def _rows_in_page(dtype: np.dtype[Any]) -> int:
    # The last four bytes of a page are not rows.
    return (PAGE - ROWS_AT - 4) // dtype.itemsize


def _pages(rows: NDArray[Any], file_type: int) -> bytes:
    """Lay rows out in pages; only the last page may be partly filled."""
    per_page = _rows_in_page(rows.dtype)
    count = -(-rows.size // per_page)
    pages = np.zeros((count, PAGE), np.uint8)
    padded = np.zeros(count * per_page, rows.dtype)
    padded[: rows.size] = rows
    used = np.clip(rows.size - per_page * np.arange(count), 0, per_page)
    pages[:, 0] = file_type + 1
    pages[:, 2], pages[:, 3] = used % 256, used // 256
    bits = np.packbits(np.arange(per_page) < used[:, None], axis=1, bitorder="little")
    pages[:, 4 : 4 + bits.shape[1]] = bits
    pages[:, ROWS_AT : ROWS_AT + per_page * rows.dtype.itemsize] = padded.view(np.uint8).reshape(count, -1)
    return pages.tobytes()


def _header_page(file_type: int) -> bytes:
    page = bytearray(PAGE)
    page[0], page[2], page[4] = file_type, NDC_VERSION, 1
    page[182 : 182 + len(_CLIENT)] = _CLIENT.encode("ascii")
    return bytes(page)


def _attributes(values: dict[str, object]) -> str:
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _config(kind: str, encoding: str, version: int, at: datetime, body: str) -> str:
    head = _attributes({"type": kind, "version": version, "SortVersion": _CLIENT, "date": f"{at:%Y%m%d%H%M%S}"})
    return f'<?xml version="1.0" encoding="{encoding}"?>\n<root>\n  <config {head}>\n{body}  </config>\n</root>\n'


def _version_info(at: datetime) -> str:
    versions = _attributes({"SvrVer": _CLIENT, "CurrClientVer": _CLIENT, "ZwjVersion": "0", "MainXwjVer": "0"})
    return _config("Version Info File", "GB2312", 1, at, f"    <ZwjVersion {versions} />\n")


def _test_info(
    head: dict[str, str], at: datetime, ended_at: datetime | None, place: tuple[int, int, int], sensor: bool
) -> str:
    device, channel, test = place
    values: dict[str, object] = {
        "DevType": 27,
        "DevID": device,
        "UnitID": 0,
        "ChlID": channel,
        "TestID": test,
        "TestGuid": uuid.uuid5(uuid.NAMESPACE_OID, f"{head['barcode']} {at.isoformat()}").hex.upper(),
        "SN": f"{at:%Y-%m-%d %H-%M-%S}",
        "StepName": head["step_name"],
        "StartTime": f"{at:%Y-%m-%d %H:%M:%S}",
    }
    if ended_at is not None:
        values["EndTime"] = f"{ended_at:%Y-%m-%d %H:%M:%S}"
    values |= {"Barcode": head["barcode"], "Remark": head["remark"], "AuxCount": int(sensor)}
    aux = _attributes({"AuxID": 1, "RealChlID": 1, "ChlType": _TEMPERATURE_KIND, "TypeID": 1})
    inner = f"      <Aux1 {aux} />\n" if sensor else ""
    body = f"    <TestInfo {_attributes(values)}>\n{inner}    </TestInfo>\n"
    return _config("Test Info File", "GB2312", 1, at, body)


def _shown_steps(rows: NDArray[Any]) -> list[StepSetting]:
    names = {code: name for name, code in STEP_TYPES.items()}
    seen = {int(row["step_id"]): names[int(row["step_type"])] for row in rows}
    return [StepSetting(step_id, kind) for step_id, kind in sorted(seen.items())]


def _step_file(head: dict[str, str], at: datetime, steps: Sequence[StepSetting]) -> str:
    lines = [
        "    <Head_Info>",
        f"      <PN Value={quoteattr(f'{at:%Y-%m-%d %H-%M-%S}')} />",
        f"      <Remark Value={quoteattr(head['remark'])} />",
        "    </Head_Info>",
        f'    <Step_Info Num="{len(steps) + 1}">',
    ]
    last = max((step.step_id for step in steps), default=0)
    for step in [*steps, StepSetting(last + 1, "End")]:
        tag = f"Step{step.step_id}"
        lines.append(f'      <{tag} Step_ID="{step.step_id}" Step_Type="{STEP_TYPES[step.step_type]}">')
        lines += _limits(step)
        lines.append(f"      </{tag}>")
    lines.append("    </Step_Info>\n")
    return _config("Step File", "utf-8", 17, at, "\n".join(lines))


def _limits(step: StepSetting) -> list[str]:
    """Settings in the units of ``Step.xml``: mA, 0.1 mV, ms."""
    main = {
        "Curr": (step.current_ampere, 1e3),
        "Time": (step.seconds, 1e3),
        "Volt": (step.voltage_volt, 1e4),
        "Stop_Volt": (step.stop_volt, 1e4),
        "Stop_Curr": (step.stop_ampere, 1e3),
    }
    other = {"Start_Step": step.back_to, "Cycle_Count": step.passes}
    parts = [("Main", {name: f"{value * scale:g}" for name, (value, scale) in main.items() if value is not None})]
    parts.append(("Other", {name: str(value) for name, value in other.items() if value is not None}))
    lines = []
    for part, values in parts:
        if values:
            lines += [f"          <{name} Value={quoteattr(value)} />" for name, value in values.items()]
            lines = [f"          <{part}>", *lines, f"          </{part}>"]
    return ["        <Limit>", *lines, "        </Limit>"] if lines else []
