"""Building blocks that every page is made of.

Texts from files and people are always children of elements, never HTML or Markdown: names can hold anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.development.base_component import Component

from battery_analysis.errors import BatteryAnalysisError, one_line
from dashboard import links

Tone = Literal["plain", "good", "warning", "bad"]
Children: TypeAlias = Component | str | Sequence[Any] | None

UNKNOWN = "–"

logger = logging.getLogger(__name__)

_DIGITS = 5


def page(title: str, *children: Any, subtitle: Children = None, actions: Sequence[Component] = ()) -> Component:
    """Return a page: one heading, what can be done at its right, and the content below."""
    heading = html.Div([html.H1(title), html.P(subtitle, className="subtitle") if subtitle else None])
    bar = html.Div(list(actions), className="actions") if actions else None
    return html.Div([html.Div([heading, bar], className="page-head"), *children], className="page")


def card(title: str | None, *children: Any, actions: Sequence[Component] = (), wide: bool = False) -> Component:
    """Return a titled box; ``wide`` takes a whole row of ``grid``."""
    bar = html.Div(list(actions), className="actions") if actions else None
    head = html.Div([html.H2(title), bar], className="card-head") if title else None
    return html.Section([head, html.Div(list(children), className="card-body")], className="card" + " wide" * wide)


def grid(*cards: Component | None) -> Component:
    """Return cards side by side, as many as fit."""
    return html.Div([each for each in cards if each is not None], className="cards")


def stat(label: str, value: Children, hint: Children = None, *, tone: Tone = "plain") -> Component:
    """Return one number with what it is."""
    lines = [html.Dt(label), html.Dd(value, className="stat-value"), html.Dd(hint, className="hint") if hint else None]
    return html.Div(lines, className=f"stat tone-{tone}")


def stats(*each: Component) -> Component:
    """Return several numbers in a row."""
    return html.Dl(list(each), className="stats")


def empty(what: str, next_step: Children = None) -> Component:
    """Say honestly that there is nothing, and what to do next."""
    return html.Div([html.P(what), html.P(next_step, className="hint") if next_step else None], className="empty")


def to_import() -> list[Any]:
    """Return the next step of whoever has no data yet: the page that brings some, and the command that does."""
    return [dcc.Link("Import files", href="/import"), ", or type ", html.Code("battery-analysis import FOLDER")]


def problem(error: Exception | str) -> Component:
    """Say in place what went wrong; of an error that is no one's input, only its kind, the log has the rest."""
    if isinstance(error, BatteryAnalysisError | str):
        said: list[Any] = [html.Strong(str(error))]
    else:
        said = [html.Strong("Something went wrong here."), f" The log tells more ({type(error).__name__})."]
    return html.Div([icon("warning"), html.P(said)], className="problem", role="alert")


def log(error: Exception, what: str) -> None:
    """Log what went wrong; with where in the code, unless it was somebody's input."""
    if isinstance(error, BatteryAnalysisError):
        logger.warning("%s: %s", what, one_line(str(error)))
    else:
        logger.error("%s", what, exc_info=error)


def note(*children: Any, tone: Tone = "plain") -> Component:
    """Return a remark in a line of its own."""
    return html.P(list(children), className=f"note tone-{tone}")


def badge(text: str, *, tone: Tone = "plain") -> Component:
    """Return a word in a small box, such as a tag or a state."""
    return html.Span(text, className=f"tag tone-{tone}")


def badges(texts: Iterable[str], *, tone: Tone = "plain") -> Component | str:
    """Return several words in small boxes."""
    each = [badge(text, tone=tone) for text in texts]
    return html.Span(each, className="badges") if each else UNKNOWN


def facts(known: Mapping[str, Children], added: Mapping[str, str] | None = None) -> Component:
    """Return what is known of a thing, a line each; what is unknown is left out.

    Args:
        known: Values by name.
        added: What people added under names of their own; they may be those of what is known.
    """
    named = ((f"{name} (added)" if name in known else name, value) for name, value in (added or {}).items())
    given = [(name, value) for name, value in (*known.items(), *named) if value not in (None, "", [], UNKNOWN)]
    return html.Dl([line for name, value in given for line in (html.Dt(name), html.Dd(value))], className="facts")


def table(caption: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Component:
    """Return a small table; long ones are ``grid.server_grid``.

    Args:
        caption: What it shows, for those who cannot see where it stands.
        columns: Heading, with its unit, by key of a row; a heading that ends in a right arrow is a column of numbers.
        rows: Texts or components by key.
    """
    right = {key for key, heading in columns.items() if heading.endswith("→")}
    head = [
        html.Th(heading.rstrip(" →"), scope="col", className="num" * (key in right)) for key, heading in columns.items()
    ]
    body = [html.Tr([html.Td(row.get(key), className="num" * (key in right)) for key in columns]) for row in rows]
    parts = [html.Caption(caption, className="visually-hidden"), html.Thead(html.Tr(head)), html.Tbody(body)]
    return html.Div(
        html.Table(parts, className="table"),
        className="table-scroll",
        tabIndex="0",
        role="region",
        **{"aria-label": caption},
    )


# Controls: each stands inside its label, so that none can be without one.


def labelled(label: str, control: Component, hint: str | None = None, *, roomy: bool = False) -> Component:
    """Return a control inside its label; ``roomy`` gives it the width that long names need."""
    explained = html.Span(hint, className="hint") if hint else None
    return html.Label([html.Span(label, className="label"), control, explained], className="control" + " roomy" * roomy)


def text_input(
    id: Any,
    label: str,
    value: str | None = None,
    *,
    placeholder: str = "",
    hint: str | None = None,
    at_once: bool = False,
    roomy: bool = False,
) -> Component:
    """Return a field for text.

    Args:
        id: Its id.
        label: What to type.
        value: What stands there at first.
        placeholder: An example, shown while it is empty.
        hint: What else to know.
        at_once: Whether every letter arrives, for fields that wait for a button; else they do 0.4 s after the last key.
        roomy: Whether it has the width that long texts need.
    """
    wait = False if at_once else 0.4
    field = dcc.Input(id=id, type="text", value=value, placeholder=placeholder, debounce=wait, autoComplete="off")
    return labelled(label, field, hint, roomy=roomy)


def number_input(
    id: Any,
    label: str,
    value: float | None = None,
    *,
    unit: str = "",
    step: float | str = "any",
    least: float | None = None,
) -> Component:
    """Return a field for a number; its unit stands in the label."""
    limits = {} if least is None else {"min": least}
    field = dcc.Input(id=id, type="number", value=value, step=step, debounce=0.4, **limits)
    return labelled(f"{label} / {unit}" if unit else label, field)


def day_input(id: Any, label: str, value: str | None = None) -> Component:
    """Return a field for a day, written YYYY-MM-DD; the browser's own calendar helps."""
    return labelled(label, dbc.Input(id=id, type="date", value=value))


def select(
    id: Any,
    label: str,
    options: Sequence[str] | Mapping[str, str],
    value: str | None = None,
    *,
    every: str | None = None,
) -> Component:
    """Return a choice of one.

    Args:
        id: Its id.
        label: What is chosen.
        options: Values, or labels by value.
        value: What is chosen at first.
        every: Label of the choice of none, such as "All testers", whose value is the empty text.
    """
    named = options if isinstance(options, Mapping) else {each: each for each in options}
    listed = [{"label": every, "value": ""}] if every is not None else []
    listed += [{"label": text, "value": each} for each, text in named.items()]
    if value is not None and value not in named:  # a link may name what is no longer there
        listed.append({"label": value, "value": value})
    first = listed[0]["value"] if listed else None
    return labelled(label, dbc.Select(id=id, options=listed, value=value or first, placeholder=every))


def segmented(id: Any, label: str, options: Mapping[str, str], value: str) -> Component:
    """Return a choice of one of a few that stand side by side; labels by value."""
    listed = [{"label": text, "value": each} for each, text in options.items()]
    choice = dbc.RadioItems(
        id=id, options=listed, value=value, className="segmented", inputClassName="btn-check", inline=True
    )
    return html.Fieldset([html.Legend(label, className="visually-hidden"), choice])


def multi_select(
    id: Any,
    label: str,
    options: Sequence[str] | Mapping[str, str],
    value: Sequence[str] = (),
    *,
    placeholder: str = "All",
) -> Component:
    """Return a choice of several, searched by typing."""
    named = dict(options) if isinstance(options, Mapping) else {each: each for each in options}
    named |= {each: each for each in value if each not in named}
    listed = [{"label": text, "value": each} for each, text in named.items()]
    control = dcc.Dropdown(id=id, options=listed, value=list(value), multi=True, placeholder=placeholder)
    return labelled(label, control)


def switch(id: Any, label: str, *, on: bool = False) -> Component:
    """Return a choice of yes or no."""
    return dbc.Switch(id=id, label=label, value=on)


def toolbar(*controls: Component | None) -> Component:
    """Return controls in a row that wraps."""
    return html.Div([each for each in controls if each is not None], className="toolbar")


def button(label: str, id: Any, *, kind: Literal["primary", "plain", "danger"] = "plain", **more: Any) -> Component:
    """Return a button; its callbacks take ``n_clicks``."""
    return html.Button(label, id=id, type="button", className=f"button {kind}", **more)


def menu(label: str, *items: Component) -> Component:
    """Return a button that opens a small panel, closed by Escape or a click elsewhere."""
    return html.Details(
        [html.Summary(label, className="button plain"), html.Div(list(items), className="menu-panel")], className="menu"
    )


# Links to the things of the lab, each in one place.


def test_link(test_id: object, name: str) -> Component:
    """Return a link to a test."""
    return dcc.Link(name, href=links.test(test_id))


def cell_link(code: str | None) -> Component | str:
    """Return a link to a cell."""
    return dcc.Link(code, href=links.cell(code)) if code else UNKNOWN


def sample_link(name: str | None) -> Component | str:
    """Return a link to a sample."""
    return dcc.Link(name, href=links.sample(name)) if name else UNKNOWN


def raw_file_link(raw_id: object, name: str) -> Component:
    """Return a link to a raw file."""
    return dcc.Link(name, href=links.raw_file(raw_id))


def job_link(job_id: object, label: str = "job") -> Component | str:
    """Return a link to an import job."""
    return dcc.Link(label, href=links.job(job_id)) if job_id else UNKNOWN


# How values are written, everywhere the same.


def quantity(value: float | None, unit: str = "", digits: int = _DIGITS) -> str:
    """Return a number with its unit; a unit of ``%`` takes a ratio.

    Example:
        >>> quantity(2.512345678, "Ah"), quantity(0.9312, "%", 3), quantity(None, "V")
        ('2.5123 Ah', '93.1 %', '–')
    """
    if value is None:
        return UNKNOWN
    return f"{value * 100 if unit == '%' else value:.{digits}g} {unit}".rstrip()


def count(number: int, word: str) -> str:
    """Return a number of things.

    Example:
        >>> count(1, "test"), count(12345, "test")
        ('1 test', '12,345 tests')
    """
    return f"{number:,} {word}{'s' * (number != 1)}"


def moment(at: datetime | None) -> Component | str:
    """Return a moment to the minute, in UTC as everything here, exact on hovering."""
    if at is None:
        return UNKNOWN
    return html.Time(
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M}", dateTime=at.isoformat(), title=f"{at:%Y-%m-%d %H:%M:%S} UTC"
    )


def duration(seconds: float | None) -> str:
    """Return a length of time in its two largest units.

    Example:
        >>> duration(42), duration(3725), duration(200_000)
        ('42 s', '1 h 2 min', '2 d 7 h')
    """
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.0f} s"
    for large, small, unit, part in ((86_400, 3_600, "d", "h"), (3_600, 60, "h", "min"), (60, 1, "min", "s")):
        if seconds >= large:
            return f"{seconds // large:.0f} {unit} {seconds % large // small:.0f} {part}"
    return UNKNOWN


def size(bytes_: float | None) -> str:
    """Return a size.

    Example:
        >>> size(512), size(2_500_000)
        ('512 B', '2.5 MB')
    """
    if bytes_ is None:
        return UNKNOWN
    for unit in ("B", "kB", "MB", "GB"):
        if bytes_ < 1000:
            return f"{bytes_:.3g} {unit}"
        bytes_ /= 1000
    return f"{bytes_:.3g} TB"


def icon(name: Literal["menu", "search", "sun", "moon", "cell", "warning"]) -> Component:
    """Return one of the few icons of ``assets/style.css``."""
    return html.Span(className=f"icon icon-{name}", **{"aria-hidden": "true"})
