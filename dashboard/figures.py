"""Figures: one look in both themes, units on every axis, and the same exports below every one.

A page's own figures are pure functions of frames that end in ``figure(traces, x=…, y=…)``; ``figure_card`` shows one
with its exports: PNG and SVG are drawn by the browser in the light theme, as papers want them, HTML and the numbers
behind the figure come from the server.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape, unescape
from typing import TYPE_CHECKING, Any, Literal

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import MissingCallbackContextException

from dashboard import links, parts, tables

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

Theme = Literal["light", "dark"]

PALETTES: Mapping[Theme, tuple[str, ...]] = {
    "light": ("#0072B2", "#D55E00", "#009E73", "#8E3B73", "#2B2F36", "#2E9BD6", "#A88400", "#7D8694"),
    "dark": ("#4FA8E0", "#F0803C", "#2BC496", "#F3C2DE", "#F2B84B", "#8CD0F5", "#A9B2BF", "#F0E442"),
}
"""After Okabe and Ito, told apart with any colour vision; darker or lighter where the ground asks for it."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""A second sign beside the colour, for more traces than colours."""

# Without a word, plotly shows a button that uploads the figure to its maker.
_CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False, "plotlyServerURL": "", "showTips": False}

_INK: Mapping[Theme, Mapping[str, str]] = {
    "light": {"text": "#14181f", "muted": "#566070", "line": "#dfe3e9", "surface": "#ffffff"},
    "dark": {"text": "#e7eaf0", "muted": "#a0a9b8", "line": "#2a303b", "surface": "#1d222b"},
}
_LEGEND_CHARACTERS = 36
_TWO_LINES = 60
"""Characters: lines end where words do."""
_NEW_LINE = "<br>"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif"


def theme() -> Theme:
    """Return the theme of whoever is asking, as the browser's cookie says; light outside of a request."""
    try:
        return "dark" if ctx.cookies.get("theme") == "dark" else "light"
    except MissingCallbackContextException:
        return "light"


def muted() -> str:
    """Return the colour of what stands behind, such as measured points below fitted lines."""
    return _INK[theme()]["muted"]


def template(shade: Theme) -> dict[str, Any]:
    """Return the plotly template of a theme."""
    ink = _INK[shade]
    axis = {
        "gridcolor": ink["line"],
        "linecolor": ink["line"],
        "tickcolor": ink["line"],
        "zerolinecolor": ink["line"],
        "tickfont": {"color": ink["muted"]},
        "title": {"font": {"color": ink["text"], "size": 13}, "standoff": 8},
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "automargin": True,
        "exponentformat": "power",
    }
    sequential = [[0, "#0d0887"], [0.25, "#7e03a8"], [0.5, "#cc4778"], [0.75, "#f89540"], [1, "#f0f921"]]
    layout = {
        "colorway": list(PALETTES[shade]),
        "colorscale": {"sequential": sequential},
        "font": {"family": _FONT, "size": 12, "color": ink["text"]},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis,
        "yaxis": axis,
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "hoverlabel": {
            "bgcolor": ink["surface"],
            "bordercolor": ink["line"],
            "font": {"color": ink["text"]},
            "namelength": -1,  # whole names
        },
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": ink["muted"], "activecolor": PALETTES[shade][0]},
    }
    return {"layout": layout}


def axis_title(quantity: str, unit: str = "") -> str:
    """Return the title of an axis.

    Example:
        >>> axis_title("Discharge capacity", "Ah"), axis_title("Cycle")
        ('Discharge capacity / Ah', 'Cycle')
    """
    return f"{quantity} / {unit}" if unit else quantity


def plain(text: str) -> str:
    """Return a name so that plotly shows it as it is: it reads tags, and places for values in braces.

    Example:
        >>> plain("<b>A & B</b> %{x}")
        '&lt;b&gt;A &amp; B&lt;/b&gt; %&#123;x}'
    """
    return escape(text, quote=False).replace("%{", "%&#123;")


def wrapped(name: str) -> str:
    """Return a name in lines that a legend shows whole on a phone, too; ``numbers`` joins them again.

    Example:
        >>> wrapped("LG012_ageing_at_45_degrees_in_the_cold_room_Channel_12_Wb_1.csv")
        'LG012_ageing_at_45_degrees_in_the_<br>cold_room_Channel_12_Wb_1.csv'
    """
    lines, rest = [], unescape(name)
    while len(rest) > _LEGEND_CHARACTERS:
        last = max(rest.rfind(sign, 0, _LEGEND_CHARACTERS) for sign in " _-/,.") + 1
        cut = last if last > _LEGEND_CHARACTERS // 3 else _LEGEND_CHARACTERS
        lines.append(rest[:cut])
        rest = rest[cut:]
    return _NEW_LINE.join(map(plain, [*lines, rest]))


def _legible(trace: Any) -> Any:
    """Return a trace whose name is in two lines if it is long, and whole on hovering if it is longer than these."""
    given = trace if isinstance(trace, Mapping) else trace.to_plotly_json()
    name = given.get("name")
    if not name or "<" in name or len(unescape(name)) <= _LEGEND_CHARACTERS:
        return trace
    whole = unescape(name)
    changes = {"name": wrapped(shortened(whole, _TWO_LINES))}
    if len(whole) > _TWO_LINES and given.get("hovertext") is None:
        changes["hovertext"] = plain(whole)  # which ``numbers`` takes
        template = given.get("hovertemplate")
        if template and "<extra>" not in template:
            changes["hovertemplate"] = f"{template}<extra>{plain(whole)}</extra>"
    return {**trace, **changes} if isinstance(trace, Mapping) else trace.update(changes)


def shortened(name: str, most: int) -> str:
    """Return a name that is no longer than so many characters, its middle left out: both ends tell names apart.

    Example:
        >>> shortened("LG012_ageing_Channel_12_Wb_1.csv", 20), shortened("LG012", 20)
        ('LG012_agei…_Wb_1.csv', 'LG012')
    """
    if len(name) <= most:
        return name
    return f"{name[: most // 2]}…{name[len(name) - (most - most // 2 - 1) :]}"


def figure(traces: Sequence[Any], *, x: str, y: str, height: int = 360, **layout: Any) -> go.Figure:
    """Return a figure in the theme of whoever asks.

    Args:
        traces: Plotly traces, as objects or mappings.
        x: Title of the axis with its unit, see ``axis_title``.
        y: The same.
        height: In pixels.
        layout: More of plotly's layout, such as ``xaxis_type="log"`` or ``yaxis2={...}``.
    """
    from dashboard.drawn import Drawn

    data = [_legible(each) for each in traces]
    looks = {"template": template(theme()), "height": height, "uirevision": "kept", "showlegend": len(data) > 1}
    titled = {"xaxis": _titled(x, layout.pop("xaxis", {})), "yaxis": _titled(y, layout.pop("yaxis", {}))}
    joined = {name: given for name, given in layout.items() if "_" in name}
    whole = {name: given for name, given in layout.items() if name not in joined}
    # Plotly's checks of every property take ten times as long as all the rest; tests hold figures against them instead.
    shown = Drawn(data=data, layout=looks | titled | whole, _validate=False)
    return shown.update_layout(**joined) if joined else shown


def _titled(text: str, axis: Mapping[str, Any]) -> dict[str, Any]:
    return {**axis, "title": {"text": text, **axis.get("title", {})}}


def narrow(values: Any) -> Any:
    """Return an array in single precision where that changes none of its numbers: half as much to send.

    Example:
        >>> import numpy as np
        >>> narrow(np.array([3.5, 4.25])).dtype, narrow(np.array([3.5, 0.1])).dtype
        (dtype('float32'), dtype('float64'))
    """
    import numpy as np

    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single if np.array_equal(single, values, equal_nan=True) else values


def nothing(what: str) -> dict[str, Any]:
    """Return the layout of a figure without traces, which says why there is nothing to see."""
    said = {
        "text": what,
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 14},
    }
    return {"annotations": [said], "xaxis": {"visible": False}, "yaxis": {"visible": False}}


def graph(id: str) -> dict[str, str]:
    """Return the id of the figure in ``figure_card(id, …)``, for the callback that draws it."""
    return {"type": "figure", "figure": id}


def tall(height: int) -> dict[str, str]:
    """Return the style of a figure of this height in pixels, which grows with very wide screens."""
    return {"height": f"calc({height}px * var(--tall))"}


def figure_card(
    id: str,
    title: str,
    drawn: go.Figure | None = None,
    *controls: Component,
    height: int = 360,
    wide: bool = False,
    least_width: int | None = None,
) -> Component:
    """Return a card with a figure, its exports, and controls above it.

    Args:
        id: The figure's word; a callback draws it at ``Output(graph(id), "figure")``.
        title: What it shows; also the name of exported files.
        drawn: The figure, where it is known already.
        controls: What chooses what is drawn.
        height: In pixels on usual screens; it counts, not that of the figure.
        wide: Whether it takes a whole row.
        least_width: In pixels, for figures that cannot be read below it; narrower screens scroll them sideways.
    """
    empty = {"data": [], "layout": {"template": template(theme()), "height": height}}
    config = _CONFIG | {"modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d"]}
    size: dict[str, Any] = {**tall(height), **({"minWidth": least_width} if least_width else {})}
    plot = dcc.Graph(id=graph(id), figure=drawn or empty, config=config, style=size, responsive=True)
    place: dict[str, Any] = {"className": "sideways", "tabIndex": "0"} if least_width else {}
    shown = html.Div(
        [
            parts.toolbar(*controls) if controls else None,
            html.Div(plot, role="group", **place, **{"aria-label": title}),
            dcc.Download(id=_export("download", id)),
            dcc.Store(id=_export("title", id), data=title),
            dcc.Store(id=_export("image", id)),
        ],
        className="figure",
    )
    forms = {"png": "PNG", "svg": "SVG", "html": "HTML", "csv": "Data as CSV", "parquet": "Data as Parquet"}
    buttons = [parts.button(label, {**_export("export", id), "form": form}) for form, label in forms.items()]
    return parts.card(title, shown, actions=[parts.menu("Export", *buttons)], wide=wide)


def open_on_click(app: Dash, id: str) -> None:
    """Make a click on a point of a figure open the address in its ``customdata[1]``, or in its trace's ``meta[1]``."""
    app.clientside_callback(
        ClientsideFunction("dashboard", "openPoint"),
        Output(graph(id), "clickData"),
        Input(graph(id), "clickData"),
        prevent_initial_call=True,
    )


def _export(what: str, figure_id: Any) -> dict[str, Any]:
    return {"type": f"figure-{what}", "figure": figure_id}


def export(_: Sequence[int | None], drawn: Mapping[str, Any], title: str, path: str, search: str | None) -> Any:
    """Send what the reader chose: the figure as a page of its own, or the numbers behind it, with what was selected."""
    form = ctx.triggered_id["form"] if ctx.triggered_id else None
    if form not in ("html", "csv", "parquet") or not any(each["value"] for each in ctx.triggered):
        return no_update
    selected = {"page": path, **links.read(search)}
    if form == "html":
        return dcc.send_string(standalone(drawn, title, selected), f"{title}.html")
    table = numbers(drawn)
    about = {"figure": title, **tables.described(selected, table.height)}
    content = tables.as_csv(about, table) if form == "csv" else tables.as_parquet(about, table)
    return dcc.send_bytes(content, f"{title}.{form}")


def standalone(drawn: Mapping[str, Any], title: str, selected: Mapping[str, links.Given]) -> str:
    """Return a figure in the light theme, below what was selected, as a web page that needs nothing else."""
    import plotly.graph_objects as go
    import plotly.io

    shown = go.Figure(drawn, skip_invalid=True)
    said = "; ".join(f"{name}: {', '.join(links.texts(given))}" for name, given in selected.items())
    head = f"{plain(title)}<br><sub>{plain(said)}</sub>"
    shown.update_layout(template=template("light"), paper_bgcolor="#ffffff", title_text=head, margin_t=72)
    return str(plotly.io.to_html(shown, include_plotlyjs=True, full_html=True, config=_CONFIG))


def numbers(drawn: Mapping[str, Any]) -> pl.DataFrame:
    """Return the points of a figure, a row each, under the titles of its axes, which hold the units."""
    import polars as pl

    frames = [pl.DataFrame(dict(_columns(trace, drawn.get("layout", {}))), strict=False) for trace in drawn["data"]]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def _columns(trace: Mapping[str, Any], layout: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    points = {name: values(trace[name]) for name in ("x", "y", "z") if trace.get(name) is not None}
    if not points:
        return
    told = trace.get("hovertext")  # a text for all points is the name; a list has one for each
    whole = told if isinstance(told, str) else (trace.get("name") or "").replace(_NEW_LINE, "")
    yield "trace", [unescape(whole)] * max(len(each) for each in points.values())
    for name, each in points.items():
        axis = layout.get(f"{name}axis{str(trace.get(f'{name}axis') or name)[1:]}", {})
        said = [unescape(value) if isinstance(value, str) else value for value in each]
        yield unescape(axis.get("title", {}).get("text") or name), said


def values(given: Any) -> list[Any]:
    """Return the numbers of a trace, which plotly may have packed as ``{dtype, bdata}``."""
    if not isinstance(given, Mapping):
        return list(given)
    import numpy as np

    packed = np.frombuffer(base64.b64decode(given["bdata"]), dtype=given["dtype"])
    shape = given.get("shape")
    return list(packed.reshape([int(each) for each in str(shape).split(",")]).tolist() if shape else packed.tolist())


def register_callbacks(app: Dash) -> None:
    """Wire the exports of every figure there is and will be."""
    clicks = Input({**_export("export", MATCH), "form": ALL}, "n_clicks")
    shown = State({"type": "figure", "figure": MATCH}, "figure"), State(_export("title", MATCH), "data")
    address = State("url", "pathname"), State("url", "search")
    download = Output(_export("download", MATCH), "data")
    app.callback(download, clicks, *shown, *address, prevent_initial_call=True)(export)
    app.clientside_callback(
        ClientsideFunction("dashboard", "saveImage"),
        Output(_export("image", MATCH), "data"),
        clicks,
        shown[1],
        prevent_initial_call=True,
    )
