"""Neware ``.ndax`` files: a zip archive for each test, BTS 8 and 9.

File structure:
    ``TestInfo.xml`` (device, channel, sample, times, auxiliary channels), ``VersionInfo.xml``, ``Step.xml``
    (the programme; ``Step0.xml`` and the like are its earlier versions), ``data.ndc`` (voltage and
    current; in versions up to 7 and in 15 everything), ``data_runInfo.ndc`` (time and counters, not for
    every record: fastnda fills the gaps), ``data_step.ndc`` (cycle, programme step and type of each step),
    ``data_AUX_….ndc`` (one for each channel). The version of a member stands in its third byte.

Times:
    Members of versions 1 to 5 and 7 hold local calendar dates; the others hold seconds since 1970.
    ``StartTime`` and ``EndTime`` are local; an export of a running test has no ``EndTime``.

Units in ``Step.xml``, where ``Scale`` is 1:
    Voltages in 0.1 mV, ``MultCap`` (the capacity that rates refer to) in mA s, ``SCQ`` (active mass) in µg.

Seen in:
    BTS 8.0.0 (member version 14), BTS 8.0.1 (member version 17).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.neware_archive import Archive, member_names, open_archive
from battery_analysis.readers.neware_columns import describe_steps, missing_numbers, to_frame
from battery_analysis.readers.neware_decoding import decode
from battery_analysis.readers.neware_times import first_stamp, from_header, last_stamp

_ZIP = b"PK\x03\x04"
_MEMBERS = frozenset({"VersionInfo.xml", "TestInfo.xml", "Step.xml", "EditStep.xml"})
_LOCAL_STAMPS = frozenset({1, 2, 3, 4, 5, 7})
_HEADER_DOCUMENTS = ("TestInfo", "VersionInfo", "Step")


class NewareNdax:
    """Reads Neware ``.ndax`` archives of every version that fastnda or NewareNDA knows."""

    name = "neware_ndax"
    version = "1"
    tester = "Neware"
    suffixes = frozenset({".ndax"})
    description = "Neware BTS archive (.ndax), recognised by the members of the zip file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """A zip archive, whole or cut short, with one of the vendor's members near its start."""
        return head.startswith(_ZIP) and any(
            name in _MEMBERS or (name.startswith("data") and name.endswith(".ndc")) for name in member_names(head)
        )

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one test; calendar dates are taken in ``time_zone``."""
        archive = open_archive(path, self.name)
        decoded = decode(path, "ndax", self.name)
        if not decoded.table.height:
            raise CorruptFileError(path, "the file holds no records: the test was stopped before the first", self.name)
        local = archive.ndc_version in _LOCAL_STAMPS
        frame, sources = to_frame(decoded.table, decoded.units, local_zone=time_zone if local else None)
        metadata = _metadata(archive, frame, time_zone, local)
        metadata.sources = sources
        return Reading(frame, metadata, [*archive.warnings, *decoded.warnings, *_left_out(archive, frame)])


def _left_out(archive: Archive, frame: pl.DataFrame) -> list[str]:
    """Say what the archive may hold but the frame does not."""
    said = missing_numbers(frame)
    if "step_type" not in frame:
        said.append("the steps are not described: cycle numbers and step types are unknown")
    if len(archive.aux_members) != archive.described_aux:
        said.append(
            f"aux channels are not described in TestInfo.xml and are left out: it lists {archive.described_aux}, "
            f"the archive holds {', '.join(archive.aux_members) or 'none'}"
        )
    return said


def _metadata(archive: Archive, frame: pl.DataFrame, time_zone: str, local: bool) -> TestMetadata:
    header = dict(_header(archive.documents))
    start, end = header.get("TestInfo.TestInfo.StartTime"), header.get("TestInfo.TestInfo.EndTime")
    started = first_stamp(frame)
    used_zone = local or (started is None and start is not None)
    technique, test_type = describe_steps(frame)
    info, step = "TestInfo.TestInfo.", "Step.Head_Info."
    barcode = header.get(info + "Barcode") or None
    scaled = header.get(step + "Scale") == "1"
    return TestMetadata(
        tester="Neware",
        device=_joined(header, info, "DevType", "DevID"),
        channel=_joined(header, info, "UnitID", "ChlID"),
        technique=technique,
        test_type=test_type,
        sample_name=barcode,
        barcode=barcode,
        protocol=header.get(info + "StepName") or None,
        operator=header.get(step + "Creator") or None,
        comment=header.get(info + "Remark") or header.get(step + "Remark") or None,
        software=_joined(header, "VersionInfo.ZwjVersion.", "SvrVer", "CurrClientVer", by="; "),
        started_at=started or from_header(start, time_zone),
        ended_at=(last_stamp(frame) or from_header(end, time_zone)) if end else None,
        time_zone=time_zone if used_zone else None,
        active_mass_gram=_positive(header.get(step + "SCQ"), 1e6)
        if header.get(step + "SCQ.Is_Select") != "0"
        else None,
        nominal_capacity_ah=_positive(header.get(step + "MultCap"), 3.6e6) if scaled else None,
        voltage_limits_volt=_voltage_limits(header) if scaled else None,
        finished=True if end else None,
        header=header,
    )


def _header(documents: dict[str, Element]) -> Iterator[tuple[str, str]]:
    """Every attribute as ``Document.Element.Attribute``; each step of the programme on one line."""
    for name in _HEADER_DOCUMENTS:
        if name not in documents:
            continue
        yield from _attributes(documents[name], name)
        for step in documents[name].iterfind("Step_Info/*"):
            yield f"{name}.Step_Info.{step.tag}", " ".join(f"{key}={value}" for key, value in _attributes(step, ""))


def _attributes(element: Element, path: str) -> Iterator[tuple[str, str]]:
    waiting = [(element, path)]
    while waiting:
        element, path = waiting.pop()
        for attribute, value in element.attrib.items():
            yield path if attribute == "Value" else f"{path}.{attribute}".lstrip("."), value
        if element.tag != "Step_Info":
            waiting += [(child, f"{path}.{child.tag}".lstrip(".")) for child in reversed(element)]


def _joined(header: dict[str, str], path: str, *keys: str, by: str = "-") -> str | None:
    return by.join(header[path + key] for key in keys if header.get(path + key)) or None


def _positive(text: str | None, divisor: float) -> float | None:
    try:
        value = float(text or 0) / divisor
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def _voltage_limits(header: dict[str, str]) -> tuple[float, float] | None:
    """Protection limits of the whole programme."""
    path = "Step.Whole_Prt.Protect.Main.Volt."
    try:
        low, high = (float(header[path + end]) / 10_000 for end in ("Lower", "Upper"))
    except (KeyError, ValueError):
        return None
    return (low, high) if low < high else None
