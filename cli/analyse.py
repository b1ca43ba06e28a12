"""``battery-analysis analyse``: what cycles and half cycles of a test or a cell tell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.analyse_cells import app as cell_commands
from cli.analyse_steps import Test
from cli.analyse_steps import app as step_commands
from cli.answer import CsvOption, show
from cli.common import MOST, Context, command, new_app, run
from cli.subject import open_subjects

if TYPE_CHECKING:
    from battery_analysis.analysis.answers import Answer
    from battery_analysis.store.subjects import Subject

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
    from battery_analysis.analysis import answers
    from battery_analysis.analysis.fade import LAWS

    if law is not None and law not in LAWS:
        raise typer.BadParameter(f"one of {', '.join(LAWS)} is wanted, got {law!r}", param_hint="--law")
    with open_subjects(context, [target]) as (subject,):
        cycles = subject.cycles()
    found = answers.fade(cycles, threshold=threshold, law=law, confidence=confidence, seed=seed, all_cycles=all_cycles)
    show(context, _of(subject, found), as_csv=as_csv)


@command(app, "efficiency")
def efficiency(context: Context, target: Target, as_csv: CsvOption = False) -> None:
    """Describe the efficiencies over all cycles, with their trend, and what went through the cell."""
    from battery_analysis.analysis import answers

    with open_subjects(context, [target]) as (subject,):
        cycles = subject.cycles()
    found = answers.efficiency(cycles, nominal_capacity_ah=subject.nominal_capacity_ah)
    show(context, _of(subject, found), as_csv=as_csv)


@command(app, "roles")
def roles(context: Context, target: Target, as_csv: CsvOption = False) -> None:
    """Say which cycles are formation, check-ups, cycling, or of another rate, and why."""
    from battery_analysis.analysis import answers

    with open_subjects(context, [target]) as (subject,):
        found = answers.roles(subject.cycles(), nominal_capacity_ah=subject.nominal_capacity_ah)
    show(context, _of(subject, found), as_csv=as_csv)


@command(app, "anomalies")
def anomalies(context: Context, target: Target, all_cycles: AllCycles = False, as_csv: CsvOption = False) -> None:
    """List what stands out: wild cycles, jumps, sudden deaths, missing cycles."""
    from battery_analysis.analysis import answers

    with open_subjects(context, [target]) as (subject,):
        cycles = subject.cycles()
    show(context, _of(subject, answers.anomalies(cycles, all_cycles=all_cycles)), as_csv=as_csv)


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
    from battery_analysis.analysis.answers import Answer
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
    from battery_analysis.analysis import answers

    with open_subjects(context, [target]) as (subject,):
        found = answers.rate(
            subject.frame(),
            direction=direction,
            nominal_capacity_ah=subject.nominal_capacity_ah if nominal is None else nominal,
            finished=subject.finished,
            continuation=subject.continuation,
        )
    show(context, _of(subject, found), as_csv=as_csv)


def _of(subject: Subject, answer: Answer) -> Answer:
    """Say what an answer is about, and how what was left out is taken in."""
    from battery_analysis.analysis.answers import Answer

    said = tuple(f"{each}; --all-cycles takes them" if " left out: " in each else each for each in answer.said)
    return Answer({"subject": subject.name, **answer.facts}, answer.tables, said)


def main() -> int:
    """Run these commands alone and return the exit status."""
    return run(app, name="analyse")


if __name__ == "__main__":
    sys.exit(main())
