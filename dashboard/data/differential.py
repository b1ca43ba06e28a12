"""Half cycles of chosen cycles of a life, loaded once while their differential curves are drawn again and again."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from battery_analysis.analysis.halves import HalfCycles, half_cycles, joined
from battery_analysis.errors import AnalysisError
from dashboard.data import lives
from dashboard.data.lives import Life

KEPT = 16
"""So many choices of cycles stay in memory."""


@dataclass(frozen=True)
class _Chosen:
    life: Life = field(compare=False)
    of: str
    id: str
    cycles: tuple[int, ...]
    state: int
    """What the cycle table says of these cycles: it changes as a test grows."""


def halves_of(life: Life, cycles: Sequence[int]) -> tuple[HalfCycles | None, list[str]]:
    """Return the half cycles of these cycles, if any of them has one, and why others have none."""
    rows = life.cycles.filter(life.cycles["cycle_count"].is_in(list(cycles)))
    state = int(rows.hash_rows(seed=1).sum()) if rows.height else 0
    found, reasons = _loaded(_Chosen(life, life.of, life.id, tuple(cycles), state))
    return found, list(reasons)


@functools.lru_cache(maxsize=KEPT)
def _loaded(chosen: _Chosen) -> tuple[HalfCycles | None, tuple[str, ...]]:
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(functools.partial(_of_cycle, chosen.life), chosen.cycles))
    found = [each for each in parts if isinstance(each, HalfCycles)]
    return (joined(found) if found else None), tuple(each for each in parts if isinstance(each, str))


def _of_cycle(life: Life, cycle: int) -> HalfCycles | str:
    try:
        return half_cycles(lives.cycle(life, cycle)).of_cycle(cycle)
    except AnalysisError as exc:
        return f"cycle {cycle}: {exc}"
