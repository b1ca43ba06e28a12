"""Cells beside one another: how alike they are, which groups they form."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from dash import dcc
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import answers, figures, links, parts
from dashboard.background import Work
from dashboard.data import lives, subjects
from dashboard.pages.advanced_view import Query, View, id_of

if TYPE_CHECKING:
    from battery_analysis.analysis.answers import Answer

MOST_CELLS = 200
_AT_FIRST = 8


def _controls(query: Query) -> list[Component]:
    chosen = links.texts(query.get("cells")) or lives.cells()[:_AT_FIRST]
    options = list(dict.fromkeys([*chosen, *lives.cells()]))
    picker = dcc.Dropdown(
        id=id_of("cells"), options=options, value=chosen, multi=True, placeholder="Type cell codes, two at least"
    )
    distances = {"euclidean": "Euclidean", "manhattan": "Manhattan"}
    scalings = {"standard": "Mean and deviation", "robust": "Median and MAD"}
    return [
        parts.labelled("Cells", picker, roomy=True),
        parts.select(id_of("distance"), "Distance", distances, links.text(query.get("distance"))),
        parts.select(id_of("scaling"), "Features scaled by", scalings, links.text(query.get("scaling"))),
    ]


def _similar(codes: list[str] | None, distance: str | None, scaling: str | None) -> Work | Component:
    from battery_analysis.analysis import answers as analyses

    if not codes or len(codes) < 2:
        return parts.empty("Choose two cells at least.")
    if len(codes) > MOST_CELLS:
        raise AnalysisError(f"at most {MOST_CELLS} cells are compared here, got {len(codes)}")
    cycles, absent = subjects.cycles_of_cells(codes)
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


SIMILAR = View("similar", "Similar cells", _controls, ("distance", "scaling"), _similar, about=("cells",))
