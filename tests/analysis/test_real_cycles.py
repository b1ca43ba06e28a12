"""Cycle tables of real files agree with counters summed by an independent reader."""

from typing import Any

import pytest

import battery_analysis
from battery_analysis.analysis.cycles import summarise_cycles
from tests.realdata import real, real_entries

TOLERANCE = 2e-3


def entries() -> list[Any]:
    readable = [
        entry
        for entry in real_entries("arbin", "neware", "biologic")
        if entry["path"].lower().endswith((".nda", ".ndax", ".mpt", ".mpr"))
        or (entry["vendor"] == "arbin" and entry["path"].lower().endswith(".csv"))
    ]
    known = [entry for entry in readable if "per_cycle" in entry["reference"].get("capacity", {})]
    return [pytest.param(entry["path"], entry["reference"], id=entry["path"]) for entry in known]


@pytest.mark.parametrize(("path", "reference"), entries())
def test_capacities_are_those_of_the_counter_in_the_file(path: str, reference: dict[str, Any]) -> None:
    cycles = battery_analysis.read(real(path)).cycles
    assert set(cycles["capacity_method"]) == {"counter"}
    listed = reference["capacity"]["per_cycle"]
    count = reference["cycles"]["count"]
    recorded = reference.get("cycles_raw", {}).get("count", count)
    if recorded != count and len(listed) < count:
        # The recorder numbers otherwise than the reference does, and not all of its cycles are listed.
        assert cycles.height == recorded
        return
    for half, key in (("charge", "charge_Ah"), ("discharge", "discharge_Ah")):
        found = cycles[f"{half}_capacity_ah"].to_list()
        wanted = [cycle[key] for cycle in listed]
        if recorded != count or count == 1:
            found, wanted = [sum(found)], [sum(wanted)]
        else:
            found = [*found[: len(wanted) - 1], found[-1]]
        assert found == pytest.approx(wanted, rel=TOLERANCE, abs=1e-9 + TOLERANCE * max(wanted))


def test_an_impedance_spectrum_at_a_current_has_a_cycle() -> None:
    entry = next((entry for entry in real_entries("biologic") if entry["path"].endswith("/peis.mpt")), None)
    cycles = battery_analysis.read(real("biologic/peis.mpt")).cycles
    assert entry is not None
    net = (cycles["charge_capacity_ah"] - cycles["discharge_capacity_ah"]).sum()
    assert net == pytest.approx(entry["reference"]["charge_total"]["sum_dq_Ah"], rel=TOLERANCE)


def test_a_constant_cycle_index_gives_way_to_derived_cycles() -> None:
    result = battery_analysis.read(real("arbin/BL_Zn_SymCell_072023_03_1mAh_Channel_53_Wb_1.CSV"))
    assert result.cycle_method == "derived"
    assert result.cycles.height == 36  # the current changes direction 71 times
    assert result.cycles["complete"].to_list() == [True] * 35 + [False]
    assert result.frame["cycle_count"].unique().to_list() == [1]


@pytest.mark.parametrize("path", ["neware/nw4-120-1-6-53.ndax", "neware/new_nda_file.nda"])
def test_integrals_come_near_the_counters(path: str) -> None:
    result = battery_analysis.read(real(path))
    counters = [name for name in result.frame.columns if name.endswith(("_ah", "_wh"))]
    integrated = summarise_cycles(result.frame.drop(counters))
    assert set(integrated["capacity_method"]) == {"integrated"}
    for half in ("charge", "discharge"):
        total = integrated[f"{half}_capacity_ah"].sum()
        assert total == pytest.approx(result.cycles[f"{half}_capacity_ah"].sum(), rel=0.02)
