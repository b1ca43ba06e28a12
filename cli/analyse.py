"""``battery-analysis analyse``: what cycles and half cycles of a test or a cell tell."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.analyse_cells import app as cell_commands
from cli.analyse_steps import Test
from cli.analyse_steps import app as step_commands
from cli.answer import Answer, CsvOption, show
from cli.common import MOST, Context, command, new_app, run
from cli.output import counted
from cli.subject import open_subjects

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 10
_ROLES = {"formation": "formation", "checkup": "check-up", "other_rate": "other-rate"}

app = new_app("Analyse a test, a cell or a file: fade, efficiencies, curves, pulses, impedance and more.")
app.add_typer(step_commands)
app.add_typer(cell_commands)

Target = Annotated[str, typer.Argument(metavar="TARGET", help="Test id, cell code, or a file that can be read.")]
Cycles = Annotated[
    list[int] | None, typer.Option("--cycle", min=0, max=MOST, metavar="N", help="Only this cycle; repeatable.")
]
AllCycles = Annotated[bool, typer.Option("--all-cycles", help="Formation, check-ups and other rates, too.")]


@command(app, "fade")
def fade(
    context: Context,
    target: Target,
    threshold: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the initial capacity at which the life ends.")
    ] = 0.8,
    law: Annotated[str | None, typer.Option(metavar="LAW", help="Predict by this law, not by the best one.")] = None,
    confidence: Annotated[float, typer.Option(metavar="SHARE", help="Of the interval of the cycle life.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Of the bootstrap.")] = 0,
    all_cycles: AllCycles = False,
    as_csv: CsvOption = False,
) -> None:
    """Fit laws of fade to the discharge capacity, compare them, and say how long the cell lasts."""
    import polars as pl

    from battery_analysis.analysis.fade import LAWS, fit_fade
    from battery_analysis.analysis.life import cycle_life

    if law is not None and law not in LAWS:
        raise typer.BadParameter(f"one of {', '.join(LAWS)} is wanted, got {law!r}", param_hint="--law")
    with open_subjects(context, [target]) as (subject,):
        cycles, said = _ageing(subject.cycles(), all_cycles=all_cycles)
    fits = fit_fade(cycles)
    life = cycle_life(
        cycles,
        fits,
        threshold_fraction=threshold,
        law=law,
        confidence=confidence,
        seed=seed,
    )
    rows = [
        {
            "law": fit.law,
            "parameters": ", ".join(f"{name} {each.value:.6g}" for name, each in fit.parameters.items()),
            "points": fit.points,
            "residual_ah": fit.residual_ah,
            "aicc": fit.aicc,
            "weight": fit.weight,
            "life_cycle": life.by_law.get(fit.law),
            "reason": fit.reason,
        }
        for fit in fits.fits
    ]
    facts = {"subject": subject.name, **{name: value for name, value in asdict(life).items() if name != "by_law"}}
    show(context, Answer(facts, {"laws": pl.DataFrame(rows, infer_schema_length=None)}, said), as_csv=as_csv)


@command(app, "efficiency")
def efficiency(context: Context, target: Target, as_csv: CsvOption = False) -> None:
    """Describe the efficiencies over all cycles, with their trend, and what went through the cell."""
    import polars as pl

    from battery_analysis.analysis.trends import EFFICIENCIES, efficiency_statistics, throughput

    with open_subjects(context, [target]) as (subject,):
        cycles = subject.cycles()
    rows = [asdict(efficiency_statistics(cycles, quantity)) for quantity in EFFICIENCIES]
    total = throughput(cycles, nominal_capacity_ah=subject.nominal_capacity_ah).tail(1)
    facts = {"subject": subject.name, **(total.row(0, named=True) if total.height else {})}
    show(context, Answer(facts, {"efficiencies": pl.DataFrame(rows, infer_schema_length=None)}), as_csv=as_csv)


@command(app, "roles")
def roles(context: Context, target: Target, as_csv: CsvOption = False) -> None:
    """Say which cycles are formation, check-ups, cycling, or of another rate, and why."""
    from battery_analysis.analysis.checkups import mark_cycles

    with open_subjects(context, [target]) as (subject,):
        marked = mark_cycles(subject.cycles(), nominal_capacity_ah=subject.nominal_capacity_ah)
    show(context, Answer({"subject": subject.name}, {"cycles": marked}), as_csv=as_csv)


@command(app, "anomalies")
def anomalies(context: Context, target: Target, all_cycles: AllCycles = False, as_csv: CsvOption = False) -> None:
    """List what stands out: wild cycles, jumps, sudden deaths, missing cycles."""
    import polars as pl

    from battery_analysis.analysis.outliers import LEAST, find_anomalies
    from battery_analysis.errors import AnalysisError

    with open_subjects(context, [target]) as (subject,):
        cycles = subject.cycles()
    try:
        judged, said = _ageing(cycles, all_cycles=all_cycles)
        others = cycles.filter(~pl.col("cycle_count").is_in(judged["cycle_count"].to_list()))
        found = find_anomalies(cycles, left_out=others["cycle_count"].to_list())
    except AnalysisError as exc:  # numbers of cycles tell all the same whether some are missing
        found, said = find_anomalies(cycles, ()), (f"no values are judged: {exc}",)
    schema = {"kind": pl.String, "quantity": pl.String, "first_cycle": pl.Int64, "last_cycle": pl.Int64}
    rows = [
        (each.kind, each.quantity, *(each.cycles or (None, None)), *(each.records or (None, None)), each.message)
        for each in found.found
    ]
    beside = {"first_record": pl.Int64, "last_record": pl.Int64, "message": pl.String}
    table = pl.DataFrame(rows, schema=schema | beside, orient="row")
    said += (f"smaller differences count for none: {', '.join(map(_least, LEAST))}",)
    said += tuple(f"{quantity} is not judged: {why}" for quantity, why in found.unjudged.items())
    show(context, Answer({"subject": subject.name}, {"anomalies": table}, said), as_csv=as_csv)


@command(app, "dqdv")
def dqdv(
    context: Context,
    target: Test,
    cycle: Cycles = None,
    curves: Annotated[bool, typer.Option("--curves", help="Print the curves, not only their peaks.")] = False,
    inverse: Annotated[bool, typer.Option("--dvdq", help="dV/dQ over charge in place of dQ/dV over voltage.")] = False,
    as_csv: CsvOption = False,
) -> None:
    """Differentiate half cycles, and follow the peaks over cycles."""
    from battery_analysis.analysis import differential
    from battery_analysis.analysis.peaks import find_peaks

    with open_subjects(context, [target]) as (subject,):
        halves = subject.half_cycles()
    found = (differential.dvdq if inverse else differential.dqdv)(halves, cycles=cycle)
    tables = {"curves": found.curves} if curves else {"peaks": find_peaks(found)}
    left_out = found.halves.filter(found.halves["reason"].is_not_null())
    said = tuple(
        f"cycle {row['cycle_count']}, {row['direction']}: no curve, {row['reason']}" for row in left_out.to_dicts()
    )
    name, unit = ("step_volt", "V") if found.x == "voltage_volt" else ("step_ah", "Ah")
    facts = {"subject": subject.name, name: found.step, "smoother": found.smoother.text(found.step, unit)}
    show(context, Answer(facts, tables, said), as_csv=as_csv)


@command(app, "rate")
def rate(
    context: Context,
    target: Test,
    direction: Annotated[Literal["charge", "discharge"], typer.Option(help="Which half cycles.")] = "discharge",
    nominal: Annotated[float | None, typer.Option(metavar="AH", help="Capacity that counts as 1C.")] = None,
    as_csv: CsvOption = False,
) -> None:
    """Compare capacities at different currents, and fit Peukert's exponent."""
    from battery_analysis.analysis.rate import peukert, rate_capability
    from battery_analysis.errors import AnalysisError

    with open_subjects(context, [target]) as (subject,):
        halves = subject.half_cycles().table
    capacity = subject.nominal_capacity_ah if nominal is None else nominal
    found = rate_capability(halves, direction=direction, nominal_capacity_ah=capacity)
    facts: dict[str, object] = {"subject": subject.name, "nominal_capacity_ah": capacity}
    said: tuple[str, ...] = ()
    try:
        facts["peukert"] = asdict(peukert(found))
    except AnalysisError as exc:
        said = (f"no Peukert exponent: {exc}",)
    show(context, Answer(facts, {"levels": found.levels, "half_cycles": found.halves}, said), as_csv=as_csv)


def _ageing(cycles: pl.DataFrame, *, all_cycles: bool) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Leave out cycles whose capacities are those of other rates; also say which."""
    from battery_analysis.analysis.checkups import ageing_cycles

    if all_cycles:
        return cycles, ("all cycles are taken, whatever their rate: what a higher current lacks looks like ageing",)
    ageing = ageing_cycles(cycles)
    said = tuple(
        f"{counted(len(numbers), f'{_ROLES[role]} cycle')} left out: {_listed(numbers)}; --all-cycles takes them"
        for role, numbers in ageing.left_out.items()
    )
    return ageing.cycles, said


def _least(quantity: str) -> str:
    from battery_analysis.analysis.outliers import LEAST

    absolute, share = LEAST[quantity]
    return f"{quantity} {f'{absolute:g}' if absolute else f'{share:.1%}'}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + (", …" if len(numbers) > _SHOWN else "")


def main() -> int:
    """Run these commands alone and return the exit status."""
    return run(app, name="analyse")


if __name__ == "__main__":
    sys.exit(main())
