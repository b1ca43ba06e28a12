"""The largest file of each format beside the established readers for it.

Every reader runs in a process of its own: one read, whose peak memory is measured as growth over the imports (and over
a first frame of two rows, where polars is used); then all read in turn, five times, and the medians are compared.
Frames below 4 MB get no verdict on memory: what libraries take once in a process outweighs them. `reader and conform`
is the way from the file to the canonical frame, `battery_analysis.read` adds cycles and checks. Real files are those
below `BATTERY_TEST_DATA`; large text exports come from the cell model.

Peers do less: they give the file's columns as they stand, without units, signs, time stamps or metadata. Bare
`polars.read_csv` is no peer, but what the fastest parser at hand takes for the text alone; it bounds what can be
reached. `pandas.read_csv` gets the separator and the lines to skip, as a user would find them out. What `mdb-export`
takes in its own process is not in the memory of that row.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import exports
from benchmarks.contenders import MDB_EXPORT, PANDAS_CSV, POLARS_CSV, READER_AND_CONFORM, WHOLE
from benchmarks.measuring import Row
from benchmarks.one_reader import Cost, costs
from benchmarks.peers import peer_python

DATA = Path(os.environ.get("BATTERY_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "real"
NOT_SLOWER = 1.3
MOST_FRAMES = 4
LEAST_FRAME_MB = 4.0
MDB_TIMES = 3
PANDAS_TIMES = 3
LARGE_BYTES = 10_000_000
_ROWS = "csv module, a dict a row"

Options = dict[str, Any]
Origin = str | Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One format: its file (a pattern below the real files, or what writes it) and the peers with their options."""

    what: str
    origin: Origin
    peers: dict[str, Options]
    suffix: str = ""


def _text(what: str, origin: Origin, suffix: str = "", beside: dict[str, Options] | None = None, **layout: Any) -> Case:
    """Delimited text, which anything reads that is told where the table begins."""
    return Case(what, origin, {PANDAS_CSV: layout, POLARS_CSV: layout, _ROWS: layout} | (beside or {}), suffix)


def _workbook(what: str, origin: Origin, sheet: str, suffix: str = "") -> Case:
    return Case(what, origin, {"openpyxl, read only": {"sheet": sheet}, "pandas.read_excel": {"sheet": sheet}}, suffix)


_NEWARE: dict[str, Options] = {"fastnda": {}, "NewareNDA": {}}
_TAB = "\t"

CASES = (
    Case("BioLogic .mpr", "biologic/*.mpr", {"galvani to a DataFrame": {}, "yadg": {"filetype": "eclab.mpr"}}),
    Case("Neware .nda", "neware/*.nda", _NEWARE),
    Case("Neware .ndax", "neware/*.ndax", _NEWARE),
    Case("Neware .ndax of 700,000 records", exports.large_ndax, _NEWARE, ".ndax"),
    Case(
        "Arbin .res",
        "arbin/*.res",
        {"cellpy": {"instrument": "arbin_res"}, MDB_EXPORT: {"table": "Channel_Normal_Table"}},
    ),
    Case("Indigo .h5", "indigo/*.h5", {"pandas.read_hdf": {"key": "time_series_data"}}),
    _workbook("Arbin .xlsx", "arbin/*.xlsx", "Channel_11_1"),
    _workbook("Landt .xlsx", "landt/*.xlsx", "Record-Tab"),
    _workbook("Neware .xlsx", exports.large_neware_workbook, "record", ".xlsx"),
    _text("Arbin CSV", exports.large_arbin_csv, ".CSV"),
    _text(
        "EC-Lab .mpt",
        exports.large_mpt,
        ".mpt",
        {"yadg": {"filetype": "eclab.mpt"}},
        sep=_TAB,
        skiprows=30,
        encoding="cp1252",
    ),
    _text("Maccor text", exports.large_maccor, ".078", {"BEEP": {"tester": "Maccor"}}, sep=_TAB, skiprows=1),
    _text("Neware CSV", exports.large_neware_csv, ".csv"),
    _text("Battery Data Format CSV", exports.large_bdf_csv, ".bdf.csv"),
    _text("Arbin CSV, small", "arbin/FastCharge*.csv", beside={"BEEP": {"tester": "Arbin"}}),
    _text("Maccor text, small", "maccor/*con.078", beside={"BEEP": {"tester": "Maccor"}}, sep=_TAB, skiprows=1),
    _text("Maccor text with clock times", "maccor/maccor_0*.txt", sep=_TAB, skiprows=3),
    _text("Neware CSV, small", "neware/*uio*.csv"),
    _text("PEC CSV", "pec/*.csv", skiprows=32),
    _text("Battery Data Format CSV, small", "bdf/*.bdf.csv"),
)


def run() -> Iterator[Row]:
    """Measure every case."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for case in CASES:
            path = _file(case, Path(name))
            if path is None:
                yield Row(case.what, "no real file at hand (BATTERY_TEST_DATA)")
            else:
                yield from _compared(case, path)


def _file(case: Case, folder: Path) -> Path | None:
    if isinstance(case.origin, str):
        return max(DATA.glob(case.origin), key=lambda each: each.stat().st_size, default=None)
    path = folder / f"BM001{case.suffix}"
    case.origin(path)
    return path


def _compared(case: Case, path: Path) -> Iterator[Row]:
    peers = costs(path, {READER_AND_CONFORM: {}, WHOLE: {}} | case.peers, peer_python)
    own, whole = peers.pop(READER_AND_CONFORM), peers.pop(WHOLE)
    size = path.stat().st_size
    yield Row(f"**{case.what}**", f"{own.records or 0:,} records, {size / 1e6:.1f} MB")
    for name, peer in peers.items():
        yield Row(name, _shown(peer))
    yield Row(WHOLE, _shown(whole))
    yield from _verdicts(own, peers, size)


def _verdicts(own: Cost, peers: dict[str, Cost], size: int) -> Iterator[Row]:
    """What this project takes, against what it should."""
    if own.fault:
        yield Row(READER_AND_CONFORM, own.fault, "reads the file", False)
        return
    measured = {name: each.seconds for name, each in peers.items() if not each.fault and name != POLARS_CSV}
    if measured:
        fastest = min(measured, key=lambda name: measured[name])
        ratio = own.seconds / measured[fastest]
        value = f"{_shown(own)} = {ratio:.2f} x {fastest}"
        yield Row(READER_AND_CONFORM, value, f"<= {NOT_SLOWER} x the fastest peer", ratio <= NOT_SLOWER)
    else:
        yield Row(READER_AND_CONFORM, _shown(own))
    if own.frame_megabytes:
        frames = own.megabytes / own.frame_megabytes
        value = f"{own.megabytes:.0f} MB = {frames:.1f} x frame of {own.frame_megabytes:.1f} MB"
        holds = frames <= MOST_FRAMES if own.frame_megabytes >= LEAST_FRAME_MB else None
        yield Row("its peak memory", value, f"<= {MOST_FRAMES} x the frame", holds)
    if MDB_EXPORT in measured:
        times = measured[MDB_EXPORT] / own.seconds
        yield Row("times faster than mdb-export", f"{times:.1f}", f">= {MDB_TIMES}", times >= MDB_TIMES)
    if PANDAS_CSV in measured and size > LARGE_BYTES:
        times, bare = (measured[PANDAS_CSV] / each.seconds for each in (own, peers[POLARS_CSV]))
        value = f"{times:.1f} (bare polars: {bare:.1f})"
        yield Row("times faster than pandas.read_csv", value, f">= {PANDAS_TIMES}", times >= PANDAS_TIMES)


def _shown(measured: Cost) -> str:
    return measured.fault or f"{1e3 * measured.seconds:.1f} ms, {measured.megabytes:.0f} MB"
