"""The cards of a cell's page that its sample's page has not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard import background, flagging, links, parts, prepared
from dashboard.data import cells, settings
from dashboard.quantities import readable

if TYPE_CHECKING:
    import polars as pl

    from dashboard.data.cells import Cell

SHOWN_NOTES = 20


def title(cell: Cell) -> Component:
    """Return which cell it is, whose sample, and where else to look at it."""
    owners = [each for sample in cell.samples for each in (", ", parts.sample_link(sample.name))][1:]
    elsewhere = {
        "Cycles": links.href("/cycles", cell=cell.code),
        "Time series": links.href("/series", cell=cell.code),
        "dQ/dV": links.href("/differential", cell=cell.code),
        "Compare": links.href("/compare", cell=cell.code),
        "Tests": links.href("/tests", cell=cell.code),
    }
    actions = [dcc.Link(word, href=address, className="button plain") for word, address in elsewhere.items()]
    heading = html.Div([html.H2(cell.code, className="cell-code"), html.P(["Sample ", *owners], className="subtitle")])
    return html.Div([heading, html.Div(actions, className="actions")], className="page-head")


def numbers(cycles: pl.DataFrame) -> Component:
    """Return the numbers one looks for first; formation and check-ups do not count."""
    import polars as pl

    role = pl.col("role").is_null() | (pl.col("role") == "cycling")
    usual = cycles.filter(pl.col("complete").fill_null(False) & role & pl.col("discharge_capacity_ah").is_not_null())
    first, last = (usual["discharge_capacity_ah"][place] if usual.height else None for place in (0, -1))
    factor, unit = readable("Ah", float(first or 0))
    flowed, time = (cycles[name].max() for name in ("running_throughput_ah", "running_time_second"))
    mean = usual["coulombic_efficiency"].mean()
    shown = (factor * value if value is not None else None for value in (first, last))
    before, after = (parts.quantity(value, unit, 4) for value in shown)
    retention = last / first if first and last is not None else None
    return parts.stats(
        parts.stat("Cycles", f"{cycles.height:,}"),
        parts.stat("First capacity", before, "discharge, complete cycle"),
        parts.stat("Last capacity", after, "discharge, complete cycle"),
        parts.stat("Retention", parts.quantity(retention, "%", 4), "last to first"),
        parts.stat("Coulombic efficiency", parts.quantity(_float(mean), "%", 4), "mean"),
        parts.stat("Throughput", parts.quantity(_float(flowed), "Ah", 4), "charge and discharge"),
        parts.stat("Under test", parts.duration(_float(time))),
    )


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def tests(cell: Cell) -> Component:
    """Return the tests in the order of the dataset, with the cycles of the cell that are theirs."""
    placed = {each.test: each for each in (cell.versions[0].tests if cell.versions else [])}
    order = {identity: place for place, identity in enumerate(placed)}
    columns = {
        "test": "Test",
        "tester": "Tester",
        "type": "Type",
        "started": "Started (UTC)",
        "lasted": "Duration →",
        "cycles": "Cycles of the cell →",
    }
    rows = [
        {
            "test": parts.test_link(test.id, test.name),
            "tester": " ".join(filter(None, (test.tester, test.channel))),
            "type": test.test_type or parts.UNKNOWN,
            "started": parts.moment(test.started_at),
            "lasted": parts.duration(test.duration_second),
            "cycles": _span(placed.get(test.id)),
        }
        for test in sorted(cell.tests, key=lambda each: order.get(each.id, len(order)))
    ]
    if not rows:
        return parts.card(
            "Tests", parts.empty("All tests of this cell are gone.", "Its dataset is what is left of them.")
        )
    return parts.card("Tests", parts.table(f"Tests of {cell.code}", columns, rows))


def _span(placed: Any) -> str:
    if placed is None or placed.first_cycle is None:
        return parts.UNKNOWN
    return f"{placed.first_cycle:,} to {placed.last_cycle:,}" + (", goes on" if placed.continues else "")


def quality(cell: Cell) -> Component:
    """Return the flags of its tests, and what readers of files warned of, test by test."""
    said: list[Component] = []
    for test in cell.tests:
        said += [parts.note(warning, " ", parts.test_link(test.id, test.name)) for warning in test.warnings]
    undated = [each.name for each in (cell.versions[0].tests if cell.versions else []) if each.placed_by == "name"]
    said += [parts.note(f"{name} has no date; it stands after the dated tests.", tone="warning") for name in undated]
    tests = {str(test.id): test.name for test in cell.tests}
    return flagging.card(tests, links.href("/flags", cell=cell.code, state="every"), *said)


def dataset(cell: Cell) -> Component:
    """Return the versions of the cell's dataset, and how to go back to one."""
    content = html.Div(dataset_content(cell), id="cell-dataset", className="stack")
    return parts.card(
        "Dataset", html.Div([content, html.Div(id="cell-dataset-said", role="status")], className="stack")
    )


def dataset_content(cell: Cell) -> list[Component]:
    """Return what changes with the dataset."""
    older = {str(each.version): f"version {each.version}" for each in cell.versions[1:]}
    build = parts.button("Build anew", "cell-build")
    if not older:
        return [versions(cell), parts.toolbar(build), dcc.Store(id="cell-restore"), dcc.Store(id="cell-version")]
    question = "Make a new version that equals this one? It stays until a test of the cell changes."
    button = html.Button("Go back to it", type="button", className="button plain")
    bar = parts.toolbar(
        parts.select("cell-version", "Older version", older, next(iter(older))),
        dcc.ConfirmDialogProvider(button, id="cell-restore", message=question),
        build,
    )
    return [versions(cell), bar]


def versions(cell: Cell) -> Component:
    """Return the versions of the cell's dataset, newest first."""
    if not cell.versions:
        return parts.empty("This cell has no dataset yet.", "Build anew makes it from its tests.")
    columns = {"version": "Version", "made": "Made (UTC)", "why": "Why", "tests": "Tests →", "cycles": "Cycles →"}
    rows = [
        {
            "version": f"{each.version}",
            "made": parts.moment(each.created_at),
            "why": f"goes back to {each.restores}"
            if each.restores
            else ("asked for" if each.by_hand else "a test changed"),
            "tests": f"{each.test_count:,}",
            "cycles": f"{each.cycle_count:,}",
        }
        for each in cell.versions
    ]
    return html.Div(parts.table("Versions of the dataset", columns, rows), className="scroll", tabIndex="0")


def downloads() -> Component:
    """Return what a cell can be written as, and where the file appears."""
    forms = {**cells.REPORTS, **cells.EXPORTS, **cells.CRATES}
    bar = parts.toolbar(
        parts.select("cell-form", "As", forms, next(iter(forms))),
        parts.button("Prepare", "cell-prepare", kind="primary"),
    )
    return parts.card("Export and report", html.Div([bar, background.place("cell-file")], className="stack"))


def writing(code: str, form: str) -> background.Work:
    """Return the work of writing a cell."""
    folder = prepared.new_folder()
    named = {**cells.REPORTS, **cells.EXPORTS, **cells.CRATES}[form]
    task = (cells.write, (settings(), code, form, folder))
    return background.Work(f"{code}: {named}", [task], lambda results: _offered(code, results[0], folder))


def _offered(code: str, files: list[Path], folder: Path) -> Component:
    name, address = prepared.offer(files, folder, code)
    link = html.A(f"Save {name}", href=address, className="button primary", download=name)
    return html.Div([link], className="actions")


def notes_of_tests(cell: Cell) -> list[Component]:
    """Return what was noted of its tests."""
    noted = [(note, test) for test in cell.tests for note in test.notes_log]
    if not noted:
        return []
    newest = sorted(noted, key=lambda each: each[0].written_at, reverse=True)[:SHOWN_NOTES]
    lines = [
        html.Li(
            [
                html.Div(
                    [parts.moment(note.written_at), f" {note.author or ''} ", parts.test_link(test.id, test.name)],
                    className="hint",
                ),
                note.text,
            ]
        )
        for note, test in newest
    ]
    return [html.H3("Of its tests"), html.Ul(lines, className="notes")]
