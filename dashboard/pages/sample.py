"""One sample: what it is, what it was made from, its tests, files, notes and history."""

from __future__ import annotations

from dash import Dash, dcc, html
from dash.development.base_component import Component

from dashboard import attached_files, history, links, parts
from dashboard.data import samples
from dashboard.links import Given
from dashboard.pages import sample_cards as cards

PATH = "/sample"
TITLE = "Sample"
GROUP = None


def layout(sample: Given = None, **_: Given) -> Component:
    """Return the page of the sample that the address names."""
    name = links.text(sample)
    if name is None:
        step = [dcc.Link("The list of samples", href="/samples"), " leads to each of them."]
        return parts.page(TITLE, parts.empty("The address names no sample.", step))
    shown = samples.one(name)
    around = samples.around(shown)
    cells = [each for code in around.cells for each in (", ", parts.cell_link(code))][1:]
    attached = attached_files.card("sample", shown.name)
    left = [cards.properties(shown), _relatives(shown.name, around), cards.history_card(shown)]
    right = [cards.tests(shown, around), attached, cards.notes_card(shown)]
    return parts.page(
        shown.name,
        _numbers(shown),
        parts.grid(html.Div(left, className="page"), html.Div(right, className="page")),
        cards.hidden(shown),
        subtitle=["Cell ", *cells] if cells else "No test of it yet",
        actions=[history.author()],
    )


def _numbers(sample: samples.Sample) -> Component:
    found = sample.aggregates
    if found is None or not found.test_count:
        return parts.note("No test of this sample has been imported yet.")
    return parts.stats(
        parts.stat("Tests", f"{found.test_count:,}"),
        parts.stat("Cycles", f"{found.cycle_count or 0:,}", "of all tests"),
        parts.stat("Initial capacity", parts.quantity(found.mean_initial_capacity_ah, "Ah", 4), "mean of its tests"),
        parts.stat("Retention", parts.quantity(found.mean_capacity_retention, "%", 3), "mean of its tests"),
        parts.stat("Coulombic efficiency", parts.quantity(found.mean_coulombic_efficiency, "%", 4), "mean"),
        parts.stat("Resistance", parts.quantity(found.median_internal_resistance_ohm, "Ω", 4), "median"),
    )


def _relatives(sample: str, around: samples.Around) -> Component | None:
    roles = {"Made from it": around.made_from_it}
    roles |= {f"Is the {role} of": found for role, found in around.part_of.items()}
    known = {}
    for title, found in roles.items():
        if not found.names:
            continue
        lines = [html.Li(parts.sample_link(name)) for name in found.names]
        if found.more:
            address = links.href("/samples", **{"parent" if title == "Made from it" else "part": sample})
            lines.append(html.Li(dcc.Link(f"and {found.more:,} more", href=address)))
        known[title] = html.Ul(lines)
    return parts.card("Related samples", parts.facts(known)) if known else None


def register_callbacks(app: Dash) -> None:
    """Wire the cards, which the page of a cell shows, too."""
    cards.register_callbacks(app)
    attached_files.register_callbacks(app)
