"""Experiment plans: which samples fill the matrix, where there are gaps, and new ones."""

from __future__ import annotations

from typing import Any, cast

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import answers, figures, links, parts
from dashboard.data import plans
from dashboard.links import Given

PATH = "/plans"
TITLE = "Experiment plans"
GROUP = "Think"

MOST_CELLS = 500
_ALL = "All cells"
_SHOWN = {"open": "Gaps: cells without tests", "done": "Cells with tests"}
_DESIGNS = {
    "full": "Full factorial: all combinations",
    "fractional": "Fractional: a part of all, two levels each",
    "latin_hypercube": "Latin hypercube: runs spread over ranges",
}
_FIELDS = (
    *("name", "factors", "design", "replicates", "generators", "resolution", "runs", "seed"),
    *("description", "project", "chemistry"),
)


def layout(plan: Given = None, cells: Given = None, **_: Given) -> Component:
    """Return the list of plans, or the plan that the address names."""
    name = links.text(plan)
    if name is None:
        return parts.page(TITLE, html.Div(_listed(), id="plans-list"), _form())
    state = plans.state(name)
    exports = [parts.button(form.upper(), {"type": "plan-export", "form": form}) for form in plans.FORMS]
    chosen = parts.select(links.control("plans", "cells"), "Shown", _SHOWN, links.text(cells), every=_ALL)
    assign = parts.menu(
        "Assign a sample",
        parts.text_input("plan-sample", "Sample"),
        parts.number_input("plan-cell", "Cell; empty takes the assignment back", step=1, least=1),
        parts.button("Assign", "plan-assign", kind="primary"),
    )
    remove = parts.menu(
        "Delete",
        parts.note("Samples and tests stay."),
        parts.button("Delete this plan", "plan-delete", kind="danger"),
    )
    return parts.page(
        name,
        html.Div(id="plan-said"),
        html.Div(_drawn(state), id="plan-drawn", className="page"),
        parts.toolbar(chosen),
        html.Div(id="plan-cells"),
        dcc.Download(id="plan-download"),
        dcc.Store(id="plan-name", data=name),
        dcc.Store(id="plan-changed"),
        subtitle=[dcc.Link("All plans", href=PATH), f" · {state.plan.description}" if state.plan.description else ""],
        actions=[assign, parts.menu("Export", *exports), remove],
    )


def _listed() -> Component:
    found = plans.all_plans()
    if not found:
        return parts.empty("There is no experiment plan yet.", "Make one below from factors and their levels.")
    columns = {
        "name": "Plan",
        "design": "Design",
        "factors": "Factors",
        "progress": "Cells with tests",
        "cells": "Cells →",
        "samples": "Samples →",
        "tests": "Tests →",
        "project": "Project",
    }
    rows = [
        {
            "name": dcc.Link(each.name, href=links.href(PATH, plan=each.name)),
            "design": each.design.replace("_", " "),
            "factors": ", ".join(answers.heading(factor.name) for factor in each.factors),
            "progress": _bar(each.progress.cells_with_tests, each.progress.cells),
            "cells": f"{each.progress.cells:,}",
            "samples": f"{each.progress.samples:,}",
            "tests": f"{each.progress.tests:,}",
            "project": each.project or parts.UNKNOWN,
        }
        for each in found
    ]
    return parts.card("Plans", parts.table("Plans", columns, rows))


def _bar(done: int, count: int) -> Component:
    bar = html.Progress(value=str(done), max=str(count), **{"aria-label": f"{done} of {count} cells have tests"})
    return html.Span([bar, f" {done / count:.0%}"], className="progress-line")


def _form() -> Component:
    def field(name: str) -> str:
        return f"plan-{name}"

    factors = dcc.Textarea(
        id=field("factors"), placeholder="electrolyte=LP30, LP57\nloading_mg_cm2=2, 4, 6", className="form-control"
    )
    design = parts.select(field("design"), "Design", _DESIGNS, "full")
    design.className += " roomy"
    return parts.card(
        "New plan",
        html.Div(id="plans-said"),
        parts.toolbar(
            parts.text_input(field("name"), "Name"),
            design,
            parts.number_input(field("replicates"), "Replicates", 1, step=1, least=1),
            parts.text_input(field("description"), "What it is for"),
            parts.text_input(field("project"), "Only samples of project"),
            parts.text_input(field("chemistry"), "Only samples of chemistry"),
        ),
        parts.labelled(
            "Factors, a line each",
            factors,
            "NAME=LEVEL,LEVEL or, of numbers, NAME=LOW..HIGH; NAME is a property of samples, such as chemistry.",
            roomy=True,
        ),
        parts.toolbar(
            parts.text_input(field("generators"), "Generators (fractional)", placeholder="D=ABC, E=-AB"),
            parts.number_input(field("resolution"), "or resolution (fractional)", step=1, least=3),
            parts.number_input(field("runs"), "Runs (Latin hypercube)", step=1, least=2),
            parts.number_input(field("seed"), "Seed (Latin hypercube)", step=1, least=0),
        ),
        html.Div(parts.button("Make the plan", "plan-make", kind="primary"), className="actions"),
        wide=True,
    )


def _drawn(state: plans.State) -> list[Component | None]:
    from dashboard.figures_plans import matrix

    plan, cells = state.plan, state.cells
    done = len(cells) - len(state.gaps)
    assigned = sum(cell.state == "assigned" for cell in cells)
    facts = {
        "Design": plan.design.replace("_", " "),
        "Replicates": str(plan.replicates) if plan.replicates > 1 else None,
        "Generators": ", ".join(plan.generators),
        "Resolution": answers.text(plan.resolution),
        "Defining relation": ", ".join(plan.words),
        "Seed": answers.text(plan.seed),
        "Project": plan.project,
        "Chemistry": plan.chemistry,
        "Counted": parts.moment(plan.progress.counted_at),
    }
    unclear = [
        parts.note(f"Sample {name} may belong here: {', '.join(lacking)} not known.", tone="warning")
        for name, lacking in sorted(state.unclear.items())
    ]
    return [
        parts.stats(
            parts.stat("Cells with tests", f"{done:,} of {len(cells):,}", f"{done / len(cells):.0%}", tone=_tone(done)),
            parts.stat("Gaps", f"{len(state.gaps):,}", f"{assigned:,} of them with a sample"),
            parts.stat("Samples", f"{plan.progress.samples:,}"),
            parts.stat("Tests", f"{plan.progress.tests:,}"),
        ),
        parts.grid(
            figures.figure_card("plan", "Matrix", matrix(state), wide=True),
            parts.card("About the plan", parts.facts(facts)),
            parts.card("Samples that do not tell", *unclear) if unclear else None,
        ),
    ]


def _tone(done: int) -> parts.Tone:
    return "good" if done else "plain"


def show_cells(name: str, which: str | None, _: Any) -> Component:
    """List the cells of a plan and what fills them."""
    state = plans.state(name)
    cells = [cell for cell in state.cells if not which or (cell.tests > 0) == (which == "done")]
    title = _SHOWN.get(which or "", _ALL)
    if not cells:
        return parts.card(title, parts.empty("There are none."), wide=True)
    levels = {f"level_{place}": answers.heading(factor.name) for place, factor in enumerate(state.plan.factors)}
    columns = {
        "cell": "Cell →",
        **levels,
        "state": "State",
        "samples": "Samples",
        "tests": "Tests →",
        "cycles": "Cycles →",
    }
    tones: dict[str, parts.Tone] = {"done": "good", "assigned": "warning", "open": "plain"}
    rows = [
        {
            **{f"level_{place}": answers.text(level) for place, level in enumerate(cell.levels)},
            "cell": str(cell.number),
            "state": parts.badge(cell.state, tone=tones[cell.state]),
            "samples": _between([parts.sample_link(link.sample_name) for link in cell.links]),
            "tests": f"{cell.tests:,}",
            "cycles": f"{sum(link.cycles for link in cell.links):,}",
        }
        for cell in cells[:MOST_CELLS]
    ]
    more = len(cells) - MOST_CELLS
    return parts.card(
        f"{title} ({len(cells):,})",
        html.Div(parts.table(title, columns, rows), className="answer-table"),
        parts.note(f"… and {more:,} more, which an export holds.") if more > 0 else None,
        wide=True,
    )


def _between(listed: list[Any]) -> list[Any]:
    return [part for place, each in enumerate(listed) for part in ((", ", each) if place else (each,))]


def make(clicks: int | None, *values: Any) -> tuple[Any, Any]:
    """Make a plan and open it."""
    if not clicks:
        return no_update, no_update
    given = dict(zip(_FIELDS, values, strict=True))
    name = str(given["name"] or "").strip()
    if not name:
        raise AnalysisError("name: a plan needs a name")
    lines = [line for line in str(given["factors"] or "").splitlines() if line.strip()]
    kind = cast("plans.Kind", links.choice(given["design"], list(_DESIGNS)))
    generators = [word.strip() for word in str(given["generators"] or "").split(",") if word.strip()]
    of_design = {
        "replicates": _whole(given["replicates"]) or 1,
        "generators": generators,
        "resolution": _whole(given["resolution"]),
        "runs": _whole(given["runs"]),
        "seed": _whole(given["seed"]) or 0,
    }
    facts = {key: str(given[key]).strip() if given[key] else None for key in ("description", "project", "chemistry")}
    plans.make(name, kind, lines, of_design, facts)
    return links.href(PATH, plan=name), None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def assign(clicks: int | None, name: str, sample: str | None, cell: float | None) -> tuple[Any, Any, Any]:
    """Put a sample into a cell, or take that back."""
    if not clicks:
        return no_update, no_update, no_update
    if not (sample or "").strip():
        raise AnalysisError("sample: the name of a sample is wanted")
    state = plans.assign(name, _whole(cell), str(sample).strip())
    where = (
        f"Sample {sample} is in cell {_whole(cell)}." if cell is not None else f"Sample {sample} is assigned no more."
    )
    return _drawn(state), parts.note(where, tone="good"), clicks


def remove(clicks: int | None, name: str) -> Any:
    """Delete a plan and return to the list."""
    if not clicks:
        return no_update
    plans.delete(name)
    return PATH


def export(_: list[int | None], name: str) -> Any:
    """Send a plan as a file."""
    if not ctx.triggered_id or not any(each["value"] for each in ctx.triggered):
        return no_update
    form = links.choice(ctx.triggered_id["form"], plans.FORMS)
    return dcc.send_bytes(plans.exported(name, form), f"{name}.{form}")


def _not_made(error: Exception) -> tuple[Any, Any]:
    parts.log(error, "a plan was not made")
    return no_update, parts.problem(error)


def _not_assigned(error: Exception) -> tuple[Any, Any, Any]:
    parts.log(error, "a sample was not assigned")
    return no_update, parts.problem(error), no_update


def register_callbacks(app: Dash) -> None:
    """Wire the form, the cells and what can be done with a plan."""
    from dash import ALL

    name = State("plan-name", "data")
    app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("plans-said", "children"),
        Input("plan-make", "n_clicks"),
        *(State(f"plan-{field}", "value") for field in _FIELDS),
        prevent_initial_call=True,
        on_error=_not_made,
    )(make)
    app.callback(
        Output("plan-cells", "children"),
        Input("plan-name", "data"),
        Input(links.control("plans", "cells"), "value"),
        Input("plan-changed", "data"),
    )(show_cells)
    app.callback(
        Output("plan-drawn", "children"),
        Output("plan-said", "children"),
        Output("plan-changed", "data"),
        Input("plan-assign", "n_clicks"),
        name,
        State("plan-sample", "value"),
        State("plan-cell", "value"),
        prevent_initial_call=True,
        on_error=_not_assigned,
    )(assign)
    app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("plan-delete", "n_clicks"),
        name,
        prevent_initial_call=True,
    )(remove)
    app.callback(
        Output("plan-download", "data"),
        Input({"type": "plan-export", "form": ALL}, "n_clicks"),
        name,
        prevent_initial_call=True,
    )(export)
