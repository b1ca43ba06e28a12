"""``battery-analysis analyse``: cells beside one another, and a test beside a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    from battery_analysis.analysis.answers import Answer
    from battery_analysis.analysis.correlations import correlations
    from battery_analysis.analysis.features import CELL, feature_table

    with open_subjects(context, _several(targets)) as subjects:
        features = feature_table(_cycles_by_name(subjects, targets))
        properties = _properties(subjects, features.columns)
    table = features.hstack(properties)
    results = result or [name for name in features.columns if name != CELL and features[name].count()]
    found = correlations(table, prop or properties.columns, results)
    show(context, Answer({"cells": table.height}, {"correlations": found}), as_csv=as_csv)


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
    from battery_analysis.analysis.answers import Answer
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
    facts: dict[str, object] = {name: value for name, value in vars(found).items() if name not in ("table", "warnings")}
    facts["residuals"] = found.residuals._asdict() if found.residuals else None
    answer = Answer({"subject": subject.name, **facts}, {"records": found.table}, found.warnings)
    show(context, answer, as_csv=as_csv)


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


def _properties(subjects: list[Subject], taken: list[str]) -> pl.DataFrame:
    """Tabulate what is known of the samples; columns that no sample fills are left out.

    Metadata under a name that is ``taken``, or a field's, has ``metadata.`` before it.
    """
    import polars as pl

    from battery_analysis.store.samples import EDITABLE

    left_out = {"name", "description", "parent", "tags"}
    rows: list[dict[str, Any]] = []
    for subject in subjects:
        sample = subject.sample
        if sample is None:
            raise AnalysisError(f"{subject.name} is no stored test or cell, so no sample is known")
        own = {name: getattr(sample, name) for name in EDITABLE if name not in left_out}
        named = {name: getattr(value, "name", value) for name, value in own.items()}
        metadata = {
            f"metadata.{key}" if key in taken or key in EDITABLE else key: value
            for key, value in sample.metadata.items()
        }
        rows.append({**named, **metadata})
    table = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    return table.select(name for name, dtype in table.schema.items() if table[name].count() and not dtype.is_nested())
