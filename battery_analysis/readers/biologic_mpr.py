"""BioLogic EC-Lab and BT-Lab binary files (``.mpr``).

File structure:
    The magic, then modules: settings (``VMP Set``), records (``VMP data``), log (``VMP LOG``, written at the end)
    and starts of linked loops (``VMP loop``). A module begins with ``MODULE``, a short and a long name, its length,
    version and date; since EC-Lab 11.50 a filled word stands before the length and a second version after the first.
    The data module begins with the number of records, the number of columns and their ids; ids of flags share one
    byte. Which id is which column and type is galvani's knowledge (GPL, so an optional package).

Times are seconds since the acquisition started, which the log holds as an OLE date in local time; a linked
technique does not begin at 0. Until the technique ends, its log lies beside the file (``.mpl``, text): start, device
and channel of a running or interrupted test come from there, and are not known where it is missing.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError, MissingExtraError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.beside import regular_file_beside
from battery_analysis.readers.biologic_columns import TIME_LABEL, to_frame
from battery_analysis.readers.biologic_header import (
    DEVICES,
    TECHNIQUES,
    complete_from_log,
    in_utc,
    is_start_of,
    kind_of_test,
)

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"BIO-LOGIC MODULAR FILE\x1a"

_FIRST_MODULE = 52
_MODULE = b"MODULE"
_SHORT_HEADER = struct.Struct("<10s25sII8s")
_LONG_HEADER = struct.Struct("<10s25sIIII8s")
_FILLED = 0xFFFFFFFF
_MOST_MODULES = 64

_RECORDS_AT = {0: 100, 2: 405, 3: 406, 10: 1007, 11: 1007}
"""Where the records begin in the data module, by its version."""
_NO_IDS = (0, 0xFFFF)

_OLE_EPOCH = datetime(1899, 12, 30)
_OLE_OFFSETS = (585, 465, 469, 473)
_OLE_YEARS = (36526.0, 73050.0)  # 2000 to 2100


class BiologicMpr:
    """Reads EC-Lab and BT-Lab binary files."""

    name = "biologic_mpr"
    version = "1"
    tester = "BioLogic"
    suffixes = frozenset({".mpr"})
    description = "EC-Lab and BT-Lab binary files; they begin with 'BIO-LOGIC MODULAR FILE'"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the content begins with the magic of modular files."""
        return head.startswith(MAGIC)

    def companions(self, path: Path) -> list[Path]:
        """Return the log beside a file that holds none."""
        log_file = regular_file_beside(path, (".mpl", ".MPL"))
        if log_file is None:
            return []
        try:
            with path.open("rb") as file:
                modules, _ = _walk(file, path.stat().st_size)
        except (OSError, _DamagedError):
            return []
        return [] if "VMP LOG" in modules else [log_file]

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one file, and the log beside it where it holds none.

        Raises:
            CorruptFileError: A module is cut off or damaged, a column is unknown, or there are no records.
            MissingExtraError: galvani is not installed.
        """
        try:
            with path.open("rb") as file:
                modules, warnings = _walk(file, path.stat().st_size)
                settings, log, loop = (_content(file, modules.get(name)) for name in ("VMP Set", "VMP LOG", "VMP loop"))
                raw, record_warnings = _records(file, modules)
        except ImportError as exc:
            raise MissingExtraError(
                path, "needs the package galvani; install battery-analysis[biologic_mpr]", self.name
            ) from exc
        except _DamagedError as exc:
            raise CorruptFileError(path, str(exc), self.name) from exc
        metadata = _metadata(settings, log, modules["VMP data"].date, time_zone)
        metadata.announced_records = raw.height
        if log and not metadata.started_at:
            warnings.append("the log names no start of the acquisition")
        for log_file in self.companions(path):
            warnings.append(complete_from_log(metadata, log_file, _day(modules["VMP data"].date)))
        frame, metadata.sources = to_frame(raw, metadata.technique, loop_starts=_loop_starts(loop))
        if metadata.started_at and TIME_LABEL in raw.columns:
            unix_time = raw[TIME_LABEL] + metadata.started_at.timestamp()
            frame = frame.with_columns(unix_time.alias(columns.UNIX_TIME.name))
            metadata.sources[columns.UNIX_TIME.name] = ColumnSource(TIME_LABEL, "s")
        return Reading(frame, metadata, [*warnings, *record_warnings])


class _DamagedError(Exception):
    """What is wrong with a file, without its name."""


class _Module(NamedTuple):
    name: str
    version: int
    date: str
    start: int
    length: int
    present: int


def _walk(file: BinaryIO, size: int) -> tuple[dict[str, _Module], list[str]]:
    """List the modules by name, reading their headers only."""
    modules: dict[str, _Module] = {}
    warnings = []
    position = _FIRST_MODULE
    while position < size:
        if "VMP data" in modules and size - position < len(_MODULE) + _SHORT_HEADER.size:
            warnings.append(f"the file ends inside the header of a module at byte {position}")
            break
        module = _header(file, position, size)
        if module.name in modules or len(modules) == _MOST_MODULES:
            raise _DamagedError(f"a second module {module.name!r} begins at byte {position}")
        modules[module.name] = module
        if module.present < module.length:
            if module.name != "VMP data":
                warnings.append(f"the file ends inside its module {module.name!r} ({_bytes_of(module)})")
            break
        position = module.start + module.length
    if "VMP data" not in modules:
        raise _DamagedError(f"there is no data module; the file has {', '.join(modules) or 'no modules'}")
    if "VMP Set" not in modules:
        warnings.append("there is no settings module, so the technique is unknown")
    return modules, warnings


def _header(file: BinaryIO, position: int, size: int) -> _Module:
    file.seek(position)
    found = file.read(len(_MODULE) + _LONG_HEADER.size)
    if not found.startswith(_MODULE):
        raise _DamagedError(f"no module begins at byte {position}; there is {found[:12]!r} instead")
    header = found[len(_MODULE) :]
    if len(header) < _SHORT_HEADER.size:
        raise _DamagedError(f"the file ends inside the header of a module at byte {position}")
    name, _, length, version, date = _SHORT_HEADER.unpack_from(header)
    start = position + len(_MODULE) + _SHORT_HEADER.size
    if length == _FILLED:
        if len(header) < _LONG_HEADER.size:
            raise _DamagedError(f"the file ends inside the header of a module at byte {position}")
        name, _, _, length, _, version, date = _LONG_HEADER.unpack(header)
        start = position + len(found)
    if not name.startswith(b"VMP "):
        raise _DamagedError(f"the header of the module at byte {position} is not valid; it is named {name!r}")
    return _Module(_plain(name), version, _plain(date), start, length, max(0, min(length, size - start)))


def _plain(text: bytes) -> str:
    return text.decode("latin-1").strip(" \0")


def _bytes_of(module: _Module) -> str:
    return f"{module.present} of {module.length} bytes"


def _content(file: BinaryIO, module: _Module | None) -> bytes:
    if module is None:
        return b""
    file.seek(module.start)
    return file.read(module.present)


def _records(file: BinaryIO, modules: dict[str, _Module]) -> tuple[pl.DataFrame, list[str]]:
    """Read the records under the labels of the text export."""
    import numpy as np

    module = modules["VMP data"]
    if module.version not in _RECORDS_AT:
        raise _DamagedError(f"data module header is not valid: its version is {module.version}")
    records_at = _RECORDS_AT[module.version]
    if module.present < records_at:
        raise _DamagedError(f"data module is shorter than its header says ({_bytes_of(module)}, no records)")
    file.seek(module.start)
    count, ids = _column_ids(file.read(records_at), module.version)
    if not count:
        raise _DamagedError("no data rows")
    available = module.length - records_at
    dtype, flags, warnings = _layout(ids, available / count)
    if count * dtype.itemsize != available:
        raise _DamagedError(
            f"data module header is not valid: {count} records of {dtype.itemsize} bytes do not fill {available} bytes"
        )
    if module.present < module.length:
        whole = (module.present - records_at) // dtype.itemsize
        raise _DamagedError(
            f"data module is shorter than its header says ({_bytes_of(module)}, {whole} of {count} records)"
        )
    file.seek(module.start + records_at)
    return _table(np.fromfile(file, dtype, count), flags), warnings


def _column_ids(head: bytes, version: int) -> tuple[int, list[int]]:
    """Return the number of records and the ids of the columns."""
    count, width = struct.unpack_from("<IB", head)
    at, kind = 5, "B" if version == 0 else "H"
    if version >= 10:
        (width,) = struct.unpack_from("<H", head, 4)
        at = 6
    end = at + width * struct.calcsize(kind)
    if not width or end > len(head):
        raise _DamagedError(f"data module header is not valid: it announces {width} columns")
    return count, list(struct.unpack_from(f"<{width}{kind}", head, at))


def _layout(ids: Sequence[int], record_size: float) -> tuple[np.dtype, dict[str, tuple[int, type]], list[str]]:
    """Lay out a record; one unknown column is stepped over where the size of a record leaves room for it."""
    import numpy as np
    from galvani import BioLogic

    known = BioLogic.VMPdata_colID_dtype_map.keys() | BioLogic.VMPdata_colID_flag_map.keys()
    unknown = [(place, column) for place, column in enumerate(ids) if column not in known]
    fields, flags = BioLogic.VMPdata_dtype_from_colIDs([column for column in ids if column in known], True)
    missing = record_size - np.dtype(fields).itemsize
    if not unknown:
        return np.dtype(fields), flags, []
    place, column = unknown[0]
    if len(unknown) > 1 or column in _NO_IDS or missing not in (1, 2, 4, 8):
        named = ", ".join(dict.fromkeys(str(each) for _, each in unknown))
        raise _DamagedError(f"data module header is not valid: column id {named} (column {place + 1}) is unknown")
    before, _ = BioLogic.VMPdata_dtype_from_colIDs(ids[:place], True)
    fields.insert(len(before), (f"unknown {column}", f"V{int(missing)}"))
    warning = f"column {place + 1} has the unknown id {column}; its values ({int(missing)} bytes a record) are left out"
    return np.dtype(fields), flags, [warning]


def _table(records: np.ndarray, flags: dict[str, tuple[int, type]]) -> pl.DataFrame:
    import numpy as np

    table: dict[str, np.ndarray] = {}
    for name in records.dtype.names or ():
        if name == "flags":
            packed = records["flags"]
            for flag, (mask, kind) in flags.items():
                table[flag] = (packed & mask).astype(kind).astype(np.uint8)
        elif records.dtype[name].kind != "V":
            table[name] = np.ascontiguousarray(records[name])
    return pl.DataFrame(table)


def _loop_starts(loop: bytes) -> list[int]:
    """Positions of the records with which the technique was started again."""
    if len(loop) < 4:
        return []
    announced = min(struct.unpack_from("<I", loop)[0], len(loop) // 4 - 1)
    return list(struct.unpack(f"<{announced}I", loop[4 : 4 + 4 * announced]))


def _metadata(settings: bytes, log: bytes, date: str, time_zone: str) -> TestMetadata:
    technique = TECHNIQUES.get(settings[0]) if settings else None
    serial, path = _text(log, 975), _text(log, 593)
    model = DEVICES.get(log[974]) if len(log) > 974 else None
    device = " ".join(filter(None, (model, f"(SN {serial})" if model else f"SN {serial}"))) if serial else model
    version = _text(log, 951)
    local_start = _acquisition_start(log, date)
    setting_file = (_text(log, 1001) or "").strip()
    header = {
        "Technique code": str(settings[0]) if settings else None,
        "Date": date,
        "Acquisition started on": local_start.isoformat(sep=" ") if local_start else None,
        "Run on channel": _channel(log, path),
        "Channel serial number": str(struct.unpack_from("<H", log, 171)[0]) if len(log) > 172 else None,
        "Saved on": path,
        "Loaded Setting File": setting_file,
        "Host": _text(log, 849),
        "Address": _text(log, 900),
        "Device": device,
        "Software": version,
        "Internet server": _text(log, 958),
        "Command interpretor": _text(log, 965),
        "Comments": _text(settings, 7),
        "Electrode material": _text(settings, 286),
        "Electrolyte": _text(settings, 448),
        "Reference electrode": _text(settings, 533),
        "Mass of active material / mg": _number(settings, 263),
        "Electrode surface area / cm2": _number(settings, 529),
        "Battery capacity": _number(settings, 604),
    }
    return TestMetadata(
        tester="BioLogic",
        device=device,
        channel=_channel(log, path),
        technique=technique,
        test_type=kind_of_test(technique),
        test_name=re.split(r"[\\/]", path)[-1].removesuffix(".mpr").strip("* ") or None if path else None,
        protocol=setting_file if setting_file.upper() != "NONE" and setting_file else None,
        comment=_text(settings, 7),
        software=f"{'BT-Lab' if version.startswith('1.') else 'EC-Lab'} {version}" if version else None,
        started_at=in_utc(local_start, time_zone),
        time_zone=time_zone,
        active_mass_gram=_filled_in(settings, 263, 1e-3),
        electrode_area_cm2=_filled_in(settings, 529),
        nominal_capacity_ah=_nominal_capacity(settings),
        finished=True if log else None,
        header={key: value for key, value in header.items() if value},
    )


def _channel(log: bytes, path: str | None) -> str | None:
    """Name the channel as the programs do: counted from 1, or by board and place in BT-Lab."""
    if len(log) <= 9:
        return None
    number = log[9]
    on_board = f"{chr(ord('A') + number // 8)}{number % 8 + 1}"
    return on_board if path and path.endswith(f"_C{on_board}.mpr") else str(number + 1)


def _acquisition_start(log: bytes, date: str) -> datetime | None:
    """Find the OLE date in the log; where it stands depends on the version, so it must fit the module's date."""
    day = _day(date)
    for offset in _OLE_OFFSETS:
        if len(log) < offset + 8:
            continue
        (days,) = struct.unpack_from("<d", log, offset)
        if not _OLE_YEARS[0] < days < _OLE_YEARS[1]:
            continue
        start = _OLE_EPOCH + timedelta(milliseconds=round(days * 86_400_000))
        if is_start_of(day, start):
            return start
    return None


def _day(date: str) -> datetime | None:
    """Read the date of a module."""
    try:
        return datetime.strptime(re.sub(r"[.-]", "/", date), "%m/%d/%y")
    except ValueError:
        return None


def _text(content: bytes, offset: int) -> str | None:
    """Read a text whose length stands before it."""
    if len(content) <= offset:
        return None
    raw = content[offset + 1 : offset + 1 + content[offset]].split(b"\0")[0]
    return raw.decode("cp1252", "replace").replace("\r\n", "\n").strip() or None


def _value(content: bytes, offset: int) -> float | None:
    if len(content) < offset + 4:
        return None
    (value,) = struct.unpack_from("<f", content, offset)
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _number(content: bytes, offset: int) -> str | None:
    value = _value(content, offset)
    return None if value is None else f"{value:g}"


def _filled_in(content: bytes, offset: int, scale: float = 1.0) -> float | None:
    """Read a number of the cell's description, but not the 0 and 0.001 that stand where nobody filled it in."""
    value = _value(content, offset)
    return None if value is None or value <= 0 or value == 0.001 else value * scale


def _nominal_capacity(settings: bytes) -> float | None:
    scales = (1.0, 1e-3, 1e-6, 1e-9, 1e-12)  # A.h, mA.h, µA.h, nA.h, pA.h
    if len(settings) <= 608 or settings[608] >= len(scales):
        return None
    return _filled_in(settings, 604, scales[settings[608]])
