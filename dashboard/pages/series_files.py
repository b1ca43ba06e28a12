"""All records of a window as a file, streamed from the store without ever holding them all."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Annotated

from dash import Dash, html
from dash.development.base_component import Component
from fastapi import Query
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from battery_analysis.errors import BatteryAnalysisError
from dashboard import links, tables
from dashboard.data import series
from dashboard.pages.series_window import AXES, Wanted

PATH = "/series/records"
FORMS = {"csv": ("CSV", "text/csv"), "parquet": ("Parquet", "application/vnd.apache.parquet")}


def menu_lines(
    chosen: Sequence[str], names: Sequence[str], axis: str, first: str | None, last: str | None
) -> list[Component]:
    """Return links to the files of a window."""
    query = {"test": list(chosen), "signal": list(names), "axis": axis, "from": first, "to": last}
    return [
        html.P("All records in this window, not thinned", className="hint"),
        *(
            html.A(label, href=links.href(PATH, form=form, **query), className="button", download="")
            for form, (label, _) in FORMS.items()
        ),
    ]


def records(
    test: Annotated[list[str], Query()],
    signal: Annotated[list[str], Query()],
    form: str = "csv",
    axis: str = "h",
    first: Annotated[str, Query(alias="from")] = "",
    last: Annotated[str, Query(alias="to")] = "",
) -> Response:
    """Answer with all records of a window, beside the columns that are drawn their time, cycle and step."""
    if form not in FORMS:
        return PlainTextResponse(f"form: one of {', '.join(FORMS)} wanted, got {form[:40]!r}", 400)
    try:
        first, last = first.strip(), last.strip()
        wanted = Wanted(series.some(test), signal, axis, first, last)
        names = series.exported_columns(wanted.tests, wanted.names)
        parts = series.records(wanted.tests, names, [wanted.span(each) for each in wanted.tests])
        about = _about(wanted, names, first, last)
        written = series.as_csv(parts, tables.head(about)) if form == "csv" else series.as_parquet(parts, about)
        begin = next(written, b"")  # what is wrong shows before the answer begins
    except BatteryAnalysisError as exc:
        return PlainTextResponse(str(exc), 400)
    if not begin:
        return PlainTextResponse("there are no records in this window", 404)
    headers = {"Content-Disposition": f'attachment; filename="records.{form}"'}
    return StreamingResponse(itertools.chain((begin,), written), media_type=FORMS[form][1], headers=headers)


def _about(wanted: Wanted, names: Sequence[str], first: str, last: str) -> dict[str, str]:
    """Return what the file says of itself: the filter as other exports write it, the tests, the window, the units."""
    tests = {str(each.id): each.name for each in wanted.tests}
    chosen = {"test": list(tests), "signal": wanted.names, "axis": wanted.axis, "from": first, "to": last}
    is_whole = wanted.ends == (None, None)
    window = "all records" if is_whole else f"{AXES[wanted.axis]} from {first or 'the first'} to {last or 'the last'}"
    return {
        "table": "Records, not thinned",
        **tables.described({"page": "/series", **chosen}),
        "tests": json.dumps(tests),
        "window": window,
        "units": json.dumps(series.units(wanted.tests, names)),
    }


def register(app: Dash) -> None:
    """Serve the files."""
    app.server.add_api_route(PATH, records, methods=["GET"], include_in_schema=False, response_model=None)
