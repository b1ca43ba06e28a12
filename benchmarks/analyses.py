"""Analyses beside established packages, and beside one bare pass over the same columns.

Packages work in processes of their own, in turn, three times after a first; medians are compared. What they need as
input is made before, unless the line says `from the file`. All of them analyse the same records, which the cell model
gives: a Maccor text export of 29 records a cycle; 10 M records as a Neware tester counts them; and for dQ/dV 1,074
records a cycle with voltages 1 mV apart, without which PyProBE's level evaluation finds no levels.

BEEP's `structure` also interpolates every step to 1,000 points; `summarize_cycles` is the part of it that makes the
table. dQ/dV is smoothed by all but `PyProBE, gradient`, which is `numpy.gradient` of each step and bounds what can be
reached. PyProBE gets the steps of constant current one by one: its own filters go through all records for each.

The bare pass is one `group_by` of the cycle number in polars over all columns that the cycle table needs: first and
last time, extremes of voltage, current and temperature, the last resistance, the largest counters.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import polars as pl

from battery_analysis.analysis.cycles import summarise_cycles
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import Importer, ImportOptions, open_importer
from battery_analysis.ingest.sample_rules import rules_from
from battery_analysis.store import Store, datasets
from benchmarks import analysts, exports
from benchmarks.measuring import Row, apart, forget_peak, growth, scratch_store, seconds
from benchmarks.one_reader import Cost, Peers, costs
from benchmarks.peers import peer_python
from examples import SYNTHETIC
from examples.arbin_csv import write_arbin_csv
from examples.bulk import many_records
from examples.counters import CHARGING_CAPACITY, CHARGING_ENERGY, DISCHARGING_CAPACITY, DISCHARGING_ENERGY

TIMES = 3
FILE_RECORDS, FILE_SECONDS = 10_000, 740.0
LARGE_RECORDS, LARGE_SECONDS = 10_000_000, 1.6
BEEP_TIMES = 20
PASSES = 3.0
FRAMES = 2.0
DQDV_CYCLES, RECORDS_OF_CYCLE = 1_000, 1_074
DQDV_TIMES = 10
TESTS, ADDED = 50, 7
TEST_RECORDS = 6_000
OTHERS = 2.0

_SPAN_SECONDS = 90 * 86_400.0
"""From the start of one test of a cell to that of the next."""
_COUNTERS = (CHARGING_CAPACITY, DISCHARGING_CAPACITY, CHARGING_ENERGY, DISCHARGING_ENERGY)


def run(
    file_records: int = FILE_RECORDS,
    large_records: int = LARGE_RECORDS,
    dqdv_cycles: int = DQDV_CYCLES,
    tests: int = TESTS,
    peers: Peers = peer_python,
) -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield from _cycles_of_file(Path(name) / "BM001.078", file_records, peers)
        yield from _cycles_of_many(large_records)
        yield from _differential(Path(name) / "BM001.parquet", dqdv_cycles, peers)
        yield from _dataset(Path(name), tests)


def _cycles_of_file(path: Path, records: int, peers: Peers) -> Iterator[Row]:
    exports.large_maccor(path, records, FILE_SECONDS)
    own = {analysts.WHOLE_CYCLES: {}, analysts.CYCLES: {}}
    limits = {"tester": "Maccor", "nominal_capacity": 4.8}
    beep = {analysts.BEEP: {"v_range": [2.7, 4.2], **limits}, analysts.BEEP_SUMMARY: limits}
    measured = costs(path, own | beep, peers, TIMES)
    cycles = measured[analysts.CYCLES].records or 0
    yield Row("**cycle table of a Maccor text export**", f"{records:,} records, {cycles} cycles")
    yield from _shown(measured)
    pairs = {
        "from the file": (analysts.WHOLE_CYCLES, analysts.BEEP),
        "the table alone": (analysts.CYCLES, analysts.BEEP_SUMMARY),
    }
    for what, (one, other) in pairs.items():
        yield from _faster(f"times faster than BEEP, {what}", measured[one], measured[other], BEEP_TIMES)


def _cycles_of_many(records: int) -> Iterator[Row]:
    for what, left_out in (("counters", ()), ("no counters", _COUNTERS)):
        (cycles, frame, own, bare, memory), _ = apart(_many, records, left_out)
        yield Row(f"**cycle table of {records:,} records with {what}**", f"{cycles} cycles, {frame:.0f} MB")
        yield Row("polars, one group_by of the same columns", f"{bare:.3f} s")
        ratio = own / bare
        yield Row("summarise_cycles", f"{own:.3f} s = {ratio:.2f} x group_by", f"< {PASSES:g} x", ratio < PASSES)
        frames = 1.0 + memory / frame
        yield Row(
            "its peak memory, the frame included",
            f"{frame + memory:.0f} MB = {frames:.2f} x frame",
            f"< {FRAMES:g} x",
            frames < FRAMES,
        )


def _many(records: int, left_out: tuple[str, ...]) -> tuple[int, float, float, float, float]:
    """Return cycles, MB of the frame, seconds of the cycle table and of a pass, and MB that the table adds."""
    frame = many_records(records, every_second=LARGE_SECONDS).drop(left_out)
    summarise_cycles(frame.head(10_000))
    _one_pass(frame.head(10_000))
    forget_peak()
    table, memory = growth(lambda: summarise_cycles(frame))
    rounds = [
        (seconds(lambda: summarise_cycles(frame)), seconds(lambda: _one_pass(frame))) for _ in range(2 * TIMES - 1)
    ]
    own, bare = (statistics.median(each) for each in zip(*rounds, strict=True))
    return table.height, frame.estimated_size("mb"), own, bare, memory


def _one_pass(frame: pl.DataFrame) -> pl.DataFrame:
    time, extremes = pl.col("test_time_second"), pl.col("voltage_volt", "current_ampere", "temperature_t1_celsius")
    return frame.group_by("cycle_count").agg(
        pl.len(),
        time.first().alias("start"),
        time.last().alias("end"),
        extremes.min().name.prefix("min_"),
        extremes.max().name.prefix("max_"),
        pl.col("internal_resistance_ohm").last(),
        pl.col("^(step_(count|time)|unix_time|step_(dis)?charging).*$").max(),
    )


def _differential(path: Path, cycles: int, peers: Peers) -> Iterator[Row]:
    apart(exports.counted_by_cycle, path, cycles * RECORDS_OF_CYCLE)
    whole = (analysts.DQDV, analysts.CELLPY_DQDV)
    taken_apart = (analysts.DQDV_OF_HALVES, analysts.CELLPY_DQDV_OF_CURVES, analysts.LEAN)
    measured = costs(path, {name: {} for name in (*whole, *taken_apart, analysts.GRADIENT)}, peers, TIMES)
    yield Row(f"**dQ/dV of {cycles:,} cycles**", f"{cycles * RECORDS_OF_CYCLE:,} records")
    yield from _shown(measured)
    for own, *others in (whole, taken_apart):
        for other in others:
            yield from _faster(f"{own}: times faster than {other}", measured[own], measured[other], DQDV_TIMES)


def _dataset(folder: Path, tests: int) -> Iterator[Row]:
    """One more test of a cell with many, beside the only test of a cell."""
    records = many_records(TEST_RECORDS, every_second=300.0)
    with scratch_store() as (store, settings):
        options = ImportOptions(folder, rules_from(settings), settings.data_dir)
        with open_importer(store, options) as importer:
            for number in range(tests):
                _add(importer, folder, "BM001", records, number)
            first = seconds(lambda: _rebuilt(store, "BM001"))
            rounds = []
            for number in range(ADDED):
                only = f"BM1{number:02d}"
                _add(importer, folder, "BM001", records, tests + number)
                _add(importer, folder, only, records, tests + number)
                one = seconds(lambda: _rebuilt(store, only))  # noqa: B023  # called at once
                rounds.append((seconds(lambda: _rebuilt(store, "BM001")), one))
    one_more, alone = (statistics.median(each) for each in zip(*rounds, strict=True))
    cycles = records["cycle_count"].n_unique()
    yield Row(f"**dataset of a cell with {tests} tests of {cycles} cycles**", f"{1e3 * first:.1f} ms, built at once")
    yield Row("dataset of a cell with one test", f"{1e3 * alone:.1f} ms")
    ratio = one_more / alone
    value = f"{1e3 * one_more:.1f} ms = {ratio:.2f} x that of one test, {one_more / first:.2f} x that of all"
    yield Row("rebuild after one more test", value, f"<= {OTHERS:g} x one test", ratio <= OTHERS)


def _add(importer: Importer, folder: Path, cell: str, records: pl.DataFrame, number: int) -> None:
    later = number * _SPAN_SECONDS
    path = folder / f"{cell}_{number}.csv"
    write_arbin_csv(path, records.with_columns(pl.col("unix_time_second") + later), comment=f"{cell}: {SYNTHETIC}")
    outcome = importer.take(Candidate(path, PurePosixPath(path.name)))
    if outcome.outcome != "created":
        raise RuntimeError(f"{path}: {outcome.outcome} ({outcome.reason})")


def _rebuilt(store: Store, cell: str) -> None:
    if not datasets.rebuild(store, cell, by_hand=False).is_new:
        raise RuntimeError(f"the dataset of {cell} was up to date")


def _shown(measured: dict[str, Cost]) -> Iterator[Row]:
    for name, cost in measured.items():
        yield Row(name, cost.fault or f"{1e3 * cost.seconds:,.1f} ms")


def _faster(what: str, own: Cost, other: Cost, reach: float) -> Iterator[Row]:
    """Say how many times faster; nothing where there is no measurement of the other."""
    if own.fault:
        yield Row(what, own.fault, f">= {reach:g}", False)
    elif not other.fault:
        times = other.seconds / own.seconds
        yield Row(what, f"{times:,.1f}", f">= {reach:g}", times >= reach)
