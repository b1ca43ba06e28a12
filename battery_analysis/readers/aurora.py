"""Tables of aurora-cycler-manager (``full.….parquet``, ``shrunk.…``, ``eis.…``, ``snapshot.….parquet``).

File structure:
    Parquet with ``uts`` (seconds since 1970, UTC), ``V (V)``, ``I (A)`` (positive on charge), ``dQ (mAh)``, ``Step``
    and ``Cycle`` (0 where a step is no cycle), or ``cycle_number``, ``loop_number``, ``index`` and ``technique`` before
    the analysis; spectra have ``f (Hz)``, ``Re(Z) (ohm)`` and ``Im(Z) (ohm)`` with its physical sign. The footer may
    hold a JSON text ``AURORA:metadata`` about job and sample.

Choices:
    The test time counts from the first record. ``Step`` counts executed steps. ``Cycle`` is aurora's own number,
    found by its analysis; it goes back to 0 between cycles. ``dQ (mAh)`` is what flowed since the record before, no
    counter, and kept as ``aux_dq_mah``. A record without an impedance has none, not zero.

Seen in:
    Column names, types and signs of aurora-cycler-manager 0.11.6.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from battery_analysis import columns
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata
from battery_analysis.readers.mapping import Map, to_canonical
from battery_analysis.readers.typed import date_by_clock, parquet_names, plain, read_parquet

CLOCK = "uts"

MAPS = (
    Map(CLOCK, columns.UNIX_TIME, unit="s"),
    Map("V (V)", columns.VOLTAGE, unit="V"),
    Map("I (A)", columns.CURRENT, unit="A"),
    Map("Step", columns.STEP_COUNT),
    Map("Cycle", columns.CYCLE_COUNT),
    Map("cycle_number", columns.CYCLE_COUNT),
    Map("f (Hz)", columns.FREQUENCY, unit="Hz"),
    Map("Re(Z) (ohm)", columns.REAL_IMPEDANCE, unit="ohm"),
    Map("Im(Z) (ohm)", columns.IMAGINARY_IMPEDANCE, unit="ohm"),
)

_NOTE = "AURORA:metadata"
_MASS = "Cathode active material mass (mg)"


class AuroraParquet:
    """Reads tables of aurora-cycler-manager."""

    name = "aurora_parquet"
    version = "1"
    tester = "aurora-cycler-manager"
    suffixes = frozenset({".parquet"})
    description = "aurora-cycler-manager tables (.parquet): uts, V (V), I (A); not yet checked on a real file"

    def recognises(self, head: bytes, path: Path) -> bool:
        """Say whether the columns are aurora's."""
        names = set(parquet_names(head, path) or ())
        return CLOCK in names and bool({"V (V)", "Re(Z) (ohm)"} & names)

    def read(self, path: Path, *, time_zone: str = "UTC") -> Reading:
        """Read one table; its clock is in UTC."""
        table, notes = read_parquet(path, self.name)
        metadata = TestMetadata(tester=self.tester, test_type="cycling")
        table, warnings = plain(table, (), metadata, time_zone)
        if CLOCK not in table.columns or not table[CLOCK].dtype.is_numeric() or not table[CLOCK].count():
            raise CorruptFileError(path, f"no times in the column {CLOCK}; the file has {table.columns}", self.name)
        # Their single precision is aurora's; in double precision integrals and sums keep it.
        table = table.with_columns(pl.col(pl.Float32).cast(pl.Float64))
        frame, metadata.sources = to_canonical(table, MAPS)
        start = frame[columns.UNIX_TIME.name].drop_nulls().first()
        frame = frame.with_columns((pl.col(columns.UNIX_TIME.name) - start).alias(columns.TEST_TIME.name))
        metadata.sources[columns.TEST_TIME.name] = ColumnSource(CLOCK, "s")
        if columns.FREQUENCY.name in frame.columns:
            metadata.test_type = "eis"
        date_by_clock(frame, metadata)
        _describe(metadata, notes.get(_NOTE, ""))
        return Reading(frame, metadata, warnings)


def _describe(metadata: TestMetadata, note: str) -> None:
    """Take sample and job from the footer's JSON text; every text and number in it is kept in the header."""
    try:
        told: Any = json.loads(note) if note else {}
    except (ValueError, RecursionError):
        metadata.header[_NOTE] = note[:1000]
        return
    sample = told.get("sample_data") if isinstance(told, dict) else None
    if not isinstance(sample, dict):
        return
    metadata.header |= {name: str(value) for name, value in sample.items() if value is not None}
    metadata.sample_name = metadata.header.get("Sample ID")
    mass = sample.get(_MASS)
    if isinstance(mass, int | float):
        metadata.active_mass_gram = mass / 1000.0
