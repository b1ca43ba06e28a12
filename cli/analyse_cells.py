"""``battery-analysis analyse``: cells beside one another, and a test beside a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from battery_analysis.errors import AnalysisError
from cli.answer import CsvOption, show
from cli.common import MOST, Context, command, new_app
from cli.subject import open_subjects

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.store.subjects import Subject

app = new_app()

Cells = Annotated[list[str], typer.Argument(metavar="TARGET...", help="Cell codes, test ids or files; two at least.")]


@command(app, "similar")
def similar(
    context: Context,
    targets: Cells,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", metavar="NAME", help="Compare by this one; repeatable. [all]")
    ] = None,
    distance: Annotated[Literal["euclidean", "manhattan"], typer.Option(help="How differences are summed.")] = (
        "euclidean"
    ),
    scaling: Annotated[Literal["standard", "robust"], typer.Option(help="How features are made comparable.")] = (
        "standard"
    ),
    clusters: Annotated[bool, typer.Option("--clusters", help="Part the cells into groups, too.")] = False,
    components: Annotated[bool, typer.Option("--components", help="Principal components, too.")] = False,
    as_csv: CsvOption = False,
) -> None:
    """Say how alike cells are, by features of their cycles."""
    from battery_analysis.analysis.answers import similar as compare

    with open_subjects(context, _several(targets)) as subjects:
        cells = _cycles_by_name(subjects, targets)
    found = compare(cells, feature, distance=distance, scaling=scaling, clusters=clusters, components=components)
    show(context, found, as_csv=as_csv)


@command(app, "correlate")
def correlate(
    context: Context,
    targets: Cells,
    prop: Annotated[
        list[str] | None,
        typer.Option("--property", metavar="NAME", help="Of the samples, metadata included; repeatable. [all]"),
    ] = None,
    result: Annotated[
        list[str] | None, typer.Option("--result", metavar="NAME", help="Feature of the cycles; repeatable. [all]")
    ] = None,
    as_csv: CsvOption = False,
) -> None:
    """Correlate properties of samples with what their cells did."""
    from battery_analysis.analysis import answers
    from battery_analysis.store.subjects import properties

    with open_subjects(context, _several(targets)) as subjects:
        cells = _cycles_by_name(subjects, targets)
        known = properties([(each.name, each.sample) for each in subjects])
    show(context, answers.correlate(cells, known, prop, result), as_csv=as_csv)


@command(app, "simulate")
def simulate(
    context: Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Test id, cell code with one test, or a file.")],
    parameters: Annotated[str, typer.Option(metavar="SET", help="A parameter set of PyBaMM, such as Chen2020.")],
    model: Annotated[Literal["SPM", "SPMe", "DFN"], typer.Option(help="Which model.")] = "SPMe",
    first: Annotated[int, typer.Option(min=0, max=MOST, metavar="N", help="Position of the first record.")] = 0,
    last: Annotated[int | None, typer.Option(min=0, max=MOST, metavar="N", help="Of the last one.")] = None,
    initial_soc: Annotated[float | None, typer.Option(metavar="SHARE", help="Else from a rest.")] = None,
    nominal: Annotated[float | None, typer.Option(metavar="AH", help="Scale the current to the set's cell.")] = None,
    as_csv: CsvOption = False,
) -> None:
    """Send a test's current through a model of PyBaMM, and show how far the measured voltage is from it."""
    from battery_analysis.analysis import answers
    from battery_analysis.analysis.simulation import simulate as run_model

    with open_subjects(context, [target]) as (subject,):
        frame = subject.frame()
    found = run_model(
        frame,
        parameters,
        model=model,
        first_record=first,
        last_record=last,
        initial_soc=initial_soc,
        nominal_capacity_ah=nominal,
    )
    show(context, answers.merged(answers.simulated(found), subject=subject.name), as_csv=as_csv)


def _cycles_by_name(subjects: list[Subject], targets: list[str]) -> dict[str, pl.DataFrame]:
    """Load the cycle tables; tests of one name are called what the user called them."""
    names = [each.name for each in subjects]
    different = dict.fromkeys(targets)
    return {
        target if names.count(each.name) > 1 else each.name: each.cycles()
        for target, each in zip(different, subjects, strict=True)
    }


def _several(targets: list[str]) -> list[str]:
    different = list(dict.fromkeys(targets))
    if len(different) < 2:
        raise AnalysisError(f"two different cells at least are compared, got {', '.join(different)}")
    return different
