"""``battery-analysis analyse``: what the steps and spectra of one test tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from battery_analysis.errors import AnalysisError
from cli.answer import CsvOption, show
from cli.common import MOST, Context, command, new_app
from cli.output import counted
from cli.subject import open_subjects

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.analysis.ocv import HalfCell

app = new_app()

Test = Annotated[
    str, typer.Argument(metavar="TARGET", help="Test id, code of a cell with one test, or a file that can be read.")
]
Direction = Annotated[Literal["charge", "discharge"], typer.Option(help="Which half cycle.")]


def _size(what: str, unit: str) -> Any:
    return typer.Option(metavar=unit.upper(), help=f"{what}, in {unit}.")


@command(app, "pulses")
def pulses(
    context: Context,
    target: Test,
    time: Annotated[
        list[float] | None,
        typer.Option("--time", metavar="SECONDS", help="After the beginning of a pulse; repeatable. [0.1, 1, 10, 30]"),
    ] = None,
    capacity: Annotated[float | None, typer.Option(metavar="AH", help="That counts as a full cell.")] = None,
    initial_soc: Annotated[float | None, typer.Option(metavar="SHARE", help="State of charge at the start.")] = None,
    as_csv: CsvOption = False,
) -> None:
    """Tabulate DC resistances at steps of the current, against state of charge."""
    from battery_analysis.analysis import answers

    with open_subjects(context, [target]) as (subject,):
        frame = subject.frame()
    found = answers.pulses(frame, times_second=time or (), capacity_ah=capacity, initial_soc=initial_soc)
    show(context, answers.merged(found, subject=subject.name), as_csv=as_csv)


@command(app, "gitt")
def gitt(
    context: Context,
    target: Test,
    thickness_um: Annotated[float | None, _size("Thickness of the electrode", "um")] = None,
    particle_radius_um: Annotated[float | None, _size("Radius of its particles", "um")] = None,
    mass_g: Annotated[float | None, _size("Mass of the active material", "g")] = None,
    molar_mass: Annotated[float | None, _size("Molar mass", "g/mol")] = None,
    molar_volume: Annotated[float | None, _size("Molar volume", "cm3/mol")] = None,
    area_cm2: Annotated[float | None, _size("Area of the electrode", "cm2")] = None,
    as_csv: CsvOption = False,
) -> None:
    """Compute diffusion coefficients from a titration, by a thickness, a radius, or the other four together."""
    from battery_analysis.analysis import answers
    from battery_analysis.analysis.gitt import Geometry

    geometry = Geometry(thickness_um, particle_radius_um, mass_g, molar_mass, molar_volume, area_cm2)
    with open_subjects(context, [target]) as (subject,):
        frame = subject.frame()
    show(context, answers.merged(answers.gitt(frame, geometry), subject=subject.name), as_csv=as_csv)


@command(app, "protocol")
def protocol(
    context: Context,
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="Test ids or files; several are grouped.")],
    steps: Annotated[bool, typer.Option("--steps", help="List every step that was executed.")] = False,
    nominal: Annotated[float | None, typer.Option(metavar="AH", help="Capacity that counts as 1C.")] = None,
    as_csv: CsvOption = False,
) -> None:
    """Say which protocol tests followed: rates, limits, holds and rests, from their records alone."""
    from battery_analysis.analysis import answers
    from battery_analysis.analysis.protocol import Protocol
    from battery_analysis.analysis.protocol import protocol as followed

    found: list[tuple[str, Protocol]] = []
    said: list[str] = []
    with open_subjects(context, targets) as subjects:
        for each in subjects:
            try:
                capacity = each.nominal_capacity_ah if nominal is None else nominal
                found.append((each.name, followed(each.frame(), capacity, finished=each.finished)))
            except AnalysisError as exc:  # one test of many without a protocol
                said.append(f"{each.name}: {exc}")
    if not found:
        raise AnalysisError("; ".join(said))
    answer = answers.protocols(found, steps=steps)
    show(context, answers.Answer(tables=answer.tables, said=tuple(said)), as_csv=as_csv)
    if said:
        raise typer.Exit(1)


@command(app, "ocv")
def ocv(
    context: Context,
    target: Test,
    positive: Annotated[Path, typer.Option(metavar="FILE", help="CSV: lithiation, voltage_volt of the positive.")],
    negative: Annotated[Path, typer.Option(metavar="FILE", help="CSV: lithiation, voltage_volt of the negative.")],
    direction: Direction = "discharge",
    cycle: Annotated[int | None, typer.Option(min=0, max=MOST, help="Cycle; else the slowest.")] = None,
    aged: Annotated[str | None, typer.Option(metavar="TARGET", help="The same cell later: losses in between.")] = None,
    aged_cycle: Annotated[int | None, typer.Option(min=0, max=MOST, help="Cycle of --aged; else --cycle.")] = None,
    as_csv: CsvOption = False,
) -> None:
    """Fit half-cell curves to a slow half cycle; with --aged, say which modes of degradation led there."""
    from battery_analysis.analysis import answers

    electrodes = _half_cell(positive, "positive"), _half_cell(negative, "negative")
    with open_subjects(context, [target, *([aged] if aged else [])]) as subjects:
        halves = [each.half_cycles() for each in subjects]
    found = answers.ocv(halves, *electrodes, direction=direction, cycle=cycle, aged_cycle=aged_cycle)
    show(context, answers.merged(found, subject=subjects[0].name), as_csv=as_csv)


@command(app, "eis")
def eis(
    context: Context,
    target: Test,
    circuit: Annotated[
        list[str] | None,
        typer.Option("--circuit", metavar="TEXT", help="Such as R0-p(R1,CPE1)-W1; repeatable: they are compared."),
    ] = None,
    spectrum: Annotated[int, typer.Option(min=1, max=MOST, metavar="N", help="Which spectrum of the test.")] = 1,
    drt: Annotated[bool, typer.Option("--drt", help="Distribution of relaxation times.")] = False,
    as_csv: CsvOption = False,
) -> None:
    """Test a spectrum (Kramers-Kronig), read its landmarks, fit and compare circuits, find relaxation times."""
    from battery_analysis.analysis import circuit_fit, impedance
    from battery_analysis.analysis.answers import Answer
    from battery_analysis.analysis.kramers_kronig import kramers_kronig

    with open_subjects(context, [target]) as (subject,):
        spectra = impedance.spectra(subject.frame())
    if spectrum > len(spectra):
        count = counted(len(spectra), "spectrum", "spectra")
        raise AnalysisError(f"impedance: {subject.name} has {count}, got --spectrum {spectrum}")
    chosen = spectra[spectrum - 1]
    marks = impedance.landmarks(chosen)
    facts: dict[str, object] = {
        "subject": subject.name,
        "spectrum": f"{spectrum} of {len(spectra)}",
        "points": chosen.points,
        "cycle": chosen.cycle_count,
        "ohmic_resistance_ohm": marks.ohmic_resistance_ohm,
        "ohmic_frequency_hertz": marks.ohmic_frequency_hertz,
    }
    tables: dict[str, pl.DataFrame] = {}
    said: list[str] = []
    try:
        tested = kramers_kronig(chosen)
        word = "passed" if tested.passed else "failed"
        said.append(
            f"Kramers-Kronig test {word}: largest residual {tested.largest_residual:.2%}, limit {tested.limit:.2%}"
        )
    except AnalysisError as exc:
        said.append(f"no Kramers-Kronig test: {exc}")
    if circuit:
        fit = circuit_fit.fit_circuit(chosen, circuit[0])
        tables["parameters"] = fit.parameters
        tables["time_constants"] = fit.time_constants
        facts |= {"circuit": fit.circuit, "rms_residual": fit.rms_residual, "aicc": fit.aicc}
        if len(circuit) > 1:
            tables["circuits"] = circuit_fit.compare_circuits(chosen, circuit)
    if drt:
        from battery_analysis.analysis.relaxation import MAIN_SHARE, relaxation_times

        found = relaxation_times(chosen)
        tables |= {"peaks": found.peaks, "distribution": found.distribution}
        values = {name: value for name, value in vars(found).items() if isinstance(value, str | float | None)}
        facts |= {f"drt_{name}": value for name, value in values.items()}
        main = int((found.peaks["share"] >= MAIN_SHARE).sum())
        said.append(
            f"relaxation times: {counted(main, 'main peak')}; what holds less than {MAIN_SHARE:.0%} of "
            "drt_polarisation_ohm may come of the regularisation alone"
        )
    tables.setdefault("apexes", marks.apexes)
    show(context, Answer(facts, tables, tuple(said)), as_csv=as_csv)


def _half_cell(path: Path, name: str) -> HalfCell:
    from battery_analysis.analysis.ocv import HalfCell

    try:
        content = path.read_bytes()
    except OSError as exc:
        raise AnalysisError(f"ocv: {path}: {exc.strerror}") from exc
    return HalfCell.of_csv(content, f"{name} electrode ({path})")
