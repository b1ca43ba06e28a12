"""What of a test depends on what its sample is: efficiencies, C-rates, and whether its cycles can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import polars as pl

from battery_analysis.analysis.checks import Check, Fault, check_cycles_again
from battery_analysis.analysis.cycles import CYCLE_SCHEMA, EfficiencyConvention
from battery_analysis.analysis.efficiency import efficiency_convention, with_efficiencies
from battery_analysis.analysis.summary import summarise_test
from battery_analysis.models import Sample
from battery_analysis.store import columnar
from battery_analysis.store.parcel import Parcel


def flags_of(parcel: Parcel, sample: Sample) -> list[dict[str, Any]]:
    """Return what a test that is read for a sample says of the checks that failed."""
    if not tells(sample):
        return own_flags(parcel)
    by_sample = seen_by(sample, cycles_of(parcel), own_flags(parcel), parcel.metadata)[1]
    flags: list[dict[str, Any]] = by_sample["quality_flags"]
    return flags


def tells(sample: Sample) -> bool:
    """Say whether anything is known of a sample by which cycles look different from how the reader sees them."""
    return bool(sample.cell_type or sample.nominal_capacity_ah)


def cycles_of(parcel: Parcel) -> pl.DataFrame:
    """Return the cycle table as the reader made it."""
    blocks = [columnar.decode(item["columns"]) for item in parcel.items("cycles")]
    return pl.concat(blocks or [pl.DataFrame(schema=CYCLE_SCHEMA)])


class SaysNominal(Protocol):
    """A file's metadata, or a stored test."""

    nominal_capacity_ah: Any


def seen_by(
    sample: Sample, cycles: pl.DataFrame, flags: Sequence[Mapping[str, Any]], file: SaysNominal
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the cycle table and the fields of the test that depend on what its sample is."""
    convention: EfficiencyConvention = efficiency_convention(cycles, sample.cell_type)
    cycles = with_efficiencies(cycles, convention)
    nominal = sample.nominal_capacity_ah or file.nominal_capacity_ah
    summary = asdict(summarise_test(cycles, nominal_capacity_ah=nominal))
    dependent = ("mean_coulombic_efficiency", "mean_energy_efficiency", "mean_voltage_efficiency", "c_rates")
    return cycles, {
        "efficiency_convention": convention,
        "quality_flags": _judged_by(flags, cycles, nominal, convention),
        **{name: summary[name] for name in dependent},
    }


def _judged_by(
    flags: Sequence[Mapping[str, Any]], cycles: pl.DataFrame, nominal: float | None, convention: EfficiencyConvention
) -> list[dict[str, Any]]:
    """Return the flags of a test with the plausibility of its cycles judged anew, in the order of the checks."""
    own = [flag for flag in flags if flag["name"] == "plausibility"]
    faults = [_fault(fault) for flag in own for fault in flag.get("faults", ())]
    check = check_cycles_again(faults, cycles, nominal, convention)
    before = [dict(flag) for flag in flags if flag["name"] not in ("plausibility", "completeness")]
    after = [dict(flag) for flag in flags if flag["name"] == "completeness"]
    return [*before, *([_flag(check)] if check.status == "failed" else []), *after]


def own_flags(parcel: Parcel) -> list[dict[str, Any]]:
    """Return the checks that failed on reading."""
    return [_flag(check) for check in parcel.checks if check.status == "failed"]


def _flag(check: Check) -> dict[str, Any]:
    """What a test says of a check that failed; ``records`` are pairs of first and last position, from 0."""
    return {**_told(check), "name": check.name, "faults": [_told(fault) for fault in check.faults]}


def _told(found: Check | Fault) -> dict[str, Any]:
    return {"message": found.message, "numbers": found.numbers, "records": [list(span) for span in found.records]}


def _fault(told: Mapping[str, Any]) -> Fault:
    return Fault(told["message"], dict(told["numbers"]), [(first, last) for first, last in told["records"]])
