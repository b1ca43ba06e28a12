"""Cells beside one another: how alike they are, which groups they form, what goes with what their samples are."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from dash import dcc, html
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import answers, figures, links, parts
from dashboard.background import Work
from dashboard.data import lives, subjects
from dashboard.pages.advanced_view import Query, View, id_of

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.analysis.answers import Answer

MOST_CELLS = 200
_AT_FIRST = 8


def _cells(query: Query) -> Component:
    chosen = links.texts(query.get("cells")) or lives.cells()[:_AT_FIRST]
    options = list(dict.fromkeys([*chosen, *lives.cells()]))
    picker = dcc.Dropdown(
        id=id_of("cells"), options=options, value=chosen, multi=True, placeholder="Type cell codes, two at least"
    )
    return parts.labelled("Cells", picker, roomy=True)


def _lives(codes: list[str]) -> tuple[dict[str, pl.DataFrame], list[str]]:
    if len(codes) > MOST_CELLS:
        raise AnalysisError(f"at most {MOST_CELLS} cells are compared here, got {len(codes)}")
    return subjects.cycles_of_cells(codes)


def _controls(query: Query) -> list[Component]:
    distances = {"euclidean": "Euclidean", "manhattan": "Manhattan"}
    scalings = {"standard": "Mean and deviation", "robust": "Median and MAD"}
    return [
        _cells(query),
        parts.select(id_of("distance"), "Distance", distances, links.text(query.get("distance"))),
        parts.select(id_of("scaling"), "Features scaled by", scalings, links.text(query.get("scaling"))),
    ]


def _similar(codes: list[str] | None, distance: str | None, scaling: str | None) -> Work | Component:
    from battery_analysis.analysis import answers as analyses

    if not codes or len(codes) < 2:
        return parts.empty("Choose two cells at least.")
    cycles, absent = _lives(codes)
    options = {
        "distance": links.choice(distance, ("euclidean", "manhattan")),
        "scaling": links.choice(scaling, ("standard", "robust")),
    }
    compare = functools.partial(analyses.similar, **cast("Any", options))
    tasks = [
        (compare, (cycles,)),
        (functools.partial(compare, components=True), (cycles,)),
        (functools.partial(compare, clusters=True), (cycles,)),
    ]
    return Work(
        f"Likeness of {len(cycles)} cells",
        tasks,
        lambda results: _draw(results, list(cycles), absent),
        tolerant=True,
    )


def _draw(results: list[Answer | AnalysisError], cells: list[str], absent: list[str]) -> Component:
    from battery_analysis.analysis.answers import Answer
    from dashboard.figures_analysis import distances, scores

    alike, components, clusters = results
    if isinstance(alike, AnalysisError):
        return parts.problem(alike)
    said = dict.fromkeys([*absent, *(each for result in results if isinstance(result, Answer) for each in result.said)])
    return parts.grid(
        figures.figure_card("distances", "Distances", distances(alike.tables["distances"], cells), height=420),
        _components(components, clusters, scores),
        _clusters(clusters),
        answers.table_card("loadings", "Loadings of the components", components.tables["loadings"], wide=False)
        if isinstance(components, Answer)
        else None,
        answers.table_card("distance-table", "Pairs, the closest first", alike.tables["distances"], wide=False),
        answers.table_card("features", "Features", alike.tables["features"]),
        parts.card("Left out", *answers.remarks(said), wide=True) if said else None,
    )


def _components(found: Answer | AnalysisError, clusters: Answer | AnalysisError, draw: Any) -> Component:
    from battery_analysis.analysis.answers import Answer

    title = "Principal components"
    if isinstance(found, AnalysisError):
        return parts.card(title, parts.problem(found))
    grouped = {"clusters": clusters.tables["clusters"]} if isinstance(clusters, Answer) else {}
    drawn = draw(Answer(found.facts, {**found.tables, **grouped}))
    return figures.figure_card("components", title, drawn, height=420)


def _clusters(found: Answer | AnalysisError) -> Component:
    title = "Clusters"
    if isinstance(found, AnalysisError):
        return parts.card(title, parts.problem(found))
    known = {"Clusters": str(found.facts["groups"]), "Mean silhouette": answers.text(found.facts["silhouette"])}
    return answers.table_card("clusters", title, found.tables["clusters"], parts.facts(known), wide=False)


def _correlate_controls(query: Query) -> list[Component]:
    from battery_analysis.analysis.features import CELL, feature_table

    properties, results = (links.texts(query.get(name)) for name in ("property", "result"))
    features = {name: answers.heading(name) for name in feature_table({}).columns if name != CELL}
    return [
        _cells(query),
        _roomy(parts.multi_select(id_of("property"), "Properties of samples", subjects.properties(), properties)),
        _roomy(parts.multi_select(id_of("result"), "What cells did", features, results)),
    ]


def _roomy(control: Component) -> Component:
    control.className += " roomy"
    return control


def _correlate(codes: list[str] | None, chosen: list[str] | None, results: list[str] | None) -> Work | Component:
    from battery_analysis.analysis import answers as analyses

    if not codes or len(codes) < 2:
        return parts.empty("Choose two cells at least.")
    cycles, absent = _lives(codes)
    known = subjects.properties_of_cells(list(cycles))
    wanted = [name for name in chosen or known.columns if name in known.columns]
    if not wanted:
        return parts.empty(
            "Nothing of this is known of the samples of these cells.",
            "Fill it in on the pages Samples or Missing data.",
        )
    task = analyses.correlate, (cycles, known, wanted, results or None)
    said = [*absent, *(f"{name}: known of none of these" for name in chosen or () if name not in wanted)]
    return Work(f"Correlations over {len(cycles)} cells", [task], lambda found: _draw_correlations(found[0], said))


def _draw_correlations(found: Answer, said: list[str]) -> Component:
    import polars as pl

    from dashboard.figures_correlations import correlated, pair

    table = found.tables["correlations"]
    told = table.with_columns(p=pl.coalesce("spearman_p", "kruskal_p")).sort("p", nulls_last=True, maintain_order=True)
    rows = told.drop("p")
    strongest = told.filter(pl.col("p").is_not_null()).head(1).to_dicts()
    cells = dcc.Link(
        "Draw any two in Compare", href=links.href("/compare", cell=found.beside["cells"]["cell"].to_list())
    )
    return parts.grid(
        html.Div(
            [
                *answers.remarks(said),
                parts.note("No p is corrected for the number of pairs, and a correlation is no cause. ", cells),
            ],
            className="wide page",
        ),
        figures.figure_card("correlated", "Spearman's rho of numbers", correlated(table), height=460)
        if table["spearman_rho"].count()
        else None,
        _pair(found, strongest[0], pair) if strongest else None,
        answers.table_card(
            "correlations",
            "Correlations, the least likely by chance first",
            _spoken(rows, "property", "result"),
            whole=("property", "result"),
        ),
    )


def _pair(found: Answer, row: dict[str, Any], draw: Any) -> Component:
    drawn = draw(found.beside["cells"], row["property"], row["result"])
    note = parts.note("Choose one property and one result to see others.", tone="plain")
    return figures.figure_card("pair", "The pair least likely by chance", drawn, note, height=420)


def _spoken(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return table.with_columns(
        table[name].replace({each: answers.heading(each) for each in table[name].unique()}) for name in columns
    )


CORRELATE = View("correlate", "Correlations", _correlate_controls, ("property", "result"), _correlate, about=("cells",))
SIMILAR = View("similar", "Similar cells", _controls, ("distance", "scaling"), _similar, about=("cells",))
