"""Neware ``.nda`` files: one binary file for each test, BTS 3 to 9.

File structure:
    ``NEWARE`` and a date, the version at byte 14, pointers (begin, length) to the blocks, of which the
    device, the test information, the records and the auxiliary records matter here. Versions
    1 to 29 are BTS 3 to 8; 129 and 130 are BTS 9, with a record version at byte 16.

Times:
    Versions 26, 28 and 29 stamp records with a local calendar date; versions 1, 3 and 4 stamp none;
    all others hold seconds since 1970. The start in the header is local calendar time, except for BTS 9.

Seen in:
    BTS 7.6.0 (version 29), BTS 9.0.3 (version 130).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.neware_columns import describe_steps, missing_numbers, to_frame
from battery_analysis.readers.neware_decoding import decode, failures, quiet, reason
from battery_analysis.readers.neware_times import first_stamp, from_header

MAGIC = b"NEWARE"
_VERSION_AT = 14
_LOCAL_STAMPS = frozenset({26, 28, 29})
_NO_STAMPS = frozenset({1, 3, 4})
_BTS9 = frozenset({129, 130})
# Where the header holds begin and length of a block, and how many bytes each of the two takes.
_BLOCKS = (16, 24, 64, 72), 4
_BLOCKS_BTS9 = (34, 82), 8
_HEADER_BYTES = 1024


class NewareNda:
    """Reads Neware ``.nda`` files of every version that fastnda or NewareNDA knows."""

    name = "neware_nda"
    version = "1"
    tester = "Neware"
    suffixes = frozenset({".nda"})
    description = "Neware BTS binary (.nda), recognised by the word NEWARE at its start"

    def recognises(self, head: bytes, path: Path) -> bool:
        """All versions begin with the vendor's name."""
        return head.startswith(MAGIC)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one test; calendar dates are taken in ``time_zone``."""
        version, missing = _check_header(path, self.name)
        try:
            table, units, warnings = decode(path, "nda", self.name)
        except CorruptFileError as exc:
            raise CorruptFileError(path, missing or exc.reason, self.name) from exc
        if not table.height:
            raise CorruptFileError(path, missing or "the file holds no records", self.name)
        if version in _NO_STAMPS:
            # What stands there is the header's start plus test time: no clock has written it.
            table = table.drop("Date", strict=False)
        frame, sources = to_frame(table, units, local_zone=time_zone if version in _LOCAL_STAMPS else None)
        if missing:
            warnings.append(f"{missing}; {frame.height} records are left")
        warnings += missing_numbers(frame)

        metadata = _metadata(path, frame, version, time_zone, warnings)
        metadata.sources = sources
        announced = metadata.announced_records
        if announced is not None and frame.height < announced:
            warnings.append(f"{frame.height} records, but the file announces {announced}")
        return Reading(frame, metadata, warnings)


def _check_header(path: Path, reader: str) -> tuple[int, str | None]:
    """Return the version, and what the header promises beyond the end of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise CorruptFileError(
            path, f"the file ends early: {size} bytes, its header alone takes {_HEADER_BYTES}", reader
        )
    version = header[_VERSION_AT]
    places, width = _BLOCKS_BTS9 if version in _BTS9 else _BLOCKS
    numbers = [
        (
            int.from_bytes(header[at : at + width], "little"),
            int.from_bytes(header[at + width : at + 2 * width], "little"),
        )
        for at in places
    ]
    end = max(begin + length for begin, length in numbers)
    return version, f"the file ends early: its header announces {end} bytes, it has {size}" if end > size else None


def _metadata(path: Path, frame: pl.DataFrame, version: int, time_zone: str, warnings: list[str]) -> TestMetadata:
    facts = _facts(path, warnings)
    started = first_stamp(frame)
    used_zone = version in _LOCAL_STAMPS
    if started is None and facts.get("start_time"):
        started = from_header(str(facts["start_time"]), time_zone)
        used_zone = version not in _BTS9
    technique, test_type = describe_steps(frame)
    mass_mg = facts.get("active_mass_mg")
    barcode = _text(facts, "barcode")
    return TestMetadata(
        tester="Neware",
        technique=technique,
        test_type=test_type,
        test_name=_text(facts, "test_name"),
        sample_name=barcode,
        barcode=barcode,
        protocol=_text(facts, "step_name"),
        operator=_text(facts, "creator"),
        comment=_text(facts, "remarks"),
        software="; ".join(filter(None, (_text(facts, f"{part}_version") for part in ("server", "client", "bts"))))
        or None,
        started_at=started,
        ended_at=from_header(_text(facts, "stop_time"), "UTC"),
        time_zone=time_zone if used_zone else None,
        active_mass_gram=mass_mg / 1000 if isinstance(mass_mg, float) and mass_mg > 0 else None,
        announced_records=facts.get("num_datapoints"),
        header={key: str(value) for key, value in facts.items()},
    )


def _facts(path: Path, warnings: list[str]) -> dict[str, Any]:
    from fastnda.nda_meta import read_nda_metadata

    try:
        with quiet():
            return dict(read_nda_metadata(path))
    except failures() as exc:
        warnings.append(f"the header cannot be read: {reason(exc)}")
        return {}


def _text(facts: dict[str, Any], key: str) -> str | None:
    return str(facts.get(key, "")).strip() or None
