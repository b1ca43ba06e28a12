"""What the records of a Maccor export mean, text or workbook: direction of the current, steps, counters, clock.

- An export whose currents are all positive has their direction in ``State`` (``Md``): C charges, D discharges. R rests,
  P pauses, S is suspended, O ends the test, FRA marks an impedance point: such records follow their step.
- ``Step`` is the step of the procedure and comes again; it begins anew where its time falls.
- Capacity and energy count both directions as positive, from zero in each step, in each half cycle, or in none.
- ``Cyc#`` and ``Cycle C`` count cycles, ``Cycle P`` the procedure's own loop.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from battery_analysis import columns
from battery_analysis.readers.base import ColumnSource, Reading, TestMetadata, TestType
from battery_analysis.readers.maccor_columns import CAPACITY, ENERGY
from battery_analysis.readers.maccor_evidence import goes_on_after_steps
from battery_analysis.readers.maccor_header import dated_stamps
from battery_analysis.readers.maccor_mapping import map_table
from battery_analysis.readers.terms import with_clock

CHARGES, DISCHARGES, IMPEDANCE, ENDS = "C", "D", "FRA", "O"

_CURRENT = pl.col(columns.CURRENT.name)
_STATE = pl.col(columns.STEP_TYPE.name)
_STEP = columns.STEP_COUNT.name
_NET = {CAPACITY.name: "step_net_capacity_ah", ENERGY.name: "step_net_energy_wh"}
_SINCE_START = {CAPACITY.name: "cumulative_capacity_ah", ENERGY.name: "cumulative_energy_wh"}
_PAIRS = {
    counter.name: tuple(f"schedule_{direction}_{counter.quantity}_{unit}" for direction in ("charging", "discharging"))
    for counter, unit in ((columns.BY_NAME[CAPACITY.name], "ah"), (columns.BY_NAME[ENERGY.name], "wh"))
    if isinstance(counter, columns.Counter)
}


def to_reading(
    raw: pl.DataFrame,
    metadata: TestMetadata,
    warnings: list[str],
    time_zone: str,
    units: Mapping[str, str] | None = None,
) -> Reading:
    """Bring a table under Maccor's names to canonical and ``aux_`` columns.

    Args:
        raw: Numbers and texts as the file holds them.
        metadata: What the header says; completed with what the records say.
        warnings: What had to be said so far.
        time_zone: IANA zone of the stamps.
        units: For columns without a column Units behind them, what stood in it.

    Raises:
        SchemaError: Test time or voltage is absent, or one of them or the current has an unknown unit or no numbers.
    """
    frame, metadata.sources, stamps, map_warnings = map_table(raw, units or {})
    if columns.STEP_TYPE.name in frame.columns:
        frame = frame.with_columns(pl.col(columns.STEP_TYPE.name).cast(pl.String).str.strip_chars())
    frame = _numbered_steps(frame, metadata)
    frame, sign_warnings = _signed(frame)
    frame = _counters(frame, metadata)
    warnings = [*warnings, *map_warnings, *sign_warnings]
    if stamps is not None:
        if stamps.dtype == pl.String:
            stamps = dated_stamps(stamps, metadata.header.get("Date of Test", ""), frame[columns.TEST_TIME.name])
        frame, clock_warnings = with_clock(frame, stamps, time_zone, metadata)
        warnings += clock_warnings
    _complete(metadata, frame)
    return Reading(frame, metadata, warnings)


def _numbered_steps(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Number the steps in order of execution: the procedure's step comes again, a state may change within a step."""
    changes = [
        pl.col(name) != pl.col(name).shift()
        for name in (columns.STEP_ID.name, columns.CYCLE_COUNT.name)
        if name in frame.columns
    ]
    step_time = columns.STEP_TIME.name
    if step_time in frame.columns:
        changes.append(pl.col(step_time) < pl.col(step_time).shift())
    if columns.STEP_ID.name not in frame.columns:
        return frame
    count = 1 + pl.any_horizontal(changes).fill_null(False).cast(pl.Int64).cum_sum()
    told_by = [metadata.sources[name].name for name in (columns.STEP_ID.name, step_time) if name in frame.columns]
    metadata.sources[_STEP] = ColumnSource(f"changes of {', '.join(told_by)}")
    return frame.with_columns(count.alias(_STEP))


def _signed(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Give currents their direction where the export left it to the state."""
    if columns.CURRENT.name not in frame.columns:
        return frame, []
    stated = columns.STEP_TYPE.name in frame.columns
    if frame.select((_CURRENT < 0).any()).item():
        return _turned(frame) if stated else (frame, [])
    if not stated:
        steps = frame.filter(_CURRENT > 0)[_STEP].n_unique() if _STEP in frame.columns else 0
        said = "no column tells charge from discharge, and no current is negative; currents are kept as written"
        return frame, [said] if steps > 1 else []
    told = pl.when(_is(CHARGES)).then(1.0).when(_is(DISCHARGES)).then(-1.0)
    direction = told.forward_fill()
    if _STEP in frame.columns:  # what was told in an earlier step does not count
        told_in = pl.when(told.is_not_null()).then(pl.col(_STEP)).forward_fill()
        direction = pl.when(told_in == pl.col(_STEP)).then(direction)
    frame = frame.with_columns(direction.alias("aux_direction"))
    untold = pl.col("aux_direction").is_null() & (_CURRENT != 0)
    unknown = frame.select(pl.col(columns.STEP_TYPE.name).filter(untold)).to_series()
    frame = frame.with_columns((_CURRENT * pl.col("aux_direction").fill_null(1.0) + 0.0).alias(columns.CURRENT.name))
    warnings = []
    if unknown.len():
        states = ", ".join(unknown.drop_nulls().unique(maintain_order=True).head(5))
        records = f"{unknown.len()} record" + ("s" if unknown.len() > 1 else "")
        warnings.append(f"the direction of the current is not told in {records} of state {states}; kept as written")
    return frame.drop("aux_direction"), warnings


def _is(state: str) -> pl.Expr:
    return _STATE.eq(state) | _STATE.eq(state.lower())  # much faster than converting all to capitals


def _turned(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Turn the sign of exports that count the discharge as positive."""
    agrees, differs = frame.select(
        ((_is(CHARGES) & (_CURRENT > 0)) | (_is(DISCHARGES) & (_CURRENT < 0))).sum().alias("agrees"),
        ((_is(CHARGES) & (_CURRENT < 0)) | (_is(DISCHARGES) & (_CURRENT > 0))).sum().alias("differs"),
    ).row(0)
    if differs <= agrees:
        return frame, []
    turned = frame.with_columns((-_CURRENT + 0.0).alias(columns.CURRENT.name))
    return turned, ["currents are positive on discharge, as their states show; turned"]


def _counters(frame: pl.DataFrame, metadata: TestMetadata) -> pl.DataFrame:
    """Give capacity and energy the term whose reset rule they follow."""
    names = [name for name in _PAIRS if name in frame.columns]
    signed = [name for name in names if frame.select((pl.col(name) < 0).any()).item()]
    frame = _renamed(frame, metadata, {name: _NET[name] for name in signed})
    names = [name for name in names if name not in signed]
    if CAPACITY.name not in names or not {_STEP, columns.CURRENT.name} <= set(frame.columns):
        return frame
    if goes_on_after_steps(frame, frame[CAPACITY.name], turned=True):
        return _renamed(frame, metadata, {name: _SINCE_START[name] for name in names})
    if not goes_on_after_steps(frame, frame[CAPACITY.name]):
        return frame
    for name in names:
        charging, discharging = _PAIRS[name]
        source = metadata.sources.pop(name)
        frame = frame.with_columns(
            _while_flowing(name, 1).alias(charging), _while_flowing(name, -1).alias(discharging)
        ).drop(name)
        metadata.sources[charging] = ColumnSource(f"{source.name} while charging", source.unit)
        metadata.sources[discharging] = ColumnSource(f"{source.name} while discharging", source.unit)
    return frame


def _renamed(frame: pl.DataFrame, metadata: TestMetadata, names: dict[str, str]) -> pl.DataFrame:
    metadata.sources |= {new: metadata.sources.pop(old) for old, new in names.items()}
    return frame.rename(names)


def _while_flowing(name: str, direction: int) -> pl.Expr:
    """The counter in one direction: zero once the other one flows, held while none does."""
    way = _CURRENT.sign()
    counted = pl.when(way == direction).then(pl.col(name)).when(way == -direction).then(0.0)
    return counted.forward_fill().fill_null(0.0)


def _complete(metadata: TestMetadata, frame: pl.DataFrame) -> None:
    """Say what kind of test it was, whether it has ended, and whether an earlier file holds its beginning."""
    state = columns.STEP_TYPE.name
    states = set(frame[state].unique().str.to_uppercase()) if state in frame.columns else set()
    flows = columns.CURRENT.name in frame.columns and frame.select((_CURRENT != 0).any()).item()
    kind: TestType = "cycling" if flows or states & {CHARGES, DISCHARGES} else "eis" if IMPEDANCE in states else "ocv"
    metadata.test_type = kind
    if states and str(frame[state].drop_nulls().last() or "").upper() == ENDS:
        metadata.finished = True
    if columns.RECORD_INDEX.name in frame.columns:
        first = frame[columns.RECORD_INDEX.name].drop_nulls().first()
        metadata.continuation = isinstance(first, int | float) and first > 1
