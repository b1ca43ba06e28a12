"""What EC-Lab and BT-Lab say about a test, shared by the text and the binary reader.

Techniques, devices, time stamps, the numbers of the cell's description, and the log (``.mpl``) that lies beside a
binary file until its technique ends: text, one line for each ``key : value``. Stamps are local time without a zone,
written month first whatever the computer's locale is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from battery_analysis.errors import SettingsError
from battery_analysis.readers.base import TestMetadata, TestType

TECHNIQUES = {
    0x04: "Galvanostatic Cycling with Potential Limitation",
    0x06: "Cyclic Voltammetry",
    0x0B: "Open Circuit Voltage",
    0x16: "Modular Potentio",
    0x18: "Chronoamperometry / Chronocoulometry",
    0x19: "Chronopotentiometry",
    0x1C: "Wait",
    0x1D: "Potentio Electrochemical Impedance Spectroscopy",
    0x1E: "Galvano Electrochemical Impedance Spectroscopy",
    0x32: "IR compensation (PEIS)",
    0x33: "Cyclic Voltammetry Advanced",
    0x6C: "Linear Sweep Voltammetry",
    0x75: "Constant Voltage",
    0x76: "Constant Current",
    0x77: "Galvanostatic Cycling with Potential Limitation",
    0x7F: "Modulo Bat",
    0x88: "Battery Capacity Determination",
}
"""Technique by its code in binary files, in the words of the text export."""

DEVICES = {
    0: "VMP",
    1: "VMP2",
    2: "MPG",
    3: "BiStat",
    5: "VMP3",
    6: "VSP",
    7: "HCP-803",
    12: "VMP-300",
    13: "SP-50",
    14: "SP-150",
    16: "SP-300",
    18: "HCP-1005",
    20: "VSP-300",
    21: "SP-200",
    22: "MPG-2",
    23: "SP-100",
    26: "BCS-800",
    27: "SP-240",
    28: "MPG-205",
    29: "MPG-210",
    30: "MPG-220",
    31: "MPG-240",
    32: "BP-300",
    33: "VMP-3e",
    34: "VSP-3e",
    35: "SP-50e",
    36: "SP-150e",
}
"""Device by its code in binary files."""

_KINDS: tuple[tuple[str, TestType], ...] = (
    ("impedance", "eis"),
    ("peis", "eis"),
    ("cyclic voltammetry", "cv"),
    ("open circuit", "ocv"),
    ("cycling", "cycling"),
    ("modulo bat", "cycling"),
    ("battery", "cycling"),
    ("discharge", "cycling"),
)

_STAMP = re.compile(
    r"(\d{1,4})[/.-](\d{1,2})[/.-](\d{1,4})[ T]+(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:\s*([AP])M)?", re.IGNORECASE
)
_QUANTITY = re.compile(r"([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*(\S*)")
_SCALES = {
    "gram": {"kg": 1e3, "g": 1.0, "mg": 1e-3, "ug": 1e-6},
    "cm2": {"m2": 1e4, "dm2": 1e2, "cm2": 1.0, "mm2": 1e-2, "um2": 1e-8},
    "ah": {"A.h": 1.0, "mA.h": 1e-3, "uA.h": 1e-6, "nA.h": 1e-9},
    "volt": {"V": 1.0, "mV": 1e-3},
}
_NOT_FILLED_IN = (0.0, 0.001)

_LOG_MAGIC = re.compile(r"(EC|BT)-Lab LOG FILE")
_LOG_BYTES = 1 << 20
_LOG_LINE = re.compile(r"^[ \t]*(\S[^\n]*?) : +(\S[^\n]*?)[ \t]*$", re.MULTILINE)
_LOG_SOFTWARE = re.compile(r"^(EC-Lab|BT-Lab) for windows v([\w.]+)", re.MULTILINE)
_LOG_KEYS = (
    *("Acquisition started on", "Run on channel", "Device", "Software", "Loaded Setting File"),
    *("File", "Directory", "Host", "Address", "User"),
)
_ONE_START = timedelta(days=2)


def kind_of_test(technique: str | None) -> TestType | None:
    """Name the kind of test that a technique is.

    >>> kind_of_test("Modulo Bat"), kind_of_test("Chronopotentiometry")
    ('cycling', 'other')
    """
    if not technique:
        return None
    name = technique.lower()
    return next((kind for word, kind in _KINDS if word in name), "other")


def parse_stamp(text: str) -> datetime | None:
    """Read a local time stamp; None where there is none.

    Month first, except where only the second number can be a month.

    >>> parse_stamp("12/08/2022 14:36:53.355")
    datetime.datetime(2022, 12, 8, 14, 36, 53, 355000)
    """
    match = _STAMP.search(text)
    if not match:
        return None
    first, second, third, hour, minute, second_of_minute = (int(part) for part in match.groups()[:6])
    if first > 31:
        year, month, day = first, second, third
    else:
        year, month, day = third, first, second
        if month > 12:
            month, day = day, month
    if match[8]:
        hour = hour % 12 + (12 if match[8].upper() == "P" else 0)
    microsecond = int((match[7] or "0").ljust(6, "0")[:6])
    try:
        return datetime(year, month, day, hour, minute, second_of_minute, microsecond)
    except ValueError:
        return None


def in_utc(local: datetime | None, time_zone: str) -> datetime | None:
    """Take a local time in ``time_zone`` and say it in UTC.

    Raises:
        SettingsError: There is no such zone.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise SettingsError(f"time_zone: there is no time zone {time_zone!r}") from exc
    return local.replace(tzinfo=zone).astimezone(UTC) if local else None


def quantity(text: str | None, unit: str) -> float | None:
    """Read a number with its unit, such as ``168,128 µA.h``, in ``gram``, ``cm2``, ``ah`` or ``volt``.

    >>> quantity("1,300 A.h", "ah")
    1.3
    """
    match = _QUANTITY.match(text.strip()) if text else None
    if not match:
        return None
    written = match[2].replace("µ", "u").replace("μ", "u").replace("²", "2")
    if unit == "cm2" and written.rstrip("2?\ufffdï¿½Â") in ("cm", "mm", "dm", "m", "um"):
        written = written.rstrip("2?\ufffdï¿½Â") + "2"  # the exponent is not ASCII and got lost on the way
    scale = _SCALES[unit].get(written)
    return None if scale is None else float(match[1].replace(",", ".")) * scale


def filled_in(text: str | None, unit: str) -> float | None:
    """Read like ``quantity``, but leave empty what nobody filled in: the programs' own 0.000 and 0.001.

    >>> filled_in("0,001 g", "gram") is None
    True
    """
    match = _QUANTITY.match(text.strip()) if text else None
    if match and float(match[1].replace(",", ".")) in _NOT_FILLED_IN:
        return None
    return quantity(text, unit)


def is_start_of(day: datetime | None, start: datetime) -> bool:
    """Say whether a start may be that of records with this date, where they carry one."""
    return day is None or abs(start - day) < _ONE_START


def complete_from_log(metadata: TestMetadata, log_file: Path, day: datetime | None) -> str:
    """Add what the log beside a binary file says and the file itself does not, and return what is to be known of it.

    A log that is of another ``day`` than the records says nothing about them.
    """
    text = _log_text(log_file)
    if text is None:
        return f"the file holds no log, and {log_file.name} beside it is none"
    said: dict[str, str] = {}
    for key, value in _LOG_LINE.findall(text):
        said.setdefault(key, value)
    start = parse_stamp(said.get("Acquisition started on", ""))
    if start is None:
        return f"the file holds no log, and {log_file.name} beside it names no start of the acquisition"
    if not is_start_of(day, start):
        return f"the file holds no log, and {log_file.name} beside it is that of another run, started on {start}"
    if software := _LOG_SOFTWARE.search(text):
        said["Software"] = metadata.software = " ".join(software.groups())
    metadata.started_at = in_utc(start, metadata.time_zone or "UTC")
    metadata.channel = said.get("Run on channel", "").split(" (")[0] or None
    metadata.device = said.get("Device")
    metadata.test_name = said.get("File", "").removesuffix(".mpr").strip("* ") or None
    setting_file = said.get("Loaded Setting File", "")
    metadata.protocol = setting_file if setting_file.upper() != "NONE" and setting_file else None
    metadata.header |= {key: said[key] for key in _LOG_KEYS if key in said} | {"Log file": log_file.name}
    return f"the file holds no log: its start, device and channel are those in {log_file.name} beside it"


def _log_text(path: Path) -> str | None:
    """Return the text of a log, with LF line ends; None where the file is no log or cannot be opened."""
    try:
        with path.open("rb") as file:
            text = file.read(_LOG_BYTES).removeprefix(b"\xef\xbb\xbf").decode("cp1252", "replace")
    except OSError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n") if _LOG_MAGIC.match(text) else None
