"""Arbin records exported from MITS Pro's SQL server to HDF5 (``.h5``).

File structure:
    Three tables that pandas stored: ``data_df`` with a row for each record, ``info_df`` with a row that describes the
    test, ``stat_df`` with a row for each cycle. Columns carry Arbin's names without units (s, V, A, Ah, Wh, ohm).
    ``Date_Time`` counts 100 ns since 1970 in UTC. In ``info_df`` masses are in g, specific capacities in Ah/g.

Choices:
    Exports were seen to hold rows twice: of those with the same ``Data_Point`` the first is read. ``stat_df`` is not.

Seen in:
    Not yet checked on a real file; built from public descriptions.
"""

from __future__ import annotations

from pathlib import Path

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.arbin import TERMS
from battery_analysis.readers.base import Reading, TestMetadata
from battery_analysis.readers.hdf5 import Literal, looks_like, member, opened, pandas_record, pandas_table
from battery_analysis.readers.headings import heading
from battery_analysis.readers.terms import to_frame, with_clock

RECORDS, INFORMATION = "data_df", "info_df"

_TICKS_PER_SECOND = 1e7
_STAMP = "datetime"


class ArbinH5:
    """Reads SQL exports of Arbin testers."""

    name = "arbin_h5"
    version = "1"
    tester = "Arbin"
    suffixes = frozenset({".h5"})
    description = "Arbin SQL exports (.h5) with the tables data_df and info_df; not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether this is HDF5 with both tables."""
        return looks_like(head, path, RECORDS, INFORMATION)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one export; its clock is in UTC, so ``time_zone`` is not used for numbers.

        Raises:
            CorruptFileError: The file is damaged or holds no records.
            MissingExtraError: h5py is not installed.
            SchemaError: Test time, voltage or current is absent.
        """
        with opened(path, self.name) as file:
            raw = pandas_table(member(file, RECORDS))
            facts = pandas_record(member(file, INFORMATION))
        if not raw.height:
            raise CorruptFileError(path, f"the table {RECORDS} has no data rows", self.name)
        warnings = []
        if "Data_Point" in raw.columns:
            first = raw["Data_Point"].is_first_distinct()
            if not first.all():
                lost = raw.height - int(first.sum())
                warnings.append(f"{lost} records with the Data_Point of another are left out")
                raw = raw.filter(first)
            raw = raw if raw["Data_Point"].is_sorted() else raw.sort("Data_Point", maintain_order=True)
        headings = [heading(name) for name in raw.columns]
        stamp = next((each.name for each in headings if each.key == _STAMP), None)
        stamps = raw.drop_in_place(stamp) if stamp else None
        metadata = _metadata(facts)
        frame, metadata.sources, said = to_frame(raw, [each for each in headings if each.name != stamp], TERMS)
        warnings += said
        if stamps is not None:
            seconds = stamps / _TICKS_PER_SECOND if stamps.dtype.is_numeric() else stamps
            frame, said = with_clock(frame, seconds, time_zone, metadata)
            warnings += said
        return Reading(frame, metadata, warnings)


def _metadata(facts: dict[str, Literal]) -> TestMetadata:
    header = {name: str(value) for name, value in facts.items() if value not in (None, "")}
    mass, specific = _positive(facts.get("SpecificMASS")), _positive(facts.get("SpecificCapacity"))
    return TestMetadata(
        tester="Arbin",
        test_type="cycling",
        channel=header.get("IV_Ch_ID"),
        test_name=header.get("Test_Name"),
        protocol=header.get("Schedule_File_Name"),
        operator=header.get("Creator"),
        comment=header.get("Comments"),
        device=header.get("Device_ID"),
        active_mass_gram=mass,
        nominal_capacity_ah=mass * specific if mass and specific else None,
        header=header,
    )


def _positive(value: Literal) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else None
